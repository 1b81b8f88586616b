//! The requests to a bucket: repeated as far as that helps, counted, and made only while the lease holds.

use std::future::Future;
use std::io::{BufReader, Write as _};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use futures::future::BoxFuture;
use futures::stream::{self, BoxStream};
use futures::{FutureExt as _, StreamExt as _, TryStreamExt as _};
use serde::de::DeserializeOwned;
use tokio::sync::Mutex;

use super::lease::Lease;
use super::spool::Spool;
use super::store::{
    BucketChecksum, Condition, DELETES_MAX, Described, Part, Payload, Put, PutTerms, Store, StoredObject, StoredPage,
    Upload, Version,
};
use crate::destination::ByteTaker;
use crate::destination::failure::failed;
use crate::destination::ledger::{RandomAccess, ReadFrom};
use crate::error::{Error, ErrorKind, Result};
use crate::export::Checksums;
use crate::hash::ObjectHasher;
use crate::net::untrusted_listing;
use crate::plan::listing_check::{PAGES_MAX, PageToken};
use crate::progress::{Counters, Event, Observer};
use crate::retry::Patience;

/// Our own small objects are read up to this size: nothing that is one is larger.
const SMALL_BYTES_MAX: u64 = 64 * 1024;

/// Manifests from this size on are uploaded in parts of it.
const MANIFEST_PART_BYTES: u64 = 16 * 1024 * 1024;

/// A multipart upload that was begun.
pub(super) struct Begun {
    pub upload: Upload,
    /// Whether an attempt failed before, which may have begun another one all the same.
    pub may_have_others: bool,
}

/// The requests to the bucket, each repeated as long as that may help.
pub(super) struct Requests {
    pub store: Arc<dyn Store>,
    pub attempts_max: u32,
    pub observer: Arc<dyn Observer>,
    pub counters: Arc<Counters>,
    pub spill_folder: PathBuf,
    /// The run's lease, once it has one: without it nothing may be written any more.
    pub lease: OnceLock<Weak<Lease>>,
}

/// How one kind of request is repeated.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Manner {
    /// It changes nothing that another run might have, or is about the lease itself.
    Free,
    /// It writes what the run holds: each attempt needs the lease. A machine that slept through it
    /// wakes up within a request, and would do harm by its repetition.
    Held,
    /// As [`Manner::Held`], with bytes of our own making: nobody but us can send them again when
    /// they arrived as others.
    HeldOwn,
    /// As [`Manner::Free`], with bytes of our own making.
    FreeOwn,
}

impl Manner {
    fn needs_lease(self) -> bool {
        matches!(self, Self::Held | Self::HeldOwn)
    }

    fn has_own_bytes(self) -> bool {
        matches!(self, Self::HeldOwn | Self::FreeOwn)
    }
}

impl Requests {
    /// Sees, before something is written, that the lease still holds.
    pub fn assure(&self) -> BoxFuture<'_, Result<()>> {
        async {
            match self.lease.get().and_then(Weak::upgrade) {
                Some(lease) => lease.assure().await,
                None => Ok(()),
            }
        }
        .boxed()
    }

    async fn repeat<T, F: Future<Output = Result<T>>>(&self, manner: Manner, attempt: impl Fn() -> F) -> Result<T> {
        let mut patience = Patience::new(self.attempts_max);
        loop {
            if manner.needs_lease() {
                self.assure().await?;
            }
            self.counters.destination_requests.add(1);
            let error = match attempt().await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            // Bytes of the export that arrived wrong are fetched again by the transfer, which has them.
            if error.retry() == crate::error::Retry::Refetch && !manner.has_own_bytes() {
                return Err(error);
            }
            let Some(pause) = patience.after(&error) else { return Err(error) };
            self.counters.retries.add(1);
            if error.kind() == ErrorKind::Throttled {
                self.counters.throttles.add(1);
            }
            self.observer.observe(&Event::Retrying { error: &error, pause });
            tokio::time::sleep(pause).await;
        }
    }

    /// One page of a listing.
    async fn list(&self, prefix: &str, from: Option<&PageToken>) -> Result<StoredPage> {
        self.repeat(Manner::Free, || self.store.list(prefix, from)).await
    }

    /// Everything below a prefix, page after page, in ascending order of keys.
    pub fn objects(&self, prefix: &str) -> BoxStream<'_, Result<StoredObject>> {
        let start = (prefix.to_owned(), Some(None), 0);
        let pages = stream::try_unfold(start, move |(prefix, from, number)| async move {
            let Some(from): Option<Option<PageToken>> = from else { return Ok(None) };
            if number == PAGES_MAX {
                return Err(untrusted_listing(&self.address(&prefix), "it has no end"));
            }
            let page = self.list(&prefix, from.as_ref()).await?;
            let objects = stream::iter(page.objects.into_iter().map(Ok));
            Ok::<_, Error>(Some((objects, (prefix, page.next.map(Some), number + 1))))
        });
        pages.try_flatten().boxed()
    }

    /// What an object says about itself.
    pub async fn head(&self, key: &str) -> Result<Option<Described>> {
        self.repeat(Manner::Free, || self.store.head(key)).await
    }

    /// The first bytes of an object, up to `bytes_max`.
    pub async fn get_start(&self, key: &str, bytes_max: u64) -> Result<Option<(Vec<u8>, Version)>> {
        self.repeat(Manner::Free, || async {
            let Some(mut fetched) = self.store.get(key, Some(bytes_max)).await? else { return Ok(None) };
            let mut bytes = Vec::new();
            while let Some(chunk) = fetched.body.try_next().await? {
                bytes.extend_from_slice(&chunk);
            }
            Ok(Some((bytes, fetched.version)))
        })
        .await
    }

    /// A small JSON object of ours; one that cannot be read counts as one without content.
    pub async fn get_json<T: DeserializeOwned>(&self, key: &str) -> Result<Option<(Option<T>, Version)>> {
        let found = self.get_start(key, SMALL_BYTES_MAX).await?;
        Ok(found.map(|(bytes, version)| (serde_json::from_slice(&bytes).ok(), version)))
    }

    /// An object of any size, to be read from its beginning.
    pub async fn get_spooled(&self, key: &str) -> Result<Option<(Spool, Version)>> {
        self.repeat(Manner::Free, || async {
            let Some(mut fetched) = self.store.get(key, None).await? else { return Ok(None) };
            let spool = Spool::new(&self.spill_folder);
            while let Some(chunk) = fetched.body.try_next().await? {
                spool
                    .with(|file| file.write_all(&chunk))
                    .map_err(|cause| failed("write below", &self.spill_folder, cause))?;
            }
            Ok(Some((spool, fetched.version)))
        })
        .await
    }

    /// Reads an object from its beginning to its end, and from its beginning again where that fails;
    /// `false` where there is none.
    pub async fn read(&self, key: &str, taker: &Mutex<&mut dyn ByteTaker>) -> Result<bool> {
        self.repeat(Manner::Free, || async {
            let mut taker = taker.lock().await;
            taker.begin();
            let Some(mut fetched) = self.store.get(key, None).await? else { return Ok(false) };
            while let Some(chunk) = fetched.body.try_next().await? {
                if taker.take(&chunk).is_break() {
                    break;
                }
            }
            Ok(true)
        })
        .await
    }

    /// Stores an object of the export.
    pub async fn put_data(&self, key: &str, payload: &Payload, terms: &PutTerms<'_>) -> Result<Version> {
        self.counters.put_requests.add(1);
        match self.repeat(Manner::Held, || self.store.put(key, payload, terms)).await? {
            Put::Stored(version) => Ok(version),
            Put::Refused => Err(refused_unasked(key)),
        }
    }

    /// Stores one of our own small objects. An answer that got lost is not taken for a refusal: what
    /// then stands there is what was to be written.
    pub async fn put_small(&self, key: &str, bytes: Vec<u8>, condition: Condition<'_>) -> Result<Put> {
        self.put_own(Manner::HeldOwn, key, bytes, condition).await
    }

    /// As [`Requests::put_small`], for what the lease itself is made of.
    pub async fn put_heartbeat(&self, key: &str, bytes: Vec<u8>, condition: Condition<'_>) -> Result<Put> {
        self.put_own(Manner::FreeOwn, key, bytes, condition).await
    }

    async fn put_own(&self, manner: Manner, key: &str, bytes: Vec<u8>, condition: Condition<'_>) -> Result<Put> {
        let payload = Payload::from(bytes);
        let checksums = checksums_of(&payload, self.store.checksum());
        let terms = PutTerms { checksums: &checksums, condition, origin: None, is_data: false };
        let put = self.repeat(manner, || self.store.put(key, &payload, &terms)).await?;
        if put == Put::Refused
            && let Some((found, version)) = self.get_start(key, payload.length_bytes() + 1).await?
            && payload.chunks().iter().flatten().eq(&found)
            && !found.is_empty()
        {
            return Ok(Put::Stored(version));
        }
        Ok(put)
    }

    /// Stores a manifest, in parts where it is long.
    pub async fn put_spooled(&self, key: &str, spool: &Spool, condition: Condition<'_>) -> Result<Put> {
        let told = |cause| failed("read below", &self.spill_folder, cause);
        let length_bytes = spool.length_bytes().map_err(told)?;
        if length_bytes <= MANIFEST_PART_BYTES {
            return self.put_small(key, read_range(spool, 0, length_bytes).map_err(told)?, condition).await;
        }
        let Some(beside) = self.store.place_before_copy(key) else {
            return Ok(self.put_parts(key, spool, length_bytes, condition).await?.0);
        };
        let (Put::Stored(version), computed) = self.put_parts(&beside, spool, length_bytes, Condition::None).await?
        else {
            return Ok(Put::Refused);
        };
        let from = (beside.as_str(), &version);
        let put = self.repeat(Manner::Held, || self.store.copy_if(from, key, &computed, condition)).await?;
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
        let mut hasher = ObjectHasher::for_checksums(&Checksums::default()).with_crc64nvme().with_crc32c();
        let mut parts = Vec::new();
        for (number, begin) in (1..).zip((0..length_bytes).step_by(MANIFEST_PART_BYTES as usize)) {
            let size_bytes = MANIFEST_PART_BYTES.min(length_bytes - begin);
            let bytes = read_range(spool, begin, size_bytes)
                .map_err(|cause| failed("read below", &self.spill_folder, cause))?;
            hasher.update(&bytes);
            parts.push(self.upload_part(upload, number, &Payload::from(bytes)).await?);
        }
        let (_, computed) = hasher.finish();
        Ok((self.complete_upload(upload, &parts, &computed, condition).await?, computed))
    }

    /// Copies an object within the bucket.
    pub async fn copy(&self, from: &str, to: &str, size_bytes: u64) -> Result<()> {
        self.repeat(Manner::Held, || self.store.copy(from, to, size_bytes)).await
    }

    /// Deletes objects; those that are not there count as deleted.
    pub async fn delete(&self, keys: &[String]) -> Result<()> {
        for keys in keys.chunks(DELETES_MAX) {
            self.repeat(Manner::Held, || self.store.delete(keys)).await?;
        }
        Ok(())
    }

    /// Deletes an object of this run's own, which it may do without a lease too.
    pub async fn delete_own(&self, key: &str) -> Result<()> {
        let keys = [key.to_owned()];
        self.repeat(Manner::Free, || self.store.delete(&keys)).await
    }

    /// Begins a multipart upload.
    pub async fn begin_upload(&self, key: &str, origin: &str) -> Result<Begun> {
        let attempts = AtomicU32::new(0);
        let begin = || {
            attempts.fetch_add(1, Ordering::Relaxed);
            self.store.begin_upload(key, origin)
        };
        let id = self.repeat(Manner::Held, begin).await?;
        let upload = Upload { key: key.to_owned(), id };
        Ok(Begun { upload, may_have_others: attempts.into_inner() > 1 })
    }

    /// Uploads a part.
    pub async fn upload_part(&self, upload: &Upload, number: u32, payload: &Payload) -> Result<Part> {
        self.counters.put_requests.add(1);
        let etag = self.repeat(Manner::Held, || self.store.upload_part(upload, number, payload)).await?;
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
        self.repeat(Manner::Held, || self.store.complete_upload(upload, parts, computed, condition)).await
    }

    /// Gives an upload up.
    pub async fn abort_upload(&self, upload: &Upload) -> Result<()> {
        self.repeat(Manner::Held, || self.store.abort_upload(upload)).await
    }

    /// The unfinished uploads below a prefix; `None` where they cannot be listed.
    pub async fn uploads(&self, prefix: &str) -> Result<Option<Vec<Upload>>> {
        self.repeat(Manner::Free, || self.store.uploads(prefix)).await
    }

    /// The address of a key, for messages.
    pub fn address(&self, key: &str) -> String {
        format!("{}/{}", self.store.url(), crate::export::printable(key))
    }
}

impl Spool {
    /// Reads from the beginning.
    pub(super) fn reader(&self) -> BufReader<ReadFrom<&Self>> {
        BufReader::with_capacity(64 * 1024, ReadFrom::new(self, 0))
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

/// The checksums of bytes of our own making.
fn checksums_of(payload: &Payload, checksum: BucketChecksum) -> Checksums {
    let hasher = ObjectHasher::for_checksums(&Checksums::default());
    let mut hasher = match checksum {
        BucketChecksum::Crc64Nvme => hasher.with_crc64nvme(),
        BucketChecksum::Crc32c => hasher.with_crc32c(),
    };
    payload.chunks().iter().for_each(|chunk| hasher.update(chunk));
    hasher.finish().1
}

fn refused_unasked(key: &str) -> Error {
    Error::new(
        ErrorKind::Protocol,
        format!("PUT {}: a condition was refused that was not set", crate::export::printable(key)),
    )
}
