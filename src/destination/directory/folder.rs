//! An open folder: the one way to reach what is below the destination.

use std::ffi::CStr;
use std::fs::File;
use std::io::Read as _;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, RenameFlags};

use crate::destination::failure::{failed, failed_by_name, failed_to_rename};
use crate::error::{Error, ErrorKind, Result};

/// An open folder. Everything below it is reached from here name by name and never through a link,
/// so that no key and no link planted in the destination leads elsewhere (design.md section 3).
#[derive(Debug)]
pub(super) struct Folder {
    descriptor: OwnedFd,
    /// Only for messages.
    path: PathBuf,
}

const FOLDER_FLAGS: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

impl Folder {
    /// Opens the destination itself, which may be reached through links as its owner likes.
    pub fn open_root(path: &Path) -> Result<Self> {
        let descriptor = rustix::fs::openat(CWD, path, FOLDER_FLAGS, Mode::empty())
            .map_err(|errno| failed("open", path, errno.into()))?;
        Ok(Self { descriptor, path: path.to_owned() })
    }

    /// Where the folder is, for messages.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Opens a folder in this one; `None` where there is none.
    pub fn child(&self, name: &str) -> Result<Option<Self>> {
        self.check_plain(name)?;
        match rustix::fs::openat(&self.descriptor, name, FOLDER_FLAGS | OFlags::NOFOLLOW, Mode::empty()) {
            Ok(descriptor) => Ok(Some(Self { descriptor, path: self.path.join(name) })),
            Err(rustix::io::Errno::NOENT) => Ok(None),
            Err(errno) => Err(self.no_folder(name, errno)),
        }
    }

    /// Opens a folder in this one and makes it first where there is none.
    pub fn create_child(&self, name: &str) -> Result<Self> {
        if let Some(child) = self.child(name)? {
            return Ok(child);
        }
        match rustix::fs::mkdirat(&self.descriptor, name, Mode::from_raw_mode(0o777)) {
            Ok(()) | Err(rustix::io::Errno::EXIST) => {}
            Err(errno) => return Err(failed_by_name("create", &self.path.join(name), errno)),
        }
        self.child(name)?.ok_or_else(|| self.no_folder(name, rustix::io::Errno::NOENT))
    }

    /// Opens the folder at a path of several names, made first where missing.
    pub fn create_descendant(&self, path: &str) -> Result<Self> {
        let mut names = path.split('/').filter(|name| !name.is_empty());
        let first = names.next().ok_or_else(|| self.no_folder(path, rustix::io::Errno::INVAL))?;
        names.try_fold(self.create_child(first)?, |folder, name| folder.create_child(name))
    }

    /// Opens the folder at a path of several names; `None` where there is none.
    pub fn descendant(&self, path: &str) -> Result<Option<Self>> {
        let mut folder: Option<Self> = None;
        for name in path.split('/').filter(|name| !name.is_empty()) {
            match folder.as_ref().unwrap_or(self).child(name)? {
                Some(child) => folder = Some(child),
                None => return Ok(None),
            }
        }
        Ok(folder)
    }

    /// Makes a file, open for writing and reading. One that is there already is removed first and
    /// not emptied: it may be a second name of a file that somebody reads.
    pub fn create_file(&self, name: &str) -> Result<File> {
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::RDWR;
        match self.open_with(name, flags) {
            Err(_) if self.inode_of(name).is_some() => {
                self.remove_file(name)?;
                self.open_with(name, flags)
            }
            opened => opened,
        }
    }

    /// Opens a file for writing and reading, made first where missing, its content kept.
    pub fn open_or_create_file(&self, name: &str) -> Result<File> {
        self.open_with(name, OFlags::CREATE | OFlags::RDWR)
    }

    fn open_with(&self, name: &str, flags: OFlags) -> Result<File> {
        self.check_plain(name)?;
        let flags = flags | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        rustix::fs::openat(&self.descriptor, name, flags, Mode::from_raw_mode(0o666))
            .map(File::from)
            .map_err(|errno| failed_by_name("create", &self.path.join(name), errno))
    }

    /// The bytes of a file; `None` where there is none.
    pub fn file_bytes(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let Some(mut file) = self.file(name)? else { return Ok(None) };
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(|cause| failed("read", &self.path.join(name), cause))?;
        Ok(Some(bytes))
    }

    /// Opens a file for reading; `None` where there is none.
    pub fn file(&self, name: &str) -> Result<Option<File>> {
        self.check_plain(name)?;
        // Without NONBLOCK a pipe of that name would keep us waiting for a writer.
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        match rustix::fs::openat(&self.descriptor, name, flags, Mode::empty()) {
            Ok(descriptor) => Ok(Some(File::from(descriptor))),
            Err(rustix::io::Errno::NOENT) => Ok(None),
            Err(errno) => Err(failed("open", &self.path.join(name), errno.into())),
        }
    }

    /// Sees that a name is one name, so that no call here leads out of the folder.
    fn check_plain(&self, name: &str) -> Result<()> {
        if matches!(name, "" | "." | "..") || name.contains(['/', '\0']) {
            let what = format!("`{}` is no name in {}", crate::export::printable(name), self.path.display());
            return Err(Error::new(ErrorKind::KeyRefused, what));
        }
        Ok(())
    }

    /// The size of a file; `None` where there is no regular file of that name.
    pub fn file_size_bytes(&self, name: &str) -> Option<u64> {
        let stat = rustix::fs::statat(&self.descriptor, name, AtFlags::SYMLINK_NOFOLLOW).ok()?;
        let is_file = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
        is_file.then(|| u64::try_from(stat.st_size).ok()).flatten()
    }

    /// The inode of an entry; `None` where there is none.
    pub fn inode_of(&self, name: &str) -> Option<u64> {
        rustix::fs::statat(&self.descriptor, name, AtFlags::SYMLINK_NOFOLLOW).ok().map(|stat| stat.st_ino)
    }

    /// Renames an entry into another folder, replacing a file of that name; the system's own error.
    pub fn try_rename(&self, name: &str, to: &Self, to_name: &str) -> rustix::io::Result<()> {
        rustix::fs::renameat(&self.descriptor, name, &to.descriptor, to_name)
    }

    /// Renames an entry into another folder, replacing a file of that name.
    pub fn rename(&self, name: &str, to: &Self, to_name: &str) -> Result<()> {
        self.try_rename(name, to, to_name).map_err(|errno| failed_to_rename("rename", &to.path.join(to_name), errno))
    }

    /// Renames an entry into another folder unless there is one of that name; says whether it did.
    pub fn rename_if_free(&self, name: &str, to: &Self, to_name: &str) -> Result<bool> {
        match rename_with(self, name, to, to_name, RenameFlags::NOREPLACE) {
            Ok(()) => Ok(true),
            Err(rustix::io::Errno::EXIST) => Ok(false),
            Err(errno) if is_unsupported(errno) => self.rename_if_seen_free(name, to, to_name),
            Err(errno) => Err(failed_to_rename("rename", &to.path.join(to_name), errno)),
        }
    }

    /// For file systems without an exclusive rename; the target folder is ours alone.
    fn rename_if_seen_free(&self, name: &str, to: &Self, to_name: &str) -> Result<bool> {
        if to.inode_of(to_name).is_some() {
            return Ok(false);
        }
        self.rename(name, to, to_name).map(|()| true)
    }

    /// Swaps two entries in one atomic step; `false` where the file system cannot.
    pub fn exchange(&self, name: &str, with: &Self, with_name: &str) -> Result<bool> {
        match rename_with(self, name, with, with_name, RenameFlags::EXCHANGE) {
            Ok(()) => Ok(true),
            Err(errno) if is_unsupported(errno) => Ok(false),
            Err(errno) => Err(failed_to_rename("swap", &with.path.join(with_name), errno)),
        }
    }

    /// Gives a file a second name; says whether the name was free and the file system could.
    pub fn link(&self, name: &str, to: &Self, to_name: &str) -> Result<Linked> {
        use rustix::io::Errno;
        match rustix::fs::linkat(&self.descriptor, name, &to.descriptor, to_name, AtFlags::empty()) {
            Ok(()) => Ok(Linked::Done),
            Err(Errno::EXIST) => Ok(Linked::NameTaken),
            Err(Errno::PERM | Errno::MLINK | Errno::OPNOTSUPP | Errno::NOSYS | Errno::XDEV) => Ok(Linked::Unsupported),
            Err(errno) => Err(failed_by_name("link", &to.path.join(to_name), errno)),
        }
    }

    /// Removes a file, if there is one.
    pub fn remove_file(&self, name: &str) -> Result<()> {
        match rustix::fs::unlinkat(&self.descriptor, name, AtFlags::empty()) {
            Ok(()) | Err(rustix::io::Errno::NOENT) => Ok(()),
            Err(errno) => Err(failed("remove", &self.path.join(name), errno.into())),
        }
    }

    /// Removes a folder if there is nothing in it.
    pub fn remove_if_empty(&self, name: &str) {
        // One that is not empty is in use, and one that stays does no harm.
        let _ = rustix::fs::unlinkat(&self.descriptor, name, AtFlags::REMOVEDIR);
    }

    /// The names in the folder and what they are, in no order. Names that are not text are left out:
    /// nothing here makes any.
    pub fn entries(&self) -> Result<Vec<(String, FileType)>> {
        let read = |errno: rustix::io::Errno| failed("read", &self.path, errno.into());
        let mut entries = Vec::new();
        for entry in Dir::read_from(&self.descriptor).map_err(read)? {
            let entry = entry.map_err(read)?;
            let Some(name) = name_of(entry.file_name()) else { continue };
            let kind = match entry.file_type() {
                FileType::Unknown => self.kind_of(&name),
                kind => kind,
            };
            entries.push((name, kind));
        }
        Ok(entries)
    }

    fn kind_of(&self, name: &str) -> FileType {
        rustix::fs::statat(&self.descriptor, name, AtFlags::SYMLINK_NOFOLLOW)
            .map_or(FileType::Unknown, |stat| FileType::from_raw_mode(stat.st_mode))
    }

    /// Makes the folder's own entries durable, where the file system can: some have no such operation
    /// for folders and keep their names in another way (docs/SEMANTICS.md promise 6).
    pub fn sync(&self) -> Result<()> {
        use rustix::io::Errno;
        match rustix::fs::fsync(&self.descriptor) {
            Ok(()) => Ok(()),
            Err(errno) if is_unsupported(errno) || errno == Errno::BADF => Ok(()),
            Err(errno) => Err(failed("make durable", &self.path, errno.into())),
        }
    }

    /// The folder's descriptor, for what concerns the whole file system.
    pub fn descriptor(&self) -> &OwnedFd {
        &self.descriptor
    }

    fn no_folder(&self, name: &str, errno: rustix::io::Errno) -> Error {
        let path = self.path.join(name);
        match errno {
            rustix::io::Errno::NOTDIR | rustix::io::Errno::LOOP => {
                Error::new(ErrorKind::PlaceTaken, format!("{} is a link or a file, not a folder", path.display()))
                    .with_hint(
                        "links inside a destination are not followed; move it away, or choose another destination",
                    )
            }
            _ => failed_by_name("open", &path, errno),
        }
    }
}

/// Whether the file system does not have this operation, as opposed to refusing it.
pub(super) fn is_unsupported(errno: rustix::io::Errno) -> bool {
    use rustix::io::Errno;
    errno == Errno::INVAL || errno == Errno::NOSYS || errno == Errno::NOTSUP || errno == Errno::OPNOTSUPP
}

/// What came of giving a file a second name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Linked {
    /// The file has the name.
    Done,
    /// Another file has it.
    NameTaken,
    /// The file system has no second names, or no more of them.
    Unsupported,
}

#[cfg(any(target_os = "linux", target_vendor = "apple"))]
fn rename_with(from: &Folder, name: &str, to: &Folder, to_name: &str, flags: RenameFlags) -> rustix::io::Result<()> {
    rustix::fs::renameat_with(&from.descriptor, name, &to.descriptor, to_name, flags)
}

#[cfg(not(any(target_os = "linux", target_vendor = "apple")))]
fn rename_with(_: &Folder, _: &str, _: &Folder, _: &str, _: RenameFlags) -> rustix::io::Result<()> {
    Err(rustix::io::Errno::NOSYS)
}

fn name_of(name: &CStr) -> Option<String> {
    let name = name.to_str().ok()?;
    (name != "." && name != "..").then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn no_call_goes_through_a_link() {
        let root = tempfile::tempdir().unwrap();
        let (inside, elsewhere) = (root.path().join("inside"), root.path().join("elsewhere"));
        std::fs::create_dir_all(&inside).unwrap();
        std::fs::create_dir_all(&elsewhere).unwrap();
        std::fs::write(elsewhere.join("file"), "theirs").unwrap();
        symlink(&elsewhere, inside.join("folder")).unwrap();
        symlink(elsewhere.join("file"), inside.join("file")).unwrap();
        symlink(elsewhere.join("new"), inside.join("dangling")).unwrap();

        let folder = Folder::open_root(&inside).unwrap();
        assert!(folder.child("folder").is_err());
        assert!(folder.create_child("folder").is_err());
        assert!(folder.file("file").is_err());
        assert_eq!(folder.file_size_bytes("file"), None);
        assert!(folder.open_or_create_file("file").is_err());
        assert!(folder.open_or_create_file("dangling").is_err());
        drop(folder.create_file("file").unwrap());
        assert_eq!(std::fs::read_to_string(elsewhere.join("file")).unwrap(), "theirs");
        assert!(!elsewhere.join("new").exists());
    }

    #[test]
    fn a_name_that_the_file_system_cannot_hold_is_told_as_the_keys() {
        let root = tempfile::tempdir().unwrap();
        let folder = Folder::open_root(root.path()).unwrap();
        let long = "x".repeat(300);
        drop(folder.create_file("short").unwrap());
        for refused in [
            folder.create_child(&long).map(drop),
            folder.create_file(&long).map(drop),
            folder.rename("short", &folder, &long),
            folder.rename_if_free("short", &folder, &long).map(drop),
            folder.link("short", &folder, &long).map(drop),
        ] {
            assert_eq!(refused.unwrap_err().kind(), ErrorKind::KeyRefused);
        }
    }
}
