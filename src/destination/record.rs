//! One object's record in a ledger: 160 bytes with a checksum of their own.

use crc_fast::CrcAlgorithm;

use crate::export::{Checksum, ChecksumAlgorithm, Checksums};
use crate::manifest::VerifiedContent;

/// The length of a record, in bytes.
pub(super) const RECORD_BYTES: usize = 160;

/// The version of the layout, the last byte of a record. A record of another version counts as missing, so
/// that its object is transferred again.
const VERSION: u8 = 0;

/// The layout of [`VERSION`]: checksum, place, run, SHA-256, rows, the optional checksums, whether the source
/// offered the SHA-256, the ETag with its length, version.
const LAYOUT_BYTES: usize = 4 + 1 + 8 + 32 + (1 + 8) + checksums_bytes() + 1 + (1 + StoredEtag::BYTES_MAX) + 1;

const _: () = assert!(LAYOUT_BYTES == RECORD_BYTES, "a record of another layout needs another VERSION and length");

/// The checksums that a record has a slot for. The SHA-256 stands in each record anyway.
fn slots() -> impl Iterator<Item = ChecksumAlgorithm> {
    ChecksumAlgorithm::ALL.into_iter().filter(|algorithm| *algorithm != ChecksumAlgorithm::Sha256)
}

/// The length of all slots, each with a byte that says whether it is filled.
const fn checksums_bytes() -> usize {
    let (mut number, mut length_bytes) = (0, 0);
    while number < ChecksumAlgorithm::ALL.len() {
        if !matches!(ChecksumAlgorithm::ALL[number], ChecksumAlgorithm::Sha256) {
            length_bytes += 1 + ChecksumAlgorithm::ALL[number].length_bytes();
        }
        number += 1;
    }
    length_bytes
}

/// Where the verified bytes of an object are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Nowhere yet.
    Missing,
    /// In the staging folder, hashed by the run with this number.
    Staged {
        /// The run's random number.
        run: u64,
    },
    /// In the published partition, unchanged.
    Published,
}

/// What is known about one object of a staged set: a fixed number of bytes, so that the record of
/// the n-th object is found without reading the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub place: Place,
    /// `None` only while the object is missing.
    pub content: Option<VerifiedContent>,
    /// The ETag that the destination's bucket gave the object.
    pub stored_etag: Option<StoredEtag>,
}

/// An ETag of up to [`StoredEtag::BYTES_MAX`] bytes, which all known servers' are.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct StoredEtag {
    bytes: [u8; Self::BYTES_MAX],
    length_bytes: u8,
}

impl StoredEtag {
    const BYTES_MAX: usize = 46;

    /// `None` for one that is longer.
    pub fn new(text: &str) -> Option<Self> {
        let mut bytes = [0; Self::BYTES_MAX];
        bytes.get_mut(..text.len())?.copy_from_slice(text.as_bytes());
        Some(Self { bytes, length_bytes: u8::try_from(text.len()).ok()? })
    }

    /// The ETag.
    pub fn as_str(&self) -> &str {
        self.bytes.get(..usize::from(self.length_bytes)).and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or("")
    }
}

impl std::fmt::Debug for StoredEtag {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl Record {
    pub const MISSING: Self = Self { place: Place::Missing, content: None, stored_etag: None };

    /// The record as bytes, the first four of them a checksum of the others.
    pub fn to_bytes(self) -> [u8; RECORD_BYTES] {
        let mut output = RecordWriter { bytes: [0; RECORD_BYTES], at: 4 };
        let (place, run) = match self.place {
            Place::Missing => (0, 0),
            Place::Staged { run } => (1, run),
            Place::Published => (2, 0),
        };
        output.put(&[place]);
        output.put(&run.to_be_bytes());
        if let Some(content) = self.content {
            output.put(&content.sha256);
            output.put_optional(content.rows.map(u64::to_be_bytes));
            for algorithm in slots() {
                output.put_checksum(algorithm, content.checksums.get(algorithm));
            }
            output.put(&[u8::from(content.checksums.has(ChecksumAlgorithm::Sha256))]);
            output.put(&[self.stored_etag.map_or(0, |etag| etag.length_bytes)]);
            output.put(&self.stored_etag.map_or([0; StoredEtag::BYTES_MAX], |etag| etag.bytes));
            output.put(&[VERSION]);
        }
        let crc = checksum(&output.bytes);
        output.bytes[..4].copy_from_slice(&crc);
        output.bytes
    }

    /// Reads a record; torn, altered and never written ones are [`Record::MISSING`].
    pub fn from_bytes(bytes: &[u8; RECORD_BYTES]) -> Self {
        if bytes[..4] != checksum(bytes) || bytes[RECORD_BYTES - 1] != VERSION {
            return Self::MISSING;
        }
        let mut input = RecordReader { bytes, at: 4 };
        let [place] = input.take();
        let run = u64::from_be_bytes(input.take());
        let place = match place {
            1 => Place::Staged { run },
            2 => Place::Published,
            _ => return Self::MISSING,
        };
        let sha256 = input.take();
        let rows = input.take_optional().map(u64::from_be_bytes);
        let mut checksums = Checksums::default();
        for algorithm in slots() {
            checksums = checksums.with(algorithm, input.take_checksum(algorithm));
        }
        if input.take() == [1] {
            checksums = checksums.with(ChecksumAlgorithm::Sha256, Checksum::new(ChecksumAlgorithm::Sha256, &sha256));
        }
        let [length_bytes] = input.take();
        let stored_etag = Some(StoredEtag { bytes: input.take(), length_bytes }).filter(|_| length_bytes > 0);
        Self { place, content: Some(VerifiedContent { sha256, checksums, rows }), stored_etag }
    }
}

/// CRC-32C of all but the first four bytes, turned so that a record of zeros does not match.
fn checksum(bytes: &[u8; RECORD_BYTES]) -> [u8; 4] {
    let crc = crc_fast::checksum(CrcAlgorithm::Crc32Iscsi, &bytes[4..]);
    (!u32::try_from(crc).unwrap_or_default()).to_be_bytes()
}

struct RecordWriter {
    bytes: [u8; RECORD_BYTES],
    at: usize,
}

impl RecordWriter {
    fn put(&mut self, value: &[u8]) {
        self.bytes[self.at..self.at + value.len()].copy_from_slice(value);
        self.at += value.len();
    }

    fn put_checksum(&mut self, algorithm: ChecksumAlgorithm, value: Option<Checksum>) {
        self.put(&[u8::from(value.is_some())]);
        if let Some(value) = value {
            self.put(value.as_bytes());
        } else {
            self.at += algorithm.length_bytes();
        }
    }

    fn put_optional<const N: usize>(&mut self, value: Option<[u8; N]>) {
        self.put(&[u8::from(value.is_some())]);
        self.put(&value.unwrap_or([0; N]));
    }
}

struct RecordReader<'a> {
    bytes: &'a [u8; RECORD_BYTES],
    at: usize,
}

impl RecordReader<'_> {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let mut value = [0; N];
        value.copy_from_slice(&self.bytes[self.at..self.at + N]);
        self.at += N;
        value
    }

    fn take_checksum(&mut self, algorithm: ChecksumAlgorithm) -> Option<Checksum> {
        let is_some = self.take() == [1];
        let value = self.bytes.get(self.at..self.at + algorithm.length_bytes())?;
        self.at += value.len();
        Checksum::new(algorithm, value).filter(|_| is_some)
    }

    fn take_optional<const N: usize>(&mut self) -> Option<[u8; N]> {
        let is_some = self.take::<1>() == [1];
        let value = self.take();
        is_some.then_some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_comes_back_as_it_was_and_damage_shows() {
        const VALUES: [u8; 32] = [3; 32];
        let content = VerifiedContent {
            sha256: VALUES,
            checksums: Checksums::of(|algorithm| Checksum::new(algorithm, &VALUES[..algorithm.length_bytes()])),
            rows: Some(u64::MAX),
        };
        let stored_etag = StoredEtag::new("\"9b2cf535f27731c974343645a3985328-10000\"");
        let record = Record { place: Place::Staged { run: 77 }, content: Some(content), stored_etag };
        assert!(stored_etag.is_some());
        let bytes = record.to_bytes();
        assert_eq!(Record::from_bytes(&bytes), record);
        for index in 0..RECORD_BYTES {
            let mut damaged = bytes;
            damaged[index] ^= 1;
            assert_eq!(Record::from_bytes(&damaged), Record::MISSING, "byte {index}");
        }
        assert_eq!(Record::from_bytes(&[0; RECORD_BYTES]), Record::MISSING);
        let mut of_another_version = bytes;
        of_another_version[RECORD_BYTES - 1] = VERSION + 1;
        let crc = checksum(&of_another_version);
        of_another_version[..4].copy_from_slice(&crc);
        assert_eq!(Record::from_bytes(&of_another_version), Record::MISSING);
    }

    #[test]
    fn records_of_version_0_1_are_read() {
        let checksums = Checksums::of(|algorithm| {
            let is_offered = matches!(algorithm, ChecksumAlgorithm::Crc32c | ChecksumAlgorithm::Md5);
            Checksum::new(algorithm, &[9; 32][..algorithm.length_bytes()]).filter(|_| is_offered)
        });
        let content = VerifiedContent { sha256: [4; 32], checksums, rows: Some(258) };
        let stored_etag = StoredEtag::new("etag");
        let record = Record { place: Place::Published, content: Some(content), stored_etag };
        let mut written = vec![2];
        written.extend([0; 8]);
        written.extend([4; 32]);
        written.extend([1, 0, 0, 0, 0, 0, 0, 1, 2]);
        written.extend([0; 9]);
        written.extend([1, 9, 9, 9, 9]);
        written.extend([0; 5]);
        written.extend([0; 21]);
        written.push(1);
        written.extend([9; 16]);
        written.extend([0, 4]);
        written.extend(b"etag");
        written.resize(RECORD_BYTES - 4, 0);
        assert_eq!(record.to_bytes()[4..], written);
    }
}
