//! What a server of OpenLineage is told about runs.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;
use std::time::Duration;

use jiff::civil::Date;
use serde_json::{Value, json};

use crate::harness::{E3sync, Export, manifest_lines};

/// An event comes within that time or never.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// A server that takes events. Each is handed out with its request's head, and only then answered.
struct Server {
    url: String,
    events: mpsc::Receiver<(String, Value)>,
}

impl Server {
    fn start() -> Self {
        Self::watched_by(|_| {})
    }

    /// One that shows an event to `watch` before it answers.
    fn watched_by(watch: impl Fn(&Value) + Clone + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (sender, events) = mpsc::channel();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(stream) = stream else { return };
                let (sender, watch) = (sender.clone(), watch.clone());
                std::thread::spawn(move || while take_event(&stream, &sender, &watch).is_some() {});
            }
        });
        Self { url, events }
    }

    /// The next event.
    #[track_caller]
    fn event(&self) -> (String, Value) {
        self.events.recv_timeout(WAIT_MAX).expect("an event")
    }

    /// Runs a command that is pointed at the server; gives the events of its begin and its end.
    #[track_caller]
    fn told_by(&self, command: E3sync, code: i32) -> (Value, Value) {
        command.env("OPENLINEAGE_URL", &self.url).run().expect(code);
        let told = (self.event().1, self.event().1);
        assert_eq!(told.0["eventType"], "START");
        assert!(self.events.try_recv().is_err(), "two events and no more");
        told
    }
}

fn take_event(stream: &TcpStream, sender: &mpsc::Sender<(String, Value)>, watch: &impl Fn(&Value)) -> Option<()> {
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
    let event = serde_json::from_slice(&body).ok()?;
    watch(&event);
    sender.send((head, event)).ok()?;
    let mut stream = stream;
    write!(stream, "HTTP/1.1 201 Created\r\ncontent-length: 0\r\n\r\n").ok()
}

fn date(text: &str) -> Date {
    text.parse().unwrap()
}

#[test]
fn openlineage_is_told_what_is_read_and_written() {
    let export = Export::of_parquet(1);
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("x")).unwrap();
    let server = Server::start();
    let before = jiff::Timestamp::now();
    let sync = export.sync(&folder.path().join("x/../mirror")).env("OPENLINEAGE_URL", &server.url);
    let sync = sync.env("OPENLINEAGE_NAMESPACE", "lake");
    sync.secret_env("OPENLINEAGE_API_KEY", "key-of-the-lineage-server").run().expect(0);
    let ((head, begin), (_, end)) = (server.event(), server.event());
    assert!(head.starts_with("POST /api/v1/lineage HTTP/1.1"), "{head}");
    assert!(head.contains("Bearer key-of-the-lineage-server"));
    assert_eq!((&begin["eventType"], &end["eventType"]), (&"START".into(), &"COMPLETE".into()));
    let time = |event: &Value| event["eventTime"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    assert!(before <= time(&begin) && time(&begin) <= time(&end) && time(&end) <= jiff::Timestamp::now());
    for event in [&begin, &end] {
        assert_eq!(event["producer"], concat!("urn:e3sync:", env!("CARGO_PKG_VERSION")));
        assert_eq!(event["schemaURL"], "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent");
        assert_eq!(event["job"], json!({ "namespace": "lake", "name": "e3sync.sync" }));
        assert!(event["inputs"][0]["name"].as_str().unwrap().starts_with("v1/account_id="), "{event}");
    }
    let mirror = folder.path().join("mirror").canonicalize().unwrap();
    let report = std::fs::read_dir(mirror.join("_e3sync/runs")).unwrap().next().unwrap().unwrap().path();
    let report: Value = serde_json::from_slice(&std::fs::read(report).unwrap()).unwrap();
    assert_eq!(begin["run"]["runId"], end["run"]["runId"]);
    assert_eq!(begin["run"]["runId"], report["lineage_run_id"]);
    let outputs = end["outputs"].as_array().unwrap();
    assert_eq!(outputs.len(), 2);
    assert_eq!(outputs[1]["namespace"], "file");
    assert_eq!(outputs[1]["name"], format!("{}/type=events", mirror.display()));
    let statistics = &outputs[1]["outputFacets"]["outputStatistics"];
    let header = &manifest_lines(&mirror, "type=events/date=2026-11-20")[0];
    assert_eq!((&statistics["rowCount"], &statistics["size"]), (&header["rows"], &header["bytes"]));
    assert_eq!(statistics["fileCount"], header["objects"]);
}

#[test]
fn openlineage_is_told_of_published_types_only_and_of_no_rows_that_are_unknown() {
    let export = Export::of_noise(1, 1);
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start();
    let (_, end) = server.told_by(export.sync(folder.path()).args(["--type", "events"]), 0);
    assert_eq!(end["outputs"].as_array().unwrap().len(), 1);
    let statistics = &end["outputs"][0]["outputFacets"]["outputStatistics"];
    assert_eq!((statistics.get("rowCount"), &statistics["fileCount"]), (None, &1.into()));
    let (_, end) = server.told_by(export.sync(folder.path()), 0);
    let name = end["outputs"][0]["name"].as_str().unwrap();
    assert!(end["outputs"].as_array().unwrap().len() == 1 && name.ends_with("/type=decisions"), "{end}");
}

#[test]
fn openlineage_is_told_how_a_run_ended() {
    let export = Export::of_parquet(2);
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start();
    let ends_with = |command: E3sync, code: i32, event_type: &str| {
        let (_, end) = server.told_by(command, code);
        assert_eq!(end["eventType"], event_type, "exit code {code}");
        end
    };
    let mirror = folder.path().join("mirror");
    export.simulator().change().set_success("events", date("2026-11-20"), false);
    ends_with(export.sync(&mirror), 6, "COMPLETE");
    export.simulator().change().shrink_day("events", date("2026-11-19"));
    export.simulator().change().set_success("events", date("2026-11-20"), true);
    ends_with(export.sync(&mirror), 3, "FAIL");
    export.inject("list:delay=600s times=always");
    ends_with(export.sync(&mirror).args(["--max-duration", "10ms"]), 75, "ABORT");
    export.simulator().clear_faults();
    export.inject("list:status=403 code=AccessDenied times=always");
    ends_with(export.sync(&mirror), 4, "FAIL");
    let wrong = export.sync(&mirror).secret_env("OPTIMIZELY_API_TOKEN", "2:wrong-token-that-nobody-issued");
    let end = ends_with(wrong, 4, "FAIL");
    assert_eq!((&end["inputs"], &end["outputs"]), (&json!([]), &json!([])));
}

#[test]
fn the_files_of_a_run_are_written_before_openlineage_is_told() {
    let export = Export::of_noise(1, 1);
    let folder = tempfile::tempdir().unwrap();
    let report = folder.path().join("report.json");
    let (sender, seen) = mpsc::channel();
    let watched = report.clone();
    let server = Server::watched_by(move |_| sender.send(watched.exists()).unwrap());
    server.told_by(export.sync(&folder.path().join("mirror")).arg("--report").arg(&report), 0);
    assert_eq!(seen.try_iter().collect::<Vec<_>>(), [false, true]);
}

#[test]
fn a_lineage_server_that_cannot_be_used_is_a_warning() {
    let export = Export::of_noise(1, 1);
    let folder = tempfile::tempdir().unwrap();
    let sync = |url: &str| export.sync(folder.path()).env("OPENLINEAGE_URL", url);
    sync("http://127.0.0.1:9").run().expect(0).says("OpenLineage's server took no event").says("Connection refused");
    sync("nowhere").run().expect(0).says("OPENLINEAGE_URL is not a URL; the run goes on without OpenLineage");
    let key = ("OPENLINEAGE_API_KEY", "key-of-the-lineage-server");
    let remote = sync("http://marquez.invalid:5000").secret_env(key.0, key.1);
    remote.run().expect(0).says("OPENLINEAGE_URL would carry the key in the clear; the run goes on");
    let spoken = sync("http://bob:password-of-bob@marquez.invalid").secret("password-of-bob");
    spoken.run().expect(0).says("OPENLINEAGE_URL has a user name or a password");
    for off in ["1", "true", "TRUE"] {
        let finished = sync("nowhere").env("OPENLINEAGE_DISABLED", off).run().expect(0);
        assert!(!finished.stderr.contains("OPENLINEAGE"), "{}", finished.stderr);
    }
}
