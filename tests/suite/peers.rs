//! What the protocols ask of us, by the word of servers that we did not write: each check runs
//! against moto's server and s3s for S3, and against fake-gcs-server for Google Cloud Storage.

use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::harness::{E3sync, FakeGcs, Moto, S3s, Server, TODAY, assert_same_files, manifest_lines, prefix};

const PARTITION: &str = "type=events/date=2026-11-19";

macro_rules! over {
    ($($module:ident: $server:ident),*; $checks:tt) => {
        $(over!(@one $module $server $checks);)*
    };
    (@one $module:ident $server:ident { $($check:ident)* }) => {
        mod $module {
            $(#[test]
            fn $check() {
                if let Some(server) = super::$server::start() {
                    super::$check(&server);
                }
            })*
        }
    };
}

over! {
    moto: Moto,
    s3s: S3s,
    gcs: FakeGcs;
    {
        odd_names_arrive_as_they_are
        a_partition_of_several_pages_arrives_whole
        a_large_object_is_fetched_in_ranges
        a_rewritten_day_replaces_the_old_set
        an_object_replaced_during_the_run_is_never_mixed
    }
}

/// An export of one day in a folder, and a mirror of it.
struct Day {
    source: tempfile::TempDir,
    mirror: tempfile::TempDir,
}

impl Day {
    /// A finished day without objects.
    fn new() -> Self {
        let day = Self { source: tempfile::tempdir().unwrap(), mirror: tempfile::tempdir().unwrap() };
        day.write("_SUCCESS", b"");
        day
    }

    fn source(&self) -> &Path {
        self.source.path()
    }

    fn mirror(&self) -> &Path {
        self.mirror.path()
    }

    fn write(&self, key: &str, bytes: &[u8]) {
        let path = self.source().join(PARTITION).join(key);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    fn remove(&self, key: &str) {
        std::fs::remove_file(self.source().join(PARTITION).join(key)).unwrap();
    }

    /// `sync` of the day from a server.
    fn sync(&self, server: &dyn Server) -> E3sync {
        self.selected(server.command("sync").arg(self.mirror())).arg("--json")
    }

    fn selected(&self, command: E3sync) -> E3sync {
        command.args(["--type", "events", "--date", "2026-11-19", "--today", TODAY])
    }
}

/// Bytes that differ from those of other seeds at nearly every place.
fn bytes(seed: u32, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(1);
    let next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    std::iter::repeat_with(next).take(length).collect()
}

/// Other bytes for an object of this size; of the same size, where the server tells versions apart.
fn another_version(server: &dyn Server, length: usize) -> Vec<u8> {
    bytes(1_000, if server.refusal_of_old_versions().is_some() { length } else { length + 1 })
}

fn odd_names_arrive_as_they_are(server: &dyn Server) {
    let day = Day::new();
    let names =
        ["Main_Nav_javascript%3Avoid(0);", "a b  c", "größe ☃", "100%25+1%2F2", "NULL", "a&b=c~d", "tick'quote\"<>|$"];
    for (seed, name) in (0..).zip(names) {
        day.write(&format!("event={name}/part-0.parquet"), &bytes(seed, 100));
    }
    server.writer().put(day.source());
    day.sync(server).run().expect(0);
    assert_same_files(day.source(), day.mirror());

    let listed = day.selected(server.command("ls")).arg("--paths").run().expect(0);
    for name in names {
        let (scheme, bucket) = (server.writer().scheme, &server.writer().bucket);
        let address = format!("{scheme}://{bucket}/{}{PARTITION}/event={name}/part-0.parquet", prefix());
        assert!(listed.stdout.lines().any(|line| line == address), "{address} is not among\n{}", listed.stdout);
    }
}

fn a_partition_of_several_pages_arrives_whole(server: &dyn Server) {
    let day = Day::new();
    for number in 0..1_005 {
        day.write(&format!("event=cart/part-{number:05}.parquet"), &bytes(number, 10));
    }
    server.writer().put(day.source());
    let summary = day.sync(server).run().expect(0).summary();
    assert_eq!(summary["objects"]["transferred"], 1_005);
    assert_same_files(day.source(), day.mirror());
}

fn a_large_object_is_fetched_in_ranges(server: &dyn Server) {
    let day = Day::new();
    day.write("event=cart/part-0.parquet", &bytes(1, 700 * 1024 + 1));
    day.write("event=cart/part-1.parquet", &bytes(2, 1000));
    server.writer().put(day.source());
    day.sync(server).args(["--part-size", "64KiB"]).run().expect(0);
    assert_same_files(day.source(), day.mirror());
    let ranges = server.answers().iter().filter(|status| **status == 206).count();
    assert!(ranges >= 4, "only {ranges} ranges were served");
    let lines = manifest_lines(day.mirror(), PARTITION);
    assert_eq!(
        lines[1]["verified_against"],
        server.checksum(),
        "the ranges together are compared with the whole's checksum"
    );
}

fn a_rewritten_day_replaces_the_old_set(server: &dyn Server) {
    let day = Day::new();
    day.write("event=cart/part-0-old.parquet", &bytes(1, 1000));
    day.write("event=list/part-0-old.parquet", &bytes(2, 1000));
    day.write("event=view/part-0-old.parquet", &bytes(2, 1000));
    server.writer().put(day.source());
    day.sync(server).run().expect(0);
    assert_same_files(day.source(), day.mirror());

    day.remove("event=cart/part-0-old.parquet");
    // Only what is another: to put the same bytes again makes a new version of them too.
    let change = Day::new();
    for day in [&day, &change] {
        day.write("event=cart/part-0-new.parquet", &bytes(3, 1100));
        day.write("event=view/part-0-old.parquet", &another_version(server, 1000));
    }
    server.writer().remove(&[&format!("{PARTITION}/event=cart/part-0-old.parquet")]);
    server.writer().put(change.source());
    let summary = day.sync(server).run().expect(0).summary();
    assert_eq!(summary["partitions"]["published"], 1);
    assert_eq!(summary["objects"]["transferred"], 2, "what has not changed is not fetched again");
    assert_same_files(day.source(), day.mirror());
}

/// The run is held still between its listing and the last objects, so that what it listed is gone.
fn an_object_replaced_during_the_run_is_never_mixed(server: &dyn Server) {
    let day = Day::new();
    for number in 0..40 {
        day.write(&format!("event=cart/part-{number:02}.parquet"), &bytes(number, 4096));
    }
    server.writer().put(day.source());
    let mut run = day.sync(server).args(["--concurrency", "1", "--bwlimit", "100KB/s"]).start();
    let began = Instant::now();
    while server.answers().is_empty() {
        assert!(run.is_running() && began.elapsed() < Duration::from_secs(60), "no object was asked for");
        std::thread::sleep(Duration::from_millis(2));
    }
    run.signal(Signal::STOP);
    assert!(server.answers().len() < 39, "the run is nearly over already");
    day.write("event=cart/part-39.parquet", &another_version(server, 4096));
    server.writer().put(day.source());
    run.signal(Signal::CONT);
    run.wait().expect(0);
    assert_same_files(day.source(), day.mirror());
    if let Some(status) = server.refusal_of_old_versions() {
        assert!(server.answers().contains(&status), "requests are pinned to the version that was listed");
    } else {
        assert_eq!(server.answers().iter().find(|status| **status >= 400), None, "nothing can be pinned");
    }
}

#[test]
fn moto_refuses_a_wrong_signature() {
    let Some(server) = Moto::start() else { return };
    a_wrong_signature_changes_nothing(&server, server.command_with_wrong_secret("sync"));
}

#[test]
fn s3s_refuses_a_wrong_signature() {
    let Some(server) = S3s::start() else { return };
    a_wrong_signature_changes_nothing(&server, server.command_with_wrong_secret("sync"));
}

fn a_wrong_signature_changes_nothing(server: &dyn Server, wrong: E3sync) {
    let day = Day::new();
    day.write("event=cart/part-0.parquet", &bytes(1, 100));
    server.writer().put(day.source());
    let refused = day.selected(wrong.arg(day.mirror()));
    refused.run().expect(4).says("SignatureDoesNotMatch");
    assert!(!day.mirror().join("type=events").exists());
    day.sync(server).run().expect(0);
    assert_same_files(day.source(), day.mirror());
}

#[test]
fn a_session_token_that_was_never_issued_is_refused() {
    let Some(server) = Moto::start() else { return };
    let folder = tempfile::tempdir().unwrap();
    let (_exchange, command) = server.command_with_wrong_session("sync");
    command.arg(folder.path()).args(["--date", "2026-11-19"]).run().expect(4).says("refuses credentials");
}

#[test]
fn long_lived_keys_come_from_the_named_profile_only() {
    let Some(server) = S3s::start() else { return };
    let day = Day::new();
    day.write("event=cart/part-0.parquet", &bytes(1, 100));
    server.writer().put(day.source());
    let folder = tempfile::tempdir().unwrap();
    day.selected(server.command_with_profile("sync", folder.path()).arg(day.mirror())).run().expect(0);
    assert_same_files(day.source(), day.mirror());
}

#[test]
fn bytes_that_differ_from_the_servers_checksum_are_not_published() {
    let Some(server) = S3s::start() else { return };
    let day = Day::new();
    day.write("event=cart/part-0.parquet", &bytes(1, 100));
    day.write("event=cart/part-1.parquet", &bytes(2, 100));
    server.writer().put(day.source());
    server.damage(&format!("{PARTITION}/event=cart/part-1.parquet"));
    day.sync(&server).run().expect(5);
    assert!(!day.mirror().join("type=events").exists());

    server.writer().put(day.source());
    day.sync(&server).run().expect(0);
    assert_same_files(day.source(), day.mirror());
}

#[test]
fn the_same_bytes_in_a_new_generation_are_another_version() {
    let Some(server) = FakeGcs::start() else { return };
    let day = Day::new();
    day.write("event=cart/part-0.parquet", &bytes(1, 1000));
    day.write("event=cart/part-1.parquet", &bytes(2, 1000));
    server.writer().put(day.source());
    day.sync(&server).run().expect(0);
    assert_generations(&server, &day);
    let unchanged = day.sync(&server).run().expect(0).summary();
    assert_eq!(unchanged["objects"]["transferred"], 0);
    assert_eq!(unchanged["partitions"]["unchanged"], 1);

    server.writer().put(day.source());
    let summary = day.sync(&server).run().expect(0).summary();
    assert_eq!(summary["partitions"]["published"], 1);
    assert_eq!(summary["objects"]["transferred"], 2, "both have been written anew");
    assert_generations(&server, &day);
    assert_same_files(day.source(), day.mirror());
}

/// The manifest names the generations that the server has, and what the bytes were verified against.
fn assert_generations(server: &FakeGcs, day: &Day) {
    let lines = manifest_lines(day.mirror(), PARTITION);
    let [_header, entries @ .., _trailer] = lines.as_slice() else { panic!("an empty manifest") };
    assert_eq!(entries.len(), 2);
    for entry in entries {
        let key = entry["key"].as_str().unwrap();
        assert_eq!(entry["generation"], server.generation(&format!("{PARTITION}/{key}")), "{key}");
        assert_eq!(entry["verified_against"], "crc32c");
    }
}
