//! A partition that a run has claimed: its lock, its staging folder, and what is staged there.

use std::fs::File;
use std::io::{self, BufReader, Read as _};
use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;
use sha2::{Digest as _, Sha256};

use super::folder::Folder;
use super::layout;
use super::ledger::{self, Ledger};
use super::lock::Lock;
use super::removal::{Remover, Rest, remove_emptied, remove_known};
use super::replaced::set_aside;
use super::replaced_name::{Fate, ReplacedName};
use super::settle::settle;
use super::writer::DirectoryWriter;
use super::{Shared, assemble, of_partition, place, publish, read_verification};

use crate::destination::failure::failed;
use crate::destination::record::{Place, Record};
use crate::destination::{
    Claim, Entries, Inventory, ObjectWriter, Position, Publication, PublishTerms, Work, publication,
};
use crate::error::{Error, ErrorKind, Result};
use crate::export::{FilePath, Object, Partition};
use crate::hash::ObjectHasher;
use crate::manifest::{Entry, EntryReader, Header, join};
use crate::plan::Listing;

/// A partition of a directory that belongs to this run: its lock and its staging folder.
pub(super) struct DirectoryClaim {
    pub(super) shared: Arc<Shared>,
    pub(super) partition: Partition,
    /// `_e3sync/staging/type=T`, which holds the next folder.
    pub(super) type_staging: Folder,
    /// `_e3sync/staging/type=T/date=D`.
    pub(super) staging: Folder,
    pub(super) pool: Folder,
    checkpoints: Arc<Folder>,
    ledger: RwLock<Option<Arc<Ledger>>>,
    _lock: Lock,
}

impl DirectoryClaim {
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
                    assemble::move_back(&set, &path, &object, &self.pool, &pool_name)?;
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

    /// Marks the objects that the published set has unchanged, from the same source. What a former
    /// run marked is not believed: the published day may have been touched since.
    async fn keep_published(&self, ledger: &Ledger, source: &str) -> Result<()> {
        ledger.forget_published()?;
        let Some((header, file)) = self.open_manifest()? else { return Ok(()) };
        let Some(data) = self.open_published()? else { return Ok(()) };
        if header.source != source {
            return Ok(());
        }
        let is_suspect = self.is_suspect(&header);
        let entries = EntryReader::new(BufReader::new(file))?;
        for pair in join(ledger.objects(Position::default()), entries) {
            let pair = pair?;
            let Some((_, entry)) = pair.right.filter(|(_, entry)| entry.is_of(&pair.left)) else { continue };
            let is_missing = ledger.record(pair.left_index)?.place == Place::Missing;
            if is_missing
                && self.is_published(&data, &pair.left, &entry)
                && (!is_suspect || is_unchanged(&data, &entry).await)
            {
                let record = Record { place: Place::Published, content: Some(entry.content()), stored_etag: None };
                ledger.set_record(pair.left_index, record)?;
            }
        }
        Ok(())
    }

    /// Whether the file that a manifest's line names stands there, whole. Today's rules may give the
    /// object another path, in a mirror that was copied from another file system.
    fn is_published(&self, data: &Folder, object: &Object, entry: &Entry) -> bool {
        let is_sound = !self.shared.settings.damage.has_object(&self.partition, &object.key);
        is_sound
            && FilePath::as_recorded(entry.file_path()).is_ok()
            && assemble::published_size_bytes(data, entry.file_path()) == Some(object.size_bytes)
    }

    /// Whether files of the published set may have other bytes than its manifest says, so that none is
    /// taken over unread: a verification found that some have, and may not have looked at all.
    fn is_suspect(&self, header: &Header) -> bool {
        let is_noted = || match read_verification(&self.shared.side) {
            Ok(record) => record.damage_of(&self.partition, Some(header.published_at)).is_some(),
            // What cannot be read may say anything.
            Err(_) => true,
        };
        self.is_damaged() || is_noted()
    }

    /// Sees that there is room for what is to come, before any of it comes.
    fn check_room(&self, wanted_bytes: u64) -> Result<()> {
        let Some(free_bytes) = self.staging.free_bytes().filter(|free_bytes| *free_bytes < wanted_bytes) else {
            return Ok(());
        };
        // Large objects that are here in part take no room twice.
        let wanted_bytes = wanted_bytes.saturating_sub(self.unfinished_bytes()?);
        if wanted_bytes <= free_bytes {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::DestinationFull,
            format!("{} needs {wanted_bytes} bytes, and the destination has {free_bytes} bytes free", self.partition),
        )
        .with_hint("make room and run again; what is finished is kept and not fetched again"))
    }

    /// The bytes in the pool of objects that have notes about how far they are.
    fn unfinished_bytes(&self) -> Result<u64> {
        let notes = self.checkpoints.entries()?;
        Ok(notes.iter().filter_map(|(name, _)| self.pool.file_size_bytes(name)).sum())
    }

    /// The lines of the present manifest, none where there is no manifest.
    pub fn published_entries(&self) -> Result<Entries> {
        let Some((_, file)) = self.open_manifest()? else { return Ok(Box::new(std::iter::empty())) };
        Ok(Box::new(EntryReader::new(BufReader::new(file))?))
    }

    fn open_manifest(&self) -> Result<Option<(Header, File)>> {
        let Some(folder) = self.shared.manifests.child(&self.partition.type_name.folder())? else { return Ok(None) };
        let name = layout::manifest_name(&self.partition);
        let (Some(to_verify), Some(to_read)) = (folder.file(&name)?, folder.file(&name)?) else { return Ok(None) };
        match crate::manifest::verify(BufReader::new(to_verify)) {
            Err(error) if error.kind() == ErrorKind::ManifestDamaged && self.is_damaged() => Ok(None),
            header => Ok(Some((header?, to_read))),
        }
    }

    /// Whether this run is to repair the partition.
    fn is_damaged(&self) -> bool {
        self.shared.settings.damage.is_in(&self.partition)
    }

    fn open_published(&self) -> Result<Option<Folder>> {
        match self.shared.root.child(&self.partition.type_name.folder())? {
            Some(folder) => folder.child(&self.partition.date_folder()),
            None => Ok(None),
        }
    }

    fn inventory(&self, ledger: &Ledger) -> Result<Inventory> {
        let mut inventory = Inventory::default();
        for (object, record) in ledger.objects(Position::default()).zip(ledger.records(0)) {
            let object = object?;
            let place = record?.place;
            publication::check_kept(&object, place, &self.partition)?;
            match place {
                Place::Missing => {}
                Place::Staged { run } if run != self.shared.run => {
                    inventory.objects_staged += 1;
                    inventory.bytes_staged += object.size_bytes;
                }
                Place::Staged { .. } | Place::Published => {
                    inventory.objects_here += 1;
                    inventory.objects_unchanged += u64::from(place == Place::Published);
                    inventory.bytes_here += object.size_bytes;
                }
            }
        }
        Ok(inventory)
    }

    fn read_work(&self, position: Position, count_max: usize) -> Result<Option<(Vec<Work>, Position)>> {
        let ledger = self.ledger()?;
        let mut lines = ledger.objects(position);
        let mut pairs = lines.by_ref().zip(ledger.records(position.index));
        let mut index = position.index;
        let mut work = Vec::with_capacity(count_max);
        while work.len() < count_max {
            let Some((object, record)) = pairs.next() else { break };
            let object = object?;
            match record?.place {
                Place::Published => {}
                Place::Staged { run } if run == self.shared.run => {}
                Place::Staged { .. } => work.push(Work { index, object, is_staged: true }),
                Place::Missing => work.push(Work { index, object, is_staged: false }),
            }
            index += 1;
        }
        let position = Position { index, offset: position.offset + lines.offset };
        Ok((!work.is_empty()).then_some((work, position)))
    }

    async fn prepare_set(&self, listing: &mut Listing, source: &str) -> Result<Inventory> {
        place::check_replaceable(&self.shared, &self.partition, &self.staging)?;
        let ledger = Arc::new(ledger::open(&self.staging, listing)?);
        self.keep_published(&ledger, source).await?;
        let inventory = self.inventory(&ledger)?;
        let here_bytes = inventory.bytes_here.saturating_add(inventory.bytes_staged);
        self.check_room(listing.summary.bytes.saturating_sub(here_bytes))?;
        *self.ledger.write().unwrap_or_else(PoisonError::into_inner) = Some(ledger);
        Ok(inventory)
    }

    fn recheck_staged(&self, work: &Work) -> Result<bool> {
        let ledger = self.ledger()?;
        let record = ledger.record(work.index)?;
        let is_whole = is_as_recorded(&self.pool, &work.object, &record)?;
        let place = if is_whole { Place::Staged { run: self.shared.run } } else { Place::Missing };
        ledger.set_record(work.index, Record { place, ..record })?;
        Ok(is_whole)
    }

    fn open_writer(&self, work: &Work, hasher: ObjectHasher) -> Result<(DirectoryWriter, ObjectHasher)> {
        let name = layout::pool_name(&work.object);
        DirectoryWriter::open(&self.pool, &self.checkpoints, name, work, self.ledger()?, self.shared.run, hasher)
    }
}

impl Drop for DirectoryClaim {
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

/// Hashes a file of the pool and compares it with its record.
fn is_as_recorded(pool: &Folder, object: &Object, record: &Record) -> Result<bool> {
    let name = layout::pool_name(object);
    let (Some(content), Some(file)) = (record.content, pool.file(&name)?) else { return Ok(false) };
    is_whole(file, object.size_bytes, &content.sha256).map_err(|cause| failed("read", &pool.path().join(&name), cause))
}

/// Hashes a published file and compares it with its manifest. One that cannot be read is fetched again.
async fn is_unchanged(data: &Folder, entry: &Entry) -> bool {
    let Some(file) = data.file_beneath(entry.file_path()).ok().flatten() else { return false };
    let (size_bytes, sha256) = (entry.size_bytes, entry.sha256.0);
    // Hashing keeps its thread busy; the transfers' threads stay free, and the run can be stopped.
    let hashed = tokio::task::spawn_blocking(move || is_whole(file, size_bytes, &sha256)).await;
    hashed.is_ok_and(|is_whole| is_whole.unwrap_or(false))
}

/// Hashes a file and compares it with what it should be.
pub(super) fn is_whole(mut file: File, size_bytes: u64, sha256: &[u8; 32]) -> io::Result<bool> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 128 * 1024];
    let mut length_bytes = 0;
    loop {
        let count = file.read(&mut buffer)?;
        if count == 0 {
            break;
        }
        hasher.update(&buffer[..count]);
        length_bytes += count as u64;
    }
    let digest: [u8; 32] = hasher.finalize().into();
    Ok(length_bytes == size_bytes && digest == *sha256)
}

#[async_trait]
impl Claim for DirectoryClaim {
    async fn prepare(&self, listing: &mut Listing, source: &str) -> Result<Inventory> {
        self.prepare_set(listing, source).await.map_err(of_partition)
    }

    async fn work(&self, position: Position, count_max: usize) -> Result<Option<(Vec<Work>, Position)>> {
        self.read_work(position, count_max).map_err(of_partition)
    }

    async fn recheck(&self, work: &Work) -> Result<bool> {
        self.recheck_staged(work).map_err(of_partition)
    }

    async fn forget(&self, work: &Work) -> Result<()> {
        let name = layout::pool_name(&work.object);
        let forgotten = self.checkpoints.remove_file(&name).and_then(|()| self.pool.remove_file(&name));
        forgotten.map_err(of_partition)
    }

    async fn open(
        &self,
        work: &Work,
        hasher: ObjectHasher,
        _part_size_bytes: Option<u64>,
    ) -> Result<(Box<dyn ObjectWriter>, ObjectHasher)> {
        let (writer, hasher) = self.open_writer(work, hasher).map_err(of_partition)?;
        Ok((Box::new(writer), hasher))
    }

    async fn publish(&self, terms: PublishTerms) -> Result<Publication> {
        publish::publish(self, &terms).map_err(of_partition)
    }

    async fn discard(&self) -> Result<()> {
        self.clear().map_err(of_partition)
    }
}
