//! A key as a relative path that stays below its folder.

use super::{NameRules, SUCCESS_MARKER, printable};
use crate::error::{Error, ErrorKind, Result};

/// The longest key, in bytes, that S3 and Google Cloud Storage accept.
const KEY_BYTES_MAX: usize = 1024;

/// A relative path that stays below the folder it is joined to: no empty segment, no `.`, no `..`,
/// no NUL.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FilePath(String);

impl FilePath {
    /// The path for a key on a file system that holds every name: the key itself, except for segments
    /// over 255 bytes.
    ///
    /// # Errors
    /// As [`FilePath::of_key_by`].
    pub fn of_key(key: &str) -> Result<Self> {
        Self::of_key_by(key, &NameRules::default())
    }

    /// The path for a key on a file system with these rules; the manifest keeps the true key
    /// ([`NameRules::name_of`]).
    ///
    /// # Errors
    /// [`ErrorKind::KeyRefused`] for a key that would leave the folder or that no file can have.
    pub fn of_key_by(key: &str, rules: &NameRules) -> Result<Self> {
        if key.is_empty() || key.len() > KEY_BYTES_MAX {
            return Err(refusal(key, "its length is not one that a key can have"));
        }
        check_segments(key)?;
        if key.split_once('/').is_some_and(|(first, _)| first == SUCCESS_MARKER) {
            return Err(refusal(key, "it needs a folder where `_SUCCESS`, the marker of a complete day, is a file"));
        }
        let names: Vec<_> = key.split('/').map(|segment| rules.name_of(segment)).collect();
        Ok(Self(names.join("/")))
    }

    /// A path that a manifest has, as it is.
    ///
    /// # Errors
    /// [`ErrorKind::KeyRefused`] for a path that would leave the folder or that no file can have.
    pub fn as_recorded(path: &str) -> Result<Self> {
        check_segments(path).map(|()| Self(path.to_owned()))
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

fn check_segments(key: &str) -> Result<()> {
    key.split('/').find_map(refusal_of_segment).map_or(Ok(()), |reason| Err(refusal(key, reason)))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::SEGMENT_BYTES_MAX;

    fn without_case(key: &str) -> Result<FilePath> {
        FilePath::of_key_by(key, &NameRules::reported(0, true))
    }

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
        for key in ["", "/a", "a//b", "a/", "../a", "a/../b", "a/./b", "a\0b", "..", "_SUCCESS/a", &"a".repeat(1025)] {
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
        let lower = without_case("event=cart/p.parquet").unwrap();
        let upper = without_case("event=Cart/p.parquet").unwrap();
        assert_ne!(lower.as_str().to_lowercase(), upper.as_str().to_lowercase());
    }

    #[test]
    fn a_recorded_path_is_taken_as_it_is_or_not_at_all() {
        let recorded = format!("event=A%7Cb/{}", "x".repeat(300));
        assert_eq!(FilePath::as_recorded(&recorded).unwrap().as_str(), recorded);
        for path in ["", "/a", "a//b", "../a", "a/.", "a\0b"] {
            assert_eq!(FilePath::as_recorded(path).unwrap_err().kind(), ErrorKind::KeyRefused, "{path:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_key_leads_out_of_its_folder(key in "(\\PC|[./\u{0}~]){0,400}") {
            for path in [FilePath::of_key(&key), without_case(&key)].into_iter().flatten() {
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
            let folded = |key: &str| without_case(key).map(|path| path.as_str().to_lowercase());
            if let (Ok(one_path), Ok(other_path)) = (folded(&one), folded(&other)) {
                proptest::prop_assert_eq!(one == other, one_path == other_path);
            }
        }
    }
}
