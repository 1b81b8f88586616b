//! The verb `status`: which days a destination has, by its manifests alone.

use std::collections::BTreeMap;

use jiff::civil::Date;

use crate::destination::{Published, PublishedSets};
use crate::error::Result;
use crate::export::{Days, Partition, Scope, TypeName};

/// The state of one day (design.md section 1), as far as the manifests tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DayState {
    /// Published whole, and complete at the source.
    Published,
    /// Published for a part of the day's data.
    Partial,
    /// Published before the source declared it complete.
    Pending,
    /// Begun to be published or replaced in a bucket, and not ended.
    Staged,
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
            Self::Staged => "staged",
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
pub async fn calendar(published: &dyn PublishedSets, days: Option<Days>, until: Date) -> Result<Calendar> {
    let mut calendar = Calendar::default();
    for (type_name, dates) in published.days().await? {
        let Some((first, last)) = dates.first().zip(dates.last()) else { continue };
        let range = days.unwrap_or(Days { from: *first, to: until.max(*last) });
        let mut listed = Vec::new();
        for date in range.iter() {
            let partition = Partition { type_name: type_name.clone(), date };
            listed.push(day(date, published.published(&partition).await));
        }
        calendar.types.insert(type_name, listed);
    }
    Ok(calendar)
}

fn day(date: Date, published: Result<Published>) -> Day {
    let empty = |state| Day { date, state, objects: 0, bytes: 0, rows: None };
    match published {
        Err(_) => empty(DayState::Damaged),
        Ok(Published { header: None, is_unsettled: true, .. }) => empty(DayState::Staged),
        Ok(Published { header: None, is_unsettled: false, .. }) => empty(DayState::Missing),
        Ok(Published { header: Some(header), is_unsettled, .. }) => {
            let state = match (&header.selection, header.completeness.is_complete()) {
                _ if is_unsettled => DayState::Staged,
                (Scope::AnyOf(_), _) => DayState::Partial,
                (Scope::All, true) => DayState::Published,
                (Scope::All, false) => DayState::Pending,
            };
            Day { date, state, objects: header.objects, bytes: header.bytes, rows: header.rows }
        }
    }
}
