//! A first run, a second run, and what they leave.

use crate::harness::{CHECKSUM, Export, assert_tree_is, manifest_lines};

#[test]
fn a_first_run_brings_everything_and_a_second_nothing() {
    let export = Export::of_parquet(3);
    let folder = tempfile::tempdir().unwrap();
    let destination = folder.path().join("events");
    let first = export.sync(&destination).arg("--json").run().expect(0).summary();
    assert_tree_is(&export, &destination);
    assert_eq!(first["partitions"]["published"], 6);

    export.simulator().forget_requests();
    let second = export.sync(&destination).arg("--json").run().expect(0).summary();
    assert_eq!(second["objects"]["transferred"], 0);
    assert_eq!(second["partitions"]["unchanged"], 6);
    assert_tree_is(&export, &destination);
}

#[test]
fn the_manifest_says_what_was_verified() {
    let export = Export::of_parquet(1);
    let folder = tempfile::tempdir().unwrap();
    export.sync(folder.path()).run().expect(0);
    let lines = manifest_lines(folder.path(), "type=decisions/date=2026-11-20");
    let (header, entries) = lines.split_first().unwrap();
    assert_eq!(header["format"], "e3sync-manifest");
    assert_eq!(header["completeness"], "declared");
    let (trailer, entries) = entries.split_last().unwrap();
    assert!(trailer["manifest_sha256"].is_string());
    assert_eq!(header["objects"], entries.len());
    assert_eq!(
        header["rows"].as_u64().unwrap(),
        entries.iter().map(|entry| entry["rows"].as_u64().unwrap()).sum::<u64>()
    );
    for entry in entries {
        assert_eq!(entry["verified_against"], CHECKSUM);
    }
}

#[test]
fn a_mirrored_object_costs_one_request_and_a_listing_two() {
    let export = Export::of_noise(2, 30);
    let folder = tempfile::tempdir().unwrap();
    export.sync(folder.path()).run().expect(0);
    assert_tree_is(&export, folder.path());
    let requests = export.simulator().requests();
    let objects = 2 * 2 * 30;
    assert_eq!(requests.of(e3sync::simulator::Operation::Get), objects);
    assert_eq!(requests.of(e3sync::simulator::Operation::Head), 0);
    assert_eq!(requests.of(e3sync::simulator::Operation::Exchange), 1);
    // The types, each type's days, and each partition before and after its transfer.
    assert_eq!(requests.of(e3sync::simulator::Operation::List), 1 + 2 + 2 * 4);
}
