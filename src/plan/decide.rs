//! The decision about one partition: a pure function from what is published, what is listed and how the
//! two merge.

use jiff::civil::Date;

use super::completeness::is_grace_over;
use super::{Action, MergeTally, PlanOptions, Ready};
use crate::export::Scope;
use crate::manifest::{Completeness, Header, ListingSummary};

/// An action and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// What happens.
    pub action: Action,
    /// Why, as a lower-case fragment.
    pub reason: &'static str,
    /// Whether the day counts as complete, for the manifest.
    pub completeness: Completeness,
}

/// All that a decision rests on.
#[derive(Clone, Debug)]
pub struct Facts<'a> {
    /// The partition's day.
    pub date: Date,
    /// The header of what is published.
    pub published: Option<&'a Header>,
    /// Why the published set is to be made whole at the destination, where it is not known to be.
    pub repair: Option<&'static str>,
    /// What the source lists.
    pub listing: &'a ListingSummary,
    /// Whether the source names the day's folder.
    pub is_named: bool,
    /// The [`target_scope`] that the listing was taken for.
    pub scope: &'a Scope,
    /// Whether the day counts as complete by the listing.
    pub completeness: Completeness,
    /// How the published set and the listing merge. Needed unless nothing is published, nothing is
    /// listed, or the listing is the one that the set was last brought up to date with.
    pub merge: MergeTally,
    /// Whether the listing is of another cloud than the one that the published set came from.
    pub is_other_cloud: bool,
    /// Whether days may be in a cloud that takes no part, where nobody sees them now.
    pub is_partial_view: bool,
}

/// How much of a partition is taken: what is asked for, and what is published already.
pub fn target_scope(published: Option<&Header>, asked: &Scope) -> Scope {
    published.map_or_else(|| asked.clone(), |header| header.selection.union(asked))
}

/// What is decided without a listing, if anything: settled days before the lookback.
pub fn decide_unlisted(
    published: Option<&Header>,
    asked: &Scope,
    date: Date,
    options: &PlanOptions,
) -> Option<Decision> {
    let header = published.filter(|header| header.selection.covers(asked))?;
    let is_settled = header.completeness.is_complete() || options.ready == Ready::Any;
    let is_left_alone = is_settled && date < options.lookback_from;
    let reason = "published before the lookback";
    is_left_alone.then_some(Decision { action: Action::Keep, reason, completeness: header.completeness })
}

/// Whether a listing is the one that the set was last brought up to date with, so that nothing has to be
/// compared.
pub(super) fn is_as_published(header: &Header, listing: &ListingSummary, scope: &Scope) -> bool {
    header.selection == *scope && header.listing_digest == listing.digest
}

/// Whether a listing has nothing that could be published: no object, and not the marker of a whole day
/// without events.
pub(super) fn is_empty(listing: &ListingSummary, scope: &Scope) -> bool {
    listing.objects == 0 && !(listing.has_success_marker && *scope == Scope::All)
}

/// What happens to a listed partition.
pub fn decide(facts: &Facts<'_>, options: &PlanOptions) -> Decision {
    let decision = |action, reason| Decision { action, reason, completeness: facts.completeness };
    match facts.published {
        None if is_empty(facts.listing, facts.scope) => decide_absent(facts, options),
        None if is_ready(facts, options) => decision(Action::Create, "not here yet"),
        None => decision(Action::Wait, "not complete at the source yet (no _SUCCESS)"),
        Some(header) => decide_published(header, facts, options),
    }
}

fn is_ready(facts: &Facts<'_>, options: &PlanOptions) -> bool {
    facts.completeness.is_complete() || options.ready == Ready::Any
}

/// Neither published nor listed.
fn decide_absent(facts: &Facts<'_>, options: &PlanOptions) -> Decision {
    let decision = |action, reason| Decision { action, reason, completeness: facts.completeness };
    if facts.listing.has_success_marker {
        return decision(Action::Empty, "complete, without anything of what is selected");
    }
    let is_over = is_grace_over(facts.date, options);
    match (facts.is_named, is_over, facts.scope) {
        (true, true, Scope::All) => decision(Action::Missing, "the source names the day and lists no object of it"),
        (true, false, Scope::All) => decision(Action::Wait, "the source names the day and lists no object of it yet"),
        (_, true, _) if facts.is_partial_view => decision(Action::Missing, "nothing in the clouds that take part"),
        (_, true, _) => decision(Action::Missing, "nothing at the source"),
        (_, false, _) => decision(Action::Wait, "nothing at the source yet"),
    }
}

fn decide_published(header: &Header, facts: &Facts<'_>, options: &PlanOptions) -> Decision {
    let published = |action, reason| Decision { action, reason, completeness: header.completeness };
    if facts.listing.objects == 0 && header.objects > 0 {
        // An empty listing never empties anything, not even with a marker (design.md promise 10).
        return published(Action::Expired, "gone at the source, kept here");
    }
    if facts.is_other_cloud && facts.merge.kept.objects > 0 {
        // Both together would mix two clouds, and either alone would lose what the other has.
        return published(
            Action::Keep,
            "published from a cloud that does not have it now; the other one has only the rest",
        );
    }
    let changes = decide_change(header, facts, options);
    match (changes, facts.repair) {
        (Some(decision), _) => decision,
        (None, Some(reason)) => published(Action::Repair, reason),
        (None, None) if facts.merge.kept.objects > 0 => {
            published(Action::Keep, "gone at the source in part, kept here")
        }
        (None, None) => published(Action::Keep, "unchanged"),
    }
}

/// What changes about a published set; `None` for nothing.
fn decide_change(header: &Header, facts: &Facts<'_>, options: &PlanOptions) -> Option<Decision> {
    let decision = |action, reason, completeness| Some(Decision { action, reason, completeness });
    let merge = &facts.merge;
    let is_wider = header.selection != *facts.scope;
    if !is_wider && !merge.changes_the_set() {
        let is_completed = facts.completeness.is_complete() && !header.completeness.is_complete();
        return is_completed.then_some(Decision {
            action: Action::Complete,
            reason: "now complete at the source",
            completeness: facts.completeness,
        });
    }
    // A day that was complete is not changed by the beginnings of its rewriting.
    let is_being_rewritten = header.completeness.is_complete() && !facts.completeness.is_complete();
    if !is_ready(facts, options) || is_being_rewritten {
        let reason = "changed and not complete at the source yet (no _SUCCESS)";
        return decision(Action::Wait, reason, header.completeness);
    }
    if merge.is_shrunk() && !options.accept_shrink {
        let reason = "rewritten with less than half of its data (accept with --accept-shrink)";
        return decision(Action::Hold, reason, header.completeness);
    }
    let (action, reason) = match (is_wider, merge.dropped.objects) {
        (true, _) => (Action::Extend, "more of it is wanted than is here"),
        (false, 0) => (Action::Replace, "objects were added at the source"),
        (false, _) => (Action::Replace, "rewritten at the source"),
    };
    decision(action, reason, facts.completeness)
}

#[cfg(test)]
pub(super) mod tests {
    use jiff::Timestamp;

    use super::super::Amount;
    use super::*;
    use crate::export::{Filter, NamePattern};
    use crate::manifest::{FORMAT_NAME, FORMAT_VERSION, ListingDigest};

    pub fn day() -> Date {
        "2026-11-18".parse().unwrap()
    }

    pub fn options(ready: Ready) -> PlanOptions {
        PlanOptions {
            ready,
            grace: crate::plan::GRACE_DEFAULT,
            lookback_from: "2026-11-14".parse().unwrap(),
            accept_shrink: false,
            now: "2026-11-21T12:00:00Z".parse().unwrap(),
        }
    }

    fn listing(digest: u8, bytes: u64, has_success_marker: bool) -> ListingSummary {
        let objects = u64::from(bytes > 0);
        ListingSummary { digest: ListingDigest([digest; 32]), objects, bytes, has_success_marker }
    }

    pub fn header(digest: u8, bytes: u64, completeness: Completeness, selection: Scope) -> Header {
        Header {
            format: FORMAT_NAME.into(),
            version: FORMAT_VERSION.into(),
            account_id: "1".into(),
            source: String::new(),
            type_name: "events".into(),
            date: day(),
            selection,
            listing_digest: ListingDigest([digest; 32]),
            objects: u64::from(bytes > 0),
            bytes,
            rows: None,
            objects_gone_at_source: 0,
            completeness,
            tool_version: String::new(),
            published_at: Timestamp::UNIX_EPOCH,
            unknown_fields: serde_json::Map::new(),
        }
    }

    fn part() -> Scope {
        Scope::of_filter(Filter { events: vec![NamePattern::parse("cart").unwrap()], ..Filter::default() })
    }

    fn facts<'a>(published: Option<&'a Header>, listing: &'a ListingSummary, completeness: Completeness) -> Facts<'a> {
        let merge = MergeTally::default();
        let scope = &Scope::All;
        let is_other_cloud = false;
        Facts {
            date: day(),
            published,
            repair: None,
            listing,
            is_named: true,
            scope,
            completeness,
            merge,
            is_other_cloud,
            is_partial_view: false,
        }
    }

    fn rewritten(before_bytes: u64, bytes: u64) -> MergeTally {
        let amount = |bytes| Amount { objects: 1, bytes, rows: None };
        MergeTally {
            dropped: amount(before_bytes),
            replacing: amount(bytes),
            added: amount(bytes),
            ..MergeTally::default()
        }
    }

    #[test]
    fn a_new_day_waits_for_its_marker() {
        use Completeness::{Declared, Undeclared};
        let (marked, unmarked) = (listing(1, 9, true), listing(1, 9, false));
        assert_eq!(decide(&facts(None, &marked, Declared), &options(Ready::Success)).action, Action::Create);
        let unmarked = facts(None, &unmarked, Undeclared);
        assert_eq!(decide(&unmarked, &options(Ready::Success)).action, Action::Wait);
        assert_eq!(decide(&unmarked, &options(Ready::Any)).action, Action::Create);
    }

    #[test]
    fn a_rewritten_day_replaces_and_a_shrunken_one_is_held() {
        use Completeness::Declared;
        let published = header(1, 100, Declared, Scope::All);
        let decided = |digest, merge, options: &PlanOptions| {
            let listing = listing(digest, 50, true);
            decide(&Facts { merge, ..facts(Some(&published), &listing, Declared) }, options).action
        };
        let strict = options(Ready::Success);
        assert_eq!(decided(1, MergeTally::default(), &strict), Action::Keep);
        assert_eq!(decided(2, rewritten(100, 50), &strict), Action::Replace);
        assert_eq!(decided(2, rewritten(100, 49), &strict), Action::Hold);
        let accepting = PlanOptions { accept_shrink: true, ..strict };
        assert_eq!(decided(2, rewritten(100, 49), &accepting), Action::Replace);
    }

    #[test]
    fn an_empty_listing_never_empties_anything() {
        let published = header(1, 100, Completeness::Declared, Scope::All);
        for (accept_shrink, has_marker) in [(false, false), (true, false), (false, true), (true, true)] {
            let options = PlanOptions { accept_shrink, ..options(Ready::Any) };
            let empty = listing(0, 0, has_marker);
            let facts = Facts { merge: rewritten(100, 0), ..facts(Some(&published), &empty, Completeness::Grace) };
            assert_eq!(decide(&facts, &options).action, Action::Expired);
        }
    }

    #[test]
    fn what_is_nowhere_is_told_apart() {
        let decided = |listing: &ListingSummary, is_named, date: &str| {
            let date = date.parse().unwrap();
            let facts = Facts { is_named, date, ..facts(None, listing, Completeness::Undeclared) };
            decide(&facts, &options(Ready::Success))
        };
        let nothing = listing(0, 0, false);
        assert_eq!(decided(&nothing, false, "2026-11-18").action, Action::Missing);
        assert_eq!(decided(&nothing, false, "2026-11-20").action, Action::Wait, "it may still come");
        let named = decided(&nothing, true, "2026-11-18");
        assert_eq!(named.action, Action::Missing);
        assert!(named.reason.contains("names the day"), "{}", named.reason);
        let events_of_none = facts(None, &listing(0, 0, true), Completeness::Declared).listing.to_owned();
        let facts = facts(None, &events_of_none, Completeness::Declared);
        assert_eq!(decide(&facts, &options(Ready::Success)).action, Action::Create, "a day without events");
    }

    #[test]
    fn a_complete_day_is_not_changed_by_the_beginnings_of_its_rewriting() {
        let published = header(1, 100, Completeness::Declared, Scope::All);
        let listing = listing(2, 100, false);
        for merge in [rewritten(100, 100), MergeTally { dropped: Amount::default(), ..rewritten(0, 50) }] {
            let facts = Facts { merge, ..facts(Some(&published), &listing, Completeness::Undeclared) };
            for ready in [Ready::Success, Ready::Grace, Ready::Any] {
                assert_eq!(decide(&facts, &options(ready)).action, Action::Wait, "{ready:?}");
            }
        }
    }

    #[test]
    fn a_day_that_only_lost_objects_stays_as_it_is_and_complete() {
        let published = header(1, 100, Completeness::Declared, Scope::All);
        let listing = listing(2, 50, false);
        let kept = Amount { objects: 1, bytes: 50, rows: None };
        let merge = MergeTally { kept, marks: 1, ..MergeTally::default() };
        let facts = Facts { merge, ..facts(Some(&published), &listing, Completeness::Undeclared) };
        let decision = decide(&facts, &options(Ready::Success));
        assert_eq!((decision.action, decision.completeness), (Action::Keep, Completeness::Declared));
        let damaged = Facts { repair: Some("differs"), ..facts };
        assert_eq!(decide(&damaged, &options(Ready::Success)).action, Action::Repair);
    }

    #[test]
    fn a_late_marker_completes_a_published_day() {
        let published = header(1, 100, Completeness::Undeclared, Scope::All);
        let listing = listing(1, 100, true);
        let facts = facts(Some(&published), &listing, Completeness::Declared);
        assert_eq!(decide(&facts, &options(Ready::Success)).action, Action::Complete);
    }

    #[test]
    fn settled_days_before_the_lookback_are_not_listed() {
        let options = options(Ready::Success);
        let before: Date = "2026-11-13".parse().unwrap();
        let declared = header(1, 100, Completeness::Declared, Scope::All);
        let undeclared = header(1, 100, Completeness::Undeclared, Scope::All);
        let partial = header(1, 100, Completeness::Declared, part());
        assert!(decide_unlisted(Some(&declared), &Scope::All, before, &options).is_some());
        assert!(decide_unlisted(Some(&declared), &Scope::All, options.lookback_from, &options).is_none());
        assert!(decide_unlisted(Some(&undeclared), &Scope::All, before, &options).is_none());
        assert!(decide_unlisted(Some(&partial), &Scope::All, before, &options).is_none());
        assert!(decide_unlisted(Some(&declared), &part(), before, &options).is_some(), "a part of a whole day");
        assert!(decide_unlisted(Some(&declared), &part(), day(), &options).is_none(), "it may have been rewritten");
    }

    #[test]
    fn a_complete_day_without_anything_selected_is_not_waited_for() {
        let options = options(Ready::Success);
        let today: Date = "2026-11-21".parse().unwrap();
        let decided = |listing: &ListingSummary| {
            let facts = facts(None, listing, Completeness::Declared);
            decide(&Facts { scope: &part(), date: today, ..facts }, &options).action
        };
        assert_eq!(decided(&listing(0, 0, true)), Action::Empty);
        assert_eq!(decided(&listing(0, 0, false)), Action::Wait);
    }
}
