//! Writes one object into a bucket: as a whole, or in parts where it is large.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::OnceCell;

use super::claimed::{Claimed, Staged};
use super::fragment::{FinishedLine, UnfinishedLine};
use super::held::Begun;
use super::layout;
use super::store::{Condition, Part, Payload, Put, PutTerms, Upload, Version};
use crate::destination::record::{Place, Record, StoredEtag};
use crate::destination::{ObjectWriter, Work};
use crate::error::{Error, ErrorKind, Result};
use crate::export::{ChecksumAlgorithm, Checksums};
use crate::hash::ObjectHasher;
use crate::manifest::{Entry, VerifiedContent};

/// Stores one object: small ones whole by one request once their bytes are verified, large ones in
/// parts as they come.
pub(super) struct BucketWriter {
    claimed: Arc<Claimed>,
    staged: Arc<Staged>,
    work: Work,
    key: String,
    /// What has come and is not sent yet, by offset.
    chunks: Mutex<BTreeMap<u64, Bytes>>,
    multipart: Option<Multipart>,
}

/// The upload of a large object.
struct Multipart {
    part_size_bytes: u64,
    upload: OnceCell<Upload>,
    parts: Mutex<BTreeMap<u32, Part>>,
    /// The number of the last part that the journal knows.
    noted: Mutex<u32>,
}

impl BucketWriter {
    /// Opens an object; an upload that a former run has begun of it goes on.
    pub async fn open(
        claimed: &Arc<Claimed>,
        work: &Work,
        hasher: ObjectHasher,
        part_size_bytes: Option<u64>,
    ) -> Result<(Self, ObjectHasher)> {
        let staged = claimed.staged()?;
        claimed.begin(&staged).await?;
        let fresh = match claimed.shared.requests.store.checksum() {
            // A single PUT carries the SHA-256, which S3 verifies too.
            ChecksumAlgorithm::Crc64Nvme if part_size_bytes.is_none() => hasher,
            checksum => hasher.with(checksum),
        };
        let mut writer = Self {
            key: claimed.shared.key_of(&claimed.partition, &work.object.key),
            claimed: claimed.clone(),
            staged,
            work: work.clone(),
            chunks: Mutex::new(BTreeMap::new()),
            multipart: None,
        };
        let Some(part_size_bytes) = part_size_bytes else { return Ok((writer, fresh)) };
        let (multipart, hasher) = writer.continued(part_size_bytes, &fresh).await?;
        writer.multipart = Some(multipart);
        Ok((writer, hasher.unwrap_or(fresh)))
    }

    /// The upload of a former run with its hasher, where both can go on; else a new one.
    async fn continued(&self, part_size_bytes: u64, fresh: &ObjectHasher) -> Result<(Multipart, Option<ObjectHasher>)> {
        let new = || Multipart {
            part_size_bytes,
            upload: OnceCell::new(),
            parts: Mutex::new(BTreeMap::new()),
            noted: Mutex::new(0),
        };
        let Some(unfinished) = self.claimed.unfinished_of(&self.work.object) else { return Ok((new(), None)) };
        let is_same = unfinished.object.has_identity_of(&self.work.object)
            && unfinished.part_size_bytes == part_size_bytes
            && unfinished.is_continuable();
        let hasher = unfinished.hasher.as_ref().filter(|_| is_same).and_then(|state| fresh.clone().restore(state));
        let Some(hasher) = hasher else {
            self.claimed.shared.requests.abort_upload(&unfinished.upload).await?;
            return Ok((new(), None));
        };
        let noted = u32::try_from(hasher.length_bytes() / part_size_bytes).unwrap_or(u32::MAX);
        let parts: BTreeMap<u32, Part> = unfinished.parts.into_iter().filter(|(number, _)| *number <= noted).collect();
        self.note(&unfinished.upload).await?;
        let multipart = Multipart {
            part_size_bytes,
            upload: OnceCell::new_with(Some(unfinished.upload)),
            parts: Mutex::new(parts),
            noted: Mutex::new(noted),
        };
        Ok((multipart, Some(hasher)))
    }

    /// Notes the upload, and gives up one that was begun of an earlier version of the object.
    async fn note(&self, upload: &Upload) -> Result<()> {
        match self.claimed.shared.note_upload(upload) {
            Some(earlier) => self.claimed.shared.requests.abort_upload(&earlier).await,
            None => Ok(()),
        }
    }

    /// The upload, begun with the first part.
    async fn upload<'a>(&self, multipart: &'a Multipart) -> Result<&'a Upload> {
        let begun = multipart.upload.get_or_try_init(|| async {
            let shared = &self.claimed.shared;
            let Begun { upload, may_have_others } = shared.requests.begin_upload(&self.key, &self.origin()).await?;
            if may_have_others {
                self.claimed.note_unheard_upload();
            }
            self.note(&upload).await?;
            // Only an upload that is known can be given up after a kill.
            self.claimed.journal.note_unfinished(self.unfinished(multipart, &upload, Vec::new(), None)).await?;
            Ok(upload)
        });
        begun.await
    }

    fn unfinished(
        &self,
        multipart: &Multipart,
        upload: &Upload,
        parts: Vec<Part>,
        hasher: Option<&ObjectHasher>,
    ) -> UnfinishedLine {
        UnfinishedLine {
            object: self.work.object.clone(),
            upload_id: upload.id.clone(),
            part_size_bytes: multipart.part_size_bytes,
            parts,
            hasher: hasher.and_then(ObjectHasher::save),
        }
    }

    fn origin(&self) -> String {
        layout::origin(&self.key, self.claimed.shared.run, self.work.index)
    }

    /// The bytes of a range, which all have come.
    fn take_chunks(&self, range: Range<u64>) -> Payload {
        let mut chunks = self.chunks.lock().unwrap_or_else(PoisonError::into_inner);
        let mut taken = chunks.split_off(&range.start);
        let mut rest = taken.split_off(&range.end);
        chunks.append(&mut rest);
        let mut payload = Payload::default();
        taken.into_values().for_each(|chunk| payload.push(chunk));
        payload
    }

    /// Stores a small object.
    async fn put(&self, computed: &Checksums) -> Result<Version> {
        let payload = self.take_chunks(0..u64::MAX);
        if payload.length_bytes() != self.work.object.size_bytes {
            return Err(Error::new(ErrorKind::Internal, format!("bytes of {} were lost on their way", self.key)));
        }
        let origin = self.origin();
        let terms = PutTerms { checksums: computed, condition: Condition::None, origin: Some(&origin), is_data: true };
        self.claimed.shared.requests.put_data(&self.key, &payload, &terms).await
    }

    /// Makes the object of its parts.
    async fn complete(&self, multipart: &Multipart, computed: &Checksums) -> Result<Version> {
        let upload = self.upload(multipart).await?;
        let parts: Vec<Part> =
            multipart.parts.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect();
        let requests = &self.claimed.shared.requests;
        let completed = requests.complete_upload(upload, &parts, computed, Condition::None).await;
        let version = match completed {
            Ok(Put::Stored(version)) => version,
            Ok(Put::Refused) => {
                return Err(Error::new(ErrorKind::Protocol, format!("{} was refused without a reason", self.key)));
            }
            Err(error) if error.kind() == ErrorKind::UploadLost => self.completed_unheard().await?.ok_or(error)?,
            Err(error) => return Err(error),
        };
        self.claimed.shared.forget_upload_note(&self.key);
        Ok(version)
    }

    /// The version of the object if it stands there as this very upload has made it: the answer to an
    /// earlier attempt was lost.
    async fn completed_unheard(&self) -> Result<Option<Version>> {
        let described = self.claimed.shared.requests.head(&self.key).await?;
        Ok(described
            .filter(|described| described.origin.as_deref() == Some(&self.origin()))
            .filter(|described| described.size_bytes == self.work.object.size_bytes)
            .map(|described| described.version))
    }
}

#[async_trait]
impl ObjectWriter for BucketWriter {
    async fn write(&self, offset: u64, bytes: &Bytes) -> Result<()> {
        self.chunks.lock().unwrap_or_else(PoisonError::into_inner).insert(offset, bytes.clone());
        Ok(())
    }

    fn read_back(&self, _offset: u64, _buffer: &mut [u8]) -> Result<()> {
        Err(Error::new(ErrorKind::Internal, format!("bytes of {} were to be read before they are stored", self.key)))
    }

    async fn end_part(&self, range: Range<u64>) -> Result<()> {
        let Some(multipart) = &self.multipart else { return Ok(()) };
        let number = u32::try_from(range.start / multipart.part_size_bytes + 1).unwrap_or(u32::MAX);
        let upload = self.upload(multipart).await?;
        let payload = self.take_chunks(range);
        let part = self.claimed.shared.requests.upload_part(upload, number, &payload).await?;
        multipart.parts.lock().unwrap_or_else(PoisonError::into_inner).insert(number, part);
        Ok(())
    }

    async fn checkpoint(&self, hasher: &ObjectHasher) -> Result<()> {
        let Some(multipart) = &self.multipart else { return Ok(()) };
        let upload = self.upload(multipart).await?;
        let until = u32::try_from(hasher.length_bytes() / multipart.part_size_bytes).unwrap_or(u32::MAX);
        let parts = {
            let mut noted = multipart.noted.lock().unwrap_or_else(PoisonError::into_inner);
            let from = std::mem::replace(&mut *noted, until) + 1;
            let parts = multipart.parts.lock().unwrap_or_else(PoisonError::into_inner);
            (from..=until).filter_map(|number| parts.get(&number).cloned()).collect()
        };
        self.claimed.journal.note_unfinished(self.unfinished(multipart, upload, parts, Some(hasher))).await
    }

    async fn finish(&self, content: &VerifiedContent, computed: &Checksums) -> Result<()> {
        let version = match &self.multipart {
            Some(multipart) => self.complete(multipart, computed).await?,
            None => self.put(computed).await?,
        };
        let stored_etag = StoredEtag::new(&version.etag).filter(|etag| !etag.as_str().is_empty());
        let place = Place::Staged { run: self.claimed.shared.run };
        self.staged.ledger.set_record(self.work.index, Record { place, content: Some(*content), stored_etag })?;
        let mut entry = Entry::new(&self.work.object, &self.work.object.key, content);
        entry.stored_etag = stored_etag.map(|etag| etag.as_str().to_owned());
        self.claimed.journal.note_finished(FinishedLine { index: self.work.index, entry }).await
    }
}
