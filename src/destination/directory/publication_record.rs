//! The publication record: what a publication is about to do, made durable before its first step, so
//! that the next run can finish or undo it from the record alone (design.md section 3).

use std::fs::File;
use std::io::{BufReader, Read as _, Write as _};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::durable;
use super::folder::{Folder, Linked};
use super::layout;
use super::replaced_name::{Fate, ReplacedName};
use crate::destination::failure::failed;
use crate::error::{Error, ErrorKind, Result};
use crate::manifest::{ListingDigest, to_hex};

const FORMAT: &str = "e3sync-publication";
const VERSION: &str = "1.0";
const MAJOR_VERSION: &str = "1";
/// Longer than any record; more is not read.
const RECORD_BYTES_MAX: u64 = 64 * 1024;

/// What a publication is about to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PublicationRecord {
    format: String,
    version: String,
    /// The SHA-256 of the next manifest's file.
    pub next_manifest_sha256: ListingDigest,
    /// The SHA-256 of the file of the manifest that it replaces; `None` for a new partition.
    pub present_manifest_sha256: Option<ListingDigest>,
    /// What becomes of the set that is replaced.
    replaced_set: Fate,
    /// The name that the replaced set gets.
    replaced_name: String,
}

impl PublicationRecord {
    /// A record of a publication whose replaced set gets `name`.
    pub fn new(next: ListingDigest, present: Option<ListingDigest>, name: &ReplacedName) -> Self {
        Self {
            format: FORMAT.to_owned(),
            version: VERSION.to_owned(),
            next_manifest_sha256: next,
            present_manifest_sha256: present,
            replaced_set: name.fate,
            replaced_name: name.to_string(),
        }
    }

    /// The name that the replaced set gets; `None` where a newer version names it in another way.
    pub fn replaced_name(&self) -> Option<ReplacedName> {
        self.replaced_name.parse().ok()
    }

    /// What becomes of the set that is replaced.
    pub fn fate(&self) -> Fate {
        self.replaced_set
    }

    /// Writes the record, durably.
    pub fn write(&self, staging: &Folder) -> Result<()> {
        let bytes = self.to_bytes()?;
        durable::write_file(staging, layout::RECORD, |mut output| {
            output.write_all(&bytes)?;
            Ok(output)
        })
    }

    /// Reads the record; `None` where there is none, or one that was not written to its end: then
    /// nothing was begun.
    ///
    /// # Errors
    /// [`ErrorKind::ManifestNewer`] for a record of a newer major version.
    pub fn read(staging: &Folder) -> Result<Option<Self>> {
        let Some(file) = staging.file(layout::RECORD)? else { return Ok(None) };
        let mut bytes = Vec::new();
        file.take(RECORD_BYTES_MAX)
            .read_to_end(&mut bytes)
            .map_err(|cause| failed("read", &staging.path().join(layout::RECORD), cause))?;
        Self::parse(&bytes)
    }

    /// The document, with the SHA-256 of all its other bytes as its last field.
    fn to_bytes(&self) -> Result<Vec<u8>> {
        let mut bytes = serde_json::to_vec(self)
            .map_err(|cause| Error::new(ErrorKind::Internal, "the publication record").with_cause(cause))?;
        let digest = to_hex(&Sha256::digest(&bytes));
        bytes.pop();
        bytes.extend_from_slice(trailer(&digest).as_bytes());
        Ok(bytes)
    }

    fn parse(bytes: &[u8]) -> Result<Option<Self>> {
        let Some(split) = bytes.len().checked_sub(trailer(&"0".repeat(64)).len()) else { return Ok(None) };
        let (begin, end) = bytes.split_at(split);
        let document = [begin, b"}"].concat();
        if end != trailer(&to_hex(&Sha256::digest(&document))).as_bytes() {
            return Ok(None);
        }
        #[derive(Deserialize)]
        struct Version {
            version: String,
        }
        let version = serde_json::from_slice(&document).map(|Version { version }| version).unwrap_or_default();
        match serde_json::from_slice(&document) {
            Ok(record) if version.split('.').next() == Some(MAJOR_VERSION) => Ok(Some(record)),
            _ => Err(Error::new(
                ErrorKind::ManifestNewer,
                format!("the publication record is of format version {version}, which this tool does not know"),
            )
            .with_hint("a newer e3sync began this publication; update this one, or let the newer one end it")),
        }
    }
}

fn trailer(digest: &str) -> String {
    format!(",\"record_sha256\":\"{digest}\"}}\n")
}

/// The SHA-256 of a file's bytes; `None` where there is no such file.
pub(super) fn digest_of(folder: &Folder, name: &str) -> Result<Option<ListingDigest>> {
    let Some(file) = folder.file(name)? else { return Ok(None) };
    let mut hasher = Sha256::new();
    let mut input = BufReader::with_capacity(64 * 1024, file);
    loop {
        let block =
            std::io::BufRead::fill_buf(&mut input).map_err(|cause| failed("read", &folder.path().join(name), cause))?;
        if block.is_empty() {
            return Ok(Some(ListingDigest(hasher.finalize().into())));
        }
        hasher.update(block);
        let count = block.len();
        std::io::BufRead::consume(&mut input, count);
    }
}

/// Gives a file that is never written again a second name; a copy where the file system has no links.
/// A file that has the name already is left: it is the same one, from before a kill.
pub(super) fn link_or_copy(from: &Folder, name: &str, to: &Folder, to_name: &str) -> Result<()> {
    match from.link(name, to, to_name)? {
        Linked::Done | Linked::NameTaken => Ok(()),
        Linked::Unsupported => copy(from, name, to, to_name),
    }
}

fn copy(from: &Folder, name: &str, to: &Folder, to_name: &str) -> Result<()> {
    let missing = || failed("open", &from.path().join(name), std::io::ErrorKind::NotFound.into());
    let mut input: File = from.file(name)?.ok_or_else(missing)?;
    durable::write_file(to, to_name, |mut output| {
        std::io::copy(&mut input, &mut output)?;
        Ok(output)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> PublicationRecord {
        let name = ReplacedName::new("2026-11-21T10:15:00Z".parse().unwrap(), Fate::KeepForeign);
        PublicationRecord::new(ListingDigest([1; 32]), Some(ListingDigest([2; 32])), &name)
    }

    #[test]
    fn a_record_is_read_back_and_a_torn_or_altered_one_is_none() {
        let root = tempfile::tempdir().unwrap();
        let folder = Folder::open_root(root.path()).unwrap();
        assert_eq!(PublicationRecord::read(&folder).unwrap(), None);
        record().write(&folder).unwrap();
        let read = PublicationRecord::read(&folder).unwrap().unwrap();
        assert_eq!((read.fate(), read.replaced_name().unwrap().fate), (Fate::KeepForeign, Fate::KeepForeign));
        let bytes = std::fs::read(root.path().join(layout::RECORD)).unwrap();
        serde_json::from_slice::<serde_json::Value>(&bytes).expect("one JSON document");
        for length in 0..bytes.len() {
            assert_eq!(PublicationRecord::parse(&bytes[..length]).unwrap(), None, "{length} bytes");
        }
        for index in 0..bytes.len() {
            let mut altered = bytes.clone();
            altered[index] ^= 1;
            assert_eq!(PublicationRecord::parse(&altered).unwrap(), None, "byte {index}");
        }
        assert_eq!(PublicationRecord::parse(&vec![0; bytes.len()]).unwrap(), None, "blocks that were never written");
    }

    #[test]
    fn a_newer_record_is_refused_and_not_taken_for_a_torn_one() {
        let newer = PublicationRecord { version: "2.0".into(), ..record() };
        let error = PublicationRecord::parse(&newer.to_bytes().unwrap()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ManifestNewer);
        let minor = PublicationRecord { version: "1.9".into(), ..record() };
        assert_eq!(PublicationRecord::parse(&minor.to_bytes().unwrap()).unwrap(), Some(minor));
    }

    #[test]
    fn a_copy_is_as_good_as_a_link() {
        let root = tempfile::tempdir().unwrap();
        let folder = Folder::open_root(root.path()).unwrap();
        std::fs::write(root.path().join("a"), "lines").unwrap();
        copy(&folder, "a", &folder, "b").unwrap();
        link_or_copy(&folder, "a", &folder, "c").unwrap();
        link_or_copy(&folder, "a", &folder, "c").unwrap();
        let digest = digest_of(&folder, "a").unwrap();
        assert!(digest.is_some());
        assert_eq!(digest_of(&folder, "b").unwrap(), digest);
        assert_eq!(digest_of(&folder, "c").unwrap(), digest);
        assert_eq!(digest_of(&folder, "d").unwrap(), None);
    }
}
