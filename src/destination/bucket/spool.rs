//! Temporary storage for manifests and listings: memory up to a limit, a file beyond it.

use std::io::{self, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use tempfile::SpooledTempFile;

use crate::destination::failure::failed;
use crate::destination::ledger::{RandomAccess, ReadFrom};
use crate::error::Result;
use crate::export::Object;
use crate::plan::ObjectLines;

/// What is needed of a partition's listing stays in memory up to this many bytes, and goes into a
/// file without a name beyond. Bytes of objects never do.
const MEMORY_BYTES_MAX: usize = 512 * 1024;

/// Bytes in memory, and in a file without a name once they are many.
pub(super) struct Spool(Mutex<SpooledTempFile>);

impl Spool {
    pub fn new(spill_folder: &Path) -> Self {
        Self(Mutex::new(tempfile::spooled_tempfile_in(MEMORY_BYTES_MAX, spill_folder)))
    }

    /// Works on the file.
    pub fn with<T>(&self, work: impl FnOnce(&mut SpooledTempFile) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl RandomAccess for Spool {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.with(|file| {
            file.seek(SeekFrom::Start(offset))?;
            file.read(buffer)
        })
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.with(|file| {
            file.seek(SeekFrom::Start(offset))?;
            file.write_all(bytes)
        })
    }

    fn length_bytes(&self) -> io::Result<u64> {
        self.with(|file| file.seek(SeekFrom::End(0)))
    }
}

/// A list of objects, however long.
pub(super) struct ObjectList {
    spool: Spool,
    spill_folder: std::path::PathBuf,
    length_bytes: u64,
    objects: u64,
}

impl ObjectList {
    pub fn new(spill_folder: &Path) -> Self {
        Self { spool: Spool::new(spill_folder), spill_folder: spill_folder.to_owned(), length_bytes: 0, objects: 0 }
    }

    pub fn push(&mut self, key: &str, size_bytes: u64) -> Result<()> {
        let told = |cause| failed("write below", &self.spill_folder, cause);
        let object = Object { key: key.to_owned(), size_bytes, ..Object::default() };
        let mut line = serde_json::to_vec(&object).map_err(|cause| told(cause.into()))?;
        line.push(b'\n');
        self.spool.write_all_at(&line, self.length_bytes).map_err(told)?;
        self.length_bytes += line.len() as u64;
        self.objects += 1;
        Ok(())
    }

    pub fn is_empty(&self) -> bool {
        self.objects == 0
    }

    pub fn iter(&self) -> ObjectLines<BufReader<ReadFrom<&Spool>>> {
        ObjectLines::new(BufReader::new(ReadFrom::new(&self.spool, 0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_list_comes_back_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let mut list = ObjectList::new(folder.path());
        for size_bytes in 0..5_000 {
            list.push(&format!("{size_bytes:0200}"), size_bytes).unwrap();
        }
        for _ in 0..2 {
            assert!(list.iter().map(|object| object.unwrap().size_bytes).eq(0..5_000));
        }
    }

    #[test]
    fn bytes_are_written_at_offsets_behind_the_end() {
        let spool = Spool::new(&std::env::temp_dir());
        spool.write_all_at(b"end", 10).unwrap();
        let mut bytes = [1; 13];
        assert_eq!(spool.read_at(&mut bytes, 0).unwrap(), 13);
        assert_eq!(&bytes, b"\0\0\0\0\0\0\0\0\0\0end");
        assert_eq!(spool.read_at(&mut bytes, 13).unwrap(), 0);
    }
}
