//! Hashing files on threads for blocking work, as many at once as there are permits.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sha2::{Digest as _, Sha256};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::finding::Finding;
use crate::destination::{ByteTaker, PublishedFiles};
use crate::error::{Error, ErrorKind, Result};
use crate::export::Partition;
use crate::finding::FindingKind;
use crate::manifest::{Entry, ListingDigest};
use crate::progress::Counters;

/// Number of files handed to a thread at once, since handing over costs as much as a small file.
const BATCH_FILES_MAX: usize = 64;

/// A batch ends with the file that makes it this large.
const BATCH_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// What all hashing shares.
pub(super) struct Hashing {
    pub files: Arc<dyn PublishedFiles>,
    pub permits: Arc<Semaphore>,
    pub counters: Arc<Counters>,
    /// Set when the run is to end.
    pub is_stopped: Arc<AtomicBool>,
}

/// The files of one partition that are to be hashed.
pub(super) struct Batches {
    hashing: Arc<Hashing>,
    partition: Arc<Partition>,
    batch: Vec<Entry>,
    batch_bytes: u64,
    tasks: JoinSet<Result<Vec<Finding>>>,
    findings: Vec<Finding>,
}

impl Batches {
    pub fn new(hashing: Arc<Hashing>, partition: Arc<Partition>) -> Self {
        Self { hashing, partition, batch: Vec::new(), batch_bytes: 0, tasks: JoinSet::new(), findings: Vec::new() }
    }

    /// Adds a file; waits for a thread where a batch is full.
    pub async fn add(&mut self, entry: Entry) -> Result<()> {
        self.batch_bytes += entry.size_bytes;
        self.batch.push(entry);
        if self.batch.len() >= BATCH_FILES_MAX || self.batch_bytes >= BATCH_BYTES_MAX {
            self.send().await?;
        }
        Ok(())
    }

    async fn send(&mut self) -> Result<()> {
        while let Some(done) = self.tasks.try_join_next() {
            self.findings.extend(joined(done)?);
        }
        let permit = self.hashing.permits.clone().acquire_owned().await.map_err(broken_off)?;
        let (hashing, partition) = (self.hashing.clone(), self.partition.clone());
        let (batch, runtime) = (std::mem::take(&mut self.batch), Handle::current());
        self.batch_bytes = 0;
        self.tasks.spawn_blocking(move || {
            let findings = hash_all(&hashing, &partition, &batch, &runtime);
            drop(permit);
            findings
        });
        Ok(())
    }

    /// Waits for all files, and gives what was found.
    pub async fn finish(mut self) -> Result<Vec<Finding>> {
        if !self.batch.is_empty() {
            self.send().await?;
        }
        while let Some(done) = self.tasks.join_next().await {
            self.findings.extend(joined(done)?);
        }
        Ok(self.findings)
    }
}

fn joined(done: std::result::Result<Result<Vec<Finding>>, tokio::task::JoinError>) -> Result<Vec<Finding>> {
    done.map_err(broken_off)?
}

fn broken_off(cause: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(ErrorKind::Internal, "a verification broke off").with_cause(cause)
}

fn hash_all(hashing: &Hashing, partition: &Partition, batch: &[Entry], runtime: &Handle) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for entry in batch {
        if hashing.is_stopped.load(Ordering::Relaxed) {
            break;
        }
        findings.extend(runtime.block_on(hash(hashing, partition, entry))?);
    }
    Ok(findings)
}

/// Whether a failure to read keeps every other file from being read: a bucket that refuses one does.
pub(super) fn ends_verification(kind: ErrorKind) -> bool {
    kind.stops_the_run() || kind == ErrorKind::AccessDenied
}

async fn hash(hashing: &Hashing, partition: &Partition, entry: &Entry) -> Result<Option<Finding>> {
    let mut digester = Digester { sha256: Sha256::new(), length_bytes: 0, limit_bytes: entry.size_bytes, hashing };
    let finding = |kind, detail: String| Ok(Some(Finding::new(kind, &entry.key, detail)));
    match hashing.files.read(partition, entry.file_path(), &mut digester).await {
        Ok(true) => {}
        Ok(false) => return finding(FindingKind::Missing, format!("{} bytes", entry.size_bytes)),
        // One bad file says nothing about the others; a bucket that refuses does.
        Err(error) if error.kind() == ErrorKind::DestinationUnusable || !ends_verification(error.kind()) => {
            return finding(FindingKind::Unreadable, error.to_string());
        }
        Err(error) => return Err(error),
    }
    if hashing.is_stopped.load(Ordering::Relaxed) {
        return Ok(None);
    }
    hashing.counters.objects_done.add(1);
    if digester.length_bytes != entry.size_bytes {
        let than = if digester.length_bytes > entry.size_bytes { "more" } else { "fewer" };
        return finding(FindingKind::Changed, format!("{than} than {} bytes", entry.size_bytes));
    }
    let digest = ListingDigest(digester.sha256.finalize().into());
    if digest == entry.sha256 {
        return Ok(None);
    }
    finding(FindingKind::Changed, format!("SHA-256 {digest} instead of {}", entry.sha256))
}

struct Digester<'a> {
    sha256: Sha256,
    length_bytes: u64,
    /// A file that is longer is not read on.
    limit_bytes: u64,
    hashing: &'a Hashing,
}

impl ByteTaker for Digester<'_> {
    fn begin(&mut self) {
        self.hashing.counters.bytes_done.subtract(self.length_bytes);
        self.sha256 = Sha256::new();
        self.length_bytes = 0;
    }

    fn take(&mut self, bytes: &[u8]) -> ControlFlow<()> {
        self.sha256.update(bytes);
        self.length_bytes += bytes.len() as u64;
        self.hashing.counters.bytes_done.add(bytes.len() as u64);
        if self.length_bytes > self.limit_bytes || self.hashing.is_stopped.load(Ordering::Relaxed) {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }
}
