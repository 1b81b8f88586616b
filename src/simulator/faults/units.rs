//! Numbers, sizes and times as the text form of a fault has them.

use super::grammar::{Parsed, wrong};
use std::time::Duration;

const BYTE_UNITS: [(&str, u64); 3] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
const TIME_UNITS: [(&str, u64); 4] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000)];

pub(super) fn parse_number(text: &str) -> Parsed<u64> {
    text.parse().or_else(|_| wrong(format!("{text:?} is not a number")))
}

pub(super) fn parse_status(text: &str) -> Parsed<u16> {
    match text.parse() {
        Ok(status @ 400..=599) => Ok(status),
        _ => wrong(format!("{text:?} is not an error status (400 to 599)")),
    }
}

pub(super) fn parse_percent(text: &str) -> Parsed<f64> {
    match text.strip_suffix('%').unwrap_or(text).parse() {
        Ok(percent) if (0.0..=100.0).contains(&percent) => Ok(percent),
        _ => wrong(format!("{text:?} is not a percentage")),
    }
}

pub(super) fn parse_bytes(text: &str) -> Parsed<u64> {
    let unit = BYTE_UNITS.iter().find_map(|(name, bytes)| Some((text.strip_suffix(name)?, *bytes)));
    let (number, bytes) = unit.unwrap_or((text, 1));
    let total = number.parse::<u64>().ok().and_then(|number| number.checked_mul(bytes));
    total.map_or_else(|| wrong(format!("{text:?} is not a number of bytes (1000, 64KiB, 5MiB, 1GiB)")), Ok)
}

pub(super) fn parse_difference(text: &str) -> Parsed<i64> {
    let number = |digits| parse_bytes(digits).map(|bytes| i64::try_from(bytes).unwrap_or(i64::MAX));
    match (text.strip_prefix('+'), text.strip_prefix('-')) {
        (Some(more), _) => number(more),
        (_, Some(fewer)) => number(fewer).map(|bytes| -bytes),
        _ => wrong(format!("{text:?} is neither +BYTES nor -BYTES")),
    }
}

pub(super) fn parse_time(text: &str) -> Parsed<Duration> {
    let digits = text.trim_end_matches(|character: char| character.is_ascii_alphabetic());
    let unit = TIME_UNITS.iter().find(|(name, _)| *name == &text[digits.len()..]);
    let total = digits.parse::<u64>().ok().zip(unit).and_then(|(number, (_, unit))| number.checked_mul(*unit));
    match total {
        Some(milliseconds) => Ok(Duration::from_millis(milliseconds)),
        None => wrong(format!("{text:?} is not a time (500ms, 2s, 5m, 1h)")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_read() {
        assert_eq!(parse_bytes("64KiB"), Ok(65_536));
        assert_eq!(parse_bytes("0"), Ok(0));
        assert_eq!(parse_difference("-1MiB"), Ok(-1_048_576));
        assert_eq!(parse_time("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parse_time("1h"), Ok(Duration::from_secs(3600)));
        assert_eq!(parse_percent("2.5%"), Ok(2.5));
        for bad in ["", "KiB", "1kib", "-1", "1 KiB"] {
            assert!(parse_bytes(bad).is_err(), "{bad}");
        }
        for bad in ["", "s", "5", "5d", "1.5s"] {
            assert!(parse_time(bad).is_err(), "{bad}");
        }
    }
}
