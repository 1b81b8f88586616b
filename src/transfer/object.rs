use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt as _, TryStreamExt as _};
use tokio::sync::Semaphore;

use super::TransferSettings;
use super::bandwidth::Bandwidth;
use crate::destination::{Claim, ObjectWriter, Work};
use crate::error::{Error, ErrorKind, Result, Retry};
use crate::export::{Checksums, Object, Partition, printable};
use crate::hash::{self, ObjectHasher};
use crate::manifest::{FooterTail, ParquetFooter, TAIL_BYTES_MAX, VerifiedContent};
use crate::progress::{Counters, Event, Observer};
use crate::retry::Patience;
use crate::source::{Cloud, OpenObject, ReadRequest};

/// So many ranges of one large object are fetched at once, memory permitting.
const RANGES_MAX: usize = 4;

/// Bytes that differ from a checksum are fetched so often in all.
const FETCHES_MAX: u32 = 3;

/// The memory of large objects is shared out in units of this many bytes.
const MEMORY_UNIT_BYTES: u64 = 64 * 1024;

/// What all transfers of a run share.
pub(super) struct Common {
    pub settings: TransferSettings,
    pub observer: Arc<dyn Observer>,
    pub counters: Arc<Counters>,
    bandwidth: Bandwidth,
    memory: Semaphore,
}

impl Common {
    pub fn new(settings: TransferSettings, observer: Arc<dyn Observer>, counters: Arc<Counters>) -> Self {
        let bandwidth = Bandwidth::new(settings.bandwidth_bytes_per_second);
        let memory = Semaphore::new(units(settings.memory_bytes_max) as usize);
        Self { settings, observer, counters, bandwidth, memory }
    }

    fn pauses_before(&self, patience: &mut Patience, error: &Error) -> Option<std::time::Duration> {
        let pause = patience.after(error)?;
        self.counters.retries.add(1);
        if error.kind() == ErrorKind::Throttled {
            self.counters.throttles.add(1);
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
            self.common.observer.observe(&Event::Retrying { error: &error, pause: std::time::Duration::ZERO });
        }
    }

    async fn recheck(&self) -> Result<bool> {
        let (claim, work) = (self.claim.clone(), self.work.clone());
        let runtime = tokio::runtime::Handle::current();
        // Hashing a staged file keeps its thread busy; the transfers' threads stay free.
        tokio::task::spawn_blocking(move || runtime.block_on(claim.recheck(&work)))
            .await
            .map_err(|cause| Error::new(ErrorKind::Internal, "rechecking a staged file broke off").with_cause(cause))?
    }

    /// Fetches the object once, whole, and compares it with what the source offers.
    async fn fetch(&self, on_new_connection: bool, seen_sha256: &mut Option<[u8; 32]>) -> Result<VerifiedContent> {
        let object = &self.work.object;
        let opened = self.open_whole(on_new_connection).await?;
        let offered = object.checksums.or(opened.checksums);
        let (writer, hasher) = self.claim.open(&self.work, ObjectHasher::for_checksums(&offered)).await?;
        let mut received = Received { hasher, tail: FooterTail::new(object.size_bytes) };
        let begins_at = received.hasher.length_bytes();
        self.common.counters.bytes_done.add(begins_at);
        // A body that begins at the beginning is of no use behind it.
        let body = (begins_at == 0).then_some(opened.body);
        let transferred = if object.size_bytes >= self.common.settings.ranged_from_bytes {
            self.receive_ranges(body, writer.as_ref(), &mut received).await
        } else {
            self.receive_stream(body, writer.as_ref(), &mut received).await
        };
        let counted = received.hasher.length_bytes();
        let content = transferred.and_then(|()| received.verify(object, &offered, seen_sha256));
        match content {
            Ok(content) => writer.finish(&content).await.map(|()| content),
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
        let mut patience = Patience::new(self.common.settings.attempts_max);
        loop {
            let request = ReadRequest { range: None, on_new_connection };
            match self.cloud.source.open(&self.partition, &self.work.object, request).await {
                Ok(opened) => return Ok(opened),
                Err(error) => match self.common.pauses_before(&mut patience, &error) {
                    Some(pause) => tokio::time::sleep(pause).await,
                    None => return Err(error),
                },
            }
        }
    }

    /// Receives the rest of an object in one stream, hashing each chunk while it is hot.
    async fn receive_stream(
        &self,
        body: Option<Body>,
        writer: &dyn ObjectWriter,
        received: &mut Received,
    ) -> Result<()> {
        let size_bytes = self.work.object.size_bytes;
        let mut reader = self.reader(received.hasher.length_bytes()..size_bytes, body);
        let mut next_checkpoint = received.hasher.length_bytes() + self.common.settings.part_size_bytes;
        while let Some((offset, chunk)) = reader.next().await? {
            writer.write(offset, &chunk).await?;
            self.take(offset, &chunk, received);
            if received.hasher.length_bytes() >= next_checkpoint {
                self.checkpoint(writer, received).await?;
                next_checkpoint = received.hasher.length_bytes() + self.common.settings.part_size_bytes;
            }
        }
        Ok(())
    }

    /// Receives the rest of a large object in several ranges at once, each written where it
    /// belongs as it arrives, and hashed when all before it are.
    async fn receive_ranges(
        &self,
        body: Option<Body>,
        writer: &dyn ObjectWriter,
        received: &mut Received,
    ) -> Result<()> {
        let settings = &self.common.settings;
        let window = settings.part_size_bytes * RANGES_MAX as u64;
        let permits = units(window.min(settings.memory_bytes_max));
        let ranges_at_once =
            usize::try_from((u64::from(permits) * MEMORY_UNIT_BYTES / settings.part_size_bytes).max(1));
        let ranges_at_once = ranges_at_once.unwrap_or(1).min(RANGES_MAX);
        let closed = |cause| Error::new(ErrorKind::Internal, "the memory budget is closed").with_cause(cause);
        let _memory = self.common.memory.acquire_many(permits).await.map_err(closed)?;

        let begins_at = received.hasher.length_bytes();
        let mut body = body;
        let parts =
            Parts { at: begins_at, end: self.work.object.size_bytes, part_size_bytes: settings.part_size_bytes };
        let parts = parts.map(|range| self.receive_part(range, body.take(), writer));
        let mut parts = stream::iter(parts).buffered(ranges_at_once);
        while let Some((offset, chunks)) = parts.try_next().await? {
            let mut offset = offset;
            for chunk in chunks {
                self.take(offset, &chunk, received);
                offset += chunk.len() as u64;
            }
            self.checkpoint(writer, received).await?;
        }
        Ok(())
    }

    async fn receive_part(
        &self,
        range: Range<u64>,
        body: Option<Body>,
        writer: &dyn ObjectWriter,
    ) -> Result<(u64, Vec<Bytes>)> {
        let begins_at = range.start;
        let mut reader = self.reader(range, body);
        let mut chunks = Vec::new();
        while let Some((offset, chunk)) = reader.next().await? {
            writer.write(offset, &chunk).await?;
            chunks.push(chunk);
        }
        Ok((begins_at, chunks))
    }

    fn take(&self, offset: u64, chunk: &Bytes, received: &mut Received) {
        received.hasher.update(chunk);
        received.tail.add(offset, chunk);
        self.common.counters.bytes_done.add(chunk.len() as u64);
    }

    /// Notes how far the object is, except near its end: a continued transfer must still see the
    /// Parquet footer pass by.
    async fn checkpoint(&self, writer: &dyn ObjectWriter, received: &Received) -> Result<()> {
        let end = received.hasher.length_bytes();
        if end + TAIL_BYTES_MAX > self.work.object.size_bytes {
            return Ok(());
        }
        writer.checkpoint(end, received.hasher.sha256_so_far()).await
    }

    fn reader(&self, range: Range<u64>, body: Option<Body>) -> RangeReader<'_> {
        let patience = Patience::new(self.common.settings.attempts_max);
        RangeReader { transfer: self, offset: range.start, end: range.end, body, patience }
    }
}

/// What became of an object.
pub(super) enum Arrival {
    /// It came over the network.
    Transferred(VerifiedContent),
    /// A former run had staged it, and its bytes still are what they were.
    Staged,
}

type Body = BoxStream<'static, Result<Bytes>>;

/// The bytes of an object so far.
struct Received {
    hasher: ObjectHasher,
    tail: FooterTail,
}

impl Received {
    /// Compares the whole object with everything that is known about it.
    fn verify(
        self,
        object: &Object,
        offered: &Checksums,
        seen_sha256: &mut Option<[u8; 32]>,
    ) -> Result<VerifiedContent> {
        let footer = object.is_parquet().then(|| self.tail.read());
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
        Ok(VerifiedContent { sha256, checksums, rows })
    }
}

/// The ranges of a large object, each of the part size but the last.
struct Parts {
    at: u64,
    end: u64,
    part_size_bytes: u64,
}

impl Iterator for Parts {
    type Item = Range<u64>;

    fn next(&mut self) -> Option<Range<u64>> {
        if self.at >= self.end {
            return None;
        }
        let begin = self.at;
        self.at = (begin + self.part_size_bytes).min(self.end);
        Some(begin..self.at)
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
    patience: Patience,
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
                    self.patience.progressed();
                    let common = &self.transfer.common;
                    common.counters.bytes_received.add(chunk.len() as u64);
                    common.bandwidth.take(chunk.len() as u64).await;
                    return Ok(Some((offset, chunk)));
                }
                Err(error) => {
                    self.body = None;
                    match self.transfer.common.pauses_before(&mut self.patience, &error) {
                        Some(pause) => tokio::time::sleep(pause).await,
                        None => return Err(error),
                    }
                }
            }
        }
        Ok(None)
    }

    async fn next_chunk(&mut self) -> Result<Bytes> {
        if self.body.is_none() {
            let request = ReadRequest { range: Some(self.offset..self.end), on_new_connection: false };
            let transfer = self.transfer;
            let opened = transfer.cloud.source.open(&transfer.partition, &transfer.work.object, request).await?;
            self.body = Some(opened.body);
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
mod tests {
    use super::*;

    #[test]
    fn parts_cover_a_range_once() {
        let parts: Vec<_> = Parts { at: 3, end: 10, part_size_bytes: 3 }.collect();
        assert_eq!(parts, [3..6, 6..9, 9..10]);
        assert_eq!(Parts { at: 4, end: 4, part_size_bytes: 3 }.count(), 0);
    }
}
