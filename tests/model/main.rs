//! A model of whole histories: the real library behind its ports, over an export and a destination in
//! memory (or in a fast directory), against a reference that is written from the design's promises.
//!
//! - `E3SYNC_MODEL_HISTORIES=N` plays N histories instead of ten thousand.
//! - `E3SYNC_MODEL_FIRST=S` begins with seed S.
//! - `E3SYNC_MODEL_SEED=S` plays one history, printing every step.
//! - `E3SYNC_MODEL_ALL=1` goes on after a failure, and counts what was broken.
//! - `E3SYNC_MODEL_DIR=PATH` is where directories are made.

mod check;
mod explore;
mod failure;
mod history;
mod judge;
mod place;
mod random;
mod reference;
mod run;
mod script;
mod seen;
mod source;
mod standing;
mod steps;
mod store;
mod world;

use std::collections::BTreeMap;

use crate::explore::{Broken, explore, report};
use crate::history::History;

/// So many histories are played where nothing else is asked for.
const HISTORIES: u64 = 10_000;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap())
}

#[test]
fn histories_keep_every_promise() {
    if let Some(seed) = number("E3SYNC_MODEL_SEED") {
        let history = History::of_seed(seed);
        println!("bucket: {}, Parquet: {}", history.is_bucket, history.is_parquet);
        let played = world::play(&history, true);
        return played.unwrap_or_else(|(step, failure)| panic!("step {step}: {failure}"));
    }
    let first = number("E3SYNC_MODEL_FIRST").unwrap_or(0);
    let count = number("E3SYNC_MODEL_HISTORIES").unwrap_or(HISTORIES);
    let goes_on = std::env::var_os("E3SYNC_MODEL_ALL").is_some();
    let broken = explore(first, count, goes_on);
    if goes_on {
        tally(&broken);
    }
    if let Some(first) = broken.first() {
        panic!("{}", report(first));
    }
}

/// Counts the broken promises, with the first seeds of each.
fn tally(broken: &[Broken]) {
    let mut promises: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
    for found in broken {
        promises.entry(found.failure.promise).or_default().push(found.seed);
    }
    for (promise, seeds) in promises {
        println!("{promise}: {} histories, first {:?}", seeds.len(), &seeds[..seeds.len().min(8)]);
    }
}
