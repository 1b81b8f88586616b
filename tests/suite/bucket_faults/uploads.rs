//! Objects in parts: every request of an upload fails once, and uploads that somebody else aborts.

use e3sync::simulator::{BucketAction, BucketFault, BucketOperation, Cloud, CustomerSettings, Quirk, When};
use serde_json::Value;

use super::lake::{DATA, LARGE_BYTES, Lake, PART_BYTES, export_of};
use crate::harness::{Export, TODAY};

/// The requests by which an object comes in parts.
const REQUESTS: [BucketOperation; 3] =
    [BucketOperation::CreateUpload, BucketOperation::UploadPart, BucketOperation::CompleteUpload];

fn each_request_survives(action: &BucketAction) {
    for cloud in Cloud::ALL {
        for operation in REQUESTS {
            let context = format!("{cloud:?}: {action:?} at {operation:?}");
            let lake = Lake::large(cloud);
            let fault = lake.inject(BucketFault::new(operation, action.clone()).times(1));
            let finished = lake.sync().run();
            assert_eq!(finished.code, Some(0), "{context}: {}", finished.stderr);
            assert_eq!(fault.fired(), 1, "{context}");
            lake.assert_mirrored(&context);
        }
    }
}

#[test]
fn errors_of_the_server_at_any_request_of_an_upload_are_repeated() {
    each_request_survives(&BucketAction::status(503, "SlowDown"));
}

#[test]
fn an_upload_survives_connections_that_end_before_the_effect() {
    each_request_survives(&BucketAction::Cut(When::BeforeEffect));
}

/// What was begun unheard is given up, and what was completed unheard is not made twice.
#[test]
fn an_upload_survives_answers_that_get_lost() {
    each_request_survives(&BucketAction::Cut(When::AfterEffect));
}

#[test]
fn a_success_that_holds_an_error_is_none() {
    let inside = BucketAction::ErrorInside { code: "InternalError".to_owned() };
    let lake = Lake::large(Cloud::S3);
    let completed = lake.inject(BucketFault::new(BucketOperation::CompleteUpload, inside.clone()).times(2));
    lake.sync().run().expect(0);
    assert_eq!(completed.fired(), 2);
    lake.assert_mirrored("complete");

    let lake = Lake::small(Cloud::S3);
    lake.sync().run().expect(0);
    let before = lake.data();
    lake.rewrite();
    let copied = lake.inject(BucketFault::new(BucketOperation::Copy, inside).times(2));
    lake.sync().arg("--keep-superseded").run().expect(0);
    assert_eq!(copied.fired(), 2);
    lake.assert_mirrored("copy");
    let mut kept: Vec<_> = lake.set_below("lake/_e3sync/superseded/").into_values().collect();
    let mut expected: Vec<_> =
        before.into_iter().filter(|(key, _)| !key.ends_with("_SUCCESS")).map(|(_, sum)| sum).collect();
    kept.sort();
    expected.sort();
    assert_eq!(kept, expected, "the replaced set is kept whole");
}

#[test]
fn an_upload_that_a_lifecycle_rule_aborts_in_the_middle_begins_anew() {
    for cloud in Cloud::ALL {
        let lake = Lake::large(cloud);
        let gate = lake.bucket().freeze(When::BeforeEffect, BucketOperation::UploadPart, DATA);
        let running = lake.sync().start();
        lake.wait_at(&gate);
        lake.bucket().abort_uploads();
        gate.open();
        running.wait().expect(0);
        lake.assert_mirrored(&format!("{cloud:?}"));
    }
}

/// A bucket with an upload that a killed run has noted some parts of, and how many bytes those are.
fn killed_in_an_upload(cloud: Cloud) -> (Lake, u64) {
    killed_in_an_upload_to(Lake::of(cloud, export_of_one_upload()))
}

fn export_of_one_upload() -> Export {
    let size_bytes = LARGE_BYTES + 4 * PART_BYTES;
    export_of(1, size_bytes..=size_bytes)
}

fn killed_in_an_upload_to(lake: Lake) -> (Lake, u64) {
    // So slow that notes are taken before the end; notes are what the next run goes by.
    let running = lake.sync().args(["--bwlimit", "4MB/s"]).start();
    lake.wait_until("parts are noted", |_| noted_bytes(&lake) >= PART_BYTES);
    running.kill();
    let noted = noted_bytes(&lake);
    assert_eq!(lake.bucket().unfinished_uploads().len(), 1);
    (lake, noted)
}

/// How many of an upload's bytes the notes in the bucket vouch for.
fn noted_bytes(lake: &Lake) -> u64 {
    let objects = lake.bucket().objects();
    let fragments = objects.iter().filter(|(key, _)| key.ends_with(".fragment.jsonl"));
    let lines =
        fragments.flat_map(|(_, copy)| copy.bytes.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect::<Vec<_>>());
    let lines = lines.filter_map(|line| serde_json::from_slice::<Value>(&line).ok());
    lines.filter_map(|line| line["hasher"]["length_bytes"].as_u64()).max().unwrap_or(0)
}

#[test]
fn a_large_upload_goes_on_after_a_kill_without_fetching_its_parts_again() {
    for cloud in Cloud::ALL {
        let (lake, noted) = killed_in_an_upload(cloud);
        let upload = lake.bucket().unfinished_uploads().remove(0);
        lake.export.simulator().forget_requests();
        lake.bucket().forget_requests();
        let summary = lake.run_after_leases(|| lake.sync().arg("--json")).expect(0).summary();
        lake.assert_mirrored(&format!("{cloud:?}"));
        let (size_bytes, received) = (LARGE_BYTES + 4 * PART_BYTES, summary["bytes"]["received"].as_u64().unwrap());
        assert!(received <= size_bytes - noted, "{cloud:?}: {received} bytes came, {noted} were noted");
        assert_eq!(lake.asked(BucketOperation::CreateUpload, &upload.key), 0, "the same upload went on");
        let begins: Vec<u64> =
            lake.export.simulator().log().iter().filter_map(|get| first_byte(get.range.as_deref()?)).collect();
        assert!(begins.iter().all(|begin| *begin >= noted), "finished parts were asked for: {begins:?} of {noted}");
    }
}

fn first_byte(range: &str) -> Option<u64> {
    range.strip_prefix("bytes=")?.split('-').next()?.parse().ok()
}

#[test]
fn an_upload_that_a_lifecycle_rule_aborts_between_two_runs_begins_anew() {
    let (lake, _) = killed_in_an_upload(Cloud::S3);
    lake.bucket().abort_uploads();
    lake.run_after_leases(|| lake.sync()).expect(0);
    lake.assert_mirrored("aborted between two runs");
}

#[test]
fn an_upload_that_goes_on_with_another_part_size_has_parts_of_one_size() {
    let change = |settings: &mut CustomerSettings| settings.quirks = vec![Quirk::EqualParts];
    let (lake, _) = killed_in_an_upload_to(Lake::with(Cloud::S3, export_of_one_upload(), change));
    let first = lake.export.dates()[0].to_string();
    let selection = ["--from", first.as_str(), "--today", TODAY];
    let sync = || lake.command("sync").arg(lake.address()).args(selection).args(["--part-size", "6MiB"]);
    lake.run_after_leases(sync).expect(0);
    lake.assert_mirrored("another part size");
}
