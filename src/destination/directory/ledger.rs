use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write as _};
use std::os::unix::fs::FileExt as _;

use super::folder::{Folder, failed};
use super::record::{Place, RECORD_BYTES, Record};
use crate::destination::listing::ObjectLines;
use crate::destination::{Listing, Position};
use crate::error::{Error, ErrorKind, Result};
use crate::export::Object;
use crate::manifest::{ListingSummary, ListingTally, VerifiedContent, join};

/// The ending of a stored listing's name; what stands before it is the listing's digest.
const LISTING_ENDING: &str = ".listing";

/// The set that is being staged: a listing, and beside it a record for each of its objects.
///
/// Both are files, so that memory does not grow with the number of objects and a killed run's work
/// is found again.
pub(super) struct Ledger {
    listing: File,
    records: File,
    /// Where the files are, for messages.
    path: std::path::PathBuf,
}

/// What the finished objects of a set amount to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Totals {
    /// The listing that they make up.
    pub listing: ListingSummary,
    /// `None` when a file is not Parquet.
    pub rows: Option<u64>,
}

impl Ledger {
    /// The ledger of a listing: the one that a former run began, or else a new one that takes over
    /// what other ledgers know about the same objects. Ledgers that are not needed any more go.
    pub fn open(folder: &Folder, listing: &mut Listing) -> Result<Self> {
        let name = listing.summary.digest.to_string();
        let others: Vec<String> = stored_digests(folder)?.into_iter().filter(|other| *other != name).collect();
        let ledger = match Self::open_stored(folder, &name)? {
            Some(ledger) => ledger,
            None => Self::create(folder, &name, listing, &others)?,
        };
        for other in &others {
            remove(folder, other)?;
        }
        Ok(ledger)
    }

    /// Every stored ledger whose listing is whole.
    pub fn open_all(folder: &Folder) -> Result<Vec<Self>> {
        let digests = stored_digests(folder)?;
        digests.iter().filter_map(|name| Self::open_stored(folder, name).transpose()).collect()
    }

    fn open_stored(folder: &Folder, name: &str) -> Result<Option<Self>> {
        let Some(listing) = folder.file(&format!("{name}{LISTING_ENDING}"))? else { return Ok(None) };
        let records = folder.open_or_create_file(&records_name(name))?;
        let ledger = Self { listing, records, path: folder.path().to_owned() };
        Ok(ledger.has_digest(name)?.then_some(ledger))
    }

    fn create(folder: &Folder, name: &str, listing: &mut Listing, others: &[String]) -> Result<Self> {
        let told = |cause| failed("write", folder.path(), cause);
        let mut output = BufWriter::new(folder.create_file(&format!("{name}{LISTING_ENDING}"))?);
        listing.copy_to(&mut output).map_err(told)?;
        output.flush().map_err(told)?;
        let file = output.into_inner().map_err(|error| told(error.into_error()))?;
        file.sync_data().map_err(told)?;
        let ledger =
            Self { listing: file, records: folder.create_file(&records_name(name))?, path: folder.path().to_owned() };
        for other in others {
            if let Some(other) = Self::open_stored(folder, other)? {
                ledger.take_over(&other)?;
            }
        }
        Ok(ledger)
    }

    /// Copies the records of the objects that both listings have. Both are in ascending order.
    fn take_over(&self, other: &Self) -> Result<()> {
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

    fn has_digest(&self, name: &str) -> Result<bool> {
        let mut tally = ListingTally::default();
        for object in self.objects(Position::default()) {
            match object {
                Ok(object) => tally.add(&object),
                // A torn listing is begun anew.
                Err(_) => return Ok(false),
            };
        }
        Ok(tally.finish().digest.to_string() == name)
    }

    /// The objects from a position on.
    pub fn objects(&self, from: Position) -> ObjectLines<BufReader<FileFrom<'_>>> {
        ObjectLines::new(BufReader::with_capacity(64 * 1024, FileFrom { file: &self.listing, offset: from.offset }))
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
        let records = FileFrom { file: &self.records, offset: from * RECORD_BYTES as u64 };
        let mut records = BufReader::with_capacity(RECORDS_AT_ONCE * RECORD_BYTES, records);
        std::iter::repeat_with(move || {
            let mut bytes = [0; RECORD_BYTES];
            match records.read_exact(&mut bytes) {
                Ok(()) => Ok(Record::from_bytes(&bytes)),
                Err(cause) if cause.kind() == io::ErrorKind::UnexpectedEof => Ok(Record::MISSING),
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
        let length_bytes = self.records.metadata().map_err(|cause| failed("read", &self.path, cause))?.len();
        for index in 0..length_bytes.div_ceil(RECORD_BYTES as u64) {
            if self.record(index)?.place == Place::Published {
                self.set_record(index, Record::MISSING)?;
            }
        }
        Ok(())
    }

    /// Every object with the place and content of its verified bytes, in ascending order of keys.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`] for an object that this run has not verified: nothing unverified is
    /// ever published.
    pub fn finished(&self, run: u64) -> impl Iterator<Item = Result<(Object, Place, VerifiedContent)>> + '_ {
        self.objects(Position::default()).zip(self.records(0)).map(move |(object, record)| {
            let (object, record) = (object?, record?);
            match (record.place, record.content) {
                (Place::Staged { run: by }, Some(content)) if by == run => Ok((object, record.place, content)),
                (Place::Published, Some(content)) => Ok((object, record.place, content)),
                _ => Err(Error::new(
                    ErrorKind::Internal,
                    format!("object {} was about to be published unverified", object.key),
                )),
            }
        })
    }

    /// What the finished objects amount to.
    pub fn totals(&self, run: u64) -> Result<Totals> {
        let (mut tally, mut rows) = (ListingTally::default(), Some(0_u64));
        for finished in self.finished(run) {
            let (object, _, content) = finished?;
            tally.add(&object);
            rows = rows.zip(content.rows).map(|(sum, rows)| sum.saturating_add(rows));
        }
        Ok(Totals { listing: tally.finish(), rows })
    }
}

fn records_name(digest: &str) -> String {
    format!("{digest}.records")
}

fn remove(folder: &Folder, digest: &str) -> Result<()> {
    folder.remove_file(&format!("{digest}{LISTING_ENDING}"))?;
    folder.remove_file(&records_name(digest))
}

fn stored_digests(folder: &Folder) -> Result<Vec<String>> {
    let entries = folder.entries()?.into_iter();
    Ok(entries.filter_map(|(name, _)| name.strip_suffix(LISTING_ENDING).map(str::to_owned)).collect())
}

/// Reads a file from an offset on, without a position that others could move.
pub(super) struct FileFrom<'a> {
    file: &'a File,
    offset: u64,
}

impl Read for FileFrom<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read_at(buffer, self.offset)?;
        self.offset += count as u64;
        Ok(count)
    }
}
