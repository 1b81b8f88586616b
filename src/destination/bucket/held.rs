//! The requests by which a run changes a bucket: made only while it holds its lease.

use std::future::Future;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::lease::Lease;
use super::requests::{Bytes, Permit as _, Requests};
use super::spool::Spool;
use super::store::{Condition, Part, Payload, Put, PutTerms, Upload, Version};
use crate::destination::failure::failed;
use crate::destination::ledger::RandomAccess;
use crate::error::{Error, ErrorKind, Result};
use crate::export::Checksums;
use crate::hash::ObjectHasher;

/// Manifests from this size on are uploaded in parts of it.
const MANIFEST_PART_BYTES: u64 = 16 * 1024 * 1024;

/// A multipart upload that was begun.
pub(super) struct Begun {
    pub upload: Upload,
    /// Whether an attempt failed before, which may have begun another one all the same.
    pub may_have_others: bool,
}

/// Reads as [`Requests`] does, and writes what the run holds: each attempt needs the lease.
pub(super) struct HeldRequests {
    requests: Arc<Requests>,
    lease: Arc<Lease>,
}

impl Deref for HeldRequests {
    type Target = Requests;

    fn deref(&self) -> &Requests {
        &self.requests
    }
}

impl HeldRequests {
    /// The requests of the run that has this lease.
    pub fn new(requests: Arc<Requests>, lease: Arc<Lease>) -> Self {
        Self { requests, lease }
    }

    /// Sees, before something is written, that the lease still holds.
    pub async fn assure(&self) -> Result<()> {
        self.lease.assure().await
    }

    async fn repeat<T, F: Future<Output = Result<T>>>(&self, attempt: impl Fn() -> F) -> Result<T> {
        self.requests.repeat(&*self.lease, Bytes::Fetched, attempt).await
    }

    /// Stores an object of the export.
    pub async fn put_data(&self, key: &str, payload: &Payload, terms: &PutTerms<'_>) -> Result<Version> {
        self.requests.counters.put_requests.add(1);
        match self.repeat(|| self.requests.store.put(key, payload, terms)).await? {
            Put::Stored(version) => Ok(version),
            Put::Refused => Err(refused_unasked(key)),
        }
    }

    /// Stores a manifest, in parts where it is long.
    pub async fn put_spooled(&self, key: &str, spool: &Spool, condition: Condition<'_>) -> Result<Put> {
        let told = |cause| failed("read below", &self.requests.spill_folder, cause);
        let length_bytes = spool.length_bytes().map_err(told)?;
        if length_bytes <= MANIFEST_PART_BYTES {
            return self.put_small(key, read_range(spool, 0, length_bytes).map_err(told)?, condition).await;
        }
        let Some(beside) = self.requests.store.place_before_copy(key) else {
            return Ok(self.put_parts(key, spool, length_bytes, condition).await?.0);
        };
        let (Put::Stored(version), computed) = self.put_parts(&beside, spool, length_bytes, Condition::None).await?
        else {
            return Ok(Put::Refused);
        };
        let from = (beside.as_str(), &version);
        let put = self.repeat(|| self.requests.store.copy_if(from, key, &computed, condition)).await?;
        // What is left of a run that ends before is overwritten by the next one that needs the place.
        self.delete(&[beside]).await?;
        Ok(put)
    }

    /// Uploads in parts, and gives the checksums that were computed on the way.
    async fn put_parts(
        &self,
        key: &str,
        spool: &Spool,
        length_bytes: u64,
        condition: Condition<'_>,
    ) -> Result<(Put, Checksums)> {
        let Begun { upload, .. } = self.begin_upload(key, "").await?;
        let stored = self.send_parts(&upload, spool, length_bytes, condition).await;
        if !matches!(stored, Ok((Put::Stored(_), _))) {
            self.abort_upload(&upload).await?;
        }
        stored
    }

    async fn send_parts(
        &self,
        upload: &Upload,
        spool: &Spool,
        length_bytes: u64,
        condition: Condition<'_>,
    ) -> Result<(Put, Checksums)> {
        let mut hasher = ObjectHasher::for_checksums(&Checksums::default()).with(self.store.checksum());
        let mut parts = Vec::new();
        for (number, begin) in (1..).zip((0..length_bytes).step_by(MANIFEST_PART_BYTES as usize)) {
            let size_bytes = MANIFEST_PART_BYTES.min(length_bytes - begin);
            let bytes = read_range(spool, begin, size_bytes)
                .map_err(|cause| failed("read below", &self.requests.spill_folder, cause))?;
            hasher.update(&bytes);
            parts.push(self.upload_part(upload, number, &Payload::from(bytes)).await?);
        }
        let (_, computed) = hasher.finish();
        Ok((self.complete_upload(upload, &parts, &computed, condition).await?, computed))
    }

    /// Copies an object within the bucket.
    pub async fn copy(&self, from: &str, to: &str, size_bytes: u64) -> Result<()> {
        self.repeat(|| self.requests.store.copy(from, to, size_bytes)).await
    }

    /// Stores one of our own small objects, as [`Requests::put_with`].
    pub async fn put_small(&self, key: &str, bytes: Vec<u8>, condition: Condition<'_>) -> Result<Put> {
        self.requests.put_with(&*self.lease, key, bytes, condition).await
    }

    /// Deletes objects; those that are not there count as deleted.
    pub async fn delete(&self, keys: &[String]) -> Result<()> {
        self.requests.delete_with(&*self.lease, keys).await
    }

    /// Begins a multipart upload.
    pub async fn begin_upload(&self, key: &str, origin: &str) -> Result<Begun> {
        let attempts = AtomicU32::new(0);
        let begin = || {
            attempts.fetch_add(1, Ordering::Relaxed);
            self.requests.store.begin_upload(key, origin)
        };
        let id = self.repeat(begin).await?;
        let upload = Upload { key: key.to_owned(), id };
        Ok(Begun { upload, may_have_others: attempts.into_inner() > 1 })
    }

    /// Uploads a part.
    pub async fn upload_part(&self, upload: &Upload, number: u32, payload: &Payload) -> Result<Part> {
        self.requests.counters.put_requests.add(1);
        let etag = self.repeat(|| self.requests.store.upload_part(upload, number, payload)).await?;
        Ok(Part { number, size_bytes: payload.length_bytes(), etag })
    }

    /// Makes an object of the parts.
    pub async fn complete_upload(
        &self,
        upload: &Upload,
        parts: &[Part],
        computed: &Checksums,
        condition: Condition<'_>,
    ) -> Result<Put> {
        self.repeat(|| self.requests.store.complete_upload(upload, parts, computed, condition)).await
    }

    /// Gives an upload up.
    pub async fn abort_upload(&self, upload: &Upload) -> Result<()> {
        self.repeat(|| self.requests.store.abort_upload(upload)).await
    }
}

fn read_range(spool: &Spool, offset: u64, length_bytes: u64) -> std::io::Result<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(length_bytes).unwrap_or(usize::MAX)];
    let mut at = 0;
    while at < bytes.len() {
        match spool.read_at(&mut bytes[at..], offset + at as u64)? {
            0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
            count => at += count,
        }
    }
    Ok(bytes)
}

fn refused_unasked(key: &str) -> Error {
    Error::new(
        ErrorKind::Protocol,
        format!("PUT {}: a condition was refused that was not set", crate::export::printable(key)),
    )
}
