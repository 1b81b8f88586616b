//! Everything random in the fake export comes from here, so that one seed gives one export, byte for byte.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use sha2::{Digest as _, Sha256};

/// The odd constant of SplitMix64: one step of its counter.
const STEP: u64 = 0x9E37_79B9_7F4A_7C15;

/// The `index`-th word of the SplitMix64 sequence that starts at `base`.
///
/// Any word costs the same, which is what lets noise be read from an arbitrary offset.
pub(crate) fn word(base: u64, index: u64) -> u64 {
    let mut mixed = base.wrapping_add(index.wrapping_add(1).wrapping_mul(STEP));
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

/// 32 bytes that depend on the seed and on every part; parts cannot run into each other.
pub(crate) fn derive(seed: u64, parts: &[&str]) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(seed.to_be_bytes());
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    hash.finalize().into()
}

/// [`derive()`] shortened to one number.
pub(crate) fn derive_number(seed: u64, parts: &[&str]) -> u64 {
    derive(seed, parts).iter().take(8).fold(0, |number, &byte| number << 8 | u64::from(byte))
}

/// [`derive()`] in the shape of a random UUID, as the writer jobs of the export put into their part names.
pub(crate) fn derive_uuid(seed: u64, parts: &[&str]) -> String {
    let text = hex(&derive(seed, parts));
    let [first, second, third, fourth, last] = [&text[..8], &text[8..12], &text[13..16], &text[17..20], &text[20..32]];
    format!("{first}-{second}-4{third}-a{fourth}-{last}")
}

/// `length` characters of URL-safe base64, at most 43.
pub(crate) fn derive_url_safe(seed: u64, parts: &[&str], length: usize) -> String {
    let mut text = URL_SAFE_NO_PAD.encode(derive(seed, parts));
    text.truncate(length);
    text
}

/// Standard base64 with padding.
pub(crate) fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]).map(|nibble| char::from(DIGITS[usize::from(nibble)])).collect()
}

/// A deterministic source of numbers for one purpose.
#[derive(Debug, Clone)]
pub(crate) struct Dice {
    base: u64,
    thrown: u64,
}

impl Dice {
    /// Dice whose throws depend on the seed and on what they are for.
    pub(crate) fn new(seed: u64, parts: &[&str]) -> Self {
        Self { base: derive_number(seed, parts), thrown: 0 }
    }

    /// Any number.
    pub(crate) fn number(&mut self) -> u64 {
        let number = word(self.base, self.thrown);
        self.thrown += 1;
        number
    }

    /// A number from 0 up to, but not including, `end`; 0 for an empty range.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        ((u128::from(self.number()) * u128::from(end)) >> 64) as u64
    }

    /// A number of the range, both ends included.
    pub(crate) fn between(&mut self, first: u64, last: u64) -> u64 {
        first + self.below(last.saturating_sub(first).saturating_add(1))
    }

    /// True in `percent` of 100 throws.
    pub(crate) fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// One of the choices, which must not be empty.
    pub(crate) fn pick<'a, T: ?Sized>(&mut self, choices: &[&'a T]) -> &'a T {
        choices[self.below(choices.len() as u64) as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_do_not_run_into_each_other() {
        assert_ne!(derive(1, &["ab", "c"]), derive(1, &["a", "bc"]));
        assert_ne!(derive(1, &["ab"]), derive(2, &["ab"]));
    }

    #[test]
    fn a_uuid_has_the_shape_of_a_random_one() {
        let uuid = derive_uuid(7, &["decisions"]);
        let lengths: Vec<_> = uuid.split('-').map(str::len).collect();
        assert_eq!(lengths, [8, 4, 4, 4, 12]);
        assert_eq!(uuid.as_bytes()[14], b'4');
    }

    #[test]
    fn words_match_the_published_sequence() {
        // The reference implementation's first outputs for seed 1234567.
        assert_eq!(word(1_234_567, 0), 6_457_827_717_110_365_317);
        assert_eq!(word(1_234_567, 1), 3_203_168_211_198_807_973);
    }

    #[test]
    fn throws_stay_in_their_range() {
        let mut dice = Dice::new(1, &["range"]);
        assert!((0..1000).all(|_| (3..=5).contains(&dice.between(3, 5))));
        assert_eq!(dice.below(0), 0);
    }
}
