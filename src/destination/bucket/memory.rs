//! A bucket in memory for tests: it can break off before or after any request, and it looks after
//! each one whether readers would still see whole days.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt as _;
use jiff::{SignedDuration, Timestamp};

use super::store::{
    Condition, Described, Fetched, Part, Payload, Put, PutTerms, Store, StoredObject, StoredPage, Upload, Version,
};
use crate::error::{Error, ErrorKind, Result};
use crate::export::{ChecksumAlgorithm, Checksums};
use crate::hash::ObjectHasher;
use crate::plan::listing_check::{PageToken, StatedPage};

/// An object as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemoryObject {
    pub bytes: Vec<u8>,
    pub etag: String,
    pub origin: Option<String>,
    pub modified_at: Timestamp,
}

/// A multipart upload that is not completed.
#[derive(Clone, Debug)]
pub struct MemoryUpload {
    pub key: String,
    origin: String,
    parts: BTreeMap<u32, Vec<u8>>,
}

#[derive(Default)]
pub struct State {
    pub objects: BTreeMap<String, MemoryObject>,
    /// By id.
    pub uploads: BTreeMap<String, MemoryUpload>,
    pub now: Timestamp,
    /// The names of all requests that had an effect or could have had.
    pub log: Vec<String>,
    pub count: u64,
}

/// When the bucket, or the machine in front of it, breaks off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakOff {
    Never,
    /// From the request with this number on nothing has an effect.
    Before(usize),
    /// The request with this number has its effect, but no answer; later ones have none.
    After(usize),
}

/// Looks at the bucket after each request, and may play another run that changes it.
type Look = Box<dyn Fn(&mut State) + Send + Sync>;

/// The bucket as one run sees it. Several share the state.
pub struct MemoryStore {
    pub state: std::sync::Arc<Mutex<State>>,
    break_off: BreakOff,
    requests: Mutex<usize>,
    look: Option<Look>,
    /// Uploads end whatever is there, and copies mind conditions, as at Google.
    copies_into_place: bool,
}

impl MemoryStore {
    pub fn new(state: std::sync::Arc<Mutex<State>>, break_off: BreakOff, look: Option<Look>) -> Self {
        Self { state, break_off, requests: Mutex::new(0), look, copies_into_place: false }
    }

    pub fn copying_into_place(self, copies_into_place: bool) -> Self {
        Self { copies_into_place, ..self }
    }

    pub fn requests(&self) -> usize {
        *self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn request<T>(&self, name: String, work: impl FnOnce(&mut State) -> Result<T>) -> Result<T> {
        let number = {
            let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
            *requests += 1;
            *requests - 1
        };
        let broken = || Error::new(ErrorKind::Internal, format!("broken off at request {number}: {name}"));
        let is_over = match self.break_off {
            BreakOff::Never => false,
            BreakOff::Before(at) => number >= at,
            BreakOff::After(at) => number > at,
        };
        if is_over {
            return Err(broken());
        }
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.now += SignedDuration::from_millis(1);
        state.log.push(name.clone());
        let answer = work(&mut state);
        if let Some(look) = &self.look {
            look(&mut state);
        }
        if self.break_off == BreakOff::After(number) { Err(broken()) } else { answer }
    }
}

impl State {
    pub fn put(&mut self, key: &str, bytes: Vec<u8>, origin: Option<&str>) -> Version {
        self.count += 1;
        let etag = format!("\"{}\"", self.count);
        let object = MemoryObject {
            bytes,
            etag: etag.clone(),
            origin: origin.filter(|origin| !origin.is_empty()).map(str::to_owned),
            modified_at: self.now,
        };
        self.objects.insert(key.to_owned(), object);
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
}

fn lost(upload: &Upload) -> Error {
    Error::new(ErrorKind::UploadLost, format!("no upload {}", upload.id))
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
        const PAGE_KEYS: usize = 3;
        self.request(format!("LIST {prefix}"), |state| {
            let mut objects: Vec<StoredObject> = state
                .objects
                .range(from.map_or(prefix, |from| &from.token).to_owned()..)
                .take_while(|(key, _)| key.starts_with(prefix))
                .take(PAGE_KEYS + 1)
                .map(|(key, object)| StoredObject {
                    key: key.clone(),
                    size_bytes: object.bytes.len() as u64,
                    etag: Some(object.etag.clone()),
                    modified_at: Some(object.modified_at),
                })
                .collect();
            let next_token = if objects.len() > PAGE_KEYS { objects.pop().map(|object| object.key) } else { None };
            let stated = StatedPage { echoed_prefix: None, next_token };
            let next = stated.check(prefix, objects.iter().map(|object| object.key.as_str()), from);
            let next = next.map_err(|reason| crate::net::untrusted_listing(prefix, reason))?;
            Ok(StoredPage { objects, next })
        })
    }

    async fn get(&self, key: &str, bytes_max: Option<u64>) -> Result<Option<Fetched>> {
        self.request(format!("GET {key}"), |state| {
            let Some(object) = state.objects.get(key) else { return Ok(None) };
            let length = bytes_max.map_or(object.bytes.len(), |max| object.bytes.len().min(max as usize));
            let bytes = Bytes::copy_from_slice(&object.bytes[..length]);
            let version = Version { etag: object.etag.clone(), generation: None };
            Ok(Some(Fetched { version, body: futures::stream::iter([Ok(bytes)]).boxed() }))
        })
    }

    async fn head(&self, key: &str) -> Result<Option<Described>> {
        self.request(format!("HEAD {key}"), |state| {
            Ok(state.objects.get(key).map(|object| Described {
                size_bytes: object.bytes.len() as u64,
                version: Version { etag: object.etag.clone(), generation: None },
                origin: object.origin.clone(),
            }))
        })
    }

    async fn put(&self, key: &str, payload: &Payload, terms: &PutTerms<'_>) -> Result<Put> {
        let bytes = payload.chunks().concat();
        let mut hasher = ObjectHasher::for_checksums(&Checksums::default());
        hasher.update(&bytes);
        assert_eq!(
            Some(hasher.sha256_so_far()),
            terms.checksums.bytes(ChecksumAlgorithm::Sha256).map(|sha256| sha256.0),
            "checksum of {key}"
        );
        self.request(format!("PUT {key}"), |state| {
            if !state.allows(key, terms.condition) {
                return Ok(Put::Refused);
            }
            Ok(Put::Stored(state.put(key, bytes, terms.origin)))
        })
    }

    async fn copy(&self, from: &str, to: &str, size_bytes: u64) -> Result<()> {
        self.request(format!("COPY {from} {to}"), |state| {
            let object = state.objects.get(from).cloned().ok_or_else(|| Error::new(ErrorKind::Protocol, "no key"))?;
            assert_eq!(object.bytes.len() as u64, size_bytes);
            state.put(to, object.bytes, object.origin.as_deref());
            Ok(())
        })
    }

    fn place_before_copy(&self, key: &str) -> Option<String> {
        self.copies_into_place.then(|| format!("{key}.beside"))
    }

    async fn copy_if(
        &self,
        (from, version): (&str, &Version),
        to: &str,
        _computed: &Checksums,
        condition: Condition<'_>,
    ) -> Result<Put> {
        self.request(format!("COPY {from} {to}"), |state| {
            if !state.allows(from, Condition::IfMatch(version)) || !state.allows(to, condition) {
                return Ok(Put::Refused);
            }
            let object = state.objects[from].clone();
            Ok(Put::Stored(state.put(to, object.bytes, object.origin.as_deref())))
        })
    }

    async fn delete(&self, keys: &[String]) -> Result<()> {
        assert!(!keys.is_empty() && keys.len() <= super::DELETES_MAX);
        self.request(format!("DELETE {}", keys.join(" ")), |state| {
            keys.iter().for_each(|key| drop(state.objects.remove(key)));
            Ok(())
        })
    }

    async fn begin_upload(&self, key: &str, origin: &str) -> Result<String> {
        self.request(format!("BEGIN {key}"), |state| {
            state.count += 1;
            let id = format!("upload-{}", state.count);
            let upload = MemoryUpload { key: key.to_owned(), origin: origin.to_owned(), parts: BTreeMap::new() };
            state.uploads.insert(id.clone(), upload);
            Ok(id)
        })
    }

    async fn upload_part(&self, upload: &Upload, number: u32, payload: &Payload) -> Result<String> {
        let bytes = payload.chunks().concat();
        self.request(format!("PART {number} {}", upload.key), |state| {
            let begun = state.uploads.get_mut(&upload.id).ok_or_else(|| lost(upload))?;
            begun.parts.insert(number, bytes);
            Ok(format!("part-{number}"))
        })
    }

    async fn complete_upload(
        &self,
        upload: &Upload,
        parts: &[Part],
        computed: &Checksums,
        condition: Condition<'_>,
    ) -> Result<Put> {
        self.request(format!("COMPLETE {}", upload.key), |state| {
            let MemoryUpload { key, origin, parts: stored } =
                state.uploads.get(&upload.id).cloned().ok_or_else(|| lost(upload))?;
            let mut bytes = Vec::new();
            for part in parts {
                let stored = stored.get(&part.number).ok_or_else(|| lost(upload))?;
                assert_eq!(part.size_bytes, stored.len() as u64, "part {} of {key}", part.number);
                bytes.extend_from_slice(stored);
            }
            let mut hasher = ObjectHasher::for_checksums(&Checksums::default()).with(ChecksumAlgorithm::Crc64Nvme);
            hasher.update(&bytes);
            let crc = |checksums: &Checksums| checksums.get(ChecksumAlgorithm::Crc64Nvme);
            if crc(&hasher.finish().1) != crc(computed) {
                return Err(Error::new(ErrorKind::ChecksumMismatch, format!("checksum of {key}")));
            }
            assert!(!self.copies_into_place || condition == Condition::None, "a condition that nothing minds");
            if !state.allows(&key, condition) {
                return Ok(Put::Refused);
            }
            state.uploads.remove(&upload.id);
            Ok(Put::Stored(state.put(&key, bytes, Some(&origin))))
        })
    }

    async fn abort_upload(&self, upload: &Upload) -> Result<()> {
        self.request(format!("ABORT {}", upload.key), |state| {
            state.uploads.remove(&upload.id);
            Ok(())
        })
    }

    async fn uploads(&self, prefix: &str) -> Result<Option<Vec<Upload>>> {
        self.request(format!("UPLOADS {prefix}"), |state| {
            let uploads = state.uploads.iter().filter(|(_, upload)| upload.key.starts_with(prefix));
            Ok(Some(uploads.map(|(id, upload)| Upload { key: upload.key.clone(), id: id.clone() }).collect()))
        })
    }

    async fn removes_unfinished_uploads(&self, _prefix: &str) -> Result<Option<bool>> {
        Ok(Some(false))
    }
}
