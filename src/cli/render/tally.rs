//! Counts the verified objects by the checksum that each was verified against.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use e3sync::progress::{Event, Observer};

/// How many objects were verified against what.
#[derive(Debug, Default)]
pub struct Tally(Mutex<BTreeMap<String, u64>>);

impl Tally {
    /// The numbers so far, by the name of the checksum.
    pub fn verified(&self) -> BTreeMap<String, u64> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observer for Tally {
    fn observe(&self, event: &Event<'_>) {
        if let Event::ObjectTransferred { verified_against, .. } = event {
            let mut verified = self.lock();
            match verified.get_mut(*verified_against) {
                Some(count) => *count += 1,
                None => {
                    verified.insert((*verified_against).to_owned(), 1);
                }
            }
        }
    }
}
