//! Fragments: what a run has finished of a partition, written every few seconds, so that the run
//! after a killed one knows it (docs/MANIFEST.md). One is as good as none: what it would have said is
//! then transferred again.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::store::{Part, Upload};
use crate::export::Object;
use crate::hash::HasherState;
use crate::manifest::{Entry, ListingDigest};

const FORMAT: &str = "e3sync-fragment";
const VERSION: &str = "1.0";

/// The first line.
#[derive(Serialize, Deserialize)]
struct FragmentHeader {
    format: String,
    version: String,
    /// The listing that the numbers of objects are about.
    listing_digest: ListingDigest,
}

/// Any other line.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum FragmentLine {
    Finished(FinishedLine),
    Unfinished(UnfinishedLine),
}

/// An object that is stored and verified.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct FinishedLine {
    /// Its number in the listing.
    pub index: u64,
    pub entry: Entry,
}

/// How far a multipart upload is; the parts are those since the line before about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct UnfinishedLine {
    pub object: Object,
    pub upload_id: String,
    pub part_size_bytes: u64,
    pub parts: Vec<Part>,
    /// The hasher behind the last part; absent before the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hasher: Option<HasherState>,
}

/// A fragment as it is read.
pub(super) struct Fragment {
    pub listing_digest: ListingDigest,
    pub lines: Vec<FragmentLine>,
}

/// Writes a fragment.
pub(super) fn write(listing_digest: ListingDigest, lines: impl Iterator<Item = FragmentLine>) -> Vec<u8> {
    let header = FragmentHeader { format: FORMAT.into(), version: VERSION.into(), listing_digest };
    let mut bytes = serde_json::to_vec(&header).unwrap_or_default();
    bytes.push(b'\n');
    for line in lines {
        bytes.extend(serde_json::to_vec(&line).unwrap_or_default());
        bytes.push(b'\n');
    }
    bytes
}

/// Reads a fragment; `None` for what is none. Lines that cannot be read are left out.
pub(super) fn read(bytes: &[u8]) -> Option<Fragment> {
    let mut lines = bytes.split(|byte| *byte == b'\n');
    let header: FragmentHeader = serde_json::from_slice(lines.next()?).ok()?;
    if header.format != FORMAT || header.version.split('.').next() != VERSION.split('.').next() {
        return None;
    }
    let lines = lines.filter_map(|line| serde_json::from_slice(line).ok()).collect();
    Some(Fragment { listing_digest: header.listing_digest, lines })
}

/// A multipart upload that can be continued.
#[derive(Clone, Debug)]
pub(super) struct Unfinished {
    pub object: Object,
    pub upload: Upload,
    pub part_size_bytes: u64,
    pub parts: BTreeMap<u32, Part>,
    pub hasher: Option<HasherState>,
}

/// The unfinished uploads of several fragments, by upload id.
#[derive(Default)]
pub(super) struct UnfinishedUploads(BTreeMap<String, Unfinished>);

impl UnfinishedUploads {
    /// Takes a line in; later lines about an upload add to earlier ones.
    pub fn add(&mut self, key: String, line: UnfinishedLine) {
        let upload = Upload { key, id: line.upload_id.clone() };
        let known = self.0.entry(line.upload_id).or_insert_with(|| Unfinished {
            object: line.object,
            upload,
            part_size_bytes: line.part_size_bytes,
            parts: BTreeMap::new(),
            hasher: None,
        });
        known.parts.extend(line.parts.into_iter().map(|part| (part.number, part)));
        known.hasher = line.hasher.or(known.hasher.take());
    }

    pub fn into_iter(self) -> impl Iterator<Item = Unfinished> {
        self.0.into_values()
    }
}

impl Unfinished {
    /// Whether all parts are known that the hasher has taken in.
    pub fn is_continuable(&self) -> bool {
        let Some(hasher) = &self.hasher else { return false };
        let parts = u32::try_from(hasher.length_bytes / self.part_size_bytes.max(1)).unwrap_or(u32::MAX);
        hasher.length_bytes == u64::from(parts) * self.part_size_bytes
            && (1..=parts)
                .all(|number| self.parts.get(&number).is_some_and(|part| part.size_bytes == self.part_size_bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::Checksums;
    use crate::hash::ObjectHasher;

    fn unfinished(number: u32, length_bytes: usize) -> UnfinishedLine {
        let mut hasher = ObjectHasher::for_checksums(&Checksums::default());
        hasher.update(&vec![0; length_bytes]);
        UnfinishedLine {
            object: Object { key: "event=a/big".into(), size_bytes: 100, ..Object::default() },
            upload_id: "u1".into(),
            part_size_bytes: 10,
            parts: vec![Part { number, size_bytes: 10, etag: format!("\"{number}\"") }],
            hasher: hasher.save(),
        }
    }

    #[test]
    fn parts_of_several_fragments_come_together() {
        let digest = ListingDigest([3; 32]);
        let mut uploads = UnfinishedUploads::default();
        for line in [unfinished(1, 10), unfinished(2, 20)] {
            let bytes = write(digest, std::iter::once(FragmentLine::Unfinished(line)));
            let fragment = read(&bytes).unwrap();
            assert_eq!(fragment.listing_digest, digest);
            for line in fragment.lines {
                let FragmentLine::Unfinished(line) = line else { panic!("another kind of line") };
                uploads.add("key".into(), line);
            }
        }
        let uploads: Vec<Unfinished> = uploads.into_iter().collect();
        assert_eq!(uploads.len(), 1);
        assert!(uploads[0].is_continuable());
        assert_eq!(uploads[0].hasher.as_ref().unwrap().length_bytes, 20);
    }

    #[test]
    fn an_upload_with_a_part_missing_is_not_continued() {
        let mut uploads = UnfinishedUploads::default();
        uploads.add("key".into(), unfinished(2, 20));
        assert!(!uploads.into_iter().next().unwrap().is_continuable());
    }

    #[test]
    fn what_is_no_fragment_says_nothing() {
        for text in ["", "{}", "<html>", "{\"format\":\"e3sync-fragment\",\"version\":\"2.0\"}"] {
            assert!(read(text.as_bytes()).is_none(), "{text}");
        }
        let whole = write(ListingDigest([1; 32]), std::iter::once(FragmentLine::Unfinished(unfinished(1, 10))));
        let torn = read(&whole[..whole.len() - 5]).unwrap();
        assert!(torn.lines.is_empty());
    }
}
