//! Reads the number of rows from a Parquet footer as it passes through.

use bytes::Bytes;

/// How much of an object's end is kept to read the Parquet footer from, in bytes.
pub const TAIL_BYTES_MAX: u64 = 256 * 1024;

/// The magic number at both ends of a Parquet file.
const MAGIC: &[u8; 4] = b"PAR1";

/// The magic number at the end of a Parquet file whose footer is encrypted.
const MAGIC_ENCRYPTED: &[u8; 4] = b"PARE";

/// Nesting deeper than this is not a footer that any writer makes.
const DEPTH_MAX: u32 = 32;

/// What the end of an object says about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParquetFooter {
    /// A Parquet file with this number of rows.
    Rows(u64),
    /// A Parquet file whose footer is encrypted or larger than the tail that was kept.
    RowsUnknown,
    /// Not a Parquet file, or a torn one.
    NotParquet,
}

/// Keeps the last bytes of an object as they pass by, without copying them.
///
/// The size must be known in advance, as it is from the listing.
pub struct FooterTail {
    keep_from: u64,
    chunks: Vec<Bytes>,
}

impl FooterTail {
    /// A tail for an object of `size_bytes`.
    pub fn new(size_bytes: u64) -> Self {
        Self { keep_from: size_bytes.saturating_sub(TAIL_BYTES_MAX), chunks: Vec::new() }
    }

    /// Whether some of the bytes before `end` are kept.
    pub fn reaches(&self, end: u64) -> bool {
        end > self.keep_from
    }

    /// Sees the bytes that stand at `offset`, in ascending order without gaps.
    pub fn add(&mut self, offset: u64, chunk: &Bytes) {
        if !self.reaches(offset + chunk.len() as u64) {
            return;
        }
        let skip = usize::try_from(self.keep_from.saturating_sub(offset)).unwrap_or(usize::MAX);
        self.chunks.push(chunk.slice(skip.min(chunk.len())..));
    }

    /// What the kept bytes say.
    pub fn read(&self) -> ParquetFooter {
        let footer = match self.chunks.as_slice() {
            [only] => read_footer(only),
            // Metadata are a small part of what is kept, and nothing else is joined.
            _ => read_footer(&self.last_bytes(footer_bytes(&self.last_bytes(END_BYTES)))),
        };
        match footer {
            // A footer that begins before the file does is none.
            ParquetFooter::RowsUnknown if self.keep_from == 0 && !self.is_encrypted() => ParquetFooter::NotParquet,
            footer => footer,
        }
    }
}

impl FooterTail {
    /// The last bytes, as many as that or all that are kept.
    fn last_bytes(&self, count: usize) -> Vec<u8> {
        let mut left = count.min(self.chunks.iter().map(Bytes::len).sum());
        let mut from_end = Vec::new();
        for chunk in self.chunks.iter().rev() {
            let taken = left.min(chunk.len());
            from_end.push(&chunk[chunk.len() - taken..]);
            left -= taken;
        }
        from_end.reverse();
        from_end.concat()
    }

    fn is_encrypted(&self) -> bool {
        self.chunks.last().is_some_and(|chunk| chunk.ends_with(MAGIC_ENCRYPTED))
    }
}

/// The length of the metadata and the magic number.
const END_BYTES: usize = 8;

/// The length of the footer whose last bytes these are.
fn footer_bytes(end: &[u8]) -> usize {
    match end.first_chunk::<4>() {
        Some(length) => (u32::from_le_bytes(*length) as usize).saturating_add(END_BYTES),
        None => END_BYTES,
    }
}

/// Reads the footer at the end of `tail`: metadata, its length in four bytes, the magic number
/// (the file layout of the Parquet format's specification).
fn read_footer(tail: &[u8]) -> ParquetFooter {
    let Some((body, end)) = tail.split_last_chunk::<END_BYTES>() else {
        return ParquetFooter::NotParquet;
    };
    let [a, b, c, d, magic @ ..] = *end;
    if &magic == MAGIC_ENCRYPTED {
        return ParquetFooter::RowsUnknown;
    }
    if &magic != MAGIC {
        return ParquetFooter::NotParquet;
    }
    let metadata_bytes = u32::from_le_bytes([a, b, c, d]) as usize;
    let Some(start) = body.len().checked_sub(metadata_bytes) else {
        return ParquetFooter::RowsUnknown;
    };
    rows_of_metadata(&body[start..]).map_or(ParquetFooter::NotParquet, ParquetFooter::Rows)
}

/// The number of rows: field 3 of `FileMetaData`, after the version and the schema.
fn rows_of_metadata(metadata: &[u8]) -> Option<u64> {
    let mut reader = CompactReader { bytes: metadata };
    let mut field_id = 0;
    loop {
        let (id, kind) = reader.field(field_id)?;
        field_id = id;
        if id == 3 && kind == Kind::I64 {
            return u64::try_from(reader.zigzag()?).ok();
        }
        reader.skip(kind, DEPTH_MAX)?;
    }
}

/// The types of Thrift's compact protocol.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Bool,
    I8,
    Integer,
    I64,
    Double,
    Binary,
    List,
    Map,
    Struct,
    Uuid,
}

impl Kind {
    fn of(code: u8) -> Option<Self> {
        Some(match code {
            1 | 2 => Self::Bool,
            3 => Self::I8,
            4 | 5 => Self::Integer,
            6 => Self::I64,
            7 => Self::Double,
            8 => Self::Binary,
            9 | 10 => Self::List,
            11 => Self::Map,
            12 => Self::Struct,
            13 => Self::Uuid,
            _ => return None,
        })
    }
}

/// Walks Thrift's compact protocol far enough to find one field; `None` wherever it does not fit.
struct CompactReader<'a> {
    bytes: &'a [u8],
}

impl CompactReader<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.bytes.split_first()?;
        self.bytes = rest;
        Some(*first)
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value: u64 = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    fn zigzag(&mut self) -> Option<i64> {
        let value = self.varint()?;
        Some((value >> 1).cast_signed() ^ -(value & 1).cast_signed())
    }

    /// The next field's id and type; `None` at the end of the struct.
    fn field(&mut self, previous_id: i64) -> Option<(i64, Kind)> {
        let head = self.byte()?;
        let kind = Kind::of(head & 0x0f)?;
        let id = match head >> 4 {
            0 => self.zigzag()?,
            delta => previous_id.checked_add(i64::from(delta))?,
        };
        Some((id, kind))
    }

    fn advance(&mut self, count: u64) -> Option<()> {
        self.bytes = self.bytes.get(usize::try_from(count).ok()?..)?;
        Some(())
    }

    fn skip(&mut self, kind: Kind, depth: u32) -> Option<()> {
        let depth = depth.checked_sub(1)?;
        match kind {
            // A field's boolean is in its type; only in lists does it take a byte.
            Kind::Bool => Some(()),
            Kind::I8 => self.advance(1),
            Kind::Integer | Kind::I64 => self.varint().map(drop),
            Kind::Double => self.advance(8),
            Kind::Uuid => self.advance(16),
            Kind::Binary => self.varint().and_then(|length| self.advance(length)),
            Kind::List => self.skip_list(depth),
            Kind::Map => self.skip_map(depth),
            Kind::Struct => self.skip_struct(depth),
        }
    }

    fn skip_element(&mut self, kind: Kind, depth: u32) -> Option<()> {
        if kind == Kind::Bool { self.advance(1) } else { self.skip(kind, depth) }
    }

    fn skip_list(&mut self, depth: u32) -> Option<()> {
        let head = self.byte()?;
        let kind = Kind::of(head & 0x0f)?;
        let count = if head >> 4 == 15 { self.varint()? } else { u64::from(head >> 4) };
        (0..count).try_for_each(|_| self.skip_element(kind, depth))
    }

    fn skip_map(&mut self, depth: u32) -> Option<()> {
        let count = self.varint()?;
        if count == 0 {
            return Some(());
        }
        let kinds = self.byte()?;
        let (key, value) = (Kind::of(kinds >> 4)?, Kind::of(kinds & 0x0f)?);
        (0..count).try_for_each(|_| {
            self.skip_element(key, depth)?;
            self.skip_element(value, depth)
        })
    }

    fn skip_struct(&mut self, depth: u32) -> Option<()> {
        let mut field_id = 0;
        while self.bytes.first()? != &0 {
            let (id, kind) = self.field(field_id)?;
            field_id = id;
            self.skip(kind, depth)?;
        }
        self.advance(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Version 1, a schema of one element (a struct with a name), 300 rows.
    fn file() -> Vec<u8> {
        let metadata = [0x15, 0x02, 0x19, 0x1c, 0x48, 0x01, b'a', 0x00, 0x16, 0xd8, 0x04, 0x00];
        let mut file = b"PAR1data".to_vec();
        file.extend_from_slice(&metadata);
        file.extend_from_slice(&(metadata.len() as u32).to_le_bytes());
        file.extend_from_slice(MAGIC);
        file
    }

    fn read_in_chunks(file: &[u8], chunk_bytes: usize) -> ParquetFooter {
        let mut tail = FooterTail::new(file.len() as u64);
        for (index, chunk) in file.chunks(chunk_bytes).enumerate() {
            tail.add((index * chunk_bytes) as u64, &Bytes::copy_from_slice(chunk));
        }
        tail.read()
    }

    #[test]
    fn the_rows_are_found_whatever_the_chunks() {
        for chunk_bytes in [1, 3, 1000] {
            assert_eq!(read_in_chunks(&file(), chunk_bytes), ParquetFooter::Rows(300));
        }
        let mut large = vec![0; 300_000];
        large.extend_from_slice(&file());
        assert_eq!(read_in_chunks(&large, 64 * 1024), ParquetFooter::Rows(300));
    }

    #[test]
    fn what_is_not_parquet_is_noticed() {
        let whole = file();
        for bytes in [&b""[..], b"PAR1", b"<html></html>", &whole[..whole.len() - 1]] {
            assert_eq!(read_in_chunks(bytes, 1000), ParquetFooter::NotParquet);
        }
    }

    #[test]
    fn a_footer_longer_than_the_tail_leaves_the_rows_unknown() {
        let mut file = vec![0; 300_000];
        file.extend_from_slice(&[0xff, 0xff, 0xff, 0x7f, b'P', b'A', b'R', b'1']);
        assert_eq!(read_in_chunks(&file, 1000), ParquetFooter::RowsUnknown);
        assert_eq!(read_in_chunks(&file[299_000..], 1000), ParquetFooter::NotParquet, "longer than the whole file");
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(mut bytes in proptest::collection::vec(0u8.., 0..300)) {
            let length = bytes.len() as u32;
            bytes.extend_from_slice(&length.to_le_bytes());
            bytes.extend_from_slice(MAGIC);
            read_in_chunks(&bytes, 1000);
        }
    }

    #[test]
    fn a_list_that_claims_endless_elements_ends_with_the_bytes() {
        // A list of 2^62 booleans, each of which takes a byte that is not there.
        let metadata = [0x29, 0xf1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x3f];
        assert_eq!(rows_of_metadata(&metadata), None);
    }
}
