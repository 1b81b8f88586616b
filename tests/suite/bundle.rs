//! `doctor --bundle`: what the servers answered, and nothing that is a secret or the user's own.

use std::collections::BTreeSet;
use std::path::Path;

use e3sync::simulator::Cloud;
use serde_json::Value;

use crate::harness::Export;

fn export() -> Export {
    Export::with(|settings| {
        settings.days = 8;
        settings.odd_names = true;
        settings.clouds = vec![Cloud::S3, Cloud::Gcs];
        settings.success_on = vec![Cloud::S3];
    })
}

fn gathered(file: &Path) -> (String, Value) {
    let text = std::fs::read_to_string(file).unwrap();
    let document = serde_json::from_str(&text).unwrap();
    (text, document)
}

/// The values of `event=` and `experiment=` that say something.
fn names(export: &Export) -> BTreeSet<String> {
    let account = export.simulator().account();
    let keys = Cloud::ALL.into_iter().flat_map(|cloud| account.bucket(cloud).unwrap().keys());
    let values = keys.flat_map(|key| key.split('/')).filter_map(|segment| {
        let value = segment.strip_prefix("event=").or_else(|| segment.strip_prefix("experiment="))?;
        value.bytes().any(|byte| byte.is_ascii_alphabetic()).then(|| value.to_owned())
    });
    values.collect()
}

#[test]
fn it_tells_how_both_clouds_answer_and_nothing_of_the_users() {
    let export = export();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("diagnosis.json");
    let finished = export.command("doctor").args(["--source", "auto", "--bundle"]).arg(&file).run().expect(0);
    finished.says("diagnosis.json").says("Read it before you pass it on");
    let (text, document) = gathered(&file);
    for secret in [export.simulator().token(), "21468570738".to_owned(), folder.path().display().to_string()] {
        assert!(!text.contains(&secret), "{secret}");
    }
    let names = names(&export);
    assert!(names.len() > 3, "{names:?}");
    for name in names {
        assert!(!text.contains(&format!("={name}")), "{name}");
    }
    let [gcs, s3] = [&document["clouds"][0], &document["clouds"][1]];
    assert_eq!([&gcs["cloud"], &s3["cloud"]], ["gcs", "s3"]);
    assert_eq!(s3["exchange"]["form"]["credentials"]["expiration"], "whole number of 13 digits");
    assert_eq!(gcs["exchange"]["place"], "gs://optimizely-e3-ACCOUNT");
    assert_eq!(s3["credentials"]["lifetime_seconds"], 3600);
    assert_eq!(s3["credentials"]["are_the_same_when_asked_again"], false);
    for (cloud, has_markers, checksum) in [(gcs, false, "crc32c"), (s3, true, "x-amz-checksum-crc64nvme")] {
        let of_type = &cloud["bucket"]["types"][1];
        assert_eq!(of_type["type"], "events");
        assert_eq!((&of_type["days"], &of_type["oldest_day"]), (&8.into(), &"2026-11-13".into()));
        let days = of_type["looked_at"].as_array().unwrap();
        assert_eq!(days.len(), 6, "the newest five and the oldest");
        assert!(days.iter().all(|day| day["has_success_marker"] == has_markers), "{cloud}");
        for day in [&days[0], &days[5]] {
            assert_eq!(day["read"]["whole"]["status"], 200);
            assert_eq!(day["read"]["range"]["status"], 206);
            assert_eq!(day["read"]["whole"]["checksums"][0], checksum);
            assert_eq!(day["listing"]["page"]["storage_classes"]["STANDARD"], day["objects"]);
        }
        let shapes = days[0]["key_shapes"].as_array().unwrap();
        let is_part = |shape: &Value| shape.as_str().unwrap().ends_with("/xxxx-99999-UUID.c000.snappy.parquet");
        assert!(shapes.iter().any(is_part), "{shapes:?}");
    }
}

#[test]
fn it_is_written_where_everything_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    for (fault, code) in [("list:status=403 times=always", 4), ("exchange:status=401 times=always", 4)] {
        let export = export();
        export.inject(fault);
        let file = folder.path().join("refused.json");
        export.command("doctor").args(["--source", "s3", "--bundle"]).arg(&file).run().expect(code);
        let (text, document) = gathered(&file);
        assert!(!text.contains(&export.simulator().token()) && !text.contains("21468570738"), "{text}");
        let s3 = &document["clouds"][0];
        if fault.starts_with("list") {
            let listings = [&s3["bucket"]["listing_of_types"], &s3["bucket"]["types"][0]["listing_of_days"]];
            for listing in listings.into_iter().chain([&s3["bucket"]["types"][1]["looked_at"][0]["listing"]]) {
                assert_eq!((&listing["status"], &listing["refusal"]["code"]), (&403.into(), &"AccessDenied".into()));
            }
        } else {
            assert_eq!((&s3["exchange"]["status"], &s3["bucket"]), (&401.into(), &Value::Null));
            assert_eq!(s3["credentials"]["failed"], "token_refused");
        }
    }
}

#[test]
fn it_is_written_without_a_token_and_never_over_the_mirror() {
    let export = export();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("none.json");
    let doctor = || export.command("doctor").env_remove("OPTIMIZELY_API_TOKEN");
    doctor().arg("--bundle").arg(&file).run().expect(2).says("none.json");
    assert_eq!(gathered(&file).1["clouds"], Value::Array(Vec::new()));
    let mirror = folder.path().join("mirror");
    for bad in [mirror.join("_e3sync/x.json"), folder.path().join("not/there.json"), folder.path().to_owned()] {
        let finished = export.command("doctor").arg(&mirror).arg("--bundle").arg(&bad).run().expect(2);
        assert!(finished.stdout.is_empty(), "nothing was asked: {}", finished.stdout);
    }
    let printed = export.command("doctor").args(["--bundle", "-"]).run().expect(0).stdout;
    let json = &printed[printed.find("\n{").unwrap()..];
    assert_eq!(serde_json::from_str::<Value>(json).unwrap()["schema"], 1);
}
