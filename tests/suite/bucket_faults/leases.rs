//! Two runs on one bucket, dead ones and sleeping ones.

use e3sync::simulator::{BucketAction, BucketFault, BucketOperation, Cloud, When};
use rustix::process::Signal;

use super::lake::{DATA, Lake, export_of};

#[test]
fn a_second_run_stops_at_once_and_names_the_holder() {
    for cloud in Cloud::ALL {
        let lake = Lake::small(cloud);
        let gate = lake.bucket().freeze(When::BeforeEffect, BucketOperation::Put, DATA);
        let running = lake.sync().start();
        lake.wait_at(&gate);
        let second = lake.sync().run().expect(7).says("hint: ");
        assert!(second.stderr.contains(&format!("process {} on", running.id())), "{}", second.stderr);
        gate.open();
        running.wait().expect(0);
        lake.assert_mirrored("the first went on");
    }
}

#[test]
fn a_killed_runs_lease_ends_by_itself() {
    for cloud in Cloud::ALL {
        let lake = Lake::small(cloud);
        let gate = lake.bucket().freeze(When::BeforeEffect, BucketOperation::Put, DATA);
        let running = lake.sync().args(["--dest-lease", "5"]).start();
        lake.wait_at(&gate);
        let id = running.id();
        running.kill();
        let held = lake.sync().run().expect(7).says("lease ends by itself");
        assert!(held.stderr.contains(&format!("process {id} on")), "{}", held.stderr);
        gate.open();
        lake.run_after_leases(|| lake.sync()).expect(0);
        lake.assert_mirrored("the lease ended");
        let left: Vec<_> = lake.bucket().objects().into_keys().filter(|key| key.contains("/locks/")).collect();
        assert!(left.is_empty(), "the dead run left {left:?}");
    }
}

#[test]
fn an_interrupted_run_frees_the_bucket_and_keeps_what_is_finished() {
    for cloud in Cloud::ALL {
        let lake = Lake::of(cloud, export_of(12, 1_000..=4_000));
        let gate = e3sync::simulator::Gate::new();
        let freeze = BucketAction::Freeze(When::BeforeEffect, gate.clone());
        lake.inject(BucketFault::new(BucketOperation::Put, freeze).on(DATA).after(6).times(1));
        // A long lease: only a run that ends its lease itself lets the next one begin.
        let long = || lake.sync().args(["--dest-lease", "600", "--concurrency", "1", "--json"]);
        let running = long().start();
        lake.wait_at(&gate);
        running.signal(Signal::INT);
        gate.open();
        let stopped = running.wait().expect(130).says("nothing is lost").summary();
        let done = stopped["objects"]["transferred"].as_u64().unwrap();
        assert!((6..12).contains(&done), "{stopped}");
        let second = long().run().expect(0).summary();
        assert_eq!(
            second["objects"]["transferred"].as_u64().unwrap(),
            12 - done,
            "finished objects were fetched again"
        );
        lake.assert_mirrored("after an interruption");
    }
}

/// A run that slept through its lease, between two requests or within one, finds another in its
/// place when it wakes, and touches nothing any more.
#[test]
fn a_run_that_slept_while_another_took_over_does_no_harm() {
    let moments = [
        (BucketOperation::List, DATA),
        (BucketOperation::DeleteMany, ""),
        (BucketOperation::Put, "event="),
        (BucketOperation::Put, "manifests/type=events"),
        (BucketOperation::Put, "_SUCCESS"),
    ];
    for (operation, key_part) in moments {
        let context = format!("{operation:?} {key_part}");
        let lake = Lake::small(Cloud::S3);
        lake.publish_and_rewrite();
        // The request has no effect and no answer; it is its repetition that could do harm.
        let gate = e3sync::simulator::Gate::new();
        let skipped = u64::from(operation == BucketOperation::DeleteMany) * 2;
        for action in [BucketAction::Freeze(When::BeforeEffect, gate.clone()), BucketAction::Cut(When::BeforeEffect)] {
            lake.inject(BucketFault::new(operation, action).on(key_part).after(skipped).times(1));
        }
        // One at a time: what is on its way to the bucket already cannot be called back by anybody.
        let sleeping = lake.sync().args(["--concurrency", "1"]).start();
        lake.wait_at(&gate);
        sleeping.signal(Signal::STOP);
        lake.rewrite();
        lake.run_after_leases(|| lake.sync()).expect(0);
        lake.assert_mirrored(&context);
        let published = lake.bucket().objects();
        gate.open();
        sleeping.signal(Signal::CONT);
        let woken = sleeping.wait();
        assert_eq!(woken.code, Some(75), "{context}: {}", woken.stderr);
        lake.assert_mirrored(&context);
        let is_shared = |key: &String| !key.contains("/locks/") && !key.ends_with("manifests.index.jsonl");
        let of = |objects: std::collections::BTreeMap<String, _>| {
            objects.into_iter().filter(|(key, _)| is_shared(key)).collect::<Vec<_>>()
        };
        assert_eq!(of(lake.bucket().objects()), of(published), "{context}: what the other published was touched");
        lake.sync().run().expect(0);
        lake.assert_mirrored(&context);
    }
}

#[test]
fn a_server_that_takes_no_notice_of_conditions_is_told() {
    for cloud in Cloud::ALL {
        let lake = Lake::with(cloud, export_of(2, 1_000..=2_000), |settings| settings.honours_conditions = false);
        lake.sync().run().expect(0).says("takes no notice of conditional writes");
        lake.assert_mirrored("without conditions");
        let honest = Lake::small(cloud);
        let finished = honest.sync().run().expect(0);
        assert!(!finished.stderr.contains("conditional"), "{}", finished.stderr);
    }
}
