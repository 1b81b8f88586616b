//! What the bucket holds. Every change is one step under one lock, so conditions decide races.

use super::super::listing::{Page, Query, select};
use super::super::s3::S3Error;
use super::copy::{Labels, StoredCopy, StoredVersion};
use super::digest::Algorithm;
use bytes::Bytes;
use http::StatusCode;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The objects by their key.
pub(super) type Objects = BTreeMap<String, Arc<StoredCopy>>;

/// On what a write depends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Condition {
    /// On nothing.
    None,
    /// That there is no object of the key.
    IfAbsent,
    /// That the object has this entity tag.
    IfTag(String),
    /// That the object has this generation.
    IfGeneration(u64),
}

/// A part of an unfinished upload.
#[derive(Debug, Clone)]
pub(super) struct StoredPart {
    pub(super) bytes: Bytes,
    pub(super) etag: String,
    /// By the upload's algorithm.
    pub(super) checksum: Vec<u8>,
}

/// An unfinished upload.
#[derive(Debug, Clone)]
pub(super) struct Upload {
    pub(super) labels: Labels,
    pub(super) algorithm: &'static Algorithm,
    pub(super) is_composite: bool,
    pub(super) begun_at: jiff::Timestamp,
    pub(super) parts: BTreeMap<u32, StoredPart>,
}

/// The unfinished uploads by key and id.
pub(super) type Uploads = BTreeMap<(String, String), Upload>;

/// The contents of the bucket.
pub(super) struct Store {
    keeps_versions: bool,
    /// Nothing can be replaced or deleted.
    is_retained: bool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    objects: Objects,
    history: BTreeMap<String, Vec<StoredVersion>>,
    uploads: Uploads,
    /// The generation of the newest object.
    generation: u64,
}

impl Store {
    pub(super) fn new(keeps_versions: bool, is_retained: bool) -> Self {
        // Google's generations are microseconds; what matters is that they are large and grow.
        let state = State { generation: 1_700_000_000_000_000, ..State::default() };
        Self { keeps_versions, is_retained, state: Mutex::new(state) }
    }

    pub(super) fn objects(&self) -> Objects {
        self.state().objects.clone()
    }

    pub(super) fn find(&self, key: &str) -> Option<Arc<StoredCopy>> {
        self.state().objects.get(key).cloned()
    }

    /// The page of keys that the query asks for.
    pub(super) fn page(&self, query: &Query) -> Page<Arc<StoredCopy>> {
        select(&self.state().objects, query)
    }

    /// The object of the key, or the refusal of a read.
    pub(super) fn get(&self, key: &str) -> Result<Arc<StoredCopy>, S3Error> {
        self.find(key).ok_or_else(|| no_such_key(key))
    }

    /// Everything that was ever written to the key and is kept, oldest first.
    pub(super) fn versions(&self, key: &str) -> Vec<StoredVersion> {
        let state = self.state();
        match self.keeps_versions {
            true => state.history.get(key).cloned().unwrap_or_default(),
            false => state.objects.get(key).map(|copy| StoredVersion::Copy(copy.clone())).into_iter().collect(),
        }
    }

    /// Writes an object if the condition holds.
    pub(super) fn put(&self, key: &str, copy: StoredCopy, condition: &Condition) -> Result<Arc<StoredCopy>, S3Error> {
        let mut state = self.state();
        self.check(condition, key, state.objects.get(key))?;
        Ok(self.insert(&mut state, key, copy))
    }

    /// Makes an object of an upload, which ends with it, if the condition holds.
    pub(super) fn finish_upload(
        &self,
        (key, id): &(String, String),
        copy: StoredCopy,
        condition: &Condition,
    ) -> Result<Arc<StoredCopy>, S3Error> {
        let mut state = self.state();
        self.check(condition, key, state.objects.get(key))?;
        state.uploads.remove(&(key.clone(), id.clone())).ok_or_else(|| no_such_upload(id))?;
        Ok(self.insert(&mut state, key, copy))
    }

    fn insert(&self, state: &mut State, key: &str, copy: StoredCopy) -> Arc<StoredCopy> {
        state.generation += 1;
        let copy = Arc::new(StoredCopy { generation: state.generation, ..copy });
        if self.keeps_versions {
            state.history.entry(key.to_owned()).or_default().push(StoredVersion::Copy(copy.clone()));
        }
        state.objects.insert(key.to_owned(), copy.clone());
        copy
    }

    /// Deletes an object if the condition holds; true if there was one.
    pub(super) fn remove(&self, key: &str, condition: &Condition) -> Result<bool, S3Error> {
        let mut state = self.state();
        self.check(condition, key, state.objects.get(key))?;
        if self.keeps_versions {
            state.history.entry(key.to_owned()).or_default().push(StoredVersion::DeleteMarker);
        }
        Ok(state.objects.remove(key).is_some())
    }

    pub(super) fn begin_upload(&self, key: &str, id: String, upload: Upload) {
        self.state().uploads.insert((key.to_owned(), id), upload);
    }

    pub(super) fn upload(&self, place: &(String, String)) -> Result<Upload, S3Error> {
        self.state().uploads.get(place).cloned().ok_or_else(|| no_such_upload(&place.1))
    }

    /// The algorithm of an upload's checksums.
    pub(super) fn algorithm(&self, place: &(String, String)) -> Result<&'static Algorithm, S3Error> {
        self.state().uploads.get(place).map(|upload| upload.algorithm).ok_or_else(|| no_such_upload(&place.1))
    }

    /// Keeps a part in place of an earlier one of the same number.
    pub(super) fn put_part(&self, place: &(String, String), number: u32, part: StoredPart) -> Result<(), S3Error> {
        let mut state = self.state();
        let upload = state.uploads.get_mut(place).ok_or_else(|| no_such_upload(&place.1))?;
        upload.parts.insert(number, part);
        Ok(())
    }

    pub(super) fn abort_upload(&self, place: &(String, String)) -> Result<(), S3Error> {
        self.state().uploads.remove(place).map(drop).ok_or_else(|| no_such_upload(&place.1))
    }

    pub(super) fn uploads(&self) -> Uploads {
        self.state().uploads.clone()
    }

    pub(super) fn abort_uploads(&self) {
        self.state().uploads.clear();
    }

    /// Sees that the condition holds and that no policy keeps the object as it is.
    fn check(&self, condition: &Condition, key: &str, current: Option<&Arc<StoredCopy>>) -> Result<(), S3Error> {
        check(condition, key, current)?;
        match current {
            Some(_) if self.is_retained && !self.keeps_versions => Err(retained(key)),
            _ => Ok(()),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn check(condition: &Condition, key: &str, current: Option<&Arc<StoredCopy>>) -> Result<(), S3Error> {
    let (name, holds) = match (condition, current) {
        (Condition::None, _) => return Ok(()),
        (Condition::IfAbsent, current) => ("If-None-Match", current.is_none()),
        // S3 calls a key that is missing missing, and not a condition that does not hold.
        (Condition::IfTag(_), None) => return Err(no_such_key(key)),
        (Condition::IfTag(tag), Some(copy)) => ("If-Match", tag == "*" || unquoted(tag) == unquoted(&copy.etag)),
        (Condition::IfGeneration(generation), current) => {
            ("x-goog-if-generation-match", current.is_some_and(|copy| copy.generation == *generation))
        }
    };
    if holds { Ok(()) } else { Err(precondition_failed(name)) }
}

fn unquoted(tag: &str) -> &str {
    tag.trim_matches('"')
}

/// The refusal of a condition that does not hold.
pub(super) fn precondition_failed(name: &str) -> S3Error {
    let message = "At least one of the pre-conditions you specified did not hold";
    S3Error::new(StatusCode::PRECONDITION_FAILED, "PreconditionFailed", message).with("Condition", name)
}

fn retained(key: &str) -> S3Error {
    let message = format!(
        "Object '{key}' is subject to bucket's retention policy or object retention and cannot be deleted or overwritten"
    );
    S3Error::new(StatusCode::FORBIDDEN, "RetentionPolicyNotMet", &message)
}

fn no_such_key(key: &str) -> S3Error {
    S3Error::new(StatusCode::NOT_FOUND, "NoSuchKey", "The specified key does not exist.").with("Key", key)
}

fn no_such_upload(id: &str) -> S3Error {
    let message = "The specified upload does not exist. The upload ID may be invalid, or the upload may have been \
                   aborted or completed.";
    S3Error::new(StatusCode::NOT_FOUND, "NoSuchUpload", message).with("UploadId", id)
}
