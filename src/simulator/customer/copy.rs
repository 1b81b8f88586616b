//! An object as the customer's bucket keeps it.

use super::super::account::Cloud;
use super::super::call::Call;
use super::super::seed::{base64, derive, hex};
use super::digest::{Algorithm, google_crc32c, md5};
use bytes::Bytes;
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::sync::Arc;

/// One version of one object in a customer's bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredCopy {
    /// The bytes.
    pub bytes: Bytes,
    /// The entity tag with its quotes.
    pub etag: String,
    /// Grows with every write to the bucket.
    pub generation: u64,
    /// The user's metadata, names without the cloud's prefix.
    pub metadata: BTreeMap<String, String>,
    /// The content type.
    pub content_type: String,
    /// The storage class.
    pub storage_class: String,
    /// The server-side encryption that was asked for.
    pub sse: Option<String>,
    /// The KMS key that was asked for.
    pub sse_kms_key_id: Option<String>,
    /// The tags in the form of a query string, as sent.
    pub tags: Option<String>,
    /// The checksums as the headers tell them: that of S3 with its type, and Google's `x-goog-hash`.
    pub checksums: BTreeMap<String, String>,
    /// How many parts it was made of; 0 for an object written as a whole.
    pub parts: u32,
    /// When it was written, by the server's clock.
    pub modified_at: Timestamp,
}

/// One entry in the history of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoredVersion {
    /// A version with its bytes.
    Copy(Arc<StoredCopy>),
    /// What a delete leaves in a versioned bucket.
    DeleteMarker,
}

/// What a write says about the object besides its bytes.
#[derive(Debug, Clone, Default)]
pub(super) struct Labels {
    metadata: BTreeMap<String, String>,
    content_type: Option<String>,
    storage_class: Option<String>,
    sse: Option<String>,
    sse_kms_key_id: Option<String>,
    tags: Option<String>,
}

/// The prefix of a cloud's own headers.
pub(super) fn vendor(cloud: Cloud) -> &'static str {
    match cloud {
        Cloud::S3 => "x-amz-",
        Cloud::Gcs => "x-goog-",
    }
}

impl Labels {
    /// Reads the labels from the headers of a write.
    pub(super) fn of(call: &Call) -> Self {
        let header = |name: &str| call.header(&format!("{}{name}", vendor(call.cloud))).map(str::to_owned);
        let prefix = format!("{}meta-", vendor(call.cloud));
        let metadata = call.headers.iter().filter_map(|(name, value)| {
            let name = name.as_str().strip_prefix(&prefix)?;
            Some((name.to_owned(), value.to_str().ok()?.to_owned()))
        });
        Self {
            metadata: metadata.collect(),
            content_type: call.header("content-type").map(str::to_owned),
            storage_class: header("storage-class"),
            sse: header("server-side-encryption"),
            sse_kms_key_id: header("server-side-encryption-aws-kms-key-id"),
            tags: header("tagging"),
        }
    }

    /// The labels of a copy: those of the call, and what the directives leave as it was.
    pub(super) fn of_copy(call: &Call, source: &StoredCopy) -> Self {
        let replaces = |name: &str| {
            let directive = call.header(&format!("{}{name}-directive", vendor(call.cloud)));
            directive.is_some_and(|directive| directive.eq_ignore_ascii_case("replace"))
        };
        let mut labels = Self::of(call);
        if !replaces("metadata") {
            labels.metadata = source.metadata.clone();
            labels.content_type = Some(source.content_type.clone());
        }
        if !replaces("tagging") {
            labels.tags = source.tags.clone();
        }
        labels
    }

    /// The object of these labels; the store gives it its generation.
    pub(super) fn copy(self, bytes: Bytes, sum: &Sum, modified_at: Timestamp) -> StoredCopy {
        let etag = format!("\"{}\"", self.etag(&bytes, sum));
        StoredCopy {
            etag,
            generation: 0,
            metadata: self.metadata,
            content_type: self.content_type.unwrap_or_else(|| "binary/octet-stream".to_owned()),
            storage_class: self.storage_class.unwrap_or_else(|| "STANDARD".to_owned()),
            sse: self.sse,
            sse_kms_key_id: self.sse_kms_key_id,
            tags: self.tags,
            checksums: checksums(&bytes, sum),
            parts: sum.parts.as_ref().map_or(0, |(count, _)| *count),
            modified_at,
            bytes,
        }
    }

    /// The MD5 is no longer told once a KMS key is involved, and of parts only the MD5 of their MD5s is.
    fn etag(&self, bytes: &[u8], sum: &Sum) -> String {
        let digest = match &sum.parts {
            Some((_, digests)) => md5(digests),
            None => md5(bytes),
        };
        let is_opaque = self.sse.as_deref().is_some_and(|sse| sse.starts_with("aws:kms"));
        let text = if is_opaque { hex(&derive(0, &["etag", &hex(&digest)])[..16]) } else { hex(&digest) };
        match &sum.parts {
            Some((count, _)) => format!("{text}-{count}"),
            None => text,
        }
    }
}

/// How an object is summed up.
pub(super) struct Sum {
    /// The algorithm of S3.
    pub(super) algorithm: &'static Algorithm,
    /// The checksum of its parts' checksums, where it is no checksum of the whole.
    pub(super) composite: Option<String>,
    /// The number of parts and their MD5s one behind the other.
    pub(super) parts: Option<(u32, Vec<u8>)>,
}

impl Sum {
    /// That of an object written as a whole.
    pub(super) fn whole(algorithm: &'static Algorithm) -> Self {
        Self { algorithm, composite: None, parts: None }
    }
}

/// As in `x-amz-checksum-type`.
pub(super) fn coverage(is_composite: bool) -> &'static str {
    if is_composite { "COMPOSITE" } else { "FULL_OBJECT" }
}

fn checksums(bytes: &[u8], sum: &Sum) -> BTreeMap<String, String> {
    let kind = coverage(sum.composite.is_some());
    let value = sum.composite.clone().unwrap_or_else(|| sum.algorithm.of(bytes));
    let mut google = format!("crc32c={}", google_crc32c(bytes));
    if sum.parts.is_none() {
        google = format!("{google},md5={}", base64(&md5(bytes)));
    }
    let headers = [(sum.algorithm.header, value), ("x-amz-checksum-type", kind.to_owned()), ("x-goog-hash", google)];
    headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
