//! A destination against its manifests: what was touched is named, and only that is fetched again.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use e3sync::simulator::Operation;
use rustix::process::Signal;
use serde_json::Value;

use crate::harness::{E3sync, Export, Finished, TODAY, assert_tree_is, files_below, manifest_lines};

const DAY: &str = "type=events/date=2026-11-20";

fn verify(destination: &Path) -> E3sync {
    E3sync::new("verify").arg(destination).args(["--today", TODAY])
}

/// A mirror of two days of both types, with four objects each.
fn mirror() -> (Export, tempfile::TempDir) {
    let export = Export::of_noise(2, 4);
    let folder = tempfile::tempdir().unwrap();
    export.sync(folder.path()).run().expect(0);
    (export, folder)
}

/// The files of the day that the tests harm, in ascending order.
fn files(destination: &Path) -> Vec<PathBuf> {
    let entries = manifest_lines(destination, DAY);
    entries[1..entries.len() - 1]
        .iter()
        .map(|entry| destination.join(DAY).join(entry["key"].as_str().unwrap()))
        .collect()
}

fn edit(file: &Path) {
    let mut bytes = std::fs::read(file).unwrap();
    bytes[100] ^= 1;
    std::fs::write(file, bytes).unwrap();
}

/// The kinds and keys of the differences, in their order.
fn differences(finished: &Finished) -> Vec<(String, Option<String>)> {
    let documents = finished.json();
    let differences = documents.iter().filter(|document| document["event"] == "difference");
    let text = |value: &Value| value.as_str().map(str::to_owned);
    differences.map(|document| (text(&document["kind"]).unwrap(), text(&document["key"]))).collect()
}

fn kinds(finished: &Finished) -> Vec<String> {
    let mut kinds: Vec<String> = differences(finished).into_iter().map(|(kind, _)| kind).collect();
    kinds.sort();
    kinds
}

fn verification(finished: &Finished) -> Value {
    finished.json().into_iter().rfind(|document| document["event"] == "verification").expect("a summary")
}

#[test]
fn a_whole_mirror_is_in_order_and_nothing_of_it_is_changed() {
    let (_export, folder) = mirror();
    let (data, side) = (files_below(folder.path()), files_below(&folder.path().join("_e3sync")));
    let finished = verify(folder.path()).run().expect(0);
    assert!(finished.stdout.contains("4 days · 16 files"), "{}", finished.stdout);
    assert!(finished.stdout.contains("nothing differs"), "{}", finished.stdout);
    let quick = verify(folder.path()).args(["--quick", "--json"]).run().expect(0);
    assert_eq!(verification(&quick)["mode"], "quick");
    assert_eq!(files_below(folder.path()), data);
    let mut side_now = files_below(&folder.path().join("_e3sync"));
    assert!(side_now.remove("verification.json").is_some());
    assert_eq!(side_now, side);
    verify(&folder.path().join("nothing")).run().expect(2).says("is no mirror yet");
    verify(folder.path()).args(["--date", "2026-01-01"]).run().expect(2).says("nothing of what is selected");
}

#[test]
fn everything_that_was_touched_is_found_and_named() {
    let (_export, folder) = mirror();
    let files = files(folder.path());
    edit(&files[0]);
    std::fs::File::options().write(true).open(&files[1]).unwrap().set_len(10).unwrap();
    std::fs::remove_file(&files[2]).unwrap();
    let target = folder.path().join("elsewhere");
    std::fs::rename(&files[3], &target).unwrap();
    symlink(&target, &files[3]).unwrap();
    std::fs::write(folder.path().join(DAY).join("event=new\n.parquet"), "extra").unwrap();
    let other = folder.path().join("type=decisions/date=2026-11-19");
    std::fs::remove_file(other.join("_SUCCESS")).unwrap();

    let full = verify(folder.path()).arg("--json").run().expect(5);
    assert_eq!(kinds(&full), ["changed", "changed", "changed", "extra", "marker_missing", "missing"]);
    let summary = verification(&full);
    assert_eq!((summary["days_damaged"].as_u64(), summary["differences"]["changed"].as_u64()), (Some(2), Some(3)));
    // Without reading, an edited file of the same size is as good as the true one.
    let quick = verify(folder.path()).args(["--quick", "--json"]).run().expect(5);
    assert_eq!(kinds(&quick), ["changed", "changed", "extra", "marker_missing", "missing"]);
    // Names are made safe to print.
    let text = verify(folder.path()).run().expect(5).stdout;
    assert!(text.contains("extra            type=events/date=2026-11-20/event=new\\u{a}.parquet · 5 bytes"), "{text}");
    assert!(text.contains("a link or something else that is no file"), "{text}");
}

#[test]
fn swapped_files_of_one_size_are_found() {
    let export = Export::with(|settings| {
        settings.days = 1;
        settings.objects_per_day = 3;
        settings.content = e3sync::simulator::Content::Noise { size_bytes: 2000..=2000 };
        settings.odd_names = false;
    });
    let folder = tempfile::tempdir().unwrap();
    export.sync(folder.path()).run().expect(0);
    let files = files(folder.path());
    let aside = folder.path().join("aside");
    std::fs::rename(&files[0], &aside).unwrap();
    std::fs::rename(&files[1], &files[0]).unwrap();
    std::fs::rename(&aside, &files[1]).unwrap();
    verify(folder.path()).arg("--quick").run().expect(0);
    assert_eq!(kinds(&verify(folder.path()).arg("--json").run().expect(5)), ["changed", "changed"]);
}

#[test]
fn odd_names_and_long_names_are_in_order() {
    let export = Export::of_parquet(2);
    let folder = tempfile::tempdir().unwrap();
    export.sync(folder.path()).run().expect(0);
    verify(folder.path()).run().expect(0);
    let renamed = manifest_lines(folder.path(), DAY).into_iter().find(|line| line.get("path").is_some()).unwrap();
    let path = folder.path().join(DAY).join(renamed["path"].as_str().unwrap());
    edit(&path);
    let found = differences(&verify(folder.path()).arg("--json").run().expect(5));
    assert_eq!(found, [("changed".to_owned(), renamed["key"].as_str().map(str::to_owned))], "by its true key");
    std::fs::remove_file(&path).unwrap();
    assert_eq!(kinds(&verify(folder.path()).arg("--json").run().expect(5)), ["missing"]);
}

#[test]
fn days_without_manifest_and_manifests_without_day_are_named() {
    let (_export, folder) = mirror();
    let manifests = folder.path().join("_e3sync/manifests");
    std::fs::remove_file(manifests.join(format!("{DAY}.jsonl"))).unwrap();
    std::fs::remove_dir_all(folder.path().join("type=events/date=2026-11-19")).unwrap();
    let damaged = manifests.join("type=decisions/date=2026-11-19.jsonl");
    let text = std::fs::read_to_string(&damaged).unwrap();
    std::fs::write(&damaged, text.replacen("\"size_bytes\":1", "\"size_bytes\":2", 1)).unwrap();
    std::fs::write(folder.path().join("type=decisions/date=2026-11-20/_SUCCESS"), "not empty").unwrap();
    let found = kinds(&verify(folder.path()).arg("--json").run().expect(5));
    let expected = [
        "changed",
        "manifest_damaged",
        "manifest_missing",
        "marker_missing",
        "missing",
        "missing",
        "missing",
        "missing",
    ];
    assert_eq!(found, expected);
}

#[test]
fn a_day_that_is_no_folder_is_named_and_the_others_are_verified_and_repaired() {
    let (export, folder) = mirror();
    let (day, elsewhere) = (folder.path().join(DAY), folder.path().join("elsewhere"));
    std::fs::rename(&day, &elsewhere).unwrap();
    symlink(&elsewhere, &day).unwrap();
    let found = verify(folder.path()).arg("--json").run().expect(5);
    assert_eq!(kinds(&found), ["changed"], "no link is followed");
    assert_eq!(verification(&found)["days"], 4);
    std::fs::remove_file(folder.path().join("type=decisions/date=2026-11-19/_SUCCESS")).unwrap();
    let repair = export.command("verify").arg(folder.path()).args(["--today", TODAY, "--repair"]).run().expect(5);
    assert!(repair.stdout.contains("repaired         type=decisions/date=2026-11-19"), "{}", repair.stdout);
    assert!(repair.stdout.contains(&format!("not repaired     {DAY} · ")), "{}", repair.stdout);
    std::fs::remove_file(&day).unwrap();
    std::fs::rename(&elsewhere, &day).unwrap();
    verify(folder.path()).run().expect(0);
}

#[test]
fn without_manifests_nothing_is_known_to_be_published() {
    let (_export, folder) = mirror();
    std::fs::remove_dir_all(folder.path().join("_e3sync/manifests")).unwrap();
    let found = verify(folder.path()).arg("--json").run().expect(5);
    assert_eq!(kinds(&found), ["manifest_missing"; 4]);
}

#[test]
fn a_filter_that_matches_nothing_has_verified_nothing() {
    let (_export, folder) = mirror();
    let refused = verify(folder.path()).args(["--experiment", "no such one"]).run().expect(2);
    refused.says("no object of the selected days matches");
}

#[test]
fn a_selection_and_a_sample_look_at_their_days_only() {
    let export = Export::of_noise(6, 2);
    let folder = tempfile::tempdir().unwrap();
    export.sync(folder.path()).run().expect(0);
    edit(&files(folder.path())[0]);
    verify(folder.path()).args(["--type", "decisions"]).run().expect(0);
    verify(folder.path()).args(["--from", "2026-11-10", "--to", "2026-11-19"]).run().expect(0);
    verify(folder.path()).args(["--date", "2026-11-20"]).run().expect(5);
    let mut days = 0;
    let mut codes = Vec::new();
    for today in ["2026-11-21", "2026-11-22", "2026-11-23"] {
        let sample =
            E3sync::new("verify").arg(folder.path()).args(["--today", today, "--sample", "1/3", "--json"]).run();
        days += verification(&sample)["days"].as_u64().unwrap();
        codes.push(sample.code.unwrap());
    }
    codes.sort_unstable();
    assert_eq!((days, codes), (12, vec![0, 0, 5]), "three daily runs look at each day once");
    let none = verify(folder.path()).args(["--sample", "1/3000"]).run().expect(0).stdout;
    assert!(none.contains("nothing was compared"), "{none}");
    verify(folder.path()).args(["--sample", "2/3"]).run().expect(2).says("every thirtieth day");
}

#[test]
fn a_part_of_a_day_is_verified_by_its_own_rules() {
    let export = Export::of_parquet(1);
    let folder = tempfile::tempdir().unwrap();
    let part = ["--type", "events", "--event", "*a*", "--last", "1d", "--today", TODAY];
    export.command("sync").arg(folder.path()).args(part).run().expect(0);
    verify(folder.path()).run().expect(0);
    std::fs::write(folder.path().join(DAY).join("_SUCCESS"), "").unwrap();
    assert_eq!(kinds(&verify(folder.path()).arg("--json").run().expect(5)), ["marker_extra"]);
}

#[test]
fn an_interrupted_verification_goes_on() {
    let (_export, folder) = mirror();
    let progress = folder.path().join("progress.jsonl");
    let run = || verify(folder.path()).arg("--progress-file").arg(&progress).arg("--json").run();
    // As a killed run leaves it: it was at its third day, in the middle of a line.
    run().expect(0);
    assert!(!progress.exists(), "a verification that came to its end leaves nothing");
    let header = &manifest_lines(folder.path(), "type=decisions/date=2026-11-19")[0];
    let destination = folder.path().canonicalize().unwrap();
    let subject = serde_json::json!({
        "verification": 2, "destination": destination, "is_quick": false, "types": [], "days": "all",
        "one_of": null, "selection": "all",
    });
    let line = serde_json::json!({
        "type": "decisions", "date": "2026-11-19", "listing_digest": header["listing_digest"],
        "published_at": header["published_at"], "verified_at": jiff::Timestamp::now().to_string(),
    });
    std::fs::write(&progress, format!("{subject}\n{line}\n{{\"type\":\"ev")).unwrap();
    let resumed = verification(&run().expect(0));
    assert_eq!((resumed["days"].as_u64(), resumed["days_resumed"].as_u64()), (Some(3), Some(1)));
    // What is about another request, or another set, is of no use.
    std::fs::write(&progress, format!("{subject}\n{}\n", line.to_string().replace("2026-11-19", "2026-11-20")))
        .unwrap();
    assert_eq!(verification(&run().expect(0))["days_resumed"], 0);
    for (ours, others) in [
        ("false", "true"),
        ("[]", "[\"events\"]"),
        ("\"days\":\"all\"", "\"days\":\"last 7d\""),
        ("null", "30"),
        ("\"verification\":2", "\"verification\":1"),
    ] {
        assert!(subject.to_string().contains(ours));
        std::fs::write(&progress, format!("{}\n{line}\n", subject.to_string().replace(ours, others))).unwrap();
        assert_eq!(verification(&run().expect(0))["days_resumed"], 0, "{others}");
    }
    // Harmed since it was noted, and found so by a verification of another kind.
    let file = &manifest_lines(folder.path(), "type=decisions/date=2026-11-19")[1]["key"];
    edit(&folder.path().join("type=decisions/date=2026-11-19").join(file.as_str().unwrap()));
    verify(folder.path()).args(["--date", "2026-11-19"]).run().expect(5);
    std::fs::write(&progress, format!("{subject}\n{line}\n")).unwrap();
    assert_eq!(verification(&run().expect(5))["days_resumed"], 0);
}

#[test]
fn a_file_of_something_else_is_no_progress_file_and_stays_as_it_is() {
    let (_export, folder) = mirror();
    let notes = folder.path().join("notes.txt");
    std::fs::write(&notes, "mine").unwrap();
    let account = folder.path().join("_e3sync/destination.json");
    let manifest = folder.path().join(format!("_e3sync/manifests/{DAY}.jsonl"));
    let is_not_ours = "is no progress file of a verification";
    let is_the_mirrors = "which belongs to the mirror itself";
    for (file, why) in [(&notes, is_not_ours), (&account, is_the_mirrors), (&manifest, is_the_mirrors)] {
        let before = std::fs::read(file).unwrap();
        for more in [&[][..], &["--fresh"]] {
            let finished = verify(folder.path()).arg("--progress-file").arg(file).args(more).run().expect(2);
            finished.says(why);
            assert_eq!(std::fs::read(file).unwrap(), before);
        }
    }
    verify(&folder.path().join("nothing")).arg("--progress-file").arg(&notes).arg("--fresh").run().expect(2);
    assert_eq!(std::fs::read_to_string(&notes).unwrap(), "mine");
}

#[test]
fn a_repair_that_leaves_nothing_of_a_part_is_no_wrong_usage() {
    let (export, folder) = mirror();
    let extra = folder.path().join("type=decisions/date=2026-11-20/experiment=999");
    std::fs::create_dir(&extra).unwrap();
    std::fs::write(extra.join("part.parquet"), "mine").unwrap();
    let repair = ["--today", TODAY, "--experiment", "999", "--repair"];
    let repaired = export.command("verify").arg(folder.path()).args(repair).run().expect(0);
    let text = "repaired         type=decisions/date=2026-11-20 · published again from what is here";
    assert!(repaired.stdout.contains(text), "{}", repaired.stdout);
}

#[test]
fn a_progress_file_is_written_by_one_verification_at_a_time() {
    let (_export, folder) = mirror();
    let path = folder.path().join("progress.jsonl");
    let file = std::fs::File::create(&path).unwrap();
    file.lock().unwrap();
    let run = || verify(folder.path()).arg("--progress-file").arg(&path).run();
    run().expect(7).says("another verification notes its progress in");
    drop(file);
    run().expect(0);
}

#[test]
fn without_a_place_for_notes_a_verification_does_its_work() {
    let (_export, folder) = mirror();
    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir(home.path().join("state")).unwrap();
    let state = home.path().join("state").to_str().unwrap().to_owned();
    let at_home = || verify(folder.path()).folder(home.path());
    let finished = at_home().env("XDG_STATE_HOME", &state).run().expect(0);
    assert_eq!(finished.stderr, "");
    std::fs::remove_dir(home.path().join("state/e3sync")).unwrap();
    // A file in the folder's place cannot be written into, even by those who may write everything.
    std::fs::write(home.path().join("state/e3sync"), "").unwrap();
    let finished = at_home().env("XDG_STATE_HOME", &state).run().expect(0);
    finished.says("warning: how far this gets is not noted");
    at_home().env("XDG_STATE_HOME", "relative").run().expect(0);
    assert!(!home.path().join("relative").exists());
    at_home().arg("--progress-file").arg(home.path()).run().expect(2);
}

#[test]
fn a_verification_that_is_stopped_or_killed_is_continued_by_the_next() {
    let export = Export::with(|settings| {
        settings.days = 12;
        settings.objects_per_day = 4;
        settings.content = e3sync::simulator::Content::Noise { size_bytes: 1_500_000..=1_500_000 };
        settings.odd_names = false;
    });
    let folder = tempfile::tempdir().unwrap();
    export.sync(folder.path()).run().expect(0);
    let progress = folder.path().join("progress.jsonl");
    let command = || verify(folder.path()).arg("--progress-file").arg(&progress).arg("--json");
    let noted = || std::fs::read_to_string(&progress).map_or(0, |text| text.lines().count());
    let mut is_interrupted = false;
    for (lines, signal) in [(3, Signal::INT), (6, Signal::KILL)] {
        let mut running = command().start();
        while running.is_running() && noted() < lines {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        running.signal(signal);
        // On a fast machine it may have come to its end in that very moment.
        match running.wait().code {
            Some(0) => is_interrupted = false,
            code => {
                assert_eq!(code, if signal == Signal::INT { Some(130) } else { None });
                is_interrupted = true;
            }
        }
    }
    let summary = verification(&command().run().expect(0));
    assert_eq!(summary["days"].as_u64().unwrap() + summary["days_resumed"].as_u64().unwrap(), 24);
    assert!(!is_interrupted || summary["days_resumed"].as_u64().unwrap() > 0, "{summary}");
}

#[test]
fn a_pipe_in_the_place_of_a_file_is_not_waited_for() {
    let (_export, folder) = mirror();
    let file = &files(folder.path())[0];
    std::fs::remove_file(file).unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, file, rustix::fs::FileType::Fifo, 0o644.into(), 0).unwrap();
    assert_eq!(kinds(&verify(folder.path()).arg("--json").run().expect(5)), ["changed"]);
}

/// A repair that keeps no replaced set for readers.
fn repair_at_once(export: &Export, destination: &Path) -> E3sync {
    export.command("verify").arg(destination).args(["--today", TODAY, "--repair", "--keep-replaced", "0s"])
}

#[test]
fn a_repair_fetches_only_what_differs() {
    let (export, folder) = mirror();
    let files = files(folder.path());
    edit(&files[0]);
    std::fs::remove_file(&files[1]).unwrap();
    std::fs::write(folder.path().join(DAY).join("notes.txt"), "mine").unwrap();
    std::fs::remove_file(folder.path().join("type=decisions/date=2026-11-19/_SUCCESS")).unwrap();
    export.simulator().forget_requests();
    let repaired = repair_at_once(&export, folder.path()).run().expect(0);
    assert_eq!(export.simulator().requests().of(Operation::Get), 2);
    assert!(
        repaired.stdout.contains("repaired         type=events/date=2026-11-20 · 2 files fetched"),
        "{}",
        repaired.stdout
    );
    assert_tree_is(&export, folder.path());
    verify(folder.path()).run().expect(0);
    let kept = folder.path().join("_e3sync/superseded").join(format!("{DAY}.1/notes.txt.superseded"));
    assert_eq!(std::fs::read_to_string(kept).unwrap(), "mine", "files of others are kept aside");
}

#[test]
fn a_repair_brings_back_days_links_and_manifests() {
    let (export, folder) = mirror();
    std::fs::remove_dir_all(folder.path().join("type=events/date=2026-11-19")).unwrap();
    let file = &files(folder.path())[0];
    let holder = file.parent().unwrap();
    std::fs::rename(holder, folder.path().join("elsewhere")).unwrap();
    symlink(folder.path().join("elsewhere"), holder).unwrap();
    let manifest = folder.path().join("_e3sync/manifests/type=decisions/date=2026-11-20.jsonl");
    std::fs::write(&manifest, "{}").unwrap();
    repair_at_once(&export, folder.path()).arg("--quick").run().expect(0);
    let kept = folder.path().join("_e3sync/superseded");
    assert!(kept.join(format!("{DAY}.1")).is_dir(), "the link is somebody's");
    assert!(kept.join("type=decisions/date=2026-11-20.1").is_dir(), "nobody knows what is whose");
    std::fs::remove_dir_all(kept).unwrap();
    std::fs::remove_dir_all(folder.path().join("elsewhere")).unwrap();
    assert_tree_is(&export, folder.path());
    verify(folder.path()).run().expect(0);
}

#[test]
fn what_is_gone_at_the_source_cannot_be_repaired_and_is_told() {
    let (export, folder) = mirror();
    edit(&files(folder.path())[0]);
    let before = files_below(folder.path());
    assert!(export.simulator().change().remove_day("events", "2026-11-20".parse().unwrap()) > 0);
    let finished = export.command("verify").arg(folder.path()).args(["--today", TODAY, "--repair"]).run().expect(5);
    let text = "not repaired     type=events/date=2026-11-20 · gone at the source, kept here";
    assert!(finished.stdout.contains(text), "{}", finished.stdout);
    assert_eq!(files_below(folder.path()), before);
}

#[test]
fn data_of_others_are_not_repaired() {
    let (export, folder) = mirror();
    std::fs::remove_file(folder.path().join("_e3sync/manifests").join(format!("{DAY}.jsonl"))).unwrap();
    let before = files_below(folder.path());
    let finished = export.command("verify").arg(folder.path()).args(["--today", TODAY, "--repair"]).run().expect(5);
    assert!(finished.stdout.contains("its data were not published by e3sync"), "{}", finished.stdout);
    assert_eq!(files_below(folder.path()), before);
    verify(folder.path()).arg("--repair").run().expect(2).says("no token is given");
}

#[test]
fn a_missing_and_a_foreign_file_together_do_not_cost_the_foreign_one() {
    let (export, folder) = mirror();
    std::fs::remove_file(&files(folder.path())[1]).unwrap();
    std::fs::write(folder.path().join(DAY).join("notes.txt"), "mine").unwrap();
    // As many files as the manifest has objects: a count alone would not see that one is foreign.
    export.simulator().change().rewrite_day("events", "2026-11-20".parse().unwrap(), 100);
    export.sync(folder.path()).args(["--keep-replaced", "0s"]).run().expect(0);
    let kept = folder.path().join("_e3sync/superseded").join(format!("{DAY}.1/notes.txt.superseded"));
    assert_eq!(std::fs::read_to_string(kept).unwrap(), "mine");
}
