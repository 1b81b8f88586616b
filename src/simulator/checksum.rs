//! The checksums that the clouds keep beside an object (domain.md section 2).

use super::object::Object;
use super::seed::base64;
use crc_fast::{CrcAlgorithm, Digest};
use md5::Md5;
use sha2::{Digest as _, Sha256};

/// Which checksum the fake S3 bucket keeps of its objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Checksum {
    /// CRC-64/NVME of the whole object, what S3 computes by default.
    #[default]
    Crc64Nvme,
    /// CRC-32C (Castagnoli) of the whole object.
    Crc32c,
    /// CRC-32 (ISO-HDLC) of the whole object.
    Crc32,
    /// SHA-256 of the whole object.
    Sha256,
    /// CRC-32C of the CRC-32Cs of three parts, as after a multipart upload; it cannot be compared with the whole.
    CompositeCrc32c,
    /// None at all: only the size can be compared.
    None,
}

impl Checksum {
    /// The names that the command line takes, in the order of the variants.
    pub const NAMES: [(&'static str, Checksum); 6] = [
        ("crc64nvme", Checksum::Crc64Nvme),
        ("crc32c", Checksum::Crc32c),
        ("crc32", Checksum::Crc32),
        ("sha256", Checksum::Sha256),
        ("composite", Checksum::CompositeCrc32c),
        ("none", Checksum::None),
    ];
}

/// Parses one of [`Checksum::NAMES`]; the error says which there are.
impl std::str::FromStr for Checksum {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::NAMES.iter().find(|(name, _)| *name == text);
        found.map(|&(_, checksum)| checksum).ok_or_else(|| {
            let names = Self::NAMES.map(|(name, _)| name).join(", ");
            format!("no checksum is called {text:?}; there are {names}")
        })
    }
}

/// A checksum in the words of S3.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Sum {
    /// As in `ChecksumAlgorithm` of a listing; empty if there is no checksum.
    pub(crate) algorithm: &'static str,
    /// The response header that carries it.
    pub(crate) header: &'static str,
    /// `FULL_OBJECT` or `COMPOSITE`.
    pub(crate) kind: &'static str,
    /// Base64, with the number of parts behind a composite.
    pub(crate) value: String,
}

/// The checksum of the kind over the object's bytes.
pub(crate) fn sum_of(kind: Checksum, object: &Object) -> Sum {
    let value = match kind {
        Checksum::Crc64Nvme => base64(&crc(CrcAlgorithm::Crc64Nvme, object).to_be_bytes()),
        Checksum::Crc32c => crc32c(object),
        Checksum::Crc32 => base64(&short(crc(CrcAlgorithm::Crc32IsoHdlc, object))),
        Checksum::Sha256 => {
            let mut hash = Sha256::new();
            object.chunks().for_each(|chunk| hash.update(&chunk));
            base64(&hash.finalize())
        }
        Checksum::CompositeCrc32c => composite(object),
        Checksum::None => String::new(),
    };
    Sum { algorithm: algorithm(kind), header: header(kind), kind: coverage(kind), value }
}

/// CRC-32C of the object: base64 of the big-endian number, which is the form of both clouds.
pub(crate) fn crc32c(object: &Object) -> String {
    base64(&short(crc(CrcAlgorithm::Crc32Iscsi, object)))
}

/// MD5 of the object.
pub(crate) fn md5(object: &Object) -> [u8; 16] {
    let mut hash = Md5::new();
    object.chunks().for_each(|chunk| hash.update(&chunk));
    hash.finalize().into()
}

/// As in `ChecksumAlgorithm` of a listing; empty if there is no checksum.
pub(crate) fn algorithm(kind: Checksum) -> &'static str {
    match kind {
        Checksum::Crc64Nvme => "CRC64NVME",
        Checksum::Crc32c | Checksum::CompositeCrc32c => "CRC32C",
        Checksum::Crc32 => "CRC32",
        Checksum::Sha256 => "SHA256",
        Checksum::None => "",
    }
}

/// As in `ChecksumType` of a listing and `x-amz-checksum-type` of an answer.
pub(crate) fn coverage(kind: Checksum) -> &'static str {
    match kind {
        Checksum::CompositeCrc32c => "COMPOSITE",
        _ => "FULL_OBJECT",
    }
}

fn header(kind: Checksum) -> &'static str {
    match kind {
        Checksum::Crc64Nvme => "x-amz-checksum-crc64nvme",
        Checksum::Crc32c | Checksum::CompositeCrc32c => "x-amz-checksum-crc32c",
        Checksum::Crc32 => "x-amz-checksum-crc32",
        Checksum::Sha256 => "x-amz-checksum-sha256",
        Checksum::None => "",
    }
}

fn crc(algorithm: CrcAlgorithm, object: &Object) -> u64 {
    let mut digest = Digest::new(algorithm);
    object.chunks().for_each(|chunk| digest.update(&chunk));
    digest.finalize()
}

/// A CRC-32 fills the low half of the number.
fn short(crc: u64) -> [u8; 4] {
    (crc as u32).to_be_bytes()
}

fn composite(object: &Object) -> String {
    let third = object.size_bytes().div_ceil(3).max(1);
    let mut whole = Digest::new(CrcAlgorithm::Crc32Iscsi);
    for part in 0..3 {
        let bytes = object.read(part * third..(part + 1) * third);
        whole.update(&short(crc_fast::checksum(CrcAlgorithm::Crc32Iscsi, &bytes)));
    }
    format!("{}-3", base64(&short(whole.finalize())))
}

#[cfg(test)]
mod tests {
    use super::super::object::Material;
    use super::*;
    use bytes::Bytes;

    #[test]
    fn sums_of_the_check_string_are_the_published_ones() {
        let material = Material::Stored(Bytes::from_static(b"123456789"));
        let object = Object::new(material, 1, jiff::Timestamp::UNIX_EPOCH);
        let value = |kind| sum_of(kind, &object).value;
        assert_eq!(value(Checksum::Crc64Nvme), base64(&0xAE8B_1486_0A79_9888_u64.to_be_bytes()));
        assert_eq!(value(Checksum::Crc32c), base64(&0xE306_9283_u32.to_be_bytes()));
        assert_eq!(value(Checksum::Crc32), base64(&0xCBF4_3926_u32.to_be_bytes()));
        assert!(value(Checksum::CompositeCrc32c).ends_with("-3"));
        assert_eq!(object.checksum(Checksum::Crc32c).algorithm, "CRC32C");
        assert_eq!(object.checksum(Checksum::None).value, "");
    }

    #[test]
    fn names_parse_and_others_are_told_the_names() {
        assert_eq!("crc32c".parse(), Ok(Checksum::Crc32c));
        assert!("md5".parse::<Checksum>().unwrap_err().contains("crc64nvme"));
    }
}
