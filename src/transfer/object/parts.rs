//! Large objects: several ranges at once, each written where it belongs, and all hashed in their order.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use tokio::sync::{Semaphore, mpsc};

use super::{ObjectTransfer, Opening, RANGES_MAX, Received, closed};
use crate::destination::ObjectWriter;
use crate::error::{Error, Result};
use crate::hash::ObjectHasher;

/// Number of connections with which large objects keep a line busy. Where more of them are received at once, each
/// has fewer ranges: bytes in order are cheaper.
const CONNECTIONS_OF_RANGES: usize = 24;

/// What is read back is hashed in blocks of this size, which stay in the processor's cache.
const BLOCK_BYTES: usize = 256 * 1024;

impl ObjectTransfer {
    /// Receives the rest of a large object in several ranges at once.
    pub(super) async fn receive_parts(
        &self,
        opening: Opening,
        writer: &dyn ObjectWriter,
        received: &mut Received,
    ) -> Result<()> {
        let large = LargeInFlight::one_more(&self.common.large_in_flight);
        if self.common.buffers_objects {
            return self.receive_in_memory(opening, writer, received).await;
        }
        match (CONNECTIONS_OF_RANGES / large.count).min(self.ranges_at_once()) {
            // Enough others keep the line busy.
            0 | 1 => self.receive_stream(opening, writer, received).await,
            ranges => self.receive_in_place(ranges, opening, writer, received).await,
        }
    }

    /// The number of ranges at once that there is memory for.
    fn ranges_at_once(&self) -> usize {
        let ranges = usize::try_from(self.reserved_bytes() / self.part_memory_bytes()).unwrap_or(usize::MAX);
        ranges.clamp(1, RANGES_MAX)
    }

    fn parts_behind(&self, begins_at: u64) -> Parts {
        Parts { at: begins_at, end: self.work.object.size_bytes, part_size_bytes: self.part_size_bytes() }
    }

    /// Where what is written can be read again: bytes that follow on what is hashed are hashed while they are
    /// hot, and those that come out of order are read back when it is their turn. Nothing waits in memory.
    async fn receive_in_place(
        &self,
        ranges_at_once: usize,
        opening: Opening,
        writer: &dyn ObjectWriter,
        received: &mut Received,
    ) -> Result<()> {
        let Opening { mut body, on_new_connection } = opening;
        let begins_at = received.hasher.length_bytes();
        let front = Front::new(received, self.part_size_bytes());
        let parts = self.parts_behind(begins_at).map(|range| {
            let opening = Opening { body: body.take(), on_new_connection };
            self.receive_part_in_place(range, opening, writer, &front)
        });
        stream::iter(parts).buffer_unordered(ranges_at_once).try_collect::<()>().await
    }

    async fn receive_part_in_place(
        &self,
        range: Range<u64>,
        opening: Opening,
        writer: &dyn ObjectWriter,
        front: &Front<'_>,
    ) -> Result<()> {
        let mut reader = self.reader(range.clone(), opening);
        while let Some((offset, chunk)) = reader.next().await? {
            writer.write(offset, &chunk).await?;
            front.lock().wrote(self, range.start, offset, &chunk);
        }
        writer.end_part(range).await?;
        loop {
            let (is_behind, hasher) = front.lock().catch_up(self, writer)?;
            if let Some(hasher) = hasher {
                self.checkpoint(writer, &hasher).await?;
            }
            if !is_behind {
                return Ok(());
            }
            // The other parts go on meanwhile.
            tokio::task::yield_now().await;
        }
    }

    /// Where it cannot: parts wait in memory until all before them are hashed.
    async fn receive_in_memory(
        &self,
        opening: Opening,
        writer: &dyn ObjectWriter,
        received: &mut Received,
    ) -> Result<()> {
        let Opening { mut body, on_new_connection } = opening;
        let ranges_at_once = self.ranges_at_once();
        let room = Semaphore::new(ranges_at_once);
        let parts = self.parts_behind(received.hasher.length_bytes()).map(|range| {
            let opening = Opening { body: body.take(), on_new_connection };
            async {
                let room = room.acquire().await.map_err(closed)?;
                Ok::<_, Error>((self.receive_part_in_memory(range, opening, writer).await?, room))
            }
        });
        let mut parts = stream::iter(parts).buffered(ranges_at_once);
        let (arrived, mut arrivals) = mpsc::unbounded_channel();
        // A part may hold a lock that a checkpoint needs, such as that of the bucket's lease: the
        // parts go on while a checkpoint is noted, or both would wait for ever.
        let receiving = async move {
            while let Some(part) = parts.try_next().await? {
                let _ = arrived.send(part);
            }
            Ok(())
        };
        let hashing = async {
            while let Some(((mut offset, chunks), room)) = arrivals.recv().await {
                for chunk in chunks {
                    self.take(offset, &chunk, received);
                    offset += chunk.len() as u64;
                }
                drop(room);
                self.checkpoint(writer, &received.hasher).await?;
            }
            Ok(())
        };
        futures::future::try_join(receiving, hashing).await.map(drop)
    }

    async fn receive_part_in_memory(
        &self,
        range: Range<u64>,
        opening: Opening,
        writer: &dyn ObjectWriter,
    ) -> Result<(u64, Vec<Bytes>)> {
        let mut reader = self.reader(range.clone(), opening);
        let mut chunks = Vec::new();
        while let Some((offset, chunk)) = reader.next().await? {
            writer.write(offset, &chunk).await?;
            chunks.push(chunk);
        }
        let begins_at = range.start;
        writer.end_part(range).await?;
        Ok((begins_at, chunks))
    }
}

/// A large object that is received, among how many.
struct LargeInFlight<'a> {
    all: &'a AtomicUsize,
    count: usize,
}

impl<'a> LargeInFlight<'a> {
    fn one_more(all: &'a AtomicUsize) -> Self {
        Self { all, count: all.fetch_add(1, Ordering::Relaxed) + 1 }
    }
}

impl Drop for LargeInFlight<'_> {
    fn drop(&mut self) {
        self.all.fetch_sub(1, Ordering::Relaxed);
    }
}

/// How far an object is whose parts are written in any order.
struct Front<'a>(Mutex<FrontState<'a>>);

struct FrontState<'a> {
    /// All bytes up to its length are hashed.
    received: &'a mut Received,
    /// Until where each part is written that is not hashed as far, by where it begins.
    written: BTreeMap<u64, u64>,
    part_size_bytes: u64,
    next_checkpoint: u64,
    block: Vec<u8>,
}

impl<'a> Front<'a> {
    fn new(received: &'a mut Received, part_size_bytes: u64) -> Self {
        let next_checkpoint = received.hasher.length_bytes() + part_size_bytes;
        let (written, block) = (BTreeMap::new(), Vec::new());
        Self(Mutex::new(FrontState { received, written, part_size_bytes, next_checkpoint, block }))
    }

    fn lock(&self) -> MutexGuard<'_, FrontState<'a>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl FrontState<'_> {
    /// Notes a chunk of the part that begins at `begin`, and hashes it if it is its turn.
    fn wrote(&mut self, transfer: &ObjectTransfer, begin: u64, offset: u64, chunk: &Bytes) {
        if offset == self.received.hasher.length_bytes() {
            transfer.take(offset, chunk, self.received);
        } else {
            self.written.insert(begin, offset + chunk.len() as u64);
        }
    }

    /// Hashes the next block of what is written already. Says whether there may be more of it, and gives the
    /// hasher where it is time for a checkpoint.
    fn catch_up(
        &mut self,
        transfer: &ObjectTransfer,
        writer: &dyn ObjectWriter,
    ) -> Result<(bool, Option<ObjectHasher>)> {
        let at = self.received.hasher.length_bytes();
        let written = self.written.range(..=at).next_back().map(|(begin, until)| (*begin, *until));
        let Some((begin, until)) = written else { return Ok((false, self.due_checkpoint())) };
        if until <= at {
            self.written.remove(&begin);
            return Ok((true, None));
        }
        self.block.resize(BLOCK_BYTES, 0);
        let length_bytes = usize::try_from(until - at).unwrap_or(BLOCK_BYTES).min(BLOCK_BYTES);
        let block = &mut self.block[..length_bytes];
        writer.read_back(at, block)?;
        transfer.take_again(at, block, self.received);
        Ok((true, self.due_checkpoint()))
    }

    fn due_checkpoint(&mut self) -> Option<ObjectHasher> {
        let at = self.received.hasher.length_bytes();
        if at < self.next_checkpoint {
            return None;
        }
        self.next_checkpoint = at + self.part_size_bytes;
        Some(self.received.hasher.clone())
    }
}

/// The ranges of a large object, each of the part size but the last.
pub(super) struct Parts {
    pub at: u64,
    pub end: u64,
    pub part_size_bytes: u64,
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
