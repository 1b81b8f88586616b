//! Compares what stands at the destination after a step with what the reference allows.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use crate::failure::{Failure, ensure, fail};
use crate::place::Files;
use crate::reference::{DayAtSource, Object, Set};
use crate::standing::{Standing, is_bytes, told, told_manifest, wrong_keys};

/// What is known of a day before it is checked.
pub struct Case<'a> {
    pub day: usize,
    /// What was published before the step.
    pub prior: Option<&'a Set>,
    /// What may be published after it.
    pub allowed: Vec<Option<Set>>,
    /// All contents that each key ever had at the source.
    pub written: BTreeMap<String, Vec<Bytes>>,
    /// Whether a run was broken off there, so that the day need not be whole; nothing may be lost all
    /// the same, and no reader may take it for whole.
    pub is_begun: bool,
    /// Published keys that the model harmed.
    pub harmed: BTreeSet<String>,
    /// Whether some of them were overwritten in a bucket by a rewriting that did not come to its end.
    pub is_overwritten: bool,
    /// The paths of others' files.
    pub foreign: BTreeSet<String>,
}

impl Case<'_> {
    /// Checks the day, and gives what is published of it now.
    ///
    /// # Errors
    /// The first promise that is broken.
    pub fn check(&self, files: &Files) -> Result<Option<Set>, Failure> {
        let mut standing = Standing::of_day(files, self.day)?;
        standing.data.retain(|path, _| !self.foreign.contains(path));
        self.check_nothing_is_lost(&standing)?;
        let set = self.published(&standing)?;
        if let Some(manifest) = &standing.manifest {
            manifest.check_totals()?;
        }
        if self.is_begun {
            self.check_begun(&standing, set.as_ref())?;
        } else {
            self.check_whole(&standing, set.as_ref())?;
        }
        Ok(set)
    }

    /// What is published may go only where every object of every set that may replace it does not
    /// need it.
    fn check_nothing_is_lost(&self, standing: &Standing) -> Result<(), Failure> {
        let Some(prior) = self.prior else { return Ok(()) };
        let is_kept = |(key, object): &(&String, &Object)| {
            self.allowed.iter().all(|set| set.as_ref().is_some_and(|set| set.objects.get(*key) == Some(object)))
        };
        let is_there = |key: &String, object: &Object| {
            standing.data.get(key).is_some_and(|bytes| is_bytes(bytes, &object.bytes)) || self.harmed.contains(key)
        };
        let kept = prior.objects.iter().filter(is_kept);
        let lost: Vec<&String> = kept.filter(|(key, object)| !is_there(key, object)).map(|(key, _)| key).collect();
        ensure(lost.is_empty(), "lost", || {
            format!("day {}: published and not validly replaced, but gone: {lost:?}; {}", self.day, self.told(standing))
        })
    }

    /// The one of the allowed sets that the manifest is of.
    fn published(&self, standing: &Standing) -> Result<Option<Set>, Failure> {
        let found = self.allowed.iter().find(|set| match (set, &standing.manifest) {
            (None, None) => true,
            (Some(set), Some(manifest)) => manifest.is_of(set),
            _ => false,
        });
        match found {
            Some(set) => Ok(set.clone()),
            None => fail("set", || format!("day {} is not as it may be; {}", self.day, self.told(standing))),
        }
    }

    /// Manifest and bytes agree, nothing is there besides, and the marker says what is.
    fn check_whole(&self, standing: &Standing, set: Option<&Set>) -> Result<(), Failure> {
        let objects = set.map(|set| set.objects.clone()).unwrap_or_default();
        let mut wrong = wrong_keys(&objects, &standing.data);
        wrong.retain(|key| !self.harmed.contains(key));
        ensure(wrong.is_empty(), "bytes", || {
            format!("day {}: not the bytes that the manifest says: {wrong:?}; {}", self.day, self.told(standing))
        })?;
        let extra: Vec<&String> = standing.data.keys().filter(|key| !objects.contains_key(*key)).collect();
        ensure(extra.is_empty(), "extra", || {
            format!("day {}: in no manifest: {extra:?}; {}", self.day, self.told(standing))
        })?;
        let is_whole = set.is_some_and(is_whole_day) && !self.is_overwritten(set);
        ensure(standing.has_marker == is_whole, "marker", || {
            format!("day {}: _SUCCESS is there: {}; {}", self.day, standing.has_marker, self.told(standing))
        })
    }

    /// A run was broken off: every object is one of the source's, and a marker only on a whole set.
    fn check_begun(&self, standing: &Standing, set: Option<&Set>) -> Result<(), Failure> {
        for (key, bytes) in standing.data.iter().filter(|(key, _)| !self.harmed.contains(*key)) {
            let contents = self.written.get(key).into_iter().flatten();
            ensure(contents.into_iter().any(|content| is_bytes(bytes, content)), "extra", || {
                format!("day {}: {key} never was at the source; {}", self.day, self.told(standing))
            })?;
        }
        if !standing.has_marker {
            return Ok(());
        }
        let is_whole = set.is_some_and(|set| {
            let wrong = wrong_keys(&set.objects, &standing.data);
            is_whole_day(set)
                && !self.is_overwritten(Some(set))
                && wrong.is_subset(&self.harmed)
                && standing.data.keys().all(|key| set.objects.contains_key(key))
        });
        ensure(is_whole, "mixture", || {
            format!("day {}: _SUCCESS stands on what is not its manifest's set; {}", self.day, self.told(standing))
        })
    }

    /// Whether some of the set that is still the published one was overwritten.
    fn is_overwritten(&self, set: Option<&Set>) -> bool {
        self.is_overwritten && set == self.prior
    }

    /// Whether the day stands exactly as its manifest says.
    pub fn is_exact(&self, files: &Files, set: Option<&Set>) -> bool {
        let Ok(mut standing) = Standing::of_day(files, self.day) else { return false };
        standing.data.retain(|path, _| !self.foreign.contains(path));
        self.check_whole(&standing, set).is_ok()
    }

    fn told(&self, standing: &Standing) -> String {
        let mut text = format!("\n    before: {}", told(self.prior));
        for set in &self.allowed {
            text.push_str(&format!("\n    allowed: {}", told(set.as_ref())));
        }
        let manifest = told_manifest(standing.manifest.as_ref());
        let names: Vec<&String> = standing.data.keys().collect();
        text.push_str(&format!("\n    manifest: {manifest}\n    data: {names:?}, marker: {}", standing.has_marker));
        text
    }
}

fn is_whole_day(set: &Set) -> bool {
    set.is_complete && set.scope == crate::reference::Wanted::All
}

/// After a publication, exactly what the source has no more is marked so in the manifest.
///
/// # Errors
/// A line that is marked and listed, or neither.
pub fn check_gone_marks(files: &Files, set: &Set, at_source: &DayAtSource) -> Result<(), Failure> {
    let Some(manifest) = Standing::of_day(files, at_source.day)?.manifest else { return Ok(()) };
    let listed = at_source.clouds[set.cloud].clone().unwrap_or_default().objects;
    for line in &manifest.lines {
        let key = &line.entry.key;
        let is_gone = listed.get(key) != set.objects.get(key);
        ensure(line.gone_at_source.is_some() == is_gone, "gone_at_source", || {
            format!("day {}: {key} is gone at the source: {is_gone}; {}", at_source.day, told_manifest(Some(&manifest)))
        })?;
    }
    Ok(())
}
