//! Multipart uploads, and the copy that puts one in place under a condition.

use http::header;
use object_store::PutMultipartOptions;
use object_store::multipart::{MultipartStore as _, PartId};

use super::GcsStore;
use super::call::Operation;
use super::requests::{crc32c_of, to_object_store, version, version_of};
use crate::destination::bucket::{Condition, Part, Payload, Put, Upload, Version};
use crate::error::{Error, ErrorKind, Result};
use crate::export::{Base64, ChecksumAlgorithm, Checksums, printable};
use crate::net;

const COPY_SOURCE: &str = "x-goog-copy-source";
const SOURCE_MATCHES: &str = "x-goog-copy-source-if-generation-match";
const MATCHES: &str = "x-goog-if-generation-match";

impl GcsStore {
    /// Begins a multipart upload. An object of the export gets the user's storage class; this tool's
    /// own, which have no origin, do not.
    pub(super) async fn begin(&self, key: &str, origin: &str) -> Result<String> {
        let path = self.path(key)?;
        let origin = Some(origin).filter(|origin| !origin.is_empty());
        let attributes = self.attributes(key, origin, origin.is_some())?;
        let options = PutMultipartOptions { attributes, ..PutMultipartOptions::default() };
        let request = || self.store.create_multipart_opts(&path, options.clone());
        let (id, _) = self.run(Operation::Begin, key, None, request).await?;
        Ok(id)
    }

    /// Uploads one part and gives its ETag.
    pub(super) async fn send_part(&self, upload: &Upload, number: u32, payload: &Payload) -> Result<String> {
        let path = self.path(&upload.key)?;
        let index = number.checked_sub(1).ok_or_else(|| self.misnumbered(upload))? as usize;
        let (crc32c, bytes) = (crc32c_of(payload), to_object_store(payload));
        let request = || self.store.put_part(&path, &upload.id, index, bytes.clone());
        let (part, received) = self.run(Operation::Part, &upload.key, Some(crc32c), request).await?;
        self.compare(&upload.key, crc32c, received)?;
        Ok(part.content_id)
    }

    /// Makes an object of parts, which must be all from the first on: object_store numbers them anew.
    pub(super) async fn complete(
        &self,
        upload: &Upload,
        parts: &[Part],
        computed: &Checksums,
        condition: Condition<'_>,
    ) -> Result<Put> {
        let path = self.path(&upload.key)?;
        if parts.is_empty() || parts.iter().zip(1..).any(|(part, number)| part.number != number) {
            return Err(self.misnumbered(upload));
        }
        let Some(crc32c) = computed.bytes(ChecksumAlgorithm::Crc32c) else {
            let what = format!("no checksum was computed of {}/{}", self.url, printable(&upload.key));
            return Err(Error::new(ErrorKind::Internal, what));
        };
        // Google: "Preconditions are not supported" in multipart uploads. A copy has them.
        if condition != Condition::None {
            let what = format!("the completion of {}/{} cannot mind a condition", self.url, printable(&upload.key));
            return Err(Error::new(ErrorKind::Internal, what));
        }
        let ids: Vec<_> = parts.iter().map(|part| PartId { content_id: part.etag.clone() }).collect();
        let request = || self.store.complete_multipart(&path, &upload.id, ids.clone());
        let (stored, received) = self.run(Operation::Complete, &upload.key, None, request).await?;
        let mut version = version_of(&stored);
        let mut received = received;
        if received.is_none() || version.generation.is_none() {
            let found = self.look(&upload.key, parts).await?;
            version.generation = version.generation.or(found.0.generation);
            received = received.or(found.1);
        }
        self.compare(&upload.key, crc32c, received)?;
        Ok(Put::Stored(version))
    }

    /// Copies a version of an object if the condition holds; Google looks at both and copies in one step.
    pub(super) async fn copy_on(
        &self,
        (from, copied): (&str, &Version),
        to: &str,
        computed: &Checksums,
        condition: Condition<'_>,
    ) -> Result<Put> {
        let mut headers = vec![(COPY_SOURCE, format!("{}/", self.bucket))];
        net::push_encoded(&mut headers[0].1, from, b'/');
        headers.push((SOURCE_MATCHES, self.generation(copied, from)?));
        match condition {
            Condition::None => {}
            Condition::IfAbsent => headers.push((MATCHES, "0".to_owned())),
            Condition::IfMatch(version) => headers.push((MATCHES, self.generation(version, to)?)),
        }
        let is_refused = match self.run(Operation::Copy, to, None, || self.send_copy(to, &headers)).await {
            Ok(_) => false,
            Err(failure) if failure.status == Some(412) => true,
            Err(failure) => return Err(failure.into()),
        };
        // The answer to a copy tells neither generation nor checksum, and a refusal may be the second answer
        // to a request whose first one got lost.
        let (found, received) = match self.open(Operation::Head, to, None).await {
            Err(failure) if is_refused && failure.status == Some(404) => return Ok(Put::Refused),
            answer => answer?,
        };
        if is_refused && (received.is_none() || received != computed.bytes(ChecksumAlgorithm::Crc32c)) {
            return Ok(Put::Refused);
        }
        if let Some(crc32c) = computed.bytes(ChecksumAlgorithm::Crc32c) {
            self.compare(to, crc32c, received)?;
        }
        Ok(Put::Stored(version(found.meta.e_tag, found.meta.version.as_deref())))
    }

    async fn send_copy(&self, to: &str, headers: &[(&str, String)]) -> object_store::Result<()> {
        let mut url = format!("{}/", self.bucket_url);
        net::push_encoded(&mut url, to, b'/');
        let request = http::Request::put(url).header(header::CONTENT_LENGTH, 0);
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, value));
        self.send(request).await.map(drop)
    }

    /// The version and the checksum of a completed object, which the answer to completion may lack:
    /// one more request for each large object.
    async fn look(&self, key: &str, parts: &[Part]) -> Result<(Version, Option<Base64<4>>)> {
        let (found, received) = self.open(Operation::Head, key, None).await?;
        if found.meta.size != parts.iter().map(|part| part.size_bytes).sum::<u64>() {
            let what = format!("the bucket has {} bytes of {}/{}", found.meta.size, self.url, printable(key));
            return Err(Error::new(ErrorKind::ChecksumMismatch, what).with_hint("another writer may have replaced it"));
        }
        Ok((version(found.meta.e_tag, found.meta.version.as_deref()), received))
    }

    /// Gives an upload up.
    pub(super) async fn abort(&self, upload: &Upload) -> Result<()> {
        let path = self.path(&upload.key)?;
        let request = || self.store.abort_multipart(&path, &upload.id);
        match self.run(Operation::Abort, &upload.key, None, request).await {
            Err(failure) if failure.error.kind() != ErrorKind::UploadLost => Err(failure.into()),
            _ => Ok(()),
        }
    }

    fn misnumbered(&self, upload: &Upload) -> Error {
        let what = format!("the parts of {}/{} are not numbered from 1 on", self.url, printable(&upload.key));
        Error::new(ErrorKind::Internal, what)
    }
}
