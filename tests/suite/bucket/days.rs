//! Into a bucket: days that are rewritten, completed, narrowed, shrunk and gone at the source.

use std::collections::BTreeMap;

use e3sync::simulator::{BucketOperation, Content, When};
use jiff::civil::Date;
use serde_json::Value;

use crate::harness::{CLOUD, CustomerLake, E3sync, Export, for_each_lake};

for_each_lake! {
    a_rewritten_day_is_replaced_in_an_order_that_shows_no_mixture
    an_object_of_new_content_under_its_old_key_is_replaced
    replaced_objects_are_kept_aside_where_that_is_wanted
    late_additions_are_found_and_the_rest_is_not_stored_again
    a_vanished_day_stays
    a_filtered_run_leaves_the_day_unmarked_and_is_widened_later
    a_day_waits_for_the_marker_of_the_source
    an_unfinished_day_is_only_marked_when_it_is_completed
    a_day_of_less_than_half_its_bytes_is_held_back_until_accepted
    a_day_of_less_than_half_its_rows_is_held_back_until_accepted
    a_day_without_manifest_that_the_source_no_longer_has_is_kept
}

const DAY: &str = "type=events/date=2026-11-19";

fn date(text: &str) -> Date {
    text.parse().unwrap()
}

fn summary(command: E3sync) -> Value {
    command.arg("--json").run().expect(0).summary()
}

/// What the bucket has of one day.
fn day_of(lake: &CustomerLake) -> BTreeMap<String, String> {
    lake.data().into_iter().filter(|(path, _)| path.starts_with(DAY) && !path.ends_with("/_SUCCESS")).collect()
}

/// What the source has of one day.
fn day_at_source(export: &Export) -> BTreeMap<String, String> {
    let objects = export.objects().into_iter();
    objects.filter(|(path, _)| path.starts_with(DAY) && !path.ends_with("/_SUCCESS")).collect()
}

fn a_rewritten_day_is_replaced_in_an_order_that_shows_no_mixture(lake: &CustomerLake) {
    let export = Export::of_noise(3, 8);
    lake.sync(&export).run().expect(0);
    let old = day_at_source(&export);
    let old_manifest = lake.manifest_lines(DAY);
    export.simulator().change().rewrite_day("events", date("2026-11-19"), 110);
    let new = day_at_source(&export);
    assert!(old.keys().all(|path| !new.contains_key(path)), "a rerun has other names");

    let first_object = lake.bucket().freeze(When::BeforeEffect, BucketOperation::Put, &format!("{DAY}/event="));
    let manifest = lake.bucket().freeze(When::AfterEffect, BucketOperation::Put, &format!("manifests/{DAY}.jsonl"));
    let marker = lake.bucket().freeze(When::BeforeEffect, BucketOperation::Put, &format!("{DAY}/_SUCCESS"));
    let running = lake.sync(&export).args(["--concurrency", "1"]).start();

    lake.wait_at(&first_object);
    assert!(!lake.has_success_marker(DAY), "the day is still called complete while objects come");
    assert_eq!(day_of(lake), old);
    assert_eq!(lake.manifest_lines(DAY), old_manifest);
    first_object.open();

    lake.wait_at(&manifest);
    assert!(!lake.has_success_marker(DAY));
    let both: BTreeMap<_, _> = old.into_iter().chain(new.clone()).collect();
    assert_eq!(day_of(lake), both, "old objects go only when the manifest tells of the new ones");
    assert_ne!(lake.manifest_lines(DAY), old_manifest);
    manifest.open();

    lake.wait_at(&marker);
    assert!(!lake.has_success_marker(DAY));
    assert_eq!(day_of(lake), new, "the marker comes when the old set is gone");
    marker.open();

    running.wait().expect(0);
    lake.assert_is(&export);
}

fn an_object_of_new_content_under_its_old_key_is_replaced(lake: &CustomerLake) {
    let export = Export::of_noise(2, 6);
    lake.sync(&export).run().expect(0);
    let before = day_of(lake);
    let path = before.keys().next().unwrap();
    let key = path.strip_prefix(&format!("{DAY}/")).unwrap();
    assert!(export.simulator().change().replace_object("events", date("2026-11-19"), key, vec![7; 3000]));
    lake.bucket().forget_requests();
    let summary = summary(lake.sync(&export).arg("--keep-superseded"));
    assert_eq!((&summary["objects"]["transferred"], lake.data_requests(BucketOperation::Put)), (&1.into(), 1));
    lake.assert_is(&export);
    let kept = kept_aside(lake);
    assert_eq!(kept.into_iter().collect::<Vec<_>>(), [(key.to_owned(), before[path].clone())]);
}

/// What is kept aside, by the keys that it had in its day.
fn kept_aside(lake: &CustomerLake) -> BTreeMap<String, String> {
    let kept = lake.stored().into_iter().filter_map(|(path, copy)| {
        let rest = path.strip_prefix(&format!("_e3sync/superseded/{DAY}."))?;
        let (_set, key) = rest.split_once('/').unwrap();
        let key = key.strip_suffix(".superseded").expect("an ending that no reader takes for data");
        Some((key.to_owned(), crate::harness::sha256_hex(&copy.bytes)))
    });
    kept.collect()
}

fn replaced_objects_are_kept_aside_where_that_is_wanted(lake: &CustomerLake) {
    // Odd names come along in the parts of a key that is copied.
    let export = Export::of_parquet(2);
    lake.sync(&export).run().expect(0);
    let before = day_of(lake);
    export.simulator().change().rewrite_day("events", date("2026-11-19"), 100);
    lake.sync(&export).arg("--keep-superseded").run().expect(0);
    lake.assert_is(&export);
    let expected = before.into_iter().map(|(path, sha256)| (path[DAY.len() + 1..].to_owned(), sha256));
    assert_eq!(kept_aside(lake), expected.collect());
}

fn late_additions_are_found_and_the_rest_is_not_stored_again(lake: &CustomerLake) {
    let export = Export::of_noise(3, 20);
    lake.sync(&export).run().expect(0);
    export.simulator().change().add_object("events", date("2026-11-19"), "event=a/late.parquet", "late");
    lake.bucket().forget_requests();
    let summary = summary(lake.sync(&export));
    assert_eq!((&summary["objects"]["transferred"], &summary["objects"]["unchanged"]), (&1.into(), &20.into()));
    assert_eq!(lake.data_requests(BucketOperation::Put), 1);
    lake.assert_is(&export);
}

fn a_vanished_day_stays(lake: &CustomerLake) {
    let export = Export::of_noise(3, 4);
    lake.sync(&export).run().expect(0);
    let before = lake.stored();
    assert!(export.simulator().change().remove_day("events", date("2026-11-19")) > 0);
    assert_eq!(summary(lake.sync(&export))["partitions"]["expired"], 1);
    assert!(lake.stored() == before);
}

fn a_filtered_run_leaves_the_day_unmarked_and_is_widened_later(lake: &CustomerLake) {
    let export = Export::of_parquet(2);
    let keys = export.simulator().account().objects(CLOUD, "events", date("2026-11-19"));
    let names = keys.iter().filter_map(|(key, _)| key.split("event=").nth(1)?.split('/').next());
    let name = names.into_iter().find(|name| name.contains("%3A") && name.len() < 100).expect("an escaped name");
    let typed = e3sync::export::hive_unescape(name).into_owned();
    let filtered = || lake.sync(&export).args(["--type", "events", "--event", &typed]);
    filtered().run().expect(0);
    let part = lake.data();
    assert!(!part.is_empty());
    assert!(part.keys().all(|path| path.contains(&format!("/event={name}/"))), "{part:?}");
    lake.assert_settled();

    lake.bucket().forget_requests();
    lake.sync(&export).run().expect(0);
    lake.assert_is(&export);
    let objects = export.objects().iter().filter(|(path, _)| !path.ends_with("/_SUCCESS")).count();
    assert_eq!(lake.data_requests(BucketOperation::Put), objects - part.len(), "what was there is stored again");
    // A part of what is published whole changes nothing.
    filtered().run().expect(0);
    lake.assert_is(&export);
}

fn a_day_waits_for_the_marker_of_the_source(lake: &CustomerLake) {
    let export = Export::with(|settings| {
        settings.days = 3;
        settings.unfinished_days = 1;
    });
    lake.sync(&export).run().expect(6);
    let newest = |lake: &CustomerLake| lake.stored().keys().any(|path| path.contains("date=2026-11-20"));
    assert!(!newest(lake), "a day that may still grow was taken");
    lake.assert_settled();
    for type_name in ["events", "decisions"] {
        export.simulator().change().set_success(type_name, date("2026-11-20"), true);
    }
    lake.sync(&export).run().expect(0);
    lake.assert_is(&export);
}

fn an_unfinished_day_is_only_marked_when_it_is_completed(lake: &CustomerLake) {
    let export = Export::with(|settings| {
        settings.days = 2;
        settings.unfinished_days = 2;
    });
    lake.sync(&export).args(["--ready", "any"]).run().expect(0);
    lake.assert_is(&export);
    assert!(!lake.has_success_marker(DAY));
    assert_eq!(lake.manifest_lines(DAY)[0]["completeness"], "undeclared");

    for day in export.dates() {
        for type_name in ["events", "decisions"] {
            export.simulator().change().set_success(type_name, day, true);
        }
    }
    lake.bucket().forget_requests();
    assert_eq!(summary(lake.sync(&export))["objects"]["transferred"], 0, "only the marker is new");
    assert_eq!(lake.data_requests(BucketOperation::Put), 0);
    lake.assert_is(&export);
}

fn a_day_of_less_than_half_its_bytes_is_held_back_until_accepted(lake: &CustomerLake) {
    let export = Export::of_noise(2, 5);
    lake.sync(&export).run().expect(0);
    let before = lake.stored();
    export.simulator().change().shrink_day("events", date("2026-11-19"));
    let held = lake.sync(&export).run().expect(3);
    assert!(held.stdout.contains(&format!("held back: {DAY}")), "{}", held.stdout);
    assert!(lake.stored() == before);
    lake.sync(&export).arg("--accept-shrink").run().expect(0);
    lake.assert_is(&export);
}

/// Rows are known only when all objects have come: by then the new ones stand beside the old.
fn a_day_of_less_than_half_its_rows_is_held_back_until_accepted(lake: &CustomerLake) {
    let export = Export::with(|settings| {
        settings.days = 2;
        settings.content = Content::Parquet { rows: 10..=10 };
    });
    lake.sync(&export).run().expect(0);
    let (old, marked) = (day_of(lake), lake.has_success_marker(DAY));
    assert!(marked);
    let bytes = || {
        let objects = export.simulator().account().objects(CLOUD, "events", date("2026-11-19"));
        objects.iter().map(|(_, object)| object.size_bytes()).sum::<u64>()
    };
    let bytes_before = bytes();
    export.simulator().change().rewrite_day("events", date("2026-11-19"), 40);
    assert!(bytes() * 2 > bytes_before, "the listing alone shows that the day shrank");
    for _ in 0..2 {
        let held = lake.sync(&export).run().expect(3);
        assert!(held.stdout.contains("--accept-shrink"), "{}", held.stdout);
        assert!(day_of(lake) == old, "the published day is not as it was");
        assert!(lake.has_success_marker(DAY));
        lake.assert_settled();
    }
    lake.sync(&export).arg("--accept-shrink").run().expect(0);
    lake.assert_is(&export);
}

fn a_day_without_manifest_that_the_source_no_longer_has_is_kept(lake: &CustomerLake) {
    let export = Export::of_noise(3, 4);
    lake.sync(&export).run().expect(0);
    let old = day_of(lake);
    let name = format!("_e3sync/manifests/{DAY}.jsonl");
    let manifest = lake.bucket().objects().into_keys().find(|key| key.ends_with(&name)).unwrap();
    let kept = lake.bucket().object(&manifest).unwrap().bytes.to_vec();
    assert!(lake.bucket().remove_object(&manifest));
    for day in ["2026-11-19", "2026-11-20"] {
        export.simulator().change().rewrite_day("events", date(day), 110);
    }
    for _ in 0..2 {
        let failed = lake.sync(&export).run().expect(5).says("the day has no manifest").says("hint: ");
        assert!(failed.stderr.contains(&manifest), "{}", failed.stderr);
        assert!(day_of(lake) == old && lake.has_success_marker(DAY), "it may be all that is left of the day");
        lake.assert_settled();
    }
    let other = "type=events/date=2026-11-20/";
    let is_other = |(path, _): &(String, String)| path.starts_with(other);
    let found: Vec<_> = lake.data().into_iter().filter(is_other).collect();
    assert_eq!(found, export.objects().into_iter().filter(is_other).collect::<Vec<_>>(), "the other days go on");

    lake.bucket().put_object(&manifest, kept);
    lake.sync(&export).run().expect(0);
    lake.assert_is(&export);
}
