//! A manifest's file that was read to its end and found whole, and what its lines say about files.

use std::fs::File;
use std::io::BufReader;

use super::folder::Folder;
use crate::destination::ledger::ReadFrom;
use crate::error::{ErrorKind, Result};
use crate::export::Partition;
use crate::manifest::{self, Entry, EntryReader, Header};

/// A whole manifest, whose lines can be read many times.
pub(super) struct SetManifest {
    file: File,
    /// Its first line.
    pub header: Header,
}

/// What a manifest's file turned out to be.
pub(super) enum Opened {
    /// There is no such file.
    None,
    /// It is torn, altered or another partition's.
    Damaged,
    /// It is whole.
    Whole(Box<SetManifest>),
}

impl SetManifest {
    /// Opens a manifest's file and reads it to its end.
    ///
    /// # Errors
    /// [`ErrorKind::ManifestNewer`]; what keeps the file from being read.
    pub fn open(folder: &Folder, name: &str, partition: &Partition) -> Result<Opened> {
        let Some(file) = folder.file(name)? else { return Ok(Opened::None) };
        let header = manifest::verify(BufReader::new(ReadFrom::new(&file, 0)));
        match header.and_then(|header| header.check_is_of(partition).map(|()| header)) {
            Ok(header) => Ok(Opened::Whole(Box::new(Self { file, header }))),
            Err(error) if error.kind() == ErrorKind::ManifestDamaged => Ok(Opened::Damaged),
            Err(error) => Err(error.within(partition)),
        }
    }

    /// The lines, in ascending order of keys.
    pub fn entries(&self) -> Result<EntryReader<BufReader<ReadFrom<&File>>>> {
        EntryReader::new(BufReader::with_capacity(64 * 1024, ReadFrom::new(&self.file, 0)))
    }

    /// Whether the set that it describes has a `_SUCCESS`.
    pub fn has_marker(&self) -> bool {
        self.header.is_complete_day()
    }
}

impl Opened {
    /// The manifest, where it is whole.
    pub fn whole(&self) -> Option<&SetManifest> {
        match self {
            Self::Whole(manifest) => Some(manifest),
            Self::None | Self::Damaged => None,
        }
    }
}

/// Walks two manifests together, each line by itself, but lines of both together where they name a file
/// of the same path and size; its bytes may differ. A missing manifest has no lines.
pub(super) fn lines(
    left: Option<&SetManifest>,
    right: Option<&SetManifest>,
    mut take: impl FnMut(Option<Entry>, Option<Entry>) -> Result<()>,
) -> Result<()> {
    let mut left = left.map(SetManifest::entries).transpose()?.into_iter().flatten().peekable();
    let mut right = right.map(SetManifest::entries).transpose()?.into_iter().flatten().peekable();
    loop {
        let order = match (left.peek(), right.peek()) {
            (None, None) => return Ok(()),
            (Some(Ok(left)), Some(Ok(right))) => left.key.cmp(&right.key),
            (Some(_), None) | (Some(Err(_)), _) => std::cmp::Ordering::Less,
            (None, Some(_)) | (_, Some(Err(_))) => std::cmp::Ordering::Greater,
        };
        let left = if order.is_le() { left.next().transpose()? } else { None };
        let right = if order.is_ge() { right.next().transpose()? } else { None };
        match (left, right) {
            (Some(left), Some(right)) if !is_same_file(&left, &right) => {
                take(Some(left), None)?;
                take(None, Some(right))?;
            }
            (left, right) => take(left, right)?,
        }
    }
}

fn is_same_file(left: &Entry, right: &Entry) -> bool {
    left.size_bytes == right.size_bytes && left.file_path() == right.file_path()
}
