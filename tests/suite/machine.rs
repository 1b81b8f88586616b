//! A destination's file system that is full, read-only, or several, in a mount namespace of the test's own.

use std::path::Path;
use std::process::Command;

use e3sync::simulator::{Content, Operation};

use crate::harness::{Export, Finished, files_below};

/// Runs `sync` with the destination on a file system that `mount` makes; `None` where this machine
/// lets nobody mount.
fn sync_on(export: &Export, mount: &str) -> Option<Finished> {
    let folder = tempfile::tempdir().unwrap();
    may_mount("mount -t tmpfs tmpfs \"$target\"").then(|| sync_into(export, folder.path(), mount))
}

/// Runs `sync` into a folder after `mount`, a shell command that knows it as `$target`.
fn sync_into(export: &Export, folder: &Path, mount: &str) -> Finished {
    let script = format!("set -e; target='{}'; {mount}; exec \"$0\" \"$@\"", folder.display());
    export.sync(folder).under(&["unshare", "-m", "sh", "-c", &script]).run()
}

/// Whether a shell command that mounts something works here, on an empty mirror.
fn may_mount(mount: &str) -> bool {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("mirror");
    std::fs::create_dir_all(target.join("type=events/date=2026-11-19")).unwrap();
    let script = format!("set -e; target='{}'; {mount}", target.display());
    let may_mount = Command::new("unshare").args(["-m", "sh", "-c", &script]).status();
    let may_mount = may_mount.is_ok_and(|status| status.success());
    if !may_mount {
        // No package helps where a container forbids it, so that these never are required.
        eprintln!("skipped: this user may not mount");
    }
    may_mount
}

#[test]
fn a_file_system_without_room_is_told_before_the_first_byte() {
    let export = Export::with(|settings| {
        settings.days = 1;
        settings.content = Content::Noise { size_bytes: 300_000..=300_000 };
        settings.odd_names = false;
    });
    let Some(finished) = sync_on(&export, "mount -t tmpfs -o size=1m tmpfs \"$target\"") else { return };
    let finished =
        finished.expect(1).says("needs 3600000 bytes, and the destination has").says("make room and run again");
    assert!(finished.stdout.contains("the run ended early"), "{}", finished.stdout);
    assert_eq!(export.simulator().requests().of(Operation::Get), 0);
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

/// Two published days that were both rewritten at the source, one of which cannot be renamed after
/// `mount`: it is told before anything of it is fetched, and the other one goes on, in every run.
fn one_day_cannot_be_replaced(mount: &str, says: &str) {
    if !may_mount(mount) {
        return;
    }
    let export = Export::with(|settings| {
        settings.days = 2;
        settings.types = vec!["events".into()];
        settings.objects_per_day = 3;
        settings.content = Content::Noise { size_bytes: 500..=600 };
        settings.odd_names = false;
    });
    let folder = tempfile::tempdir().unwrap();
    let mirror = folder.path().join("mirror");
    export.sync(&mirror).run().expect(0);
    let before = files_below(&mirror.join("type=events/date=2026-11-19"));
    for _ in 0..2 {
        for date in export.dates() {
            export.simulator().change().rewrite_day("events", date, 100);
        }
        let fetched = export.simulator().requests().of(Operation::Get);
        let finished = sync_into(&export, &mirror, mount).expect(3);
        let finished = finished.says(says).says("put the whole destination on one volume of its own");
        assert!(finished.stdout.contains("1 of 2 partitions published · 3 copied"), "{}", finished.stdout);
        assert_eq!(export.simulator().requests().of(Operation::Get) - fetched, 3, "of the other day alone");
        assert_eq!(files_below(&mirror.join("type=events/date=2026-11-19")), before);
    }
}

#[test]
fn a_day_on_another_file_system_costs_that_day_and_nothing_is_fetched_for_it() {
    one_day_cannot_be_replaced(
        "day=\"$target/type=events/date=2026-11-19\"; cp -a \"$day\" \"$target.copy\"; \
         mount -t tmpfs tmpfs \"$day\"; cp -a \"$target.copy/.\" \"$day\"; rm -r \"$target.copy\"",
        "it is a mount of its own",
    );
}

#[test]
fn a_day_that_is_bound_to_its_place_costs_that_day_and_nothing_is_fetched_for_it() {
    one_day_cannot_be_replaced(
        "day=\"$target/type=events/date=2026-11-19\"; mount --bind \"$day\" \"$day\"",
        "it is a mount of its own",
    );
}

#[test]
fn a_type_on_another_file_system_is_told_before_anything_is_fetched() {
    let mount = "mkdir -p \"$target/type=events\"; mount -t tmpfs tmpfs \"$target/type=events\"";
    if !may_mount(mount) {
        return;
    }
    let export = Export::with(|settings| (settings.days, settings.objects_per_day) = (1, 3));
    let folder = tempfile::tempdir().unwrap();
    sync_into(&export, folder.path(), mount).expect(3).says("it is on another mount than the side folder _e3sync");
    assert!(folder.path().join("type=decisions/date=2026-11-20/_SUCCESS").exists());
    let fetched = export.simulator().requests().of(Operation::Get);
    let decisions = files_below(&folder.path().join("type=decisions")).len() as u64 - 1;
    assert_eq!(fetched, decisions);
}

#[test]
fn a_day_in_an_overlays_lower_layer_costs_that_day_and_nothing_is_fetched_for_it() {
    // The whole mirror is the lower layer; the other day has been written anew in the upper one.
    one_day_cannot_be_replaced(
        "layers=\"$target.layers\"; mkdir -p $layers; mount -t tmpfs tmpfs $layers; mkdir $layers/lower $layers/upper $layers/work; \
         cp -a \"$target/.\" $layers/lower; \
         if test -d \"$target/type=events/date=2026-11-20\"; then \
         mkdir -p $layers/upper/type=events; \
         mv $layers/lower/type=events/date=2026-11-20 $layers/upper/type=events/; fi; \
         mount -t overlay -o lowerdir=$layers/lower,upperdir=$layers/upper,workdir=$layers/work,redirect_dir=off \
         overlay \"$target\"",
        "the lower layer of an overlay file system holds it",
    );
}
