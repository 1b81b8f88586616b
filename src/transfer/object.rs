//! Transfers one object: reads, hashes, writes, and verifies before it counts.

mod parts;

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt as _, TryStreamExt as _};
use tokio::runtime::Handle;
use tokio::sync::{AcquireError, Semaphore, SemaphorePermit};
use tokio::task::JoinError;

use super::TransferSettings;
use super::bandwidth::Bandwidth;
use crate::destination::{Claim, ObjectWriter, Work};
use crate::error::{Error, ErrorKind, Result, Retry};
use crate::export::{Checksums, Object, Partition, printable};
use crate::hash::{self, ObjectHasher};
use crate::manifest::{FooterTail, ParquetFooter, TAIL_BYTES_MAX, VerifiedContent};
use crate::progress::{Counter, Counters, Event, Observer};
use crate::retry::RetryPolicy;
use crate::source::{Cloud, OpenObject, ReadRequest};

/// Maximum number of ranges of one large object fetched concurrently, memory permitting.
const RANGES_MAX: usize = 4;

/// Maximum number of times that bytes which differ from a checksum are fetched in all.
const FETCHES_MAX: u32 = 3;

/// The memory of large objects is shared out in units of this many bytes.
const MEMORY_UNIT_BYTES: u64 = 64 * 1024;

/// What one connection holds of an object whose bytes go on at once.
const RECEIVING_BYTES: u64 = 1024 * 1024;

/// What a run needs of the memory that it may use besides the bytes of objects.
const OTHER_MEMORY_BYTES: u64 = 64 * 1024 * 1024;

/// An object comes in no more parts than a multipart upload can have.
const PARTS_MAX: u64 = 10_000;

/// Time that a body waits for the destination; then it is dropped, and requested again when needed.
const BODY_IDLE_MAX: Duration = Duration::from_secs(1);

/// Timeout for the end of a body behind its last byte.
const BODY_END_MAX: Duration = Duration::from_secs(1);

/// What all transfers of a run share.
pub(super) struct Common {
    pub settings: TransferSettings,
    pub observer: Arc<dyn Observer>,
    pub counters: Arc<Counters>,
    /// Connections that broke or brought no answer in time.
    pub troubles: Counter,
    bandwidth: Bandwidth,
    memory: Semaphore,
    memory_bytes_max: u64,
    /// Whether the destination holds small objects in memory too.
    buffers_objects: bool,
    /// The number of large objects that are received.
    large_in_flight: AtomicUsize,
}

impl Common {
    pub fn new(
        settings: TransferSettings,
        observer: Arc<dyn Observer>,
        counters: Arc<Counters>,
        buffers_objects: bool,
    ) -> Self {
        let bandwidth = Bandwidth::new(settings.bandwidth_bytes_per_second);
        let memory_bytes_max = settings.memory_bytes_max - (settings.memory_bytes_max / 4).min(OTHER_MEMORY_BYTES);
        Self {
            memory: Semaphore::new(units(memory_bytes_max) as usize),
            troubles: Counter::default(),
            settings,
            observer,
            counters,
            bandwidth,
            memory_bytes_max,
            buffers_objects,
            large_in_flight: AtomicUsize::new(0),
        }
    }

    fn pauses_before(&self, retry_policy: &mut RetryPolicy, error: &Error) -> Option<Duration> {
        let pause = retry_policy.after(error)?;
        self.counters.retries.add(1);
        match error.kind() {
            ErrorKind::Throttled => self.counters.throttles.add(1),
            ErrorKind::Unavailable => self.troubles.add(1),
            _ => {}
        }
        self.observer.observe(&Event::Retrying { error, pause });
        Some(pause)
    }
}

fn units(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(MEMORY_UNIT_BYTES)).unwrap_or(u32::MAX).max(1)
}

/// Brings one object to the destination: verified there, or failed for good.
pub(super) struct ObjectTransfer {
    pub common: Arc<Common>,
    pub cloud: Arc<Cloud>,
    pub claim: Arc<dyn Claim>,
    pub partition: Arc<Partition>,
    pub work: Work,
}

impl ObjectTransfer {
    /// Transfers the object, or finds that a former run has.
    pub async fn run(self) -> Result<Arrival> {
        if self.work.is_staged && self.recheck().await? {
            return Ok(Arrival::Staged);
        }
        let mut seen_sha256 = None;
        let mut fetches = 0;
        loop {
            fetches += 1;
            let error = match self.fetch(fetches > 1, &mut seen_sha256).await {
                Ok(content) => return Ok(Arrival::Transferred(content)),
                Err(error) => error,
            };
            if error.retry() != Retry::Refetch {
                return Err(error);
            }
            // Otherwise the wrong bytes would agree with the notes that were taken of them.
            self.claim.forget(&self.work).await?;
            if fetches >= FETCHES_MAX {
                return Err(error);
            }
            self.common.counters.retries.add(1);
            self.common.observer.observe(&Event::Retrying { error: &error, pause: Duration::ZERO });
        }
    }

    async fn recheck(&self) -> Result<bool> {
        let (claim, work, runtime) = (self.claim.clone(), self.work.clone(), Handle::current());
        // Hashing a staged file keeps its thread busy; the transfers' threads stay free.
        tokio::task::spawn_blocking(move || runtime.block_on(claim.recheck(&work))).await.map_err(broke_off)?
    }

    fn is_ranged(&self) -> bool {
        let size_bytes = self.work.object.size_bytes;
        let is_too_large = self.common.buffers_objects && size_bytes > self.common.memory_bytes_max;
        size_bytes >= self.common.settings.ranged_from_bytes || is_too_large
    }

    /// Fetches the object once, whole, and compares it with what the source offers.
    async fn fetch(&self, on_new_connection: bool, seen_sha256: &mut Option<[u8; 32]>) -> Result<VerifiedContent> {
        let object = &self.work.object;
        // Objects that wait for memory hold no answer open meanwhile.
        let _memory = match self.reserved_bytes() {
            0 => None,
            bytes => Some(self.reserve_memory(bytes).await?),
        };
        let opened = self.open_whole(on_new_connection).await?;
        let offered = object.checksums.or(opened.checksums);
        let (writer, hasher, body) = self.open_writer(ObjectHasher::for_checksums(&offered), opened.body).await?;
        let mut received = Received::new(hasher, object);
        self.common.counters.bytes_done.add(received.hasher.length_bytes());
        let opening = Opening { body, on_new_connection };
        let transferred = if self.is_ranged() {
            self.receive_parts(opening, writer.as_ref(), &mut received).await
        } else {
            self.receive_stream(opening, writer.as_ref(), &mut received).await
        };
        let counted = received.hasher.length_bytes();
        let content = transferred.and_then(|()| received.verify(object, &offered, seen_sha256));
        match content {
            Ok((content, computed)) => writer.finish(&content, &computed).await.map(|()| content),
            Err(error) => {
                self.common.counters.bytes_done.subtract(counted);
                Err(error)
            }
        }
    }

    /// Opens the whole object, since only that answer carries its checksums.
    async fn open_whole(&self, on_new_connection: bool) -> Result<OpenObject> {
        if self.work.object.size_bytes == 0 {
            return Ok(OpenObject { checksums: Checksums::default(), body: stream::empty().boxed() });
        }
        let mut retry_policy = RetryPolicy::new(self.common.settings.attempts_max);
        loop {
            let request = ReadRequest { range: None, on_new_connection };
            match self.cloud.source.open(&self.partition, &self.work.object, request).await {
                Ok(opened) => return Ok(opened),
                Err(error) => match self.common.pauses_before(&mut retry_policy, &error) {
                    Some(pause) => tokio::time::sleep(pause).await,
                    None => return Err(error),
                },
            }
        }
    }

    /// Opens the object at the destination. Gives the body back unless bytes are there already:
    /// one that begins at the beginning is of no use behind it.
    async fn open_writer(
        &self,
        hasher: ObjectHasher,
        body: Body,
    ) -> Result<(Box<dyn ObjectWriter>, ObjectHasher, Option<Body>)> {
        let mut body = Some(body);
        let (writer, hasher) = if self.is_ranged() {
            let (claim, work, runtime) = (self.claim.clone(), self.work.clone(), Handle::current());
            let part_size_bytes = Some(self.part_size_bytes());
            // Many gigabytes may be there to be hashed again; the transfers' threads stay free.
            let mut opening =
                tokio::task::spawn_blocking(move || runtime.block_on(claim.open(&work, hasher, part_size_bytes)));
            match tokio::time::timeout(BODY_IDLE_MAX, &mut opening).await {
                Ok(opened) => opened.map_err(broke_off)??,
                Err(_) => {
                    // A connection that nobody reads from would be taken for a stalled one.
                    body = None;
                    opening.await.map_err(broke_off)??
                }
            }
        } else {
            self.claim.open(&self.work, hasher, None).await?
        };
        let body = body.filter(|_| hasher.length_bytes() == 0);
        Ok((writer, hasher, body))
    }

    async fn reserve_memory(&self, bytes: u64) -> Result<SemaphorePermit<'_>> {
        self.common.memory.acquire_many(units(bytes)).await.map_err(closed)
    }

    /// The memory that the object's bytes take: of a large one those of the parts that are fetched
    /// at once.
    fn reserved_bytes(&self) -> u64 {
        let wanted = match (self.is_ranged(), self.common.buffers_objects) {
            (true, _) => self.part_memory_bytes() * RANGES_MAX as u64,
            (false, true) => self.work.object.size_bytes,
            (false, false) => 0,
        };
        wanted.min(self.common.memory_bytes_max)
    }

    /// The memory that a part takes. Where its bytes stay until they are stored it is more than they are, since
    /// they lie in the buffers that they were received into, and those are seldom full. Else it is those buffers.
    fn part_memory_bytes(&self) -> u64 {
        let bytes = self.part_size_bytes();
        if self.common.buffers_objects { bytes + bytes / 4 } else { bytes.min(RECEIVING_BYTES) }
    }

    fn part_size_bytes(&self) -> u64 {
        self.common.settings.part_size_bytes.max(self.work.object.size_bytes.div_ceil(PARTS_MAX))
    }

    /// Receives the rest of an object in one stream, hashing each chunk while it is hot.
    async fn receive_stream(&self, opening: Opening, writer: &dyn ObjectWriter, received: &mut Received) -> Result<()> {
        let size_bytes = self.work.object.size_bytes;
        let mut reader = self.reader(received.hasher.length_bytes()..size_bytes, opening);
        let mut next_checkpoint = received.hasher.length_bytes() + self.common.settings.part_size_bytes;
        while let Some((offset, chunk)) = reader.next().await? {
            writer.write(offset, &chunk).await?;
            self.take(offset, &chunk, received);
            if received.hasher.length_bytes() >= next_checkpoint {
                self.checkpoint(writer, &received.hasher).await?;
                next_checkpoint = received.hasher.length_bytes() + self.common.settings.part_size_bytes;
            }
        }
        Ok(())
    }

    fn take(&self, offset: u64, chunk: &Bytes, received: &mut Received) {
        received.hasher.update(chunk);
        if let Some(tail) = &mut received.tail {
            tail.add(offset, chunk);
        }
        self.common.counters.bytes_done.add(chunk.len() as u64);
    }

    /// Takes bytes that were read back.
    fn take_again(&self, offset: u64, block: &[u8], received: &mut Received) {
        received.hasher.update(block);
        let end = offset + block.len() as u64;
        if let Some(tail) = received.tail.as_mut().filter(|tail| tail.reaches(end)) {
            tail.add(offset, &Bytes::copy_from_slice(block));
        }
        self.common.counters.bytes_done.add(block.len() as u64);
    }

    /// Notes how far the object is, except near its end: a continued transfer must still see the
    /// Parquet footer pass by.
    async fn checkpoint(&self, writer: &dyn ObjectWriter, hasher: &ObjectHasher) -> Result<()> {
        if hasher.length_bytes() + TAIL_BYTES_MAX > self.work.object.size_bytes {
            return Ok(());
        }
        writer.checkpoint(hasher).await
    }

    fn reader(&self, range: Range<u64>, opening: Opening) -> RangeReader<'_> {
        RangeReader {
            transfer: self,
            offset: range.start,
            end: range.end,
            body: opening.body,
            body_end: self.work.object.size_bytes,
            on_new_connection: opening.on_new_connection,
            retry_policy: RetryPolicy::new(self.common.settings.attempts_max),
        }
    }
}

fn closed(cause: AcquireError) -> Error {
    Error::new(ErrorKind::Internal, "the memory budget is closed").with_cause(cause)
}

fn broke_off(cause: JoinError) -> Error {
    Error::new(ErrorKind::Internal, "the work on a staged file broke off").with_cause(cause)
}

/// What became of an object.
pub(super) enum Arrival {
    /// It came over the network.
    Transferred(VerifiedContent),
    /// A former run had staged it, and its bytes still are what they were.
    Staged,
}

type Body = BoxStream<'static, Result<Bytes>>;

/// How a range begins, and how it is asked for where that is not enough.
struct Opening {
    /// The answer for the whole object, where it can be used.
    body: Option<Body>,
    on_new_connection: bool,
}

/// The bytes of an object so far.
struct Received {
    hasher: ObjectHasher,
    /// Only of Parquet files.
    tail: Option<FooterTail>,
}

impl Received {
    fn new(hasher: ObjectHasher, object: &Object) -> Self {
        Self { hasher, tail: object.is_parquet().then(|| FooterTail::new(object.size_bytes)) }
    }

    /// Compares the whole object with everything that is known about it; gives that, and every
    /// checksum that was computed.
    fn verify(
        self,
        object: &Object,
        offered: &Checksums,
        seen_sha256: &mut Option<[u8; 32]>,
    ) -> Result<(VerifiedContent, Checksums)> {
        let footer = self.tail.as_ref().map(FooterTail::read);
        let (sha256, computed) = self.hasher.finish();
        let checksums = hash::compare(&computed, offered, &object.key)?;
        if footer == Some(ParquetFooter::NotParquet)
            && checksums.is_empty()
            && seen_sha256.replace(sha256) != Some(sha256)
        {
            // Without a checksum the footer is the only sign of damage. The same bytes twice are
            // what the source has.
            return Err(Error::new(
                ErrorKind::ChecksumMismatch,
                format!("the bytes of {} are not Parquet, and the source offers no checksum", printable(&object.key)),
            ));
        }
        let rows = match footer {
            Some(ParquetFooter::Rows(rows)) => Some(rows),
            _ => None,
        };
        Ok((VerifiedContent { sha256, checksums, rows }, computed))
    }
}

/// Reads a range to its end: after every failure it continues at the byte where it was, pinned to
/// the same version of the object.
struct RangeReader<'a> {
    transfer: &'a ObjectTransfer,
    offset: u64,
    end: u64,
    /// A body that stands at `offset`.
    body: Option<Body>,
    /// Where that body ends.
    body_end: u64,
    on_new_connection: bool,
    retry_policy: RetryPolicy,
}

impl RangeReader<'_> {
    /// The next bytes and where they stand; `None` at the end of the range.
    async fn next(&mut self) -> Result<Option<(u64, Bytes)>> {
        while self.offset < self.end {
            match self.next_chunk().await {
                Ok(mut chunk) => {
                    // The body of the whole object goes on behind the first range.
                    let wanted = usize::try_from(self.end - self.offset).unwrap_or(usize::MAX);
                    chunk.truncate(wanted);
                    let offset = self.offset;
                    self.offset += chunk.len() as u64;
                    self.retry_policy.progressed();
                    let common = &self.transfer.common;
                    common.counters.bytes_received.add(chunk.len() as u64);
                    common.bandwidth.take(chunk.len() as u64).await;
                    return Ok(Some((offset, chunk)));
                }
                Err(error) => {
                    self.body = None;
                    match self.transfer.common.pauses_before(&mut self.retry_policy, &error) {
                        Some(pause) => tokio::time::sleep(pause).await,
                        None => return Err(error),
                    }
                }
            }
        }
        self.leave_body().await;
        Ok(None)
    }

    /// Sees the body to its end: only then is its connection free for the next request, which
    /// otherwise would open another one.
    async fn leave_body(&mut self) {
        if let Some(mut body) = self.body.take().filter(|_| self.body_end == self.end) {
            // All bytes are here; what keeps the connection from being used again does not matter.
            let _ = tokio::time::timeout(BODY_END_MAX, body.next()).await;
        }
    }

    async fn next_chunk(&mut self) -> Result<Bytes> {
        if self.body.is_none() {
            let request = ReadRequest { range: Some(self.offset..self.end), on_new_connection: self.on_new_connection };
            let transfer = self.transfer;
            let opened = transfer.cloud.source.open(&transfer.partition, &transfer.work.object, request).await?;
            (self.body, self.body_end) = (Some(opened.body), self.end);
        }
        let chunk = match &mut self.body {
            Some(body) => body.try_next().await?,
            None => None,
        };
        let key = &self.transfer.work.object.key;
        chunk.ok_or_else(|| {
            Error::new(ErrorKind::Unavailable, format!("the transfer of {} ended early", printable(key)))
        })
    }
}

#[cfg(test)]
mod tests;
