//! A run into a bucket that ends anywhere is continued by the next one (design.md promise 5).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use e3sync::simulator::{Cloud, Content};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use super::lake::{LARGE_BYTES, Lake, PREFIX, Set};
use crate::harness::Export;

const KILLS: u32 = 25;

/// Six days of small objects, two of which have a large one as well.
fn six_days() -> Export {
    let export = Export::with(|settings| {
        settings.days = 6;
        settings.types = vec!["events".into()];
        settings.objects_per_day = 12;
        settings.content = Content::Noise { size_bytes: 1_000..=30_000 };
        settings.odd_names = false;
    });
    for date in [export.dates()[1], export.dates()[4]] {
        export.simulator().change().add_noise("events", date, "event=large/part-0.parquet", LARGE_BYTES + 100_000);
    }
    export
}

/// The sets that each day has had at the source, by the day's folder in the bucket.
#[derive(Default)]
struct History(BTreeMap<String, BTreeSet<Vec<(String, String)>>>);

impl History {
    fn note(&mut self, source: &Set) {
        for (day, set) in by_day(source) {
            self.0.entry(day).or_default().insert(set);
        }
    }

    /// Whatever a reader that waits for `_SUCCESS` takes is one whole set.
    fn check(&self, data: &Set, context: &str) {
        for (day, set) in by_day(data) {
            if !set.iter().any(|(key, _)| key.ends_with("/_SUCCESS")) {
                continue;
            }
            assert!(self.0[&day].contains(&set), "{day} is none of its sets ({context}): {set:#?}");
        }
    }
}

fn by_day(objects: &Set) -> BTreeMap<String, Vec<(String, String)>> {
    let mut days: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
    for (key, sum) in objects {
        let day = key[PREFIX.len()..].splitn(3, '/').take(2).collect::<Vec<_>>().join("/");
        days.entry(day).or_default().push((key.clone(), sum.clone()));
    }
    days
}

fn kills_lose_nothing(cloud: Cloud) {
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let lake = Lake::of(cloud, six_days());
    // A rewrite has no large object any more, which leaves less than half of a day that was published with one.
    let sync = || lake.sync().arg("--accept-shrink");
    let mut history = History::default();
    history.note(&lake.source());
    for kill in 0..KILLS {
        if kill % 4 == 3 {
            let date = lake.export.dates()[random.random_range(0..6)];
            lake.export.simulator().change().rewrite_day("events", date, 100);
            history.note(&lake.source());
        }
        let context = format!("seed {seed}, kill {kill}");
        let running = sync().start();
        // By requests and not by time, so that a slow machine is killed at the same moments.
        let until = lake.bucket().requests().total() + random.random_range(1..110);
        let is_over = AtomicBool::new(false);
        let running = std::thread::scope(|scope| {
            // Another reader looks all the time, not only when the run is dead.
            let reader = scope.spawn(|| {
                while !is_over.load(Ordering::SeqCst) {
                    history.check(&lake.data(), &context);
                    std::thread::sleep(Duration::from_millis(10));
                }
            });
            let mut running = running;
            while running.is_running() && lake.bucket().requests().total() < until {
                std::thread::sleep(Duration::from_millis(1));
            }
            let killed = running.kill();
            is_over.store(true, Ordering::SeqCst);
            reader.join().unwrap();
            killed
        });
        assert!(matches!(running.code, None | Some(0 | 7)), "{context}: {running:?}");
        history.check(&lake.data(), &context);
    }
    let last = lake.run_after_leases(sync);
    assert_eq!(last.code, Some(0), "seed {seed}: {}{}", last.stdout, last.stderr);
    lake.assert_mirrored(&format!("seed {seed}"));

    // What a killed run tried the bucket out with goes as soon as that run counts as dead.
    lake.run_until("no probes are left", || !lake.bucket().objects().keys().any(|key| key.contains("probe-")));

    // What is published is not fetched again, and a killed run loses no more than its last seconds.
    lake.export.simulator().forget_requests();
    lake.sync().run().expect(0);
    let gets = lake.export.simulator().requests().of(e3sync::simulator::Operation::Get);
    assert_eq!(gets, 0, "seed {seed}");
}

#[test]
fn kills_at_random_moments_lose_nothing_in_a_bucket_at_s3() {
    kills_lose_nothing(Cloud::S3);
}

#[test]
fn kills_at_random_moments_lose_nothing_in_a_bucket_at_google() {
    kills_lose_nothing(Cloud::Gcs);
}
