//! A daily run: what changed at the source, and only that.

use e3sync::simulator::Operation;
use jiff::civil::Date;

use crate::harness::{CLOUD, Export, TODAY, assert_tree_is, files_below, manifest_lines};

fn date(text: &str) -> Date {
    text.parse().unwrap()
}

#[test]
fn only_the_lookback_is_listed_again() {
    let export = Export::of_noise(20, 2);
    let folder = tempfile::tempdir().unwrap();
    export.sync(folder.path()).run().expect(0);
    export.simulator().forget_requests();
    export.command("sync").arg(folder.path()).args(["--today", TODAY, "--lookback", "3d"]).run().expect(0);
    let requests = export.simulator().requests();
    assert_eq!(requests.of(Operation::List), 1 + 2 + 2 * 3);
    assert_eq!(requests.of(Operation::Get), 0);
}

#[test]
fn a_rewritten_day_replaces_the_old_set() {
    let export = Export::of_parquet(5);
    let folder = tempfile::tempdir().unwrap();
    export.sync(folder.path()).run().expect(0);
    export.simulator().change().rewrite_day("events", date("2026-11-18"), 110);
    export.sync(folder.path()).args(["--json"]).run().expect(0);
    assert_tree_is(&export, folder.path());
}

#[test]
fn a_replaced_set_is_kept_aside_when_wanted() {
    let export = Export::of_noise(2, 3);
    let folder = tempfile::tempdir().unwrap();
    export.sync(folder.path()).run().expect(0);
    let before = files_below(&folder.path().join("type=events/date=2026-11-20"));
    export.simulator().change().rewrite_day("events", date("2026-11-20"), 100);
    export.sync(folder.path()).args(["--keep-superseded", "--keep-replaced", "0s"]).run().expect(0);
    assert_tree_is(&export, folder.path());
    let kept = files_below(&folder.path().join("_e3sync/superseded/type=events/date=2026-11-20.1"));
    let contents = |files: &std::collections::BTreeMap<String, String>| {
        let mut contents: Vec<_> = files.values().cloned().collect();
        contents.sort();
        contents
    };
    assert_eq!(contents(&kept), contents(&before));
    assert!(kept.keys().all(|path| path.ends_with(".superseded")));
}

#[test]
fn late_additions_are_found_and_the_rest_is_not_fetched_again() {
    let export = Export::of_noise(3, 20);
    let folder = tempfile::tempdir().unwrap();
    export.sync(folder.path()).run().expect(0);
    export.simulator().change().add_object("decisions", date("2026-11-19"), "experiment=7/late.parquet", "late");
    let summary = export.sync(folder.path()).arg("--json").run().expect(0).summary();
    assert_eq!(summary["objects"]["transferred"], 1);
    assert_eq!(summary["objects"]["unchanged"], 20);
    assert_tree_is(&export, folder.path());
}

#[test]
fn a_vanished_day_stays() {
    let export = Export::of_noise(3, 4);
    let folder = tempfile::tempdir().unwrap();
    export.sync(folder.path()).run().expect(0);
    let before = files_below(folder.path());
    assert!(export.simulator().change().remove_day("events", date("2026-11-19")) > 0);
    let summary = export.sync(folder.path()).arg("--json").run().expect(0).summary();
    assert_eq!(summary["partitions"]["expired"], 1);
    assert_eq!(files_below(folder.path()), before);
}

#[test]
fn a_day_without_success_waits_and_is_taken_when_it_is_complete() {
    let export = Export::with(|settings| {
        settings.days = 3;
        settings.unfinished_days = 1;
    });
    let folder = tempfile::tempdir().unwrap();
    let first = export.sync(folder.path()).run().expect(6);
    assert!(
        first.stdout.contains(
            "2 partitions are not complete at the source yet (no _SUCCESS): decisions 2026-11-20, events 2026-11-20;"
        ),
        "{}",
        first.stdout
    );
    assert!(!folder.path().join("type=events/date=2026-11-20").exists());

    export.simulator().change().set_success("events", date("2026-11-20"), true);
    export.simulator().change().set_success("decisions", date("2026-11-20"), true);
    export.sync(folder.path()).run().expect(0);
    assert_tree_is(&export, folder.path());
}

#[test]
fn an_unfinished_day_can_be_taken_as_it_is_and_is_completed_later() {
    let export = Export::with(|settings| {
        settings.days = 2;
        settings.unfinished_days = 1;
    });
    let folder = tempfile::tempdir().unwrap();
    export.sync(folder.path()).args(["--ready", "any"]).run().expect(0);
    let day = folder.path().join("type=events/date=2026-11-20");
    assert!(day.is_dir() && !day.join("_SUCCESS").exists());
    assert_eq!(manifest_lines(folder.path(), "type=events/date=2026-11-20")[0]["completeness"], "undeclared");

    for type_name in ["events", "decisions"] {
        export.simulator().change().set_success(type_name, date("2026-11-20"), true);
    }
    let summary = export.sync(folder.path()).arg("--json").run().expect(0).summary();
    assert_eq!(summary["objects"]["transferred"], 0, "only the marker is new");
    assert_tree_is(&export, folder.path());
}

#[test]
fn a_source_that_never_has_markers_completes_days_by_time() {
    let export = Export::with(|settings| {
        settings.days = 5;
        settings.success_on = Vec::new();
    });
    let folder = tempfile::tempdir().unwrap();
    export.sync(folder.path()).run().expect(6);
    let is_complete = |day: &str| folder.path().join(format!("type=events/date={day}/_SUCCESS")).exists();
    assert!(is_complete("2026-11-18"), "its end was 48 hours ago");
    assert!(!is_complete("2026-11-20"));
    assert_eq!(manifest_lines(folder.path(), "type=events/date=2026-11-18")[0]["completeness"], "grace");
}

#[test]
fn a_day_that_shrank_by_half_is_held_back_until_accepted() {
    let export = Export::of_parquet(3);
    let folder = tempfile::tempdir().unwrap();
    export.sync(folder.path()).run().expect(0);
    let before = files_below(folder.path());
    export.simulator().change().shrink_day("events", date("2026-11-19"));
    let held = export.sync(folder.path()).run().expect(3);
    assert!(held.stdout.contains("held back: type=events/date=2026-11-19"), "{}", held.stdout);
    let quiet =
        export.sync(folder.path()).arg("--quiet").run().expect(3).says("held back: type=events/date=2026-11-19");
    assert_eq!(quiet.stdout, "", "cron mails messages, and not exit codes");
    assert_eq!(files_below(folder.path()), before);
    export.sync(folder.path()).arg("--accept-shrink").run().expect(0);
    assert_tree_is(&export, folder.path());
}

#[test]
fn a_listing_that_changes_during_the_transfer_is_brought_up_to_date() {
    let export = Export::of_noise(1, 10);
    let held = export.inject("get:hold times=2");
    let folder = tempfile::tempdir().unwrap();
    let running = export.sync(folder.path()).args(["--concurrency", "4"]).start();
    export.wait_until("a transfer began", |simulator| simulator.requests().of(Operation::Get) > 2);
    export.simulator().change().add_object("events", date("2026-11-20"), "event=new/late.parquet", "late");
    export.simulator().change().rewrite_day("decisions", date("2026-11-20"), 100);
    held.release();
    running.wait().expect(0);
    assert_tree_is(&export, folder.path());
}

#[test]
fn a_filtered_run_takes_a_part_without_success_and_widens_later() {
    let export = Export::of_parquet(2);
    let folder = tempfile::tempdir().unwrap();
    let names: Vec<String> = export
        .simulator()
        .account()
        .objects(CLOUD, "events", date("2026-11-20"))
        .into_iter()
        .filter_map(|(key, _)| Some(key.split("event=").nth(1)?.split('/').next()?.to_owned()))
        .collect();
    let name = names.iter().find(|name| name.contains("%3A") && name.len() < 100).expect("an escaped name");
    let typed = e3sync::export::hive_unescape(name).into_owned();
    export.sync(folder.path()).args(["--type", "events", "--event", &typed]).run().expect(0);
    let part = files_below(folder.path());
    assert!(!part.is_empty() && part.keys().all(|path| path.contains(&format!("event={name}/"))), "{part:?}");

    export.sync(folder.path()).run().expect(0);
    assert_tree_is(&export, folder.path());
    // A part of what is published whole changes nothing.
    export.sync(folder.path()).args(["--type", "events", "--event", &typed]).run().expect(0);
    assert_tree_is(&export, folder.path());
}

#[test]
fn another_type_is_taken_when_it_is_named() {
    let export = Export::with(|settings| {
        settings.days = 1;
        settings.types = vec!["decisions".into(), "events".into(), "decisions-rerun".into()];
    });
    let folder = tempfile::tempdir().unwrap();
    export.sync(folder.path()).run().expect(0).says("also has type decisions-rerun");
    assert!(!folder.path().join("type=decisions-rerun").exists());
    export.sync(folder.path()).args(["--type", "decisions-rerun"]).run().expect(0);
    assert_tree_is(&export, folder.path());
    export.sync(folder.path()).args(["--type", "nonsense"]).run().expect(2).says("decisions-rerun");
}

#[test]
fn without_days_gaps_are_filled_and_an_empty_destination_is_refused() {
    let export = Export::of_noise(12, 2);
    let folder = tempfile::tempdir().unwrap();
    let daily = || export.command("sync").arg(folder.path()).args(["--today", TODAY]);
    daily().run().expect(2).says("the first backfill is your decision");
    export
        .command("sync")
        .arg(folder.path())
        .args(["--today", TODAY, "--date", "2026-11-09,2026-11-12"])
        .run()
        .expect(0);
    daily().run().expect(0);
    assert_tree_is(&export, folder.path());
}

#[test]
fn a_day_that_only_lost_objects_is_not_taken_for_a_rewritten_one() {
    let export = Export::of_noise(2, 10);
    let folder = tempfile::tempdir().unwrap();
    export.sync(folder.path()).run().expect(0);
    let before = files_below(folder.path());
    let keys = export.simulator().account().objects(CLOUD, "events", date("2026-11-19"));
    let gone = keys.iter().map(|(key, _)| key).find(|key| key.ends_with(".parquet")).unwrap();
    let gone = gone.split("date=2026-11-19/").nth(1).unwrap();
    assert!(export.simulator().change().remove_object("events", date("2026-11-19"), gone));
    for _ in 0..2 {
        let finished = export.sync(folder.path()).run().expect(0);
        assert!(!finished.stdout.contains("held back"), "{}", finished.stdout);
        assert_eq!(files_below(folder.path()), before);
    }
    let manifest = std::fs::read_to_string(folder.path().join("_e3sync/manifests/type=events/date=2026-11-19.jsonl"));
    let manifest = manifest.unwrap();
    let marked: Vec<&str> = manifest.lines().filter(|line| line.contains("\"gone_at_source\":\"2026-11-21T")).collect();
    assert!(marked.len() == 1 && marked[0].contains(gone), "{manifest}");
    assert!(manifest.lines().next().unwrap().contains("\"objects_gone_at_source\":1"), "{manifest}");
    export.command("verify").arg(folder.path()).run().expect(0);
    export.sync(folder.path()).arg("--accept-shrink").run().expect(0);
    assert_tree_is(&export, folder.path());
}

#[test]
fn a_filter_that_matches_nothing_in_a_complete_day_is_done() {
    let export = Export::of_noise(1, 3);
    let folder = tempfile::tempdir().unwrap();
    let summary = export.sync(folder.path()).args(["--json", "--event", "add_to_cart"]).run().expect(0).summary();
    assert_eq!(summary["partitions"]["empty"], 1, "the decisions have no events: {summary}");
    assert_eq!(summary["partitions"]["published"], 1);
}

#[test]
fn a_marker_with_content_is_a_marker() {
    let export = Export::of_noise(1, 3);
    let key = export.simulator().account().key("events", date("2026-11-20"), "_SUCCESS");
    export.simulator().change().add_key(&key, "{\"committer\":\"magic\"}");
    let folder = tempfile::tempdir().unwrap();
    export.sync(folder.path()).run().expect(0);
    let day = folder.path().join("type=events/date=2026-11-20");
    assert_eq!(std::fs::metadata(day.join("_SUCCESS")).unwrap().len(), 0);
    let lines = manifest_lines(folder.path(), "type=events/date=2026-11-20");
    assert_eq!((&lines[0]["completeness"], &lines[0]["objects"]), (&"declared".into(), &3.into()));
}

#[test]
fn an_export_without_anything_is_not_taken_for_success() {
    let export = Export::with(|settings| settings.types = Vec::new());
    let folder = tempfile::tempdir().unwrap();
    export.command("sync").arg(folder.path()).args(["--last", "3d"]).run().expect(6).says("the export is empty");
}

#[test]
fn files_of_others_in_a_replaced_day_are_kept_aside() {
    let export = Export::of_noise(1, 3);
    let folder = tempfile::tempdir().unwrap();
    export.sync(folder.path()).run().expect(0);
    std::fs::write(folder.path().join("type=events/date=2026-11-20/notes.txt"), "mine").unwrap();
    export.simulator().change().rewrite_day("events", date("2026-11-20"), 100);
    export
        .sync(folder.path())
        .args(["--keep-replaced", "0s"])
        .run()
        .expect(0)
        .says("files that e3sync did not publish");
    assert_tree_is(&export, folder.path());
    let kept = folder.path().join("_e3sync/superseded/type=events/date=2026-11-20.1/notes.txt.superseded");
    assert_eq!(std::fs::read_to_string(kept).unwrap(), "mine");
}
