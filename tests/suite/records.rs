//! What runs leave behind: reports in the destination, numbers for Prometheus, events for OpenLineage.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::mpsc;

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

/// A server that takes events; each is handed out with its request's head.
fn lineage_server() -> (String, mpsc::Receiver<(String, Value)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (sender, events) = mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(stream) = stream else { return };
            let sender = sender.clone();
            std::thread::spawn(move || while take_event(&stream, &sender).is_some() {});
        }
    });
    (url, events)
}

fn take_event(stream: &TcpStream, sender: &mpsc::Sender<(String, Value)>) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let length =
        head.to_ascii_lowercase().lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok())?;
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    sender.send((head, serde_json::from_slice(&body).ok()?)).ok()?;
    let mut stream = stream;
    write!(stream, "HTTP/1.1 201 Created\r\ncontent-length: 0\r\n\r\n").ok()
}

#[test]
fn openlineage_is_told_what_is_read_and_written() {
    let export = Export::of_parquet(1);
    let folder = tempfile::tempdir().unwrap();
    let (url, events) = lineage_server();
    let sync = |code| {
        export
            .sync(folder.path())
            .env("OPENLINEAGE_URL", &url)
            .env("OPENLINEAGE_NAMESPACE", "lake")
            .secret_env("OPENLINEAGE_API_KEY", "key-of-the-lineage-server")
            .run()
            .expect(code);
        [events.recv().unwrap(), events.recv().unwrap()]
    };
    let [(head, begin), (_, end)] = sync(0);
    assert!(head.starts_with("POST /api/v1/lineage HTTP/1.1"), "{head}");
    assert!(head.contains("Bearer key-of-the-lineage-server"));
    assert_eq!((&begin["eventType"], &end["eventType"]), (&"START".into(), &"COMPLETE".into()));
    assert_eq!(begin["run"]["runId"], end["run"]["runId"]);
    assert_eq!(end["job"], serde_json::json!({ "namespace": "lake", "name": "e3sync.sync" }));
    let input = end["inputs"][0]["name"].as_str().unwrap();
    assert!(input.starts_with("v1/account_id="), "{input}");
    let outputs = end["outputs"].as_array().unwrap();
    assert_eq!(outputs.len(), 2);
    assert_eq!(outputs[1]["name"], format!("{}/type=events", folder.path().display()));
    let statistics = &outputs[1]["outputFacets"]["outputStatistics"];
    let manifest = folder.path().join("_e3sync/manifests/type=events/date=2026-11-20.jsonl");
    let header: Value =
        serde_json::from_str(std::fs::read_to_string(manifest).unwrap().lines().next().unwrap()).unwrap();
    assert_eq!((&statistics["rowCount"], &statistics["size"]), (&header["rows"], &header["bytes"]));

    export.inject("list:status=403 code=AccessDenied times=always");
    let [_, (_, end)] = sync(4);
    assert_eq!(end["eventType"], "FAIL");
}

#[test]
fn a_lineage_server_that_is_away_is_a_warning() {
    let export = Export::of_noise(1, 1);
    let folder = tempfile::tempdir().unwrap();
    let finished = export.sync(folder.path()).env("OPENLINEAGE_URL", "http://127.0.0.1:9").run().expect(0);
    assert!(finished.stderr.contains("OpenLineage's server took no event"), "{}", finished.stderr);
    let refused = export.sync(folder.path()).env("OPENLINEAGE_URL", "nowhere").run().expect(2);
    assert!(refused.stderr.contains("OPENLINEAGE_URL is not a URL"), "{}", refused.stderr);
}
