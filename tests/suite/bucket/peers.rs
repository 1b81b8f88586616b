//! The same into buckets on servers that we did not write, looked at with clients that we did not write.

use std::collections::BTreeMap;

use jiff::civil::Date;
use serde_json::Value;

use crate::harness::{E3sync, Export, Moto, PeerLake, S3s, assert_tree_is, output_of};
use crate::readers;

const DAY: Date = jiff::civil::date(2026, 11, 19);

const PYARROW: &str = "
import json, sys
import pyarrow.dataset, pyarrow.fs
endpoint, place, key, secret = sys.argv[1:]
bucket = pyarrow.fs.S3FileSystem(endpoint_override=endpoint, access_key=key, secret_key=secret, region='us-east-1')
counts = {}
for name in ['decisions', 'events']:
    data = pyarrow.dataset.dataset(f'{place}/type={name}', filesystem=bucket, partitioning='hive')
    days = data.to_table(columns=['date']).group_by('date').aggregate([([], 'count_all')]).to_pydict()
    counts[name] = dict(zip(map(str, days['date']), days['count_all']))
print(json.dumps(counts))
";

fn summary(command: E3sync) -> Value {
    command.arg("--json").run().expect(0).summary()
}

#[track_caller]
fn assert_is(lake: &PeerLake, export: &Export) {
    let expected: BTreeMap<_, _> = export.objects().into_iter().collect();
    let found = lake.data();
    assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
    assert!(found == expected, "the contents differ");
}

/// Published, found unchanged, rewritten, found unchanged.
fn a_day_comes_stays_and_is_replaced(lake: &PeerLake, export: &Export) {
    assert_eq!(summary(lake.sync(export))["partitions"]["published"], 4);
    assert_is(lake, export);
    let second = summary(lake.sync(export));
    assert_eq!((&second["objects"]["transferred"], &second["partitions"]["unchanged"]), (&0.into(), &4.into()));
    export.simulator().change().rewrite_day("events", DAY, 110);
    assert_eq!(summary(lake.sync(export))["partitions"]["published"], 1);
    assert_is(lake, export);
    let last = summary(lake.sync(export));
    assert_eq!((&last["objects"]["transferred"], &last["partitions"]["unchanged"]), (&0.into(), &4.into()));
}

#[test]
fn moto_holds_the_mirror() {
    let Some(server) = Moto::start() else { return };
    a_day_comes_stays_and_is_replaced(&PeerLake::on(&server), &Export::of_parquet(2));
}

#[test]
fn s3s_holds_the_mirror() {
    let Some(server) = S3s::start() else { return };
    // It makes a file's name of each key, so that names must be short.
    a_day_comes_stays_and_is_replaced(&PeerLake::on(&server), &Export::of_noise(2, 6));
}

#[test]
fn moto_holds_the_mirror_in_googles_protocol() {
    let Some((_moto, lake)) = PeerLake::of_google() else { return };
    let export = Export::of_parquet(2);
    assert_eq!(summary(lake.sync(&export))["partitions"]["published"], 4);
    assert_is(&lake, &export);
    let second = summary(lake.sync(&export));
    assert_eq!((&second["objects"]["transferred"], &second["partitions"]["unchanged"]), (&0.into(), &4.into()));
    // It has no generations. Without them a manifest is not replaced, rather than another run's overwritten.
    export.simulator().change().rewrite_day("events", DAY, 110);
    let refused = lake.sync(&export).run().expect(3);
    assert!(refused.stderr.contains("tells no generation"), "{}", refused.stderr);
    assert!(!lake.data().contains_key(&format!("type=events/date={DAY}/_SUCCESS")));
}

#[test]
fn large_objects_go_in_parts_to_moto_and_s3s() {
    let (Some(moto), Some(s3s)) = (Moto::start(), S3s::start()) else { return };
    let export = Export::of_noise(1, 2);
    export.simulator().change().add_noise("events", export.dates()[0], "event=big/part-0.parquet", 22_000_000);
    for lake in [PeerLake::on(&moto), PeerLake::on(&s3s)] {
        lake.sync(&export).args(["--part-size", "5MiB"]).run().expect(0);
        assert_is(&lake, &export);
    }
}

#[test]
fn pyarrow_finds_every_row_over_the_protocol() {
    let Some(server) = Moto::start() else { return };
    let (lake, export) = (PeerLake::on(&server), Export::of_parquet(2));
    lake.sync(&export).run().expect(0);
    export.simulator().change().rewrite_day("events", DAY, 110);
    lake.sync(&export).run().expect(0);
    let counts: BTreeMap<String, readers::Rows> = serde_json::from_str(&lake.eval(PYARROW)).unwrap();
    for type_name in ["decisions", "events"] {
        assert_eq!(counts[type_name], readers::simulated(&export, type_name), "{type_name}");
    }
}

#[test]
fn aws_cli_lists_and_fetches_the_mirror() {
    let Some(server) = Moto::start() else { return };
    let (lake, export) = (PeerLake::on(&server), Export::of_noise(1, 4));
    for name in ["Main_Nav_javascript%3Avoid(0);", "a b+c", "größe ☃", "NULL", "__HIVE_DEFAULT_PARTITION__"] {
        let key = format!("event={name}/part-0.parquet");
        export.simulator().change().add_object("events", export.dates()[0], &key, name);
    }
    lake.sync(&export).run().expect(0);
    let listed = output_of(lake.aws().args(["s3", "ls", "--recursive", &lake.address]));
    for (path, _) in export.objects() {
        assert!(listed.lines().any(|line| line.ends_with(&format!("e3/{path}"))), "{path} is not among\n{listed}");
    }
    let folder = tempfile::tempdir().unwrap();
    output_of(lake.aws().args(["s3", "sync", "--only-show-errors", &lake.address]).arg(folder.path()));
    assert_tree_is(&export, folder.path());
    // A mirror that was fetched as a whole is one, and a run goes on from it.
    let on = summary(export.sync(folder.path()));
    assert_eq!((&on["objects"]["transferred"], &on["partitions"]["unchanged"]), (&0.into(), &2.into()));
}
