//! Locks on partitions: held by the operating system, so that a dead holder's lock does not hold.

use std::fs::{File, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;

use super::folder::Folder;
use crate::destination::failure::failed;
use crate::error::{Error, ErrorKind, Result};
use crate::export::{NameRules, Partition, printable};

/// The folder of a destination's locks, and how they are used.
#[derive(Clone)]
pub(super) struct Locks {
    folder: Arc<Folder>,
    /// The maximum length of a lock file's name in bytes.
    name_bytes_max: usize,
    /// Whether locks are taken at all: some mounts have none.
    are_taken: bool,
}

/// A lock that is held until dropped.
pub(super) struct Lock {
    /// The folder and the name of the lock file, and the open file that keeps the lock; nothing where
    /// locks are not taken.
    _held: Option<HeldLocks>,
}

struct HeldLocks {
    folder: Arc<Folder>,
    name: String,
    _file: File,
}

impl Locks {
    /// Locks in a folder that holds names of up to `name_bytes_max` bytes.
    pub fn new(folder: Folder, name_bytes_max: usize, are_taken: bool) -> Self {
        Self { folder: Arc::new(folder), name_bytes_max, are_taken }
    }

    /// Takes a partition's lock and notes the holder in it.
    ///
    /// # Errors
    /// [`ErrorKind::Held`] with the holder's own words; [`ErrorKind::DestinationUnusable`] where the mount
    /// has no locks.
    pub fn take(&self, partition: &Partition, holder: &str) -> Result<Lock> {
        let name = format!("{}.{}", partition.type_name.folder(), partition.date_folder());
        self.take_named(&name, &partition.to_string(), holder)
    }

    /// Takes the lock called `name`, of what is called `what` in messages.
    ///
    /// # Errors
    /// As [`Locks::take`].
    pub fn take_named(&self, name: &str, what: &str, holder: &str) -> Result<Lock> {
        if !self.are_taken {
            return Ok(Lock { _held: None });
        }
        let mut rules = NameRules::default();
        rules.limit(self.name_bytes_max);
        let name = format!("{name}.lock");
        let name = rules.name_of(&name);
        loop {
            let mut file = self.folder.open_or_create_file(&name)?;
            let told = |cause| failed("lock", &self.folder.path().join(&*name), cause);
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Err(held(what, &mut file)),
                // The file stays: this may be a moment's lack of locks, and another run may hold it.
                Err(TryLockError::Error(cause)) if is_without_locks(&cause) => {
                    return Err(without_locks(self.folder.path()).with_cause(cause));
                }
                Err(TryLockError::Error(cause)) => return Err(told(cause)),
            }
            // A holder removes the file when done; then this is the lock of a file without a name.
            if self.folder.inode_of(&name) == Some(file.metadata().map_err(told)?.ino()) {
                file.set_len(0).map_err(told)?;
                file.write_all(holder.as_bytes()).map_err(told)?;
                return Ok(Lock {
                    _held: Some(HeldLocks { folder: self.folder.clone(), name: name.into_owned(), _file: file }),
                });
            }
        }
    }

    /// Removes the lock files of runs that were killed. They hold nothing and only mislead.
    pub fn sweep(&self) -> Result<()> {
        for (name, _) in self.folder.entries()? {
            // Another user's lock is for that user to remove.
            let Ok(Some(file)) = self.folder.file(&name) else { continue };
            if name.ends_with(".lock") {
                self.remove_if_dead(&name, &file)?;
            }
        }
        Ok(())
    }

    /// Removes a lock file that nobody holds. A name is only ever removed by whoever holds the very file that has it:
    /// since this one was opened its holder may have ended, and another run made a file of the same name.
    fn remove_if_dead(&self, name: &str, file: &File) -> Result<()> {
        // Whoever has opened the file by now, and locks it after this, sees that it has lost its name.
        let is_dead = file.try_lock().is_ok();
        let told = |cause| failed("lock", &self.folder.path().join(name), cause);
        if is_dead && self.folder.inode_of(name) == Some(file.metadata().map_err(told)?.ino()) {
            self.folder.remove_file(name)?;
        }
        Ok(())
    }
}

/// Whether a file system or its mount does not have locks: Lustre without `-o flock`, NFS without a
/// lock service, some FUSE file systems.
fn is_without_locks(cause: &io::Error) -> bool {
    use rustix::io::Errno;
    let errno = Errno::from_io_error(cause);
    [Errno::NOSYS, Errno::NOLCK, Errno::OPNOTSUPP, Errno::NOTSUP].into_iter().any(|without| errno == Some(without))
}

fn without_locks(folder: &Path) -> Error {
    Error::new(ErrorKind::DestinationUnusable, format!("{} is on a mount without file locks", folder.display()))
        .with_hint(
            "mount it with locks (Lustre: -o flock; NFS: a lock service, or local_lock=flock where one machine \
             writes); or give --no-lock if no two runs work there at once",
        )
}

impl Drop for HeldLocks {
    fn drop(&mut self) {
        // A lock file that stays is harmless: it is the open file that holds, not the name.
        let _ = self.folder.remove_file(&self.name);
    }
}

fn held(what: &str, file: &mut File) -> Error {
    let mut holder = String::new();
    let _ = file.take(200).read_to_string(&mut holder);
    let holder = if holder.is_empty() { "another run".to_owned() } else { printable(&holder).into_owned() };
    Error::new(ErrorKind::Held, format!("{what} is held by {holder}"))
        .with_hint("wait for that run to end; its lock ends with it even if it is killed")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::TypeName;

    fn locks(root: &tempfile::TempDir, are_taken: bool) -> Locks {
        Locks::new(Folder::open_root(root.path()).unwrap(), 143, are_taken)
    }

    fn partition(type_name: &str) -> Partition {
        Partition { type_name: TypeName::parse(type_name).unwrap(), date: "2026-11-20".parse().unwrap() }
    }

    #[test]
    fn the_second_holder_is_told_who_the_first_is() {
        let root = tempfile::tempdir().unwrap();
        let locks = locks(&root, true);
        let first = locks.take(&partition("events"), "process 7 on host a").unwrap();
        let error = locks.take(&partition("events"), "process 8").err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Held);
        assert!(error.to_string().contains("process 7 on host a"), "{error}");
        drop(first);
        assert!(locks.take(&partition("events"), "process 8").is_ok());
    }

    #[test]
    fn a_swept_lock_is_not_the_next_holders() {
        let root = tempfile::tempdir().unwrap();
        let locks = locks(&root, true);
        let first = locks.take(&partition("events"), "").unwrap();
        let name = "type=events.date=2026-11-20.lock";
        let opened = locks.folder.file(name).unwrap().unwrap();
        drop(first);
        // Before the sweeping run comes to lock what it has opened, another one has the name.
        let _second = locks.take(&partition("events"), "process 7").unwrap();
        locks.remove_if_dead(name, &opened).unwrap();
        assert!(locks.take(&partition("events"), "process 8").is_err(), "two would hold it");
    }

    #[test]
    fn the_locks_of_dead_runs_are_swept() {
        let root = tempfile::tempdir().unwrap();
        let locks = locks(&root, true);
        let _held = locks.take(&partition("events"), "").unwrap();
        std::fs::write(root.path().join("type=decisions.date=2026-11-20.lock"), "process 7, killed").unwrap();
        locks.sweep().unwrap();
        let names: Vec<String> = locks.folder.entries().unwrap().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["type=events.date=2026-11-20.lock"]);
    }

    #[test]
    fn the_lock_of_a_long_type_name_has_a_name_that_fits() {
        let root = tempfile::tempdir().unwrap();
        let locks = locks(&root, true);
        let long = "x".repeat(130);
        let one = locks.take(&partition(&long), "").unwrap();
        let other = locks.take(&partition(&format!("{long}y")), "").unwrap();
        assert!(locks.take(&partition(&long), "").is_err());
        let names = locks.folder.entries().unwrap();
        assert!(names.iter().all(|(name, _)| name.len() <= 143 && name.ends_with(".lock")), "{names:?}");
        drop((one, other));
        assert!(locks.folder.entries().unwrap().is_empty());
    }

    #[test]
    fn without_locks_nothing_is_held_and_no_file_is_made() {
        let root = tempfile::tempdir().unwrap();
        let locks = locks(&root, false);
        let _first = locks.take(&partition("events"), "").unwrap();
        assert!(locks.take(&partition("events"), "").is_ok());
        assert!(locks.folder.entries().unwrap().is_empty());
    }
}
