use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Checksums;

/// The name of the empty object by which the writer declares a day complete (domain.md section 3).
pub const SUCCESS_MARKER: &str = "_SUCCESS";

/// One object of a partition, as its listing describes it.
///
/// Key, size and version (ETag or generation) are its identity; a modification time never is
/// (design.md section 1).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Object {
    /// The key below the partition's prefix: opaque, neither decoded nor re-encoded.
    pub key: String,
    /// The size in bytes.
    pub size_bytes: u64,
    /// S3's version: an opaque tag, not an MD5, since the objects are encrypted with KMS
    /// (domain.md section 2). Some servers list none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    /// Google Cloud Storage's version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<u64>,
    /// The checksums that the listing itself offers.
    #[serde(default, skip_serializing_if = "Checksums::is_empty")]
    pub checksums: Checksums,
    /// When the source was first seen without it, for a published object that is kept although the
    /// source no longer lists it (design.md promise 3); no part of the identity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gone_at_source: Option<Timestamp>,
}

impl Object {
    /// Whether both are the same content of the same key, as far as the source tells.
    pub fn has_identity_of(&self, other: &Self) -> bool {
        self.key == other.key
            && self.size_bytes == other.size_bytes
            && self.etag == other.etag
            && self.generation == other.generation
    }

    /// Whether this is a folder that a console created: an empty object whose key ends in a slash.
    pub fn is_folder_marker(&self) -> bool {
        self.size_bytes == 0 && (self.key.is_empty() || self.key.ends_with('/'))
    }

    /// Whether the key says that the content is Parquet.
    pub fn is_parquet(&self) -> bool {
        self.key.ends_with(".parquet")
    }
}
