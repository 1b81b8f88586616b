//! The checksums that S3 offers, one or another or none (design.md promise 4).

use e3sync::simulator::{Checksum, Cloud};

use crate::harness::{Export, assert_tree_is, manifest_lines};

#[test]
fn every_checksum_is_verified_and_named() {
    for (checksum, name) in [
        (Checksum::Crc64Nvme, "crc64nvme"),
        (Checksum::Crc32c, "crc32c"),
        (Checksum::Crc32, "crc32"),
        (Checksum::Sha256, "sha256"),
        (Checksum::CompositeCrc32c, "size"),
        (Checksum::None, "size"),
    ] {
        let export = Export::with(|settings| {
            settings.days = 1;
            settings.checksum = checksum;
        });
        let folder = tempfile::tempdir().unwrap();
        export.sync(folder.path()).run().expect(0);
        assert_tree_is(&export, folder.path());
        let lines = manifest_lines(folder.path(), "type=events/date=2026-11-20");
        for entry in &lines[1..lines.len() - 1] {
            assert_eq!(entry["verified_against"], name);
        }
    }
}

#[test]
fn without_a_checksum_the_summary_says_so_and_the_footer_is_checked() {
    let export = Export::with(|settings| {
        settings.days = 1;
        settings.types = vec!["events".into()];
        settings.checksum = Checksum::None;
    });
    let damaged = export.inject("get:short@700");
    let folder = tempfile::tempdir().unwrap();
    let finished = export.sync(folder.path()).run().expect(0);
    assert!(finished.stdout.contains("size only"), "{}", finished.stdout);
    assert_tree_is(&export, folder.path());
    assert_eq!(damaged.fired(), 1);
}

#[test]
fn a_flipped_footer_without_checksum_is_fetched_again() {
    let export = Export::with(|settings| {
        settings.days = 1;
        settings.types = vec!["events".into()];
        settings.objects_per_day = 1;
        settings.checksum = Checksum::None;
        settings.odd_names = false;
    });
    let objects = export.simulator().account().objects(Cloud::S3, "events", "2026-11-20".parse().unwrap());
    let size_bytes = objects.iter().map(|(_, object)| object.size_bytes()).max().unwrap();
    let flipped = export.inject(&format!("get:flip@{}", size_bytes - 2));
    let folder = tempfile::tempdir().unwrap();
    export.sync(folder.path()).run().expect(0);
    assert_eq!(flipped.fired(), 1);
    assert_tree_is(&export, folder.path());
}
