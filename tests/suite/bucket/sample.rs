//! The vendor's own sample day into buckets.

use std::collections::BTreeMap;
use std::path::Path;

use e3sync::simulator::Cloud;

use crate::harness::{CustomerLake, FakeGcs, Moto, PeerLake, Server, files_below, sample};
use crate::sample_day::{DECISIONS, EVENTS};

const DAYS: [&str; 5] = ["--date", "2020-09-14", "--today", "2020-09-20", "--json"];

#[test]
fn the_sample_day_arrives_in_a_bucket_at_each_cloud() {
    let Some(sample) = sample() else { return };
    let (Some(moto), Some(google)) = (Moto::start(), FakeGcs::start()) else { return };
    for server in [&moto as &dyn Server, &google] {
        server.writer().put(&sample);
        for cloud in Cloud::ALL {
            the_sample_day_arrives(&sample, server, &CustomerLake::new(cloud));
        }
    }
}

fn the_sample_day_arrives(sample: &Path, server: &dyn Server, lake: &CustomerLake) {
    let sync = || lake.point(server.command("sync")).args(DAYS).run().expect(0).summary();
    assert_eq!(sync()["objects"]["transferred"], 5);
    lake.assert_data_is(&expected(sample));
    for (partition, completeness) in [(DECISIONS, "grace"), (EVENTS, "declared")] {
        let lines = lake.manifest_lines(partition);
        let [header, entries @ .., _trailer] = lines.as_slice() else { panic!("an empty manifest") };
        assert_eq!((&header["completeness"], &header["objects"]), (&completeness.into(), &entries.len().into()));
        for entry in entries {
            assert_eq!(entry["verified_against"], server.checksum(), "the server has it of every object");
        }
    }
    assert_eq!(lake.manifest_lines(DECISIONS)[0]["rows"], 10_000);

    let answers = server.answers().len();
    let second = sync();
    assert_eq!((&second["objects"]["transferred"], &second["partitions"]["unchanged"]), (&0.into(), &2.into()));
    assert_eq!(server.answers().len(), answers, "the second run asked for objects");
    lake.assert_data_is(&expected(sample));
}

#[test]
fn the_sample_day_goes_from_one_bucket_of_moto_to_another() {
    let Some(sample) = sample() else { return };
    let Some(server) = Moto::start() else { return };
    server.writer().put(&sample);
    let lake = PeerLake::on(&server);
    let summary = lake.point(server.command("sync")).args(DAYS).run().expect(0).summary();
    assert_eq!(summary["objects"]["transferred"], 5);
    assert!(lake.data() == expected(&sample));
}

/// The decisions of the sample have no `_SUCCESS`; the mirror marks them once the grace period is over.
fn expected(sample: &Path) -> BTreeMap<String, String> {
    let mut expected = files_below(sample);
    expected.insert(format!("{DECISIONS}/_SUCCESS"), crate::harness::sha256_hex(b""));
    expected
}
