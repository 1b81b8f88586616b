//! How the engine treats failures, stops and connections.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use e3sync::simulator::{Content, Operation};
use rustix::process::Signal;

use crate::harness::{E3sync, Export, assert_tree_is, files_below};

#[test]
fn an_object_that_may_not_be_read_fails_its_partition_only() {
    let export = Export::of_noise(3, 20);
    let objects = export.objects();
    let (bad, _) = objects.iter().find(|(path, _)| path.ends_with(".parquet")).unwrap();
    export.inject(&format!("get:status=403 times=always key={bad}"));
    let folder = tempfile::tempdir().unwrap();
    let finished = export.sync(folder.path()).arg("--json").run().expect(3);
    let summary = finished.summary();
    assert_eq!(summary["objects"]["failed"], 1);
    let days: std::collections::BTreeSet<_> =
        files_below(folder.path()).into_keys().map(|path| path.rsplit_once('/').unwrap().0.to_owned()).collect();
    assert!(!days.is_empty() && days.iter().all(|day| !bad.starts_with(day)), "{days:?}");
    assert_eq!(export.simulator().requests().of(Operation::Get), 3 * 2 * 20, "all others were fetched");

    export.simulator().clear_faults();
    assert_eq!(export.sync(folder.path()).arg("--json").run().expect(0).summary()["objects"]["transferred"], 1);
    assert_tree_is(&export, folder.path());
}

#[test]
fn objects_that_may_not_be_read_cost_their_day_soon_and_no_other() {
    let export = Export::of_noise(3, 200);
    export.inject("get:status=403 times=always key=type=events/date=2026-11-18");
    let folder = tempfile::tempdir().unwrap();
    let finished = export.sync(folder.path()).args(["--concurrency", "4", "--json"]).run().expect(3);
    assert!(finished.stderr.contains("20 objects failed in a row"), "{}", finished.stderr);
    assert_eq!(finished.summary()["partitions"]["published"], 5, "every other day");
    let failed = finished.summary()["objects"]["failed"].as_u64().unwrap();
    assert!((20..=24).contains(&failed), "and what was in flight: {failed}");
    export.simulator().clear_faults();
    export.sync(folder.path()).run().expect(0);
    assert_tree_is(&export, folder.path());
}

#[test]
fn where_no_object_may_be_read_each_day_costs_few_requests() {
    let export = Export::of_noise(3, 200);
    export.inject("get:status=403 times=always");
    let folder = tempfile::tempdir().unwrap();
    export.sync(folder.path()).args(["--concurrency", "4"]).run().expect(4).says("20 objects failed in a row");
    let gets = export.simulator().requests().of(Operation::Get);
    assert!((120..=144).contains(&gets), "20 of each of six days, and what was in flight: {gets}");
}

#[test]
fn a_listing_that_may_not_be_read_costs_its_day_only() {
    let export = Export::of_noise(9, 2);
    export.inject("list:status=403 times=1 after=8");
    let folder = tempfile::tempdir().unwrap();
    let finished = export.sync(folder.path()).arg("--json").run().expect(3);
    let summary = finished.summary();
    assert_eq!((&summary["partitions"]["published"], &summary["partitions"]["failed"]), (&17.into(), &1.into()));
    export.sync(folder.path()).run().expect(0);
    assert_tree_is(&export, folder.path());
}

#[test]
fn partitions_that_the_end_of_the_grace_breaks_off_are_told() {
    let export = Export::of_noise(2, 10);
    export.inject("get:stall@100 times=always after=15");
    let folder = tempfile::tempdir().unwrap();
    let running = export.sync(folder.path()).args(["--json", "--stall-timeout", "60s"]).start();
    export.wait_until("transfers hang", |simulator| simulator.requests().of(Operation::Get) > 15);
    std::thread::sleep(Duration::from_millis(500));
    running.signal(Signal::INT);
    let began = std::time::Instant::now();
    let finished = running.wait().expect(130);
    assert!(began.elapsed() < Duration::from_secs(14), "the grace of ten seconds, and not much more");
    let summary = finished.summary();
    let fetched = summary["objects"]["transferred"].as_u64().unwrap();
    assert!(fetched >= 10, "what was fetched for partitions that were broken off counts: {summary}");
}

#[test]
fn connections_are_used_again() {
    let export = Export::with(|settings| {
        settings.days = 5;
        settings.objects_per_day = 500;
        settings.latency = Some(Duration::from_millis(30));
        settings.content = Content::Noise { size_bytes: 1000..=30_000 };
        settings.odd_names = false;
    });
    let relay = Relay::before(&export.simulator().url());
    let folder = tempfile::tempdir().unwrap();
    relay.sync(&export, folder.path()).args(["--concurrency", "256"]).run().expect(0);
    assert_tree_is(&export, folder.path());
    let connections = relay.connections.load(Ordering::SeqCst);
    // Listings run beside the objects, and on a busy machine a connection is free a moment before that is
    // noticed.
    assert!(connections <= 256 + 64, "{connections} connections for 256 objects in flight");
}

/// Passes connections on to a server and counts them.
struct Relay {
    url: String,
    connections: Arc<AtomicUsize>,
}

impl Relay {
    fn before(server_url: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = server_url.trim_start_matches("http://").trim_end_matches('/').to_owned();
        let connections = Arc::new(AtomicUsize::new(0));
        let count = connections.clone();
        // Ends with the test's process.
        std::thread::spawn(move || {
            for client in listener.incoming() {
                count.fetch_add(1, Ordering::SeqCst);
                let (client, server) = (client.unwrap(), TcpStream::connect(&server).unwrap());
                let (client_too, server_too) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                std::thread::spawn(move || pass(client_too, server_too));
                std::thread::spawn(move || pass(server, client));
            }
        });
        Self { url, connections }
    }

    fn sync(&self, export: &Export, destination: &std::path::Path) -> E3sync {
        export.sync(destination).env("E3SYNC_SOURCE_ENDPOINT_URL", &self.url)
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream) {
    let _ = to.set_nodelay(true);
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        if to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}
