//! Replaced sets: who may still read them, when they go, and that no trouble with them costs anything
//! else (design.md section 3).

use std::collections::BTreeMap;
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use jiff::civil::Date;

use crate::harness::{E3sync, Export, TODAY, assert_tree_is, files_below, has_strace, miss, skip};

const DAY: &str = "type=events/date=2026-11-20";

fn day() -> Date {
    "2026-11-20".parse().unwrap()
}

/// A mirror of one day with three objects.
struct Mirror {
    export: Export,
    folder: tempfile::TempDir,
}

impl Mirror {
    fn new() -> Self {
        let export = Export::with(|settings| {
            settings.days = 1;
            settings.types = vec!["events".into()];
            settings.objects_per_day = 3;
            settings.odd_names = false;
        });
        let folder = tempfile::tempdir().unwrap();
        export.sync(folder.path()).run().expect(0);
        Self { export, folder }
    }

    fn path(&self, below: &str) -> PathBuf {
        self.folder.path().join(below)
    }

    fn day(&self) -> BTreeMap<String, String> {
        files_below(&self.path(DAY))
    }

    fn rewrite(&self) {
        self.export.simulator().change().rewrite_day("events", day(), 100);
    }

    /// A run; whether a rewritten day has become smaller is not what these tests are about.
    fn sync(&self) -> E3sync {
        self.export.sync(self.folder.path()).arg("--accept-shrink")
    }

    /// A run that keeps no replaced set for readers.
    fn sync_at_once(&self) -> E3sync {
        self.sync().args(["--keep-replaced", "0s"])
    }

    /// The folders of replaced sets below a folder of the side folder.
    fn sets_in(&self, below: &str) -> Vec<PathBuf> {
        let Ok(entries) = std::fs::read_dir(self.path("_e3sync").join(below)) else { return Vec::new() };
        let paths = entries.map(|entry| entry.unwrap().path());
        let is_set = |path: &PathBuf| path.is_dir() && path.file_name().unwrap().to_str().unwrap().contains(".20");
        let mut sets: Vec<PathBuf> = paths.filter(is_set).collect();
        sets.sort();
        sets
    }

    fn replaced(&self) -> Vec<PathBuf> {
        self.sets_in("replaced/type=events")
    }

    fn in_staging(&self) -> Vec<PathBuf> {
        self.sets_in("staging/type=events/date=2026-11-20")
    }
}

fn hashes(files: &BTreeMap<String, String>) -> Vec<String> {
    let mut hashes: Vec<String> =
        files.iter().filter(|(path, _)| !path.starts_with("_SUCCESS")).map(|(_, hash)| hash.clone()).collect();
    hashes.sort();
    hashes
}

#[test]
fn a_reader_with_an_open_folder_goes_on_reading_the_old_set() {
    let mirror = Mirror::new();
    let before = mirror.day();
    let open = std::fs::File::open(mirror.path(DAY)).unwrap();
    mirror.rewrite();
    mirror.sync().run().expect(0);
    assert_tree_is(&mirror.export, mirror.folder.path());
    let seen = files_below(Path::new(&format!("/proc/self/fd/{}/", open.as_raw_fd())));
    assert_eq!(seen, before, "names and bytes are as they were");
}

#[test]
fn a_replaced_set_is_deleted_by_a_later_run_when_its_time_is_over() {
    let mirror = Mirror::new();
    let before = mirror.day();
    mirror.rewrite();
    mirror.sync().run().expect(0);
    mirror.sync().run().expect(0);
    let sets = mirror.replaced();
    assert_eq!(sets.len(), 1);
    assert_eq!(files_below(&sets[0]), before);
    let name = sets[0].file_name().unwrap().to_str().unwrap();
    let (_, random) = name.split_once('-').and_then(|(_, rest)| rest.rsplit_once('-')).unwrap();
    // As if it had been replaced two hours ago; the manifest beside it tells what is in it.
    let time = (jiff::Timestamp::now() - jiff::SignedDuration::from_hours(2)).strftime("%Y%m%dT%H%M%SZ").to_string();
    let older = sets[0].with_file_name(format!("date=2026-11-20.{time}-{random}"));
    let manifest = |set: &Path| PathBuf::from(format!("{}.jsonl", set.display()));
    std::fs::rename(manifest(&sets[0]), manifest(&older)).unwrap();
    std::fs::rename(&sets[0], &older).unwrap();
    mirror.sync().args(["--keep-replaced", "3h"]).run().expect(0);
    assert!(older.is_dir());
    mirror.sync().run().expect(0);
    assert!(files_below(&mirror.path("_e3sync/replaced")).is_empty(), "the manifest goes with the set");
    assert_tree_is(&mirror.export, mirror.folder.path());

    mirror.rewrite();
    mirror.sync_at_once().run().expect(0);
    assert!(files_below(&mirror.path("_e3sync/replaced")).is_empty());
}

#[test]
fn a_manifest_whose_set_is_gone_does_not_lie_about() {
    let mirror = Mirror::new();
    let folder = mirror.path("_e3sync/replaced/type=events");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("date=2026-11-20.20250101T000000Z-00000001.delete.jsonl"), "").unwrap();
    std::fs::write(folder.join("notes.jsonl"), "mine").unwrap();
    mirror.sync().run().expect(0);
    assert_eq!(files_below(&folder).into_keys().collect::<Vec<_>>(), ["notes.jsonl"]);
    let told = mirror.export.command("doctor").arg(mirror.folder.path()).run().expect(0);
    assert!(told.stdout.contains("files that e3sync did not put into _e3sync/replaced: 1"), "{}", told.stdout);
}

#[test]
fn what_somebody_puts_into_a_replaced_set_is_kept_and_told_once() {
    let mirror = Mirror::new();
    mirror.rewrite();
    mirror.sync().run().expect(0);
    std::fs::write(mirror.replaced()[0].join("notes.txt"), "mine").unwrap();
    mirror.sync_at_once().run().expect(0).says("files that e3sync did not publish");
    let kept = files_below(&mirror.path("_e3sync/superseded/type=events/date=2026-11-20.1"));
    assert_eq!(kept.keys().collect::<Vec<_>>(), ["notes.txt.superseded"], "only what the manifest does not name");
    let quiet = mirror.sync_at_once().run().expect(0);
    assert!(!quiet.stderr.contains("did not publish"), "{}", quiet.stderr);
}

/// A rewriting that was killed right behind the rename of its manifest.
fn killed_behind_the_manifest(mirror: &Mirror, options: &[&str]) {
    mirror.rewrite();
    let kill = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", "inject=renameat:signal=KILL:when=1"];
    mirror.sync().args(options).under(&kill).run();
    // The kill was at the rename, and not behind it.
    let manifests = mirror.path("_e3sync/manifests/type=events");
    std::fs::rename(manifests.join("date=2026-11-20.jsonl.next"), manifests.join("date=2026-11-20.jsonl")).unwrap();
}

#[test]
fn a_kill_behind_the_manifest_does_not_cost_files_of_others() {
    if !has_strace() {
        return;
    }
    let mirror = Mirror::new();
    std::fs::write(mirror.path(DAY).join("notes.txt"), "mine").unwrap();
    killed_behind_the_manifest(&mirror, &[]);
    mirror.sync_at_once().run().expect(0).says("files that e3sync did not publish");
    assert_tree_is(&mirror.export, mirror.folder.path());
    let kept = mirror.path("_e3sync/superseded/type=events/date=2026-11-20.1/notes.txt.superseded");
    assert_eq!(std::fs::read_to_string(kept).unwrap(), "mine");
}

#[test]
fn a_kill_behind_the_manifest_does_not_cost_a_set_that_is_to_be_kept() {
    if !has_strace() {
        return;
    }
    let mirror = Mirror::new();
    let before = mirror.day();
    killed_behind_the_manifest(&mirror, &["--keep-superseded"]);
    // The next run was not told to keep anything: what becomes of the set was decided before the swap.
    mirror.sync_at_once().run().expect(0);
    let kept = files_below(&mirror.path("_e3sync/superseded/type=events/date=2026-11-20.1"));
    assert_eq!(hashes(&kept), hashes(&before));
}

/// Makes `place` unusable for `run`, in each of several ways; `None` where this machine forbids one.
fn with_unusable(place: &Path, run: impl Fn(&str, &dyn Fn(E3sync) -> E3sync)) {
    let elsewhere = tempfile::tempdir_in("/dev/shm").ok();
    let _ = std::fs::remove_dir_all(place);
    if let Some(elsewhere) = &elsewhere {
        std::os::unix::fs::symlink(elsewhere.path(), place).unwrap();
        run("a link to another file system", &|sync| sync);
        assert!(files_below(elsewhere.path()).is_empty(), "links are not followed");
        std::fs::remove_file(place).unwrap();
    }
    std::fs::write(place, "a file").unwrap();
    run("a file", &|sync| sync);
    std::fs::remove_file(place).unwrap();
    std::fs::create_dir(place).unwrap();
    if !Command::new("unshare").args(["-m", "true"]).status().is_ok_and(|status| status.success()) {
        return skip("this user may not mount");
    }
    for (what, options) in [("another mount", "size=4m"), ("read-only", "ro"), ("full", "size=4m,nr_inodes=1")] {
        let script = format!("mount -t tmpfs -o {options} tmpfs '{}' && exec \"$0\" \"$@\"", place.display());
        run(what, &|sync| sync.under(&["unshare", "-m", "sh", "-c", &script]));
    }
}

#[test]
fn a_place_for_replaced_sets_that_cannot_be_used_costs_no_set() {
    let mirror = Mirror::new();
    with_unusable(&mirror.path("_e3sync/replaced"), |what, within| {
        for round in 1..=2 {
            let before = mirror.day();
            mirror.rewrite();
            within(mirror.sync()).run().expect(0).says("the replaced set of type=events/date=2026-11-20 stays at");
            assert_ne!(mirror.day(), before);
            let kept = mirror.in_staging();
            assert_eq!(kept.len(), round, "{what}");
            assert!(kept.iter().any(|set| files_below(set) == before), "{what}: the old set is whole");
            let told = within(mirror.export.command("doctor").arg(mirror.folder.path())).run();
            assert!(told.stdout.contains("replaced sets that could not be moved"), "{what}: {}", told.stdout);
            let status = E3sync::new("status").arg(mirror.folder.path()).args(["--today", TODAY, "--json"]).run();
            assert!(!status.stdout.contains("\"staged\":1"), "{what}: nothing is staged: {}", status.stdout);
        }
        // Once its time is over a set is deleted where it is.
        within(mirror.sync_at_once()).run().expect(0);
        assert_eq!(mirror.in_staging().len(), 0, "{what}");
    });
    mirror.rewrite();
    mirror.sync_at_once().run().expect(0);
    assert_tree_is(&mirror.export, mirror.folder.path());
}

#[test]
fn sets_that_had_to_stay_in_staging_are_moved_when_that_is_possible() {
    let mirror = Mirror::new();
    let before = mirror.day();
    std::fs::write(mirror.path("_e3sync/replaced"), "a file").unwrap();
    mirror.rewrite();
    mirror.sync().run().expect(0);
    assert_eq!((mirror.in_staging().len(), mirror.replaced().len()), (1, 0));
    std::fs::remove_file(mirror.path("_e3sync/replaced")).unwrap();
    let moved = mirror.sync().run().expect(0);
    assert!(!moved.stderr.contains("stays at"), "{}", moved.stderr);
    assert_eq!(files_below(&mirror.replaced()[0]), before);
    assert_tree_is(&mirror.export, mirror.folder.path());
    mirror.sync_at_once().run().expect(0);
    assert!(files_below(&mirror.path("_e3sync/replaced")).is_empty(), "its manifest was moved with it");
}

#[test]
fn a_place_for_superseded_sets_that_cannot_be_used_costs_no_set() {
    let mirror = Mirror::new();
    let mut wanted = Vec::new();
    with_unusable_for_superseded(&mirror, &mut wanted);
    let _ = std::fs::remove_dir_all(mirror.path("_e3sync/superseded"));
    mirror.sync_at_once().run().expect(0);
    let kept = files_below(&mirror.path("_e3sync/superseded"));
    for hash in &wanted {
        assert!(kept.values().any(|kept| kept == hash), "a file of a replaced set is gone");
    }
    assert_eq!(mirror.replaced().len(), 0);
    assert_tree_is(&mirror.export, mirror.folder.path());
}

fn with_unusable_for_superseded(mirror: &Mirror, wanted: &mut Vec<String>) {
    let wanted = std::cell::RefCell::new(wanted);
    with_unusable(&mirror.path("_e3sync/superseded"), |what, within| {
        // The user wants the set kept; then a file of the user's own is in it.
        for keep in [true, false] {
            if !keep {
                std::fs::write(mirror.path(DAY).join("notes.txt"), format!("mine: {what}")).unwrap();
            }
            wanted.borrow_mut().extend(hashes(&mirror.day()));
            mirror.rewrite();
            let sync = mirror.sync_at_once();
            let sync = if keep { sync.arg("--keep-superseded") } else { sync };
            within(sync).run().expect(0).says("the replaced set of type=events/date=2026-11-20 stays at");
        }
    });
}

#[test]
fn a_set_that_cannot_be_deleted_hinders_nothing() {
    let mirror = Mirror::new();
    let day = mirror.path(DAY);
    let file = mirror.day().into_keys().find(|path| path.ends_with(".parquet")).unwrap();
    let attribute = |change: &str, path: &Path| {
        Command::new("chattr").arg(change).arg(path).status().is_ok_and(|status| status.success())
    };
    if !attribute("+i", &day.join(&file)) {
        return miss("chattr +i does not work here");
    }
    for _ in 0..3 {
        mirror.rewrite();
        mirror.sync_at_once().run().expect(0).says("stays at");
        assert_tree_is(&mirror.export, mirror.folder.path());
    }
    std::fs::remove_file(mirror.path(DAY).join("_SUCCESS")).unwrap();
    let repair = mirror.export.command("verify").arg(mirror.folder.path()).args(["--today", TODAY, "--repair"]);
    repair.args(["--keep-replaced", "0s"]).run().expect(0).says("stays at");
    let sets = mirror.replaced();
    assert_eq!(files_below(&sets[0]).keys().collect::<Vec<_>>(), [&file], "all but that file is deleted");
    assert!(attribute("-i", &sets[0].join(&file)));
    mirror.sync_at_once().run().expect(0);
    assert!(files_below(&mirror.path("_e3sync/replaced")).is_empty());
}
