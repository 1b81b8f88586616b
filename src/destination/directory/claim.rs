//! Staging a set: what is kept of the published one, what is staged already, and what is still to come.

use std::io::BufReader;
use std::sync::{Arc, PoisonError};

use async_trait::async_trait;

use super::claimed::Claimed;
use super::folder::Folder;
use super::ledger::{self, Ledger};
use super::published::read_verification;
use super::set_files::{is_whole, published_size_bytes};
use super::shared::of_partition;
use super::writer::DirectoryWriter;
use super::{layout, place, publish};
use crate::destination::failure::failed;
use crate::destination::record::{Place, Record};
use crate::destination::staging::{self, Recheck};
use crate::destination::{Claim, Inventory, ObjectWriter, Position, Publication, PublishTerms, Work};
use crate::error::{Error, ErrorKind, Result};
use crate::export::{FilePath, Object};
use crate::hash::ObjectHasher;
use crate::manifest::{Entry, EntryReader, Header, join};
use crate::plan::Listing;

/// What a former run staged is hashed again before it counts.
const RECHECKS: Recheck = Recheck::ByHash;

/// A claimed partition of a directory.
pub(super) struct DirectoryClaim(pub Claimed);

impl Claimed {
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
            && published_size_bytes(data, entry.file_path()) == Some(object.size_bytes)
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

    async fn prepare_set(&self, listing: &mut Listing, source: &str) -> Result<Inventory> {
        place::check_replaceable(&self.shared, &self.partition, &self.staging)?;
        let ledger = Arc::new(ledger::open(&self.staging, listing)?);
        self.keep_published(&ledger, source).await?;
        let inventory = staging::inventory(&ledger, self.shared.run, &self.partition, RECHECKS)?;
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

    fn pending(&self, position: Position, count_max: usize) -> Result<Option<(Vec<Work>, Position)>> {
        staging::pending(&*self.ledger()?, self.shared.run, position, count_max, RECHECKS)
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

#[async_trait]
impl Claim for DirectoryClaim {
    async fn prepare(&self, listing: &mut Listing, source: &str) -> Result<Inventory> {
        self.0.prepare_set(listing, source).await.map_err(of_partition)
    }

    async fn work(&self, position: Position, count_max: usize) -> Result<Option<(Vec<Work>, Position)>> {
        self.0.pending(position, count_max).map_err(of_partition)
    }

    async fn recheck(&self, work: &Work) -> Result<bool> {
        self.0.recheck_staged(work).map_err(of_partition)
    }

    async fn forget(&self, work: &Work) -> Result<()> {
        let name = layout::pool_name(&work.object);
        let forgotten = self.0.checkpoints.remove_file(&name).and_then(|()| self.0.pool.remove_file(&name));
        forgotten.map_err(of_partition)
    }

    async fn open(
        &self,
        work: &Work,
        hasher: ObjectHasher,
        _part_size_bytes: Option<u64>,
    ) -> Result<(Box<dyn ObjectWriter>, ObjectHasher)> {
        let (writer, hasher) = self.0.open_writer(work, hasher).map_err(of_partition)?;
        Ok((Box::new(writer), hasher))
    }

    async fn publish(&self, terms: PublishTerms) -> Result<Publication> {
        publish::publish(&self.0, &terms).map_err(of_partition)
    }

    async fn discard(&self) -> Result<()> {
        self.0.clear().map_err(of_partition)
    }

    /// The lock ends with the claim.
    async fn release(&self) -> Result<()> {
        Ok(())
    }
}
