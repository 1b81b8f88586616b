//! The records of a partition's objects in a file of fixed-size slots, read and written concurrently.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::ops::Deref;
use std::path::PathBuf;

use super::Position;
use super::failure::failed;
use super::record::{Place, RECORD_BYTES, Record};
use crate::error::{Error, ErrorKind, Result};
use crate::export::Object;
use crate::manifest::{ListingSummary, ListingTally, VerifiedContent, join};
use crate::plan::ObjectLines;

/// Bytes that are read and written at offsets, by many at once.
pub(super) trait RandomAccess: Send + Sync {
    /// Reads some bytes; none behind the end.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes all bytes, behind the end too.
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Where the end is.
    fn length_bytes(&self) -> io::Result<u64>;
}

impl RandomAccess for File {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        std::os::unix::fs::FileExt::read_at(self, buffer, offset)
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        std::os::unix::fs::FileExt::write_all_at(self, bytes, offset)
    }

    fn length_bytes(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }
}

/// The set that is being staged: a listing, and beside it a record for each of its objects.
///
/// Neither is kept in memory as a whole, so that memory does not grow with the number of objects.
pub(super) struct Ledger<F> {
    listing: F,
    records: F,
    /// Where they are, for messages.
    path: PathBuf,
}

/// What the finished objects of a set amount to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SetTotals {
    /// The listing that they make up.
    pub listing: ListingSummary,
    /// `None` when a file is not Parquet.
    pub rows: Option<u64>,
    /// The objects that the source no longer has.
    pub objects_gone_at_source: u64,
}

impl<F: RandomAccess> Ledger<F> {
    /// A ledger of the objects whose lines are in `listing`.
    pub fn new(listing: F, records: F, path: PathBuf) -> Self {
        Self { listing, records, path }
    }

    /// Copies the records of the staged objects that both listings have. Both are in ascending order.
    pub fn take_over(&self, other: &Self) -> Result<()> {
        for pair in join(self.objects(Position::default()), other.objects(Position::default())) {
            let pair = pair?;
            let Some((their_index, theirs)) = pair.right else { continue };
            let record = other.record(their_index)?;
            if theirs.has_identity_of(&pair.left) && matches!(record.place, Place::Staged { .. }) {
                self.set_record(pair.left_index, record)?;
            }
        }
        Ok(())
    }

    /// Whether the listing is whole: it has the digest that it is known by.
    pub fn has_digest(&self, name: &str) -> bool {
        let mut tally = ListingTally::default();
        for object in self.objects(Position::default()) {
            match object {
                Ok(object) => tally.add(&object),
                Err(_) => return false,
            };
        }
        tally.finish().digest.to_string() == name
    }

    /// The objects from a position on.
    pub fn objects(&self, from: Position) -> ObjectLines<BufReader<ReadFrom<&F>>> {
        ObjectLines::new(BufReader::with_capacity(64 * 1024, ReadFrom { input: &self.listing, offset: from.offset }))
    }

    /// What is known about the object with this number.
    pub fn record(&self, index: u64) -> Result<Record> {
        let mut bytes = [0; RECORD_BYTES];
        let mut length = 0;
        while length < RECORD_BYTES {
            let offset = index * RECORD_BYTES as u64 + length as u64;
            match self.records.read_at(&mut bytes[length..], offset) {
                Ok(0) => return Ok(Record::MISSING),
                Ok(count) => length += count,
                Err(cause) => return Err(failed("read", &self.path, cause)),
            }
        }
        Ok(Record::from_bytes(&bytes))
    }

    /// What is known about the objects from the one with this number on, without an end. Read in
    /// blocks, since a call for each record costs more than all else that is done with it.
    pub fn records(&self, from: u64) -> impl Iterator<Item = Result<Record>> + '_ {
        const RECORDS_AT_ONCE: usize = 128;
        let records = ReadFrom { input: &self.records, offset: from * RECORD_BYTES as u64 };
        let mut records = BufReader::with_capacity(RECORDS_AT_ONCE * RECORD_BYTES, records);
        // Behind the end there is nothing to read, object by object.
        let mut is_at_end = false;
        std::iter::repeat_with(move || {
            if is_at_end {
                return Ok(Record::MISSING);
            }
            let mut bytes = [0; RECORD_BYTES];
            match records.read_exact(&mut bytes) {
                Ok(()) => Ok(Record::from_bytes(&bytes)),
                Err(cause) if cause.kind() == io::ErrorKind::UnexpectedEof => {
                    is_at_end = true;
                    Ok(Record::MISSING)
                }
                Err(cause) => Err(failed("read", &self.path, cause)),
            }
        })
    }

    /// Notes what is known about the object with this number.
    pub fn set_record(&self, index: u64, record: Record) -> Result<()> {
        self.records
            .write_all_at(&record.to_bytes(), index * RECORD_BYTES as u64)
            .map_err(|cause| failed("write", &self.path, cause))
    }

    /// Makes every object missing again that was marked as published.
    pub fn forget_published(&self) -> Result<()> {
        let length_bytes = self.records.length_bytes().map_err(|cause| failed("read", &self.path, cause))?;
        for index in 0..length_bytes.div_ceil(RECORD_BYTES as u64) {
            if self.record(index)?.place == Place::Published {
                self.set_record(index, Record::MISSING)?;
            }
        }
        Ok(())
    }

    /// Every object with its record and the content of its verified bytes, in ascending order of keys.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`] for an object that this run has not verified: nothing unverified is
    /// ever published.
    pub fn finished(&self, run: u64) -> impl Iterator<Item = Result<(Object, Record, VerifiedContent)>> + '_ {
        self.objects(Position::default()).zip(self.records(0)).map(move |(object, record)| {
            let (object, record) = (object?, record?);
            match (record.place, record.content) {
                (Place::Staged { run: by }, Some(content)) if by == run => Ok((object, record, content)),
                (Place::Published, Some(content)) => Ok((object, record, content)),
                _ => Err(Error::new(
                    ErrorKind::Internal,
                    format!("object {} was about to be published unverified", object.key),
                )),
            }
        })
    }

    /// What the finished objects amount to.
    pub fn totals(&self, run: u64) -> Result<SetTotals> {
        let (mut tally, mut rows, mut objects_gone_at_source) = (ListingTally::default(), Some(0_u64), 0);
        for finished in self.finished(run) {
            let (object, _, content) = finished?;
            tally.add(&object);
            objects_gone_at_source += u64::from(object.gone_at_source.is_some());
            rows = rows.zip(content.rows).map(|(sum, rows)| sum.saturating_add(rows));
        }
        Ok(SetTotals { listing: tally.finish(), rows, objects_gone_at_source })
    }
}

/// Reads from an offset on, without a position that others could move. `R` refers to what is read.
pub(super) struct ReadFrom<R> {
    input: R,
    offset: u64,
}

impl<R> ReadFrom<R> {
    pub fn new(input: R, offset: u64) -> Self {
        Self { input, offset }
    }
}

impl<R: Deref<Target: RandomAccess>> Read for ReadFrom<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.input.read_at(buffer, self.offset)?;
        self.offset += count as u64;
        Ok(count)
    }
}
