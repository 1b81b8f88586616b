//! What a directory and its claimed partitions share.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::account::claim_for_account;
use super::folder::Folder;
use super::lock::Locks;
use super::names::Names;
use super::published::{read_header, read_published};
use crate::clock::Clock;
use crate::destination::Damage;
use crate::error::{Error, ErrorKind, Result};
use crate::export::{AccountId, FilePath, Partition};
use crate::manifest::Header;
use crate::progress::{Event, Observer};

/// How a directory is used as a destination.
#[derive(Clone, Debug)]
pub struct DirectorySettings {
    /// The directory; its data begins at `type=`.
    pub path: PathBuf,
    /// What to write into locks: who holds them, for another run's message.
    pub holder: String,
    /// Whether replaced sets are kept aside instead of deleted.
    pub keep_superseded: bool,
    /// How long replaced sets stay where they are for readers that have them open.
    pub keep_replaced: Duration,
    /// What is to be fetched anew though it is published.
    pub damage: Arc<Damage>,
    /// Whether partitions are locked. Without locks nothing keeps two runs on one directory apart; it is
    /// for mounts that have no locks.
    pub locks: bool,
}

/// What a destination and its claimed partitions share.
pub(super) struct Shared {
    pub root: Folder,
    pub side: Folder,
    pub manifests: Folder,
    pub staging: Folder,
    pub locks: Locks,
    pub account_id: AccountId,
    pub settings: DirectorySettings,
    pub observer: Arc<dyn Observer>,
    /// The run's time, by which replaced sets are named and grow old.
    pub clock: Arc<Clock>,
    /// The warnings that were told: a partition may be settled more than once in a run.
    pub warnings: Mutex<HashSet<String>>,
    /// This run's random number, by which it knows its own records.
    pub run: u64,
    /// What names the file system holds.
    pub names: Names,
}

impl Shared {
    /// The path below a partition's folder for an object's key.
    pub fn path_of(&self, key: &str) -> Result<FilePath> {
        self.names.path_of(&self.staging, key)
    }

    /// The header of what is published. Of a damaged partition it is what the manifest says, whether
    /// its data are there or not, and nothing where the manifest itself is damaged.
    pub fn published_header(&self, partition: &Partition) -> Result<Option<Header>> {
        let is_damaged = self.settings.damage.is_in(partition);
        match read_published(&self.root, Some(&self.manifests), partition) {
            Err(error) if is_damaged && error.kind() == ErrorKind::ManifestDamaged => Ok(None),
            Ok(None) if is_damaged => read_header(&self.manifests, partition),
            header => header,
        }
    }

    /// Makes the destination the account's, or checks that it is. Nothing is published before.
    ///
    /// # Errors
    /// [`ErrorKind::DestinationForeign`] where another account's run was faster.
    pub fn bind_to_account(&self) -> Result<()> {
        claim_for_account(&self.side, &self.account_id)
    }

    /// Tells something that a person should know, once.
    pub fn warn(&self, message: String) {
        let mut warnings = self.warnings.lock().unwrap_or_else(PoisonError::into_inner);
        if !warnings.contains(&message) {
            self.observer.observe(&Event::Warning { message: &message });
            warnings.insert(message);
        }
    }
}

/// A failure within one partition's part of the destination, which keeps no other from being published
/// (design.md promise 11).
pub(super) fn of_partition(error: Error) -> Error {
    match error.kind() {
        ErrorKind::DestinationUnusable => error.with_kind(ErrorKind::PartitionUnusable),
        _ => error,
    }
}
