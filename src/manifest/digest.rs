//! The digest of a listing, by which an unchanged one is recognised.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};

use crate::export::{Object, SUCCESS_MARKER};

/// SHA-256 over the sorted identities of a partition's objects (design.md section 1).
///
/// Only data is counted in ([`Object::is_data`]): no marker, and no work of a committer.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ListingDigest(pub [u8; 32]);

impl fmt::Display for ListingDigest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&to_hex(&self.0))
    }
}

impl fmt::Debug for ListingDigest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl Serialize for ListingDigest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ListingDigest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        from_hex(&text).map(Self).ok_or_else(|| serde::de::Error::custom("not 64 hexadecimal digits"))
    }
}

/// What a whole listing amounts to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListingSummary {
    /// The digest over all identities.
    pub digest: ListingDigest,
    /// The number of objects that are data.
    pub objects: u64,
    /// Their size in bytes.
    pub bytes: u64,
    /// Whether the source has the `_SUCCESS` marker.
    pub has_success_marker: bool,
}

/// Adds up a listing object by object, in ascending order of keys.
#[derive(Default)]
pub struct ListingTally {
    hasher: Sha256,
    objects: u64,
    bytes: u64,
    has_success_marker: bool,
}

impl ListingTally {
    /// Counts an object in; says whether it is data ([`Object::is_data`]).
    pub fn add(&mut self, object: &Object) -> bool {
        self.has_success_marker |= object.key == SUCCESS_MARKER;
        if !object.is_data() {
            return false;
        }
        self.objects += 1;
        // A listing may claim any sizes.
        self.bytes = self.bytes.saturating_add(object.size_bytes);
        self.hash(object);
        true
    }

    /// Notes that the source has the `_SUCCESS` marker, where a filtered listing did not show it.
    pub fn note_success_marker(&mut self) {
        self.has_success_marker = true;
    }

    /// Each field ends in a zero byte, which no accepted key or tag contains.
    fn hash(&mut self, object: &Object) {
        self.hasher.update(object.key.as_bytes());
        self.hasher.update([0]);
        self.hasher.update(object.size_bytes.to_be_bytes());
        if let Some(etag) = &object.etag {
            self.hasher.update(b"e");
            self.hasher.update(etag.as_bytes());
        }
        if let Some(generation) = object.generation {
            self.hasher.update(b"g");
            self.hasher.update(generation.to_be_bytes());
        }
        self.hasher.update([0]);
    }

    /// The sum of what was counted in.
    pub fn finish(self) -> ListingSummary {
        ListingSummary {
            digest: ListingDigest(self.hasher.finalize().into()),
            objects: self.objects,
            bytes: self.bytes,
            has_success_marker: self.has_success_marker,
        }
    }
}

/// Bytes as lower-case hexadecimal digits.
pub(crate) fn to_hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    text
}

/// The 32 bytes behind 64 hexadecimal digits.
pub(crate) fn from_hex(text: &str) -> Option<[u8; 32]> {
    from_hex_bytes(text)?.try_into().ok()
}

/// The bytes behind hexadecimal digits.
pub(crate) fn from_hex_bytes(text: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let digit = |digit: u8| char::from(digit).to_digit(16);
    let byte = |pair: &[u8; 2]| u8::try_from(digit(pair[0])? * 16 + digit(pair[1])?).ok();
    if rest.is_empty() { pairs.iter().map(byte).collect() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(key: &str, size_bytes: u64, etag: &str) -> Object {
        Object { key: key.into(), size_bytes, etag: Some(etag.into()), ..Object::default() }
    }

    fn digest(objects: &[Object]) -> ListingDigest {
        let mut tally = ListingTally::default();
        for object in objects {
            tally.add(object);
        }
        tally.finish().digest
    }

    #[test]
    fn every_part_of_the_identity_counts() {
        let base = digest(&[object("a", 1, "x")]);
        assert_ne!(base, digest(&[object("b", 1, "x")]));
        assert_ne!(base, digest(&[object("a", 2, "x")]));
        assert_ne!(base, digest(&[object("a", 1, "y")]));
        assert_ne!(base, digest(&[]));
        assert_eq!(base, digest(&[object("a", 1, "x")]));
    }

    #[test]
    fn markers_are_noted_but_are_no_content() {
        let mut tally = ListingTally::default();
        assert!(tally.add(&object("a", 1, "x")));
        assert!(!tally.add(&object("_SUCCESS", 700, "m")));
        assert!(!tally.add(&object("experiment=1/", 0, "m")));
        assert!(!tally.add(&object("", 0, "m")));
        assert!(!tally.add(&object("experiment=1_$folder$", 0, "m")));
        assert!(!tally.add(&object("_temporary/0/part-0.parquet", 9, "m")));
        assert!(!tally.add(&object("_started_7", 9, "m")));
        let summary = tally.finish();
        assert_eq!(summary.digest, digest(&[object("a", 1, "x")]));
        assert!(summary.has_success_marker);
        assert_eq!((summary.objects, summary.bytes), (1, 1));
    }

    #[test]
    fn hexadecimal_round_trips() {
        let bytes: [u8; 32] = std::array::from_fn(|index| index as u8 * 7);
        assert_eq!(from_hex(&to_hex(&bytes)), Some(bytes));
        assert_eq!(from_hex("zz"), None);
        assert_eq!(from_hex(&"g".repeat(64)), None);
    }
}
