//! Which of two sets stands at a partition's place: decided by names, sizes and bytes, never by inode
//! numbers, which change with every copy, restore and remount (design.md section 3).

use super::folder::Folder;
use super::set_files::{is_whole, published_size_bytes};
use super::set_manifest::{Opened, SetManifest, lines};
use crate::destination::failure::failed;
use crate::error::Result;
use crate::export::SUCCESS_MARKER;
use crate::manifest::Entry;

/// The set that stands at a partition's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stands {
    /// The one of the next manifest: the swap had happened.
    Next,
    /// The one of the present manifest, or none.
    Present,
}

/// Where the two sets may be.
pub(super) struct Places<'a> {
    /// The folder at the partition's place.
    pub place: &'a Folder,
    /// The other set, in staging.
    pub aside: Option<&'a Folder>,
}

/// Evidence for one set and for the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Evidence {
    next: u64,
    present: u64,
}

impl Evidence {
    fn verdict(self) -> Option<Stands> {
        match self.next.cmp(&self.present) {
            std::cmp::Ordering::Greater => Some(Stands::Next),
            std::cmp::Ordering::Less => Some(Stands::Present),
            std::cmp::Ordering::Equal => None,
        }
    }
}

/// Decides which set stands at the place. Where neither is there exactly, the better evidence decides: files
/// that only one of the manifests names, then bytes of files that both name, then what is missing,
/// then the markers. Sets that cannot be told apart are told by whether all bytes are the next set's.
pub(super) fn which_stands(places: &Places<'_>, next: &SetManifest, present: &Opened) -> Result<Stands> {
    let (found, missing) = by_names(places, next, present.whole())?;
    if let Some(verdict) = found.verdict() {
        return Ok(verdict);
    }
    if let Some(verdict) = by_bytes(places, next, present.whole())?.verdict() {
        return Ok(verdict);
    }
    // Nothing is known about what a damaged manifest would find missing.
    let missing = if matches!(present, Opened::Damaged) { Evidence::default() } else { missing };
    if let Some(verdict) = missing.verdict() {
        return Ok(verdict);
    }
    if let Some(verdict) = by_markers(places, next, present).verdict() {
        return Ok(verdict);
    }
    let is_next = holds_all(places.place, next)?;
    Ok(if is_next { Stands::Next } else { Stands::Present })
}

/// Whether every file of a manifest is in the folder by name and size.
pub(super) fn has_all_names(folder: &Folder, manifest: &SetManifest) -> Result<bool> {
    for entry in manifest.entries()? {
        if !has_file(folder, &entry?) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The files that are found and that only one manifest names; and, the other way round, those that
/// are missing at the place: what one set lacks speaks for the other.
fn by_names(places: &Places<'_>, next: &SetManifest, present: Option<&SetManifest>) -> Result<(Evidence, Evidence)> {
    let (mut found, mut missing) = (Evidence::default(), Evidence::default());
    lines(Some(next), present, |of_next, of_present| {
        let is_at =
            |folder: &Folder, entry: &Option<Entry>| entry.as_ref().is_some_and(|entry| has_file(folder, entry));
        let is_aside = |entry| places.aside.is_some_and(|aside| is_at(aside, entry));
        match (&of_next, &of_present) {
            (Some(_), None) => {
                let is_here = is_at(places.place, &of_next);
                found.next += u64::from(is_here);
                missing.present += u64::from(!is_here);
                found.present += u64::from(is_aside(&of_next));
            }
            (None, Some(_)) => {
                let is_here = is_at(places.place, &of_present);
                found.present += u64::from(is_here);
                missing.next += u64::from(!is_here);
                found.next += u64::from(is_aside(&of_present));
            }
            // What both name tells nothing.
            _ => {}
        }
        Ok(())
    })?;
    Ok((found, missing))
}

/// Hashes the files that both sets have under one name and with one size, and with other bytes.
fn by_bytes(places: &Places<'_>, next: &SetManifest, present: Option<&SetManifest>) -> Result<Evidence> {
    let mut evidence = Evidence::default();
    lines(Some(next), present, |next, present| {
        let (Some(next), Some(present)) = (next, present) else { return Ok(()) };
        if next.sha256 != present.sha256 {
            evidence.next += u64::from(has_bytes(places.place, &next)?);
            evidence.present += u64::from(has_bytes(places.place, &present)?);
            if let Some(aside) = places.aside {
                evidence.next += u64::from(has_bytes(aside, &present)?);
                evidence.present += u64::from(has_bytes(aside, &next)?);
            }
        }
        Ok(())
    })?;
    Ok(evidence)
}

fn by_markers(places: &Places<'_>, next: &SetManifest, present: &Opened) -> Evidence {
    let mut evidence = Evidence::default();
    let expected = match present {
        Opened::Whole(present) => present.has_marker(),
        Opened::None => false,
        Opened::Damaged => return evidence,
    };
    if next.has_marker() == expected {
        return evidence;
    }
    let has_marker = |folder: &Folder| folder.inode_of(SUCCESS_MARKER).is_some();
    let is_next = has_marker(places.place) == next.has_marker();
    (evidence.next, evidence.present) = (u64::from(is_next), u64::from(!is_next));
    if let Some(aside) = places.aside {
        let is_next = has_marker(aside) == next.has_marker();
        (evidence.next, evidence.present) =
            (evidence.next + u64::from(!is_next), evidence.present + u64::from(is_next));
    }
    evidence
}

fn holds_all(folder: &Folder, manifest: &SetManifest) -> Result<bool> {
    for entry in manifest.entries()? {
        if !has_bytes(folder, &entry?)? {
            return Ok(false);
        }
    }
    Ok(folder.inode_of(SUCCESS_MARKER).is_some() == manifest.has_marker())
}

fn has_file(folder: &Folder, entry: &Entry) -> bool {
    published_size_bytes(folder, entry.file_path()) == Some(entry.size_bytes)
}

fn has_bytes(folder: &Folder, entry: &Entry) -> Result<bool> {
    let path = entry.file_path();
    if !has_file(folder, entry) {
        return Ok(false);
    }
    let Some(file) = folder.file_beneath(path)? else { return Ok(false) };
    is_whole(file, entry.size_bytes, &entry.sha256.0).map_err(|cause| failed("read", &folder.path().join(path), cause))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::export::{AccountId, Checksums, Object, Partition, Scope, TypeName};
    use crate::manifest::{
        Completeness, FORMAT_NAME, FORMAT_VERSION, Header, ListingDigest, ManifestWriter, VerifiedContent,
    };

    /// Files with their bytes, and whether the set has a marker.
    #[derive(Clone, Copy)]
    struct Set(&'static [(&'static str, &'static str)], bool);

    fn partition() -> Partition {
        Partition { type_name: TypeName::parse("events").unwrap(), date: "2026-11-20".parse().unwrap() }
    }

    fn manifest(root: &Path, name: &str, set: Set) -> Opened {
        let header = Header {
            format: FORMAT_NAME.into(),
            version: FORMAT_VERSION.into(),
            account_id: AccountId::parse("1").unwrap().as_str().into(),
            source: "s3://bucket/v1/account_id=1/".into(),
            type_name: "events".into(),
            date: partition().date,
            selection: Scope::All,
            listing_digest: ListingDigest([7; 32]),
            objects: set.0.len() as u64,
            bytes: 0,
            rows: None,
            objects_gone_at_source: 0,
            completeness: if set.1 { Completeness::Declared } else { Completeness::Undeclared },
            tool_version: "0.0.0".into(),
            published_at: jiff::Timestamp::UNIX_EPOCH,
            unknown_fields: serde_json::Map::new(),
        };
        let mut writer = ManifestWriter::new(Vec::new(), &header).unwrap();
        for (key, bytes) in set.0 {
            let object = Object { key: (*key).into(), size_bytes: bytes.len() as u64, ..Object::default() };
            let sha256 = <sha2::Sha256 as sha2::Digest>::digest(bytes).into();
            let content = VerifiedContent { sha256, checksums: Checksums::default(), rows: None };
            writer.write(&Entry::new(&object, key, &content)).unwrap();
        }
        std::fs::write(root.join(name), writer.finish().unwrap()).unwrap();
        SetManifest::open(&Folder::open_root(root).unwrap(), name, &partition()).unwrap()
    }

    fn folder(root: &Path, name: &str, set: Set) -> Folder {
        let path = root.join(name);
        std::fs::create_dir(&path).unwrap();
        for (key, bytes) in set.0 {
            std::fs::create_dir_all(path.join(key).parent().unwrap()).unwrap();
            std::fs::write(path.join(key), bytes).unwrap();
        }
        if set.1 {
            std::fs::write(path.join(SUCCESS_MARKER), "").unwrap();
        }
        Folder::open_root(&path).unwrap()
    }

    /// The verdict where `place` and `aside` stand and these manifests are known.
    fn verdict(place: Set, aside: Option<Set>, next: Set, present: Option<Set>) -> Stands {
        let root = tempfile::tempdir().unwrap();
        let place = folder(root.path(), "place", place);
        let aside = aside.map(|aside| folder(root.path(), "aside", aside));
        let next = manifest(root.path(), "next", next);
        let present = present.map_or(Opened::None, |present| manifest(root.path(), "present", present));
        which_stands(&Places { place: &place, aside: aside.as_ref() }, next.whole().unwrap(), &present).unwrap()
    }

    #[test]
    fn the_set_at_the_place_is_told_by_names_bytes_and_marker() {
        const OLD: Set = Set(&[("a/1", "one"), ("b/2", "two")], true);
        for (what, new) in [
            ("other names", Set(&[("a/3", "one"), ("b/4", "two")], true)),
            ("one more", Set(&[("a/1", "one"), ("b/2", "two"), ("c", "")], true)),
            ("one less", Set(&[("a/1", "one")], true)),
            ("another size", Set(&[("a/1", "one"), ("b/2", "three")], true)),
            ("other bytes", Set(&[("a/1", "one"), ("b/2", "owt")], true)),
            ("no marker", Set(&[("a/1", "one"), ("b/2", "two")], false)),
            ("nothing in it", Set(&[], true)),
        ] {
            for (one, other) in [(OLD, new), (new, OLD)] {
                assert_eq!(verdict(other, Some(one), other, Some(one)), Stands::Next, "{what}: swapped");
                assert_eq!(verdict(one, Some(other), other, Some(one)), Stands::Present, "{what}: not yet");
                assert_eq!(verdict(other, None, other, Some(one)), Stands::Next, "{what}: only one set is there");
                assert_eq!(verdict(one, None, other, Some(one)), Stands::Present, "{what}: only the old one is");
            }
        }
        assert_eq!(verdict(OLD, None, OLD, None), Stands::Next, "a new day");
        assert_eq!(verdict(Set(&[], false), Some(OLD), OLD, None), Stands::Present, "an empty folder");
    }

    #[test]
    fn a_set_that_is_not_whole_is_told_by_the_better_evidence() {
        const OLD: Set = Set(&[("a", "1"), ("b", "2"), ("c", "3")], true);
        const NEW: Set = Set(&[("d", "4"), ("e", "5"), ("f", "6")], true);
        let touched_new = Set(&[("d", "4"), ("notes", "mine")], false);
        assert_eq!(verdict(touched_new, Some(OLD), NEW, Some(OLD)), Stands::Next);
        assert_eq!(verdict(touched_new, None, NEW, None), Stands::Next);
        let touched_old = Set(&[("b", "2"), ("notes", "mine")], false);
        assert_eq!(verdict(touched_old, Some(NEW), NEW, Some(OLD)), Stands::Present);
        assert_eq!(verdict(touched_old, None, NEW, Some(OLD)), Stands::Present);
    }

    #[test]
    fn sets_of_the_same_objects_are_told_by_whether_all_bytes_are_right() {
        const SOUND: Set = Set(&[("a", "one"), ("b", "two")], true);
        const ROTTEN: Set = Set(&[("a", "one"), ("b", "t%o")], true);
        assert_eq!(verdict(SOUND, Some(ROTTEN), SOUND, Some(SOUND)), Stands::Next, "a repair that was swapped in");
        assert_eq!(verdict(ROTTEN, Some(SOUND), SOUND, Some(SOUND)), Stands::Present, "one that was not");
    }

    #[test]
    fn a_damaged_manifest_is_no_evidence() {
        const OLD: Set = Set(&[("a", "one"), ("b", "t%o")], true);
        const NEW: Set = Set(&[("a", "one"), ("b", "two")], true);
        let root = tempfile::tempdir().unwrap();
        let (old, new) = (folder(root.path(), "old", OLD), folder(root.path(), "new", NEW));
        let next = manifest(root.path(), "next", NEW);
        let next = next.whole().unwrap();
        let stands =
            |place, aside| which_stands(&Places { place, aside: Some(aside) }, next, &Opened::Damaged).unwrap();
        assert_eq!(stands(&new, &old), Stands::Next);
        assert_eq!(stands(&old, &new), Stands::Present);
    }
}
