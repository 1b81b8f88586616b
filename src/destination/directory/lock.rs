use std::fs::{File, TryLockError};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::sync::Arc;

use super::folder::Folder;
use crate::destination::failure::failed;
use crate::error::{Error, ErrorKind, Result};
use crate::export::{Partition, printable};

/// A partition's lock: held by the operating system, so that a dead holder's lock does not hold.
pub(super) struct Lock {
    folder: Arc<Folder>,
    name: String,
    /// Keeps the lock for as long as it is open.
    _file: File,
}

impl Lock {
    /// Takes the lock in `folder` and notes the holder in it.
    ///
    /// # Errors
    /// [`ErrorKind::Held`] with the holder's own words.
    pub fn take(folder: &Arc<Folder>, partition: &Partition, holder: &str) -> Result<Self> {
        let name = format!("{}.{}", partition.type_name.folder(), partition.date_folder());
        Self::take_named(folder, &name, &partition.to_string(), holder)
    }

    /// Takes the lock called `name`, of what is called `what` in messages.
    ///
    /// # Errors
    /// As [`Lock::take`].
    pub fn take_named(folder: &Arc<Folder>, name: &str, what: &str, holder: &str) -> Result<Self> {
        let name = format!("{name}.lock");
        loop {
            let mut file = folder.open_or_create_file(&name)?;
            let told = |cause| failed("lock", &folder.path().join(&name), cause);
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Err(held(what, &mut file)),
                Err(TryLockError::Error(cause)) => return Err(told(cause)),
            }
            // A holder removes the file when done; then this is the lock of a file without a name.
            if folder.inode_of(&name) == Some(file.metadata().map_err(told)?.ino()) {
                file.set_len(0).map_err(told)?;
                file.write_all(holder.as_bytes()).map_err(told)?;
                return Ok(Self { folder: folder.clone(), name, _file: file });
            }
        }
    }
}

/// Removes the lock files of runs that were killed. They hold nothing, they only lie about.
pub(super) fn sweep(folder: &Folder) -> Result<()> {
    for (name, _) in folder.entries()? {
        // Another user's lock is for that user to remove.
        let Ok(Some(file)) = folder.file(&name) else { continue };
        // Whoever opens the file now, and locks it after this, sees that it has lost its name.
        if name.ends_with(".lock") && file.try_lock().is_ok() {
            folder.remove_file(&name)?;
        }
    }
    Ok(())
}

impl Drop for Lock {
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

    #[test]
    fn the_second_holder_is_told_who_the_first_is() {
        let root = tempfile::tempdir().unwrap();
        let folder = Arc::new(Folder::open_root(root.path()).unwrap());
        let partition =
            Partition { type_name: TypeName::parse("events").unwrap(), date: "2026-11-20".parse().unwrap() };
        let first = Lock::take(&folder, &partition, "process 7 on host a").unwrap();
        let error = Lock::take(&folder, &partition, "process 8").err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Held);
        assert!(error.to_string().contains("process 7 on host a"), "{error}");
        drop(first);
        assert!(Lock::take(&folder, &partition, "process 8").is_ok());
    }
}
