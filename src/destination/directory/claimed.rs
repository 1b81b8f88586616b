//! A partition that this run holds: its lock, its staging folder, and what is staged there.

use std::fs::File;
use std::io::BufReader;
use std::sync::{Arc, PoisonError, RwLock};

use super::folder::Folder;
use super::ledger::{self, Ledger};
use super::lock::Lock;
use super::removal::{Remover, Rest, remove_emptied, remove_known};
use super::replaced::set_aside;
use super::replaced_name::{Fate, ReplacedName};
use super::settle::settle;
use super::shared::Shared;
use super::{layout, set_files};
use crate::destination::record::Place;
use crate::destination::{Entries, Position};
use crate::error::{Error, ErrorKind, Result};
use crate::export::Partition;
use crate::manifest::{EntryReader, Header};

/// A partition of a directory that belongs to this run: its lock and its staging folder.
pub(super) struct Claimed {
    pub(super) shared: Arc<Shared>,
    pub(super) partition: Partition,
    /// `_e3sync/staging/type=T`, which holds the next folder.
    pub(super) type_staging: Folder,
    /// `_e3sync/staging/type=T/date=D`.
    pub(super) staging: Folder,
    pub(super) pool: Folder,
    pub(super) checkpoints: Arc<Folder>,
    pub(super) ledger: RwLock<Option<Arc<Ledger>>>,
    _lock: Lock,
}

impl Claimed {
    /// Takes the partition's lock and settles what a killed run left of a publication.
    pub fn take(shared: &Arc<Shared>, partition: &Partition) -> Result<Self> {
        let lock = shared.locks.take(partition, &shared.settings.holder)?;
        let type_staging = shared.staging.create_child(&partition.type_name.folder())?;
        let staging = type_staging.create_child(&partition.date_folder())?;
        settle(shared, partition, &staging)?;
        let claim = Self {
            pool: staging.create_child(layout::POOL)?,
            checkpoints: Arc::new(staging.create_child(layout::CHECKPOINTS)?),
            shared: shared.clone(),
            partition: partition.clone(),
            type_staging,
            staging,
            ledger: RwLock::new(None),
            _lock: lock,
        };
        claim.take_set_apart()?;
        Ok(claim)
    }

    /// Puts the objects of a set that was assembled but not published back into the pool. Links to
    /// published files are removed: nothing in the pool is ever a published file too. What no ledger
    /// names is somebody else's, and moved aside.
    fn take_set_apart(&self) -> Result<()> {
        let Some(set) = self.staging.child(layout::SET)? else { return Ok(()) };
        let mut remover = Remover::new(&set);
        for ledger in ledger::open_all(&self.staging)? {
            for (object, record) in ledger.objects(Position::default()).zip(ledger.records(0)) {
                let (object, record) = (object?, record?);
                // A key that no file can have is in no set.
                let Ok(path) = self.shared.path_of(&object.key) else { continue };
                let pool_name = layout::pool_name(&object);
                let is_staged = matches!(record.place, Place::Staged { .. });
                if is_staged && self.pool.inode_of(&pool_name).is_none() {
                    set_files::move_back(&set, &path, &object, &self.pool, &pool_name)?;
                }
                remover.remove(path.as_str(), object.size_bytes);
            }
        }
        remover.finish()?;
        if remove_emptied(&self.staging, layout::SET)? == Rest::Nothing {
            return Ok(());
        }
        let name = ReplacedName::new(self.shared.clock.now(), Fate::KeepForeign);
        set_aside(&self.shared, &self.partition, &self.staging, layout::SET, name)
    }

    /// Removes what this tool staged of the partition, by its names, and nothing else.
    pub fn clear(&self) -> Result<()> {
        self.take_set_apart()?;
        remove_known(&self.staging, layout::POOL, layout::is_pool_name)?;
        remove_known(&self.staging, layout::CHECKPOINTS, layout::is_pool_name)?;
        ledger::remove_all(&self.staging)
    }

    /// The set that is being staged.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`] before a listing was prepared.
    pub fn ledger(&self) -> Result<Arc<Ledger>> {
        let ledger = self.ledger.read().unwrap_or_else(PoisonError::into_inner);
        ledger.clone().ok_or_else(|| Error::new(ErrorKind::Internal, format!("{} has no listing yet", self.partition)))
    }

    /// The lines of the present manifest, none where there is no manifest.
    pub fn published_entries(&self) -> Result<Entries> {
        let Some((_, file)) = self.open_manifest()? else { return Ok(Box::new(std::iter::empty())) };
        Ok(Box::new(EntryReader::new(BufReader::new(file))?))
    }

    /// The present manifest, verified and open at its beginning; none where this run is to repair a damaged one.
    pub fn open_manifest(&self) -> Result<Option<(Header, File)>> {
        let Some(folder) = self.shared.manifests.child(&self.partition.type_name.folder())? else { return Ok(None) };
        let name = layout::manifest_name(&self.partition);
        let (Some(to_verify), Some(to_read)) = (folder.file(&name)?, folder.file(&name)?) else { return Ok(None) };
        match crate::manifest::verify(BufReader::new(to_verify)) {
            Err(error) if error.kind() == ErrorKind::ManifestDamaged && self.is_damaged() => Ok(None),
            header => Ok(Some((header?, to_read))),
        }
    }

    /// Whether this run is to repair the partition.
    pub fn is_damaged(&self) -> bool {
        self.shared.settings.damage.is_in(&self.partition)
    }

    /// The folder with what is published of the partition.
    pub fn open_published(&self) -> Result<Option<Folder>> {
        match self.shared.root.child(&self.partition.type_name.folder())? {
            Some(folder) => folder.child(&self.partition.date_folder()),
            None => Ok(None),
        }
    }
}

impl Drop for Claimed {
    /// Leaves no empty folders behind; what is staged stays.
    fn drop(&mut self) {
        // Over a network an open file keeps a name in its folder when it is removed.
        *self.ledger.get_mut().unwrap_or_else(PoisonError::into_inner) = None;
        for name in [layout::POOL, layout::CHECKPOINTS] {
            self.staging.remove_if_empty(name);
        }
        self.type_staging.remove_if_empty(&self.partition.date_folder());
    }
}
