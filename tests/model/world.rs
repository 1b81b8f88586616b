//! The model's world: an export, a mirror of it, and what the reference knows of both. It takes the
//! steps of a history and checks after each.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use e3sync::plan::Ready;

use crate::check::Case;
use crate::failure::{Failure, ensure};
use crate::history::{Change, History, Step};
use crate::place::{Files, Harm, Place};
use crate::reference::{Ask, CLOUDS, DayAtSource, Object, Objects, Set, Wanted, expect};
use crate::source::{DAYS, Export, partition};
use crate::standing::{manifest_path, told};

/// Every how many-th history ends with a verification and another run. What they would find is found
/// at the other ends too, by the model's own check and by `plan`.
const THOROUGH_EVERY: u64 = 4;

/// A file of somebody else.
pub struct Foreign {
    pub day: usize,
    /// The path below the day.
    pub name: &'static str,
    pub bytes: Vec<u8>,
}

/// Everything.
pub struct World {
    pub place: Place,
    pub export: Arc<Mutex<Export>>,
    /// What is published of each day, by the manifests that were checked.
    pub published: [Option<Set>; DAYS.len()],
    /// Published keys whose files were harmed, by day.
    pub harmed: [BTreeSet<String>; DAYS.len()],
    /// Of these, the ones of a bucket that a rewriting has overwritten under their names without coming
    /// to its end.
    pub overwritten: [BTreeSet<String>; DAYS.len()],
    pub foreign: Vec<Foreign>,
    /// Days whose manifests were deleted, with what stands there.
    pub orphans: BTreeMap<usize, Set>,
    /// Days of a bucket that a run was broken off in.
    pub begun: BTreeSet<usize>,
    /// Whether the end of the history is looked at once more, by runs that have nothing to do.
    pub is_thorough: bool,
    /// Days of which something may be staged.
    pub staged: BTreeSet<usize>,
}

/// Plays a history to its end.
///
/// # Errors
/// The number of the step that broke a promise; the number of steps where it was the end.
pub fn play(history: &History, is_told: bool) -> Result<(), (usize, Failure)> {
    let mut world = World::new(history);
    for (number, step) in history.steps.iter().enumerate() {
        if is_told {
            println!("{number}: {step:?}");
        }
        world.take(step).map_err(|failure| (number, failure))?;
        if is_told {
            world.tell();
        }
    }
    world.end().map_err(|failure| (history.steps.len(), failure))
}

impl World {
    /// The beginning of a history.
    pub fn new(history: &History) -> Self {
        let export = Export { is_parquet: history.is_parquet, ..Export::default() };
        Self {
            place: if history.is_bucket { Place::bucket() } else { Place::directory() },
            export: Arc::new(Mutex::new(export)),
            published: [None, None, None],
            harmed: Default::default(),
            overwritten: Default::default(),
            foreign: Vec::new(),
            orphans: BTreeMap::new(),
            begun: BTreeSet::new(),
            staged: BTreeSet::new(),
            is_thorough: history.seed.is_multiple_of(THOROUGH_EVERY),
        }
    }

    /// The export.
    pub fn export(&self) -> MutexGuard<'_, Export> {
        self.export.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All days at the source as they are now.
    pub fn at_source(&self) -> Vec<DayAtSource> {
        let export = self.export();
        (0..DAYS.len()).map(|day| export.at(day)).collect()
    }

    fn take(&mut self, step: &Step) -> Result<(), Failure> {
        match step {
            Step::Source(change) => {
                change.apply(&mut self.export());
                return Ok(());
            }
            Step::Sync(ask, None) => self.sync(ask)?,
            Step::Sync(ask, Some(incident)) => self.sync_with(ask, incident)?,
            Step::Together(one, other, seed) => self.together(one, other, *seed)?,
            Step::Repair(clouds) => self.repair(clouds)?,
            Step::Harm { day, number, how } => self.harm(*day, *number, *how),
            Step::LoseManifest { day } => self.lose_manifest(*day),
            Step::Foreign { day, name } => self.put_foreign(*day, name),
            Step::Copy => self.place.copy(),
        }
        self.place.let_time_pass();
        if self.foreign.is_empty() { Ok(()) } else { self.check_foreign(&self.place.files()) }
    }

    fn harm(&mut self, day: usize, number: usize, how: Harm) {
        let Some(set) = &self.published[day] else { return };
        let Some((key, object)) = set.objects.iter().nth(number % set.objects.len().max(1)) else { return };
        let path = format!("{}{key}", partition(day).prefix());
        if self.begun.contains(&day) || self.harmed[day].contains(key) {
            return;
        }
        self.place.harm(&path, &object.bytes, how);
        self.harmed[day].insert(key.clone());
    }

    /// What is whose cannot be told then. A day that has no other trouble is played so.
    fn lose_manifest(&mut self, day: usize) {
        let is_in_trouble = !self.harmed[day].is_empty() || self.begun.contains(&day) || self.has_foreign(day);
        if is_in_trouble || self.published[day].is_none() {
            return;
        }
        self.place.remove(&manifest_path(day));
        self.orphans.extend(self.published[day].take().map(|set| (day, set)));
    }

    /// A day without a manifest is left alone, or all that stood there is still somewhere. Says whether
    /// it still has none.
    ///
    /// # Errors
    /// What stood there and is nowhere.
    pub fn check_orphan(&mut self, day: usize, files: &Files) -> Result<bool, Failure> {
        let Some(orphan) = self.orphans.get(&day) else { return Ok(false) };
        let folder = partition(day).prefix();
        let has_manifest = files.contains_key(&manifest_path(day));
        let is_somewhere = |object: &Object| files.values().any(|file| file[..] == object.bytes[..]);
        let is_in_place = |key: &String, object: &Object| {
            files.get(&format!("{folder}{key}")).map(Vec::as_slice) == Some(&object.bytes[..])
        };
        let mut lost = match has_manifest {
            true => kept(orphan, &self.export().at(day)),
            false => orphan.objects.clone(),
        };
        lost.retain(|key, object| if has_manifest { !is_somewhere(object) } else { !is_in_place(key, object) });
        ensure(lost.is_empty(), "lost", || {
            format!("day {day}: its manifest was lost, and now {:?} of {}", lost.keys(), told(Some(orphan)))
        })?;
        if has_manifest {
            self.orphans.remove(&day);
        }
        Ok(!has_manifest)
    }

    fn put_foreign(&mut self, day: usize, name: &'static str) {
        if self.foreign.iter().any(|foreign| (foreign.day, foreign.name) == (day, name)) {
            return;
        }
        let bytes = format!("notes {} of somebody else", self.foreign.len()).into_bytes();
        self.place.put(&format!("{}{name}", partition(day).prefix()), &bytes);
        self.foreign.push(Foreign { day, name, bytes });
    }

    /// Others' files are never deleted or altered. In a directory they may have been moved aside with
    /// the set that they were in.
    fn check_foreign(&self, files: &Files) -> Result<(), Failure> {
        for foreign in &self.foreign {
            let path = format!("{}{}", partition(foreign.day).prefix(), foreign.name);
            let is_there = match self.place.is_bucket() {
                true => files.get(&path) == Some(&foreign.bytes),
                false => files.values().any(|bytes| *bytes == foreign.bytes),
            };
            ensure(is_there, "foreign", || format!("somebody else's {path} is gone or altered"))?;
        }
        Ok(())
    }

    /// Whether there is a file of somebody else in the day.
    pub fn has_foreign(&self, day: usize) -> bool {
        self.foreign.iter().any(|foreign| foreign.day == day)
    }

    /// The case of a day after a step that allows these sets.
    pub fn case(&self, day: usize, allowed: Vec<Option<Set>>) -> Case<'_> {
        Case {
            written: if self.begun.contains(&day) { self.export().written.clone() } else { BTreeMap::new() },
            day,
            prior: self.published[day].as_ref(),
            allowed,
            is_begun: self.begun.contains(&day),
            harmed: self.harmed[day].clone(),
            is_overwritten: !self.overwritten[day].is_empty(),
            foreign: self
                .foreign
                .iter()
                .filter(|foreign| foreign.day == day)
                .map(|foreign| foreign.name.to_owned())
                .collect(),
        }
    }

    /// Takes over what was found published, and forgets harm that has been undone.
    pub fn settle(&mut self, day: usize, set: Option<Set>, files: &Files) {
        let folder = partition(day).prefix();
        self.harmed[day].retain(|key| {
            let object = set.as_ref().and_then(|set| set.objects.get(key));
            object.is_some_and(|object| {
                files.get(&format!("{folder}{key}")).map(Vec::as_slice) != Some(&object.bytes[..])
            })
        });
        let harmed = &self.harmed[day];
        self.overwritten[day].retain(|key| harmed.contains(key));
        self.published[day] = set;
    }

    /// A bucket has no place for two objects of one key: what a rewriting has overwritten when it is held
    /// back by its rows or broken off cannot be brought back, and the day stays unmarked
    /// (docs/SEMANTICS.md, "In a bucket").
    pub fn note_overwritten(&mut self, day: usize, files: &Files) {
        let (Some(set), true) = (&self.published[day], self.place.is_bucket()) else { return };
        let folder = partition(day).prefix();
        let written = &self.export.lock().unwrap_or_else(PoisonError::into_inner).written;
        for (key, object) in &set.objects {
            let stored = files.get(&format!("{folder}{key}")).map(Vec::as_slice);
            let is_later = |bytes: &bytes::Bytes| stored == Some(&bytes[..]) && *bytes != object.bytes;
            if written.get(key).is_some_and(|contents| contents.iter().any(is_later)) {
                self.harmed[day].insert(key.clone());
                self.overwritten[day].insert(key.clone());
            }
        }
    }

    /// All faults end, every day is declared complete, others take their files away: now the mirror
    /// comes to what the reference says, and rests there.
    fn end(&mut self) -> Result<(), Failure> {
        self.take_foreign_away();
        self.take_orphans_away();
        for change in healing() {
            change.apply(&mut self.export());
        }
        self.place.let_time_pass();
        self.last_runs()
    }

    fn take_foreign_away(&mut self) {
        let files = self.place.files();
        for foreign in std::mem::take(&mut self.foreign) {
            let path = format!("{}{}", partition(foreign.day).prefix(), foreign.name);
            if files.contains_key(&path) {
                self.place.remove(&path);
            }
        }
    }

    fn take_orphans_away(&mut self) {
        for day in std::mem::take(&mut self.orphans).into_keys() {
            let folder = partition(day).prefix();
            let files = self.place.files();
            files.keys().filter(|path| path.starts_with(&folder)).for_each(|path| self.place.remove(path));
        }
    }

    fn tell(&self) {
        for (day, set) in self.published.iter().enumerate().filter(|(_, set)| set.is_some()) {
            println!("    day {day}: {}", told(set.as_ref()));
        }
    }
}

/// The objects that no rewriting at the source has replaced: those that stay whether the guard holds the
/// day or not, since nobody knows any more what it would compare.
fn kept(set: &Set, at_source: &DayAtSource) -> Objects {
    let ask = |accepts_shrink| Ask {
        days: vec![at_source.day],
        scope: Wanted::All,
        ready: Ready::Any,
        accepts_shrink,
        relisted_from: 0,
        clouds: vec![set.cloud],
    };
    let open = expect(Some(set), at_source, &ask(false), false);
    let becomes = if open.is_held { expect(Some(set), at_source, &ask(true), false) } else { open };
    let mut kept = set.objects.clone();
    kept.retain(|key, object| becomes.sets.iter().flatten().all(|next| next.objects.get(key) == Some(object)));
    kept
}

/// The end of all faults: nothing is refused, every cloud serves, what is there is complete.
fn healing() -> Vec<Change> {
    let days = 0..DAYS.len();
    let allow = days.clone().map(|day| Change::Refuse { day, how: None });
    let serve = (0..CLOUDS).map(|cloud| Change::Serve { cloud, does: true });
    let declare = days.flat_map(|day| (0..CLOUDS).map(move |cloud| Change::Declare { cloud, day }));
    allow.chain(serve).chain(declare).collect()
}
