//! The vendor's own sample day, real files of the export, mirrored from servers that we did not write.

use std::path::Path;

use crate::harness::{FakeGcs, Moto, S3s, Server, assert_same_files, files_below, manifest_lines, python, sample};

pub const DECISIONS: &str = "type=decisions/date=2020-09-14";
pub const EVENTS: &str = "type=events/date=2020-09-14";

#[test]
fn the_sample_day_arrives_from_moto() {
    let Some(sample) = sample() else { return };
    let Some(server) = Moto::start() else { return };
    the_sample_day_arrives(&sample, &server);
}

#[test]
fn the_sample_day_arrives_from_s3s() {
    let Some(sample) = sample() else { return };
    let Some(server) = S3s::start() else { return };
    the_sample_day_arrives(&sample, &server);
}

#[test]
fn the_sample_day_arrives_from_fake_gcs_server() {
    let Some(sample) = sample() else { return };
    let Some(server) = FakeGcs::start() else { return };
    the_sample_day_arrives(&sample, &server);
}

fn the_sample_day_arrives(sample: &Path, server: &dyn Server) {
    server.writer().put(sample);
    let folder = tempfile::tempdir().unwrap();
    let destination = folder.path().join("mirror");
    let sync = || {
        let days = ["--date", "2020-09-14", "--today", "2020-09-20", "--json"];
        server.command("sync").arg(&destination).args(days).run().expect(0).summary()
    };
    let first = sync();
    assert_eq!(first["objects"]["transferred"], 5);
    assert_sample_is(sample, &destination, server.checksum());
    assert_eq!(decisions_counted_by_duckdb(&destination), "10000");

    let answers = server.answers().len();
    let second = sync();
    assert_eq!(second["objects"]["transferred"], 0);
    assert_eq!(second["partitions"]["unchanged"], 2);
    assert_eq!(server.answers().len(), answers, "the second run asked for objects");
    assert_sample_is(sample, &destination, server.checksum());
}

/// The decisions of the sample have no `_SUCCESS`; the mirror marks them once the grace period is over.
fn assert_sample_is(sample: &Path, destination: &Path, checksum: &str) {
    let folder = tempfile::tempdir().unwrap();
    copy(sample, folder.path());
    std::fs::write(folder.path().join(DECISIONS).join("_SUCCESS"), "").unwrap();
    assert_same_files(folder.path(), destination);
    for (partition, completeness) in [(DECISIONS, "grace"), (EVENTS, "declared")] {
        assert_manifest_adds_up(destination, partition, completeness, checksum);
    }
}

fn assert_manifest_adds_up(destination: &Path, partition: &str, completeness: &str, checksum: &str) {
    let lines = manifest_lines(destination, partition);
    let [header, entries @ .., _trailer] = lines.as_slice() else { panic!("an empty manifest") };
    let sum = |field: &str| entries.iter().map(|entry| entry[field].as_u64().unwrap()).sum::<u64>();
    assert_eq!(header["rows"], sum("rows"));
    assert_eq!(header["bytes"], sum("size_bytes"));
    assert_eq!(header["objects"], entries.len());
    assert_eq!(header["completeness"], completeness);
    let files = files_below(&destination.join(partition));
    for entry in entries {
        assert_eq!(entry["verified_against"], checksum, "the server has it of every object");
        assert_eq!(entry["sha256"], files[entry["key"].as_str().unwrap()]);
    }
}

fn decisions_counted_by_duckdb(destination: &Path) -> String {
    let code = "import duckdb, sys; print(duckdb.sql(f\"select count(*) from '{sys.argv[1]}'\").fetchall()[0][0])";
    python().unwrap().eval(code, [destination.join("type=decisions/**/*.parquet")])
}

fn copy(from: &Path, to: &Path) {
    for path in files_below(from).keys() {
        let target = to.join(path);
        std::fs::create_dir_all(target.parent().unwrap()).unwrap();
        std::fs::write(target, std::fs::read(from.join(path)).unwrap()).unwrap();
    }
}
