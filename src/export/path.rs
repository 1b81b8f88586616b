use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

use super::printable;
use crate::error::{Error, ErrorKind, Result};

/// The longest file name, in bytes, that the file systems in use accept.
pub const SEGMENT_BYTES_MAX: usize = 255;

/// The longest key, in bytes, that S3 and Google Cloud Storage accept.
const KEY_BYTES_MAX: usize = 1024;

/// A relative path that stays below the folder it is joined to: no empty segment, no `.`, no `..`,
/// no NUL, no segment too long for a file system.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FilePath(String);

impl FilePath {
    /// The file path for a key, the key itself wherever a file system can hold it.
    ///
    /// A segment over 255 bytes becomes `BEGINNING~HASH.ENDING`, where HASH is the first half of
    /// the segment's SHA-256 in hexadecimal; the manifest keeps the true key.
    ///
    /// # Errors
    /// [`ErrorKind::KeyRefused`] for a key that would leave the folder or that no file can have.
    pub fn of_key(key: &str) -> Result<Self> {
        Self::build(key, |segment| segment.len() > SEGMENT_BYTES_MAX)
    }

    /// The path for a key on a file system that takes names that differ only in case for the same.
    ///
    /// Every segment with a capital letter gets its hash, as too long segments do, so that two keys
    /// never meet in one name.
    ///
    /// # Errors
    /// [`ErrorKind::KeyRefused`] as for [`FilePath::of_key`].
    pub fn of_key_without_case(key: &str) -> Result<Self> {
        Self::build(key, |segment| segment.len() > SEGMENT_BYTES_MAX || segment.contains(char::is_uppercase))
    }

    fn build(key: &str, needs_hash: impl Fn(&str) -> bool) -> Result<Self> {
        if key.is_empty() || key.len() > KEY_BYTES_MAX {
            return Err(refusal(key, "its length is not one that a key can have"));
        }
        let mut path = String::with_capacity(key.len());
        for segment in key.split('/') {
            if let Some(reason) = refusal_of_segment(segment) {
                return Err(refusal(key, reason));
            }
            if !path.is_empty() {
                path.push('/');
            }
            if needs_hash(segment) {
                push_hashed(&mut path, segment);
            } else {
                path.push_str(segment);
            }
        }
        Ok(Self(path))
    }

    /// The path, with `/` between its segments.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The path of the folder that holds the file, empty at the top, and the file's own name.
    pub fn split(&self) -> (&str, &str) {
        self.0.rsplit_once('/').unwrap_or(("", &self.0))
    }
}

fn refusal_of_segment(segment: &str) -> Option<&'static str> {
    match segment {
        "" => Some("it has an empty segment"),
        "." | ".." => Some("it has a segment that points elsewhere"),
        _ if segment.contains('\0') => Some("it has a NUL character"),
        _ => None,
    }
}

fn refusal(key: &str, reason: &str) -> Error {
    Error::new(ErrorKind::KeyRefused, format!("key `{}` is refused: {reason}", printable(key))).with_hint(
        "the day stays unpublished so that nothing is lost unseen; the vendor's support can remove such an object",
    )
}

/// Appends a segment with its middle replaced by a hash, its ending kept for readers that need it.
fn push_hashed(path: &mut String, segment: &str) {
    const ENDING_BYTES_MAX: usize = 40;
    let hash = Sha256::digest(segment.as_bytes());
    let ending = segment.rsplit_once('.').map(|(_, ending)| ending).filter(|ending| ending.len() <= ENDING_BYTES_MAX);
    let ending_bytes = ending.map_or(0, |ending| ending.len() + 1);
    let stem = &segment[..segment.len() - ending_bytes];
    let room = SEGMENT_BYTES_MAX - 1 - 32 - ending_bytes;
    path.push_str(&stem[..stem.floor_char_boundary(room)]);
    path.push('~');
    for byte in &hash[..16] {
        let _ = write!(path, "{byte:02x}");
    }
    if let Some(ending) = ending {
        path.push('.');
        path.push_str(ending);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_keys_are_their_own_paths() {
        for key in [
            "experiment=18786493712/part-00000-a.c000.snappy.parquet",
            "event=Main_Nav_javascript%3Avoid(0);/part-0.parquet",
            "event=größe & mehr/part 0.parquet",
            "event=..hidden/...",
        ] {
            assert_eq!(FilePath::of_key(key).unwrap().as_str(), key);
        }
    }

    #[test]
    fn keys_that_leave_the_folder_are_refused() {
        for key in ["", "/a", "a//b", "a/", "../a", "a/../b", "a/./b", "a\0b", "..", &"a".repeat(1025)] {
            let error = FilePath::of_key(key).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::KeyRefused, "{key:?}");
        }
    }

    #[test]
    fn a_long_segment_keeps_its_beginning_and_ending() {
        let long = format!("event={}", "ü".repeat(200));
        let path = FilePath::of_key(&format!("{long}/part-0.parquet")).unwrap();
        let (folder, name) = path.split();
        assert!(folder.starts_with("event=üü") && folder.len() <= SEGMENT_BYTES_MAX);
        assert_eq!(name, "part-0.parquet");

        let long_name = format!("{}.c000.snappy.parquet", "x".repeat(300));
        let path = FilePath::of_key(&long_name).unwrap();
        assert!(path.as_str().ends_with(".parquet") && path.as_str().len() <= SEGMENT_BYTES_MAX);
    }

    #[test]
    fn long_segments_that_differ_only_at_the_end_stay_apart() {
        let one = FilePath::of_key(&format!("{}a", "x".repeat(300))).unwrap();
        let two = FilePath::of_key(&format!("{}b", "x".repeat(300))).unwrap();
        assert_ne!(one, two);
    }

    #[test]
    fn case_twins_get_paths_that_differ_without_case() {
        let lower = FilePath::of_key_without_case("event=cart/p.parquet").unwrap();
        let upper = FilePath::of_key_without_case("event=Cart/p.parquet").unwrap();
        assert_ne!(lower.as_str().to_lowercase(), upper.as_str().to_lowercase());
    }

    proptest::proptest! {
        #[test]
        fn no_key_leads_out_of_its_folder(key in "(\\PC|[./\u{0}~]){0,400}") {
            for path in [FilePath::of_key(&key), FilePath::of_key_without_case(&key)].into_iter().flatten() {
                for segment in path.as_str().split('/') {
                    proptest::prop_assert!(!matches!(segment, "" | "." | "..") && segment.len() <= SEGMENT_BYTES_MAX);
                    proptest::prop_assert!(!segment.contains('\0'));
                }
                let depth = |text: &str| text.split('/').count();
                proptest::prop_assert_eq!(depth(path.as_str()), depth(&key));
            }
        }

        #[test]
        fn keys_that_differ_have_paths_that_differ(one in "[aA~.]{1,6}/[bB]{250,260}", other in "[aA~.]{1,6}/[bB]{250,260}") {
            if let (Ok(one_path), Ok(other_path)) = (FilePath::of_key(&one), FilePath::of_key(&other)) {
                proptest::prop_assert_eq!(one == other, one_path == other_path);
            }
            let folded = |key: &str| FilePath::of_key_without_case(key).map(|path| path.as_str().to_lowercase());
            if let (Ok(one_path), Ok(other_path)) = (folded(&one), folded(&other)) {
                proptest::prop_assert_eq!(one == other, one_path == other_path);
            }
        }
    }
}
