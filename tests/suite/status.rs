//! The verb `status`: every state from what really happened, gaps, runs, and the page as a file.

use std::collections::BTreeMap;
use std::path::Path;

use e3sync::simulator::{CustomerBucket, CustomerSettings};
use jiff::civil::Date;
use serde_json::Value;

use crate::harness::{E3sync, Export, Finished, TODAY};

/// The types of the simulated export.
const TYPES: [&str; 2] = ["decisions", "events"];

fn date(text: &str) -> Date {
    text.parse().unwrap()
}

fn status(destination: &Path) -> E3sync {
    E3sync::new("status").arg(destination).args(["--today", TODAY])
}

fn documents(finished: &Finished, event: &str) -> Vec<Value> {
    finished.json().into_iter().filter(|document| document["event"] == event).collect()
}

/// The states of one type's days, by day.
fn states(destination: &Path, type_name: &str) -> BTreeMap<String, String> {
    let finished = status(destination).arg("--json").run().expect(0);
    let text = |day: &Value, field: &str| day[field].as_str().unwrap().to_owned();
    let days = documents(&finished, "day");
    days.iter().filter(|day| day["type"] == type_name).map(|day| (text(day, "date"), text(day, "state"))).collect()
}

/// Makes a mirror of eight days, 2026-11-13 to 20, that has a day in every state.
pub fn every_state(destination: &Path) {
    let export = Export::of_parquet(8);
    export.simulator().change().set_success("events", date("2026-11-20"), false);
    export.simulator().change().set_success("decisions", date("2026-11-20"), false);
    export.sync(destination).run().expect(6);
    for type_name in TYPES {
        let mut account = export.simulator().change();
        account.remove_day(type_name, date("2026-11-13"));
        account.shrink_day(type_name, date("2026-11-14"));
    }
    export.sync(destination).args(["--lookback", "9"]).run().expect(3);
    for (type_name, filter) in [("events", ["--event", "*"]), ("decisions", ["--experiment", "*"])] {
        remove(destination, type_name, "2026-11-16");
        let sync = export.command("sync").arg(destination).args(["--date", "2026-11-16", "--today", TODAY]);
        sync.args(["--type", type_name]).args(filter).run().expect(0);
    }
    for type_name in TYPES {
        remove(destination, type_name, "2026-11-17");
        remove(destination, type_name, "2026-11-18");
        let staging = format!("_e3sync/staging/type={type_name}/date=2026-11-18");
        std::fs::create_dir_all(destination.join(staging)).unwrap();
        std::fs::write(manifest(destination, type_name, "2026-11-19"), "torn").unwrap();
    }
}

fn manifest(destination: &Path, type_name: &str, day: &str) -> std::path::PathBuf {
    destination.join(format!("_e3sync/manifests/type={type_name}/date={day}.jsonl"))
}

fn remove(destination: &Path, type_name: &str, day: &str) {
    std::fs::remove_file(manifest(destination, type_name, day)).unwrap();
    std::fs::remove_dir_all(destination.join(format!("type={type_name}/date={day}"))).unwrap();
}

#[test]
fn every_state_is_told() {
    let folder = tempfile::tempdir().unwrap();
    every_state(folder.path());
    for type_name in TYPES {
        let states = states(folder.path(), type_name);
        let states: Vec<&str> = states.values().map(String::as_str).collect();
        let expected = ["expired", "drifted", "published", "partial", "missing", "staged", "damaged", "pending"];
        assert_eq!(states, expected, "{type_name}");
    }
    let shown = status(folder.path()).run().expect(0).stdout;
    assert!(shown.contains(" 2026-W46            ○ ! ■             ○ ! ■\n"), "{shown}");
    assert!(shown.contains(" 2026-W47    ▤ · ~ x ?         ▤ · ~ x ?\n"), "{shown}");
    assert!(shown.contains("gaps: 2026-11-17\n") && shown.contains("oldest gap: decisions 2026-11-17"), "{shown}");
    assert!(shown.lines().all(|line| line.chars().count() <= 80), "{shown}");
    assert!(!shown.contains('\u{1b}'), "no colours where no terminal is");
}

#[test]
fn a_day_is_no_longer_drifted_once_it_is_accepted() {
    let export = Export::of_noise(3, 4);
    let folder = tempfile::tempdir().unwrap();
    export.sync(folder.path()).run().expect(0);
    export.simulator().change().shrink_day("events", date("2026-11-19"));
    export.sync(folder.path()).run().expect(3);
    assert_eq!(states(folder.path(), "events")["2026-11-19"], "drifted");
    let days = documents(&status(folder.path()).arg("--json").run().expect(0), "day");
    let held = days.iter().find(|day| day["state"] == "drifted").unwrap();
    assert!(held["reason"].as_str().unwrap().contains("--accept-shrink"), "{held}");
    export.sync(folder.path()).arg("--accept-shrink").run().expect(0);
    assert_eq!(states(folder.path(), "events")["2026-11-19"], "published");
}

#[test]
fn a_day_that_failed_is_a_gap_with_a_reason() {
    let export = Export::of_noise(2, 2);
    let folder = tempfile::tempdir().unwrap();
    export.inject("get:status=403 code=AccessDenied times=always key=date=2026-11-19");
    export.sync(folder.path()).run();
    let days = documents(&status(folder.path()).arg("--json").run().expect(0), "day");
    let failed: Vec<&Value> = days.iter().filter(|day| day["date"] == "2026-11-19").collect();
    assert_eq!(failed.len(), 2, "a day that was wanted is in the calendar: {days:?}");
    for day in failed {
        assert!(["missing", "staged"].contains(&day["state"].as_str().unwrap()), "{day}");
        assert!(day["reason"].as_str().is_some_and(|reason| !reason.is_empty()), "{day}");
    }
}

#[test]
fn the_last_runs_are_told() {
    let export = Export::of_noise(2, 2);
    let folder = tempfile::tempdir().unwrap();
    export.sync(folder.path()).run().expect(0);
    let shown = status(folder.path()).run().expect(0).stdout;
    assert!(shown.contains("ok: 4 published\n"), "{shown}");
    export.inject("list:status=403 code=AccessDenied times=always");
    export.sync(folder.path()).run().expect(4);
    std::fs::write(folder.path().join("_e3sync/runs/20991231T000000Z-torn.json"), r#"{"run":"#).unwrap();
    let shown = status(folder.path()).run().expect(0).says("the report of one run cannot be read").stdout;
    assert!(shown.contains("failed (exit code 4)"), "{shown}");
    let runs = documents(&status(folder.path()).arg("--json").run().expect(0), "run");
    assert_eq!(runs.len(), 2, "{runs:?}");
    assert_eq!((&runs[0]["exit_code"], &runs[0]["stopped_by"]["kind"]), (&4.into(), &"access_denied".into()));
    assert_eq!((&runs[1]["exit_code"], &runs[1]["partitions"]["published"]), (&0.into(), &4.into()));
}

#[test]
fn only_the_last_days_are_shown_if_so_wanted() {
    let export = Export::of_noise(5, 1);
    let folder = tempfile::tempdir().unwrap();
    export.sync(folder.path()).run().expect(0);
    let finished = status(folder.path()).args(["--json", "--last", "2d"]).run().expect(0);
    let days = documents(&finished, "day");
    let dates: Vec<&str> = days.iter().map(|day| day["date"].as_str().unwrap()).collect();
    assert_eq!(dates, ["2026-11-19", "2026-11-20", "2026-11-19", "2026-11-20"]);
}

#[test]
fn the_page_is_written_in_one_step_and_is_the_same_for_the_same_mirror() {
    let export = Export::of_noise(2, 2);
    let folder = tempfile::tempdir().unwrap();
    let (mirror, file) = (folder.path().join("mirror"), folder.path().join("status.html"));
    export.sync(&mirror).run().expect(0);
    let finished = status(&mirror).arg("--html").arg(&file).run().expect(0);
    assert_eq!((finished.stdout.as_str(), finished.stderr.as_str()), ("", ""));
    let page = std::fs::read_to_string(&file).unwrap();
    assert!(page.starts_with("<!DOCTYPE html>") && page.ends_with("</html>\n"));
    assert_eq!(page, status(&mirror).args(["--html", "-"]).run().expect(0).stdout);
    let names: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.len(), 2, "nothing unfinished is left: {names:?}");
    let refused = status(&mirror).args(["--html", "/nonexistent/status.html"]).run().expect(2);
    refused.says("cannot write the page to /nonexistent/status.html").says("hint:");
    status(&mirror).args(["--html", "-", "--json"]).run().expect(2);
}

#[test]
fn what_reports_and_names_say_stays_text_in_the_page() {
    let export = Export::of_noise(1, 1);
    let folder = tempfile::tempdir().unwrap();
    export.sync(folder.path()).run().expect(0);
    let runs = folder.path().join("_e3sync/runs");
    let report = std::fs::read_dir(&runs).unwrap().next().unwrap().unwrap().path();
    let mut report: Value = serde_json::from_slice(&std::fs::read(report).unwrap()).unwrap();
    report["started_at"] = "2099-01-01T00:00:00Z".into();
    report["exit_code"] = 4.into();
    report["asked"]["types"] = serde_json::json!(["</td><script>1</script>"]);
    report["stopped_by"] = serde_json::json!({ "kind": "x", "message": "<img src=x onerror=1>\u{1b}[2J" });
    std::fs::write(runs.join("20990101T000000Z-0.json"), report.to_string()).unwrap();
    let page = status(folder.path()).args(["--html", "-"]).run().expect(0).stdout;
    assert!(!page.contains("<script") && !page.contains("<img") && !page.contains('\u{1b}'));
    assert!(page.contains("&lt;img src=x onerror=1&gt;"));
    assert!(!status(folder.path()).run().expect(0).stdout.contains('\u{1b}'));
}

/// What a terminal of so many columns gets to see.
fn on_a_terminal(destination: &Path, columns: u32, no_color: &str) -> String {
    status(destination).env("NO_COLOR", no_color).on_a_terminal(columns).run().expect(0).stdout.replace('\r', "")
}

/// A line without its colours.
fn without_colours(line: &str) -> String {
    let mut pieces = line.split('\u{1b}');
    let first = pieces.next().unwrap().to_owned();
    pieces.fold(first, |text, piece| text + piece.split_once('m').unwrap().1)
}

#[test]
fn a_narrow_terminal_wraps_nothing_and_no_color_is_heard() {
    let folder = tempfile::tempdir().unwrap();
    every_state(folder.path());
    for columns in [30, 40, 120] {
        let coloured = on_a_terminal(folder.path(), columns, "");
        assert!(coloured.contains("\u{1b}[32m■\u{1b}[0m"), "{coloured}");
        let plain = on_a_terminal(folder.path(), columns, "1");
        assert!(!plain.contains('\u{1b}'), "{plain}");
        assert_eq!(coloured.lines().map(without_colours).collect::<Vec<_>>(), plain.lines().collect::<Vec<_>>());
        assert!(plain.lines().all(|line| line.chars().count() <= columns as usize), "{plain}");
        assert_eq!(plain.lines().next().unwrap().contains("events"), columns == 120, "side by side: {plain}");
    }
}

#[test]
fn what_cannot_be_read_is_left_out_and_told() {
    let export = Export::of_noise(2, 2);
    let folder = tempfile::tempdir().unwrap();
    export.sync(folder.path()).run().expect(0);
    let runs = folder.path().join("_e3sync/runs");
    let report = std::fs::read_dir(&runs).unwrap().next().unwrap().unwrap().path();
    std::fs::copy(&report, runs.join("20991231T000000Z-copy.json")).unwrap();
    std::fs::remove_file(&report).unwrap();
    // Tests may run as root, who may read every file; but nobody reads a folder as one.
    std::fs::create_dir(&report).unwrap();
    std::fs::create_dir(folder.path().join("_e3sync/verification.json")).unwrap();
    let finished = status(folder.path()).arg("--json").run().expect(0);
    let finished = finished.says("the report of one run cannot be read and is left out").says("verification.json");
    assert_eq!((documents(&finished, "day").len(), documents(&finished, "run").len()), (4, 1));
}

#[test]
fn a_day_far_ahead_does_not_stretch_the_calendar() {
    let export = Export::of_noise(2, 2);
    let folder = tempfile::tempdir().unwrap();
    export.sync(folder.path()).run().expect(0);
    let copy = |day: &str| {
        std::fs::copy(manifest(folder.path(), "events", "2026-11-20"), manifest(folder.path(), "events", day)).unwrap();
    };
    copy("9999-12-31");
    copy("2026-11-23");
    let told = "type=events/date=9999-12-31 is more than a year ahead and left out";
    let days: Vec<String> = states(folder.path(), "events").into_keys().collect();
    assert_eq!(days, ["2026-11-19", "2026-11-20", "2026-11-21", "2026-11-22", "2026-11-23"]);
    status(folder.path()).run().expect(0).says(told);
    copy("9999-12-30");
    status(folder.path()).run().expect(0).says("2 days are more than a year ahead and left out");
}

#[test]
fn a_place_without_a_mirror_has_an_empty_status() {
    let folder = tempfile::tempdir().unwrap();
    let finished = status(folder.path()).run().expect(0).says("is no mirror yet");
    assert_eq!(finished.stdout, " nothing is published here yet\n");
    assert_eq!(status(folder.path()).arg("--json").run().expect(0).stdout, "");
}

/// Points a call at a mirror in a simulated bucket.
fn into_bucket(call: E3sync, bucket: &CustomerBucket) -> E3sync {
    let settings = bucket.settings();
    call.arg("s3://my-lake/mirror")
        .args(["--dest-region", &settings.region, "--dest-endpoint-url", &bucket.url(), "--today", TODAY])
        .env("AWS_ACCESS_KEY_ID", &settings.access_key.access_key_id)
        .secret_env("AWS_SECRET_ACCESS_KEY", &settings.access_key.secret_access_key)
}

#[test]
fn a_mirror_in_a_bucket_has_the_same_status() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let settings = CustomerSettings::new("my-lake", jiff::Timestamp::now());
    let bucket = runtime.block_on(CustomerBucket::start(settings)).unwrap();
    let export = Export::of_noise(4, 3);
    let sync = || into_bucket(export.command("sync"), &bucket).args(["--from", "2026-11-17"]);
    sync().run().expect(0);
    export.simulator().change().shrink_day("events", date("2026-11-20"));
    export.simulator().change().remove_day("events", date("2026-11-17"));
    sync().run().expect(3);
    bucket.put_object("mirror/_e3sync/manifests/type=events/date=2026-11-18.jsonl", "torn");
    bucket.remove_object("mirror/_e3sync/manifests/type=events/date=2026-11-19.jsonl");
    bucket.put_object("mirror/_e3sync/runs/20991231T000000Z-torn.json", "torn");
    let status = || into_bucket(E3sync::new("status"), &bucket);
    let finished = status().arg("--json").run().expect(0).says("the report of one run cannot be read");
    let days = documents(&finished, "day");
    let events = days.iter().filter(|day| day["type"] == "events");
    let states: Vec<&str> = events.map(|day| day["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["expired", "damaged", "missing", "drifted"]);
    assert_eq!(documents(&finished, "run").len(), 2);
    let page = status().args(["--html", "-"]).run().expect(0).stdout;
    assert!(page.contains("s3://my-lake/mirror") && page.contains("expired there, kept here"));
    runtime.block_on(bucket.stop());
}
