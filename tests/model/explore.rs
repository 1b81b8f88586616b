//! Plays many histories on all cores, and makes a failing one as short as it gets.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::failure::Failure;
use crate::history::History;
use crate::world::play;

/// A history that broke a promise.
pub struct Broken {
    pub seed: u64,
    /// Where it broke it; the number of steps for its end.
    pub step: usize,
    pub failure: Failure,
}

/// Plays a history; a panic is a broken promise too.
pub fn attempt(history: &History) -> Option<Broken> {
    let played = catch_unwind(AssertUnwindSafe(|| play(history, false)));
    let (step, failure) = match played {
        Ok(Ok(())) => return None,
        Ok(Err(broken)) => broken,
        Err(cause) => {
            let text = cause.downcast_ref::<String>().cloned();
            let text = text.or_else(|| cause.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            (0, Failure::new("panic", text.unwrap_or_default()))
        }
    };
    Some(Broken { seed: history.seed, step, failure })
}

/// Plays the histories of all seeds from `first` on, and gives those that broke a promise, ascending.
/// Ends at the first of them unless `goes_on`.
pub fn explore(first: u64, count: u64, goes_on: bool) -> Vec<Broken> {
    let (next, broken) = (AtomicU64::new(first), Mutex::new(Vec::new()));
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= first + count || (!goes_on && !broken.lock().unwrap().is_empty()) {
                return;
            }
            if let Some(found) = attempt(&History::of_seed(seed)) {
                broken.lock().unwrap().push(found);
            }
        }
    };
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(work))));
    let mut broken = broken.into_inner().unwrap();
    broken.sort_by_key(|broken: &Broken| broken.seed);
    broken
}

/// Leaves out every step without which the same promise still breaks.
pub fn shorten(mut history: History, promise: &str) -> History {
    let mut number = history.steps.len();
    while number > 0 {
        number -= 1;
        let mut shorter = history.clone();
        shorter.steps.remove(number);
        if attempt(&shorter).is_some_and(|broken| broken.failure.promise == promise) {
            history = shorter;
        }
    }
    history
}

/// Tells a failure: the promise, the steps that it takes, and how to play it again.
pub fn report(broken: &Broken) -> String {
    let history = shorten(History::of_seed(broken.seed), broken.failure.promise);
    let place = if history.is_bucket { "bucket" } else { "directory" };
    let steps = history.steps.iter().map(|step| format!("\n  {step:?}")).collect::<String>();
    let last = attempt(&history).map_or_else(|| broken.failure.clone(), |broken| broken.failure);
    format!(
        "seed {}, step {}: {}\nthe shortest history that does this, in a {place} (Parquet: {}):{steps}\n{last}\nplay it again: \
         E3SYNC_MODEL_SEED={} cargo test --all-features --test model histories -- --nocapture",
        broken.seed, broken.step, broken.failure, history.is_parquet, broken.seed
    )
}
