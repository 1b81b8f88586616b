//! Deciding what happens to a partition: pure functions from what is listed and what is published
//! to a value. A dry run prints the value, a run carries it out.

pub(crate) mod listing_check;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::export::Scope;
use crate::manifest::{Completeness, Header, ListingSummary};

/// When a day counts as complete (`--ready`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ready {
    /// With the source's `_SUCCESS`; where a type never has one, after the grace period.
    Success,
    /// With `_SUCCESS`, or after the grace period.
    Grace,
    /// As it is.
    Any,
}

/// The choices that decisions depend on.
#[derive(Clone, Debug)]
pub struct PlanOptions {
    /// When a day counts as complete.
    pub ready: Ready,
    /// How long after a day's end it counts as complete without `_SUCCESS`. The vendor completes a
    /// day by 13:00 UTC of the next (domain.md section 2).
    pub grace: SignedDuration,
    /// Published days from this one on are listed again; earlier ones are left alone.
    pub lookback_from: Date,
    /// Whether a rewritten day may be less than half of the published one.
    pub accept_shrink: bool,
    /// The present time.
    pub now: Timestamp,
}

/// What happens to a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// It is published for the first time.
    Create,
    /// The source rewrote it: the new set replaces the old one.
    Replace,
    /// More of it is wanted than is published.
    Extend,
    /// Its objects are the same, and the source now declares it complete.
    Complete,
    /// It is up to date.
    Keep,
    /// The source has not declared it complete.
    Wait,
    /// It was rewritten much smaller and is held back.
    Hold,
    /// It is gone at the source and kept here.
    Expired,
    /// There is nothing at the source, nor here.
    Missing,
}

impl Action {
    /// The action's name in output.
    pub fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Replace => "replace",
            Self::Extend => "extend",
            Self::Complete => "complete",
            Self::Keep => "keep",
            Self::Wait => "wait",
            Self::Hold => "hold",
            Self::Expired => "expired",
            Self::Missing => "missing",
        }
    }

    /// Whether the destination changes.
    pub fn is_change(self) -> bool {
        match self {
            Self::Create | Self::Replace | Self::Extend | Self::Complete => true,
            Self::Keep | Self::Wait | Self::Hold | Self::Expired | Self::Missing => false,
        }
    }
}

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

impl Decision {
    fn new(action: Action, reason: &'static str, completeness: Completeness) -> Self {
        Self { action, reason, completeness }
    }
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
    is_left_alone.then(|| Decision::new(Action::Keep, "published before the lookback", header.completeness))
}

/// A cloud as the choice between clouds sees it.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// Where the export lies there, as manifests name it.
    pub source: String,
    /// Whether it has the day.
    pub has_day: bool,
    /// Whether the day counts as complete there; only known where the choice depends on it.
    pub is_complete: bool,
}

/// Which cloud a partition is taken from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    /// The candidate with this number, and why that one.
    Take(usize, &'static str),
    /// None has the day.
    Nowhere,
    /// What is published stays as it is.
    Leave(Decision),
}

/// Chooses the cloud of a partition, the preferred candidate being the first.
///
/// A published partition is compared with the cloud that it came from for as long as that one has
/// it: the same day has other file names in another cloud, and a mixture would count every event
/// twice. Once that cloud has it no more, a complete day stays, and an incomplete one is taken whole
/// from another cloud. An unpublished day is taken where it is complete, else where it is.
pub fn choose_cloud(published: Option<&Header>, asked: &Scope, candidates: &[Candidate]) -> Choice {
    let having = || candidates.iter().enumerate().filter(|(_, candidate)| candidate.has_day);
    if let Some(header) = published {
        if let Some((index, _)) = having().find(|(_, candidate)| candidate.source == header.source) {
            return Choice::Take(index, "where the published day came from");
        }
        let is_settled = header.completeness.is_complete() && header.selection.covers(asked);
        let is_elsewhere =
            having().next().is_some() || candidates.iter().all(|candidate| candidate.source != header.source);
        if is_settled && is_elsewhere {
            let reason = "published from a cloud that does not have it now, kept";
            return Choice::Leave(Decision::new(Action::Keep, reason, header.completeness));
        }
    }
    let first_where = |is_wanted: fn(&Candidate) -> bool| {
        having().find(|(_, candidate)| is_wanted(candidate)).map(|(index, _)| index)
    };
    match (having().count(), first_where(|candidate| candidate.is_complete), first_where(|_| true)) {
        (1, _, Some(only)) => Choice::Take(only, "the only cloud that has it"),
        (_, Some(complete), _) => Choice::Take(complete, "the first cloud that has it complete"),
        (_, None, Some(preferred)) => Choice::Take(preferred, "the preferred cloud, complete in none"),
        (_, None, None) => Choice::Nowhere,
    }
}

/// Whether the day counts as complete: by the marker, by time, or not at all.
///
/// `type_has_markers` says whether the type's days have `_SUCCESS` at this source at all.
pub fn completeness(date: Date, has_marker: bool, type_has_markers: bool, options: &PlanOptions) -> Completeness {
    if has_marker {
        return Completeness::Declared;
    }
    let may_count_by_time = options.ready != Ready::Success || !type_has_markers;
    if may_count_by_time && is_grace_over(date, options) { Completeness::Grace } else { Completeness::Undeclared }
}

/// Whether the grace period after the day's end (UTC) is over.
pub fn is_grace_over(date: Date, options: &PlanOptions) -> bool {
    let ends = date.tomorrow().ok().and_then(|next| next.to_zoned(TimeZone::UTC).ok());
    ends.is_some_and(|ends| options.now.duration_since(ends.timestamp()) >= options.grace)
}

/// What happens to a listed partition. `scope` is the [`target_scope`] that the listing was taken for.
pub fn decide(
    published: Option<&Header>,
    listing: &ListingSummary,
    scope: &Scope,
    completeness: Completeness,
    date: Date,
    options: &PlanOptions,
) -> Decision {
    let decision = |action, reason| Decision::new(action, reason, completeness);
    if listing.objects == 0 && !(listing.has_success_marker && *scope == Scope::All) {
        return match published {
            Some(_) => decision(Action::Expired, "gone at the source, kept here"),
            None if listing.has_success_marker => {
                decision(Action::Missing, "complete, without anything of what is selected")
            }
            None if is_grace_over(date, options) => decision(Action::Missing, "nothing at the source"),
            None => decision(Action::Wait, "nothing at the source yet"),
        };
    }
    let is_ready = completeness.is_complete() || options.ready == Ready::Any;
    let Some(header) = published else {
        return if is_ready {
            decision(Action::Create, "not here yet")
        } else {
            decision(Action::Wait, "not complete at the source yet (no _SUCCESS)")
        };
    };
    let is_same_scope = header.selection == *scope;
    if is_same_scope && header.listing_digest == listing.digest {
        return if completeness.is_complete() && !header.completeness.is_complete() {
            decision(Action::Complete, "now complete at the source")
        } else {
            Decision::new(Action::Keep, "unchanged", header.completeness)
        };
    }
    if !is_ready {
        return decision(Action::Wait, "changed and not complete at the source yet (no _SUCCESS)");
    }
    if !is_same_scope {
        return decision(Action::Extend, "more of it is wanted than is here");
    }
    if listing.bytes < header.bytes.div_ceil(2) && !options.accept_shrink {
        return decision(Action::Hold, "rewritten with less than half of its bytes (accept with --accept-shrink)");
    }
    decision(Action::Replace, "rewritten at the source")
}

/// The decision about a partition whose published set is not whole, for `reason`: what would be kept
/// is to be made whole first.
pub fn renew(decision: Decision, reason: &'static str) -> Decision {
    if decision.action != Action::Keep {
        return decision;
    }
    Decision { action: Action::Complete, reason, ..decision }
}

/// A replacement that turns out to bring nothing new: the source only lost objects of the published
/// day. That is how retention ends a day, object by object, and not how a rerun rewrites one; it is
/// held back like a day that shrank.
pub fn hold_decay(
    decision: Decision,
    published: Option<&Header>,
    listed_objects: u64,
    unchanged_objects: u64,
    options: &PlanOptions,
) -> Decision {
    let is_smaller = published.is_some_and(|header| listed_objects < header.objects);
    let is_decay = decision.action == Action::Replace && is_smaller && unchanged_objects == listed_objects;
    if !is_decay || options.accept_shrink {
        return decision;
    }
    let reason = "objects of it are gone at the source and none is new (accept with --accept-shrink)";
    Decision { action: Action::Hold, reason, ..decision }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::{Filter, NamePattern};
    use crate::manifest::{FORMAT_NAME, FORMAT_VERSION, ListingDigest};

    fn day() -> Date {
        "2026-11-18".parse().unwrap()
    }

    fn options(ready: Ready) -> PlanOptions {
        PlanOptions {
            ready,
            grace: SignedDuration::from_hours(48),
            lookback_from: "2026-11-14".parse().unwrap(),
            accept_shrink: false,
            now: "2026-11-21T12:00:00Z".parse().unwrap(),
        }
    }

    fn listing(digest: u8, bytes: u64, has_success_marker: bool) -> ListingSummary {
        let objects = u64::from(bytes > 0);
        ListingSummary { digest: ListingDigest([digest; 32]), objects, bytes, has_success_marker }
    }

    fn header(digest: u8, bytes: u64, completeness: Completeness, selection: Scope) -> Header {
        Header {
            format: FORMAT_NAME.into(),
            version: FORMAT_VERSION.into(),
            account_id: "1".into(),
            source: String::new(),
            type_name: "events".into(),
            date: day(),
            selection,
            listing_digest: ListingDigest([digest; 32]),
            objects: 1,
            bytes,
            rows: None,
            completeness,
            tool_version: String::new(),
            published_at: Timestamp::UNIX_EPOCH,
            unknown_fields: serde_json::Map::new(),
        }
    }

    fn part() -> Scope {
        Scope::of_filter(Filter { events: vec![NamePattern::parse("cart").unwrap()], ..Filter::default() })
    }

    fn action(published: Option<&Header>, listing: &ListingSummary, completeness: Completeness) -> Action {
        decide(published, listing, &Scope::All, completeness, day(), &options(Ready::Success)).action
    }

    fn candidate(source: &str, has_day: bool, is_complete: bool) -> Candidate {
        Candidate { source: source.into(), has_day, is_complete }
    }

    #[test]
    fn a_new_day_comes_from_the_cloud_that_has_it_complete_and_else_from_the_preferred_one() {
        let choose = |gcs: (bool, bool), s3: (bool, bool)| {
            choose_cloud(None, &Scope::All, &[candidate("gs", gcs.0, gcs.1), candidate("s3", s3.0, s3.1)])
        };
        assert!(matches!(choose((true, true), (true, true)), Choice::Take(0, _)));
        assert!(matches!(choose((true, false), (true, true)), Choice::Take(1, _)));
        assert!(matches!(choose((true, false), (true, false)), Choice::Take(0, _)));
        assert!(matches!(choose((false, false), (true, false)), Choice::Take(1, _)));
        assert_eq!(choose((false, false), (false, false)), Choice::Nowhere);
    }

    #[test]
    fn a_published_day_stays_with_its_cloud_while_that_has_it() {
        let mut published = header(1, 100, Completeness::Declared, Scope::All);
        published.source = "s3".into();
        let choose = |published: &Header, s3_has_day| {
            choose_cloud(
                Some(published),
                &Scope::All,
                &[candidate("gs", true, true), candidate("s3", s3_has_day, false)],
            )
        };
        assert!(matches!(choose(&published, true), Choice::Take(1, _)));
        assert!(matches!(choose(&published, false), Choice::Leave(_)), "complete: kept, never replaced by other names");
        let s3_only = [candidate("s3", false, false)];
        assert_eq!(
            choose_cloud(Some(&published), &Scope::All, &s3_only),
            Choice::Nowhere,
            "retention: told as expired"
        );
        published.completeness = Completeness::Undeclared;
        assert!(matches!(choose(&published, false), Choice::Take(0, _)), "incomplete: taken whole from the other");
    }

    #[test]
    fn a_new_day_waits_for_its_marker() {
        use Completeness::{Declared, Undeclared};
        assert_eq!(action(None, &listing(1, 9, true), Declared), Action::Create);
        assert_eq!(action(None, &listing(1, 9, false), Undeclared), Action::Wait);
        let any = decide(None, &listing(1, 9, false), &Scope::All, Undeclared, day(), &options(Ready::Any));
        assert_eq!(any.action, Action::Create);
    }

    #[test]
    fn a_rewritten_day_replaces_and_a_shrunken_one_is_held() {
        use Completeness::Declared;
        let published = header(1, 100, Declared, Scope::All);
        assert_eq!(action(Some(&published), &listing(1, 100, true), Declared), Action::Keep);
        assert_eq!(action(Some(&published), &listing(2, 50, true), Declared), Action::Replace);
        assert_eq!(action(Some(&published), &listing(2, 49, true), Declared), Action::Hold);
        let accepting = PlanOptions { accept_shrink: true, ..options(Ready::Success) };
        let decision = decide(Some(&published), &listing(2, 49, true), &Scope::All, Declared, day(), &accepting);
        assert_eq!(decision.action, Action::Replace);
    }

    #[test]
    fn an_empty_listing_never_empties_anything() {
        let published = header(1, 100, Completeness::Declared, Scope::All);
        for accept_shrink in [false, true] {
            let options = PlanOptions { accept_shrink, ..options(Ready::Any) };
            let empty = listing(0, 0, false);
            let decision = decide(Some(&published), &empty, &Scope::All, Completeness::Grace, day(), &options);
            assert_eq!(decision.action, Action::Expired);
        }
        assert_eq!(action(Some(&published), &listing(0, 0, true), Completeness::Declared), Action::Hold);
        assert_eq!(action(None, &listing(0, 0, true), Completeness::Declared), Action::Create, "a day without events");
        assert_eq!(action(None, &listing(0, 0, false), Completeness::Undeclared), Action::Missing);
    }

    #[test]
    fn a_late_marker_completes_a_published_day() {
        let published = header(1, 100, Completeness::Undeclared, Scope::All);
        assert_eq!(action(Some(&published), &listing(1, 100, true), Completeness::Declared), Action::Complete);
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
        let empty = listing(0, 0, true);
        let today: Date = "2026-11-21".parse().unwrap();
        let decided =
            |listing: &ListingSummary| decide(None, listing, &part(), Completeness::Declared, today, &options).action;
        assert_eq!(decided(&empty), Action::Missing);
        assert_eq!(decided(&listing(0, 0, false)), Action::Wait);
    }

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
