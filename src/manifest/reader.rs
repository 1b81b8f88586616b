//! Reads manifests, and proves that they are whole.

use std::io::{self, BufRead, Read as _, Seek, SeekFrom};

use sha2::{Digest as _, Sha256};

use super::format::Trailer;
use super::{Entry, FORMAT_NAME, Header};
use crate::error::{Error, ErrorKind, Result};

/// The longest line that is read; a key has at most 1,024 bytes, which JSON can make six times longer.
const LINE_BYTES_MAX: u64 = 64 * 1024;

/// The length of the last line: `{"manifest_sha256":"..."}` and the line's end.
const TRAILER_BYTES: u64 = 20 + 64 + 3;

/// The major version that this tool understands.
const MAJOR_VERSION: u32 = 1;

/// Reads the header and sees that the last line is there: a quick look that finds a torn file, and
/// trusts the lines between.
///
/// # Errors
/// [`ErrorKind::ManifestDamaged`] for what is not a manifest, [`ErrorKind::ManifestNewer`] for
/// one of a newer major version, [`ErrorKind::DestinationUnusable`] when it cannot be read.
pub fn read_header(mut input: impl BufRead + Seek) -> Result<Header> {
    let mut line = Vec::new();
    read_line(&mut input, &mut line)?;
    let header = parse_header(&line)?;
    let length_bytes = input.seek(SeekFrom::End(0)).map_err(unreadable)?;
    input.seek(SeekFrom::Start(length_bytes.saturating_sub(TRAILER_BYTES))).map_err(unreadable)?;
    read_line(&mut input, &mut line)?;
    match parse_trailer(&line) {
        Some(_) => Ok(header),
        None => Err(damaged("its last line is missing")),
    }
}

/// Reads the header from a manifest's first bytes.
///
/// # Errors
/// [`ErrorKind::ManifestDamaged`] for what is not a manifest, [`ErrorKind::ManifestNewer`] for
/// one of a newer major version.
pub(crate) fn read_first_line(bytes: &[u8]) -> Result<Header> {
    parse_header(bytes.split(|byte| *byte == b'\n').next().unwrap_or_default())
}

/// Reads a whole manifest, checks its last line against all others, and gives the header.
///
/// # Errors
/// As [`read_header`]; a missing or wrong last line is [`ErrorKind::ManifestDamaged`].
pub fn verify(mut input: impl BufRead) -> Result<Header> {
    let mut line = Vec::new();
    read_line(&mut input, &mut line)?;
    let header = parse_header(&line)?;
    let mut hasher = Sha256::new();
    hasher.update(&line);
    let mut entries: u64 = 0;
    loop {
        if read_line(&mut input, &mut line)? == 0 {
            return Err(damaged("its last line is missing"));
        }
        if let Some(trailer) = parse_trailer(&line) {
            let digest: [u8; 32] = hasher.finalize().into();
            let ends_here = read_line(&mut input, &mut line)? == 0;
            let is_whole = ends_here && trailer.manifest_sha256.0 == digest && entries == header.objects;
            return if is_whole { Ok(header) } else { Err(damaged("its lines do not match its last line")) };
        }
        hasher.update(&line);
        entries += 1;
    }
}

/// Reads the objects of a manifest one by one, in ascending order of keys.
pub struct EntryReader<R> {
    input: R,
    line: Vec<u8>,
    is_done: bool,
}

impl<R: BufRead> EntryReader<R> {
    /// Begins after the header. Call [`verify`] first: this reader trusts the file.
    ///
    /// # Errors
    /// As [`read_header`].
    pub fn new(mut input: R) -> Result<Self> {
        let mut line = Vec::new();
        read_line(&mut input, &mut line)?;
        parse_header(&line)?;
        Ok(Self { input, line, is_done: false })
    }

    fn read_entry(&mut self) -> Result<Option<Entry>> {
        read_line(&mut self.input, &mut self.line)?;
        if parse_trailer(&self.line).is_some() {
            return Ok(None);
        }
        serde_json::from_slice(&self.line)
            .map(Some)
            .map_err(|cause| damaged("a line is not an object's").with_cause(cause))
    }
}

impl<R: BufRead> Iterator for EntryReader<R> {
    type Item = Result<Entry>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_done {
            return None;
        }
        let entry = self.read_entry().transpose();
        self.is_done = !matches!(entry, Some(Ok(_)));
        entry
    }
}

fn parse_header(line: &[u8]) -> Result<Header> {
    let value: serde_json::Value =
        serde_json::from_slice(line).map_err(|cause| damaged("its first line is not a header").with_cause(cause))?;
    let field = |name| value.get(name).and_then(serde_json::Value::as_str);
    if field("format") != Some(FORMAT_NAME) {
        return Err(damaged("its first line is not a header"));
    }
    let major = field("version").and_then(|version| version.split('.').next()?.parse::<u32>().ok());
    match major {
        Some(major) if major > MAJOR_VERSION => Err(Error::new(
            ErrorKind::ManifestNewer,
            format!("the manifest is of format version {major}, newer than this tool understands"),
        )
        .with_hint("a newer e3sync wrote this destination; update this one")),
        Some(_) => serde_json::from_value(value).map_err(|cause| damaged("its header is incomplete").with_cause(cause)),
        None => Err(damaged("its header has no version")),
    }
}

/// The last line is told by its first bytes, so that objects' lines are not parsed twice.
fn parse_trailer(line: &[u8]) -> Option<Trailer> {
    line.starts_with(b"{\"manifest_sha256\"").then(|| serde_json::from_slice(line).ok()).flatten()
}

fn read_line(input: &mut impl BufRead, line: &mut Vec<u8>) -> Result<usize> {
    line.clear();
    let length = input.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', line).map_err(unreadable)?;
    if length > 0 && line.last() != Some(&b'\n') {
        return Err(damaged("it ends in the middle of a line"));
    }
    Ok(length)
}

fn damaged(reason: &str) -> Error {
    Error::new(ErrorKind::ManifestDamaged, format!("the manifest is damaged: {reason}"))
        .with_hint("the data beside it may be whole; in a directory `e3sync verify DEST --repair` fetches the day anew and keeps the old one aside; in a bucket move the day and its manifest away, then sync it")
}

fn unreadable(cause: io::Error) -> Error {
    Error::new(ErrorKind::DestinationUnusable, "the manifest cannot be read").with_cause(cause)
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::super::{Completeness, FORMAT_VERSION, ListingDigest, ManifestWriter, VerifiedContent};
    use super::*;
    use crate::export::{Checksums, Object, Scope};

    fn header(objects: u64) -> Header {
        Header {
            format: FORMAT_NAME.into(),
            version: FORMAT_VERSION.into(),
            account_id: "1".into(),
            source: "s3://bucket/v1/account_id=1/".into(),
            type_name: "events".into(),
            date: "2026-11-20".parse().unwrap(),
            selection: Scope::All,
            listing_digest: ListingDigest([7; 32]),
            objects,
            bytes: objects,
            rows: None,
            objects_gone_at_source: 0,
            completeness: Completeness::Declared,
            tool_version: "0.0.0".into(),
            published_at: jiff::Timestamp::UNIX_EPOCH,
            unknown_fields: serde_json::Map::new(),
        }
    }

    fn manifest(objects: u64) -> Vec<u8> {
        let mut writer = ManifestWriter::new(Vec::new(), &header(objects)).unwrap();
        for index in 0..objects {
            let object = Object { key: format!("event=a/{index:03}"), size_bytes: 1, ..Object::default() };
            let content = VerifiedContent { sha256: [1; 32], checksums: Checksums::default(), rows: Some(1) };
            writer.write(&Entry::new(&object, &object.key, &content)).unwrap();
        }
        writer.finish().unwrap()
    }

    #[test]
    fn what_is_written_is_read_again() {
        let bytes = manifest(3);
        assert_eq!(verify(bytes.as_slice()).unwrap(), header(3));
        assert_eq!(read_header(Cursor::new(&bytes)).unwrap(), header(3));
        let keys: Vec<_> = EntryReader::new(bytes.as_slice()).unwrap().map(|entry| entry.unwrap().key).collect();
        assert_eq!(keys, ["event=a/000", "event=a/001", "event=a/002"]);
    }

    #[test]
    fn every_truncation_and_every_flipped_bit_shows() {
        let bytes = manifest(2);
        for length in 0..bytes.len() {
            assert!(verify(&bytes[..length]).is_err(), "{length} bytes");
            assert!(read_header(Cursor::new(&bytes[..length])).is_err(), "{length} bytes");
        }
        for index in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[index] ^= 1;
            assert!(verify(flipped.as_slice()).is_err(), "byte {index}");
        }
    }

    #[test]
    fn a_newer_minor_version_keeps_its_fields_and_a_newer_major_one_is_refused() {
        let text = String::from_utf8(manifest(0)).unwrap();
        let first = text.lines().next().unwrap();
        let minor = first.replace("\"1.2\"", "\"1.7\"").replacen('{', "{\"color\":\"red\",", 1);
        let rest: String = text.lines().skip(1).map(|line| format!("{line}\n")).collect();
        let header = read_header(Cursor::new(format!("{minor}\n{rest}"))).unwrap();
        assert_eq!(header.unknown_fields["color"], "red");
        let major = first.replace("\"1.2\"", "\"2.0\"");
        let error = read_header(Cursor::new(format!("{major}\n{rest}"))).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ManifestNewer);
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(0u8.., 0..400), cut in 0usize..2000) {
            let whole = manifest(3);
            let mut text = whole.clone();
            text.truncate(cut);
            text.extend_from_slice(&bytes);
            proptest::prop_assert_eq!(verify(text.as_slice()).is_ok(), text == whole);
            let _ = read_header(Cursor::new(&text));
            if let Ok(entries) = EntryReader::new(text.as_slice()) {
                let _ = entries.count();
            }
        }
    }
}
