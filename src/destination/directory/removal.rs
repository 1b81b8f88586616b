//! Deleting files that are known by name and size, and nothing else: no folder is removed with
//! whatever is in it (design.md section 3).

use rustix::fs::FileType;

use super::folder::Folder;
use super::walk::Walk;
use crate::error::{ErrorKind, Result};
use crate::export::SUCCESS_MARKER;

/// What the names of files begin with that are deleted on a network file system and still open.
const STILL_OPEN: &str = ".nfs";

/// What is left of a folder after its known files were deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rest {
    /// Nothing: the folder is gone.
    Nothing,
    /// Only what cannot be deleted yet: files that somebody has open, folders that cannot be removed.
    Undeletable,
    /// Files that somebody else put there.
    Foreign,
}

/// Deletes files of a set, keeping the first failure until all others are deleted.
pub(super) struct Remover<'a> {
    set: &'a Folder,
    /// Files come in the order of their names, so most lie in the same folder as the one before.
    last_folder: Option<(String, Option<Folder>)>,
    failure: Result<()>,
}

impl<'a> Remover<'a> {
    /// Deletes files below `set`.
    pub fn new(set: &'a Folder) -> Self {
        Self { set, last_folder: None, failure: Ok(()) }
    }

    /// Deletes the file at `path` if it has this size.
    pub fn remove(&mut self, path: &str, size_bytes: u64) {
        if let Err(error) = self.try_remove(path, size_bytes)
            && self.failure.is_ok()
        {
            self.failure = Err(error);
        }
    }

    fn try_remove(&mut self, path: &str, size_bytes: u64) -> Result<()> {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        if !folder.is_empty() && self.last_folder.as_ref().is_none_or(|(last, _)| last != folder) {
            let opened = match self.set.descendant(folder) {
                // A link or a file in the place of a folder was not made here, nor what is behind it.
                Err(error) if error.kind() == ErrorKind::PlaceTaken => None,
                opened => opened?,
            };
            self.last_folder = Some((folder.to_owned(), opened));
        }
        let holder = match &self.last_folder {
            Some((_, opened)) if !folder.is_empty() => opened.as_ref(),
            _ => Some(self.set),
        };
        match holder.filter(|holder| holder.file_size_bytes(name) == Some(size_bytes)) {
            Some(holder) => holder.remove_file(name),
            None => Ok(()),
        }
    }

    /// Deletes the marker of a complete day and every folder that is empty by now.
    ///
    /// # Errors
    /// The first failure, after all that can be deleted was.
    pub fn finish(mut self) -> Result<()> {
        self.remove(SUCCESS_MARKER, 0);
        let pruned = prune(self.set);
        self.failure.and(pruned)
    }
}

/// Removes the folder `name` if it is empty by now, and finds out what is left in it if not.
pub(super) fn remove_emptied(parent: &Folder, name: &str) -> Result<Rest> {
    parent.remove_if_empty(name);
    let Some(folder) = parent.child(name)? else { return Ok(Rest::Nothing) };
    for file in Walk::new(folder)? {
        let path = file?.path;
        let name = path.rsplit_once('/').map_or(path.as_str(), |(_, name)| name);
        if !name.starts_with(STILL_OPEN) {
            return Ok(Rest::Foreign);
        }
    }
    Ok(Rest::Undeletable)
}

/// Removes the empty folders below a folder.
fn prune(folder: &Folder) -> Result<()> {
    for (name, kind) in folder.entries()? {
        if kind != FileType::Directory {
            continue;
        }
        if let Some(child) = folder.child(&name)? {
            prune(&child)?;
            folder.remove_if_empty(&name);
        }
    }
    Ok(())
}

/// Deletes the files of a folder whose names this tool makes, and the folder if it is empty then.
pub(super) fn remove_known(parent: &Folder, name: &str, is_ours: impl Fn(&str) -> bool) -> Result<()> {
    if let Some(folder) = parent.child(name)? {
        for (file, _) in folder.entries()?.iter().filter(|(file, _)| is_ours(file)) {
            folder.remove_file(file)?;
        }
    }
    parent.remove_if_empty(name);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_named_with_its_size_is_deleted() {
        let root = tempfile::tempdir().unwrap();
        let set = root.path().join("set");
        for path in ["a/b/one", "a/b/two", "a/c", "d/e/f", "_SUCCESS"] {
            std::fs::create_dir_all(set.join(path).parent().unwrap()).unwrap();
            std::fs::write(set.join(path), if path == "_SUCCESS" { "" } else { path }).unwrap();
        }
        std::fs::create_dir(root.path().join("elsewhere")).unwrap();
        std::fs::write(root.path().join("elsewhere/g"), "theirs").unwrap();
        std::os::unix::fs::symlink("../elsewhere", set.join("link")).unwrap();
        let parent = Folder::open_root(root.path()).unwrap();
        let folder = parent.child("set").unwrap().unwrap();
        let mut remover = Remover::new(&folder);
        for (path, size_bytes) in [("a/b/one", 7), ("a/b/two", 8), ("a/c", 3), ("d/e/f", 5), ("link/g", 6)] {
            remover.remove(path, size_bytes);
        }
        remover.finish().unwrap();
        assert_eq!(remove_emptied(&parent, "set").unwrap(), Rest::Foreign);
        assert!(set.join("a/b/two").exists() && set.join("link").is_symlink(), "another size, and a link");
        assert!(root.path().join("elsewhere/g").exists());
        assert!(!set.join("a/c").exists() && !set.join("d").exists() && !set.join("_SUCCESS").exists());

        std::fs::rename(set.join("a/b/two"), set.join("a/b/.nfs0001")).unwrap();
        std::fs::remove_file(set.join("link")).unwrap();
        assert_eq!(remove_emptied(&parent, "set").unwrap(), Rest::Undeletable);
        std::fs::remove_file(set.join("a/b/.nfs0001")).unwrap();
        Remover::new(&folder).finish().unwrap();
        assert_eq!(remove_emptied(&parent, "set").unwrap(), Rest::Nothing);
    }
}
