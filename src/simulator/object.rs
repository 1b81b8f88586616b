//! One object of a bucket: its bytes, made when they are read, and its identity.

use super::checksum::{Checksum, Sum, crc32c, md5, sum_of};
use super::data::Rows;
use super::seed::{derive, derive_number, hex, word};
use bytes::Bytes;
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};
use std::ops::Range;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// How much of an object is made and hashed at a time.
const CHUNK_BYTES: u64 = 256 * 1024;

/// Where the bytes of an object come from.
#[derive(Debug)]
pub(crate) enum Material {
    /// Kept as they are.
    Stored(Bytes),
    /// A Parquet file, made at the first look and then kept.
    Parquet(Box<Rows>, OnceLock<Bytes>),
    /// Pseudo-random bytes, made again at every read and never kept.
    Noise { base: u64, size_bytes: u64 },
}

impl Material {
    /// A Parquet file of the rows described.
    pub(crate) fn parquet(rows: Rows) -> Self {
        Self::Parquet(Box::new(rows), OnceLock::new())
    }

    /// Noise that depends on the seed and the key.
    pub(crate) fn noise(seed: u64, key: &str, size_bytes: u64) -> Self {
        Self::Noise { base: derive_number(seed, &["noise", key]), size_bytes }
    }
}

/// One version of one object. A changed object is another `Object`.
#[derive(Debug)]
pub struct Object {
    material: Material,
    generation: u64,
    modified: Timestamp,
    /// The checksum last asked for, because a whole large object must be read for it.
    checksum: Mutex<Option<(Checksum, Arc<Sum>)>>,
    crc32c: OnceLock<String>,
    md5: OnceLock<[u8; 16]>,
}

impl Object {
    pub(crate) fn new(material: Material, generation: u64, modified: Timestamp) -> Self {
        let (crc32c, md5) = (OnceLock::new(), OnceLock::new());
        Self { material, generation, modified, checksum: Mutex::new(None), crc32c, md5 }
    }

    /// The number of bytes. The first call makes a Parquet file if the object is one.
    pub fn size_bytes(&self) -> u64 {
        match &self.material {
            Material::Noise { size_bytes, .. } => *size_bytes,
            Material::Stored(bytes) => bytes.len() as u64,
            Material::Parquet(rows, file) => file.get_or_init(|| rows.file()).len() as u64,
        }
    }

    /// A number that grows with every version, as Google Cloud Storage has it.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// The ETag without quotation marks: opaque, not an MD5, as under AWS KMS (domain.md section 2).
    pub fn etag(&self) -> String {
        hex(&derive(self.generation, &["etag"])[..16])
    }

    /// When this version was written, by the account's calendar.
    pub fn modified(&self) -> Timestamp {
        self.modified
    }

    /// The bytes of the range, which is cut to the object's size. Costs memory of the range's length.
    pub fn read(&self, range: Range<u64>) -> Bytes {
        let end = range.end.min(self.size_bytes());
        let start = range.start.min(end);
        match &self.material {
            Material::Noise { base, .. } => noise(*base, start..end),
            Material::Stored(bytes) => bytes.slice(start as usize..end as usize),
            Material::Parquet(rows, file) => file.get_or_init(|| rows.file()).slice(start as usize..end as usize),
        }
    }

    /// The whole object in pieces of bounded size.
    pub fn chunks(&self) -> impl Iterator<Item = Bytes> + '_ {
        let size_bytes = self.size_bytes();
        (0..size_bytes.div_ceil(CHUNK_BYTES))
            .map(move |index| self.read(index * CHUNK_BYTES..(index + 1) * CHUNK_BYTES))
    }

    /// SHA-256 of the whole object in lower-case hexadecimal. Reads all of it.
    pub fn sha256_hex(&self) -> String {
        let mut hash = Sha256::new();
        self.chunks().for_each(|chunk| hash.update(&chunk));
        hex(&hash.finalize())
    }

    /// The stored checksum of the kind. The first call reads the whole object.
    pub(crate) fn checksum(&self, kind: Checksum) -> Arc<Sum> {
        let mut kept = self.checksum.lock().unwrap_or_else(PoisonError::into_inner);
        match &*kept {
            Some((of, sum)) if *of == kind => sum.clone(),
            _ => {
                let sum = Arc::new(sum_of(kind, self));
                *kept = Some((kind, sum.clone()));
                sum
            }
        }
    }

    /// CRC-32C in Google's form, base64 of the big-endian number. The first call reads the whole object.
    pub(crate) fn crc32c(&self) -> &str {
        self.crc32c.get_or_init(|| crc32c(self))
    }

    /// MD5 of the whole object. The first call reads all of it.
    pub(crate) fn md5(&self) -> &[u8; 16] {
        self.md5.get_or_init(|| md5(self))
    }

    /// True if the sums that Google keeps need no reading any more.
    pub(crate) fn is_summed_up(&self, with_md5: bool) -> bool {
        self.crc32c.get().is_some() && (!with_md5 || self.md5.get().is_some())
    }
}

fn noise(base: u64, range: Range<u64>) -> Bytes {
    let skipped = (range.start % 8) as usize;
    let length = (range.end - range.start) as usize;
    let words = range.start / 8..range.end.div_ceil(8);
    let mut bytes = Vec::with_capacity(length + 16);
    for index in words {
        bytes.extend_from_slice(&word(base, index).to_le_bytes());
    }
    Bytes::from(bytes).slice(skipped..skipped + length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(size_bytes: u64) -> Object {
        Object::new(Material::noise(1, "key", size_bytes), 5, Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn noise_reads_alike_whole_and_in_pieces() {
        let object = object(1_000);
        let whole = object.read(0..1_000);
        assert_eq!(object.read(3..3), Bytes::new());
        for (start, end) in [(0, 1), (7, 9), (13, 1_000), (999, 1_000), (16, 24)] {
            assert_eq!(object.read(start..end), whole.slice(start as usize..end as usize));
        }
        assert_eq!(object.read(990..2_000).len(), 10);
    }

    #[test]
    fn chunks_add_up_to_the_object() {
        let object = object(CHUNK_BYTES * 2 + 17);
        let lengths: Vec<_> = object.chunks().map(|chunk| chunk.len() as u64).collect();
        assert_eq!(lengths, [CHUNK_BYTES, CHUNK_BYTES, 17]);
        assert_eq!(self::object(0).chunks().count(), 0);
    }
}
