//! Chooses the part of the days that a sampled verification looks at.

use std::str::FromStr;

use jiff::civil::Date;

use crate::error::{Error, ErrorKind, Result};

/// A part of the days, another one every day: N daily runs look at each day once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Every how many-th day.
    pub one_of: u32,
}

/// Ten years; a longer round would verify nothing in time.
const ONE_OF_MAX: u32 = 3_650;

impl Sample {
    /// Whether a day's turn is on `today`.
    pub fn has(self, day: Date, today: Date) -> bool {
        let days_apart = (today - day).get_days();
        days_apart.rem_euclid(i32::try_from(self.one_of).unwrap_or(i32::MAX)) == 0
    }
}

impl FromStr for Sample {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text.strip_prefix("1/").and_then(|number| number.parse().ok()) {
            Some(one_of @ 1..=ONE_OF_MAX) => Ok(Self { one_of }),
            _ => Err(Error::new(
                ErrorKind::Usage,
                format!("`{}` is not a sample: write 1/30 for every thirtieth day", crate::export::printable(text)),
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::ToSpan as _;

    use super::*;

    #[test]
    fn daily_samples_look_at_every_day_once_in_a_round() {
        let sample: Sample = "1/30".parse().unwrap();
        let first: Date = "2026-11-21".parse().unwrap();
        for age in 0..400 {
            let day: Date = "2025-12-01".parse::<Date>().unwrap().saturating_add(age.days());
            let turns = (0..30).filter(|later| sample.has(day, first.saturating_add((*later).days()))).count();
            assert_eq!(turns, 1, "{day}");
        }
    }

    #[test]
    fn only_fractions_of_one_are_samples() {
        for wrong in ["", "30", "2/30", "1/0", "1/x", "1/-3", "1/99999"] {
            assert!(wrong.parse::<Sample>().is_err(), "{wrong}");
        }
    }
}
