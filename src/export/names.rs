//! What names a file system can hold, and which name a segment of a key gets there. No input or output.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

/// The longest file name, in bytes, that the file systems in use accept.
pub const SEGMENT_BYTES_MAX: usize = 255;

/// The shortest maximum length of names, in bytes, that shortened names are made for: eCryptfs holds
/// 143, and no file system in use less than this.
pub const SEGMENT_BYTES_MIN: usize = 80;

/// The characters that Windows file systems refuse, besides control characters.
const OFTEN_REFUSED: [char; 8] = ['<', '>', ':', '"', '|', '?', '*', '\\'];

/// The characters that Windows file systems drop from the end of a name.
const OFTEN_DROPPED: [char; 2] = ['.', ' '];

/// Something about a name that some file systems cannot hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Oddity {
    /// The name has this character.
    Character(char),
    /// The name ends with this character.
    Ending(char),
    /// The name is longer than [`SEGMENT_BYTES_MIN`], or becomes so by escapes.
    Length,
}

impl Oddity {
    /// What there is to ask a file system about before a key's path on it is known.
    pub fn of_key(key: &str) -> BTreeSet<Self> {
        let mut oddities = BTreeSet::new();
        for segment in key.split('/') {
            let mut escaped_bytes_max = segment.len();
            for character in segment.chars().filter(|character| is_often_refused(*character)) {
                oddities.insert(Self::Character(character));
                escaped_bytes_max += 2;
            }
            if let Some(last) = segment.chars().next_back().filter(|last| OFTEN_DROPPED.contains(last)) {
                oddities.insert(Self::Ending(last));
                escaped_bytes_max += 2;
            }
            if escaped_bytes_max > SEGMENT_BYTES_MIN {
                oddities.insert(Self::Length);
            }
        }
        oddities
    }
}

fn is_often_refused(character: char) -> bool {
    OFTEN_REFUSED.contains(&character) || character.is_ascii_control()
}

/// What names a file system can hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameRules {
    segment_bytes_max: usize,
    folds_case: bool,
    escaped: BTreeSet<char>,
    escaped_at_end: BTreeSet<char>,
}

impl Default for NameRules {
    /// The rules of a file system that holds every name of up to [`SEGMENT_BYTES_MAX`] bytes.
    fn default() -> Self {
        Self {
            segment_bytes_max: SEGMENT_BYTES_MAX,
            folds_case: false,
            escaped: BTreeSet::new(),
            escaped_at_end: BTreeSet::new(),
        }
    }
}

impl NameRules {
    /// The rules of a file system that reports a maximum name length in bytes, and that folds case or
    /// does not. A length of zero is no report; others are brought into the range from
    /// [`SEGMENT_BYTES_MIN`] to [`SEGMENT_BYTES_MAX`].
    pub fn reported(name_bytes_max: u64, folds_case: bool) -> Self {
        let mut rules = Self { folds_case, ..Self::default() };
        if name_bytes_max > 0 {
            rules.limit(usize::try_from(name_bytes_max).unwrap_or(SEGMENT_BYTES_MAX));
        }
        rules
    }

    /// The maximum length of a name, in bytes.
    pub fn segment_bytes_max(&self) -> usize {
        self.segment_bytes_max
    }

    /// Sets the maximum length of a name, in bytes.
    pub fn limit(&mut self, name_bytes_max: usize) {
        self.segment_bytes_max = name_bytes_max.clamp(SEGMENT_BYTES_MIN, SEGMENT_BYTES_MAX);
    }

    /// Escapes what the file system turned out not to hold. A length is set by [`NameRules::limit`].
    pub fn escape(&mut self, oddity: Oddity) {
        match oddity {
            Oddity::Character(character) => self.escaped.insert(character),
            Oddity::Ending(character) => self.escaped_at_end.insert(character),
            Oddity::Length => false,
        };
    }

    /// The name for a segment of a key: the segment itself wherever the file system can hold it.
    ///
    /// A character that the file system refuses becomes `%XX`, as Hive has it. A name that is too long
    /// then, and one with a capital letter where case is folded, becomes `BEGINNING~HASH.ENDING`, where
    /// HASH is the first half of the segment's SHA-256 in hexadecimal.
    pub fn name_of<'a>(&self, segment: &'a str) -> Cow<'a, str> {
        let escaped = self.escaped(segment);
        let is_hashed =
            escaped.len() > self.segment_bytes_max || (self.folds_case && segment.contains(char::is_uppercase));
        if is_hashed { Cow::Owned(hashed(&escaped, segment, self.segment_bytes_max)) } else { escaped }
    }

    fn escaped<'a>(&self, segment: &'a str) -> Cow<'a, str> {
        let length = segment.len();
        let is_escaped = |at: usize, character: char| {
            let is_last = at + character.len_utf8() == length;
            self.escaped.contains(&character) || (is_last && self.escaped_at_end.contains(&character))
        };
        if !segment.char_indices().any(|(at, character)| is_escaped(at, character)) {
            return Cow::Borrowed(segment);
        }
        let mut escaped = String::with_capacity(length + 8);
        for (at, character) in segment.char_indices() {
            if !is_escaped(at, character) {
                escaped.push(character);
                continue;
            }
            for byte in character.encode_utf8(&mut [0; 4]).bytes() {
                let _ = write!(escaped, "%{byte:02X}");
            }
        }
        Cow::Owned(escaped)
    }
}

/// A name of at most `bytes_max` bytes: its middle is replaced by a hash of the segment, and its ending
/// is kept for readers that need it.
fn hashed(name: &str, segment: &str, bytes_max: usize) -> String {
    const ENDING_BYTES_MAX: usize = 40;
    const HASH_BYTES: usize = 16;
    let ending = name.rsplit_once('.').map(|(_, ending)| ending).filter(|ending| ending.len() <= ENDING_BYTES_MAX);
    let ending_bytes = ending.map_or(0, |ending| ending.len() + 1);
    let stem = &name[..name.len() - ending_bytes];
    let room = bytes_max - 1 - 2 * HASH_BYTES - ending_bytes;
    let mut hashed = stem[..stem.floor_char_boundary(room)].to_owned();
    hashed.push('~');
    for byte in &Sha256::digest(segment.as_bytes())[..HASH_BYTES] {
        let _ = write!(hashed, "{byte:02x}");
    }
    if let Some(ending) = ending {
        hashed.push('.');
        hashed.push_str(ending);
    }
    hashed
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusing(oddities: &[Oddity]) -> NameRules {
        let mut rules = NameRules::default();
        for oddity in oddities {
            rules.escape(*oddity);
        }
        rules
    }

    #[test]
    fn ordinary_keys_have_nothing_to_ask_about() {
        for key in [
            "experiment=18786493712/part-00000-accac923-16d5-4105-b8e8-c0f702201dd1.c000.snappy.parquet",
            "event=Main_Nav_javascript%3Avoid(0);/part-0.parquet",
            "event=größe & mehr/part 0.parquet",
        ] {
            assert_eq!(Oddity::of_key(key), BTreeSet::new(), "{key}");
        }
        let odd = format!("a|b./{}", "x".repeat(SEGMENT_BYTES_MIN + 1));
        assert_eq!(Oddity::of_key(&odd), BTreeSet::from([Oddity::Character('|'), Oddity::Ending('.'), Oddity::Length]));
        // Its escapes make it longer than the shortest limit.
        assert!(Oddity::of_key(&"|".repeat(SEGMENT_BYTES_MIN / 3 + 1)).contains(&Oddity::Length));
    }

    #[test]
    fn a_refused_character_becomes_what_hive_readers_decode() {
        let key = "event=a|b\u{1}c?";
        assert_eq!(NameRules::default().name_of(key), key);
        let rules = refusing(&[Oddity::Character('|'), Oddity::Character('\u{1}'), Oddity::Ending('.')]);
        assert_eq!(rules.name_of(key), "event=a%7Cb%01c?");
        assert_eq!(crate::export::hive_unescape(&rules.name_of(key)), key);
        assert_eq!(rules.name_of("event=done."), "event=done%2E");
        assert_eq!(rules.name_of("event=1.2"), "event=1.2");
        assert_eq!(rules.name_of("..."), "..%2E");
    }

    #[test]
    fn a_name_keeps_within_the_limit_after_its_escapes() {
        let mut rules = refusing(&[Oddity::Character(':')]);
        rules.limit(143);
        let segment = format!("event={}.c000.snappy.parquet", ":".repeat(50));
        let name = rules.name_of(&segment);
        assert!(name.starts_with("event=%3A%3A") && name.ends_with(".parquet"), "{name}");
        assert!(name.len() <= 143, "{name}");
        assert!(!name.contains(':'));
        let other = rules.name_of(&segment.replacen("event", "evens", 1)).into_owned();
        assert_ne!(name, other);
    }

    #[test]
    fn what_a_file_system_reports_is_brought_into_range() {
        let reported = |bytes| NameRules::reported(bytes, false).segment_bytes_max();
        assert_eq!([0, 1, 143, 255, 1530, u64::MAX].map(reported), [255, 80, 143, 255, 255, 255]);
    }

    proptest::proptest! {
        #[test]
        fn no_name_breaks_the_rules(segment in "[a-zA-Zü|:. ?]{1,200}", bytes_max in 0_usize..300, folds_case: bool) {
            let mut rules = NameRules::reported(0, folds_case);
            rules.limit(bytes_max);
            for oddity in [Oddity::Character('|'), Oddity::Character(':'), Oddity::Ending('.'), Oddity::Ending(' ')] {
                rules.escape(oddity);
            }
            let name = rules.name_of(&segment);
            proptest::prop_assert!(name.len() <= rules.segment_bytes_max());
            proptest::prop_assert!(!name.contains(['|', ':']) && !name.ends_with(['.', ' ']), "{}", name);
        }
    }
}
