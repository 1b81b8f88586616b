//! The engine: one dispatcher owns all state, objects in flight are admitted by a limit that
//! adapts, every task is joined.

mod bandwidth;
mod dispatch;
mod held;
mod limit;
mod object;
mod outcome;
mod partition;

use std::time::Duration;

use crate::retry::ATTEMPTS_MAX_DEFAULT;

pub use dispatch::Engine;
pub use held::{JOIN_WAIT_DEFAULT, Join};
pub use limit::Concurrency;
pub use outcome::{PartitionOutcome, RunOutcome};
pub(crate) use partition::Together;

/// How objects are transferred.
#[derive(Clone, Debug)]
pub struct TransferSettings {
    /// How many objects may be in flight.
    pub concurrency: Concurrency,
    /// The size of the ranges that a large object is fetched in, in bytes.
    pub part_size_bytes: u64,
    /// Objects from this size on are fetched in parallel ranges, in bytes.
    pub ranged_from_bytes: u64,
    /// The bytes that all large objects together may hold in memory.
    pub memory_bytes_max: u64,
    /// How often a failing request is repeated without progress.
    pub attempts_max: u32,
    /// Bytes a second over all transfers; `None` for as many as come.
    pub bandwidth_bytes_per_second: Option<u64>,
    /// How long running transfers may go on after a stop.
    pub stop_grace: Duration,
}

impl Default for TransferSettings {
    fn default() -> Self {
        Self {
            concurrency: Concurrency::Adaptive { max: 256 },
            part_size_bytes: 8 * 1024 * 1024,
            ranged_from_bytes: 32 * 1024 * 1024,
            memory_bytes_max: 256 * 1024 * 1024,
            attempts_max: ATTEMPTS_MAX_DEFAULT,
            bandwidth_bytes_per_second: None,
            stop_grace: Duration::from_secs(10),
        }
    }
}
