use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::Export;

/// Every file below a folder but the side folder's: its path, and its SHA-256.
pub fn files_below(folder: &Path) -> BTreeMap<String, String> {
    let mut files = BTreeMap::new();
    collect(folder, "", &mut files);
    files
}

fn collect(folder: &Path, prefix: &str, files: &mut BTreeMap<String, String>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries {
        let entry = entry.unwrap();
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = format!("{prefix}{name}");
        if path == "_e3sync" {
            continue;
        }
        if entry.file_type().unwrap().is_dir() {
            collect(&entry.path(), &format!("{path}/"), files);
        } else {
            let digest = Sha256::digest(std::fs::read(entry.path()).unwrap());
            files.insert(path, digest.iter().map(|byte| format!("{byte:02x}")).collect());
        }
    }
}

/// Fails the test unless the destination has exactly the export's objects, byte for byte, and
/// nothing is left in staging.
///
/// Names that no file can have are compared by content only.
#[track_caller]
pub fn assert_tree_is(export: &Export, destination: &Path) {
    let expected: BTreeMap<String, String> = export
        .objects()
        .into_iter()
        .map(|(path, sha256)| match e3sync::export::FilePath::of_key(&path) {
            Ok(file_path) => (file_path.as_str().to_owned(), sha256),
            Err(_) => (path, sha256),
        })
        .collect();
    let found = files_below(destination);
    for (path, sha256) in &expected {
        assert_eq!(found.get(path), Some(sha256), "{path} is missing or differs");
    }
    let extra: Vec<_> = found.keys().filter(|path| !expected.contains_key(*path)).collect();
    assert!(extra.is_empty(), "files that the export does not have: {extra:?}");
    for folder in ["staging", "locks"] {
        let rest = files_below(&destination.join("_e3sync").join(folder));
        assert!(rest.is_empty(), "left in {folder}: {:?}", rest.keys());
    }
    assert_nothing_foreign(destination);
}

/// Inside the side folder no name ends in `.parquet` (design.md section 3), except in replaced sets,
/// whose files keep their names for those that have the folder open.
fn assert_nothing_foreign(destination: &Path) {
    let side = files_below(&destination.join("_e3sync"));
    let parquet: Vec<_> =
        side.keys().filter(|path| path.ends_with(".parquet") && !path.starts_with("replaced/")).collect();
    assert!(parquet.is_empty(), "Parquet files in the side folder: {parquet:?}");
}

/// A copy of a mirror beside it, made by `cp` with these options: every inode of it is another one.
pub fn copied(destination: &Path, options: &[&str]) -> PathBuf {
    let copy = destination.with_extension("copy");
    let status = Command::new("cp").args(options).arg(destination).arg(&copy).status().unwrap();
    assert!(status.success());
    copy
}

/// The lines of a day's manifest.
pub fn manifest_lines(destination: &Path, partition: &str) -> Vec<Value> {
    let path = destination.join("_e3sync/manifests").join(format!("{partition}.jsonl"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}
