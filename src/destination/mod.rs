//! The destination port: what is published, and a claimed partition that is staged and published.

pub mod bucket;
mod connect;
pub mod directory;
mod examine;
mod failure;
pub mod gcs;
mod identity;
mod ledger;
mod publication;
mod published;
mod record;
mod reports;
pub mod s3;
mod staging;
mod verification;

use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;

pub use connect::{Address, DestinationSettings, KEEP_REPLACED_DEFAULT};
pub use identity::check_account;
pub use published::{
    ByteTaker, Damage, Entries, Manifests, NothingPublished, Published, PublishedDays, PublishedFiles,
    PublishedManifest, PublishedSets, StandingFile, VerificationChange,
};
pub use verification::{DamagedDay, LastVerification, Look, Mode, VerificationRecord};

use crate::error::Result;
use crate::export::{Checksums, Object, Partition, Scope};
use crate::hash::ObjectHasher;
use crate::manifest::{Completeness, Header, ListingDigest, VerifiedContent};
use crate::plan::Listing;

/// A place that holds one account's mirror.
#[async_trait]
pub trait Destination: Manifests {
    /// The types and days that are published, each type's days ascending.
    async fn published_days(&self) -> Result<PublishedDays>;

    /// Claims a partition for this run, and finishes or undoes what a killed run left of it.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Held`] with the holder's name while another run has it.
    async fn claim(&self, partition: &Partition) -> Result<Arc<dyn Claim>>;

    /// Removes what a former run staged of a partition that turned out to need nothing, so that what
    /// is published is as it was.
    async fn discard_staged(&self, partition: &Partition) -> Result<()>;

    /// Whether writers hold an object's bytes in memory until all of them, or all of a part, are there.
    fn buffers_objects(&self) -> bool;

    /// Keeps a run's report, a JSON document, under the run's id: `_e3sync/runs/ID.json`.
    async fn keep_report(&self, id: &str, report: &[u8]) -> Result<()>;

    /// What was found out so far that the destination's server does otherwise than its cloud, each as a
    /// sentence's fragment.
    async fn habits(&self) -> Vec<&'static str>;

    /// Ends the run's use of the destination: whoever comes next need not wait. Gives what a person
    /// should know about what is left there, in sentences.
    async fn close(&self) -> Vec<String>;
}

/// A partition that belongs to this run until dropped: its new set is staged and then published.
#[async_trait]
pub trait Claim: Send + Sync {
    /// Takes the objects of `set` as those to be staged. Keeps what is staged already and still part of
    /// it, and what is published unchanged (from the same source).
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Unrecoverable`] for an object that the source no longer has and that is
    /// not sound here.
    async fn prepare(&self, set: &mut Listing, source: &str) -> Result<Inventory>;

    /// Up to `count_max` objects that are still to do, from the one at `position` on, and the
    /// position after them; `None` behind the last.
    async fn work(&self, position: Position, count_max: usize) -> Result<Option<(Vec<Work>, Position)>>;

    /// Whether an object that a former run staged is still the bytes which that run verified.
    async fn recheck(&self, work: &Work) -> Result<bool>;

    /// Opens an object for writing. Bytes of it that an interrupted run left behind and that prove
    /// to be the ones it had hashed are taken into `hasher`, which says how many they are. A large
    /// object comes in parts of `part_size_bytes`.
    async fn open(
        &self,
        work: &Work,
        hasher: ObjectHasher,
        part_size_bytes: Option<u64>,
    ) -> Result<(Box<dyn ObjectWriter>, ObjectHasher)>;

    /// Throws away what is staged of an object, because its bytes turned out to be wrong.
    async fn forget(&self, work: &Work) -> Result<()>;

    /// Makes the staged set visible as a whole, durably, with its manifest.
    async fn publish(&self, terms: PublishTerms) -> Result<Publication>;

    /// Gives up what is staged, so that what is published is as it was.
    async fn discard(&self) -> Result<()>;

    /// Leaves the partition to any other run, with what is staged of it. Nothing is done under the claim
    /// afterwards.
    async fn release(&self) -> Result<()>;
}

/// Receives one object's bytes.
#[async_trait]
pub trait ObjectWriter: Send + Sync {
    /// Writes bytes at an offset.
    async fn write(&self, offset: u64, bytes: &Bytes) -> Result<()>;

    /// Reads written bytes again, so that parts which come out of order can be hashed in order and none of them
    /// waits in memory. Asked for only where [`Destination::buffers_objects`] is false.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Internal`] where what is written cannot be read.
    fn read_back(&self, offset: u64, buffer: &mut [u8]) -> Result<()>;

    /// Notes that all bytes of a part of a large object are written: the object's parts come in any
    /// order, all of one size but the last. A bucket takes them in parts.
    async fn end_part(&self, range: Range<u64>) -> Result<()>;

    /// Notes that all bytes that `hasher` has taken in are written, so that an interrupted transfer
    /// can continue behind them.
    async fn checkpoint(&self, hasher: &ObjectHasher) -> Result<()>;

    /// Ends the object: its bytes are whole and verified. `computed` are the checksums of all bytes.
    async fn finish(&self, content: &VerifiedContent, computed: &Checksums) -> Result<()>;
}

/// Where in a partition's list of objects the work stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// The number of the next object.
    pub index: u64,
    /// Where the next object's line begins in the stored listing, in bytes.
    pub offset: u64,
}

/// One object that is to be at the destination and is not yet known to be.
#[derive(Clone, Debug)]
pub struct Work {
    /// Its number in the listing.
    pub index: u64,
    /// The object.
    pub object: Object,
    /// Whether a former run has staged it, so that it only needs to be hashed again.
    pub is_staged: bool,
}

/// How much of a listing is at the destination already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Inventory {
    /// Objects that are published unchanged or were staged by this run.
    pub objects_here: u64,
    /// Of these, the published ones.
    pub objects_unchanged: u64,
    /// Their bytes.
    pub bytes_here: u64,
    /// Objects that a former run staged and that are hashed again before they count.
    pub objects_staged: u64,
    /// Their bytes.
    pub bytes_staged: u64,
}

/// What a partition is published with.
#[derive(Clone, Debug)]
pub struct PublishTerms {
    /// Where the export lies.
    pub source: String,
    /// How much of the partition was selected.
    pub scope: Scope,
    /// The digest of what the source lists of it.
    pub listing_digest: ListingDigest,
    /// Whether the source counts the day as complete.
    pub completeness: Completeness,
    /// The time to put into the manifest.
    pub now: Timestamp,
    /// Whether to publish even what is less than half of what it replaces.
    pub accept_shrink: bool,
    /// Whether the published set stays as it is, and only its manifest is written anew: objects of it are
    /// gone at the source, or there again.
    pub only_marks: bool,
}

/// What came of publishing a set.
#[derive(Clone, Debug)]
pub enum Publication {
    /// It is published, with this manifest's header.
    Published(Box<Header>),
    /// It turned out to have less than half of the rows that it would replace, and is held back; what was
    /// published is as it was.
    Held,
}
