//! The requests to a bucket: repeated as far as that helps, and counted. What a run writes goes through
//! [`super::held::HeldRequests`].

use std::future::Future;
use std::io::{BufReader, Write as _};
use std::path::PathBuf;
use std::sync::Arc;

use futures::stream::{self, BoxStream};
use futures::{StreamExt as _, TryStreamExt as _};
use serde::de::DeserializeOwned;
use tokio::sync::Mutex;

use super::spool::Spool;
use super::store::{
    Condition, DELETES_MAX, Described, Payload, Put, PutTerms, Store, StoredObject, StoredPage, Upload, Version,
};
use crate::destination::ByteTaker;
use crate::destination::failure::failed;
use crate::destination::ledger::ReadFrom;
use crate::error::{Error, ErrorKind, Result};
use crate::export::{ChecksumAlgorithm, Checksums};
use crate::hash::ObjectHasher;
use crate::net::untrusted_listing;
use crate::plan::listing_check::{PAGES_MAX, PageToken};
use crate::progress::{Counters, Event, Observer};
use crate::retry::RetryPolicy;

/// Our own small objects are read up to this size: nothing that is one is larger.
const SMALL_BYTES_MAX: u64 = 64 * 1024;

/// The requests to the bucket, each repeated as long as that may help.
pub(super) struct Requests {
    pub store: Arc<dyn Store>,
    pub attempts_max: u32,
    pub observer: Arc<dyn Observer>,
    pub counters: Arc<Counters>,
    pub spill_folder: PathBuf,
}

/// Whether an attempt may be made. It is asked before each one: a machine that slept through its lease
/// wakes up within a request, and would do harm by its repetition.
pub(super) trait Permit: Sync {
    /// Sees that it still holds.
    ///
    /// # Errors
    /// [`ErrorKind::LeaseLost`] where it does not.
    fn assure(&self) -> impl Future<Output = Result<()>> + Send;
}

/// The permit of requests that change nothing of another run's, or that the lease itself is made of.
pub(super) struct NoLease;

impl Permit for NoLease {
    async fn assure(&self) -> Result<()> {
        Ok(())
    }
}

/// Whose bytes a request sends, if any.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Bytes {
    /// The export's: the transfer, which has them, fetches them again when they arrived as others.
    Fetched,
    /// Our own: nobody but us can send them again.
    Own,
}

/// An object's bytes, and which version of it they are.
pub(super) type Standing = (Vec<u8>, Version);

impl Requests {
    /// Makes a request, again and again as long as that may help; `permit` is asked before each attempt.
    pub async fn repeat<T, F: Future<Output = Result<T>>>(
        &self,
        permit: &impl Permit,
        bytes: Bytes,
        attempt: impl Fn() -> F,
    ) -> Result<T> {
        let mut retry_policy = RetryPolicy::new(self.attempts_max);
        loop {
            permit.assure().await?;
            self.counters.destination_requests.add(1);
            let error = match attempt().await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            if error.retry() == crate::error::Retry::Refetch && bytes == Bytes::Fetched {
                return Err(error);
            }
            let Some(pause) = retry_policy.after(&error) else { return Err(error) };
            self.counters.retries.add(1);
            if error.kind() == ErrorKind::Throttled {
                self.counters.throttles.add(1);
            }
            self.observer.observe(&Event::Retrying { error: &error, pause });
            tokio::time::sleep(pause).await;
        }
    }

    async fn read_again<T, F: Future<Output = Result<T>>>(&self, attempt: impl Fn() -> F) -> Result<T> {
        self.repeat(&NoLease, Bytes::Fetched, attempt).await
    }

    /// One page of a listing.
    async fn list(&self, prefix: &str, from: Option<&PageToken>) -> Result<StoredPage> {
        self.read_again(|| self.store.list(prefix, from)).await
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
        self.read_again(|| self.store.head(key)).await
    }

    /// The first bytes of an object, up to `bytes_max`.
    pub async fn get_start(&self, key: &str, bytes_max: u64) -> Result<Option<(Vec<u8>, Version)>> {
        self.read_again(|| async {
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
        self.read_again(|| async {
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
        self.read_again(|| async {
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

    /// Stores one of our own small objects. An answer that got lost is not taken for a refusal: what
    /// then stands there is what was to be written.
    pub async fn put_with(
        &self,
        permit: &impl Permit,
        key: &str,
        bytes: Vec<u8>,
        condition: Condition<'_>,
    ) -> Result<Put> {
        self.put_or_read(permit, key, bytes, condition).await.map(|(put, _)| put)
    }

    /// The same; where it is refused, with what stands there.
    pub async fn put_or_read(
        &self,
        permit: &impl Permit,
        key: &str,
        bytes: Vec<u8>,
        condition: Condition<'_>,
    ) -> Result<(Put, Option<Standing>)> {
        let payload = Payload::from(bytes);
        let checksums = checksums_of(&payload, self.store.checksum());
        let terms = PutTerms { checksums: &checksums, condition, origin: None, is_data: false };
        let put = self.repeat(permit, Bytes::Own, || self.store.put(key, &payload, &terms)).await?;
        if put != Put::Refused {
            return Ok((put, None));
        }
        let found = self.get_start(key, SMALL_BYTES_MAX.max(payload.length_bytes() + 1)).await?;
        match found {
            Some((bytes, version)) if !bytes.is_empty() && payload.chunks().iter().flatten().eq(&bytes) => {
                Ok((Put::Stored(version), None))
            }
            found => Ok((put, found)),
        }
    }

    /// Deletes objects; those that are not there count as deleted.
    pub async fn delete_with(&self, permit: &impl Permit, keys: &[String]) -> Result<()> {
        for keys in keys.chunks(DELETES_MAX) {
            self.repeat(permit, Bytes::Fetched, || self.store.delete(keys)).await?;
        }
        Ok(())
    }

    /// The unfinished uploads below a prefix; `None` where they cannot be listed.
    pub async fn uploads(&self, prefix: &str) -> Result<Option<Vec<Upload>>> {
        self.read_again(|| self.store.uploads(prefix)).await
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

/// The checksums of bytes of our own making.
fn checksums_of(payload: &Payload, checksum: ChecksumAlgorithm) -> Checksums {
    let mut hasher = ObjectHasher::for_checksums(&Checksums::default()).with(checksum);
    payload.chunks().iter().for_each(|chunk| hasher.update(chunk));
    hasher.finish().1
}
