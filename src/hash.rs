//! Hashing an object's bytes once, on their way through (design.md promise 4).

use crc_fast::{CrcAlgorithm, Digest as CrcDigest};
use serde::{Deserialize, Serialize};
use sha1::Sha1;
use sha2::digest::common::hazmat::SerializableState as _;
use sha2::{Digest as _, Sha256};

use crate::error::{Error, ErrorKind, Result};
use crate::export::{Base64, Checksums, printable};
use crate::manifest::{from_hex_bytes, to_hex};

/// Computes SHA-256, and with it each checksum that the source offers.
#[derive(Clone)]
pub struct ObjectHasher {
    sha256: Sha256,
    crc64nvme: Option<CrcDigest>,
    crc32c: Option<CrcDigest>,
    crc32: Option<CrcDigest>,
    sha1: Option<Sha1>,
    md5: Option<md5::Md5>,
    length_bytes: u64,
}

impl ObjectHasher {
    /// A hasher for an object whose source offers the checksums that are present in `offered`.
    ///
    /// MD5 costs three times what SHA-256 does and is computed only where nothing else is offered.
    pub fn for_checksums(offered: &Checksums) -> Self {
        let crc = |is_offered: bool, algorithm| is_offered.then(|| CrcDigest::new(algorithm));
        let has_crc = offered.crc64nvme.is_some() || offered.crc32c.is_some() || offered.crc32.is_some();
        let has_other = has_crc || offered.sha256.is_some() || offered.sha1.is_some();
        Self {
            sha256: Sha256::new(),
            crc64nvme: crc(offered.crc64nvme.is_some(), CrcAlgorithm::Crc64Nvme),
            crc32c: crc(offered.crc32c.is_some(), CrcAlgorithm::Crc32Iscsi),
            crc32: crc(offered.crc32.is_some(), CrcAlgorithm::Crc32IsoHdlc),
            sha1: offered.sha1.is_some().then(Sha1::new),
            md5: (offered.md5.is_some() && !has_other).then(md5::Md5::new),
            length_bytes: 0,
        }
    }

    /// The same hasher, which computes CRC-64/NVME too.
    #[must_use]
    pub fn with_crc64nvme(mut self) -> Self {
        if self.length_bytes == 0 {
            self.crc64nvme = Some(CrcDigest::new(CrcAlgorithm::Crc64Nvme));
        }
        self
    }

    /// The same hasher, which computes CRC-32C too.
    #[must_use]
    pub fn with_crc32c(mut self) -> Self {
        if self.length_bytes == 0 {
            self.crc32c = Some(CrcDigest::new(CrcAlgorithm::Crc32Iscsi));
        }
        self
    }

    /// The hasher's state, to be restored by another run; `None` where SHA-1 or MD5 is computed too.
    pub fn save(&self) -> Option<HasherState> {
        if self.sha1.is_some() || self.md5.is_some() {
            return None;
        }
        let state = |crc: &Option<CrcDigest>| crc.as_ref().map(CrcDigest::get_state);
        Some(HasherState {
            length_bytes: self.length_bytes,
            sha256: to_hex(&self.sha256.serialize()),
            crc64nvme: state(&self.crc64nvme),
            crc32c: state(&self.crc32c),
            crc32: state(&self.crc32),
        })
    }

    /// This fresh hasher in a saved state; `None` unless the state is of the same checksums.
    pub fn restore(self, state: &HasherState) -> Option<Self> {
        let is_same = self.sha1.is_none()
            && self.md5.is_none()
            && self.crc64nvme.is_some() == state.crc64nvme.is_some()
            && self.crc32c.is_some() == state.crc32c.is_some()
            && self.crc32.is_some() == state.crc32.is_some();
        let serialized = from_hex_bytes(&state.sha256).filter(|_| is_same)?;
        let crc = |algorithm, saved: Option<u64>| saved.map(|saved| CrcDigest::new_with_init_state(algorithm, saved));
        Some(Self {
            sha256: Sha256::deserialize(serialized.as_slice().try_into().ok()?).ok()?,
            crc64nvme: crc(CrcAlgorithm::Crc64Nvme, state.crc64nvme),
            crc32c: crc(CrcAlgorithm::Crc32Iscsi, state.crc32c),
            crc32: crc(CrcAlgorithm::Crc32IsoHdlc, state.crc32),
            sha1: None,
            md5: None,
            length_bytes: state.length_bytes,
        })
    }

    /// Takes the next bytes in.
    pub fn update(&mut self, bytes: &[u8]) {
        self.sha256.update(bytes);
        for crc in [&mut self.crc64nvme, &mut self.crc32c, &mut self.crc32].into_iter().flatten() {
            crc.update(bytes);
        }
        if let Some(sha1) = &mut self.sha1 {
            sha1.update(bytes);
        }
        if let Some(md5) = &mut self.md5 {
            md5.update(bytes);
        }
        self.length_bytes += bytes.len() as u64;
    }

    /// How many bytes were taken in.
    pub fn length_bytes(&self) -> u64 {
        self.length_bytes
    }

    /// The SHA-256 of the bytes so far.
    pub fn sha256_so_far(&self) -> [u8; 32] {
        self.sha256.clone().finalize().into()
    }

    /// The SHA-256, and the computed form of every checksum that was asked for.
    pub fn finish(self) -> ([u8; 32], Checksums) {
        let sha256: [u8; 32] = self.sha256.finalize().into();
        let crc32 = |crc: CrcDigest| Base64(u32::try_from(crc.finalize()).unwrap_or_default().to_be_bytes());
        let checksums = Checksums {
            crc64nvme: self.crc64nvme.map(|crc| Base64(crc.finalize().to_be_bytes())),
            crc32c: self.crc32c.map(crc32),
            crc32: self.crc32.map(crc32),
            sha256: Some(Base64(sha256)),
            sha1: self.sha1.map(|sha1| Base64(sha1.finalize().into())),
            md5: self.md5.map(|md5| Base64(md5.finalize().into())),
        };
        (sha256, checksums)
    }
}

/// How far a hasher is, so that another run can go on with it. What it has taken in cannot be
/// altered unseen: the digest in the end would differ.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HasherState {
    /// How many bytes were taken in.
    pub length_bytes: u64,
    sha256: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    crc64nvme: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    crc32c: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    crc32: Option<u64>,
}

/// Compares the checksums that were computed with those that the source offers, and gives those
/// that were compared.
///
/// # Errors
/// [`ErrorKind::ChecksumMismatch`] when any differs.
pub fn compare(computed: &Checksums, offered: &Checksums, key: &str) -> Result<Checksums> {
    let mut compared = Checksums::default();
    macro_rules! compare_each {
        ($($name:ident),*) => {$(
            match (computed.$name, offered.$name) {
                (Some(computed), Some(offered)) if computed != offered => {
                    return Err(mismatch(key, stringify!($name)));
                }
                (Some(computed), Some(_)) => compared.$name = Some(computed),
                _ => {}
            }
        )*};
    }
    compare_each!(crc64nvme, crc32c, crc32, sha256, sha1, md5);
    Ok(compared)
}

fn mismatch(key: &str, name: &str) -> Error {
    Error::new(ErrorKind::ChecksumMismatch, format!("the bytes of {} differ from the source's {name}", printable(key)))
        .with_hint("the network or a machine on the way changes bytes; run again, and if it stays so ask the vendor about this object")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offered(name: &str) -> Checksums {
        // The check values of "123456789" from the catalogue of parametrised CRC algorithms, RFC 1321
        // style tools, and FIPS 180.
        match name {
            "crc64nvme" => {
                Checksums { crc64nvme: Some(Base64(0xae8b_1486_0a79_9888_u64.to_be_bytes())), ..Default::default() }
            }
            "crc32c" => Checksums { crc32c: Some(Base64(0xe306_9283_u32.to_be_bytes())), ..Default::default() },
            "crc32" => Checksums { crc32: Some(Base64(0xcbf4_3926_u32.to_be_bytes())), ..Default::default() },
            "sha1" => Checksums { sha1: Base64::parse("98O8HYCOBHMq32eZZczDTKeuNEE="), ..Default::default() },
            "sha256" => Checksums {
                sha256: Base64::parse("FeKw08M4keuw8e9gnsQZQgwg4yDOlMZfvIwzEkSOsiU="),
                ..Default::default()
            },
            "md5" => Checksums { md5: Base64::parse("JfnnlDI7RTiF9RgfG2JNCw=="), ..Default::default() },
            _ => unreachable!(),
        }
    }

    #[test]
    fn every_checksum_agrees_with_its_published_check_value_and_notices_a_flipped_bit() {
        for name in ["crc64nvme", "crc32c", "crc32", "sha1", "sha256", "md5"] {
            let offered = offered(name);
            let check = |bytes: &[u8]| {
                let mut hasher = ObjectHasher::for_checksums(&offered);
                bytes.chunks(4).for_each(|chunk| hasher.update(chunk));
                compare(&hasher.finish().1, &offered, "key")
            };
            assert!(!offered.is_empty());
            assert_eq!(check(b"123456789").unwrap(), offered, "{name}");
            assert_eq!(check(b"123456788").unwrap_err().kind(), ErrorKind::ChecksumMismatch, "{name}");
        }
    }

    #[test]
    fn a_saved_hasher_goes_on_where_it_was() {
        let bytes: Vec<u8> = (0..=255).cycle().take(100_001).collect();
        let fresh = || ObjectHasher::for_checksums(&offered("crc32")).with_crc64nvme().with_crc32c();
        let mut whole = fresh();
        whole.update(&bytes);
        for cut in [0, 1, 63, 64, 65, 4096, 100_001] {
            let mut first = fresh();
            first.update(&bytes[..cut]);
            let state = serde_json::to_string(&first.save().unwrap()).unwrap();
            let mut second = fresh().restore(&serde_json::from_str(&state).unwrap()).unwrap();
            assert_eq!(second.length_bytes(), cut as u64);
            second.update(&bytes[cut..]);
            assert_eq!(second.finish(), whole.clone().finish(), "cut at {cut}");
        }
        let other = ObjectHasher::for_checksums(&offered("crc32"));
        assert!(other.restore(&fresh().save().unwrap()).is_none(), "other checksums");
        assert!(ObjectHasher::for_checksums(&offered("sha1")).save().is_none());
    }

    #[test]
    fn nothing_offered_is_nothing_compared() {
        let (_, computed) = ObjectHasher::for_checksums(&Checksums::default()).finish();
        assert!(compare(&computed, &Checksums::default(), "key").unwrap().is_empty());
    }
}
