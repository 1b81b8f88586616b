//! A kill at every system call, a full disk at every write, and the order in which things reach
//! the disk (design.md promises 1, 5 and 6).

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use e3sync::simulator::Content;
use jiff::civil::Date;

use crate::harness::{E3sync, Export, assert_tree_is, files_below};

const DAY: &str = "type=events/date=2026-11-20";

/// The calls that change the destination.
const CALLS: [&str; 9] =
    ["renameat2", "renameat", "linkat", "mkdirat", "unlinkat", "syncfs", "fsync", "pwrite64", "write"];

/// A published day, and the same day at the source with one object changed, one gone, one new.
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
        assert!(export.simulator().change().remove_object("events", date, &keys[1]));
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

/// Whether strace is there and may trace; without it these tests have nothing to say.
pub fn has_strace() -> bool {
    let works =
        Command::new("strace").args(["-qq", "-o", "/dev/null", "true"]).status().is_ok_and(|status| status.success());
    if !works {
        assert!(std::env::var_os("E3SYNC_REQUIRE_PEERS").is_none(), "install strace: these tests are required here");
        eprintln!("skipped: strace is not installed or may not trace");
    }
    works
}

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
            rewritten.export.sync(&destination).run().expect(0);
            assert_tree_is(&rewritten.export, &destination);
            if killed.code == Some(0) {
                break;
            }
            kills += 1;
        }
    }
    println!("{kills} kills");
    assert!(kills > 40, "the calls were really met: {kills}");
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
    rewritten.sync(&destination, "trace=syncfs,fsync,fdatasync,renameat,renameat2,pwrite64,linkat").run().expect(0);
    let log = std::fs::read_to_string(destination.with_extension("strace")).unwrap();
    let lines: Vec<&str> = log.lines().filter(|line| !line.contains(" resumed>")).collect();
    let last = |texts: &[&str]| {
        lines
            .iter()
            .rposition(|line| texts.iter().all(|text| line.contains(text)))
            .unwrap_or_else(|| panic!("no {texts:?} in\n{log}"))
    };
    let named = last(&["renameat2", "part-9.parquet"]);
    let linked = last(&["linkat"]);
    let swapped = last(&["\"set\"", "\"date=2026-11-20\"", "RENAME_EXCHANGE"]);
    let recorded = last(&["renameat", ".jsonl.next."]);
    let fsyncs_between = |from: usize, to: usize| lines[from..to].iter().filter(|line| line.contains("fsync(")).count();
    let is_synced = lines[named.max(linked)..swapped].iter().any(|line| line.contains("syncfs("))
        || fsyncs_between(linked, swapped) > 8;
    assert!(is_synced, "contents and names before the swap:\n{log}");
    let manifests = "/ordered/_e3sync/manifests";
    for (from, to, path) in [
        // The next manifest and its folders before the swap.
        (linked, swapped, ".jsonl.next."),
        (linked, swapped, &format!("{manifests}/type=events>")),
        (linked, swapped, &format!("{manifests}>")),
        // Both folders of the swap, and the one above, before the manifest takes its name.
        (swapped, recorded, "/ordered/type=events>"),
        (swapped, recorded, "/ordered/_e3sync/staging/type=events/date=2026-11-20>"),
        (swapped, recorded, "/ordered>"),
        // The manifest's own name.
        (recorded, lines.len(), &format!("{manifests}/type=events>")),
    ] {
        assert!(from < to, "{path} is made durable too late:\n{log}");
        let is_synced = lines[from..to].iter().any(|line| line.contains("fsync(") && line.contains(path));
        assert!(is_synced, "{path} is not made durable in its place:\n{log}");
    }
}
