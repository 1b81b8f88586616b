//! What runs leave behind: reports, and numbers for Prometheus.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use crate::harness::Export;

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
    let newest: jiff::Timestamp = "2026-11-20T00:00:00Z".parse().unwrap();
    let name = |type_name| format!("e3sync_newest_published_day_timestamp_seconds{{type=\"{type_name}\"}}");
    for type_name in ["decisions", "events"] {
        assert_eq!(values[&name(type_name)], newest.as_second() as f64);
    }
    assert_eq!(values["e3sync_run_partitions{outcome=\"published\"}"], 4.0);
    assert_eq!(values["e3sync_run_objects_transferred"], 12.0);
    assert_eq!(values["e3sync_run_requests{kind=\"get\"}"], 12.0);
    assert_eq!(values["e3sync_run_exit_code"], 0.0);
    let others: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(others.len(), 2, "nothing unfinished is left: {others:?}");
}

#[test]
fn a_metrics_file_that_cannot_be_written_is_told_after_the_run() {
    let export = Export::of_noise(1, 1);
    let folder = tempfile::tempdir().unwrap();
    let destination = folder.path().join("mirror");
    let finished = export.sync(&destination).args(["--metrics-file", "/nonexistent/e3sync.prom"]).run().expect(2);
    assert!(finished.stderr.contains("cannot write the metrics to /nonexistent/e3sync.prom"), "{}", finished.stderr);
    assert!(destination.join("type=events/date=2026-11-20/_SUCCESS").exists());
}
