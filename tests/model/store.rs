//! A bucket in memory behind the port `Store`. A killed run's requests have no effect any more.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use e3sync::destination::bucket::{
    Condition, Described, Fetched, Part, Payload, Put, PutTerms, Store, StoredObject, StoredPage, Upload, Version,
};
use e3sync::error::{Error, ErrorKind, Result};
use e3sync::export::{ChecksumAlgorithm, Checksums};
use e3sync::source::PageToken;
use futures::StreamExt as _;
use jiff::{SignedDuration, Timestamp};

use crate::script::Script;

/// Listings come in pages of this many objects.
const PAGE_OBJECTS: usize = 5;

/// An object of the bucket.
#[derive(Clone)]
pub struct Stored {
    pub bytes: Vec<u8>,
    etag: String,
    origin: Option<String>,
    modified_at: Timestamp,
}

/// What the bucket holds.
#[derive(Default)]
pub struct Bucket {
    pub objects: BTreeMap<String, Stored>,
    /// The server's clock.
    pub now: Timestamp,
    count: u64,
}

impl Bucket {
    /// An empty bucket whose clock shows `now`.
    pub fn at(now: Timestamp) -> Self {
        Self { now, ..Self::default() }
    }

    /// Stores an object, whoever does.
    pub fn put(&mut self, key: &str, bytes: Vec<u8>, origin: Option<&str>) -> Version {
        self.count += 1;
        let etag = format!("\"{:032x}\"", self.count);
        let origin = origin.filter(|origin| !origin.is_empty()).map(str::to_owned);
        self.objects.insert(key.to_owned(), Stored { bytes, etag: etag.clone(), origin, modified_at: self.now });
        Version { etag, generation: None }
    }

    fn allows(&self, key: &str, condition: Condition<'_>) -> bool {
        let found = self.objects.get(key);
        match condition {
            Condition::None => true,
            Condition::IfAbsent => found.is_none(),
            Condition::IfMatch(version) => found.is_some_and(|object| object.etag == version.etag),
        }
    }

    fn page(&self, prefix: &str, from: Option<&PageToken>) -> StoredPage {
        let begin = from.map_or(prefix, |from| from.token.as_str());
        let objects = self.objects.range(begin.to_owned()..);
        let mut objects: Vec<StoredObject> = objects
            .take_while(|(key, _)| key.starts_with(prefix))
            .take(PAGE_OBJECTS + 1)
            .map(|(key, object)| StoredObject {
                key: key.clone(),
                size_bytes: object.bytes.len() as u64,
                etag: Some(object.etag.clone()),
                modified_at: Some(object.modified_at),
            })
            .collect();
        let token = if objects.len() > PAGE_OBJECTS { objects.pop().map(|object| object.key) } else { None };
        let last_key = objects.last().map_or_else(String::new, |object| object.key.clone());
        let next = token.map(|token| PageToken { token, last_key, empty_pages: 0 });
        StoredPage { objects, next }
    }
}

/// The bucket as one run sees it.
pub struct MemoryStore {
    pub bucket: Arc<Mutex<Bucket>>,
    pub script: Arc<Script>,
}

impl MemoryStore {
    /// One request: it lets others take their turn, and then has its effect at once.
    async fn request<T>(&self, work: impl FnOnce(&mut Bucket) -> T) -> Result<T> {
        tokio::task::yield_now().await;
        let broken_off = || Error::new(ErrorKind::Internal, "the model killed this run");
        let (has_effect, has_answer) = self.script.write();
        if !has_effect {
            return Err(broken_off());
        }
        let mut bucket: MutexGuard<'_, Bucket> = self.bucket.lock().unwrap_or_else(PoisonError::into_inner);
        bucket.now += SignedDuration::from_millis(1);
        let answer = work(&mut bucket);
        if has_answer { Ok(answer) } else { Err(broken_off()) }
    }
}

fn not_played(what: &str) -> Error {
    Error::new(ErrorKind::Internal, format!("the model's objects are too small for {what}"))
}

#[async_trait]
impl Store for MemoryStore {
    fn url(&self) -> &str {
        "memory://bucket"
    }

    async fn habits(&self) -> Vec<&'static str> {
        Vec::new()
    }

    fn checksum(&self) -> ChecksumAlgorithm {
        ChecksumAlgorithm::Crc64Nvme
    }

    async fn list(&self, prefix: &str, from: Option<&PageToken>) -> Result<StoredPage> {
        self.request(|bucket| bucket.page(prefix, from)).await
    }

    async fn get(&self, key: &str, bytes_max: Option<u64>) -> Result<Option<Fetched>> {
        self.request(|bucket| {
            let object = bucket.objects.get(key)?;
            let length = bytes_max
                .map_or(object.bytes.len(), |max| object.bytes.len().min(usize::try_from(max).unwrap_or(usize::MAX)));
            let body = futures::stream::iter([Ok(Bytes::copy_from_slice(&object.bytes[..length]))]).boxed();
            Some(Fetched { version: Version { etag: object.etag.clone(), generation: None }, body })
        })
        .await
    }

    async fn head(&self, key: &str) -> Result<Option<Described>> {
        self.request(|bucket| {
            bucket.objects.get(key).map(|object| Described {
                size_bytes: object.bytes.len() as u64,
                version: Version { etag: object.etag.clone(), generation: None },
                origin: object.origin.clone(),
            })
        })
        .await
    }

    async fn put(&self, key: &str, payload: &Payload, terms: &PutTerms<'_>) -> Result<Put> {
        self.request(|bucket| {
            if !bucket.allows(key, terms.condition) {
                return Put::Refused;
            }
            Put::Stored(bucket.put(key, payload.chunks().concat(), terms.origin))
        })
        .await
    }

    async fn copy(&self, from: &str, to: &str, _size_bytes: u64) -> Result<()> {
        self.request(|bucket| {
            let found = bucket.objects.get(from).cloned();
            let object = found.ok_or_else(|| Error::new(ErrorKind::Protocol, format!("no key {from}")))?;
            bucket.put(to, object.bytes, object.origin.as_deref());
            Ok(())
        })
        .await?
    }

    async fn delete(&self, keys: &[String]) -> Result<()> {
        self.request(|bucket| keys.iter().for_each(|key| drop(bucket.objects.remove(key)))).await
    }

    async fn begin_upload(&self, _key: &str, _origin: &str) -> Result<String> {
        Err(not_played("uploads in parts"))
    }

    async fn upload_part(&self, _upload: &Upload, _number: u32, _payload: &Payload) -> Result<String> {
        Err(not_played("uploads in parts"))
    }

    async fn complete_upload(
        &self,
        _upload: &Upload,
        _parts: &[Part],
        _computed: &Checksums,
        _condition: Condition<'_>,
    ) -> Result<Put> {
        Err(not_played("uploads in parts"))
    }

    async fn abort_upload(&self, _upload: &Upload) -> Result<()> {
        Ok(())
    }

    async fn uploads(&self, _prefix: &str) -> Result<Option<Vec<Upload>>> {
        self.request(|_| Some(Vec::new())).await
    }

    async fn removes_unfinished_uploads(&self, _prefix: &str) -> Result<Option<bool>> {
        Ok(Some(false))
    }
}
