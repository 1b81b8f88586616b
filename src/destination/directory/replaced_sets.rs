//! What lies in the places for replaced sets, for `doctor`.

use std::path::PathBuf;

use jiff::Timestamp;

use super::folder::Folder;
use super::layout;
use super::replaced_name::{Fate, ReplacedName, folder_beside};
use crate::error::{Error, Result};

/// The replaced sets of a directory that are not deleted yet.
#[derive(Clone, Debug, Default)]
pub(in crate::destination) struct ReplacedSets {
    /// Those in `_e3sync/replaced`, the oldest first.
    pub waiting: Vec<ReplacedSet>,
    /// Those that could not be moved there, in staging.
    pub in_staging: Vec<ReplacedSet>,
    /// What else is in `_e3sync/replaced`.
    pub others: Vec<PathBuf>,
    /// What keeps `_e3sync/replaced` from being read.
    pub failure: Option<Error>,
}

/// A replaced set.
#[derive(Clone, Debug)]
pub(in crate::destination) struct ReplacedSet {
    /// Its folder.
    pub path: PathBuf,
    /// When it was replaced.
    pub replaced_at: Timestamp,
    fate: Fate,
}

impl ReplacedSet {
    fn new(holder: &Folder, folder: &str, name: ReplacedName) -> Self {
        Self { path: holder.path().join(folder), replaced_at: name.replaced_at, fate: name.fate }
    }

    /// Why it is there, and what becomes of it.
    pub fn reason(&self) -> &'static str {
        match self.fate {
            Fate::Delete => "to be deleted",
            Fate::Keep => "to be kept in _e3sync/superseded, as --keep-superseded asked",
            Fate::KeepForeign => "to be kept in _e3sync/superseded, since it may hold files of others",
        }
    }
}

impl ReplacedSets {
    /// The replaced sets that are not deleted yet.
    pub(super) fn read(side: &Folder, staging: Option<&Folder>) -> Result<Self> {
        let mut sets = Self::default();
        let replaced = side.child(layout::REPLACED);
        sets.failure = replaced
            .and_then(|replaced| {
                replaced.map_or(Ok(()), |folder| for_each_folder(&folder, |folder| read_waiting(folder, &mut sets)))
            })
            .err();
        if let Some(staging) = staging {
            for_each_folder(staging, |folder| for_each_folder(folder, |day| read_staged(day, &mut sets)))?;
        }
        sets.waiting.sort_by_key(|set| set.replaced_at);
        sets.in_staging.sort_by_key(|set| set.replaced_at);
        Ok(sets)
    }
}

/// The name of a replaced set, or of its manifest, in a partition's staging folder.
pub(super) fn replaced_in_staging(name: &str) -> Option<ReplacedName> {
    ReplacedName::parse_folder_in_staging(folder_beside(name).unwrap_or(name))
}

fn for_each_folder(parent: &Folder, mut take: impl FnMut(&Folder) -> Result<()>) -> Result<()> {
    for (name, kind) in parent.entries()? {
        if kind == rustix::fs::FileType::Directory
            && let Some(folder) = parent.child(&name)?
        {
            take(&folder)?;
        }
    }
    Ok(())
}

fn read_waiting(folder: &Folder, sets: &mut ReplacedSets) -> Result<()> {
    for (name, _) in folder.entries()? {
        match ReplacedName::parse_folder(folder_beside(&name).unwrap_or(&name)) {
            None => sets.others.push(folder.path().join(&name)),
            Some(_) if folder_beside(&name).is_some() => {}
            Some((_, parsed)) => sets.waiting.push(ReplacedSet::new(folder, &name, parsed)),
        }
    }
    Ok(())
}

fn read_staged(folder: &Folder, sets: &mut ReplacedSets) -> Result<()> {
    for (name, _) in folder.entries()? {
        if let Some(parsed) = ReplacedName::parse_folder_in_staging(&name) {
            sets.in_staging.push(ReplacedSet::new(folder, &name, parsed));
        }
    }
    Ok(())
}
