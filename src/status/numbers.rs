//! Adds up what a destination holds.

use std::collections::BTreeMap;

use jiff::civil::Date;

use super::{Day, DayState};
use crate::export::Days;

/// Days in numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// How many days are in which state.
    pub days: BTreeMap<DayState, u64>,
    /// Their objects.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Their rows; `None` when those of a day with objects are unknown.
    pub rows: Option<u64>,
    /// How many of the objects the source no longer has.
    pub objects_gone_at_source: u64,
}

impl Totals {
    /// Adds days up. Manifests are other people's bytes, so the sums end at the largest number.
    pub fn of<'a>(days: impl IntoIterator<Item = &'a Day>) -> Self {
        let mut totals = Self { rows: Some(0), ..Self::default() };
        for day in days {
            *totals.days.entry(day.state).or_default() += 1;
            totals.objects = totals.objects.saturating_add(day.objects);
            totals.bytes = totals.bytes.saturating_add(day.bytes);
            totals.objects_gone_at_source = totals.objects_gone_at_source.saturating_add(day.objects_gone_at_source);
            if day.objects > 0 {
                totals.rows = totals.rows.zip(day.rows).map(|(sum, rows)| sum.saturating_add(rows));
            }
        }
        totals
    }

    /// How many days are in this state.
    pub fn count(&self, state: DayState) -> u64 {
        self.days.get(&state).copied().unwrap_or(0)
    }
}

/// The ranges of days in a state, the oldest first.
pub fn ranges_in(state: DayState, days: &[Day]) -> Vec<Days> {
    let runs = days.chunk_by(|one, next| (one.state == state) == (next.state == state));
    let ends = runs.filter_map(|run| Some((run.first()?, run.last()?)));
    ends.filter(|(first, _)| first.state == state)
        .map(|(first, last)| Days { from: first.date, to: last.date })
        .collect()
}

/// The ranges of missing days, the oldest first.
pub fn gaps(days: &[Day]) -> Vec<Days> {
    ranges_in(DayState::Missing, days)
}

/// The newest day that is published whole.
pub fn newest_complete(days: &[Day]) -> Option<Date> {
    days.iter().rev().find(|day| day.is_complete).map(|day| day.date)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn days(states: &[DayState]) -> Vec<Day> {
        let first: Date = "2026-02-27".parse().unwrap();
        let dates = first.series(jiff::Span::new().days(1));
        dates.zip(states).map(|(date, state)| Day::without_data(date, *state, None)).collect()
    }

    #[test]
    fn gaps_are_ranges() {
        use DayState::{Missing, Pending, Published};
        let found = gaps(&days(&[Missing, Published, Missing, Missing, Pending, Missing]));
        let found: Vec<String> = found.iter().map(|days| format!("{}/{}", days.from, days.to)).collect();
        assert_eq!(found, ["2026-02-27/2026-02-27", "2026-03-01/2026-03-02", "2026-03-04/2026-03-04"]);
        assert!(gaps(&days(&[Published])).is_empty());
        assert!(gaps(&[]).is_empty());
    }

    #[test]
    fn numbers_that_no_manifest_should_have_do_not_overflow() {
        let mut listed = days(&[DayState::Published, DayState::Published]);
        for day in &mut listed {
            (day.objects, day.bytes, day.rows) = (u64::MAX, u64::MAX, Some(u64::MAX));
        }
        let totals = Totals::of(&listed);
        assert_eq!((totals.bytes, totals.rows, totals.count(DayState::Published)), (u64::MAX, Some(u64::MAX), 2));
        listed[0].rows = None;
        assert_eq!(Totals::of(&listed).rows, None);
    }
}
