//! Opens files below a folder without following any link.

use std::fs::File;

use super::folder::Folder;
use crate::error::Result;

impl Folder {
    /// Opens a file at a path of several names for reading, without following any link; `None` where
    /// there is none.
    pub fn file_beneath(&self, path: &str) -> Result<Option<File>> {
        #[cfg(target_os = "linux")]
        if let Some(opened) = self.open_at_once(path) {
            return opened;
        }
        match path.rsplit_once('/') {
            None => self.file(path),
            Some((folder, name)) => self.descendant(folder)?.map_or(Ok(None), |folder| folder.file(name)),
        }
    }

    /// One call instead of one for each name; `None` where the kernel does not have it, or cannot
    /// tell at this moment.
    #[cfg(target_os = "linux")]
    fn open_at_once(&self, path: &str) -> Option<Result<Option<File>>> {
        use rustix::fs::{Mode, OFlags, ResolveFlags};
        use rustix::io::Errno;
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        match rustix::fs::openat2(self.descriptor(), path, flags, Mode::empty(), resolve) {
            Ok(descriptor) => Some(Ok(Some(File::from(descriptor)))),
            Err(Errno::NOENT) => Some(Ok(None)),
            // Sandboxes refuse calls that they do not know.
            Err(Errno::NOSYS | Errno::AGAIN | Errno::PERM | Errno::INVAL) => None,
            // Name by name shows which one it is.
            Err(Errno::LOOP | Errno::NOTDIR | Errno::XDEV) => None,
            Err(errno) => Some(Err(crate::destination::failure::failed("open", &self.path().join(path), errno.into()))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_opened_beneath_and_never_through_a_link() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("inside/a/b")).unwrap();
        std::fs::write(root.path().join("inside/a/b/c"), "ours").unwrap();
        std::fs::write(root.path().join("theirs"), "theirs").unwrap();
        std::os::unix::fs::symlink("b", root.path().join("inside/a/link")).unwrap();
        std::os::unix::fs::symlink("../theirs", root.path().join("inside/file")).unwrap();
        let folder = Folder::open_root(&root.path().join("inside")).unwrap();
        assert!(folder.file_beneath("a/b/c").unwrap().is_some());
        assert!(folder.file_beneath("a/b/d").unwrap().is_none());
        for path in ["a/link/c", "file", "../theirs", "a/../../theirs"] {
            assert!(folder.file_beneath(path).is_err(), "{path}");
        }
    }
}
