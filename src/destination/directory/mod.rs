//! A mirror in a local directory: each partition is swapped in by one atomic rename.

mod account;
mod assemble;
mod beneath;
mod claim;
mod claimed;
mod durable;
mod evidence;
mod file_system;

mod folder;
mod layout;
mod ledger;
mod lock;
mod names;
mod place;
mod publication_record;

mod publish;
mod published;
mod read_only;
mod recover;
mod removal;
mod replaced;
mod replaced_name;
mod replaced_sets;
mod set_files;
mod set_manifest;
mod settle;
mod shared;
mod walk;
mod writer;

use std::path::Path;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;

use self::account::read_identity;
use self::claim::DirectoryClaim;
use self::claimed::Claimed;
use self::folder::Folder;
use self::lock::Locks;
use self::names::Names;
use self::published::{read_manifest, read_published_days};
pub use self::shared::DirectorySettings;
use self::shared::{Shared, of_partition};
use super::failure::failed;
use super::reports;
use super::{Claim, Destination, Manifests, Published, PublishedDays, PublishedManifest};

pub(super) use self::layout::SIDE_FOLDER;
pub use self::read_only::ReadOnlyDirectory;
pub(super) use self::replaced_sets::ReplacedSets;
use crate::clock::Clock;
use crate::error::{ErrorKind, Result};
use crate::export::{AccountId, Partition};
use crate::progress::Observer;

/// A mirror in a local directory.
pub struct DirectoryDestination(Arc<Shared>);

impl DirectoryDestination {
    /// Opens a directory for an account's mirror, made first where missing, and finishes or undoes
    /// what killed runs left. A partition with which that is not possible is a warning.
    ///
    /// # Errors
    /// [`ErrorKind::DestinationForeign`] for another account's mirror,
    /// [`ErrorKind::DestinationUnusable`] or [`ErrorKind::DestinationFull`] when it cannot be used.
    pub fn open(
        settings: DirectorySettings,
        account_id: &AccountId,
        observer: Arc<dyn Observer>,
        clock: Arc<Clock>,
    ) -> Result<Self> {
        std::fs::create_dir_all(&settings.path).map_err(|cause| failed("create", &settings.path, cause))?;
        let root = Folder::open_root(&settings.path)?;
        let side = root.create_child(layout::SIDE_FOLDER)?;
        if let Some(identity) = read_identity(&side)? {
            identity.check(account_id)?;
        }
        let staging = side.create_child(layout::STAGING)?;
        let run = rand::random();
        let names = Names::learn(&staging, run)?;
        let shared = Shared {
            manifests: side.create_child(layout::MANIFESTS)?,
            staging,
            locks: Locks::new(side.create_child(layout::LOCKS)?, names.segment_bytes_max(), settings.locks),
            names,
            root,
            side,
            account_id: account_id.clone(),
            settings,
            observer,
            clock,
            warnings: Mutex::default(),
            run,
        };
        let shared = Arc::new(shared);
        recover::recover(&shared);
        Ok(Self(shared))
    }

    /// Opens a directory only to read what is published; `None` where there is no mirror yet.
    ///
    /// # Errors
    /// As [`DirectoryDestination::open`]; nothing is written.
    pub fn read_only(path: &Path) -> Result<Option<ReadOnlyDirectory>> {
        if !path.exists() {
            return Ok(None);
        }
        let root = Folder::open_root(path)?;
        let Some(side) = root.child(layout::SIDE_FOLDER)? else { return Ok(None) };
        let account_id = read_identity(&side)?.map(|identity| identity.account_id);
        let manifests = side.child(layout::MANIFESTS)?;
        if manifests.is_none() && account_id.is_none() {
            return Ok(None);
        }
        let (runs, staging) = (side.child(layout::RUNS)?, side.child(layout::STAGING)?);
        Ok(Some(ReadOnlyDirectory { root, side, manifests, runs, staging, account_id, locks: true }))
    }
}

/// Removes what is staged of a partition, unless another run is staging it.
fn discard_staged(shared: &Arc<Shared>, partition: &Partition) -> Result<()> {
    let Some(type_staging) = shared.staging.child(&partition.type_name.folder())? else { return Ok(()) };
    if type_staging.child(&partition.date_folder())?.is_none() {
        return Ok(());
    }
    match Claimed::take(shared, partition) {
        // Then it is not left over, but another run's work.
        Err(error) if error.kind() == ErrorKind::Held => Ok(()),
        Err(error) => Err(error),
        Ok(claim) => {
            if let Err(error) = claim.clear() {
                shared.warn(format!("what is staged of {partition} is not removed: {error}"));
            }
            Ok(())
        }
    }
}

#[async_trait]
impl Manifests for DirectoryDestination {
    async fn published(&self, partition: &Partition) -> Result<Published> {
        let header = self.0.published_header(partition).map_err(of_partition)?;
        let is_damaged = self.0.settings.damage.is_in(partition);
        Ok(Published { header, is_damaged, ..Published::default() })
    }

    async fn manifest(&self, partition: &Partition) -> Result<Option<PublishedManifest>> {
        read_manifest(&self.0.manifests, partition)
    }
}

#[async_trait]
impl Destination for DirectoryDestination {
    async fn published_days(&self) -> Result<PublishedDays> {
        read_published_days(&self.0.manifests)
    }

    async fn claim(&self, partition: &Partition) -> Result<Arc<dyn Claim>> {
        Ok(Arc::new(DirectoryClaim(Claimed::take(&self.0, partition).map_err(of_partition)?)))
    }

    async fn discard_staged(&self, partition: &Partition) -> Result<()> {
        discard_staged(&self.0, partition).map_err(of_partition)
    }

    async fn keep_report(&self, id: &str, report: &[u8]) -> Result<()> {
        let runs = self.0.side.create_child(layout::RUNS)?;
        durable::replace_file(&runs, &format!("{id}.json"), report)?;
        let names = runs.entries()?.into_iter().map(|(name, _)| name).collect();
        reports::superfluous(names).iter().try_for_each(|name| runs.remove_file(name))
    }

    fn buffers_objects(&self) -> bool {
        false
    }

    async fn habits(&self) -> Vec<&'static str> {
        Vec::new()
    }

    async fn close(&self) -> Vec<String> {
        Vec::new()
    }
}
