//! Hashing an object's bytes once, on their way through (design.md promise 4).

use std::collections::BTreeMap;

use crc_fast::{CrcAlgorithm, Digest as CrcDigest};
use serde::{Deserialize, Serialize};
use sha1::Sha1;
use sha2::digest::common::hazmat::SerializableState as _;
use sha2::{Digest as _, Sha256};

use crate::error::{Error, ErrorKind, Result};
use crate::export::{Checksum, ChecksumAlgorithm, Checksums, printable};
use crate::manifest::{from_hex_bytes, to_hex};

/// Computes SHA-256, and with it each checksum that the source offers.
///
/// ```
/// use e3sync::export::{ChecksumAlgorithm, Checksums};
/// use e3sync::hash::ObjectHasher;
///
/// let mut hasher = ObjectHasher::for_checksums(&Checksums::default()).with(ChecksumAlgorithm::Crc32c);
/// hasher.update(b"1234");
/// hasher.update(b"56789");
/// let (_, checksums) = hasher.finish();
/// assert_eq!(checksums.get(ChecksumAlgorithm::Crc32c).unwrap().to_string(), "4waSgw==");
/// ```
#[derive(Clone)]
pub struct ObjectHasher {
    sha256: Sha256,
    others: Vec<(ChecksumAlgorithm, Digest)>,
    length_bytes: u64,
}

/// A checksum that is being computed.
#[derive(Clone)]
#[expect(clippy::large_enum_variant, reason = "most are CRCs, and an object has one or two")]
enum Digest {
    Crc(CrcAlgorithm, CrcDigest),
    Sha1(Sha1),
    Md5(md5::Md5),
}

/// The state of an algorithm before the first byte; `None` for the SHA-256, which is computed of everything.
fn digest(algorithm: ChecksumAlgorithm) -> Option<Digest> {
    match algorithm {
        ChecksumAlgorithm::Sha256 => None,
        ChecksumAlgorithm::Sha1 => Some(Digest::Sha1(Sha1::new())),
        ChecksumAlgorithm::Md5 => Some(Digest::Md5(md5::Md5::new())),
        ChecksumAlgorithm::Crc64Nvme => Some(Digest::crc(CrcAlgorithm::Crc64Nvme)),
        ChecksumAlgorithm::Crc32c => Some(Digest::crc(CrcAlgorithm::Crc32Iscsi)),
        ChecksumAlgorithm::Crc32 => Some(Digest::crc(CrcAlgorithm::Crc32IsoHdlc)),
    }
}

impl Digest {
    fn crc(algorithm: CrcAlgorithm) -> Self {
        Self::Crc(algorithm, CrcDigest::new(algorithm))
    }

    fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Crc(_, crc) => crc.update(bytes),
            Self::Sha1(sha1) => sha1.update(bytes),
            Self::Md5(md5) => md5.update(bytes),
        }
    }

    fn finish(self, algorithm: ChecksumAlgorithm) -> Option<Checksum> {
        match self {
            Self::Crc(_, crc) => {
                let value = crc.finalize().to_be_bytes();
                Checksum::new(algorithm, value.get(value.len() - algorithm.length_bytes()..)?)
            }
            Self::Sha1(sha1) => Checksum::new(algorithm, &sha1.finalize()),
            Self::Md5(md5) => Checksum::new(algorithm, &md5.finalize()),
        }
    }
}

impl ObjectHasher {
    /// A hasher for an object whose source offers the checksums that are present in `offered`.
    ///
    /// MD5 costs three times what SHA-256 does and is computed only where nothing else is offered.
    pub fn for_checksums(offered: &Checksums) -> Self {
        let has_other = offered.iter().any(|(algorithm, _)| algorithm != ChecksumAlgorithm::Md5);
        let is_computed = |algorithm| offered.has(algorithm) && !(algorithm == ChecksumAlgorithm::Md5 && has_other);
        let computed = ChecksumAlgorithm::ALL.into_iter().filter(|algorithm| is_computed(*algorithm));
        let others = computed.filter_map(|algorithm| Some((algorithm, digest(algorithm)?))).collect();
        Self { sha256: Sha256::new(), others, length_bytes: 0 }
    }

    /// The same hasher, which computes this checksum too.
    #[must_use]
    pub fn with(mut self, algorithm: ChecksumAlgorithm) -> Self {
        let is_new = self.length_bytes == 0 && self.others.iter().all(|(other, _)| *other != algorithm);
        self.others.extend(digest(algorithm).filter(|_| is_new).map(|digest| (algorithm, digest)));
        self
    }

    /// The hasher's state, to be restored by another run; `None` where SHA-1 or MD5 is computed too.
    pub fn save(&self) -> Option<HasherState> {
        let state = |(algorithm, digest): &(ChecksumAlgorithm, Digest)| match digest {
            Digest::Crc(_, crc) => Some((algorithm.name().to_owned(), crc.get_state())),
            Digest::Sha1(_) | Digest::Md5(_) => None,
        };
        let crcs = self.others.iter().map(state).collect::<Option<_>>()?;
        Some(HasherState { length_bytes: self.length_bytes, sha256: to_hex(&self.sha256.serialize()), crcs })
    }

    /// This fresh hasher in a saved state; `None` unless the state is of the same checksums.
    pub fn restore(mut self, state: &HasherState) -> Option<Self> {
        let serialized = from_hex_bytes(&state.sha256)?;
        self.sha256 = Sha256::deserialize(serialized.as_slice().try_into().ok()?).ok()?;
        self.length_bytes = state.length_bytes;
        for (algorithm, digest) in &mut self.others {
            let Digest::Crc(kind, crc) = digest else { return None };
            *crc = CrcDigest::new_with_init_state(*kind, *state.crcs.get(algorithm.name())?);
        }
        (self.others.len() == state.crcs.len()).then_some(self)
    }

    /// Takes the next bytes in.
    pub fn update(&mut self, bytes: &[u8]) {
        self.sha256.update(bytes);
        self.others.iter_mut().for_each(|(_, digest)| digest.update(bytes));
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
        let checksums =
            Checksums::default().with(ChecksumAlgorithm::Sha256, Checksum::new(ChecksumAlgorithm::Sha256, &sha256));
        let checksums = self
            .others
            .into_iter()
            .fold(checksums, |checksums, (algorithm, digest)| checksums.with(algorithm, digest.finish(algorithm)));
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
    /// The state of each CRC, by the checksum's name.
    #[serde(flatten)]
    crcs: BTreeMap<String, u64>,
}

/// Compares the checksums that were computed with those that the source offers, and gives those
/// that were compared.
///
/// # Errors
/// [`ErrorKind::ChecksumMismatch`] when any differs.
pub fn compare(computed: &Checksums, offered: &Checksums, key: &str) -> Result<Checksums> {
    let mut compared = Checksums::default();
    for (algorithm, value) in computed.iter() {
        match offered.get(algorithm) {
            Some(offered) if offered != value => return Err(mismatch(key, algorithm.name())),
            Some(_) => compared = compared.with(algorithm, Some(value)),
            None => {}
        }
    }
    Ok(compared)
}

fn mismatch(key: &str, name: &str) -> Error {
    Error::new(ErrorKind::ChecksumMismatch, format!("the bytes of {} differ from the source's {name}", printable(key)))
        .with_hint("the network or a machine on the way changes bytes; run again, and if it stays so ask the vendor about this object")
}

/// The CRC-32 of a text (ISO-HDLC, as zlib has it).
pub(crate) fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = CrcDigest::new(CrcAlgorithm::Crc32IsoHdlc);
    crc.update(bytes);
    u32::try_from(crc.finalize()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The check values of "123456789" from the catalogue of parametrised CRC algorithms, RFC 1321
    /// style tools, and FIPS 180.
    fn offered(algorithm: ChecksumAlgorithm) -> Checksums {
        let value = match algorithm {
            ChecksumAlgorithm::Crc64Nvme => "rosUhgp5mIg=",
            ChecksumAlgorithm::Crc32c => "4waSgw==",
            ChecksumAlgorithm::Crc32 => "y/Q5Jg==",
            ChecksumAlgorithm::Sha1 => "98O8HYCOBHMq32eZZczDTKeuNEE=",
            ChecksumAlgorithm::Sha256 => "FeKw08M4keuw8e9gnsQZQgwg4yDOlMZfvIwzEkSOsiU=",
            ChecksumAlgorithm::Md5 => "JfnnlDI7RTiF9RgfG2JNCw==",
        };
        Checksums::default().with(algorithm, Checksum::parse(algorithm, value))
    }

    #[test]
    fn every_checksum_agrees_with_its_published_check_value_and_notices_a_flipped_bit() {
        for algorithm in ChecksumAlgorithm::ALL {
            let name = algorithm.name();
            let offered = offered(algorithm);
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
        let fresh = || {
            ObjectHasher::for_checksums(&offered(ChecksumAlgorithm::Crc32))
                .with(ChecksumAlgorithm::Crc64Nvme)
                .with(ChecksumAlgorithm::Crc32c)
        };
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
        let other = ObjectHasher::for_checksums(&offered(ChecksumAlgorithm::Crc32));
        assert!(other.restore(&fresh().save().unwrap()).is_none(), "other checksums");
        assert!(ObjectHasher::for_checksums(&offered(ChecksumAlgorithm::Sha1)).save().is_none());
    }

    #[test]
    fn nothing_offered_is_nothing_compared() {
        let (_, computed) = ObjectHasher::for_checksums(&Checksums::default()).finish();
        assert!(compare(&computed, &Checksums::default(), "key").unwrap().is_empty());
    }
}
