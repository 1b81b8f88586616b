//! Into a bucket: names that a bucket can hold, whatever a file system would say of them; prefixes
//! as people type them; objects without bytes.

use e3sync::simulator::Cloud;
use jiff::civil::Date;

use crate::harness::{CLOUD, CustomerLake, Export, for_each_lake};

for_each_lake! {
    odd_keys_arrive_as_they_are
    objects_without_bytes_arrive
    keys_that_would_leave_the_prefix_are_refused
}

const DAY: Date = jiff::civil::date(2026, 11, 20);

fn long_name() -> String {
    format!("event={}/part-0.parquet", "n".repeat(300))
}

/// Keys below a day; the last two are a "file" and a "folder" of one name.
fn odd_keys() -> Vec<String> {
    let keys = [
        "event=Main_Nav_javascript%3Avoid(0);/part-0.parquet",
        "event=a b  c /part-0.parquet",
        "event=a+b/part-0.parquet",
        "event=a%2Bb/part-0.parquet",
        "event=größe ☃ 日本語/part-0.parquet",
        "event=NULL/part-0.parquet",
        "event=__HIVE_DEFAULT_PARTITION__/part-0.parquet",
        "event=Signup/part-0.parquet",
        "event=signup/part-0.parquet",
        "event=a&b=c~d?e#f/part-0.parquet",
        "event=tick'quote\"<>|$*\\/part-0.parquet",
        "event=both",
        "event=both/part-0.parquet",
    ];
    keys.map(str::to_owned).into_iter().chain([long_name()]).collect()
}

fn empty_export() -> Export {
    Export::with(|settings| {
        settings.days = 1;
        settings.types = vec!["events".into()];
        settings.objects_per_day = 1;
        settings.odd_names = false;
    })
}

fn odd_keys_arrive_as_they_are(lake: &CustomerLake) {
    let export = empty_export();
    for key in odd_keys() {
        export.simulator().change().add_object("events", DAY, &key, key.repeat(20));
    }
    lake.sync(&export).run().expect(0);
    let stored = lake.stored();
    for key in odd_keys() {
        let copy = stored.get(&format!("type=events/date={DAY}/{key}")).unwrap_or_else(|| panic!("{key} is missing"));
        assert_eq!(copy.bytes, key.repeat(20));
    }
    // By the keys themselves: a file's name would be another one for the longest.
    let keys = export.simulator().account().objects(CLOUD, "events", DAY);
    let keys: Vec<_> = keys.into_iter().map(|(key, _)| key[key.find("type=").unwrap()..].to_owned()).collect();
    assert_eq!(lake.data().into_keys().collect::<Vec<_>>(), keys);
    let manifest = lake.manifest_lines(&format!("type=events/date={DAY}"));
    let listed: Vec<_> = manifest.iter().filter_map(|line| line["key"].as_str()).collect();
    assert!(odd_keys().iter().all(|key| listed.contains(&key.as_str())), "the manifest keeps the true keys");

    // Replaced, they go as they came.
    for key in odd_keys() {
        assert!(export.simulator().change().remove_object("events", DAY, &key));
    }
    lake.sync(&export).arg("--accept-shrink").run().expect(0);
    lake.assert_is(&export);
}

fn objects_without_bytes_arrive(lake: &CustomerLake) {
    let export = empty_export();
    export.simulator().change().add_object("events", DAY, "event=none/part-0.parquet", "");
    lake.sync(&export).run().expect(0);
    lake.assert_is(&export);
    let path = format!("type=events/date={DAY}/event=none/part-0.parquet");
    assert_eq!(lake.stored()[&path].bytes.len(), 0);
    lake.sync(&export).run().expect(0);
    lake.assert_is(&export);
}

fn keys_that_would_leave_the_prefix_are_refused(lake: &CustomerLake) {
    let export = empty_export();
    for key in ["../escape.parquet", "event=a//part-0.parquet", "event=a/./part-0.parquet"] {
        export.simulator().change().add_object("events", DAY, key, "hostile");
    }
    lake.sync(&export).run().expect(3);
    assert_eq!(lake.data().len(), 0, "a day with such keys is not published");
    lake.assert_settled();
}

#[test]
fn a_prefix_is_taken_as_it_is_typed() {
    let export = Export::of_noise(1, 3);
    for cloud in Cloud::ALL {
        for typed in ["", "lake/", "a/b c/größe+%41", "type=lake"] {
            let lake = CustomerLake::below(cloud, typed);
            lake.sync(&export).run().expect(0);
            lake.assert_is(&export);
            let status = lake.point(crate::harness::E3sync::new("status")).arg("--json").run().expect(0);
            assert!(status.stdout.contains("2026-11-20"), "{typed}: {}", status.stdout);
        }
    }
}

#[test]
fn a_bucket_named_with_and_without_a_slash_is_one_mirror() {
    let export = Export::of_noise(2, 3);
    let lake = CustomerLake::below(Cloud::S3, "lake");
    lake.sync(&export).run().expect(0);
    let before = lake.stored();
    let again = lake.sync(&export).env("E3SYNC_DEST", "s3://my-lake/lake/").arg("--json").run().expect(0).summary();
    assert_eq!(again["partitions"]["unchanged"], 4);
    assert!(lake.stored() == before);
}
