//! A listing that is not kept in memory as a whole.

use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::Path;

use tempfile::SpooledTempFile;

use crate::error::{Error, ErrorKind, Result};
use crate::export::{FilePath, Object};
use crate::manifest::{ListingSummary, ListingTally};

/// A listing is kept in memory up to this many bytes, and in a file without a name beyond.
const MEMORY_BYTES_MAX: usize = 512 * 1024;

/// Maximum number of refused keys that are named; more are only counted.
const REFUSED_NAMED_MAX: usize = 10;

/// One partition's whole listing, page after page, without all of it in memory.
pub struct Listing {
    /// What it amounts to.
    pub summary: ListingSummary,
    /// The keys that cannot be stored, as errors that name them; the first few.
    pub refused: Vec<Error>,
    spool: SpooledTempFile,
}

/// Takes the objects of a listing in, in ascending order of keys.
pub struct ListingBuilder {
    tally: ListingTally,
    refused: Vec<Error>,
    spool: SpooledTempFile,
    line: Vec<u8>,
}

impl ListingBuilder {
    /// A builder that spills a long listing into a file in `spill_folder`.
    pub fn new(spill_folder: &Path) -> Self {
        Self {
            tally: ListingTally::default(),
            refused: Vec::new(),
            spool: tempfile::spooled_tempfile_in(MEMORY_BYTES_MAX, spill_folder),
            line: Vec::with_capacity(512),
        }
    }

    /// Takes an object in.
    ///
    /// # Errors
    /// [`ErrorKind::DestinationUnusable`] or [`ErrorKind::DestinationFull`] when it cannot be spilled.
    pub fn add(&mut self, object: &Object) -> Result<()> {
        if !self.tally.add(object) {
            return Ok(());
        }
        if let Err(error) = FilePath::of_key(&object.key) {
            if self.refused.len() < REFUSED_NAMED_MAX {
                self.refused.push(error);
            }
            return Ok(());
        }
        self.line.clear();
        serde_json::to_writer(&mut self.line, object).map_err(|cause| unusable(cause.into()))?;
        self.line.push(b'\n');
        self.spool.write_all(&self.line).map_err(unusable)
    }

    /// Notes that the source has the `_SUCCESS` marker, where a filtered listing does not show it.
    pub fn note_success_marker(&mut self) {
        self.tally.note_success_marker();
    }

    /// The listing as a whole.
    pub fn finish(self) -> Listing {
        Listing { summary: self.tally.finish(), refused: self.refused, spool: self.spool }
    }
}

impl Listing {
    /// The objects from the first on, in ascending order of keys.
    ///
    /// # Errors
    /// [`ErrorKind::DestinationUnusable`] when the spilled file cannot be read.
    pub fn objects(&mut self) -> Result<ObjectLines<impl BufRead>> {
        self.spool.seek(SeekFrom::Start(0)).map_err(unusable)?;
        Ok(ObjectLines::new(BufReader::new(&mut self.spool)))
    }

    /// Copies the listing's lines to `output`.
    ///
    /// # Errors
    /// What the files return.
    pub fn copy_to(&mut self, output: &mut impl Write) -> io::Result<()> {
        self.spool.seek(SeekFrom::Start(0))?;
        io::copy(&mut self.spool, output)?;
        Ok(())
    }
}

/// Reads objects, one in each line.
pub struct ObjectLines<R> {
    input: R,
    line: Vec<u8>,
    /// How many bytes were read.
    pub offset: u64,
}

impl<R: BufRead> ObjectLines<R> {
    /// The longest line that is read; see the manifest's own bound.
    const LINE_BYTES_MAX: u64 = 64 * 1024;

    /// Reads from `input`.
    pub fn new(input: R) -> Self {
        Self { input, line: Vec::with_capacity(512), offset: 0 }
    }

    fn read(&mut self) -> io::Result<Option<Object>> {
        self.line.clear();
        let length = self.input.by_ref().take(Self::LINE_BYTES_MAX).read_until(b'\n', &mut self.line)?;
        if length == 0 {
            return Ok(None);
        }
        self.offset += length as u64;
        serde_json::from_slice(&self.line).map(Some).map_err(io::Error::from)
    }
}

impl<R: BufRead> Iterator for ObjectLines<R> {
    type Item = Result<Object>;

    fn next(&mut self) -> Option<Self::Item> {
        self.read().map_err(unusable).transpose()
    }
}

fn unusable(cause: io::Error) -> Error {
    let kind = match cause.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ErrorKind::DestinationFull,
        _ => ErrorKind::DestinationUnusable,
    };
    Error::new(kind, "cannot keep a listing").with_cause(cause)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_listing_comes_back_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let mut builder = ListingBuilder::new(folder.path());
        for index in 0..5_000 {
            let key = format!("event=a/{index:0200}");
            builder.add(&Object { key, size_bytes: index, ..Object::default() }).unwrap();
        }
        let mut listing = builder.finish();
        assert_eq!(listing.summary.objects, 5_000);
        for _ in 0..2 {
            let sizes: Vec<u64> = listing.objects().unwrap().map(|object| object.unwrap().size_bytes).collect();
            assert!(sizes.iter().copied().eq(0..5_000));
        }
    }

    #[test]
    fn keys_that_no_file_can_have_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let mut builder = ListingBuilder::new(folder.path());
        for key in ["../../etc/passwd", "event=a/ok"] {
            builder.add(&Object { key: key.into(), size_bytes: 1, ..Object::default() }).unwrap();
        }
        let mut listing = builder.finish();
        assert_eq!(listing.refused.len(), 1);
        assert_eq!(listing.objects().unwrap().count(), 1);
    }
}
