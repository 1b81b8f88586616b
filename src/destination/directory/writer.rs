//! Writes one object into a directory's pool of staged files.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;

use super::folder::Folder;
use super::ledger::Ledger;
use super::shared::of_partition;
use crate::destination::failure::failed;
use crate::destination::record::{Place, Record};
use crate::destination::{ObjectWriter, Work};
use crate::error::Result;
use crate::export::Checksums;
use crate::hash::ObjectHasher;
use crate::manifest::{VerifiedContent, from_hex, to_hex};

/// Objects up to this size are fetched again from their beginning after a kill.
const RESUMABLE_BYTES_MIN: u64 = 8 * 1024 * 1024;

/// Writes one object into the pool.
///
/// The calls block: on a local disk that costs less than handing each chunk to another thread.
pub(super) struct DirectoryWriter {
    file: File,
    path: std::path::PathBuf,
    size_bytes: u64,
    index: u64,
    run: u64,
    ledger: Arc<Ledger>,
    checkpoints: Option<Checkpoints>,
}

/// How far a large object is: a file with a line `END SHA256` for each end of verified bytes.
struct Checkpoints {
    folder: Arc<Folder>,
    name: String,
    file: Mutex<File>,
}

impl DirectoryWriter {
    /// Opens the object's file in the pool; the bytes that a former run is known to have written
    /// are kept and taken into `hasher`.
    pub fn open(
        pool: &Folder,
        checkpoints: &Arc<Folder>,
        name: String,
        work: &Work,
        ledger: Arc<Ledger>,
        run: u64,
        hasher: ObjectHasher,
    ) -> Result<(Self, ObjectHasher)> {
        let path = pool.path().join(&name);
        let is_resumable = work.object.size_bytes >= RESUMABLE_BYTES_MIN;
        let file = if is_resumable { pool.open_or_create_file(&name)? } else { pool.create_file(&name)? };
        let mut writer =
            Self { file, path, size_bytes: work.object.size_bytes, index: work.index, run, ledger, checkpoints: None };
        if !is_resumable {
            return Ok((writer, hasher));
        }
        let hasher = match checkpoints.file(&name)? {
            Some(notes) => writer.rehash(&notes, hasher)?,
            None => hasher,
        };
        let file = Mutex::new(checkpoints.create_file(&name)?);
        writer.checkpoints = Some(Checkpoints { folder: checkpoints.clone(), name, file });
        if hasher.length_bytes() > 0 {
            writer.note(hasher.length_bytes(), hasher.sha256_so_far())?;
        }
        Ok((writer, hasher))
    }

    /// Takes the file's bytes into the hasher as far as they agree with the notes.
    fn rehash(&self, notes: &File, mut hasher: ObjectHasher) -> Result<ObjectHasher> {
        for line in BufReader::new(notes).lines() {
            let Some((end, sha256)) = line.ok().as_deref().and_then(parse_note) else { break };
            if end <= hasher.length_bytes() || end > self.size_bytes {
                break;
            }
            match self.extend(hasher.clone(), end) {
                Some(extended) if extended.sha256_so_far() == sha256 => hasher = extended,
                // What is behind the last agreement is fetched again.
                _ => break,
            }
        }
        Ok(hasher)
    }

    /// The hasher with the file's bytes up to `end`; `None` where they cannot be read.
    fn extend(&self, mut hasher: ObjectHasher, end: u64) -> Option<ObjectHasher> {
        let mut buffer = vec![0; 128 * 1024];
        while hasher.length_bytes() < end {
            let wanted = usize::try_from(end - hasher.length_bytes()).unwrap_or(usize::MAX).min(buffer.len());
            self.file.read_exact_at(&mut buffer[..wanted], hasher.length_bytes()).ok()?;
            hasher.update(&buffer[..wanted]);
        }
        Some(hasher)
    }

    fn note(&self, end: u64, sha256: [u8; 32]) -> Result<()> {
        let Some(checkpoints) = &self.checkpoints else { return Ok(()) };
        let mut file = checkpoints.file.lock().unwrap_or_else(PoisonError::into_inner);
        writeln!(file, "{end} {}", to_hex(&sha256)).map_err(|cause| failed("write", &self.path, cause))
    }
}

fn parse_note(line: &str) -> Option<(u64, [u8; 32])> {
    let (end, sha256) = line.split_once(' ')?;
    Some((end.parse().ok()?, from_hex(sha256)?))
}

impl DirectoryWriter {
    fn end(&self, content: &VerifiedContent) -> Result<()> {
        if let Some(checkpoints) = &self.checkpoints {
            self.file.set_len(self.size_bytes).map_err(|cause| failed("write", &self.path, cause))?;
            checkpoints.folder.remove_file(&checkpoints.name)?;
        }
        let record = Record { place: Place::Staged { run: self.run }, content: Some(*content), stored_etag: None };
        self.ledger.set_record(self.index, record)
    }
}

#[async_trait]
impl ObjectWriter for DirectoryWriter {
    async fn write(&self, offset: u64, bytes: &Bytes) -> Result<()> {
        self.file.write_all_at(bytes, offset).map_err(|cause| failed("write", &self.path, cause)).map_err(of_partition)
    }

    fn read_back(&self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        let read = self.file.read_exact_at(buffer, offset);
        read.map_err(|cause| failed("read", &self.path, cause)).map_err(of_partition)
    }

    async fn end_part(&self, _range: Range<u64>) -> Result<()> {
        Ok(())
    }

    async fn checkpoint(&self, hasher: &ObjectHasher) -> Result<()> {
        self.note(hasher.length_bytes(), hasher.sha256_so_far()).map_err(of_partition)
    }

    async fn finish(&self, content: &VerifiedContent, _computed: &Checksums) -> Result<()> {
        self.end(content).map_err(of_partition)
    }
}
