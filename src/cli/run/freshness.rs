//! How fresh a mirror is, for the metrics of a run.

use e3sync::destination::{Destination, PublishedDays};
use e3sync::error::Result;
use e3sync::export::{Partition, TypeName};
use e3sync::status::RunGroup;
use jiff::civil::Date;

/// Number of a type's newest days that are searched for a complete one.
const NEWEST_DAYS_MAX: usize = 30;

/// What the metrics of a run tell besides the run itself, as far as it is known.
#[derive(Default)]
pub struct OfMirror {
    /// How fresh the mirror is.
    pub freshness: Option<Freshness>,
    /// What the runs that shared the days with this one have done together.
    pub group: Option<RunGroup>,
}

/// How fresh a mirror is.
pub struct Freshness {
    /// The days that are published, in whatever state.
    pub published: PublishedDays,
    /// The newest day of each type that is published whole and was complete at the source.
    pub newest_complete: Vec<(TypeName, Date)>,
}

impl Freshness {
    /// Looks at the newest days of each type.
    ///
    /// # Errors
    /// What keeps the destination from being read.
    pub async fn of(destination: &dyn Destination) -> Result<Self> {
        let published = destination.published_days().await?;
        let mut newest_complete = Vec::new();
        for (type_name, days) in &published {
            let newest = newest_complete_day(destination, type_name, days).await;
            newest_complete.extend(newest.map(|date| (type_name.clone(), date)));
        }
        Ok(Self { published, newest_complete })
    }
}

async fn newest_complete_day(destination: &dyn Destination, type_name: &TypeName, days: &[Date]) -> Option<Date> {
    for date in days.iter().rev().take(NEWEST_DAYS_MAX) {
        let partition = Partition { type_name: type_name.clone(), date: *date };
        // A manifest that cannot be read makes no day complete.
        let header = destination.published(&partition).await.ok().and_then(|published| published.header);
        if header.is_some_and(|header| header.is_complete_day()) {
            return Some(*date);
        }
    }
    None
}
