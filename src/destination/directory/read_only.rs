//! A directory opened to read what is published.

use std::cell::RefCell;
use std::io::Read as _;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures::stream::{self, BoxStream, StreamExt as _};
use rustix::fs::FileType;

use super::folder::Folder;
use super::lock::Locks;
use super::replaced_sets::{ReplacedSets, replaced_in_staging};

use super::published::{is_publication_begun, read_manifest, read_published, read_published_days, read_verification};
use super::walk::Walk;
use super::{durable, layout};
use crate::destination::failure::failed;
use crate::destination::reports::newest_first;
use crate::destination::{
    ByteTaker, Manifests, Published, PublishedDays, PublishedFiles, PublishedManifest, PublishedSets, StandingFile,
    VerificationChange, VerificationRecord,
};
use crate::error::{ErrorKind, Result};
use crate::export::{NameRules, Partition, TypeName, day_of_folder};

/// Files are read in blocks of this size: large enough that calls cost nothing, and small enough that
/// a block is hashed while the processor still has it at hand.
const BLOCK_BYTES: usize = 256 * 1024;

/// How long another process is waited for that is writing the same small file.
const LOCK_TIMEOUT: Duration = Duration::from_secs(5);
const LOCK_PAUSE: Duration = Duration::from_millis(20);

thread_local! {
    /// A thread's block. Making one for each small file would cost as much as hashing the file.
    static BLOCK: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// What is published in a directory, for commands that change nothing.
pub struct ReadOnlyDirectory {
    pub(super) root: Folder,
    pub(super) side: Folder,
    /// `None` where somebody removed it: then nothing that is there is known to be published.
    pub(super) manifests: Option<Folder>,
    pub(super) runs: Option<Folder>,
    pub(super) staging: Option<Folder>,
    pub(super) account_id: Option<String>,
    pub(super) locks: bool,
}

impl ReadOnlyDirectory {
    /// The same, which takes no lock for what it notes: for mounts that have no locks.
    #[must_use]
    pub fn without_locks(mut self) -> Self {
        self.locks = false;
        self
    }

    /// The replaced sets that are not deleted yet.
    pub(in crate::destination) fn replaced_sets(&self) -> Result<ReplacedSets> {
        ReplacedSets::read(&self.side, self.staging.as_ref())
    }

    /// The folder with the manifests of a partition's type.
    fn manifests_of(&self, partition: &Partition) -> Result<Option<Folder>> {
        self.manifests.as_ref().map_or(Ok(None), |manifests| manifests.child(&partition.type_name.folder()))
    }

    fn walk(&self, partition: &Partition) -> Result<Option<Walk>> {
        let folder = match self.root.child(&partition.type_name.folder())? {
            Some(folder) => folder.child(&partition.date_folder())?,
            None => None,
        };
        folder.map(Walk::new).transpose()
    }
}

#[async_trait]
impl Manifests for ReadOnlyDirectory {
    async fn published(&self, partition: &Partition) -> Result<Published> {
        let header = read_published(&self.root, self.manifests.as_ref(), partition)?;
        Ok(Published { header, ..Published::default() })
    }

    async fn manifest(&self, partition: &Partition) -> Result<Option<PublishedManifest>> {
        self.manifests.as_ref().map_or(Ok(None), |manifests| read_manifest(manifests, partition))
    }
}

#[async_trait]
impl PublishedSets for ReadOnlyDirectory {
    fn account_id(&self) -> Option<&str> {
        self.account_id.as_deref()
    }

    async fn days(&self) -> Result<PublishedDays> {
        self.manifests.as_ref().map_or(Ok(Vec::new()), read_published_days)
    }

    async fn staged(&self) -> Result<Vec<Partition>> {
        let Some(staging) = &self.staging else { return Ok(Vec::new()) };
        let mut staged = Vec::new();
        for (type_folder, _) in staging.entries()? {
            let type_name = type_folder.strip_prefix("type=").and_then(|name| TypeName::parse(name).ok());
            let (Some(type_name), Some(folder)) = (type_name, staging.child(&type_folder)?) else { continue };
            for (name, _) in folder.entries()? {
                let Some(date) = day_of_folder(&name) else { continue };
                if has_staged(&folder, &name) {
                    staged.push(Partition { type_name: type_name.clone(), date });
                }
            }
        }
        staged.sort_by(|one, other| (&one.type_name, one.date).cmp(&(&other.type_name, other.date)));
        Ok(staged)
    }

    async fn reports(&self, count_max: usize) -> Result<Vec<Option<Vec<u8>>>> {
        let Some(runs) = &self.runs else { return Ok(Vec::new()) };
        let names = runs.entries()?.into_iter().map(|(name, _)| name).filter(|name| name.ends_with(".json"));
        let names = newest_first(names.collect(), count_max);
        // A report that is gone by now is none; one that cannot be read is one all the same.
        Ok(names.iter().filter_map(|name| runs.file_bytes(name).map_or(Some(None), |bytes| bytes.map(Some))).collect())
    }

    async fn verification(&self) -> Result<VerificationRecord> {
        read_verification(&self.side)
    }
}

/// Whether more is in a partition's staging folder than replaced sets that could not be moved away.
fn has_staged(parent: &Folder, name: &str) -> bool {
    // What cannot be read may be anything.
    let Some(entries) = parent.child(name).ok().flatten().and_then(|folder| folder.entries().ok()) else { return true };
    entries.is_empty() || entries.iter().any(|(name, _)| replaced_in_staging(name).is_none())
}

#[async_trait]
impl PublishedFiles for ReadOnlyDirectory {
    async fn days_with_data(&self) -> Result<PublishedDays> {
        let mut types = Vec::new();
        for (type_folder, kind) in self.root.entries()? {
            let type_name = type_folder.strip_prefix("type=").and_then(|name| TypeName::parse(name).ok());
            let Some(type_name) = type_name.filter(|_| kind == FileType::Directory) else { continue };
            let Some(folder) = self.root.child(&type_folder)? else { continue };
            let mut days: Vec<_> = folder.entries()?.iter().filter_map(|(name, _)| day_of_folder(name)).collect();
            days.sort();
            types.push((type_name, days));
        }
        types.sort();
        Ok(types)
    }

    async fn is_being_replaced(&self, partition: &Partition) -> Result<bool> {
        let folder = self.manifests_of(partition)?;
        Ok(folder.is_some_and(|folder| is_publication_begun(&folder, partition)))
    }

    fn standing<'a>(&'a self, partition: &'a Partition) -> BoxStream<'a, Result<StandingFile>> {
        match self.walk(partition) {
            Ok(walk) => stream::iter(walk.into_iter().flatten()).boxed(),
            Err(error) => stream::iter([Err(error)]).boxed(),
        }
    }

    async fn read(&self, partition: &Partition, path: &str, taker: &mut dyn ByteTaker) -> Result<bool> {
        taker.begin();
        let address = self.address(partition, path);
        let Some(mut file) = self.root.file_beneath(&address)? else { return Ok(false) };
        BLOCK.with_borrow_mut(|block| {
            block.resize(BLOCK_BYTES, 0);
            loop {
                let count = match file.read(block) {
                    Ok(0) => return Ok(true),
                    Ok(count) => count,
                    Err(cause) if cause.kind() == std::io::ErrorKind::Interrupted => continue,
                    Err(cause) => return Err(failed("read", &self.root.path().join(&address), cause)),
                };
                if taker.take(&block[..count]).is_break() {
                    return Ok(true);
                }
            }
        })
    }

    async fn change_verification(&self, change: &VerificationChange<'_>) -> Result<()> {
        let folder = self.side.create_child(layout::LOCKS)?;
        let name_bytes_max = NameRules::reported(folder.name_bytes_max(), false).segment_bytes_max();
        let locks = Locks::new(folder, name_bytes_max, self.locks);
        let began = Instant::now();
        // It is held while one small file is written, so that waiting for it is short.
        let _lock = loop {
            match locks.take_named("verification", "the record of verifications", "another verification") {
                Err(error) if error.kind() == ErrorKind::Held && began.elapsed() < LOCK_TIMEOUT => {
                    tokio::time::sleep(LOCK_PAUSE).await;
                }
                taken => break taken?,
            }
        };
        let mut record = read_verification(&self.side)?;
        change(&mut record);
        durable::replace_file(&self.side, layout::VERIFICATION, &record.to_bytes())
    }

    fn address(&self, partition: &Partition, path: &str) -> String {
        format!("{}{path}", partition.prefix())
    }
}
