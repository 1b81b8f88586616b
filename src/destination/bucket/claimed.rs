//! A partition in a bucket that this run alone works on, and the set that is staged of it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use futures::TryStreamExt as _;
use tokio::sync::OnceCell;

use super::fragment::{self, FinishedLine, FragmentLine, Unfinished, UnfinishedUploads};
use super::inventory::{BucketWalk, Found, UNCONFIRMED};
use super::journal::Journal;
use super::layout::Layout;
use super::lease::Inheritance;

use super::read_only;
use super::shared::Shared;
use super::spool::{ObjectList, Spool};
use super::store::{Upload, Version};
use crate::destination::ledger;
use crate::destination::record::{Place, Record, StoredEtag};
use crate::destination::staging::{self, Recheck};
use crate::destination::{Inventory, Position, PublishedManifest};
use crate::error::{Error, ErrorKind, Result};
use crate::export::{Object, Partition};
use crate::manifest::join;
use crate::plan::Listing;

pub(super) type Ledger = ledger::Ledger<Spool>;

/// Fragments are read up to this size; one has a few hundred lines.
const FRAGMENT_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// What a former run says that it stored counts once the bucket confirms it, and is else transferred again.
pub(super) const RECHECKS: Recheck = Recheck::None;

/// Number of lines about another listing than the present one that are matched with it at once.
const MATCHED_AT_ONCE: usize = 10_000;

/// What a claim and its writers share.
pub(super) struct Claimed {
    pub shared: Arc<Shared>,
    pub partition: Partition,
    /// What another run, or this one before, may have left of the partition.
    pub inheritance: Inheritance,
    /// What was published when the partition was claimed.
    pub manifest: Option<Manifest>,
    pub journal: Arc<Journal>,
    staged: RwLock<Option<Arc<Staged>>>,
    /// Whether anything in the partition was touched.
    begun: OnceCell<()>,
    /// Uploads of former runs that can go on, by the object's key.
    unfinished: Mutex<HashMap<String, Unfinished>>,
    /// Whether an upload may have been begun of which this run knows nothing: its answer got lost.
    has_unheard_upload: AtomicBool,
    /// Whether a set that was staged has other objects under keys of the published one.
    overwrites: AtomicBool,
    /// Whether this run has removed the marker of the published set.
    unmarked: AtomicBool,
    /// The fragments of former runs.
    fragments: Mutex<Vec<String>>,
}

/// A published manifest.
pub(super) struct Manifest {
    pub published: PublishedManifest,
    pub version: Version,
}

/// The set that is being staged.
pub(super) struct Staged {
    pub ledger: Ledger,
    pub found: Found,
    /// How many objects are published as they are wanted.
    pub objects_unchanged: u64,
}

async fn read_manifest(shared: &Shared, partition: &Partition) -> Result<Option<Manifest>> {
    let found = read_only::read_manifest(&shared.requests, &shared.layout, partition).await?;
    Ok(found.map(|(published, version)| Manifest { published, version }))
}

/// Notes what a former run says that it stored; the walk over the bucket confirms it or not.
fn note_finished(ledger: &Ledger, index: u64, line: &FinishedLine) -> Result<()> {
    let record = Record {
        place: Place::Staged { run: UNCONFIRMED },
        content: Some(line.entry.content()),
        stored_etag: line.entry.stored_etag.as_deref().and_then(StoredEtag::new),
    };
    ledger.set_record(index, record)
}

/// Notes the objects that the present listing has too.
fn match_with(ledger: &Ledger, lines: &mut Vec<FinishedLine>) -> Result<()> {
    let mut lines = std::mem::take(lines);
    if lines.is_empty() {
        return Ok(());
    }
    lines.sort_by(|one, other| one.entry.key.cmp(&other.entry.key));
    let entries = lines.iter().map(|line| Ok(line.entry.clone()));
    for pair in join(ledger.objects(Position::default()), entries) {
        let pair = pair?;
        if let Some((at, entry)) = pair.right.filter(|(_, entry)| entry.is_of(&pair.left))
            && let Some(line) = usize::try_from(at).ok().and_then(|at| lines.get(at))
        {
            debug_assert_eq!(line.entry.key, entry.key);
            note_finished(ledger, pair.left_index, line)?;
        }
    }
    Ok(())
}

impl Claimed {
    /// Claims the partition, and reads what is published of it.
    pub async fn take(shared: &Arc<Shared>, partition: &Partition) -> Result<Arc<Self>> {
        let inheritance = shared.lease.claim(partition).await?;
        shared.catalog.note_claimed(partition);
        let manifest = read_manifest(shared, partition).await?;
        shared.catalog.note_published(
            partition,
            manifest.as_ref().map(|manifest| (&manifest.published.header, &manifest.version)),
        );
        let journal = shared.journal_of(partition);
        Ok(Arc::new(Self {
            shared: shared.clone(),
            partition: partition.clone(),
            inheritance,
            manifest,
            journal,
            staged: RwLock::new(None),
            begun: OnceCell::new(),
            unfinished: Mutex::new(HashMap::new()),
            has_unheard_upload: AtomicBool::new(false),
            overwrites: AtomicBool::new(false),
            unmarked: AtomicBool::new(false),
            fragments: Mutex::new(Vec::new()),
        }))
    }

    /// The set that is being staged.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`] before a listing was prepared.
    pub fn staged(&self) -> Result<Arc<Staged>> {
        let staged = self.staged.read().unwrap_or_else(PoisonError::into_inner);
        staged.clone().ok_or_else(|| Error::new(ErrorKind::Internal, format!("{} has no listing yet", self.partition)))
    }

    /// Whether anything in the partition was touched by this run.
    pub fn has_begun(&self) -> bool {
        self.begun.initialized()
    }

    /// Tells readers, before anything is touched, that the day is not complete; and keeps aside what
    /// is about to be overwritten, where the user wants that.
    pub async fn begin(&self, staged: &Staged) -> Result<()> {
        let begun = self.begun.get_or_try_init(|| async {
            let requests = &self.shared.requests;
            if staged.found.has_success_marker {
                requests.delete(&[self.shared.layout.success_marker(&self.partition)]).await?;
                self.unmarked.store(true, Ordering::Relaxed);
            }
            self.keep_overwritten_aside(&staged.found).await
        });
        begun.await.copied()
    }

    /// Copies objects of the published set to where no reader looks for data.
    pub async fn keep_aside(&self, objects: &ObjectList) -> Result<()> {
        let Some(manifest) = &self.manifest else { return Ok(()) };
        let shared = &self.shared;
        let set = manifest.published.header.published_at.strftime("%Y%m%dT%H%M%SZ").to_string();
        for object in objects.iter() {
            let object = object?;
            let from = shared.key_of(&self.partition, &object.key);
            let to = shared.layout.superseded(&self.partition, &set, &object.key);
            shared.requests.copy(&from, &to, object.size_bytes).await?;
        }
        Ok(())
    }

    async fn keep_overwritten_aside(&self, found: &Found) -> Result<()> {
        if self.shared.settings.keep_superseded { self.keep_aside(&found.overwritten).await } else { Ok(()) }
    }

    /// Takes a listing as the set to be staged.
    pub async fn stage(&self, listing: &mut Listing, source: &str) -> Result<Inventory> {
        let previous = self.staged().ok();
        let ledger = self.ledger_of(listing)?;
        self.journal.begin(listing.summary.digest).await?;
        match &previous {
            Some(previous) => ledger.take_over(&previous.ledger)?,
            None if self.inheritance.is_inherited => self.read_fragments(&ledger, listing).await?,
            None => {}
        }
        let walk = BucketWalk {
            requests: &self.shared.requests,
            layout: &self.shared.layout,
            partition: &self.partition,
            ledger: &ledger,
            previous: previous.as_ref().map(|previous| &previous.ledger),
            manifest: self.manifest.as_ref().map(|manifest| &manifest.published),
            is_same_source: self.manifest.as_ref().is_some_and(|manifest| manifest.published.header.source == source),
            run: self.shared.run,
            former_runs: &self.inheritance.former_runs,
            spill_folder: &self.shared.settings.spill_folder,
            damage: &self.shared.settings.damage,
        };
        let found = walk.go().await?;
        if !found.overwritten.is_empty() {
            self.overwrites.store(true, Ordering::Relaxed);
        }
        if self.has_begun() {
            self.keep_overwritten_aside(&found).await?;
        }
        let inventory = staging::inventory(&ledger, self.shared.run, &self.partition, RECHECKS)?;
        let staged = Arc::new(Staged { ledger, found, objects_unchanged: inventory.objects_unchanged });
        *self.staged.write().unwrap_or_else(PoisonError::into_inner) = Some(staged);
        Ok(inventory)
    }

    fn ledger_of(&self, listing: &mut Listing) -> Result<Ledger> {
        let spill_folder = &self.shared.settings.spill_folder;
        let told = |cause| crate::destination::failure::failed("write below", spill_folder, cause);
        let lines = Spool::new(spill_folder);
        lines.with(|file| listing.copy_to(file)).map_err(told)?;
        Ok(Ledger::new(lines, Spool::new(spill_folder), spill_folder.clone()))
    }

    /// Takes in what former runs have noted, and gives up the uploads that none of it can go on with.
    async fn read_fragments(&self, ledger: &Ledger, listing: &Listing) -> Result<()> {
        let mut keys = Vec::new();
        let mut others = Vec::new();
        let mut uploads = UnfinishedUploads::default();
        let prefix = self.shared.layout.staging_of(&self.partition);
        let mut objects = self.shared.requests.objects(&prefix);
        while let Some(object) = objects.try_next().await? {
            if !Layout::is_fragment(&object.key) {
                continue;
            }
            let bytes = self.shared.requests.get_start(&object.key, FRAGMENT_BYTES_MAX).await?;
            keys.push(object.key);
            let Some(fragment) = bytes.and_then(|(bytes, _)| fragment::read(&bytes)) else { continue };
            let is_same_listing = fragment.listing_digest == listing.summary.digest;
            for line in fragment.lines {
                match line {
                    FragmentLine::Finished(line) if is_same_listing => note_finished(ledger, line.index, &line)?,
                    FragmentLine::Finished(line) => others.push(line),
                    FragmentLine::Unfinished(line) => {
                        uploads.add(self.shared.key_of(&self.partition, &line.object.key), line)
                    }
                }
            }
            if others.len() >= MATCHED_AT_ONCE {
                match_with(ledger, &mut others)?;
            }
        }
        match_with(ledger, &mut others)?;
        *self.fragments.lock().unwrap_or_else(PoisonError::into_inner) = keys;
        self.take_uploads_over(uploads).await
    }

    /// Keeps the uploads that can go on, one of each object, and gives all others up.
    async fn take_uploads_over(&self, uploads: UnfinishedUploads) -> Result<()> {
        let mut kept: HashMap<String, Unfinished> = HashMap::new();
        let mut given_up = Vec::new();
        for unfinished in uploads.into_iter() {
            if !unfinished.is_continuable() {
                given_up.push(unfinished.upload);
            } else if let Some(other) = kept.insert(unfinished.object.key.clone(), unfinished) {
                given_up.push(other.upload);
            }
        }
        let layout = &self.shared.layout;
        for prefix in [layout.partition(&self.partition), layout.manifest(&self.partition)] {
            let uploads = self.shared.requests.uploads(&prefix).await?.unwrap_or_default();
            let is_kept = |upload: &Upload| kept.values().any(|unfinished| unfinished.upload.id == upload.id);
            given_up.extend(uploads.into_iter().filter(|upload| !is_kept(upload)));
        }
        for upload in &given_up {
            self.shared.requests.abort_upload(upload).await?;
        }
        *self.unfinished.lock().unwrap_or_else(PoisonError::into_inner) = kept;
        Ok(())
    }

    /// An upload of a former run that this object can go on with.
    pub fn unfinished_of(&self, object: &Object) -> Option<Unfinished> {
        self.unfinished.lock().unwrap_or_else(PoisonError::into_inner).remove(&object.key)
    }

    /// Notes that there may be an upload whose beginning was not heard of.
    pub fn note_unheard_upload(&self) {
        self.has_unheard_upload.store(true, Ordering::Relaxed);
    }

    /// Ends the claim: gives up what is still unfinished, and deletes every note about the partition.
    pub async fn end(&self) -> Result<()> {
        let unfinished = std::mem::take(&mut *self.unfinished.lock().unwrap_or_else(PoisonError::into_inner));
        for unfinished in unfinished.values() {
            self.shared.requests.abort_upload(&unfinished.upload).await?;
        }
        for upload in self.shared.take_uploads_below(&self.shared.layout.partition(&self.partition)) {
            self.shared.requests.abort_upload(&upload).await?;
        }
        if self.has_unheard_upload.load(Ordering::Relaxed) {
            // All others are completed by now or given up.
            let prefix = self.shared.layout.partition(&self.partition);
            for upload in self.shared.requests.uploads(&prefix).await?.unwrap_or_default() {
                self.shared.requests.abort_upload(&upload).await?;
            }
        }
        let mut keys = std::mem::take(&mut *self.fragments.lock().unwrap_or_else(PoisonError::into_inner));
        keys.extend(self.journal.end().await);
        self.shared.forget_journal(&self.partition);
        // The claim goes last: as long as it is there, a later run looks after the rest.
        self.shared.requests.delete(&keys).await?;
        self.shared.requests.delete(&[self.shared.layout.claim(&self.partition)]).await?;
        self.shared.lease.release(&self.partition);
        self.shared.catalog.note_settled(&self.partition);
        Ok(())
    }

    /// Leaves the partition to other runs: notes what is finished, and that this run goes on no more.
    pub async fn release(&self) -> Result<()> {
        self.journal.flush().await?;
        self.shared.forget_journal(&self.partition);
        self.shared.lease.release_claim(&self.partition).await?;
        self.shared.catalog.note_settled(&self.partition);
        Ok(())
    }

    /// Whether the published set is certainly as it was when it was marked, whole or not: nothing of it was
    /// overwritten by what was begun.
    pub fn is_as_it_was(&self) -> bool {
        let [unmarked, overwrites] = [&self.unmarked, &self.overwrites].map(|flag| flag.load(Ordering::Relaxed));
        unmarked && !overwrites && !self.inheritance.is_inherited
    }
}
