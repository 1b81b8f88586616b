//! Hashing an object's bytes once, on their way through (design.md promise 4).

use crc_fast::{CrcAlgorithm, Digest as CrcDigest};
use sha1::Sha1;
use sha2::{Digest as _, Sha256};

use crate::error::{Error, ErrorKind, Result};
use crate::export::{Base64, Checksums, printable};

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
    fn nothing_offered_is_nothing_compared() {
        let (_, computed) = ObjectHasher::for_checksums(&Checksums::default()).finish();
        assert!(compare(&computed, &Checksums::default(), "key").unwrap().is_empty());
    }
}
