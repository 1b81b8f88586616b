//! What the next run makes of a publication that was broken off, in states that no single kill gives:
//! mirrors of the version before, mirrors that somebody changed, partitions that cannot be settled.

use std::path::{Path, PathBuf};

use e3sync::simulator::Content;
use jiff::civil::Date;

use crate::harness::{E3sync, Export, TODAY, assert_tree_is, copied, files_below, has_strace, manifest_lines};

const DAY: &str = "type=events/date=2026-11-20";
const STAGING: &str = "_e3sync/staging/type=events/date=2026-11-20";
const NEXT: &str = "_e3sync/manifests/type=events/date=2026-11-20.jsonl.next";

fn day() -> Date {
    "2026-11-20".parse().unwrap()
}

/// A mirror whose run was killed after the swap of a rewritten day, before its manifest had its name.
struct Killed {
    export: Export,
    folder: tempfile::TempDir,
    /// The names of the files of the set that is replaced.
    old: Vec<String>,
}

impl Killed {
    fn new(days: u32) -> Self {
        let export = Export::with(|settings| {
            settings.days = days;
            settings.types = vec!["events".into()];
            settings.objects_per_day = 4;
            settings.content = Content::Noise { size_bytes: 500..=900 };
            settings.odd_names = false;
        });
        let folder = tempfile::tempdir().unwrap();
        let mut killed = Self { export, folder, old: Vec::new() };
        killed.sync(&killed.base()).run().expect(0);
        let files = files_below(&killed.base().join(DAY)).into_keys();
        killed.old = files.filter(|path| path.ends_with(".parquet")).collect();
        killed.export.simulator().change().rewrite_day("events", day(), 100);
        let kill = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", "inject=renameat:signal=KILL:when=1"];
        killed.sync(&killed.base()).under(&kill).run();
        assert!(killed.base().join(NEXT).exists() && killed.base().join(STAGING).join("publication.json").exists());
        killed
    }

    fn base(&self) -> PathBuf {
        self.folder.path().join("base")
    }

    fn sync(&self, destination: &Path) -> E3sync {
        self.export.sync(destination).env("TOKIO_WORKER_THREADS", "1")
    }

    /// Takes the swap back, as if the kill had been before it.
    fn unswap(destination: &Path) {
        let (place, set, between) =
            (destination.join(DAY), destination.join(STAGING).join("set"), destination.join("between"));
        std::fs::rename(&place, &between).unwrap();
        std::fs::rename(&set, &place).unwrap();
        std::fs::rename(&between, &set).unwrap();
    }
}

/// What version 0.1 left: an inode in the name, and no record.
fn as_version_0_1(destination: &Path) {
    let next = destination.join(NEXT);
    std::fs::rename(&next, format!("{}.4711", next.display())).unwrap();
    std::fs::remove_file(destination.join(STAGING).join("publication.json")).unwrap();
    std::fs::remove_file(destination.join(STAGING).join("present.jsonl")).unwrap();
}

#[test]
fn a_mirror_of_version_0_1_is_settled_by_content() {
    if !has_strace() {
        return;
    }
    for is_swapped in [true, false] {
        for options in [["-a", "--preserve=links"], ["-a", "--no-preserve=links"]] {
            let killed = Killed::new(1);
            if !is_swapped {
                Killed::unswap(&killed.base());
            }
            as_version_0_1(&killed.base());
            let copy = copied(&killed.base(), &options);
            let summary = killed.sync(&copy).arg("--json").run().expect(0).summary();
            assert_eq!(summary["objects"]["transferred"], 0, "swapped: {is_swapped}");
            assert_tree_is(&killed.export, &copy);
            E3sync::new("verify").arg(&copy).args(["--today", TODAY]).run().expect(0);
        }
    }
}

#[test]
fn a_kill_in_the_middle_of_settling_is_settled_as_well() {
    if !has_strace() {
        return;
    }
    let mut kills = 0;
    for state in ["swapped", "not swapped", "swapped by version 0.1"] {
        let killed = Killed::new(1);
        if state == "not swapped" {
            Killed::unswap(&killed.base());
        }
        if state == "swapped by version 0.1" {
            as_version_0_1(&killed.base());
        }
        for call in ["renameat", "renameat2", "unlinkat"] {
            for count in 1..40 {
                let copy = copied(&killed.base(), &["-a"]);
                let kill = format!("inject={call}:signal=KILL:when={count}");
                let run = killed.sync(&copy).under(&["strace", "-f", "-qq", "-o", "/dev/null", "-e", &kill]).run();
                if run.code != Some(0) {
                    kills += 1;
                    killed.sync(&copy).run().expect(0);
                    assert_tree_is(&killed.export, &copy);
                    E3sync::new("verify").arg(&copy).args(["--today", TODAY]).run().expect(0);
                    // The old set waits for its readers where it was swapped out, and is nowhere lost.
                    let replaced = files_below(&copy.join("_e3sync/replaced/type=events"));
                    let old = replaced.keys().filter(|path| path.ends_with(".parquet")).count();
                    assert_eq!(old, killed.old.len(), "{state}, {call} {count}: {replaced:?}");
                    assert!(!copy.join("_e3sync/superseded").exists(), "{state}, {call} {count}");
                }
                std::fs::remove_dir_all(&copy).unwrap();
                if run.code == Some(0) {
                    break;
                }
            }
        }
    }
    println!("{kills} kills");
    assert!(kills > 20, "the calls were really met: {kills}");
}

#[test]
fn a_day_that_was_changed_after_the_kill_is_settled_all_the_same() {
    if !has_strace() {
        return;
    }
    let killed = Killed::new(1);
    let base = killed.base();
    let place = base.join(DAY);
    let lost = files_below(&place).into_keys().find(|path| path.ends_with(".parquet")).unwrap();
    std::fs::remove_file(place.join(&lost)).unwrap();
    std::fs::write(place.join("notes.txt"), "mine").unwrap();
    killed.sync(&base).run().expect(0);
    assert!(!base.join(NEXT).exists());
    let keys: Vec<String> = killed.export.objects().into_iter().map(|(path, _)| path[DAY.len() + 1..].into()).collect();
    let recorded = manifest_lines(&base, DAY);
    assert!(recorded[1..recorded.len() - 1].iter().all(|entry| keys.iter().any(|key| entry["key"] == key.as_str())));
    let found = E3sync::new("verify").arg(&base).args(["--today", TODAY]).run().expect(5);
    assert!(found.stdout.contains(&lost) && found.stdout.contains("notes.txt"), "{}", found.stdout);
}

#[test]
fn a_day_that_was_removed_after_the_kill_gets_its_old_set_back() {
    if !has_strace() {
        return;
    }
    let killed = Killed::new(1);
    let base = killed.base();
    let old = files_below(&base.join(STAGING).join("set"));
    std::fs::remove_dir_all(base.join(DAY)).unwrap();
    // A run of no day settles what is left all the same.
    killed.export.simulator().change().remove_day("events", day());
    // The export is empty by now, which is told.
    killed.sync(&base).run().expect(3);
    assert_eq!(files_below(&base.join(DAY)), old);
    E3sync::new("verify").arg(&base).args(["--today", TODAY]).run().expect(0);
}

#[test]
fn a_day_that_cannot_be_settled_keeps_no_other_waiting() {
    if !has_strace() {
        return;
    }
    let killed = Killed::new(3);
    let base = killed.base();
    let record = base.join(STAGING).join("publication.json");
    let aside = killed.folder.path().join("record");
    std::fs::rename(&record, &aside).unwrap();
    std::fs::create_dir(&record).unwrap();
    killed.export.simulator().change().rewrite_day("events", "2026-11-19".parse().unwrap(), 100);
    // The days that are selected are published, and the one that is not is only told.
    let other = killed.export.command("sync").arg(&base).args(["--date", "2026-11-19", "--today", TODAY]);
    other.run().expect(0).says("of type=events/date=2026-11-20 is not settled");
    let summary = killed.sync(&base).arg("--json").run().expect(3).summary();
    assert_eq!(summary["partitions"]["failed"], 1, "{summary}");
    assert!(base.join(NEXT).exists(), "nothing is given up");
    std::fs::remove_dir(&record).unwrap();
    std::fs::rename(&aside, &record).unwrap();
    killed.sync(&base).run().expect(0);
    assert_tree_is(&killed.export, &base);
}

#[test]
fn a_torn_record_means_that_nothing_was_begun() {
    if !has_strace() {
        return;
    }
    let killed = Killed::new(1);
    let base = killed.base();
    Killed::unswap(&base);
    let record = base.join(STAGING).join("publication.json");
    std::fs::write(&record, &std::fs::read(&record).unwrap()[..100]).unwrap();
    // The next manifest was torn as well: it is older than the record.
    std::fs::write(base.join(NEXT), "{\"format\":").unwrap();
    let before = files_below(&base.join(DAY));
    killed.export.simulator().change().remove_day("events", day());
    // The export is empty by now, which is told.
    killed.sync(&base).run().expect(3);
    assert_eq!(files_below(&base.join(DAY)), before);
    assert!(!base.join(NEXT).exists() && !record.exists());
    E3sync::new("verify").arg(&base).args(["--today", TODAY]).run().expect(0);
}
