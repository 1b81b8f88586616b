//! The verb `status`: which days a destination has, by its manifests alone.

use std::collections::BTreeMap;

use jiff::civil::Date;

use crate::destination::PublishedSets;
use crate::error::Result;
use crate::export::{Days, Partition, Scope, TypeName};
use crate::manifest::Header;

/// The state of one day (design.md section 1), as far as the manifests tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DayState {
    /// Published whole, and complete at the source.
    Published,
    /// Published for a part of the day's data.
    Partial,
    /// Published before the source declared it complete.
    Pending,
    /// Not there, between days that are.
    Missing,
    /// Its manifest cannot be read.
    Damaged,
}

impl DayState {
    /// The state's name in output.
    pub fn name(self) -> &'static str {
        match self {
            Self::Published => "published",
            Self::Partial => "partial",
            Self::Pending => "pending",
            Self::Missing => "missing",
            Self::Damaged => "damaged",
        }
    }
}

/// One day of one type.
#[derive(Clone, Debug)]
pub struct Day {
    /// The day.
    pub date: Date,
    /// Its state.
    pub state: DayState,
    /// Its objects.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Their rows, where all are Parquet.
    pub rows: Option<u64>,
}

/// The days of a destination, type by type.
#[derive(Clone, Debug, Default)]
pub struct Calendar {
    /// Each type's days from the oldest published to the newest day asked for, without holes.
    pub types: BTreeMap<TypeName, Vec<Day>>,
}

/// Reads the calendar of the days in `days`, or of all from the oldest published one to `until`.
///
/// # Errors
/// [`crate::error::ErrorKind::DestinationUnusable`] when the folders cannot be read; a single
/// manifest that cannot be read is a day's state.
pub fn calendar(published: &dyn PublishedSets, days: Option<Days>, until: Date) -> Result<Calendar> {
    let mut calendar = Calendar::default();
    for (type_name, dates) in published.days()? {
        let Some((first, last)) = dates.first().zip(dates.last()) else { continue };
        let range = days.unwrap_or(Days { from: *first, to: until.max(*last) });
        let days = range.iter().map(|date| {
            let partition = Partition { type_name: type_name.clone(), date };
            day(date, published.header(&partition))
        });
        let days = days.collect();
        calendar.types.insert(type_name, days);
    }
    Ok(calendar)
}

fn day(date: Date, header: Result<Option<Header>>) -> Day {
    let empty = |state| Day { date, state, objects: 0, bytes: 0, rows: None };
    match header {
        Err(_) => empty(DayState::Damaged),
        Ok(None) => empty(DayState::Missing),
        Ok(Some(header)) => {
            let state = match (&header.selection, header.completeness.is_complete()) {
                (Scope::AnyOf(_), _) => DayState::Partial,
                (Scope::All, true) => DayState::Published,
                (Scope::All, false) => DayState::Pending,
            };
            Day { date, state, objects: header.objects, bytes: header.bytes, rows: header.rows }
        }
    }
}
