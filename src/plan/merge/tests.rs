//! The rule of promise 3, by examples and against a plain formulation over small maps.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::export::{Checksums, Filter, NamePattern};
use crate::manifest::{VerifiedContent, outer_join};

/// Keys with their versions.
type Set = BTreeMap<String, u64>;

fn set(objects: &[(&str, u64)]) -> Set {
    objects.iter().map(|(key, version)| ((*key).to_owned(), *version)).collect()
}

fn object(key: &str, version: u64) -> Object {
    Object { key: key.into(), size_bytes: 100, generation: Some(version), ..Object::default() }
}

fn entry(key: &str, version: u64) -> Entry {
    let content = VerifiedContent { sha256: [0; 32], checksums: Checksums::default(), rows: Some(10) };
    Entry::new(&object(key, version), key, &content)
}

fn pairs<'a>(published: &'a Set, listed: &'a Set) -> impl Iterator<Item = Result<Pair>> + 'a {
    let entries = published.iter().map(|(key, version)| Ok(entry(key, *version)));
    let listed = listed.iter().map(|(key, version)| Ok(Listed { object: object(key, *version), rows: None }));
    outer_join(entries, listed)
}

fn scope_of(event: &str) -> Scope {
    Scope::of_filter(Filter { events: vec![NamePattern::parse(event).unwrap()], ..Filter::default() })
}

/// The new set, the keys that are marked as gone, and the tally.
fn merged(published: &Set, listed: &Set, terms: &MergeTerms<'_>) -> (Set, BTreeSet<String>, MergeTally) {
    let merge = Merge::judge(pairs(published, listed), terms).unwrap();
    let (mut result, mut gone, mut tally) = (Set::new(), BTreeSet::new(), MergeTally::default());
    for member in merge.members(pairs(published, listed), terms) {
        let member = member.unwrap();
        tally.add(&member);
        let Some(object) = member.into_object() else { continue };
        if object.gone_at_source.is_some() {
            gone.insert(object.key.clone());
        }
        result.insert(object.key, object.generation.unwrap());
    }
    (result, gone, tally)
}

fn terms(published_scope: &Scope) -> MergeTerms<'_> {
    MergeTerms { published_scope, is_same_source: true, accepts_losses: false, now: Timestamp::UNIX_EPOCH }
}

#[test]
fn a_listing_that_lacks_something_deletes_nothing() {
    let published = set(&[("event=a/1", 1), ("event=a/2", 1), ("event=b/3", 1), ("top", 1)]);
    for lost in ["event=a/1", "event=b/3", "top"] {
        let mut listed = published.clone();
        listed.remove(lost);
        let (result, gone, tally) = merged(&published, &listed, &terms(&Scope::All));
        assert_eq!(result, published, "{lost}");
        assert_eq!(gone, BTreeSet::from([lost.to_owned()]));
        assert!(!tally.changes_the_set() && tally.marks == 1);
    }
    assert_eq!(merged(&published, &Set::new(), &terms(&Scope::All)).0, published);
}

#[test]
fn an_addition_and_a_loss_in_one_listing_add_and_lose_nothing() {
    let published = set(&[("event=a/1", 1), ("event=a/2", 1), ("event=b/3", 1)]);
    let listed = set(&[("event=a/2", 1), ("event=a/4", 1), ("event=c/5", 1)]);
    let (result, gone, tally) = merged(&published, &listed, &terms(&Scope::All));
    let expected = set(&[("event=a/1", 1), ("event=a/2", 1), ("event=a/4", 1), ("event=b/3", 1), ("event=c/5", 1)]);
    assert_eq!(result, expected);
    assert_eq!(gone, BTreeSet::from(["event=a/1".to_owned(), "event=b/3".to_owned()]));
    assert_eq!((tally.added.objects, tally.dropped.objects, tally.is_shrunk()), (2, 0, false));
}

#[test]
fn a_rewritten_sub_partition_takes_the_place_of_the_old_one_only() {
    let published = set(&[("event=a/1", 1), ("event=a/2", 1), ("event=b/3", 1)]);
    let listed = set(&[("event=a/7", 1), ("event=b/3", 1)]);
    let (result, gone, tally) = merged(&published, &listed, &terms(&Scope::All));
    assert_eq!(result, set(&[("event=a/7", 1), ("event=b/3", 1)]));
    assert!(gone.is_empty());
    assert_eq!((tally.dropped.objects, tally.replacing.objects, tally.is_shrunk()), (2, 1, false));
}

#[test]
fn a_day_that_is_rewritten_as_a_whole_takes_its_absent_sub_partitions_with_it() {
    let published = set(&[("event=a/1", 1), ("event=b/3", 1)]);
    let (result, ..) = merged(&published, &set(&[("event=a/7", 1)]), &terms(&Scope::All));
    assert_eq!(result, set(&[("event=a/7", 1)]), "nothing of the old set is listed");
    let same_names = set(&[("event=a/1", 2), ("event=b/3", 2)]);
    let (result, _, tally) = merged(&published, &same_names, &terms(&Scope::All));
    assert_eq!(result, same_names, "the same names with other contents");
    assert_eq!((tally.dropped.objects, tally.replacing.objects), (2, 2));
}

#[test]
fn what_was_not_published_says_nothing_about_what_was() {
    let cart = scope_of("cart");
    let published = set(&[("event=cart/1", 1), ("event=cart/2", 1)]);
    for listed in [set(&[("event=view/9", 1)]), set(&[("event=cart/1", 1), ("event=view/9", 1)])] {
        let (result, _, tally) = merged(&published, &listed, &terms(&cart));
        assert!(published.keys().all(|key| result.contains_key(key)), "widened over a loss: {result:?}");
        assert!(result.contains_key("event=view/9") && tally.dropped.objects == 0);
    }
    // A broken rerun is compared with what it replaces, however much else comes with it.
    let ten: Set = (0..10).map(|number| (format!("event=cart/{number}"), 1)).collect();
    let mut listed: Set = (0..50).map(|number| (format!("event=view/{number}"), 1)).collect();
    listed.insert("event=cart/new".into(), 1);
    let (.., tally) = merged(&ten, &listed, &terms(&cart));
    assert_eq!((tally.dropped.objects, tally.replacing.objects, tally.is_shrunk()), (10, 1, true));
}

#[test]
fn another_cloud_replaces_the_whole_set_whatever_its_names() {
    let published = set(&[("event=a/1", 1), ("event=b/2", 1)]);
    let listed = set(&[("event=a/1", 1), ("event=c/3", 1)]);
    let terms = MergeTerms { is_same_source: false, ..terms(&Scope::All) };
    assert_eq!(merged(&published, &listed, &terms).0, listed);
}

#[test]
fn accepted_losses_go_but_never_all_of_them() {
    let published = set(&[("event=a/1", 1), ("event=a/2", 1), ("event=b/3", 1)]);
    let listed = set(&[("event=a/1", 1)]);
    let terms = MergeTerms { accepts_losses: true, ..terms(&Scope::All) };
    assert_eq!(merged(&published, &listed, &terms).0, listed);
    assert_eq!(merged(&published, &Set::new(), &terms).0, published);
}

#[test]
fn rows_tell_of_a_broken_rerun_where_bytes_do_not() {
    let mut tally = MergeTally::default();
    tally.dropped.add(100, Some(1000));
    tally.replacing.add(100, Some(499));
    assert!(tally.is_shrunk());
    tally.replacing.rows = None;
    assert!(!tally.is_shrunk());
}

/// The rule in the words of design.md promise 3.
fn promised(published: &Set, listed: &Set, scope: &Scope) -> Set {
    let sub = |key: &str| key.split_once('/').map_or(String::new(), |(sub, _)| sub.to_owned());
    let is_listed = |key: &String| listed.get(key) == published.get(key);
    let rewritten_whole = !published.keys().any(is_listed) && listed.keys().any(|key| scope.matches(key));
    let mut result = listed.clone();
    for (key, version) in published {
        let own = published.keys().filter(|other| sub(other) == sub(key));
        let has_listed = listed.keys().any(|other| sub(other) == sub(key));
        let was_rewritten = has_listed && !own.clone().any(is_listed);
        let is_kept = !was_rewritten && (has_listed || !rewritten_whole);
        if is_kept && !result.contains_key(key) {
            result.insert(key.clone(), *version);
        }
    }
    result
}

fn any_set() -> impl Strategy<Value = Set> {
    let key = prop_oneof![
        (0..4_u8, 0..4_u8).prop_map(|(sub, name)| format!("event={}/{name}", char::from(b'a' + sub))),
        (0..3_u8).prop_map(|name| format!("event=a{name}")),
    ];
    proptest::collection::btree_map(key, 0..2_u64, 0..10)
}

proptest! {
    #[test]
    fn the_merge_is_what_is_promised(published in any_set(), listed in any_set(), is_part in any::<bool>()) {
        let scope = if is_part { scope_of("[ab]") } else { Scope::All };
        let scope = if is_part { scope.union(&scope_of("a")).union(&scope_of("b")) } else { scope };
        let published: Set = published.into_iter().filter(|(key, _)| scope.matches(key)).collect();
        let (result, gone, tally) = merged(&published, &listed, &terms(&scope));
        prop_assert_eq!(&result, &promised(&published, &listed, &scope));
        prop_assert!(listed.iter().all(|(key, version)| result.get(key) == Some(version)));
        prop_assert!(gone.iter().all(|key| !listed.contains_key(key) && published.contains_key(key)));
        prop_assert_eq!(tally.changes_the_set(), result != published);
        prop_assert_eq!(tally.kept.objects, gone.len() as u64);
        let again = merged(&result, &listed, &terms(&scope));
        let lost_again = published.keys().any(|key| result.contains_key(key) && !again.0.contains_key(key));
        prop_assert!(!lost_again, "a second look at the same listing loses nothing");
    }
}
