//! Whether a server knows conditions on writes.

use std::sync::atomic::{AtomicU8, Ordering};

use crate::destination::bucket::Condition;

const UNASKED: u8 = 0;
const KNOWN: u8 = 1;
const LACKING: u8 = 2;

/// What the first conditional write shows: the probe's, before the first transfer. It is not asked again.
#[derive(Default)]
pub(super) struct Conditions(AtomicU8);

impl Conditions {
    /// Whether the server refuses every request that has a condition.
    pub fn are_lacking(&self) -> bool {
        self.0.load(Ordering::Relaxed) == LACKING
    }

    /// Whether a refusal of a request with this condition may be one of conditions as such.
    pub fn may_lack(&self, condition: Condition<'_>) -> bool {
        condition != Condition::None && self.0.load(Ordering::Relaxed) == UNASKED
    }

    /// Notes that the server refuses conditions.
    pub fn lack(&self) {
        self.0.store(LACKING, Ordering::Relaxed);
    }

    /// Notes that the server has answered a write with this condition.
    pub fn note_answer(&self, condition: Condition<'_>) {
        if condition != Condition::None {
            let _ = self.0.compare_exchange(UNASKED, KNOWN, Ordering::Relaxed, Ordering::Relaxed);
        }
    }
}
