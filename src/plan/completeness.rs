//! When a day counts as complete: by the source's marker, by time, or not at all.

use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::{PlanOptions, Ready};
use crate::manifest::Completeness;

/// Whether the day counts as complete.
///
/// `type_has_markers` says whether the type's days have `_SUCCESS` at this source at all.
pub(super) fn completeness(
    date: Date,
    has_marker: bool,
    type_has_markers: bool,
    options: &PlanOptions,
) -> Completeness {
    if has_marker {
        return Completeness::Declared;
    }
    let may_count_by_time = options.ready != Ready::Success || !type_has_markers;
    if may_count_by_time && is_grace_over(date, options) { Completeness::Grace } else { Completeness::Undeclared }
}

/// Whether the grace period after the day's end (UTC) is over.
pub(super) fn is_grace_over(date: Date, options: &PlanOptions) -> bool {
    let ends = date.tomorrow().ok().and_then(|next| next.to_zoned(TimeZone::UTC).ok());
    ends.is_some_and(|ends| options.now.duration_since(ends.timestamp()) >= options.grace)
}

#[cfg(test)]
mod tests {
    use super::super::decide::tests::{day, options};
    use super::*;

    #[test]
    fn a_day_without_marker_counts_by_time_only_where_the_type_never_has_one() {
        let options = options(Ready::Success);
        let recent: Date = "2026-11-20".parse().unwrap();
        assert_eq!(completeness(day(), false, false, &options), Completeness::Grace);
        assert_eq!(completeness(day(), false, true, &options), Completeness::Undeclared);
        assert_eq!(completeness(recent, false, false, &options), Completeness::Undeclared);
        assert_eq!(completeness(recent, true, true, &options), Completeness::Declared);
    }
}
