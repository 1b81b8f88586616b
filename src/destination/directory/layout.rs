//! The names of the side folder and of what is in it (design.md section 3).

use jiff::civil::Date;
use sha2::{Digest as _, Sha256};

use crate::export::{Object, Partition};
use crate::manifest;

/// The one folder beside the data.
pub(in crate::destination) const SIDE_FOLDER: &str = "_e3sync";

/// Says whose mirror this is.
pub(super) const DESTINATION_FILE: &str = "destination.json";

/// The folder of the manifests.
pub(super) const MANIFESTS: &str = "manifests";

/// The folder of sets that are being staged.
pub(super) const STAGING: &str = "staging";

/// The folder of the locks.
pub(super) const LOCKS: &str = "locks";

/// The folder of the reports of runs.
pub(super) const RUNS: &str = "runs";

/// What verifications have found.
pub(super) const VERIFICATION: &str = "verification.json";

/// The folder of replaced sets until they are deleted or go on to [`SUPERSEDED`]. Also, in a
/// partition's staging folder, the replaced set of a file system that cannot swap.
pub(super) const REPLACED: &str = "replaced";

/// The folder of replaced sets that are kept: the user wants it, or files of others are in them.
pub(super) const SUPERSEDED: &str = "superseded";

/// In a partition's staging folder: finished objects, named by identity.
pub(super) const POOL: &str = "pool";

/// In a partition's staging folder: how far unfinished large objects are.
pub(super) const CHECKPOINTS: &str = "checkpoints";

/// In a partition's staging folder: the set that is about to be published, or was just replaced.
pub(super) const SET: &str = "set";

/// In a partition's staging folder: the record of the publication that is going on.
pub(super) const RECORD: &str = "publication.json";

/// In a partition's staging folder: a second name of the manifest of the set that is being replaced.
pub(super) const PRESENT: &str = "present.jsonl";

const MANIFEST_ENDING: &str = ".jsonl";
const NEXT_ENDING: &str = ".jsonl.next";
const POOL_NAME_DIGITS: usize = 32;

/// The file name of a day's manifest.
pub(super) fn manifest_name(partition: &Partition) -> String {
    format!("{}{MANIFEST_ENDING}", partition.date_folder())
}

/// The day of a manifest's file name.
pub(super) fn day_of_manifest(name: &str) -> Option<Date> {
    crate::export::day_of_folder(name.strip_suffix(MANIFEST_ENDING)?)
}

/// The file name of a manifest whose set is about to be published.
pub(super) fn next_manifest_name(partition: &Partition) -> String {
    format!("{}{NEXT_ENDING}", partition.date_folder())
}

/// The day of a next manifest's file name. Version 0.1 added the inode of the set to the name.
pub(super) fn day_of_next_manifest(name: &str) -> Option<Date> {
    let (folder, inode) = name.split_once(NEXT_ENDING)?;
    let is_ours = inode.is_empty() || inode.strip_prefix('.').is_some_and(|inode| inode.parse::<u64>().is_ok());
    is_ours.then(|| crate::export::day_of_folder(folder)).flatten()
}

/// The name in the pool of an object's bytes: 32 hexadecimal digits of a hash over its identity.
pub(super) fn pool_name(object: &Object) -> String {
    let mut hasher = Sha256::new();
    hasher.update(object.key.as_bytes());
    hasher.update([0]);
    hasher.update(object.size_bytes.to_be_bytes());
    hasher.update(object.etag.as_deref().unwrap_or_default().as_bytes());
    hasher.update([0]);
    hasher.update(object.generation.unwrap_or_default().to_be_bytes());
    manifest::to_hex(&hasher.finalize()[..POOL_NAME_DIGITS / 2])
}

/// Whether [`pool_name`] makes such names.
pub(super) fn is_pool_name(name: &str) -> bool {
    name.len() == POOL_NAME_DIGITS && name.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::TypeName;

    #[test]
    fn names_are_told_apart() {
        let partition =
            Partition { type_name: TypeName::parse("events").unwrap(), date: "2026-11-20".parse().unwrap() };
        assert_eq!(day_of_manifest(&manifest_name(&partition)), Some(partition.date));
        let next = next_manifest_name(&partition);
        assert_eq!(day_of_next_manifest(&next), Some(partition.date));
        assert_eq!(day_of_next_manifest(&format!("{next}.42")), Some(partition.date), "the name of version 0.1");
        assert_eq!(day_of_next_manifest(&format!("{next}.bak")), None);
        assert_eq!(day_of_manifest(&next), None);
        assert_eq!(day_of_next_manifest(&manifest_name(&partition)), None);
    }

    #[test]
    fn another_version_of_an_object_has_another_name_in_the_pool() {
        let object = Object { key: "a".into(), size_bytes: 1, etag: Some("x".into()), ..Object::default() };
        let newer = Object { etag: Some("y".into()), ..object.clone() };
        assert_ne!(pool_name(&object), pool_name(&newer));
        assert!(is_pool_name(&pool_name(&object)));
        assert!(!is_pool_name("notes.txt"));
    }
}
