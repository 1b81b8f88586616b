//! Sizes, rates and times as people write them.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A number of bytes: `16MiB`, `50MB`, `1000`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByteSize(pub u64);

/// A number of bytes a second: `50MB/s`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByteRate(pub u64);

/// A length of time: `50m`, `3h`, `20s`, `500ms`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span(pub Duration);

/// A number and its unit.
fn split(text: &str) -> Option<(f64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let number: f64 = text[..end].parse().ok()?;
    Some((number, text[end..].trim()))
}

impl FromStr for ByteSize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bytes = split(text).and_then(|(number, unit)| {
            let factor: u64 = match unit.to_ascii_lowercase().as_str() {
                "" | "b" => 1,
                "k" | "kib" => 1 << 10,
                "kb" => 1_000,
                "m" | "mib" => 1 << 20,
                "mb" => 1_000_000,
                "g" | "gib" => 1 << 30,
                "gb" => 1_000_000_000,
                _ => return None,
            };
            Some(number * factor as f64)
        });
        match bytes {
            Some(bytes) if (1.0..1e15).contains(&bytes) => Ok(Self(bytes as u64)),
            _ => Err("write a size as in 16MiB or 50MB, at least one byte".to_owned()),
        }
    }
}

impl FromStr for ByteRate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let size = text.strip_suffix("/s").unwrap_or(text);
        // Of a bare number one takes it for kilobytes, another for bits.
        if size.ends_with(|last: char| last.is_ascii_digit()) {
            return Err("say of what, as in 50MB/s".to_owned());
        }
        size.parse().map(|ByteSize(bytes)| Self(bytes)).map_err(|_| "write a rate as in 50MB/s".to_owned())
    }
}

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let seconds = split(text).and_then(|(number, unit)| {
            let factor = match unit {
                "ms" => 0.001,
                "s" => 1.0,
                "m" | "min" => 60.0,
                "h" => 3_600.0,
                "d" => 86_400.0,
                _ => return None,
            };
            Some(number * factor)
        });
        match seconds {
            Some(seconds) if (0.0..1e9).contains(&seconds) => Ok(Self(Duration::from_secs_f64(seconds))),
            _ => Err("write a time as in 20s, 50m or 3h".to_owned()),
        }
    }
}

/// Bytes for people, in powers of ten as disks and networks have them: `38.2 GB`.
pub struct Bytes(pub u64);

impl fmt::Display for Bytes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut value = self.0 as f64;
        for unit in ["B", "kB", "MB", "GB", "TB"] {
            if value < 999.5 || unit == "TB" {
                let decimals = usize::from(unit != "B" && value < 99.95);
                return formatter.pad(&format!("{value:.decimals$} {unit}"));
            }
            value /= 1000.0;
        }
        Ok(())
    }
}

/// A number with commas between thousands: `1,204`.
pub struct Count(pub u64);

impl fmt::Display for Count {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.to_string();
        let mut text = String::with_capacity(digits.len() + digits.len() / 3);
        for (index, digit) in digits.chars().enumerate() {
            if index > 0 && (digits.len() - index).is_multiple_of(3) {
                text.push(',');
            }
            text.push(digit);
        }
        formatter.pad(&text)
    }
}

/// A number of things, with the word for one and the word for several: `1 day`, `1,204 days`.
pub struct Counted(pub u64, pub &'static str, pub &'static str);

impl fmt::Display for Counted {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", Count(self.0), if self.0 == 1 { self.1 } else { self.2 })
    }
}

/// A length of time for people: `1m22s`, `4.2s`, `59 min`.
pub struct Elapsed(pub Duration);

impl fmt::Display for Elapsed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        let text = match seconds {
            0..10 => format!("{:.1}s", self.0.as_secs_f64()),
            10..60 => format!("{seconds}s"),
            60..3600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
            _ => format!("{}h{:02}m", seconds / 3600, seconds / 60 % 60),
        };
        formatter.pad(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_rates_and_times_are_read() {
        assert_eq!("16MiB".parse(), Ok(ByteSize(16 << 20)));
        assert_eq!("1.5 GB".parse(), Ok(ByteSize(1_500_000_000)));
        assert_eq!("50MB/s".parse(), Ok(ByteRate(50_000_000)));
        assert_eq!("90m".parse(), Ok(Span(Duration::from_secs(5400))));
        for wrong in ["", "x", "-1", "0", "10 parsecs"] {
            assert!(wrong.parse::<ByteSize>().is_err(), "{wrong}");
        }
        for wrong in ["", "7", "h", "3 weeks"] {
            assert!(wrong.parse::<Span>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn numbers_are_written_for_people() {
        assert_eq!(Bytes(0).to_string(), "0 B");
        assert_eq!(Bytes(999).to_string(), "999 B");
        assert_eq!(Bytes(38_240_000_000).to_string(), "38.2 GB");
        assert_eq!(Bytes(999_999).to_string(), "1.0 MB");
        assert_eq!(Count(1_234_567).to_string(), "1,234,567");
        assert_eq!(Count(12).to_string(), "12");
        assert_eq!(Elapsed(Duration::from_secs(82)).to_string(), "1m22s");
        assert_eq!(Elapsed(Duration::from_millis(4200)).to_string(), "4.2s");
    }
}
