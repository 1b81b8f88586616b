//! Objects of a partition, and which of them are data.

use jiff::Timestamp;

use serde::{Deserialize, Serialize};

use super::Checksums;

/// The name of the empty object by which the writer declares a day complete (domain.md section 3).
pub const SUCCESS_MARKER: &str = "_SUCCESS";

/// The ending of the empty objects by which Hadoop's file systems mark folders.
const FOLDER_ENDING: &str = "_$folder$";

/// The folder below which Hadoop's and Spark's committers keep the output of tasks until it is
/// committed.
const UNCOMMITTED_FOLDER: &str = "_temporary";

/// What the names of a committer's own notes begin with.
const COMMIT_NOTES: [&str; 2] = ["_committed_", "_started_"];

/// Whether an object is a folder that a console or a Hadoop file system created: an empty object
/// whose key is empty, ends in a slash, or ends in `_$folder$`.
pub fn is_folder_marker(key: &str, size_bytes: u64) -> bool {
    size_bytes == 0 && (key.is_empty() || key.ends_with('/') || key.ends_with(FOLDER_ENDING))
}

/// Whether a key belongs to the work of a committer and not to its result: what lies in
/// `_temporary/`, and the notes `_committed_*` and `_started_*` at the top.
pub fn is_committers_work(key: &str) -> bool {
    match key.split_once('/') {
        Some((folder, _)) => folder == UNCOMMITTED_FOLDER,
        None => COMMIT_NOTES.iter().any(|beginning| key.starts_with(beginning)),
    }
}

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

    /// Whether this is data, as opposed to the marker of a complete day, the marker of a folder, or
    /// the work of a committer: only data is stored and counted.
    ///
    /// Some writers put a summary of their job into the marker; it is no data either way.
    pub fn is_data(&self) -> bool {
        self.key != SUCCESS_MARKER && !is_folder_marker(&self.key, self.size_bytes) && !is_committers_work(&self.key)
    }

    /// Whether the key says that the content is Parquet.
    pub fn is_parquet(&self) -> bool {
        self.key.ends_with(".parquet")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_data(key: &str, size_bytes: u64) -> bool {
        Object { key: key.into(), size_bytes, ..Object::default() }.is_data()
    }

    #[test]
    fn markers_of_folders_are_empty() {
        for key in ["", "event=a/", "event=a_$folder$", "event=a/b_$folder$", "_$folder$"] {
            assert!(!is_data(key, 0), "{key}");
            assert!(is_data(key, 1), "{key} with content is data of somebody");
        }
        assert!(is_data("event=a/part-0.parquet", 0), "an empty object of any other name is data");
        assert!(is_data("event=a_$folder$/part-0.parquet", 0));
    }

    #[test]
    fn a_committers_work_is_no_data() {
        for key in ["_temporary/0/task_1/part-0.parquet", "_temporary/x", "_committed_123", "_started_123", "_SUCCESS"]
        {
            assert!(!is_data(key, 0) && !is_data(key, 9), "{key}");
        }
        for key in ["event=a/_temporary/0/x", "event=_temporary/x", "_temporary", "event=a/_committed_1", "_common"] {
            assert!(is_data(key, 9), "{key}");
        }
    }
}
