//! What the network and the source do to bytes on their way (reliability.md section 1).

use std::time::Duration;

use e3sync::simulator::{Content, Operation};

use crate::harness::{CHECKSUM, Export, assert_tree_is, files_below, manifest_lines};

/// An export of one day with a few objects of this size.
fn export_of(objects: u32, size_bytes: u64) -> Export {
    Export::with(|settings| {
        settings.days = 1;
        settings.types = vec!["events".into()];
        settings.objects_per_day = objects;
        settings.content = Content::Noise { size_bytes: size_bytes..=size_bytes };
        settings.odd_names = false;
    })
}

#[test]
fn broken_transfers_are_continued_where_they_broke() {
    for fault in ["cut@100000", "reset@100000", "short@100000"] {
        let export = export_of(3, 400_000);
        let injected = export.inject(&format!("get:{fault} times=4"));
        let folder = tempfile::tempdir().unwrap();
        export.sync(folder.path()).run().expect(0);
        assert_tree_is(&export, folder.path());
        assert_eq!(injected.fired(), 4, "{fault}");
        let log = export.simulator().log();
        let continued =
            log.iter().filter(|request| request.operation == Operation::Get && request.range.is_some()).count();
        assert!(continued >= 3, "{fault}: continued by ranges, {continued}");
    }
}

#[test]
fn a_stalled_connection_is_dropped_and_the_transfer_continued() {
    let export = export_of(2, 300_000);
    let stalled = export.inject("get:stall@1000");
    let folder = tempfile::tempdir().unwrap();
    export.sync(folder.path()).args(["--stall-timeout", "1s"]).run().expect(0);
    assert_tree_is(&export, folder.path());
    assert_eq!(stalled.fired(), 1);
}

#[test]
fn flipped_bits_are_noticed_and_fetched_again() {
    for size_bytes in [5_000, 2_000_000] {
        let export = export_of(2, size_bytes);
        let flipped = export.inject("get:flip@4000 times=2");
        let folder = tempfile::tempdir().unwrap();
        export.sync(folder.path()).args(["--part-size", "256KiB"]).run().expect(0);
        assert_tree_is(&export, folder.path());
        assert_eq!(flipped.fired(), 2);
    }
}

#[test]
fn bits_that_stay_flipped_fail_their_object_only() {
    let export = export_of(4, 5_000);
    let objects = export.objects();
    let (bad, _) = objects.iter().find(|(path, _)| path.ends_with(".parquet")).unwrap();
    export.inject(&format!("get:flip@4000 times=always key={bad}"));
    let folder = tempfile::tempdir().unwrap();
    let finished = export.sync(folder.path()).arg("--json").run().expect(5);
    assert_eq!(finished.summary()["objects"]["failed"], 1);
    assert_eq!(export.simulator().requests().of(Operation::Get), 3 + 3, "three attempts for the bad one");
    assert!(files_below(folder.path()).is_empty(), "a partition with a failed object is not published");

    export.simulator().clear_faults();
    let second = export.sync(folder.path()).arg("--json").run().expect(0).summary();
    assert_eq!(second["objects"]["transferred"], 1, "the others were kept");
    assert_tree_is(&export, folder.path());
}

#[test]
fn a_storm_of_refusals_is_sat_out() {
    let export = export_of(60, 2_000);
    export.inject("get:slowdown times=40");
    export.inject("get:throttled times=20");
    export.inject("get:error times=10");
    export.inject("list:slowdown times=2");
    let folder = tempfile::tempdir().unwrap();
    let summary = export.sync(folder.path()).arg("--json").run().expect(0).summary();
    assert_tree_is(&export, folder.path());
    assert_eq!(summary["requests"]["retries"], 72);
    assert_eq!(summary["objects"]["failed"], 0);
}

/// Whatever the distance and the limit, and whether it was there from the beginning or came in the middle, a run
/// finds below a server's limit, and ends.
#[test]
fn a_server_with_a_limit_is_kept_below_it_at_any_distance() {
    std::thread::scope(|scope| {
        for latency_ms in [5, 30, 300] {
            scope.spawn(move || {
                for fault in ["busy=20", "busy=100", "after=200 busy=20"] {
                    throttled_above(latency_ms, fault);
                }
            });
        }
    });
}

fn throttled_above(latency_ms: u64, fault: &str) {
    const OBJECTS: u32 = 400;
    let export = Export::with(|settings| {
        settings.days = 1;
        settings.odd_names = false;
        settings.types = vec!["events".into()];
        settings.objects_per_day = OBJECTS;
        settings.content = Content::Noise { size_bytes: 100..=100 };
        settings.latency = Some(Duration::from_millis(latency_ms));
    });
    let throttled = export.inject(&format!("get:throttled {fault}"));
    let folder = tempfile::tempdir().unwrap();
    let summary = export.sync(folder.path()).arg("--json").run().expect(0).summary();
    assert_eq!(summary["objects"]["transferred"], OBJECTS, "{latency_ms} ms, {fault}");
    // Each refusal is a request for nothing.
    assert!(throttled.fired() < 2 * u64::from(OBJECTS), "{latency_ms} ms, {fault}: {}", throttled.fired());
}

#[test]
fn lies_about_length_range_and_version_are_not_believed() {
    for fault in ["length=+7", "length=-7", "etag"] {
        let export = export_of(3, 50_000);
        export.inject(&format!("get:{fault} times=2"));
        let folder = tempfile::tempdir().unwrap();
        export.sync(folder.path()).run().expect(0);
        assert_tree_is(&export, folder.path());
    }
    let export = export_of(2, 2_000_000);
    let lied = export.inject("get:content-range times=2 after=2");
    let folder = tempfile::tempdir().unwrap();
    export.sync(folder.path()).args(["--part-size", "256KiB"]).run().expect(0);
    assert_tree_is(&export, folder.path());
    assert_eq!(lied.fired(), 2);
}

#[test]
fn a_large_object_comes_in_parallel_ranges_and_is_verified_as_a_whole() {
    let export = export_of(1, 5_000_000);
    let folder = tempfile::tempdir().unwrap();
    export.sync(folder.path()).args(["--part-size", "512KiB"]).run().expect(0);
    assert_tree_is(&export, folder.path());
    let ranges = export.simulator().log().into_iter().filter(|request| request.range.is_some()).count();
    assert_eq!(ranges, 9, "ten parts, the first out of the request that brings the checksum");
    let lines = manifest_lines(folder.path(), "type=events/date=2026-11-20");
    assert_eq!(lines[1]["verified_against"], CHECKSUM);
}

#[test]
fn an_object_that_changes_in_the_middle_is_never_a_mixture() {
    let export = export_of(2, 3_000_000);
    // The reads of the rest wait until the object is replaced.
    export.inject("get:cut@1000000 times=2");
    let rest = export.inject("get:hold after=2 times=8");
    let folder = tempfile::tempdir().unwrap();
    let running = export.sync(folder.path()).start();
    export.wait_until("both transfers were cut", |simulator| simulator.requests().of(Operation::Get) >= 2);
    let (path, _) = export.objects().into_iter().find(|(path, _)| path.ends_with(".parquet")).unwrap();
    let key = path.splitn(3, '/').nth(2).unwrap().to_owned();
    let date = "2026-11-20".parse().unwrap();
    assert!(export.simulator().change().replace_object("events", date, &key, vec![7_u8; 2_000_000]));
    rest.release();
    running.wait().expect(0);
    assert_tree_is(&export, folder.path());
}

#[test]
fn a_bandwidth_limit_is_kept() {
    let export = export_of(4, 250_000);
    let folder = tempfile::tempdir().unwrap();
    let summary = export.sync(folder.path()).args(["--json", "--bwlimit", "500kB/s"]).run().expect(0).summary();
    assert!(summary["seconds"].as_f64().unwrap() >= 1.5, "a megabyte at half a megabyte a second: {summary}");
    assert_tree_is(&export, folder.path());
}

#[test]
fn a_flipped_bit_in_a_large_object_is_healed_though_its_progress_was_noted() {
    let export = export_of(1, 30_000_000);
    let flipped = export.inject("get:flip@100000");
    let folder = tempfile::tempdir().unwrap();
    export.sync(folder.path()).args(["--part-size", "1MiB"]).run().expect(0);
    assert_eq!(flipped.fired(), 1);
    assert_tree_is(&export, folder.path());
}
