//! What names the destination's file system holds: asked for where it matters, once in each run.

use std::collections::BTreeSet;
use std::sync::{PoisonError, RwLock};

use super::folder::Folder;
use crate::error::Result;
use crate::export::{FilePath, NameRules, Oddity, SEGMENT_BYTES_MIN};

/// What the names of files begin with that are made to find out what names are possible.
const PROBE: &str = "probe.";

/// How often a probe is repeated that another run removed meanwhile.
const ATTEMPTS_MAX: usize = 5;

/// What is known about names so far.
pub(super) struct Names {
    /// This run's part of the names of its probes.
    run: u64,
    answers: RwLock<Answers>,
}

struct Answers {
    rules: NameRules,
    asked: BTreeSet<Oddity>,
}

impl Names {
    /// Finds out what the file system tells about names in `folder`, which is ours alone, and clears
    /// away what a killed run left of its probes.
    pub fn learn(folder: &Folder, run: u64) -> Result<Self> {
        for (name, _) in folder.entries()?.iter().filter(|(name, _)| name.starts_with(PROBE)) {
            // Another user's file is for that user to remove, and does no harm.
            let _ = folder.remove_file(name);
        }
        let rules = NameRules::reported(folder.name_bytes_max(), folds_case(folder, run)?);
        Ok(Self { run, answers: RwLock::new(Answers { rules, asked: BTreeSet::new() }) })
    }

    /// The maximum length of a name, in bytes.
    pub fn segment_bytes_max(&self) -> usize {
        self.answers.read().unwrap_or_else(PoisonError::into_inner).rules.segment_bytes_max()
    }

    /// The path below a partition's folder for an object's key. What is odd about the key and was not
    /// tried before is tried out in `folder`, which is ours alone.
    ///
    /// # Errors
    /// As [`FilePath::of_key_by`]; what keeps `folder` from being written.
    pub fn path_of(&self, folder: &Folder, key: &str) -> Result<FilePath> {
        let oddities = Oddity::of_key(key);
        if !oddities.is_empty() {
            self.ask(&oddities, |name| is_held(folder, &self.probe(""), name))?;
        }
        FilePath::of_key_by(key, &self.answers.read().unwrap_or_else(PoisonError::into_inner).rules)
    }

    /// Finds out by `is_held` about the oddities that are not known yet.
    fn ask(&self, oddities: &BTreeSet<Oddity>, is_held: impl Fn(&str) -> Result<bool>) -> Result<()> {
        if oddities.is_subset(&self.answers.read().unwrap_or_else(PoisonError::into_inner).asked) {
            return Ok(());
        }
        let mut answers = self.answers.write().unwrap_or_else(PoisonError::into_inner);
        for oddity in oddities {
            if answers.asked.contains(oddity) {
                continue;
            }
            match oddity {
                Oddity::Length => {
                    let longest = self.longest(answers.rules.segment_bytes_max(), &is_held)?;
                    answers.rules.limit(longest);
                }
                Oddity::Character(character) if !is_held(&self.probe(&format!("{character}x")))? => {
                    answers.rules.escape(*oddity);
                }
                Oddity::Ending(character) if !is_held(&self.probe(&format!("x{character}")))? => {
                    answers.rules.escape(*oddity);
                }
                Oddity::Character(_) | Oddity::Ending(_) => {}
            }
            answers.asked.insert(*oddity);
        }
        Ok(())
    }

    /// The maximum length of a name in bytes, where the file system reported `reported`: some hold less.
    fn longest(&self, reported: usize, is_held: &impl Fn(&str) -> Result<bool>) -> Result<usize> {
        let is_held = |bytes: usize| is_held(&format!("{:x<bytes$}", self.probe("")));
        if is_held(reported)? {
            return Ok(reported);
        }
        let (mut held, mut refused) = (SEGMENT_BYTES_MIN, reported);
        while refused - held > 1 {
            let middle = usize::midpoint(held, refused);
            if is_held(middle)? {
                held = middle;
            } else {
                refused = middle;
            }
        }
        Ok(held)
    }

    fn probe(&self, ending: &str) -> String {
        probe(self.run, ending)
    }
}

fn probe(run: u64, ending: &str) -> String {
    format!("{PROBE}{run:016x}{ending}")
}

/// Whether a file can have the name and keeps it as it is. Where it cannot be made, a file with a
/// `plain` name tells whether that is the name's fault.
fn is_held(folder: &Folder, plain: &str, name: &str) -> Result<bool> {
    for _ in 0..ATTEMPTS_MAX {
        if folder.create_file(name).is_err() {
            drop(folder.create_file(plain)?);
            folder.remove_file(plain)?;
            return Ok(false);
        }
        let is_listed = folder.entries()?.iter().any(|(listed, _)| listed == name);
        let is_there = folder.inode_of(name).is_some();
        folder.remove_file(name)?;
        if is_listed || is_there {
            return Ok(is_listed);
        }
        // A run that began just now took the file for one that was left behind.
    }
    Ok(true)
}

/// Whether the file system takes names that differ only in case for the same.
fn folds_case(folder: &Folder, run: u64) -> Result<bool> {
    let name = probe(run, ".case");
    for _ in 0..ATTEMPTS_MAX {
        drop(folder.create_file(&name)?);
        let folds_case = folder.inode_of(&name.to_uppercase()).is_some();
        let is_there = folder.inode_of(&name).is_some();
        folder.remove_file(&name)?;
        if folds_case || is_there {
            return Ok(folds_case);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(reported: u64) -> Names {
        let answers = Answers { rules: NameRules::reported(reported, false), asked: BTreeSet::new() };
        Names { run: 7, answers: RwLock::new(answers) }
    }

    fn path_by(names: &Names, key: &str, is_held: impl Fn(&str) -> Result<bool>) -> String {
        names.ask(&Oddity::of_key(key), is_held).unwrap();
        FilePath::of_key_by(key, &names.answers.read().unwrap().rules).unwrap().as_str().to_owned()
    }

    #[test]
    fn only_what_is_odd_is_tried_and_only_once() {
        let names = names(255);
        let tries = std::cell::Cell::new(0);
        let is_held = |name: &str| {
            tries.set(tries.get() + 1);
            Ok(!name.contains('|') && !name.ends_with('.'))
        };
        assert_eq!(path_by(&names, "event=a/p.parquet", is_held), "event=a/p.parquet");
        assert_eq!(tries.get(), 0);
        for _ in 0..3 {
            assert_eq!(path_by(&names, "event=a|b?./p", is_held), "event=a%7Cb?%2E/p");
            assert_eq!(tries.get(), 3);
        }
    }

    #[test]
    fn a_length_that_is_reported_and_not_held_is_found_out() {
        for (reported, held) in [(255, 143), (255, 254), (200, 81), (255, 80), (143, 255)] {
            let names = names(reported);
            let path = path_by(&names, &"y".repeat(300), |name| Ok(name.len() <= held));
            let expected = held.min(usize::try_from(reported).unwrap());
            assert_eq!((path.len(), names.segment_bytes_max()), (expected, expected), "{reported} {held}");
        }
    }

    #[test]
    fn a_folder_that_cannot_be_written_tells_nothing_about_names() {
        let root = tempfile::tempdir().unwrap();
        let folder = Folder::open_root(root.path()).unwrap();
        std::fs::remove_dir(root.path()).unwrap();
        assert!(names(255).path_of(&folder, "a|b").is_err());
    }

    #[test]
    fn nothing_of_a_probe_is_left_and_what_was_left_goes() {
        let root = tempfile::tempdir().unwrap();
        let folder = Folder::open_root(root.path()).unwrap();
        std::fs::write(root.path().join("probe.0123456789abcdef|x"), "").unwrap();
        let names = Names::learn(&folder, 7).unwrap();
        let odd = format!("a|b\u{1}:<>\"?*\\. /{}", "y".repeat(300));
        let path = names.path_of(&folder, &odd).unwrap();
        // What this test runs on holds all of it.
        assert!(path.as_str().starts_with("a|b\u{1}:<>\"?*\\. /yyy"), "{}", path.as_str());
        assert!(folder.entries().unwrap().is_empty());
    }
}
