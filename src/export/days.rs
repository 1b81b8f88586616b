//! A range of days.

use std::fmt;
use std::str::FromStr;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use crate::error::{Error, ErrorKind, Result};

/// A range of UTC days, both ends included.
///
/// ```
/// use e3sync::export::Days;
/// use jiff::civil::date;
///
/// let days = Days::new(date(2026, 2, 27), date(2026, 3, 2))?;
/// assert_eq!(days.iter().count(), 4);
/// assert!(days.contains(date(2026, 2, 28)));
/// assert!(Days::new(days.to, days.from).is_err());
/// # Ok::<(), e3sync::error::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Days {
    /// The first day.
    pub from: Date,
    /// The last day, never before `from`.
    pub to: Date,
}

impl Days {
    /// The days from `from` to `to`.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] when the range ends before it begins.
    pub fn new(from: Date, to: Date) -> Result<Self> {
        if to < from {
            return Err(Error::new(
                ErrorKind::Usage,
                format!("the range of days {from} .. {to} ends before it begins"),
            )
            .with_hint("give the earlier day to --from and the later one to --to; both are included"));
        }
        Ok(Self { from, to })
    }

    /// Whether `day` lies in the range.
    pub fn contains(&self, day: Date) -> bool {
        self.from <= day && day <= self.to
    }

    /// Every day of the range, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = Date> + use<> {
        let to = self.to;
        self.from.series(1.day()).take_while(move |day| *day <= to)
    }
}

/// The export's day at a time: its days are UTC (domain.md section 2).
pub fn utc_day(time: Timestamp) -> Date {
    time.to_zoned(TimeZone::UTC).date()
}

/// A hundred years; the export is younger.
const DAYS_AGO_MAX: u32 = 36_500;

/// A day as a person writes it.
///
/// ```
/// use e3sync::export::DaySpec;
/// use jiff::civil::date;
///
/// let today = date(2026, 11, 21);
/// let yesterday: DaySpec = "yesterday".parse()?;
/// assert_eq!(yesterday.resolve(today)?, date(2026, 11, 20));
/// # Ok::<(), e3sync::error::Error>(())
/// ```
///
/// It is written as `2026-11-20`, `today`, `yesterday`, or `7d` (seven days ago).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DaySpec {
    /// A calendar day.
    Day(Date),
    /// Number of days before today.
    DaysAgo(u32),
}

impl DaySpec {
    /// The calendar day, seen from `today` (UTC).
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] for a day before the calendar begins.
    pub fn resolve(self, today: Date) -> Result<Date> {
        match self {
            Self::Day(day) => Ok(day),
            Self::DaysAgo(days) => today
                .checked_sub(i64::from(days).days())
                .map_err(|_| Error::new(ErrorKind::Usage, format!("{days} days ago is before the calendar begins"))),
        }
    }
}

impl fmt::Display for DaySpec {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Day(day) => write!(formatter, "{day}"),
            Self::DaysAgo(days) => write!(formatter, "{days}d"),
        }
    }
}

impl FromStr for DaySpec {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "today" => return Ok(Self::DaysAgo(0)),
            "yesterday" => return Ok(Self::DaysAgo(1)),
            _ => {}
        }
        let days_ago = text.strip_suffix('d').and_then(|number| number.parse().ok());
        if let Some(days) = days_ago.filter(|days| *days <= DAYS_AGO_MAX) {
            return Ok(Self::DaysAgo(days));
        }
        parse_calendar_day(text).map(Self::Day).ok_or_else(|| {
            Error::new(ErrorKind::Usage, format!("`{}` is not a day", super::printable(text)))
                .with_hint("write YYYY-MM-DD, today, yesterday, or 7d for seven days ago")
        })
    }
}

/// Reads exactly `YYYY-MM-DD`, the only form that the export's `date=` folders have.
pub(super) fn parse_calendar_day(text: &str) -> Option<Date> {
    let bytes = text.as_bytes();
    let shaped = bytes.len() == 10
        && bytes.iter().enumerate().all(|(index, byte)| match index {
            4 | 7 => *byte == b'-',
            _ => byte.is_ascii_digit(),
        });
    shaped.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> Date {
        text.parse().unwrap()
    }

    #[test]
    fn words_and_numbers_are_days() {
        let today = day("2026-03-01");
        for (text, expected) in
            [("2026-02-28", "2026-02-28"), ("today", "2026-03-01"), ("yesterday", "2026-02-28"), ("7d", "2026-02-22")]
        {
            let spec: DaySpec = text.parse().unwrap();
            assert_eq!(spec.resolve(today).unwrap(), day(expected), "{text}");
            assert_eq!(spec.to_string().parse::<DaySpec>().unwrap(), spec, "{text}");
        }
    }

    #[test]
    fn what_is_not_a_day_is_refused_with_a_hint() {
        for text in ["", "2026-2-28", "20260228", "2026-02-30", "last week", "-7d", "7", "9000000d"] {
            let error = text.parse::<DaySpec>().unwrap_err();
            assert!(error.hint().is_some(), "{text}");
        }
    }

    #[test]
    fn a_range_includes_both_ends_and_never_runs_backwards() {
        let days = Days::new(day("2024-02-28"), day("2024-03-01")).unwrap();
        let all: Vec<_> = days.iter().collect();
        assert_eq!(all, [day("2024-02-28"), day("2024-02-29"), day("2024-03-01")]);
        assert!(Days::new(day("2024-03-01"), day("2024-02-28")).is_err());
    }
}
