//! What real accounts may answer and the documents do not say: a cloud that gives nothing, credentials for
//! deeper prefixes only, other forms of the exchange, objects that cannot be read.

use std::path::Path;

use e3sync::simulator::{Cloud, ExpirationForm, Operation, S3Path, Settings};
use serde_json::Value;

use crate::harness::{E3sync, Export, TODAY, assert_tree_is, files_below, manifest_lines};

/// An export in both clouds, `_SUCCESS` in both.
fn in_both(days: u32, change: impl FnOnce(&mut Settings)) -> Export {
    Export::with(|settings| {
        settings.days = days;
        settings.objects_per_day = 3;
        settings.odd_names = false;
        settings.clouds = Cloud::ALL.to_vec();
        settings.success_on = Cloud::ALL.to_vec();
        change(settings);
    })
}

fn sync(export: &Export, destination: &Path) -> E3sync {
    export.sync(destination).env("E3SYNC_SOURCE", "auto")
}

fn warnings(documents: &[Value]) -> Vec<String> {
    let warnings = documents.iter().filter(|document| document["event"] == "warning");
    warnings.map(|document| document["message"].as_str().unwrap().to_owned()).collect()
}

fn findings(export: &Export) -> Vec<Value> {
    export.command("doctor").env("E3SYNC_SOURCE", "auto").arg("--json").run().expect(0).json()
}

fn scheme_of(destination: &Path, partition: &str) -> String {
    let source = manifest_lines(destination, partition)[0]["source"].as_str().unwrap().to_owned();
    source.split("://").next().unwrap().to_owned()
}

const NEWEST: &str = "type=events/date=2026-11-20";

#[test]
fn a_cloud_whose_first_listing_is_refused_or_absent_is_left_out_and_told() {
    for (cloud, name, other) in [("gcs", "Google Cloud Storage", "s3"), ("s3", "S3", "gs")] {
        for refusal in ["status=403", "status=404 code=NoSuchBucket"] {
            let export = in_both(2, |_| {});
            export.inject(&format!("list:{refusal} cloud={cloud} times=always"));
            let folder = tempfile::tempdir().unwrap();
            let file = tempfile::NamedTempFile::new().unwrap().into_temp_path();
            let command = sync(&export, folder.path()).arg("--json").arg("--report").arg(&file);
            let finished = command.run().expect(0);
            let told = warnings(&finished.json());
            assert!(
                told.iter().any(|told| told.starts_with(&format!("{name} takes no part in this run: LIST "))),
                "{told:?}"
            );
            let absent = &finished.summary()["absent_clouds"];
            assert_eq!((&absent[0]["cloud"], &absent[0]["without_export"]), (&cloud.into(), &false.into()), "{absent}");
            assert_eq!(scheme_of(folder.path(), NEWEST), other);
            let report: Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
            assert_eq!(report["absent_clouds"], *absent, "the report keeps it");
            let found = findings(&export);
            let is_told = |found: &Value| {
                found["state"] == "notable"
                    && found["message"].as_str().unwrap().starts_with(&format!("{name} takes no part: "))
            };
            assert!(found.iter().any(is_told), "{found:?}");
        }
    }
}

#[test]
fn the_run_fails_when_every_cloud_refuses() {
    let export = in_both(1, |_| {});
    export.inject("list:status=403 times=always");
    let folder = tempfile::tempdir().unwrap();
    sync(&export, folder.path()).run().expect(4).says("failed (403");
    export.simulator().clear_faults();
    export.inject("list:status=404 times=always");
    sync(&export, folder.path()).run().expect(1).says("failed (404");
}

#[test]
fn a_cloud_without_credentials_is_told_whatever_the_reason() {
    for (status, is_alarming) in [(404, false), (400, true), (403, true), (401, true)] {
        let export = in_both(1, |settings| {
            settings.clouds = vec![Cloud::S3];
            settings.success_on = vec![Cloud::S3];
            settings.unserved_status = status;
        });
        let folder = tempfile::tempdir().unwrap();
        let told = sync(&export, folder.path()).run().expect(0).stderr;
        let line = "Google Cloud Storage takes no part in this run: ";
        assert_eq!(told.matches(line).count(), 1, "{told}");
        assert_eq!(told.contains(&format!("warning: {line}")), is_alarming, "{status}: {told}");
        let quiet = sync(&export, folder.path()).arg("-q").run().expect(0).stderr;
        assert_eq!(quiet.contains(line), is_alarming, "{status}: {quiet}");
        let json = sync(&export, folder.path()).arg("--json").run().expect(0);
        assert_eq!(warnings(&json.json()).iter().filter(|told| told.starts_with(line)).count(), 1);
        assert_eq!(json.summary()["absent_clouds"][0]["without_export"], !is_alarming);
        assert!(
            findings(&export)
                .iter()
                .any(|found| found["message"].to_string().contains("Google Cloud Storage takes no part"))
        );
    }
    let export = in_both(1, |settings| settings.gcp_uri = Some("gs://somebody-elses-bucket".into()));
    let folder = tempfile::tempdir().unwrap();
    sync(&export, folder.path()).run().expect(0).says("Google Cloud Storage takes no part").says("is not the bucket");
}

#[test]
fn what_a_cloud_that_takes_no_part_published_never_looks_vanished_and_is_never_mixed() {
    let export = in_both(2, |settings| settings.types = vec!["decisions".into(), "events".into(), "other".into()]);
    let folder = tempfile::tempdir().unwrap();
    let all = |command: E3sync| command.args(["--type", "decisions,events,other"]);
    all(export.sync(folder.path()).env("E3SYNC_SOURCE", "s3")).run().expect(0);
    let before = files_below(folder.path());
    for date in export.dates() {
        for type_name in ["events", "other"] {
            export.simulator().change().remove_day_on(Cloud::Gcs, type_name, date);
        }
    }
    export.inject("list:status=403 cloud=s3 times=always");
    let finished = all(sync(&export, folder.path())).args(["--json", "--lookback", "30"]).run().expect(0);
    let summary = finished.summary();
    assert_eq!(summary["vanished_types"], serde_json::json!([]));
    assert_eq!(
        (&summary["partitions"]["expired"], &summary["objects"]["transferred"]),
        (&0.into(), &0.into()),
        "{summary}"
    );
    let after = files_below(folder.path());
    let data = |path: &&String| path.starts_with("type=");
    assert_eq!(before.keys().filter(data).collect::<Vec<_>>(), after.keys().filter(data).collect::<Vec<_>>());
    export.simulator().clear_faults();
    all(sync(&export, folder.path())).args(["--lookback", "30"]).run().expect(0);
    assert_eq!(scheme_of(folder.path(), NEWEST), "s3");
}

#[test]
fn a_missing_day_is_told_of_the_clouds_that_take_part_only() {
    let export = in_both(3, |settings| {
        settings.days_on.insert(Cloud::Gcs, "2026-11-18".parse().unwrap()..="2026-11-18".parse().unwrap());
    });
    export.inject("list:status=403 cloud=s3 times=always");
    let folder = tempfile::tempdir().unwrap();
    let finished = sync(&export, folder.path()).args(["--to", "2026-11-19", "--grace", "1h"]).run().expect(3);
    assert!(finished.stdout.contains("no object in the clouds that take part, nor here"), "{}", finished.stdout);
}

#[test]
fn days_are_found_where_neither_types_nor_days_may_be_listed() {
    let export = Export::of_noise(3, 2);
    export.inject("list:status=403 depth=types times=always");
    let folder = tempfile::tempdir().unwrap();
    export.sync(folder.path()).run().expect(0);
    assert_tree_is(&export, folder.path());

    export.inject("list:status=403 depth=days times=always");
    let folder = tempfile::tempdir().unwrap();
    // Days before the first one list empty, and so do not exist.
    let finished = export.command("sync").arg(folder.path()).args(["--from", "2026-11-10", "--today", TODAY]).run();
    let finished = finished.expect(0);
    assert!(finished.stderr.contains("the days of type decisions, events may not be listed"), "{}", finished.stderr);
    assert_tree_is(&export, folder.path());

    // The daily run that follows looks for each day from the oldest one on.
    let lists = export.simulator().requests().of(Operation::List);
    export.simulator().change().rewrite_day("events", "2026-11-19".parse().unwrap(), 100);
    export.command("sync").arg(folder.path()).args(["--today", TODAY]).run().expect(0);
    assert_tree_is(&export, folder.path());
    assert!(export.simulator().requests().of(Operation::List) - lists < 40);

    let days = export.command("ls").args(["--from", "2026-11-10", "--today", TODAY, "--json"]).run().expect(0).json();
    assert_eq!(days.len(), 6, "{days:?}");
    export.command("ls").run().expect(4).says("say which to look for");
}

#[test]
fn what_is_refused_is_not_taken_for_gone() {
    let export = Export::with(|settings| settings.types.push("other".into()));
    let folder = tempfile::tempdir().unwrap();
    let all = |command: E3sync| command.args(["--type", "decisions,events,other", "--json"]);
    all(export.sync(folder.path())).run().expect(0);
    export.inject("list:status=403 depth=types times=always");
    let summary = all(export.sync(folder.path())).run().expect(0).summary();
    assert_eq!(summary["vanished_types"], serde_json::json!([]));
    export.inject("list:status=403 depth=days times=always");
    export.inject("list:status=403 depth=objects times=always key=type=other/date=2026-11-20");
    let finished = all(export.sync(folder.path())).run().expect(3);
    assert_eq!(finished.summary()["partitions"]["failed"], 1, "that day only: {}", finished.stderr);
    assert_eq!(finished.summary()["partitions"]["expired"], 0);
    assert_tree_is(&export, folder.path());
}

#[test]
fn a_type_without_markers_is_told_from_a_day_that_waits_where_days_may_not_be_listed() {
    let export = Export::of_noise(6, 1);
    for date in export.dates() {
        export.simulator().change().set_success("events", date, false);
    }
    export.simulator().change().set_success("decisions", "2026-11-16".parse().unwrap(), false);
    export.inject("list:status=403 depth=types times=always");
    export.inject("list:status=403 depth=days times=always");
    let folder = tempfile::tempdir().unwrap();
    let run =
        export.command("sync").arg(folder.path()).args(["--date", "2026-11-16", "--today", TODAY]).run().expect(6);
    assert!(run.stdout.contains("decisions 2026-11-16 is not complete"), "{}", run.stdout);
    assert!(folder.path().join("type=events/date=2026-11-16").is_dir(), "events never have one");
}

#[test]
fn a_foreign_403_at_the_renewal_is_waited_out_and_no_refusal_of_the_token() {
    let export = Export::of_noise(1, 20);
    export.inject("get:expire-all after=10");
    let gateway = export.inject("exchange:page=403 after=1 times=4");
    let folder = tempfile::tempdir().unwrap();
    let finished = export.sync(folder.path()).run().expect(0);
    assert!(!finished.stderr.contains("revoked token"), "{}", finished.stderr);
    assert_eq!(gateway.fired(), 4, "more often than a refusal of the token is asked again");
    assert_tree_is(&export, folder.path());

    let export = Export::of_noise(1, 2);
    export.inject("exchange:page=403 times=always");
    let folder = tempfile::tempdir().unwrap();
    let finished = export.sync(folder.path()).args(["--outage", "1s"]).run().expect(75);
    let finished = finished.says("403 Forbidden").says("not the vendor's own");
    assert!(!finished.stderr.contains("revoked token"), "{}", finished.stderr);
    export.simulator().clear_faults();
    export.inject("exchange:status=403 code=forbidden times=always");
    export.sync(folder.path()).run().expect(4).says("refused the token");
}

#[test]
fn the_end_of_credentials_is_read_in_every_form() {
    use ExpirationForm::{Exponent, FarAway, Float, Integer, Iso8601, Object, Past, Seconds, Text};
    for form in [Integer, Float, Exponent, Text, Seconds, Iso8601, FarAway] {
        let export = at_s3(|settings| settings.expiration_form = form);
        let folder = tempfile::tempdir().unwrap();
        let finished = export.sync(folder.path()).env("E3SYNC_SOURCE", "s3").arg("--json").run().expect(0);
        let start = &finished.json()[if form == FarAway { 1 } else { 0 }];
        let seconds = start["credentials_seconds"].as_u64();
        let expected = if form == FarAway { 800..=900 } else { 3500..=3600 };
        assert!(seconds.is_some_and(|seconds| expected.contains(&seconds)), "{form:?}: {start}");
        let is_told = warnings(&finished.json()).iter().any(|told| told.contains("far away"));
        assert_eq!(is_told, form == FarAway, "{form:?}");
    }
    let export = at_s3(|settings| settings.expiration_form = Object);
    let folder = tempfile::tempdir().unwrap();
    let s3 = || export.sync(folder.path()).env("E3SYNC_SOURCE", "s3");
    s3().run().expect(1).says("`credentials.expiration` is an object");
    assert_eq!(export.simulator().requests().of(Operation::Exchange), 3);
    let export = at_s3(|settings| settings.expiration_form = Past);
    let past = export.sync(folder.path()).env("E3SYNC_SOURCE", "s3").args(["--outage", "1s"]).run().expect(75);
    past.says("have ended already: at 2026-");
}

/// An export at S3, whichever cloud the others are at.
fn at_s3(change: impl FnOnce(&mut Settings)) -> Export {
    Export::with(|settings| {
        settings.days = 1;
        settings.clouds = vec![Cloud::S3];
        settings.success_on = vec![Cloud::S3];
        change(settings);
    })
}

#[test]
fn a_uri_with_a_path_and_other_buckets_of_the_vendors_are_taken_where_the_account_agrees() {
    const ID: &str = "21468570738";
    let at_google = |bucket: Option<&str>, uri: Option<String>| {
        in_both(1, |settings| {
            settings.gcp_uri = uri;
            settings.bucket_names.extend(bucket.map(|bucket| (Cloud::Gcs, bucket.to_owned())));
        })
    };
    let run = |export: &Export| {
        let folder = tempfile::tempdir().unwrap();
        export.sync(folder.path()).env("E3SYNC_SOURCE", "gcs").run()
    };
    for slash in ["", "/"] {
        run(&at_google(None, Some(format!("gs://optimizely-e3-{ID}/v1/account_id={ID}{slash}")))).expect(0);
        run(&at_google(None, Some(format!("gs://optimizely-e3-{ID}{slash}")))).expect(0);
    }
    let europe = format!("optimizely-e3-eu-{ID}");
    run(&at_google(Some(&europe), None)).expect(0);
    run(&at_google(Some("optimizely-e3-europe"), Some(format!("gs://optimizely-e3-europe/v1/account_id={ID}"))))
        .expect(0);
    for other in ["2146857073", "214685707380"] {
        let export = at_google(None, Some(format!("gs://optimizely-e3-{ID}/v1/account_id={other}")));
        run(&export).expect(1).says("none of the vendor's");
        assert_eq!(export.simulator().requests().of(Operation::List), 0);
    }
    let export = at_s3(|settings| {
        settings.bucket_names.insert(Cloud::S3, "optimizely-events-data-eu".into());
        settings.s3_path = S3Path::Verbatim(format!("s3://optimizely-events-data-eu/v1/account_id={ID}/"));
    });
    let folder = tempfile::tempdir().unwrap();
    export.sync(folder.path()).env("E3SYNC_SOURCE", "s3").run().expect(0);
}

#[test]
fn an_archived_object_or_one_without_its_key_costs_its_day_only() {
    for refusal in ["archived", "kms-disabled", "kms-denied"] {
        let export = Export::of_noise(3, 2);
        export.inject(&format!("get:{refusal} times=always key=type=events/date=2026-11-18"));
        let folder = tempfile::tempdir().unwrap();
        let finished = export.sync(folder.path()).arg("--json").run().expect(3);
        let documents = finished.json();
        let failed: Vec<_> = documents.iter().filter(|document| document["event"] == "partition_failed").collect();
        assert_eq!(failed.len(), 1, "{refusal}");
        assert_eq!(failed[0]["error"]["kind"], "unreadable", "{refusal}: {}", failed[0]);
        assert_eq!(finished.summary()["partitions"]["published"], 5);
        assert_eq!(finished.summary()["requests"]["retries"], 0);
        // Only the oldest day is affected, and doctor reads that one too.
        let doctor = export.command("doctor").arg("--json").run().expect(1).json();
        let broken: Vec<_> = doctor.iter().filter(|finding| finding["state"] == "broken").collect();
        assert!(broken.len() == 1 && broken[0]["check"] == "reading", "{broken:?}");
    }
}

#[test]
fn an_object_that_is_refused_is_listed_again_once_before_it_counts() {
    let export = Export::of_noise(1, 3);
    let refused = export.inject("get:status=403 code=AccessDenied times=always key=type=events/");
    let folder = tempfile::tempdir().unwrap();
    let finished = export.sync(folder.path()).arg("--json").run().expect(3);
    let failed = finished.json().iter().filter(|document| document["event"] == "object_failed").count();
    assert_eq!((failed, refused.fired()), (3, 3), "each is asked for once, and told once");

    // The day is written again meanwhile: its former objects are refused, and the listing has others.
    let export = Export::of_noise(1, 3);
    let date = export.dates()[0];
    let stale = export.simulator().account().objects(crate::harness::CLOUD, "events", date);
    let stale: Vec<String> = stale.into_iter().map(|(key, _)| key).filter(|key| key.contains("part-")).collect();
    for key in &stale {
        export.inject(&format!("get:status=403 code=AccessDenied times=always key={key}"));
    }
    let second = export.inject(&format!("list:hold depth=objects nth=2 key=type=events/date={date}"));
    let folder = tempfile::tempdir().unwrap();
    let running = export.sync(folder.path()).arg("--json").start();
    export.wait_until("the day is listed again", |_| second.fired() > 0);
    assert_eq!(export.simulator().gets(&stale[0]), 1, "it was refused before");
    export.simulator().change().rewrite_day("events", date, 100);
    second.release();
    let finished = running.wait().expect(0);
    assert_eq!(finished.summary()["objects"]["failed"], 0);
    assert_tree_is(&export, folder.path());
}

#[test]
fn a_day_of_which_many_objects_are_refused_is_left_before_they_fill_the_memory() {
    let export = Export::of_noise(1, 2_400);
    let date = export.dates()[0];
    let objects = export.simulator().account().objects(crate::harness::CLOUD, "events", date);
    let keys = objects.into_iter().map(|(key, _)| key).filter(|key| key.contains("part-"));
    for key in keys.step_by(2) {
        export.inject(&format!("get:status=403 code=AccessDenied times=always key={key}"));
    }
    let folder = tempfile::tempdir().unwrap();
    let finished = export.sync(folder.path()).args(["--json", "--type", "events"]).run().expect(4);
    let documents = finished.json();
    let failed = documents.iter().filter(|document| document["event"] == "object_failed").count();
    assert!((1_000..1_100).contains(&failed), "{failed} of 1200");
    let partition = documents.iter().find(|document| document["event"] == "partition_failed").unwrap();
    let message = partition["error"]["message"].as_str().unwrap();
    assert!(message.contains("1000 objects were refused, the last one"), "{message}");
}

#[test]
fn a_bucket_whose_readers_pay_names_the_option() {
    let export = in_both(1, |_| {});
    export.inject("any:requester-pays cloud=gcs times=always");
    let folder = tempfile::tempdir().unwrap();
    let google = || export.sync(folder.path()).env("E3SYNC_SOURCE", "gcs");
    google().run().expect(2).says("requester pays bucket").says("--user-project");
    google().args(["--user-project", "my-project"]).run().expect(0);
}

#[test]
fn an_address_elsewhere_needs_a_cloud_so_that_no_token_goes_astray() {
    let export = Export::of_noise(1, 1);
    let elsewhere = |source: &str| {
        let command = export.command("ls").env("E3SYNC_SOURCE", source);
        command.env("E3SYNC_SOURCE_ENDPOINT_URL", "https://storage.invalid").args(["--retries", "0"]).run()
    };
    elsewhere("auto").expect(2).says("--source-endpoint-url does not say of which cloud").says("add --source s3");
    assert_eq!(export.simulator().requests().total(), 0);
    assert_ne!(elsewhere(crate::harness::CLOUD.name()).code, Some(2));
    export.command("ls").env("E3SYNC_SOURCE", "auto").run().expect(0);
}
