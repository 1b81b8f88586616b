//! A destination's file system that is full or read-only, in a mount namespace of the test's own.

use std::process::Command;

use crate::harness::Export;

/// Runs `sync` with the destination on a file system that `mount` makes; `None` where this machine
/// lets nobody mount.
fn sync_on(export: &Export, mount: &str) -> Option<crate::harness::Finished> {
    let folder = tempfile::tempdir().unwrap();
    let script = format!("set -e; target='{}'; {mount}; exec \"$0\" \"$@\"", folder.path().display());
    let may_mount = Command::new("unshare").args(["-m", "true"]).status().is_ok_and(|status| status.success());
    if !may_mount {
        // No package helps where a container forbids it, so that these never are required.
        eprintln!("skipped: this user may not mount");
        return None;
    }
    Some(export.sync(folder.path()).under(&["unshare", "-m", "sh", "-c", &script]).run())
}

#[test]
fn a_file_system_without_room_is_told_before_the_first_byte() {
    let export = Export::with(|settings| {
        settings.days = 1;
        settings.content = e3sync::simulator::Content::Noise { size_bytes: 300_000..=300_000 };
        settings.odd_names = false;
    });
    let Some(finished) = sync_on(&export, "mount -t tmpfs -o size=1m tmpfs \"$target\"") else { return };
    let finished =
        finished.expect(1).says("needs 3600000 bytes, and the destination has").says("make room and run again");
    assert!(finished.stdout.contains("the run ended early"), "{}", finished.stdout);
    assert_eq!(export.simulator().requests().of(e3sync::simulator::Operation::Get), 0);
}

#[test]
fn a_file_system_that_fills_up_stops_the_run_cleanly() {
    let export = Export::of_noise(1, 40);
    // Room for the bytes, but not for so many files.
    let Some(finished) = sync_on(&export, "mount -t tmpfs -o size=8m,nr_inodes=40 tmpfs \"$target\"") else { return };
    finished.expect(1).says("make room and run again");
}

#[test]
fn a_read_only_file_system_is_told() {
    let export = Export::of_noise(1, 2);
    let Some(finished) = sync_on(&export, "mount -t tmpfs -o ro tmpfs \"$target\"") else { return };
    finished.expect(1).says("read-only");
}
