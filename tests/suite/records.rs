//! What runs leave behind: reports, and numbers for Prometheus.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use crate::harness::{E3sync, Export};

fn kept_reports(destination: &Path) -> Vec<Value> {
    let mut names: Vec<_> =
        std::fs::read_dir(destination.join("_e3sync/runs")).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.sort();
    names.iter().map(|path| serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()).collect()
}

#[test]
fn every_run_leaves_its_report_in_the_destination() {
    let export = Export::of_noise(2, 3);
    let folder = tempfile::tempdir().unwrap();
    let report = folder.path().join("report.json");
    let destination = folder.path().join("mirror");
    export.sync(&destination).arg("--report").arg(&report).run().expect(0);
    export.inject("list:status=403 code=AccessDenied times=always");
    export.sync(&destination).run().expect(4);
    let kept = kept_reports(&destination);
    assert_eq!(kept.len(), 2);
    assert_eq!(kept[0], serde_json::from_slice::<Value>(&std::fs::read(&report).unwrap()).unwrap());
    assert_eq!(kept[0]["partitions"]["published"], 4);
    assert_eq!(kept[0]["asked"]["destination"], destination.display().to_string());
    assert_eq!(kept[0]["asked"]["days"]["to"], "2026-11-20");
    assert_eq!(kept[1]["exit_code"], 4, "a run that fails leaves one too");
    assert_eq!(kept[1]["stopped_by"]["kind"], "access_denied");
    assert!(kept[0]["run"].as_str() < kept[1]["run"].as_str(), "in the order of their names");
}

/// The numbers of a metrics file by name and labels; the form is checked on the way.
fn metrics(path: &Path) -> BTreeMap<String, f64> {
    let text = std::fs::read_to_string(path).unwrap();
    let mut typed = String::new();
    let mut values = BTreeMap::new();
    for line in text.lines() {
        if let Some(head) = line.strip_prefix("# TYPE ") {
            typed = head.strip_suffix(" gauge").unwrap().to_owned();
        } else if !line.starts_with("# HELP ") {
            let (name, value) = line.rsplit_once(' ').unwrap();
            assert_eq!(name.split('{').next().unwrap(), typed, "{line}");
            assert!(values.insert(name.to_owned(), value.parse().unwrap()).is_none(), "{line} is there twice");
        }
    }
    assert!(text.ends_with('\n'));
    values
}

#[test]
fn metrics_tell_how_fresh_the_mirror_is() {
    let export = Export::of_noise(2, 3);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("e3sync.prom");
    export.sync(&folder.path().join("mirror")).arg("--metrics-file").arg(&file).run().expect(0);
    let values = metrics(&file);
    let name = |type_name| format!("e3sync_newest_published_day_timestamp_seconds{{type=\"{type_name}\"}}");
    for type_name in ["decisions", "events"] {
        assert_eq!(values[&name(type_name)], seconds("2026-11-20"));
    }
    assert_eq!(values["e3sync_run_partitions{outcome=\"published\"}"], 4.0);
    assert_eq!(values["e3sync_run_objects_transferred"], 12.0);
    assert_eq!(values["e3sync_run_requests{kind=\"get\"}"], 12.0);
    assert_eq!(values["e3sync_run_exit_code"], 0.0);
    let others: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(others.len(), 2, "nothing unfinished is left: {others:?}");
}

#[test]
fn the_newest_complete_day_is_told_apart_from_the_newest_published_one() {
    let export = Export::with(|settings| {
        settings.days = 3;
        settings.unfinished_days = 1;
    });
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("e3sync.prom");
    let sync = || export.sync(&folder.path().join("mirror")).arg("--metrics-file").arg(&file);
    sync().args(["--ready", "any"]).run().expect(0);
    let values = metrics(&file);
    let newest = |what| values[&format!("e3sync_newest_{what}_day_timestamp_seconds{{type=\"events\"}}")];
    assert_eq!((newest("published"), newest("complete")), (seconds("2026-11-20"), seconds("2026-11-19")));
}

fn seconds(day: &str) -> f64 {
    format!("{day}T00:00:00Z").parse::<jiff::Timestamp>().unwrap().as_second() as f64
}

#[test]
fn a_run_that_cannot_begin_leaves_its_report_and_its_numbers() {
    let export = Export::of_noise(1, 1);
    let folder = tempfile::tempdir().unwrap();
    let (report, numbers) = (folder.path().join("report.json"), folder.path().join("e3sync.prom"));
    let sync = |destination: &Path| {
        let sync = export.sync(destination).arg("--report").arg(&report);
        sync.arg("--metrics-file").arg(&numbers).args(["--outage", "1s"])
    };
    let left = |code: u8| {
        let report: Value = serde_json::from_slice(&std::fs::read(&report).unwrap()).unwrap();
        assert_eq!((&report["exit_code"], &report["days"]), (&code.into(), &Value::Array(Vec::new())));
        let values = metrics(&numbers);
        assert_eq!(values["e3sync_run_exit_code"], f64::from(code));
        assert!(!values.keys().any(|name| name.contains("published_day")), "not known: {values:?}");
        report
    };
    let mirror = folder.path().join("mirror");
    sync(&mirror).secret_env("OPTIMIZELY_API_TOKEN", "2:wrong-token-that-nobody-issued").run().expect(4);
    let refused = left(4);
    assert_eq!(refused["stopped_by"]["kind"], "token_refused");
    assert_eq!((&refused["account_id"], &refused["sources"]), (&Value::Null, &Value::Array(Vec::new())));
    sync(Path::new("/proc/mirror")).run().expect(1);
    let unusable = left(1);
    assert_eq!(unusable["account_id"], export.simulator().settings().account_id.as_str());
    assert_eq!(unusable["stopped_by"]["kind"], "destination_unusable");
    export.inject("exchange:status=503 times=always");
    sync(&mirror).run().expect(75);
    assert_eq!(left(75)["stopped_by"]["kind"], "exchange_unavailable");
    assert!(!mirror.exists());
}

#[test]
fn connecting_is_part_of_a_run_and_its_end_is_not_in_the_future() {
    let export = Export::of_noise(1, 1);
    let folder = tempfile::tempdir().unwrap();
    // Between two requests to the API lies a second.
    export.inject("exchange:status=503 retry-after=0");
    let before = jiff::Timestamp::now();
    export.sync(folder.path()).run().expect(0);
    let report = kept_reports(folder.path()).remove(0);
    let time = |field: &str| report[field].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    assert!(before <= time("started_at") && time("ended_at") <= jiff::Timestamp::now(), "{report}");
    let took = time("ended_at").duration_since(time("started_at"));
    assert!(took.as_secs() >= 1, "{report}");
    assert_eq!(report["requests"]["retries"], 1);
}

#[test]
fn a_file_that_cannot_be_written_is_refused_before_the_run() {
    let export = Export::of_noise(1, 1);
    let folder = tempfile::tempdir().unwrap();
    let sync = || export.sync(&folder.path().join("mirror")).folder(folder.path());
    std::os::unix::fs::symlink("mirror/_e3sync/x", folder.path().join("link")).unwrap();
    for (arguments, message) in [
        (["--metrics-file", "/nonexistent/e3sync.prom"], "cannot write the file of --metrics-file"),
        (["--report", "."], "cannot write the file of --report"),
        (["--metrics-file", "-"], "--metrics-file cannot be written to standard output"),
        (["--report", "mirror"], "--report names mirror, which belongs to the mirror itself"),
        (["--report", "mirror/_e3sync/destination.json"], "belongs to the mirror itself"),
        (["--report", "./x/../mirror/_e3sync/x.json"], "cannot write the file of --report"),
        (["--metrics-file", "mirror/type=events/date=2026-11-20/x"], "belongs to the mirror itself"),
    ] {
        sync().args(arguments).run().expect(2).says(message).says("hint:");
    }
    sync().args(["--report", "same", "--metrics-file", "./same"]).run().expect(2).says("name the same file");
    sync().args(["--report", "-", "--json"]).run().expect(2).says("both want standard output");
    assert_eq!(export.simulator().requests().total(), 0);

    sync().args(["--report", "mirror/report.json"]).run().expect(0);
    let identity = folder.path().join("mirror/_e3sync/destination.json");
    let before = std::fs::read(&identity).unwrap();
    std::fs::remove_file(folder.path().join("link")).unwrap();
    std::os::unix::fs::symlink(&identity, folder.path().join("link")).unwrap();
    sync().args(["--report", "link"]).run().expect(2).says("belongs to the mirror itself");
    for (verb, option) in [("status", "--html"), ("verify", "--progress-file")] {
        let command = E3sync::new(verb).arg(folder.path().join("mirror")).arg(option).arg(&identity);
        command.run().expect(2).says("belongs to the mirror itself");
    }
    assert_eq!(std::fs::read(&identity).unwrap(), before);
}

#[test]
fn a_file_that_cannot_be_written_in_the_end_is_a_warning_and_the_other_is_written() {
    let export = Export::of_noise(1, 1);
    let token = export.simulator().token();
    let folder = tempfile::tempdir().unwrap();
    let (gone, numbers) = (folder.path().join("gone"), folder.path().join("e3sync.prom"));
    // The folder vanishes after it was looked at.
    let sync = || {
        std::fs::create_dir(&gone).unwrap();
        let command = format!("rmdir {} && echo {token}", gone.display());
        let sync = export.sync(&folder.path().join("mirror")).args(["--token-command", &command]);
        sync.arg("--report").arg(gone.join("report.json")).arg("--metrics-file").arg(&numbers)
    };
    let message = format!("cannot write the report to {}", gone.join("report.json").display());
    let finished = sync().arg("--json").run().expect(0).says(&message);
    let is_told = |document: &Value| {
        document["event"] == "warning" && document["message"].as_str().is_some_and(|text| text.contains(&message))
    };
    assert!(finished.json().iter().any(is_told), "{}", finished.stdout);
    assert_eq!(finished.summary()["exit_code"], 0);
    assert_eq!(kept_reports(&folder.path().join("mirror"))[0]["exit_code"], 0);
    assert_eq!(metrics(&numbers)["e3sync_run_exit_code"], 0.0);
    sync().arg("--quiet").run().expect(0).says(&message);
}

#[test]
fn a_report_goes_to_standard_output_or_through_a_link() {
    let export = Export::of_noise(1, 1);
    let folder = tempfile::tempdir().unwrap();
    let sync = || export.sync(&folder.path().join("mirror")).folder(folder.path());
    let printed = sync().args(["--report", "-"]).run().expect(0).stdout;
    assert_eq!(serde_json::from_str::<Value>(&printed).unwrap()["event"], "report");
    assert!(!folder.path().join("-").exists());

    std::fs::write(folder.path().join("target.json"), "").unwrap();
    std::os::unix::fs::symlink("target.json", folder.path().join("link.json")).unwrap();
    sync().args(["--report", "link.json"]).run().expect(0);
    assert!(folder.path().join("link.json").is_symlink());
    let written = std::fs::read(folder.path().join("target.json")).unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&written).unwrap()["event"], "report");
}

#[test]
fn a_report_says_what_decisions_rest_on() {
    let export = Export::of_noise(1, 1);
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("e3sync.toml"), "[profile.late]\nready = \"grace\"\ngrace = \"36h\"").unwrap();
    let spelled = folder.path().join("x/../mirror");
    std::fs::create_dir(folder.path().join("x")).unwrap();
    let sync = export.sync(&spelled).folder(folder.path()).args(["--profile", "late", "--lookback", "3d"]);
    sync.arg("--accept-shrink").run().expect(0);
    let mirror = folder.path().join("mirror");
    let report = kept_reports(&mirror).remove(0);
    let asked = &report["asked"];
    assert_eq!(asked["destination"], mirror.canonicalize().unwrap().display().to_string());
    assert_eq!((&asked["ready"], &asked["grace_seconds"]), (&"grace".into(), &(36 * 3600).into()));
    assert_eq!((&asked["lookback_from"], &asked["accept_shrink"]), (&"2026-11-18".into(), &true.into()));
    assert_eq!((&asked["source"], &asked["profile"]), (&crate::harness::CLOUD.name().into(), &"late".into()));
    assert_eq!(report["lineage_run_id"], Value::Null);
    let status = E3sync::new("status").arg(&mirror).arg("--json").run().expect(0);
    assert_eq!(&status.json().iter().find(|document| document["event"] == "run").unwrap()["asked"], asked);
}

#[test]
fn a_dry_run_says_that_it_leaves_nothing() {
    let export = Export::of_noise(1, 1);
    let folder = tempfile::tempdir().unwrap();
    let report = folder.path().join("report.json");
    let dry = export.sync(&folder.path().join("mirror")).arg("--dry-run").arg("--report").arg(&report);
    dry.run().expect(0).says("a dry run is no run: --report and --metrics-file write nothing");
    assert!(!report.exists());
}
