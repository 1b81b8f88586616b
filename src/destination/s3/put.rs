//! Stores objects by one request, under conditions and with a checksum.

use aws_sdk_s3::types::{ObjectCannedAcl, RequestPayer, ServerSideEncryption, StorageClass};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue};
use md5::{Digest as _, Md5};
use url::Url;

use super::S3Store;
use super::bytes::header_value;
use super::failure::{Operation, is_refused_condition, is_unknown_request};
use crate::destination::bucket::{Condition, Payload, Put, PutTerms, Version};
use crate::error::{Error, ErrorKind, Result};
use crate::export::{Base64, ChecksumAlgorithm};

/// The name of the metadata by which our own objects are known.
pub(super) const ORIGIN: &str = "e3sync-origin";

/// The checksum that a server verifies which knows S3's newer ones.
const SHA256: &str = "x-amz-checksum-sha256";

/// The checksum that every server verifies.
const MD5: &str = "content-md5";

/// Says that these credentials' account pays.
pub(super) const PAYER: &str = "x-amz-request-payer";

/// What became of an attempt to store an object.
enum PutAnswer {
    /// With the headers of the answer.
    Stored(Box<HeaderMap>),
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
        let properties = self.put_headers(terms)?;
        let answer = self.sessions.run(async |session| {
            let mut headers = properties.clone();
            insert_checksum(&mut headers, session.sends_checksums, (SHA256, &sha256), payload)?;
            match self.send_bytes(&session.bytes, Operation::Put, (key, ""), headers, payload).await? {
                Err(refusal) if is_refused_condition(&*refusal, terms.condition) => Ok(PutAnswer::Refused),
                Err(refusal) if self.conditions.may_lack(terms.condition) && is_unknown_request(&*refusal) => {
                    Ok(PutAnswer::Unknown)
                }
                Err(refusal) => Err(self.refused(Operation::Put, *refusal)),
                Ok(headers) => Ok(PutAnswer::Stored(Box::new(headers))),
            }
        });
        let answer = match answer.await? {
            PutAnswer::Unknown => return Ok(None),
            answer => {
                self.conditions.note_answer(terms.condition);
                answer
            }
        };
        let PutAnswer::Stored(headers) = answer else { return Ok(Some(Put::Refused)) };
        if headers.get(SHA256).is_some_and(|stored| stored.as_bytes() != sha256.as_bytes()) {
            return Err(self.altered(Operation::Put, key, "SHA-256"));
        }
        self.stored(Operation::Put, key, text_of(&headers, "etag")).map(Some)
    }

    /// What an object gets besides its bytes, and on what it depends.
    fn put_headers(&self, terms: &PutTerms<'_>) -> Result<HeaderMap> {
        let settings = &self.settings;
        let of_data = |text: Option<String>| text.filter(|_| terms.is_data);
        let mut headers = HeaderMap::with_capacity(20);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
        for (name, value) in [
            ("if-none-match", if_none_match(terms.condition)),
            ("if-match", if_match(terms.condition)),
            ("x-amz-meta-e3sync-origin", terms.origin.map(str::to_owned)),
            ("x-amz-server-side-encryption", settings.sse.clone()),
            ("x-amz-server-side-encryption-aws-kms-key-id", settings.sse_kms_key_id.clone()),
            ("x-amz-storage-class", of_data(settings.storage_class.clone())),
            ("x-amz-tagging", of_data(self.tagging())),
            ("x-amz-acl", settings.acl.clone()),
            (PAYER, settings.pays_requests.then(|| "requester".to_owned())),
        ] {
            if let Some(value) = value {
                headers.insert(name, header_value(name, &value)?);
            }
        }
        Ok(headers)
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

/// Adds the checksum by which the bucket verifies a payload: the one of this header, or the MD5 for a server that gets
/// none of the newer ones. A signature over the bytes would only have them hashed once more.
pub(super) fn insert_checksum(
    headers: &mut HeaderMap,
    sends_checksums: bool,
    (name, checksum): (&'static str, &str),
    payload: &Payload,
) -> Result<()> {
    let value = if sends_checksums { header_value(name, checksum)? } else { header_value(MD5, &md5_of(payload))? };
    headers.insert(if sends_checksums { name } else { MD5 }, value);
    Ok(())
}

/// The `Content-MD5` of a payload, for servers that know no other checksum.
fn md5_of(payload: &Payload) -> String {
    let mut digest = Md5::new();
    payload.chunks().iter().for_each(|chunk| digest.update(chunk));
    Base64::<16>(digest.finalize().into()).to_string()
}

/// A number of bytes as the SDK has it.
pub(super) fn signed(bytes: u64) -> Result<i64> {
    i64::try_from(bytes).map_err(|cause| Error::new(ErrorKind::Internal, "an impossible length").with_cause(cause))
}

/// A header's text.
pub(super) fn text_of(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
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
