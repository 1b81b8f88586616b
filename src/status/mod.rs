//! The verb `status`: which days a destination has, by its manifests and by what the last runs said.

mod groups;
mod numbers;
mod runs;

use std::collections::{BTreeMap, HashSet};

use jiff::civil::Date;
use jiff::{Timestamp, ToSpan as _};

pub use groups::{RunGroup, grouped};
pub use numbers::{Totals, gaps, newest_complete, ranges_in};
pub use runs::{Asked, Run, RunBytes, RunDay, RunError, RunObjects, RunPartitions, RunRange, RunRequests};

use crate::destination::{DamagedDay, LastVerification, Published, PublishedDays, PublishedSets, VerificationRecord};
use crate::error::{Error, Result};
use crate::export::{Days, Partition, Scope, TypeName};
use crate::manifest::Header;

/// Number of the last runs that are examined.
pub const RUNS_MAX: usize = 30;

/// The same where the first of them belongs to a group, whose other runs may be older.
pub const RUNS_MAX_OF_GROUP: usize = 100;

/// Maximum number of days in a type's calendar: a hundred years; the export is younger.
const CALENDAR_DAYS_MAX: i64 = 36_500;

/// Maximum number of days that a calendar goes on behind the newest day asked for: a manifest's name may hold
/// any day, and one of the year 9999 would leave no room for the real ones.
const DAYS_AHEAD_MAX: i64 = 366;

/// The state of one day (design.md section 1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DayState {
    /// Published whole, and complete at the source.
    Published,
    /// Published for a part of the day's data.
    Partial,
    /// Not complete at the source yet; published before that, or waited for.
    Pending,
    /// Published, and by the last run that looked no longer what the source has.
    Drifted,
    /// Published, and by the last run that looked gone at the source.
    Expired,
    /// Begun, and not ended.
    Staged,
    /// Not there.
    Missing,
    /// Its manifest cannot be read, or a verification found it to differ from it.
    Damaged,
}

impl DayState {
    /// Every state, the good ones first.
    pub const ALL: [Self; 8] = [
        Self::Published,
        Self::Partial,
        Self::Pending,
        Self::Drifted,
        Self::Expired,
        Self::Staged,
        Self::Missing,
        Self::Damaged,
    ];

    /// The state's name in output.
    pub fn name(self) -> &'static str {
        match self {
            Self::Published => "published",
            Self::Partial => "partial",
            Self::Pending => "pending",
            Self::Drifted => "drifted",
            Self::Expired => "expired",
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
    /// Why it is in that state, where something but the manifest says so.
    pub reason: Option<String>,
    /// Whether all of it is published, as of when the source counted it complete.
    pub is_complete: bool,
    /// Its objects.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Their rows, where all are Parquet.
    pub rows: Option<u64>,
    /// How many of the objects the source no longer has.
    pub objects_gone_at_source: u64,
    /// When it was published.
    pub published_at: Option<Timestamp>,
}

impl Day {
    fn without_data(date: Date, state: DayState, reason: Option<String>) -> Self {
        Self {
            date,
            state,
            reason,
            is_complete: false,
            objects: 0,
            bytes: 0,
            rows: None,
            objects_gone_at_source: 0,
            published_at: None,
        }
    }

    fn of_header(header: &Header, state: DayState, reason: Option<String>) -> Self {
        let gone = header.objects_gone_at_source;
        let kept = (gone > 0)
            .then(|| format!("{gone} of its {} objects are gone at the source and kept here", header.objects));
        let reason = reason.or(kept);
        Self {
            date: header.date,
            state,
            reason,
            is_complete: header.is_complete_day(),
            objects: header.objects,
            bytes: header.bytes,
            rows: header.rows,
            objects_gone_at_source: header.objects_gone_at_source,
            published_at: Some(header.published_at),
        }
    }
}

/// What a destination holds and what its last runs did.
#[derive(Clone, Debug, Default)]
pub struct Status {
    /// The account whose mirror it is; `None` where there is no mirror.
    pub account_id: Option<String>,
    /// Each type's days from the oldest known to the newest day asked for, without holes.
    pub types: BTreeMap<TypeName, Vec<Day>>,
    /// The published days that are too far ahead for a calendar.
    pub far_ahead: Vec<Partition>,
    /// The last runs, the newest first.
    pub runs: Vec<Run>,
    /// Number of run reports that could not be read.
    pub unreadable_reports: usize,
    /// The last verification.
    pub last_verification: Option<LastVerification>,
    /// Why it is not known what verifications found.
    pub unreadable_verification: Option<Error>,
}

/// Looks at the days in `days`, or at all from the oldest known one to `until`; to later ones only
/// where they are known, and not a year ahead.
///
/// # Errors
/// [`crate::error::ErrorKind::DestinationUnusable`] when the folders cannot be read; a single
/// manifest that cannot be read is a day's state, a report that cannot be read is counted, and what
/// verifications found is then not known.
pub async fn look(published: &dyn PublishedSets, days: Option<Days>, until: Date) -> Result<Status> {
    let (runs, unreadable_reports) = last_runs(published).await?;
    let said = runs::last_words(&runs);
    let (verification, unreadable_verification) = match published.verification().await {
        Ok(record) => (record, None),
        Err(error) => (VerificationRecord::default(), Some(error)),
    };
    let staged: HashSet<Partition> = published.staged().await?.into_iter().collect();
    let published_days = published.days().await?;
    let mut types = BTreeMap::new();
    for (type_name, range) in ranges(&published_days, &staged, &said, &verification, days, until) {
        let mut listed = Vec::new();
        for date in range.iter() {
            let partition = Partition { type_name: type_name.clone(), date };
            let found = published.published(&partition).await;
            let published_at =
                found.as_ref().ok().and_then(|found| found.header.as_ref()).map(|header| header.published_at);
            let known = DayFacts {
                is_staged: staged.contains(&partition),
                said: said.get(&(type_name.clone(), date)).copied(),
                damage: verification.damage_of(&partition, published_at).map(DamagedDay::reason),
            };
            listed.push(known.day(date, found));
        }
        types.insert(type_name, listed);
    }
    Ok(Status {
        account_id: published.account_id().map(str::to_owned),
        types,
        far_ahead: far_ahead(&published_days, until),
        runs,
        unreadable_reports,
        last_verification: verification.last,
        unreadable_verification,
    })
}

/// The last runs, the newest first, and how many reports are none.
///
/// # Errors
/// [`crate::error::ErrorKind::DestinationUnusable`] when the reports cannot be listed.
pub async fn last_runs(published: &dyn PublishedSets) -> Result<(Vec<Run>, usize)> {
    let (runs, unreadable) = runs::parse(&published.reports(RUNS_MAX).await?);
    if runs.len() + unreadable == RUNS_MAX && runs.last().is_some_and(|run| run.group.is_some()) {
        return Ok(runs::parse(&published.reports(RUNS_MAX_OF_GROUP).await?));
    }
    Ok((runs, unreadable))
}

/// The last day that a calendar can have.
fn end_of_calendars(until: Date) -> Date {
    until.saturating_add(DAYS_AHEAD_MAX.days())
}

fn far_ahead(published: &PublishedDays, until: Date) -> Vec<Partition> {
    let end = end_of_calendars(until);
    let partitions = published.iter().flat_map(|(type_name, dates)| {
        let far = dates.iter().filter(move |date| **date > end);
        far.map(move |date| Partition { type_name: type_name.clone(), date: *date })
    });
    partitions.collect()
}

/// The days to look at, type by type.
fn ranges(
    published: &PublishedDays,
    staged: &HashSet<Partition>,
    said: &runs::LastWords<'_>,
    verification: &VerificationRecord,
    days: Option<Days>,
    until: Date,
) -> BTreeMap<TypeName, Days> {
    let mut ends: BTreeMap<TypeName, Days> = BTreeMap::new();
    let end = end_of_calendars(until);
    let mut widen = |type_name: &TypeName, date: Date| {
        if date > end {
            return;
        }
        let known = ends.entry(type_name.clone()).or_insert(Days { from: date, to: until.max(date) });
        *known = Days { from: known.from.min(date), to: known.to.max(date) };
    };
    for (type_name, dates) in published {
        dates.iter().for_each(|date| widen(type_name, *date));
    }
    staged.iter().for_each(|partition| widen(&partition.type_name, partition.date));
    let damaged = verification.damaged().iter().filter_map(DamagedDay::partition);
    damaged.for_each(|partition| widen(&partition.type_name, partition.date));
    // A day that a run wanted and did not get is a gap; one that the source never had is none.
    let wanted = said.iter().filter(|((_, date), (_, day))| day.is_wanted() && *date <= until);
    wanted.for_each(|((type_name, date), _)| widen(type_name, *date));
    for range in ends.values_mut() {
        *range = days.unwrap_or(*range);
        range.from = range.from.max(range.to.saturating_sub(CALENDAR_DAYS_MAX.days()));
    }
    ends
}

/// What is known of a day besides its manifest.
struct DayFacts<'a> {
    is_staged: bool,
    /// What the last run that looked said of it, and when that run began.
    said: Option<(Timestamp, &'a RunDay)>,
    /// What a verification found of what is published now.
    damage: Option<String>,
}

impl DayFacts<'_> {
    fn day(&self, date: Date, found: Result<Published>) -> Day {
        let Published { header, is_unsettled, .. } = match found {
            Ok(published) => published,
            Err(error) => return Day::without_data(date, DayState::Damaged, Some(error.to_string())),
        };
        match header {
            Some(header) if is_unsettled => Day::of_header(&header, DayState::Staged, None),
            Some(header) if self.damage.is_some() => {
                let day = Day::of_header(&header, DayState::Damaged, self.damage.clone());
                Day { is_complete: false, ..day }
            }
            Some(header) => self.published_day(&header),
            None if is_unsettled || self.is_staged => {
                Day::without_data(date, DayState::Staged, self.said.and_then(|(_, day)| day.why()))
            }
            None if self.damage.is_some() => Day::without_data(date, DayState::Damaged, self.damage.clone()),
            None => self.absent_day(date),
        }
    }

    fn published_day(&self, header: &Header) -> Day {
        let by_manifest = match (&header.selection, header.completeness.is_complete()) {
            (Scope::AnyOf(_), _) => DayState::Partial,
            (Scope::All, true) => DayState::Published,
            (Scope::All, false) => DayState::Pending,
        };
        // Whatever a run said before the day was published is about another set.
        let said = self.said.filter(|(began_at, day)| !day.published && header.published_at < *began_at);
        let Some((_, said)) = said else { return Day::of_header(header, by_manifest, None) };
        let state = match said.action.as_str() {
            "expired" => DayState::Expired,
            "hold" | "replace" => DayState::Drifted,
            "wait" if by_manifest != DayState::Pending => DayState::Drifted,
            _ => by_manifest,
        };
        let is_told = state != by_manifest || said.error.is_some() || said.action == "wait";
        Day::of_header(header, state, said.why().filter(|_| is_told))
    }

    fn absent_day(&self, date: Date) -> Day {
        let Some((_, said)) = self.said else { return Day::without_data(date, DayState::Missing, None) };
        let state = if said.action == "wait" { DayState::Pending } else { DayState::Missing };
        // That a run once kept or published it explains nothing: it is not there now.
        let is_told = matches!(said.action.as_str(), "wait" | "missing" | "empty") || said.error.is_some();
        Day::without_data(date, state, said.why().filter(|_| is_told))
    }
}
