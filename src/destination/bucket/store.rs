//! The port to a bucket's server: single requests, each tried once. Repeating them is the
//! caller's business, which knows the run's retry policy.

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;

use crate::error::{Error, ErrorKind, Result};
use crate::export::{ChecksumAlgorithm, Checksums};
use crate::plan::listing_check::PageToken;

use super::policies::Policies;

/// A bucket that can be written. Keys are whole keys of the bucket.
///
/// A refused condition is an answer, not an error. All failures name the request and the key.
#[async_trait]
pub trait Store: Send + Sync {
    /// The bucket's address: `s3://bucket` or `gs://bucket`.
    fn url(&self) -> &str;

    /// Which checksum of the bytes, besides SHA-256, the bucket verifies.
    fn checksum(&self) -> ChecksumAlgorithm;

    /// One page of the keys below `prefix` in ascending order of their bytes; `from` is where the
    /// page before said that it goes on.
    ///
    /// The page is proven to belong to the listing that was asked for (design.md promise 10).
    async fn list(&self, prefix: &str, from: Option<&PageToken>) -> Result<StoredPage>;

    /// An object's bytes, only the first `bytes_max` of them where that is given; `None` where there
    /// is no such object.
    async fn get(&self, key: &str, bytes_max: Option<u64>) -> Result<Option<Fetched>>;

    /// What an object says about itself; `None` where there is no such object.
    async fn head(&self, key: &str) -> Result<Option<Described>>;

    /// Stores an object as a whole, or not at all; the bucket verifies its bytes.
    async fn put(&self, key: &str, payload: &Payload, terms: &PutTerms<'_>) -> Result<Put>;

    /// Copies an object within the bucket.
    async fn copy(&self, from: &str, to: &str, size_bytes: u64) -> Result<()>;

    /// Where an object is put together whose upload in parts must end only if a condition holds: a key beside
    /// it, from where [`Store::copy_if`] brings it into its place. `None` where completion itself minds
    /// conditions.
    fn place_before_copy(&self, _key: &str) -> Option<String> {
        None
    }

    /// Copies this version of an object within the bucket if the condition holds at the moment of the copy;
    /// compares the bucket's checksum of the copy with `computed`. [`Put::Refused`] also if it is another
    /// version by now.
    ///
    /// # Errors
    /// As [`Store::complete_upload`]. [`ErrorKind::Internal`] where [`Store::place_before_copy`] names no place.
    async fn copy_if(
        &self,
        from: (&str, &Version),
        to: &str,
        computed: &Checksums,
        condition: Condition<'_>,
    ) -> Result<Put> {
        let _ = (from, computed, condition);
        Err(Error::new(ErrorKind::Internal, format!("a copy to {to} was to mind a condition")))
    }

    /// Deletes up to [`DELETES_MAX`] objects; those that are not there count as deleted.
    async fn delete(&self, keys: &[String]) -> Result<()>;

    /// Begins a multipart upload and gives its id. `origin` as in [`PutTerms`]; an empty one is for
    /// objects of this tool's own, which get no storage class and no tags.
    async fn begin_upload(&self, key: &str, origin: &str) -> Result<String>;

    /// Uploads one part, numbered from 1; the bucket verifies its bytes. Gives the part's ETag.
    async fn upload_part(&self, upload: &Upload, number: u32, payload: &Payload) -> Result<String>;

    /// Makes an object of the parts, in their order; compares the bucket's checksum of it with
    /// `computed`.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::ChecksumMismatch`] when the bucket has other bytes,
    /// [`crate::error::ErrorKind::SourceChanged`] never: an upload that is gone is
    /// [`crate::error::ErrorKind::UploadLost`].
    async fn complete_upload(
        &self,
        upload: &Upload,
        parts: &[Part],
        computed: &Checksums,
        condition: Condition<'_>,
    ) -> Result<Put>;

    /// Gives an upload up, with its parts. One that is gone already counts as given up.
    async fn abort_upload(&self, upload: &Upload) -> Result<()>;

    /// The unfinished uploads below `prefix`, up to 1,000; `None` where they cannot be listed.
    async fn uploads(&self, prefix: &str) -> Result<Option<Vec<Upload>>>;

    /// Whether the bucket has a lifecycle rule that removes unfinished uploads below `prefix`;
    /// `None` where that cannot be found out.
    async fn removes_unfinished_uploads(&self, prefix: &str) -> Result<Option<bool>>;

    /// What was found out so far that this server does otherwise than its cloud, each as a sentence's fragment.
    async fn habits(&self) -> Vec<&'static str>;

    /// How the bucket keeps what was to be replaced or deleted in it.
    async fn policies(&self) -> Result<Policies> {
        Ok(Policies::Unasked)
    }
}

/// Maximum number of objects deleted by one request.
pub const DELETES_MAX: usize = 1000;

/// Bytes to send, in the pieces that they came in: nothing is copied together.
#[derive(Clone, Debug, Default)]
pub struct Payload {
    chunks: Vec<Bytes>,
    length_bytes: u64,
}

impl Payload {
    /// Adds bytes at the end.
    pub fn push(&mut self, chunk: Bytes) {
        self.length_bytes += chunk.len() as u64;
        self.chunks.push(chunk);
    }

    /// The pieces in their order.
    pub fn chunks(&self) -> &[Bytes] {
        &self.chunks
    }

    /// The number of bytes.
    pub fn length_bytes(&self) -> u64 {
        self.length_bytes
    }
}

impl From<Vec<u8>> for Payload {
    fn from(bytes: Vec<u8>) -> Self {
        let mut payload = Self::default();
        payload.push(bytes.into());
        payload
    }
}

/// On what a write depends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition<'a> {
    /// On nothing.
    None,
    /// That there is no object of this key.
    IfAbsent,
    /// That the object is still this one.
    IfMatch(&'a Version),
}

/// Which version of an object it is, as far as the server says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Version {
    /// The ETag, with its quotes if it has any.
    pub etag: String,
    /// The generation, at Google Cloud Storage.
    pub generation: Option<u64>,
}

/// How an object is stored.
#[derive(Clone, Copy, Debug)]
pub struct PutTerms<'a> {
    /// The checksums of the payload: SHA-256 and the bucket's own at least. None is computed again.
    pub checksums: &'a Checksums,
    /// The condition.
    pub condition: Condition<'a>,
    /// Kept with the object as its metadata `e3sync-origin`, by which leftovers are known as ours.
    pub origin: Option<&'a str>,
    /// Whether it is one of the export's objects; only those get the user's storage class.
    pub is_data: bool,
}

/// What became of a conditional write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Put {
    /// The object is stored, as this version.
    Stored(Version),
    /// The condition does not hold; nothing was written.
    Refused,
}

/// A page of a listing.
#[derive(Clone, Debug, Default)]
pub struct StoredPage {
    /// The objects in ascending order of keys.
    pub objects: Vec<StoredObject>,
    /// Where the listing goes on.
    pub next: Option<PageToken>,
}

/// An object as a listing shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredObject {
    /// The whole key.
    pub key: String,
    /// The size in bytes.
    pub size_bytes: u64,
    /// The ETag, with its quotes if it has any.
    pub etag: Option<String>,
    /// When it was written, by the server's clock.
    pub modified_at: Option<jiff::Timestamp>,
}

/// An object that is being read.
pub struct Fetched {
    /// Its version.
    pub version: Version,
    /// Its bytes.
    pub body: BoxStream<'static, Result<Bytes>>,
}

/// What an object says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    /// The size in bytes.
    pub size_bytes: u64,
    /// The version.
    pub version: Version,
    /// The value of its metadata `e3sync-origin`.
    pub origin: Option<String>,
}

/// An unfinished multipart upload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upload {
    /// The key of the object that is to be.
    pub key: String,
    /// The upload's id.
    pub id: String,
}

/// A part that is uploaded.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Part {
    /// Its number, from 1.
    pub number: u32,
    /// Its size in bytes.
    pub size_bytes: u64,
    /// Its ETag.
    pub etag: String,
}
