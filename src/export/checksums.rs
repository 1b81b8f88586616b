//! The checksums that clouds tell of objects.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The checksums of a whole object, as far as they are known.
///
/// Written in JSON as both clouds write them: base64 of the big-endian value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checksums {
    /// CRC-64/NVME, what S3 computes by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crc64nvme: Option<Base64<8>>,
    /// CRC-32C (Castagnoli), what Google Cloud Storage always has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crc32c: Option<Base64<4>>,
    /// CRC-32 (ISO-HDLC).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crc32: Option<Base64<4>>,
    /// SHA-256.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<Base64<32>>,
    /// SHA-1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha1: Option<Base64<20>>,
    /// MD5.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub md5: Option<Base64<16>>,
}

impl Checksums {
    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// These checksums, and where one is missing the `other`'s.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            crc64nvme: self.crc64nvme.or(other.crc64nvme),
            crc32c: self.crc32c.or(other.crc32c),
            crc32: self.crc32.or(other.crc32),
            sha256: self.sha256.or(other.sha256),
            sha1: self.sha1.or(other.sha1),
            md5: self.md5.or(other.md5),
        }
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

impl<const N: usize> std::fmt::Display for Base64<N> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
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
        assert_eq!(Base64::<4>::parse("AAAAAQ==").unwrap().0, [0, 0, 0, 1]);
        assert!(Base64::<4>::parse("AAAAAQ==-3").is_none());
        assert!(Base64::<4>::parse("AAAAAAAAAAE=").is_none());
    }

    #[test]
    fn json_has_only_what_is_known() {
        let checksums = Checksums { crc32c: Base64::parse("AAAAAQ=="), ..Checksums::default() };
        let json = serde_json::to_string(&checksums).unwrap();
        assert_eq!(json, r#"{"crc32c":"AAAAAQ=="}"#);
        assert_eq!(serde_json::from_str::<Checksums>(&json).unwrap(), checksums);
    }
}
