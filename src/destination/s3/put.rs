//! Stores objects by one request, under conditions and with a checksum.

use std::pin::Pin;
use std::task::{Context, Poll};

use aws_sdk_s3::operation::put_object::PutObjectOutput;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{ObjectCannedAcl, RequestPayer, ServerSideEncryption, StorageClass};
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use md5::{Digest as _, Md5};
use url::Url;

use super::S3Store;
use super::failure::{Operation, is_refused_condition, is_unknown_request};
use crate::destination::bucket::{Condition, Payload, Put, PutTerms, Version};
use crate::error::{Error, ErrorKind, Result};
use crate::export::{Base64, ChecksumAlgorithm};

/// The name of the metadata by which our own objects are known.
pub(super) const ORIGIN: &str = "e3sync-origin";

/// What became of an attempt to store an object.
enum PutAnswer {
    Stored(Box<PutObjectOutput>),
    /// The condition does not hold.
    Refused,
    /// The server knows no conditions.
    Unknown,
}

impl S3Store {
    pub(super) async fn put_object(&self, key: &str, payload: &Payload, terms: &PutTerms<'_>) -> Result<Put> {
        loop {
            let terms = PutTerms { condition: self.known_condition(terms.condition), ..*terms };
            if let Some(put) = self.try_put(key, payload, &terms).await? {
                return Ok(put);
            }
            self.conditions.lack();
        }
    }

    /// The condition, or none at a server that turned out to refuse every condition.
    pub(super) fn known_condition<'a>(&self, condition: Condition<'a>) -> Condition<'a> {
        if self.conditions.are_lacking() { Condition::None } else { condition }
    }

    /// Stores an object; `None` where the server does not know conditions, which only its first answer to one
    /// can say: later ones must not undo what keeps runs apart.
    async fn try_put(&self, key: &str, payload: &Payload, terms: &PutTerms<'_>) -> Result<Option<Put>> {
        let sha256 =
            terms.checksums.get(ChecksumAlgorithm::Sha256).ok_or_else(|| missing_checksum("SHA-256"))?.to_string();
        let length_bytes = signed(payload.length_bytes())?;
        let answer = self.sessions.run(async |session| {
            let request = session
                .plain
                .put_object()
                .bucket(&self.settings.bucket)
                .key(key)
                .content_length(length_bytes)
                .set_checksum_sha256(session.sends_checksums.then(|| sha256.clone()))
                .set_content_md5((!session.sends_checksums).then(|| md5_of(payload)))
                .set_if_none_match(if_none_match(terms.condition))
                .set_if_match(if_match(terms.condition))
                .set_metadata(terms.origin.map(origin_metadata))
                .set_server_side_encryption(self.encryption())
                .set_ssekms_key_id(self.settings.sse_kms_key_id.clone())
                .set_storage_class(terms.is_data.then(|| self.storage_class()).flatten())
                .set_tagging(terms.is_data.then(|| self.tagging()).flatten())
                .set_acl(self.acl())
                .set_request_payer(self.request_payer())
                .body(byte_stream(payload));
            // The bucket verifies the SHA-256 that is sent along; a signature over the bytes would
            // only have them hashed once more.
            match request.customize().disable_payload_signing().send().await {
                Err(error) if is_refused_condition(&error, terms.condition) => Ok(PutAnswer::Refused),
                Err(error) if self.conditions.may_lack(terms.condition) && is_unknown_request(&error) => {
                    Ok(PutAnswer::Unknown)
                }
                Err(error) => Err(self.failure(Operation::Put, key, &error)),
                Ok(answer) => Ok(PutAnswer::Stored(Box::new(answer))),
            }
        });
        let answer = match answer.await? {
            PutAnswer::Unknown => return Ok(None),
            answer => {
                self.conditions.note_answer(terms.condition);
                answer
            }
        };
        let PutAnswer::Stored(answer) = answer else { return Ok(Some(Put::Refused)) };
        if answer.checksum_sha256.is_some_and(|stored| stored != sha256) {
            return Err(self.altered(Operation::Put, key, "SHA-256"));
        }
        self.stored(Operation::Put, key, answer.e_tag).map(Some)
    }

    /// The proof that an object is stored: S3 never leaves the ETag out.
    pub(super) fn stored(&self, operation: Operation, key: &str, etag: Option<String>) -> Result<Put> {
        Ok(Put::Stored(Version { etag: self.etag(operation, key, etag)?, generation: None }))
    }

    pub(super) fn etag(&self, operation: Operation, key: &str, etag: Option<String>) -> Result<String> {
        etag.filter(|etag| !etag.is_empty()).ok_or_else(|| self.untrusted(operation, key, "it has no ETag"))
    }

    pub(super) fn encryption(&self) -> Option<ServerSideEncryption> {
        self.settings.sse.as_deref().map(ServerSideEncryption::from)
    }

    pub(super) fn acl(&self) -> Option<ObjectCannedAcl> {
        self.settings.acl.as_deref().map(ObjectCannedAcl::from)
    }

    pub(super) fn request_payer(&self) -> Option<RequestPayer> {
        self.settings.pays_requests.then_some(RequestPayer::Requester)
    }

    pub(super) fn storage_class(&self) -> Option<StorageClass> {
        self.settings.storage_class.as_deref().map(StorageClass::from)
    }

    /// The tags as S3 wants them in a header: like a URL's query.
    pub(super) fn tagging(&self) -> Option<String> {
        tagging(&self.settings.tags)
    }
}

fn tagging(tags: &[(String, String)]) -> Option<String> {
    if tags.is_empty() {
        return None;
    }
    let mut url = Url::parse("query:").ok()?;
    url.query_pairs_mut().extend_pairs(tags);
    // A form writes a space as `+`, and a plus sign as `%2B`.
    url.query().map(|query| query.replace('+', "%20"))
}

pub(super) fn origin_metadata(origin: &str) -> std::collections::HashMap<String, String> {
    [(ORIGIN.to_owned(), origin.to_owned())].into()
}

pub(super) fn if_none_match(condition: Condition<'_>) -> Option<String> {
    (condition == Condition::IfAbsent).then(|| "*".to_owned())
}

pub(super) fn if_match(condition: Condition<'_>) -> Option<String> {
    match condition {
        Condition::IfMatch(version) => Some(version.etag.clone()),
        Condition::None | Condition::IfAbsent => None,
    }
}

pub(super) fn missing_checksum(name: &str) -> Error {
    Error::new(ErrorKind::Internal, format!("an upload was begun without its {name}"))
}

/// The `Content-MD5` of a payload, for servers that know no other checksum.
pub(super) fn md5_of(payload: &Payload) -> String {
    let mut digest = Md5::new();
    payload.chunks().iter().for_each(|chunk| digest.update(chunk));
    Base64::<16>(digest.finalize().into()).to_string()
}

/// A number of bytes as the SDK has it.
pub(super) fn signed(bytes: u64) -> Result<i64> {
    i64::try_from(bytes).map_err(|cause| Error::new(ErrorKind::Internal, "an impossible length").with_cause(cause))
}

/// The payload as the SDK's body: its pieces one after the other, not copied together.
pub(super) fn byte_stream(payload: &Payload) -> ByteStream {
    let chunks = payload.chunks().to_vec().into_iter();
    let body = Pieces { chunks, left_bytes: payload.length_bytes() };
    ByteStream::new(if body.left_bytes == 0 { SdkBody::empty() } else { SdkBody::from_body_1_x(body) })
}

/// A body of pieces whose length is known.
struct Pieces {
    chunks: std::vec::IntoIter<Bytes>,
    left_bytes: u64,
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<std::result::Result<Frame<Bytes>, Self::Error>>> {
        let chunk = self.chunks.find(|chunk| !chunk.is_empty());
        Poll::Ready(chunk.map(|chunk| {
            self.left_bytes -= chunk.len() as u64;
            Ok(Frame::data(chunk))
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.left_bytes == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_escaped_like_a_query() {
        let tag = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        assert_eq!(tagging(&[]), None);
        let tags = [tag("team", "data & more"), tag("a=b", "1+1")];
        assert_eq!(tagging(&tags).as_deref(), Some("team=data%20%26%20more&a%3Db=1%2B1"));
    }
}
