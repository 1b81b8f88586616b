//! Into a bucket: a first run, a second run, and what they ask of both sides.

use e3sync::simulator::{BucketOperation, Content, Operation};
use serde_json::Value;

use crate::harness::{CHECKSUM, CustomerLake, E3sync, Export, for_each_lake, sha256_hex};

for_each_lake! {
    a_first_run_brings_everything_and_a_second_nothing
    the_manifest_says_what_was_verified
    an_object_costs_one_request_on_each_side
    a_large_object_is_stored_in_parts
    looking_writes_nothing
}

fn summary(command: E3sync) -> Value {
    command.arg("--json").run().expect(0).summary()
}

fn a_first_run_brings_everything_and_a_second_nothing(lake: &CustomerLake) {
    let export = Export::of_parquet(3);
    let first = summary(lake.sync(&export));
    lake.assert_is(&export);
    assert_eq!(first["partitions"]["published"], 6);

    export.simulator().forget_requests();
    lake.bucket().forget_requests();
    let before = lake.stored();
    let second = summary(lake.sync(&export));
    assert_eq!(second["objects"]["transferred"], 0);
    assert_eq!(second["partitions"]["unchanged"], 6);
    assert_eq!(export.simulator().requests().of(Operation::Get), 0);
    assert!(lake.stored() == before, "the second run wrote something that stays");
    let log = lake.bucket().requests().log;
    let touched: Vec<_> = log.iter().filter(|request| request.key.contains("type=")).collect();
    assert!(touched.is_empty(), "a second run asks for nothing in the days: {touched:?}");
}

fn the_manifest_says_what_was_verified(lake: &CustomerLake) {
    let export = Export::of_parquet(1);
    lake.sync(&export).run().expect(0);
    let partition = format!("type=events/date={}", export.dates()[0]);
    let lines = lake.manifest_lines(&partition);
    let [header, entries @ .., trailer] = lines.as_slice() else { panic!("an empty manifest") };
    assert_eq!((&header["format"], &header["completeness"]), (&"e3sync-manifest".into(), &"declared".into()));
    assert_eq!(header["objects"], entries.len());
    assert!(trailer["manifest_sha256"].is_string());
    let stored = lake.stored();
    assert!(!entries.is_empty());
    for entry in entries {
        let copy = &stored[&format!("{partition}/{}", entry["key"].as_str().unwrap())];
        assert_eq!(entry["sha256"], sha256_hex(&copy.bytes));
        assert_eq!(entry["stored_etag"], copy.etag);
        assert_eq!(entry["verified_against"], CHECKSUM);
        // What the bucket itself has verified the bytes against.
        assert!(!copy.checksums.is_empty(), "{entry} was stored without a checksum");
    }
}

fn an_object_costs_one_request_on_each_side(lake: &CustomerLake) {
    let export = Export::of_noise(2, 30);
    lake.sync(&export).run().expect(0);
    lake.assert_is(&export);
    let objects = 2 * 2 * 30;
    let source = export.simulator().requests();
    assert_eq!((source.of(Operation::Get), source.of(Operation::Head)), (objects, 0));
    assert_eq!(lake.data_requests(BucketOperation::Put) as u64, objects);
    let requests = lake.bucket().requests();
    for never in [BucketOperation::Head, BucketOperation::Copy, BucketOperation::CreateUpload] {
        assert_eq!(requests.count(never), 0, "{never:?}");
    }
    assert_eq!(lake.data_requests(BucketOperation::Get), 0, "nothing is read again to be verified");
}

fn a_large_object_is_stored_in_parts(lake: &CustomerLake) {
    const SIZE_BYTES: u64 = 22 * 1000 * 1000;
    const PART_BYTES: u64 = 5 * 1024 * 1024;
    let export = Export::with(|settings| {
        settings.days = 1;
        settings.types = vec!["events".into()];
        settings.objects_per_day = 2;
        settings.odd_names = false;
        settings.content = Content::Noise { size_bytes: SIZE_BYTES..=SIZE_BYTES };
    });
    lake.sync(&export).args(["--part-size", "5MiB"]).run().expect(0);
    lake.assert_is(&export);
    let parts = SIZE_BYTES.div_ceil(PART_BYTES);
    let stored = lake.stored();
    let large: Vec<_> = stored.iter().filter(|(path, _)| path.ends_with(".parquet")).collect();
    assert_eq!(large.len(), 2);
    for (path, copy) in large {
        assert_eq!((copy.bytes.len() as u64, u64::from(copy.parts)), (SIZE_BYTES, parts), "{path}");
        assert!(!copy.checksums.is_empty(), "{path} was stored without a checksum");
    }
    assert_eq!(lake.data_requests(BucketOperation::UploadPart) as u64, 2 * parts);
    assert_eq!(lake.data_requests(BucketOperation::CompleteUpload), 2);
    assert_eq!(lake.data_requests(BucketOperation::Put), 0);
    // Each part once: the ranges of one object together are the object.
    assert_eq!(export.simulator().requests().of(Operation::Get), 2 * parts);
}

fn looking_writes_nothing(lake: &CustomerLake) {
    let export = Export::of_noise(3, 4);
    let days = ["--from", "2026-11-18", "--today", "2026-11-21"];
    let look = |is_published: bool| {
        lake.bucket().forget_requests();
        let before = lake.stored();
        let changes = if is_published { 0 } else { 10 };
        lake.command(&export, "plan").args(days).run().expect(0);
        lake.command(&export, "plan").args(days).arg("--exit-code").run().expect(changes);
        lake.command(&export, "sync").args(days).arg("--dry-run").run().expect(0);
        let status = lake.point(E3sync::new("status")).args(["--json"]).run().expect(0);
        assert_eq!(lake.writes(), 0, "looking wrote something");
        assert!(lake.bucket().requests().total() > 0, "nobody looked");
        assert!(lake.stored() == before);
        status.stdout
    };
    look(false);
    lake.sync(&export).run().expect(0);
    let status = look(true);
    for date in export.dates() {
        assert!(status.contains(&date.to_string()), "{date} is missing from {status}");
    }
}
