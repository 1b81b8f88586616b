//! What a run has finished of a partition, written to the bucket in fragments so that the next run can resume.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

use super::fragment::{self, FinishedLine, FragmentLine, UnfinishedLine};
use super::held::HeldRequests;
use super::layout::Layout;
use super::store::Condition;
use crate::error::Result;
use crate::export::Partition;
use crate::manifest::ListingDigest;

/// A killed run loses what it finished in this time.
const WRITTEN_EVERY: Duration = Duration::from_secs(5);

/// Maximum number of lines kept back.
const LINES_MAX: usize = 256;

/// Writes the fragments of one partition: what this run has finished of it.
pub(super) struct Journal {
    requests: Arc<HeldRequests>,
    layout: Layout,
    partition: Partition,
    run: u64,
    state: Mutex<JournalState>,
}

struct JournalState {
    listing_digest: ListingDigest,
    finished: Vec<FinishedLine>,
    /// By upload id; only what is new since the last fragment.
    unfinished: BTreeMap<String, UnfinishedLine>,
    written_at: Instant,
    fragments: u32,
}

impl Journal {
    pub fn new(requests: Arc<HeldRequests>, layout: Layout, partition: Partition, run: u64) -> Self {
        let state = JournalState {
            listing_digest: ListingDigest([0; 32]),
            finished: Vec::new(),
            unfinished: BTreeMap::new(),
            written_at: Instant::now(),
            fragments: 0,
        };
        Self { requests, layout, partition, run, state: Mutex::new(state) }
    }

    /// Begins to write about another listing.
    pub async fn begin(&self, listing_digest: ListingDigest) -> Result<()> {
        let mut state = self.state.lock().await;
        self.write(&mut state).await?;
        state.listing_digest = listing_digest;
        Ok(())
    }

    /// Notes an object that is stored and verified.
    pub async fn note_finished(&self, line: FinishedLine) -> Result<()> {
        let mut state = self.state.lock().await;
        state.finished.push(line);
        self.write_if_due(&mut state).await
    }

    /// Notes how far an upload is.
    pub async fn note_unfinished(&self, line: UnfinishedLine) -> Result<()> {
        let mut state = self.state.lock().await;
        match state.unfinished.get_mut(&line.upload_id) {
            Some(known) => {
                known.parts.extend(line.parts);
                known.hasher = line.hasher.or(known.hasher.take());
            }
            None => {
                state.unfinished.insert(line.upload_id.clone(), line);
            }
        }
        self.write_if_due(&mut state).await
    }

    async fn write_if_due(&self, state: &mut JournalState) -> Result<()> {
        let lines = state.finished.len() + state.unfinished.len();
        if state.written_at.elapsed() < WRITTEN_EVERY && lines < LINES_MAX {
            return Ok(());
        }
        self.write(state).await
    }

    /// Writes what was not written yet.
    pub async fn flush(&self) -> Result<()> {
        self.write(&mut *self.state.lock().await).await
    }

    async fn write(&self, state: &mut JournalState) -> Result<()> {
        state.written_at = Instant::now();
        if state.finished.is_empty() && state.unfinished.is_empty() {
            return Ok(());
        }
        let unfinished = state.unfinished.values().cloned().map(FragmentLine::Unfinished);
        let lines = state.finished.iter().cloned().map(FragmentLine::Finished).chain(unfinished);
        let bytes = fragment::write(state.listing_digest, lines);
        let key = self.layout.fragment(&self.partition, self.run, state.fragments);
        self.requests.put_small(&key, bytes, Condition::None).await?;
        state.fragments += 1;
        state.finished.clear();
        state.unfinished.clear();
        Ok(())
    }

    /// Forgets what was not written, and gives the keys of what was.
    pub async fn end(&self) -> Vec<String> {
        let mut state = self.state.lock().await;
        state.finished.clear();
        state.unfinished.clear();
        (0..state.fragments).map(|number| self.layout.fragment(&self.partition, self.run, number)).collect()
    }
}
