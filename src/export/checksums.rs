//! The checksums that clouds tell of objects.

use std::borrow::Cow;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::de::{Error as _, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

macro_rules! algorithms {
    ($($(#[$doc:meta])* $variant:ident, $name:literal, $length_bytes:literal;)*) => {
        /// A checksum that a cloud tells of a whole object.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum ChecksumAlgorithm {
            $($(#[$doc])* $variant,)*
        }

        impl ChecksumAlgorithm {
            /// All of them, in the order in which they are written.
            pub const ALL: [Self; [$($name),*].len()] = [$(Self::$variant),*];

            /// Its name in manifests, reports and S3's headers.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            /// The header in which S3 tells it.
            pub const fn s3_header(self) -> &'static str {
                match self {
                    $(Self::$variant => concat!("x-amz-checksum-", $name),)*
                }
            }

            /// The length of a value, in bytes.
            pub const fn length_bytes(self) -> usize {
                match self {
                    $(Self::$variant => $length_bytes,)*
                }
            }
        }
    };
}

// The one table of checksums. What hashes (src/hash.rs) has a match that asks for a new line's digest; sources,
// manifests and records go by this table alone.
algorithms! {
    /// CRC-64/NVME, what S3 computes by default.
    Crc64Nvme, "crc64nvme", 8;
    /// CRC-32C (Castagnoli), what Google Cloud Storage always has.
    Crc32c, "crc32c", 4;
    /// CRC-32 (ISO-HDLC).
    Crc32, "crc32", 4;
    /// SHA-256.
    Sha256, "sha256", 32;
    /// SHA-1.
    Sha1, "sha1", 20;
    /// MD5.
    Md5, "md5", 16;
}

/// The value of one checksum, big-endian.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Checksum {
    bytes: [u8; Self::BYTES_MAX],
    length_bytes: u8,
}

impl Checksum {
    const BYTES_MAX: usize = 32;

    /// A value of this algorithm; `None` for one of another length.
    pub fn new(algorithm: ChecksumAlgorithm, value: &[u8]) -> Option<Self> {
        let mut bytes = [0; Self::BYTES_MAX];
        bytes.get_mut(..value.len()).filter(|_| value.len() == algorithm.length_bytes())?.copy_from_slice(value);
        Some(Self { bytes, length_bytes: u8::try_from(value.len()).ok()? })
    }

    /// Reads a value from the base64 text of a header; `None` where it has not the algorithm's length.
    ///
    /// The composite form of a multipart upload (`VALUE-3`) is no checksum of the whole object and
    /// gives `None`.
    pub fn parse(algorithm: ChecksumAlgorithm, text: &str) -> Option<Self> {
        Self::new(algorithm, &BASE64.decode(text).ok()?)
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.length_bytes)).unwrap_or_default()
    }
}

impl fmt::Display for Checksum {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&BASE64.encode(self.as_bytes()))
    }
}

impl fmt::Debug for Checksum {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

/// The checksums of a whole object, as far as they are known.
///
/// Written in JSON as both clouds write them: base64 of the big-endian value.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Checksums {
    /// All values in the order of [`ChecksumAlgorithm::ALL`]; zeros where one is not known.
    bytes: [u8; offset(ChecksumAlgorithm::ALL.len())],
    /// A bit for each algorithm whose value is known.
    known: u8,
}

/// Where the value of an algorithm begins, by its number.
const fn offset(number: usize) -> usize {
    let (mut before, mut bytes) = (0, 0);
    while before < number {
        bytes += ChecksumAlgorithm::ALL[before].length_bytes();
        before += 1;
    }
    bytes
}

impl Default for Checksums {
    fn default() -> Self {
        Self { bytes: [0; offset(ChecksumAlgorithm::ALL.len())], known: 0 }
    }
}

impl Checksums {
    /// The checksums that `find` has, by their algorithms.
    pub fn of(mut find: impl FnMut(ChecksumAlgorithm) -> Option<Checksum>) -> Self {
        let each = ChecksumAlgorithm::ALL.into_iter();
        each.fold(Self::default(), |checksums, algorithm| checksums.with(algorithm, find(algorithm)))
    }

    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.known == 0
    }

    /// The value of an algorithm.
    pub fn get(&self, algorithm: ChecksumAlgorithm) -> Option<Checksum> {
        let value = self.bytes.get(offset(algorithm as usize)..)?.get(..algorithm.length_bytes())?;
        Checksum::new(algorithm, value).filter(|_| self.has(algorithm))
    }

    /// Whether the value of an algorithm is known.
    pub fn has(&self, algorithm: ChecksumAlgorithm) -> bool {
        self.known & (1 << algorithm as u8) != 0
    }

    /// The value of an algorithm as an array; `None` where it has another length.
    pub fn bytes<const N: usize>(&self, algorithm: ChecksumAlgorithm) -> Option<Base64<N>> {
        self.get(algorithm)?.as_bytes().try_into().ok().map(Base64)
    }

    /// The same, with this value.
    #[must_use]
    pub fn with(mut self, algorithm: ChecksumAlgorithm, value: Option<Checksum>) -> Self {
        let bit = 1 << algorithm as u8;
        self.known = if value.is_some() { self.known | bit } else { self.known & !bit };
        let value = value.map_or([0; Checksum::BYTES_MAX], |value| value.bytes);
        let length_bytes = algorithm.length_bytes();
        self.bytes[offset(algorithm as usize)..][..length_bytes].copy_from_slice(&value[..length_bytes]);
        self
    }

    /// These checksums, and where one is missing the `other`'s.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self::of(|algorithm| self.get(algorithm).or(other.get(algorithm)))
    }

    /// What is known, in the order of [`ChecksumAlgorithm::ALL`].
    pub fn iter(&self) -> impl Iterator<Item = (ChecksumAlgorithm, Checksum)> + '_ {
        ChecksumAlgorithm::ALL.into_iter().filter_map(|algorithm| Some((algorithm, self.get(algorithm)?)))
    }
}

impl fmt::Debug for Checksums {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_map().entries(self.iter().map(|(algorithm, value)| (algorithm.name(), value))).finish()
    }
}

impl Serialize for Checksums {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter().map(|(algorithm, value)| (algorithm.name(), value.to_string())))
    }
}

impl<'de> Deserialize<'de> for Checksums {
    /// What another version knows besides is left out.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Values;

        impl<'de> Visitor<'de> for Values {
            type Value = Checksums;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("checksums by their names")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Checksums, A::Error> {
                let mut checksums = Checksums::default();
                while let Some(name) = map.next_key::<Cow<'de, str>>()? {
                    let Some(algorithm) = ChecksumAlgorithm::ALL.into_iter().find(|known| known.name() == name) else {
                        map.next_value::<IgnoredAny>()?;
                        continue;
                    };
                    let Some(text) = map.next_value::<Option<Cow<'de, str>>>()? else { continue };
                    let value = Checksum::parse(algorithm, &text)
                        .ok_or_else(|| A::Error::custom(format_args!("not a {name} in base64")))?;
                    checksums = checksums.with(algorithm, Some(value));
                }
                Ok(checksums)
            }
        }

        deserializer.deserialize_map(Values)
    }
}

/// The `N` bytes of one checksum, big-endian, written in base64.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Base64<const N: usize>(pub [u8; N]);

impl<const N: usize> Base64<N> {
    /// Reads a checksum from the base64 text of a header; `None` where it is not exactly `N` bytes.
    ///
    /// The composite form of a multipart upload (`VALUE-3`) is no checksum of the whole object and
    /// gives `None`.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = BASE64.decode(text).ok()?;
        bytes.try_into().ok().map(Self)
    }
}

impl<const N: usize> fmt::Display for Base64<N> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&BASE64.encode(self.0))
    }
}

impl<const N: usize> Serialize for Base64<N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de, const N: usize> Deserialize<'de> for Base64<N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("not a checksum in base64"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_composite_checksum_is_not_one_of_the_whole_object() {
        let parse = |text| Checksum::parse(ChecksumAlgorithm::Crc32c, text);
        assert_eq!(parse("AAAAAQ==").unwrap().as_bytes(), [0, 0, 0, 1]);
        assert!(parse("AAAAAQ==-3").is_none());
        assert_eq!(Base64::<4>::parse("AAAAAQ==").unwrap().0, [0, 0, 0, 1]);
        assert!(Base64::<4>::parse("AAAAAQ==-3").is_none());
        assert!(Base64::<4>::parse("AAAAAAAAAAE=").is_none());
    }

    #[test]
    fn json_has_only_what_is_known() {
        let value = Checksum::parse(ChecksumAlgorithm::Crc32c, "AAAAAQ==");
        let checksums = Checksums::default().with(ChecksumAlgorithm::Crc32c, value);
        let json = serde_json::to_string(&checksums).unwrap();
        assert_eq!(json, r#"{"crc32c":"AAAAAQ=="}"#);
        assert_eq!(serde_json::from_str::<Checksums>(&json).unwrap(), checksums);
        let of_a_later_version = r#"{"xxhash128":"AA==","crc32c":"AAAAAQ==","sha1":null}"#;
        assert_eq!(serde_json::from_str::<Checksums>(of_a_later_version).unwrap(), checksums);
        assert!(serde_json::from_str::<Checksums>(r#"{"crc32c":"AAAAAQ"}"#).is_err(), "too short");
    }

    #[test]
    fn each_algorithm_stands_where_its_number_says() {
        for (number, algorithm) in ChecksumAlgorithm::ALL.into_iter().enumerate() {
            assert_eq!(algorithm as usize, number);
            assert!(algorithm.length_bytes() <= Checksum::BYTES_MAX, "{algorithm:?}");
        }
    }
}
