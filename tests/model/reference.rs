//! The specification: what a published day becomes, by the words of design.md (promise 3), as a pure
//! function over small maps. It is written from the design and not from the library.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use e3sync::plan::Ready;

/// The number of clouds of the model's export.
pub const CLOUDS: usize = 2;

/// An object at the source or here. Key, size and version are its identity; the model gives a version
/// only once.
#[derive(Clone, PartialEq, Eq)]
pub struct Object {
    pub bytes: Bytes,
    pub sha256: [u8; 32],
    pub version: u64,
    pub rows: Option<u64>,
}

/// Objects by their keys below the partition.
pub type Objects = BTreeMap<String, Object>;

/// How much of a day is selected: everything, or what one of several filters names. A filter is a set
/// of the letters of events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    All,
    AnyOf(BTreeSet<String>),
}

impl Wanted {
    /// The selection by one filter.
    pub fn events(letters: &str) -> Self {
        Self::AnyOf(BTreeSet::from([letters.to_owned()]))
    }

    /// Whether a key is selected.
    pub fn has(&self, key: &str) -> bool {
        let letter = sub_partition(key).trim_start_matches("event=");
        match self {
            Self::All => true,
            Self::AnyOf(filters) => filters.iter().any(|filter| filter.contains(letter)),
        }
    }

    fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::All, _) => true,
            (Self::AnyOf(_), Self::All) => false,
            (Self::AnyOf(mine), Self::AnyOf(theirs)) => theirs.is_subset(mine),
        }
    }

    fn union(&self, other: &Self) -> Self {
        match (self, other) {
            (Self::AnyOf(mine), Self::AnyOf(theirs)) => Self::AnyOf(mine | theirs),
            _ => Self::All,
        }
    }
}

/// What is published of a day.
#[derive(Clone, PartialEq, Eq)]
pub struct Set {
    pub cloud: usize,
    pub scope: Wanted,
    pub is_complete: bool,
    pub objects: Objects,
}

/// A day in one cloud.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Listing {
    pub objects: Objects,
    pub has_marker: bool,
}

/// A day at the source at one moment.
#[derive(Clone)]
pub struct DayAtSource {
    pub day: usize,
    /// What each cloud has; `None` where the cloud does not have the day.
    pub clouds: [Option<Listing>; CLOUDS],
    /// Whether any day past its grace period has `_SUCCESS` in the cloud.
    pub has_markers: [bool; CLOUDS],
    pub is_grace_over: bool,
}

impl DayAtSource {
    /// The day as it is now to a run that asked some of the clouds for their days `before`.
    pub fn in_clouds_of(&self, before: &Self, is_known_before: [bool; CLOUDS]) -> Self {
        let mut day = self.clone();
        for cloud in (0..CLOUDS).filter(|cloud| is_known_before[*cloud]) {
            day.has_markers[cloud] = before.has_markers[cloud];
            day.clouds[cloud] = before.clouds[cloud].as_ref().map(|_| day.clouds[cloud].take().unwrap_or_default());
        }
        day
    }
}

impl DayAtSource {
    /// The day as it is to a run that cannot ask some of the clouds whether the type has markers at all, and
    /// counts it as one that has.
    pub fn with_unknown_markers(&self) -> impl Iterator<Item = Self> + '_ {
        let unknown = [[true, false], [false, true], [true, true]];
        unknown.into_iter().map(|unknown| {
            let mut day = self.clone();
            (0..CLOUDS).for_each(|cloud| day.has_markers[cloud] |= unknown[cloud]);
            day
        })
    }
}

/// What a run is asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Ask {
    pub days: Vec<usize>,
    pub scope: Wanted,
    pub ready: Ready,
    pub accepts_shrink: bool,
    /// Published days from this one on are listed again.
    pub relisted_from: usize,
    /// The clouds that take part, the preferred one first.
    pub clouds: Vec<usize>,
}

/// What a day may be after a run: any of these. More than one where the design leaves it open.
#[derive(Clone)]
pub struct Expected {
    pub sets: Vec<Option<Set>>,
    /// Whether the shrink guard holds the day.
    pub is_held: bool,
    /// Whether only rows tell so, which are known when the objects are here.
    pub is_held_by_rows: bool,
}

impl Expected {
    fn one_of(sets: Vec<Option<Set>>) -> Self {
        Self { sets, is_held: false, is_held_by_rows: false }
    }
}

/// The first segment of a key: the unit of a rewriting.
pub fn sub_partition(key: &str) -> &str {
    key.split_once('/').map_or("", |(folder, _)| folder)
}

/// What a run makes of a day of which `prior` is published. `is_repair` says that the day was found
/// damaged, which changes nothing but that it is not left alone.
pub fn expect(prior: Option<&Set>, day: &DayAtSource, ask: &Ask, is_repair: bool) -> Expected {
    let stay = Expected::one_of(vec![prior.cloned()]);
    let Some(cloud) = choose_cloud(prior, day, ask, is_repair) else { return stay };
    let listing = day.clouds[cloud].clone().unwrap_or_default();
    let scope = prior.map_or(ask.scope.clone(), |set| set.scope.union(&ask.scope));
    let listed: Objects = listing.objects.iter().filter(|(key, _)| scope.has(key)).map(owned).collect();
    let is_complete = is_complete(day, cloud, ask.ready);
    let next = |objects| Some(Set { cloud, scope: scope.clone(), is_complete, objects });
    if listed.is_empty() {
        return expect_of_nothing(prior, listing.has_marker && scope == Wanted::All, next);
    }
    let is_ready = is_complete || ask.ready == Ready::Any;
    let Some(set) = prior else {
        return if is_ready { Expected::one_of(vec![next(listed)]) } else { stay };
    };
    let Some(merge) = merge(set, cloud, &listed, ask.accepts_shrink) else { return stay };
    if merge.objects == set.objects && scope == set.scope {
        let completed = Some(Set { is_complete: set.is_complete || is_complete, ..set.clone() });
        return Expected::one_of(vec![completed]);
    }
    let is_loss = set.objects.iter().any(|(key, object)| merge.objects.get(key) != Some(object));
    if !is_ready {
        return stay;
    }
    if set.is_complete && !is_complete {
        // A complete day is not replaced by the beginnings of its rewriting, not even by `--ready any`.
        let sets = if is_loss { vec![prior.cloned()] } else { vec![prior.cloned(), next(merge.objects)] };
        return Expected::one_of(sets);
    }
    guard(set, merge, ask, next)
}

/// An empty listing never empties anything. A whole day that is declared complete and has nothing may
/// be published as that, and adds no object to a published one.
fn expect_of_nothing(prior: Option<&Set>, is_declared: bool, next: impl Fn(Objects) -> Option<Set>) -> Expected {
    let mut sets = vec![prior.cloned()];
    if is_declared {
        sets.push(next(prior.map_or_else(Objects::new, |set| set.objects.clone())));
    }
    Expected::one_of(sets)
}

/// Holds a day whose rewritten part has under half of the bytes or rows of what it would replace.
fn guard(set: &Set, merge: Merge, ask: &Ask, next: impl Fn(Objects) -> Option<Set>) -> Expected {
    let (is_held, is_held_by_rows) = (merge.rewritten.shrank(), merge.rewritten.rows_shrank());
    if ask.accepts_shrink {
        let mut sets = vec![next(merge.objects)];
        sets.extend(merge.with_unlisted.map(&next));
        return Expected::one_of(sets);
    }
    let held = Expected { sets: vec![Some(set.clone())], is_held: true, is_held_by_rows: !is_held && is_held_by_rows };
    if is_held || is_held_by_rows {
        return held;
    }
    // Whether an object that is replaced under its key belongs to "the rewritten part" is left open.
    let mut sets = vec![next(merge.objects)];
    if merge.with_replaced_keys.shrank() || merge.with_replaced_keys.rows_shrank() {
        sets.push(Some(set.clone()));
    }
    Expected::one_of(sets)
}

/// Which cloud a day is taken from, by the documented rule; `None` where what is published stays.
fn choose_cloud(prior: Option<&Set>, day: &DayAtSource, ask: &Ask, is_repair: bool) -> Option<usize> {
    let having: Vec<usize> = ask.clouds.iter().copied().filter(|cloud| day.clouds[*cloud].is_some()).collect();
    let complete = having.iter().copied().find(|cloud| is_complete(day, *cloud, ask.ready));
    let Some(set) = prior else { return complete.or(having.first().copied()) };
    let is_settled = (set.is_complete || ask.ready == Ready::Any) && set.scope.covers(&ask.scope);
    if is_settled && !is_repair && day.day < ask.relisted_from {
        return None;
    }
    if having.contains(&set.cloud) {
        return Some(set.cloud);
    }
    if set.is_complete && is_repair {
        // What cannot be fetched any more where it came from is taken whole where it is complete.
        return complete;
    }
    let is_left = set.is_complete && set.scope.covers(&ask.scope);
    if is_left { None } else { complete.or(having.first().copied()) }
}

fn is_complete(day: &DayAtSource, cloud: usize, ready: Ready) -> bool {
    let has_marker = day.clouds[cloud].as_ref().is_some_and(|listing| listing.has_marker);
    let may_count_by_time = ready != Ready::Success || !day.has_markers[cloud];
    has_marker || (may_count_by_time && day.is_grace_over)
}

/// What a published set and a listing come to.
struct Merge {
    objects: Objects,
    rewritten: Rewriting,
    with_replaced_keys: Rewriting,
    /// The same, with the sub-partitions of which nothing is listed: the design leaves open whether
    /// `--accept-shrink` takes their loss too.
    with_unlisted: Option<Objects>,
}

/// The rule of promise 3, for each sub-partition by itself. `None` where the set would mix two clouds.
fn merge(set: &Set, cloud: usize, listed: &Objects, accepts_shrink: bool) -> Option<Merge> {
    let is_listed = |(key, object): (&String, &Object)| listed.get(key) == Some(object);
    let common: Objects = listed.iter().filter(|(key, _)| set.scope.has(key)).map(owned).collect();
    let is_whole_rewriting = !common.is_empty() && !set.objects.iter().any(is_listed);
    if cloud != set.cloud && !is_whole_rewriting && !set.objects.is_empty() {
        return None;
    }
    let (mut objects, mut with_unlisted) = (Objects::new(), listed.clone());
    let (mut rewritten, mut with_replaced_keys) = (Rewriting::default(), Rewriting::default());
    for name in names(set.objects.keys().chain(listed.keys())) {
        let (before, now) = (part(&set.objects, name), part(listed, name));
        let is_rewritten = !before.is_empty() && !now.is_empty() && !before.iter().any(is_listed);
        if is_whole_rewriting || is_rewritten {
            rewritten.note(&before, &now.iter().filter(|(key, _)| set.scope.has(key)).map(owned).collect());
        } else {
            objects.extend(before.clone());
            let replaced = |(key, object): &(&String, &Object)| now.get(*key).is_some_and(|other| other != *object);
            let keys: Objects = before.iter().filter(replaced).map(owned).collect();
            with_replaced_keys.note(&keys, &now.iter().filter(|(key, _)| keys.contains_key(*key)).map(owned).collect());
        }
        if now.is_empty() && !is_whole_rewriting {
            with_unlisted.extend(before);
        }
        objects.extend(now);
    }
    with_replaced_keys.add(&rewritten);
    // `--accept-shrink` takes the source's losses, but not an empty listing for an emptied day.
    let takes_losses = accepts_shrink && (!common.is_empty() || set.objects.is_empty());
    let (objects, with_unlisted) = if takes_losses {
        (listed.clone(), Some(with_unlisted))
    } else {
        (objects, accepts_shrink.then(|| listed.clone()))
    };
    Some(Merge { objects, rewritten, with_replaced_keys, with_unlisted })
}

/// How much of a set a rewriting replaces, and by how much. Rows are known where all are.
#[derive(Default)]
struct Rewriting {
    before: Vec<Object>,
    now: Vec<Object>,
}

impl Rewriting {
    fn note(&mut self, before: &Objects, now: &Objects) {
        self.before.extend(before.values().cloned());
        self.now.extend(now.values().cloned());
    }

    fn add(&mut self, other: &Self) {
        self.before.extend(other.before.iter().cloned());
        self.now.extend(other.now.iter().cloned());
    }

    fn shrank(&self) -> bool {
        let bytes = |objects: &[Object]| objects.iter().map(|object| object.bytes.len()).sum::<usize>();
        bytes(&self.now) < bytes(&self.before).div_ceil(2)
    }

    fn rows_shrank(&self) -> bool {
        let rows = |objects: &[Object]| objects.iter().map(|object| object.rows).sum::<Option<u64>>();
        rows(&self.before).zip(rows(&self.now)).is_some_and(|(before, now)| now < before.div_ceil(2))
    }
}

fn names<'a>(keys: impl Iterator<Item = &'a String>) -> BTreeSet<&'a str> {
    keys.map(|key| sub_partition(key)).collect()
}

fn part(objects: &Objects, name: &str) -> Objects {
    objects.iter().filter(|(key, _)| sub_partition(key) == name).map(owned).collect()
}

fn owned((key, object): (&String, &Object)) -> (String, Object) {
    (key.clone(), object.clone())
}

/// Every state that a day may be in after, or in the middle of, several runs while the source went
/// through several moments.
pub fn reachable(prior: Option<&Set>, moments: &[DayAtSource], asks: &[(Ask, bool)]) -> Vec<Option<Set>> {
    let mut states = vec![prior.cloned()];
    for _ in asks {
        for state in states.clone() {
            for (ask, is_repair) in asks {
                for moment in moments.iter().filter(|moment| ask.days.contains(&moment.day)) {
                    states.extend(expect(state.as_ref(), moment, ask, *is_repair).sets);
                }
            }
        }
        let mut distinct: Vec<Option<Set>> = Vec::new();
        for state in states {
            if !distinct.contains(&state) {
                distinct.push(state);
            }
        }
        states = distinct;
    }
    states
}
