//! Walks a folder in the order of keys.

use rustix::fs::{AtFlags, Dir, FileType};

use super::folder::Folder;
use crate::destination::StandingFile;
use crate::destination::failure::failed;
use crate::error::Result;

/// Everything that stands below a folder, in ascending order of paths, as keys are in manifests.
/// Links are shown and not followed. In memory are the names of one folder at each depth.
pub(super) struct Walk {
    levels: Vec<Level>,
}

struct Level {
    folder: Folder,
    /// The folder's path below the first one, empty or with a slash at its end.
    prefix: String,
    names: std::vec::IntoIter<Name>,
}

struct Name {
    text: String,
    kind: FileType,
    /// Whether the name is text: nothing here makes any other.
    is_text: bool,
}

impl Walk {
    /// Begins in a folder.
    pub fn new(folder: Folder) -> Result<Self> {
        Ok(Self { levels: vec![Level::open(folder, String::new())?] })
    }

    fn step(&mut self, level: usize, name: Name) -> Result<Option<StandingFile>> {
        let Some(Level { folder, prefix, .. }) = self.levels.get(level) else { return Ok(None) };
        let path = format!("{prefix}{}", name.text);
        if name.kind == FileType::Directory && name.is_text {
            if let Some(child) = folder.child(&name.text)? {
                self.levels.push(Level::open(child, format!("{path}/"))?);
            }
            return Ok(None);
        }
        let size_bytes = if name.is_text { folder.file_size_bytes(&name.text) } else { None };
        Ok(Some(StandingFile { path, size_bytes, etag: None }))
    }
}

impl Iterator for Walk {
    type Item = Result<StandingFile>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let level = self.levels.len().checked_sub(1)?;
            match self.levels[level].names.next() {
                None => {
                    self.levels.pop();
                }
                Some(name) => match self.step(level, name) {
                    Ok(None) => {}
                    Ok(Some(file)) => return Some(Ok(file)),
                    Err(error) => return Some(Err(error)),
                },
            }
        }
    }
}

impl Level {
    fn open(folder: Folder, prefix: String) -> Result<Self> {
        let mut names = names(&folder)?;
        // A folder stands where the paths in it do: `a-b` comes before `a/b`.
        names.sort_by(|one, other| one.order().cmp(other.order()));
        Ok(Self { folder, prefix, names: names.into_iter() })
    }
}

impl Name {
    fn order(&self) -> impl Iterator<Item = u8> + '_ {
        let end = (self.kind == FileType::Directory).then_some(b'/');
        self.text.bytes().chain(end)
    }
}

fn names(folder: &Folder) -> Result<Vec<Name>> {
    let read = |errno: rustix::io::Errno| failed("read", folder.path(), errno.into());
    let mut names = Vec::new();
    for entry in Dir::read_from(folder.descriptor()).map_err(read)? {
        let entry = entry.map_err(read)?;
        let raw = entry.file_name();
        if matches!(raw.to_bytes(), b"." | b"..") {
            continue;
        }
        let kind = match entry.file_type() {
            FileType::Unknown => rustix::fs::statat(folder.descriptor(), raw, AtFlags::SYMLINK_NOFOLLOW)
                .map_or(FileType::Unknown, |stat| FileType::from_raw_mode(stat.st_mode)),
            kind => kind,
        };
        names.push(Name { text: raw.to_string_lossy().into_owned(), kind, is_text: raw.to_str().is_ok() });
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_come_in_the_order_of_their_bytes_and_links_are_not_followed() {
        let root = tempfile::tempdir().unwrap();
        for path in ["a/b", "a/c/d", "a-b", "a.c", "b", "ü/x"] {
            std::fs::create_dir_all(root.path().join(path).parent().unwrap()).unwrap();
            std::fs::write(root.path().join(path), path).unwrap();
        }
        std::os::unix::fs::symlink("a", root.path().join("aa")).unwrap();
        let walk = Walk::new(Folder::open_root(root.path()).unwrap()).unwrap();
        let found: Vec<StandingFile> = walk.map(|file| file.unwrap()).collect();
        let paths: Vec<&str> = found.iter().map(|file| file.path.as_str()).collect();
        assert_eq!(paths, ["a-b", "a.c", "a/b", "a/c/d", "aa", "b", "ü/x"]);
        assert!(paths.is_sorted());
        assert_eq!(found[4].size_bytes, None, "a link is no file");
    }
}
