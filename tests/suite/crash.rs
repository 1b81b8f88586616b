//! A kill at every system call, a full disk at every write, and the order in which things reach
//! the disk (design.md promises 1, 5 and 6).

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use e3sync::simulator::Content;
use jiff::civil::Date;

use crate::harness::{E3sync, Export, TODAY, assert_tree_is, copied, files_below, has_strace};

const DAY: &str = "type=events/date=2026-11-20";

/// The calls that change the destination.
const CALLS: [&str; 9] =
    ["renameat2", "renameat", "linkat", "mkdirat", "unlinkat", "syncfs", "fsync", "pwrite64", "write"];

/// A published day, and the same day at the source with one object changed, a sub-partition rewritten, one object new.
struct Rewritten {
    export: Export,
    folder: tempfile::TempDir,
    before: BTreeMap<String, String>,
}

impl Rewritten {
    fn new() -> Self {
        let export = Export::with(|settings| {
            settings.days = 1;
            settings.types = vec!["events".into()];
            settings.objects_per_day = 4;
            settings.content = Content::Noise { size_bytes: 500..=900 };
            settings.odd_names = false;
        });
        let folder = tempfile::tempdir().unwrap();
        let base = folder.path().join("base");
        export.sync(&base).run().expect(0);
        let date: Date = "2026-11-20".parse().unwrap();
        let before = files_below(&base.join(DAY));
        let keys: Vec<_> = before.keys().filter(|key| key.ends_with(".parquet")).cloned().collect();
        assert!(export.simulator().change().replace_object("events", date, &keys[0], vec![1; 700]));
        // A sub-partition is rewritten: what is only gone at the source would stay here.
        let event_of = |key: &str| key.split('/').next().unwrap().to_owned();
        let rewritten = event_of(keys.iter().find(|key| event_of(key) != event_of(&keys[0])).unwrap());
        for key in keys.iter().filter(|key| event_of(key) == rewritten) {
            assert!(export.simulator().change().remove_object("events", date, key));
        }
        export.simulator().change().add_object("events", date, &format!("{rewritten}/part-8.parquet"), vec![3; 900]);
        export.simulator().change().add_object("events", date, "event=new/part-9.parquet", vec![2; 600]);
        Self { export, folder, before }
    }

    /// A fresh copy of the published day.
    fn destination(&self, name: &str) -> std::path::PathBuf {
        let copy = self.folder.path().join(name);
        let status = Command::new("cp").arg("-a").arg(self.folder.path().join("base")).arg(&copy).status().unwrap();
        assert!(status.success());
        copy
    }

    /// The next run after a kill ends the day whole, whatever inode numbers the mirror has by then:
    /// its manifest agrees, and a run after that has nothing to do.
    fn check_next_run(&self, destination: &Path, moment: &str) {
        self.export.sync(destination).run().expect(0);
        assert_tree_is(&self.export, destination);
        E3sync::new("verify").arg(destination).args(["--today", TODAY]).run().expect(0);
        let summary = self.export.sync(destination).arg("--json").run().expect(0).summary();
        assert_eq!(
            (&summary["partitions"]["published"], &summary["objects"]["transferred"]),
            (&0.into(), &0.into()),
            "{moment}"
        );
    }

    fn sync(&self, destination: &Path, injection: &str) -> E3sync {
        let log = destination.with_extension("strace");
        self.export.sync(destination).env("TOKIO_WORKER_THREADS", "1").under(&[
            "strace",
            "-f",
            "-y",
            "-qq",
            "-o",
            log.to_str().unwrap(),
            "-e",
            injection,
        ])
    }

    /// What is visible is the old day or the new one, whole.
    fn check_visible(&self, destination: &Path, moment: &str) {
        let visible = files_below(&destination.join(DAY));
        let now: BTreeMap<String, String> = self
            .export
            .objects()
            .into_iter()
            .map(|(path, sha256)| (path[DAY.len() + 1..].to_owned(), sha256))
            .collect();
        assert!(visible == self.before || visible == now, "a mixture after {moment}: {:?}", visible.keys());
    }
}

/// Ways to copy a mirror: with its hard links, and with a file for each of them.
const COPIES: [&[&str]; 2] = [&["-a"], &["-a", "--no-preserve=links"]];

#[test]
fn a_kill_at_any_system_call_leaves_the_old_day_or_the_new_one() {
    if !has_strace() {
        return;
    }
    let rewritten = Rewritten::new();
    let mut kills = 0;
    for call in CALLS {
        for count in 1..60 {
            let moment = format!("{call} {count}");
            let destination = rewritten.destination(&format!("{call}-{count}"));
            let killed = rewritten.sync(&destination, &format!("inject={call}:signal=KILL:when={count}")).run();
            rewritten.check_visible(&destination, &moment);
            if killed.code == Some(0) {
                break;
            }
            kills += 1;
            // A new disk or a restore numbers the inodes anew, and may make two files of hard links.
            let copy = copied(&destination, COPIES[count % COPIES.len()]);
            std::fs::remove_dir_all(&destination).unwrap();
            rewritten.check_next_run(&copy, &moment);
            std::fs::remove_dir_all(&copy).unwrap();
        }
    }
    println!("{kills} kills");
    assert!(kills > 40, "the calls were really met: {kills}");
}

#[test]
fn a_kill_between_the_two_renames_of_a_file_system_that_cannot_swap_loses_nothing() {
    if !has_strace() {
        return;
    }
    let rewritten = Rewritten::new();
    let mut kills = 0;
    for count in 1..30 {
        let destination = rewritten.destination(&format!("two-renames-{count}"));
        // Without flags for renames every one of them is a plain one.
        let kill = format!("inject=renameat:signal=KILL:when={count}");
        let refusing = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", "inject=renameat2:error=EINVAL", "-e", &kill];
        let run = rewritten.export.sync(&destination).env("TOKIO_WORKER_THREADS", "1").under(&refusing).run();
        if run.code == Some(0) {
            break;
        }
        kills += 1;
        rewritten.check_next_run(&copied(&destination, COPIES[count % COPIES.len()]), &format!("rename {count}"));
    }
    assert!(kills > 4, "the renames were really met: {kills}");
}

#[test]
fn a_full_disk_at_any_write_is_told_and_loses_nothing() {
    if !has_strace() {
        return;
    }
    let rewritten = Rewritten::new();
    let mut failures = 0;
    for call in ["pwrite64", "mkdirat", "linkat", "renameat2"] {
        for count in 1..30 {
            let destination = rewritten.destination(&format!("full-{call}-{count}"));
            let failed = rewritten.sync(&destination, &format!("inject={call}:error=ENOSPC:when={count}")).run();
            rewritten.check_visible(&destination, &format!("{call} {count}"));
            if failed.code == Some(0) {
                break;
            }
            assert!(failed.stderr.contains("make room and run again"), "{call} {count}: {}", failed.stderr);
            assert_eq!(failed.code, Some(1), "{call} {count}: {}", failed.stderr);
            rewritten.export.sync(&destination).run().expect(0);
            assert_tree_is(&rewritten.export, &destination);
            failures += 1;
        }
    }
    assert!(failures > 10, "the disk was really full: {failures}");
}

#[test]
fn bytes_that_the_disk_refused_are_fetched_again_and_never_published() {
    if !has_strace() {
        return;
    }
    let rewritten = Rewritten::new();
    for call in ["syncfs", "fsync"] {
        for count in 1..4 {
            let moment = format!("{call} {count}");
            let destination = rewritten.destination(&format!("refused-{call}-{count}"));
            let failed = rewritten.sync(&destination, &format!("inject={call}:error=EIO:when={count}")).run();
            rewritten.check_visible(&destination, &moment);
            if failed.code != Some(0) {
                assert_eq!(failed.code, Some(1), "{moment}: {}", failed.stderr);
                assert!(failed.stderr.contains("make durable"), "{moment}: {}", failed.stderr);
            }
            rewritten.export.sync(&destination).run().expect(0);
            assert_tree_is(&rewritten.export, &destination);
        }
    }
}

#[test]
fn contents_names_folders_and_manifest_reach_the_disk_in_that_order() {
    if !has_strace() {
        return;
    }
    let rewritten = Rewritten::new();
    let destination = rewritten.destination("ordered");
    rewritten.sync(&destination, "trace=syncfs,fsync,fdatasync,renameat,renameat2,linkat").run().expect(0);
    let log = std::fs::read_to_string(destination.with_extension("strace")).unwrap();
    let lines: Vec<&str> = log.lines().filter(|line| !line.contains(" resumed>")).collect();
    let last = |texts: &[&str]| {
        lines
            .iter()
            .rposition(|line| texts.iter().all(|text| line.contains(text)))
            .unwrap_or_else(|| panic!("no {texts:?} in\n{log}"))
    };
    let named = last(&["renameat2", "part-9.parquet"]);
    let linked = last(&["linkat", "/staging/type=events/date=2026-11-20/set"]);
    let assembled = named.max(linked);
    // The present manifest gets its second name just before the record.
    let begun = last(&["linkat", "\"date=2026-11-20.jsonl\"", "\"present.jsonl\""]);
    let swapped = last(&["\"set\"", "\"date=2026-11-20\"", "RENAME_EXCHANGE"]);
    let recorded = last(&["renameat(", ".jsonl.next\""]);
    let aside = last(&["renameat2", "\"set\"", "\"date=2026-11-20.20", "RENAME_NOREPLACE"]);
    let first_after = lines[swapped..].iter().position(|line| line.contains("renameat(")).map(|at| swapped + at);
    assert_eq!(first_after, Some(recorded), "nothing but the manifest is renamed first after the swap:\n{log}");
    let fsyncs_between = |from: usize, to: usize| lines[from..to].iter().filter(|line| line.contains("fsync(")).count();
    let is_synced =
        lines[assembled..begun].iter().any(|line| line.contains("syncfs(")) || fsyncs_between(assembled, begun) > 8;
    assert!(is_synced, "contents and names before the swap:\n{log}");
    let manifests = "/ordered/_e3sync/manifests";
    for (from, to, path) in [
        // The next manifest and its folders before the record, and that before the swap.
        (assembled, begun, ".jsonl.next>"),
        (assembled, begun, &format!("{manifests}/type=events>")),
        (assembled, begun, &format!("{manifests}>")),
        (begun, swapped, "/date=2026-11-20/publication.json>"),
        (begun, swapped, "/ordered/_e3sync/staging/type=events/date=2026-11-20>"),
        // Both folders of the swap, and the one above, before the manifest takes its name.
        (swapped, recorded, "/ordered/type=events>"),
        (swapped, recorded, "/ordered/_e3sync/staging/type=events/date=2026-11-20>"),
        (swapped, recorded, "/ordered>"),
        // The manifest's own name.
        (recorded, aside, &format!("{manifests}/type=events>")),
        // The old set's new place.
        (aside, lines.len(), "/ordered/_e3sync/replaced/type=events>"),
        (aside, lines.len(), "/ordered/_e3sync/staging/type=events/date=2026-11-20>"),
    ] {
        assert!(from < to, "{path} is made durable too late:\n{log}");
        let is_synced = lines[from..to].iter().any(|line| line.contains("fsync(") && line.contains(path));
        assert!(is_synced, "{path} is not made durable in its place:\n{log}");
    }
}
