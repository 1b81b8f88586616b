//! The form of a manifest: its header, its entries, its versions.

use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{ListingDigest, VerifiedContent};
use crate::error::{Error, ErrorKind, Result};
use crate::export::{Checksums, Object, Partition, Scope};

/// The value of the header's `format` field.
pub const FORMAT_NAME: &str = "e3sync-manifest";

/// The version that this tool writes: `MAJOR.MINOR`. A newer minor version only adds fields.
pub const FORMAT_VERSION: &str = "1.2";

/// Whether the source counts a day as complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Completeness {
    /// The source has the day's `_SUCCESS`.
    Declared,
    /// The source never has one; the grace period after the day's end is over.
    Grace,
    /// Neither.
    Undeclared,
}

impl Completeness {
    /// Whether readers may take the day as complete.
    pub fn is_complete(self) -> bool {
        self != Self::Undeclared
    }
}

/// The first line of a manifest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// Always [`FORMAT_NAME`].
    pub format: String,
    /// The format's version, `MAJOR.MINOR`.
    pub version: String,
    /// The account's number.
    pub account_id: String,
    /// Where the account's export lay: `s3://bucket/v1/account_id=ID/`.
    pub source: String,
    /// The partition's type.
    #[serde(rename = "type")]
    pub type_name: String,
    /// The partition's day.
    pub date: Date,
    /// How much of the partition was selected.
    pub selection: Scope,
    /// The digest of the source's listing that the set was last brought up to date with.
    pub listing_digest: ListingDigest,
    /// The number of objects.
    pub objects: u64,
    /// Their size in bytes.
    pub bytes: u64,
    /// Their rows by the Parquet footers; absent when a file is not Parquet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
    /// How many of the objects the source no longer has; since version 1.2.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub objects_gone_at_source: u64,
    /// Whether the source counted the day as complete.
    pub completeness: Completeness,
    /// The version of the tool that published it.
    pub tool_version: String,
    /// When it was published.
    pub published_at: Timestamp,
    /// Fields of a newer minor version, kept as they are.
    #[serde(flatten)]
    pub unknown_fields: Map<String, Value>,
}

impl Header {
    /// Whether it describes all of a day that the source counted as complete.
    pub fn is_complete_day(&self) -> bool {
        self.selection == Scope::All && self.completeness.is_complete()
    }

    /// Sees that the manifest is the partition's own.
    ///
    /// # Errors
    /// [`ErrorKind::ManifestDamaged`] for another day's.
    pub fn check_is_of(&self, partition: &Partition) -> Result<()> {
        if self.type_name == partition.type_name.as_str() && self.date == partition.date {
            return Ok(());
        }
        Err(Error::new(ErrorKind::ManifestDamaged, format!("the manifest of {partition} is another day's"))
            .with_hint("somebody moved it; put it back where it was"))
    }
}

/// A line of a manifest after the first: one object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The key below the partition's prefix, exactly as the source has it.
    pub key: String,
    /// The file's path below the partition's folder, only where it differs from the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The size in bytes.
    pub size_bytes: u64,
    /// The version at S3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    /// The version at Google Cloud Storage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<u64>,
    /// The SHA-256 of the bytes, in hexadecimal.
    pub sha256: ListingDigest,
    /// The checksums that the source offered.
    #[serde(default, skip_serializing_if = "Checksums::is_empty")]
    pub checksums: Checksums,
    /// What the bytes were compared with: names of checksums joined by `+`, or `size`.
    pub verified_against: String,
    /// The number of rows by the Parquet footer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
    /// The ETag of the object in the destination's bucket; since version 1.1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stored_etag: Option<String>,
    /// When the source was first seen without the object, which is kept here; since version 1.2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gone_at_source: Option<Timestamp>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks by reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Entry {
    /// The line for an object whose bytes were verified as `content`, stored under `path`.
    pub fn new(object: &Object, path: &str, content: &VerifiedContent) -> Self {
        Self {
            key: object.key.clone(),
            path: (path != object.key).then(|| path.to_owned()),
            size_bytes: object.size_bytes,
            etag: object.etag.clone(),
            generation: object.generation,
            sha256: ListingDigest(content.sha256),
            checksums: content.checksums,
            verified_against: content.verified_against(),
            rows: content.rows,
            stored_etag: None,
            gone_at_source: object.gone_at_source,
        }
    }

    /// The object as the source listed it, and when it was gone there.
    pub fn object(&self) -> Object {
        Object {
            key: self.key.clone(),
            size_bytes: self.size_bytes,
            etag: self.etag.clone(),
            generation: self.generation,
            checksums: Checksums::default(),
            gone_at_source: self.gone_at_source,
        }
    }

    /// Whether the line describes exactly this object.
    pub fn is_of(&self, object: &Object) -> bool {
        self.key == object.key
            && self.size_bytes == object.size_bytes
            && self.etag == object.etag
            && self.generation == object.generation
    }

    /// What was verified when the line was written.
    pub fn content(&self) -> VerifiedContent {
        VerifiedContent { sha256: self.sha256.0, checksums: self.checksums, rows: self.rows }
    }

    /// The file's path below the partition's folder.
    pub fn file_path(&self) -> &str {
        self.path.as_deref().unwrap_or(&self.key)
    }
}

/// The last line: a checksum of all lines before it, so that truncation shows.
#[derive(Serialize, Deserialize)]
pub(super) struct Trailer {
    pub manifest_sha256: ListingDigest,
}
