//! Looking at what is published, without touching it: manifests, and the files that they describe.

use std::collections::{HashMap, HashSet};
use std::io::BufReader;
use std::ops::ControlFlow;
use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::{self, BoxStream, StreamExt as _};
use jiff::civil::Date;

use super::VerificationRecord;
use super::ledger::{RandomAccess, ReadFrom};
use crate::error::Result;
use crate::export::{Partition, TypeName};
use crate::manifest::{Entry, EntryReader, Header};

/// The days that are published, each type's ascending.
pub type PublishedDays = Vec<(TypeName, Vec<Date>)>;

/// What is published of a partition.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Published {
    /// The header of its manifest; `None` where nothing is published.
    pub header: Option<Header>,
    /// Whether a run has begun to replace the published set in its place, and has not ended that:
    /// the set may not be whole until a run does.
    pub is_unsettled: bool,
    /// Whether a verification found the published set to differ from its manifest.
    pub is_damaged: bool,
}

/// The objects of a published partition, in ascending order of keys.
pub type Entries = Box<dyn Iterator<Item = Result<Entry>> + Send>;

/// A published manifest, checked against its last line.
pub struct PublishedManifest {
    /// Its first line.
    pub header: Header,
    bytes: Arc<dyn RandomAccess>,
}

impl PublishedManifest {
    /// A manifest whose whole content is in `bytes`.
    pub(super) fn new(header: Header, bytes: impl RandomAccess + 'static) -> Self {
        Self { header, bytes: Arc::new(bytes) }
    }

    /// Its objects, from the first on.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::DestinationUnusable`] when it cannot be read.
    pub fn entries(&self) -> Result<Entries> {
        let input = ReadFrom::new(self.bytes.clone(), 0);
        Ok(Box::new(EntryReader::new(BufReader::with_capacity(64 * 1024, input))?))
    }
}

/// The manifests of a destination.
#[async_trait]
pub trait Manifests: Send + Sync {
    /// What is published of a partition.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::ManifestDamaged`] for a manifest that is torn or altered.
    async fn published(&self, partition: &Partition) -> Result<Published>;

    /// The whole manifest of a partition, whether its data are there or not; `None` where there is none.
    ///
    /// # Errors
    /// As [`Manifests::published`].
    async fn manifest(&self, partition: &Partition) -> Result<Option<PublishedManifest>>;
}

/// What is published at a destination, by its manifests.
#[async_trait]
pub trait PublishedSets: Manifests {
    /// The account whose mirror it is; `None` where there is no mirror.
    fn account_id(&self) -> Option<&str>;

    /// The published days.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::DestinationUnusable`] when they cannot be read.
    async fn days(&self) -> Result<PublishedDays>;

    /// The partitions whose publication was begun and not ended, ascending by type and day.
    ///
    /// # Errors
    /// As [`PublishedSets::days`].
    async fn staged(&self) -> Result<Vec<Partition>>;

    /// The reports of the last runs, the newest first, `count_max` at most; `None` in the place of a
    /// file that cannot be read.
    ///
    /// # Errors
    /// As [`PublishedSets::days`].
    async fn reports(&self, count_max: usize) -> Result<Vec<Option<Vec<u8>>>>;

    /// What verifications have noted.
    ///
    /// # Errors
    /// As [`PublishedSets::days`] and [`VerificationRecord::parse`].
    async fn verification(&self) -> Result<VerificationRecord>;
}

/// The files of a destination, for comparing them with its manifests.
#[async_trait]
pub trait PublishedFiles: PublishedSets {
    /// The days that have data, published or not, as far as that can be seen without looking into
    /// each of them.
    ///
    /// # Errors
    /// As [`PublishedSets::days`].
    async fn days_with_data(&self) -> Result<PublishedDays>;

    /// Whether a run has begun to replace the partition and has not ended that.
    ///
    /// # Errors
    /// As [`PublishedSets::days`].
    async fn is_being_replaced(&self, partition: &Partition) -> Result<bool>;

    /// Everything that stands in a partition, in ascending order of paths.
    fn standing<'a>(&'a self, partition: &'a Partition) -> BoxStream<'a, Result<StandingFile>>;

    /// Reads a file of a partition from its beginning to its end; `false` where there is none.
    ///
    /// # Errors
    /// What kept the bytes from being read.
    async fn read(&self, partition: &Partition, path: &str, taker: &mut dyn ByteTaker) -> Result<bool>;

    /// Changes what verifications have noted, as one step: of two verifications that end together, one
    /// sees what the other noted.
    ///
    /// # Errors
    /// As [`PublishedSets::verification`]; what keeps the destination from being written.
    async fn change_verification(&self, change: &VerificationChange<'_>) -> Result<()>;

    /// Where a file of a partition is: below the destination for a directory, and a whole address for
    /// a bucket.
    fn address(&self, partition: &Partition, path: &str) -> String;
}

/// Adds to what verifications have noted.
pub type VerificationChange<'a> = dyn Fn(&mut VerificationRecord) + Send + Sync + 'a;

/// Something that stands in a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StandingFile {
    /// The path below the partition.
    pub path: String,
    /// The size in bytes; `None` for what is no file: a link, a pipe.
    pub size_bytes: Option<u64>,
    /// The ETag, in a bucket.
    pub etag: Option<String>,
}

/// Takes the bytes of a file.
pub trait ByteTaker: Send {
    /// The file begins; once more after bytes that did not arrive.
    fn begin(&mut self);

    /// Takes the next bytes, and says whether more are wanted.
    fn take(&mut self, bytes: &[u8]) -> ControlFlow<()>;
}

/// What a verification found to differ at a destination, for the run that is to repair it.
#[derive(Clone, Debug, Default)]
pub struct Damage(HashMap<Partition, HashSet<String>>);

impl Damage {
    /// Notes that a partition differs from its manifest.
    pub fn note(&mut self, partition: &Partition) {
        self.0.entry(partition.clone()).or_default();
    }

    /// Notes that an object's bytes differ although its name and size are right.
    pub fn note_object(&mut self, partition: &Partition, key: &str) {
        self.0.entry(partition.clone()).or_default().insert(key.to_owned());
    }

    /// Forgets about a partition.
    pub fn forget(&mut self, partition: &Partition) {
        self.0.remove(partition);
    }

    /// The partitions that differ, in no order.
    pub fn partitions(&self) -> impl Iterator<Item = &Partition> {
        self.0.keys()
    }

    /// Whether nothing differs.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a partition differs.
    pub fn is_in(&self, partition: &Partition) -> bool {
        self.0.contains_key(partition)
    }

    /// Whether an object is not to be kept.
    pub fn has_object(&self, partition: &Partition, key: &str) -> bool {
        self.0.get(partition).is_some_and(|keys| keys.contains(key))
    }
}

/// A destination that is no mirror yet.
#[derive(Debug, Default)]
pub struct NothingPublished;

#[async_trait]
impl Manifests for NothingPublished {
    async fn published(&self, _partition: &Partition) -> Result<Published> {
        Ok(Published::default())
    }

    async fn manifest(&self, _partition: &Partition) -> Result<Option<PublishedManifest>> {
        Ok(None)
    }
}

#[async_trait]
impl PublishedSets for NothingPublished {
    fn account_id(&self) -> Option<&str> {
        None
    }

    async fn days(&self) -> Result<PublishedDays> {
        Ok(Vec::new())
    }

    async fn staged(&self) -> Result<Vec<Partition>> {
        Ok(Vec::new())
    }

    async fn reports(&self, _count_max: usize) -> Result<Vec<Option<Vec<u8>>>> {
        Ok(Vec::new())
    }

    async fn verification(&self) -> Result<VerificationRecord> {
        Ok(VerificationRecord::default())
    }
}

#[async_trait]
impl PublishedFiles for NothingPublished {
    async fn days_with_data(&self) -> Result<PublishedDays> {
        Ok(Vec::new())
    }

    async fn is_being_replaced(&self, _partition: &Partition) -> Result<bool> {
        Ok(false)
    }

    fn standing<'a>(&'a self, _partition: &'a Partition) -> BoxStream<'a, Result<StandingFile>> {
        stream::empty().boxed()
    }

    async fn read(&self, _partition: &Partition, _path: &str, _taker: &mut dyn ByteTaker) -> Result<bool> {
        Ok(false)
    }

    async fn change_verification(&self, _change: &VerificationChange<'_>) -> Result<()> {
        Ok(())
    }

    fn address(&self, partition: &Partition, path: &str) -> String {
        format!("{}{path}", partition.prefix())
    }
}
