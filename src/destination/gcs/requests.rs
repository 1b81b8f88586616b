//! The requests to objects and listings, behind the port of a bucket.

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt as _};
use object_store::{
    Attribute, Attributes, CopyMode, CopyOptions, GetOptions, GetRange, GetResult, GetResultPayload, ObjectStore as _,
    ObjectStoreExt as _, PutMode, PutOptions, PutPayload, PutResult, UpdateVersion,
};
use url::Url;

use super::call::Operation;
use super::failure;
use super::tried::Tried;
use super::{GcsStore, is_header, listing};
use crate::destination::bucket::{
    Condition, Described, Fetched, Part, Payload, Policies, Put, PutTerms, Store, StoredPage, Upload, Version,
};
use crate::error::{Error, ErrorKind, Result};
use crate::export::{Base64, ChecksumAlgorithm, Checksums, printable};
use crate::plan::listing_check::PageToken;

/// The metadata that holds [`PutTerms::origin`].
const ORIGIN: &str = "e3sync-origin";

/// The ending of an object's name that is not in its place yet.
const UNPLACED_ENDING: &str = ".unplaced";

/// Number of keys requested per page; the server returns no more.
const PAGE_KEYS_MAX: &str = "1000";

/// Maximum number of concurrent deletions: the XML API deletes one object per request.
const DELETES_IN_FLIGHT_MAX: usize = 16;

#[async_trait]
impl Store for GcsStore {
    fn url(&self) -> &str {
        &self.url
    }

    fn checksum(&self) -> ChecksumAlgorithm {
        ChecksumAlgorithm::Crc32c
    }

    async fn list(&self, prefix: &str, from: Option<&PageToken>) -> Result<StoredPage> {
        let mut pairs = vec![("list-type", "2"), ("max-keys", PAGE_KEYS_MAX), ("prefix", prefix)];
        pairs.extend(from.map(|from| ("continuation-token", from.token.as_str())));
        let answer = self.ask(Operation::List, prefix, &query(&pairs)?).await?;
        listing::read_page(&answer, &self.bucket, prefix, from)
    }

    async fn get(&self, key: &str, bytes_max: Option<u64>) -> Result<Option<Fetched>> {
        // A range of no bytes cannot be asked for; one is cut off below.
        let range = bytes_max.map(|bytes_max| GetRange::Bounded(0..bytes_max.max(1)));
        let found = match self.open(Operation::Get, key, range).await {
            // Of an object without bytes there is no range.
            Err(failure) if failure.status == Some(416) => self.open(Operation::Get, key, None).await,
            found => found,
        };
        let Some((found, _)) = unless_absent(found)? else { return Ok(None) };
        let version = version(found.meta.e_tag.clone(), found.meta.version.as_deref());
        Ok(Some(Fetched { version, body: body(found, bytes_max, &format!("{}/{key}", self.url)) }))
    }

    async fn head(&self, key: &str) -> Result<Option<Described>> {
        let Some((found, _)) = unless_absent(self.open(Operation::Head, key, None).await)? else { return Ok(None) };
        let origin = found.attributes.get(&Attribute::Metadata(ORIGIN.into())).map(|origin| origin.to_string());
        let version = version(found.meta.e_tag.clone(), found.meta.version.as_deref());
        Ok(Some(Described { size_bytes: found.meta.size, version, origin }))
    }

    async fn put(&self, key: &str, payload: &Payload, terms: &PutTerms<'_>) -> Result<Put> {
        let path = self.path(key)?;
        let mode = match terms.condition {
            Condition::None => PutMode::Overwrite,
            Condition::IfAbsent => PutMode::Create,
            Condition::IfMatch(version) => PutMode::Update(self.update(version, key)?),
        };
        let attributes = self.attributes(key, terms.origin, terms.is_data)?;
        let options = PutOptions { mode, attributes, ..PutOptions::default() };
        let crc32c = terms.checksums.bytes(ChecksumAlgorithm::Crc32c).unwrap_or_else(|| crc32c_of(payload));
        let bytes = to_object_store(payload);
        let request = || self.store.put_opts(&path, bytes.clone(), options.clone());
        match self.run(Operation::Put, key, Some(crc32c), request).await {
            Ok((stored, received)) => {
                self.compare(key, crc32c, received)?;
                Ok(Put::Stored(version_of(&stored)))
            }
            Err(failure) if failure.status == Some(412) && terms.condition != Condition::None => Ok(Put::Refused),
            Err(failure) => Err(failure.into()),
        }
    }

    async fn copy(&self, from: &str, to: &str, _size_bytes: u64) -> Result<()> {
        let (from, to_path) = (self.path(from)?, self.path(to)?);
        let options = CopyOptions { mode: CopyMode::Overwrite, ..CopyOptions::default() };
        let request = || self.store.copy_opts(&from, &to_path, options.clone());
        self.run(Operation::Copy, to, None, request).await?;
        Ok(())
    }

    fn place_before_copy(&self, key: &str) -> Option<String> {
        Some(format!("{key}{UNPLACED_ENDING}"))
    }

    async fn copy_if(
        &self,
        from: (&str, &Version),
        to: &str,
        computed: &Checksums,
        condition: Condition<'_>,
    ) -> Result<Put> {
        self.copy_on(from, to, computed, condition).await
    }

    async fn delete(&self, keys: &[String]) -> Result<()> {
        let mut deletions = stream::iter(keys.to_vec())
            .map(|key| async move {
                let path = self.path(&key)?;
                let deleted = self.run(Operation::Delete, &key, None, || self.store.delete(&path)).await;
                unless_absent(deleted).map(drop)
            })
            .buffer_unordered(DELETES_IN_FLIGHT_MAX);
        while let Some(deleted) = deletions.next().await {
            deleted?;
        }
        Ok(())
    }

    async fn begin_upload(&self, key: &str, origin: &str) -> Result<String> {
        self.begin(key, origin).await
    }

    async fn upload_part(&self, upload: &Upload, number: u32, payload: &Payload) -> Result<String> {
        self.send_part(upload, number, payload).await
    }

    async fn complete_upload(
        &self,
        upload: &Upload,
        parts: &[Part],
        computed: &Checksums,
        condition: Condition<'_>,
    ) -> Result<Put> {
        self.complete(upload, parts, computed, condition).await
    }

    async fn abort_upload(&self, upload: &Upload) -> Result<()> {
        self.abort(upload).await
    }

    async fn uploads(&self, prefix: &str) -> Result<Option<Vec<Upload>>> {
        let pairs = query(&[("max-uploads", PAGE_KEYS_MAX), ("prefix", prefix)])?;
        let answer = self.ask(Operation::Uploads, prefix, &format!("uploads&{pairs}")).await;
        unless_refused(answer)?.map(|answer| listing::read_uploads(&answer, &self.bucket, prefix)).transpose()
    }

    async fn removes_unfinished_uploads(&self, prefix: &str) -> Result<Option<bool>> {
        let answer = match self.ask(Operation::Lifecycle, "", "lifecycle").await {
            // S3's way of saying that there are no rules; Google sends an empty document.
            Err(failure) if failure.status == Some(404) && failure.error.kind() != ErrorKind::Usage => {
                return Ok(Some(false));
            }
            answer => answer,
        };
        unless_refused(answer)?.map(|answer| listing::read_lifecycle(&answer, &self.bucket, prefix)).transpose()
    }

    async fn habits(&self) -> Vec<&'static str> {
        Vec::new()
    }

    async fn policies(&self) -> Result<Policies> {
        self.ask_policies().await
    }
}

impl GcsStore {
    /// An object's description, with its bytes where `operation` reads them, and its checksum.
    pub(super) async fn open(
        &self,
        operation: Operation,
        key: &str,
        range: Option<GetRange>,
    ) -> Tried<(GetResult, Option<Base64<4>>)> {
        let path = self.path(key)?;
        let options = GetOptions { range, head: operation == Operation::Head, ..GetOptions::default() };
        self.run(operation, key, None, || self.store.get_opts(&path, options.clone())).await
    }

    /// What is kept with an object.
    ///
    /// # Errors
    /// [`ErrorKind::KeyRefused`] for an origin that cannot stand in a header.
    pub(super) fn attributes(&self, key: &str, origin: Option<&str>, is_data: bool) -> Result<Attributes> {
        let mut attributes = Attributes::new();
        if let Some(origin) = origin {
            if !is_header(origin) {
                let what = format!("the origin of {}/{} cannot be kept with it", self.url, printable(key));
                return Err(Error::new(ErrorKind::KeyRefused, what));
            }
            attributes.insert(Attribute::Metadata(ORIGIN.into()), origin.to_owned().into());
        }
        if let Some(class) = self.storage_class.as_ref().filter(|_| is_data) {
            attributes.insert(Attribute::StorageClass, class.clone().into());
        }
        Ok(attributes)
    }

    fn update(&self, version: &Version, key: &str) -> Result<UpdateVersion> {
        Ok(UpdateVersion { e_tag: None, version: Some(self.generation(version, key)?) })
    }

    /// The generation that a condition names.
    pub(super) fn generation(&self, version: &Version, key: &str) -> Result<String> {
        let Some(generation) = version.generation else {
            let what = format!("the server tells no generation of {}/{}", self.url, printable(key));
            return Err(Error::new(ErrorKind::Protocol, what)
                .with_hint("check the destination's endpoint; Google Cloud Storage always tells it"));
        };
        Ok(generation.to_string())
    }

    /// Compares the checksum of the bytes that were sent with the one of those that arrived.
    pub(super) fn compare(&self, key: &str, sent: Base64<4>, received: Option<Base64<4>>) -> Result<()> {
        match received {
            Some(received) if received != sent => Err(Error::new(
                ErrorKind::ChecksumMismatch,
                format!("the bucket has other bytes of {}/{} than were sent", self.url, printable(key)),
            )
            .with_hint("the network or a machine on the way changes bytes; run again")),
            _ => Ok(()),
        }
    }
}

/// The bytes of an answer; what goes wrong is told with their address.
fn body(found: GetResult, bytes_max: Option<u64>, address: &str) -> BoxStream<'static, Result<Bytes>> {
    let wanted_bytes = found.range.end - found.range.start;
    let GetResultPayload::Stream(stream) = found.payload;
    let address = printable(address).into_owned();
    let broken = move |how: &str| Error::new(ErrorKind::Unavailable, format!("the transfer of {address} {how}"));
    let state = (stream, 0_u64, bytes_max.unwrap_or(u64::MAX), broken);
    stream::try_unfold(state, move |(mut stream, received_bytes, bytes_max, broken)| async move {
        if received_bytes >= bytes_max {
            return Ok(None);
        }
        let Some(chunk) = stream.next().await else {
            return if received_bytes < wanted_bytes { Err(broken("ended early")) } else { Ok(None) };
        };
        let mut chunk = chunk.map_err(|cause| broken(&format!("was cut: {}", failure::innermost(&cause))))?;
        let bytes_left = bytes_max - received_bytes;
        chunk.truncate(usize::try_from(bytes_left).unwrap_or(usize::MAX));
        let received_bytes = received_bytes + chunk.len() as u64;
        Ok(Some((chunk, (stream, received_bytes, bytes_max, broken))))
    })
    .boxed()
}

/// `None` for an object that is not there.
fn unless_absent<T>(outcome: Tried<T>) -> Result<Option<T>> {
    match outcome {
        Ok(value) => Ok(Some(value)),
        Err(failure) if failure.status == Some(404) && failure.error.kind() != ErrorKind::Usage => Ok(None),
        Err(failure) => Err(failure.into()),
    }
}

/// `None` for a request that these credentials, or this server, do not allow.
fn unless_refused<T>(outcome: Tried<T>) -> Result<Option<T>> {
    match outcome {
        Ok(value) => Ok(Some(value)),
        Err(failure) if matches!(failure.status, Some(400 | 403 | 405 | 501)) => Ok(None),
        Err(failure) => Err(failure.into()),
    }
}

/// A query in the form that object_store sends too.
fn query(pairs: &[(&str, &str)]) -> Result<String> {
    let url = Url::parse_with_params("http://query/", pairs);
    let url = url.map_err(|_| Error::new(ErrorKind::Internal, "a query gives no address"))?;
    Ok(url.query().unwrap_or_default().to_owned())
}

/// The CRC-32C of bytes.
pub(super) fn crc32c_of(payload: &Payload) -> Base64<4> {
    let mut digest = crc_fast::Digest::new(crc_fast::CrcAlgorithm::Crc32Iscsi);
    payload.chunks().iter().for_each(|chunk| digest.update(chunk));
    Base64(u32::try_from(digest.finalize()).unwrap_or_default().to_be_bytes())
}

/// The same bytes in object_store's form; nothing is copied.
pub(super) fn to_object_store(payload: &Payload) -> PutPayload {
    payload.chunks().iter().filter(|chunk| !chunk.is_empty()).cloned().collect()
}

/// The version in the answer to an upload.
pub(super) fn version_of(stored: &PutResult) -> Version {
    version(stored.e_tag.clone(), stored.version.as_deref())
}

/// A version of what the server tells.
pub(super) fn version(etag: Option<String>, generation: Option<&str>) -> Version {
    Version { etag: etag.unwrap_or_default(), generation: generation.and_then(|text| text.parse().ok()) }
}
