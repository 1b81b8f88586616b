//! One account in two clouds: never two of them in one day, and no gap when one of them ends.

use std::collections::BTreeSet;
use std::path::Path;

use e3sync::simulator::{Cloud, Settings};
use jiff::civil::Date;

use crate::harness::{E3sync, Export, TODAY, files_below, manifest_lines};

fn date(text: &str) -> Date {
    text.parse().unwrap()
}

/// An export in both clouds, `_SUCCESS` in both.
fn in_both(days: u32, change: impl FnOnce(&mut Settings)) -> Export {
    Export::with(|settings| {
        settings.days = days;
        settings.objects_per_day = 4;
        settings.odd_names = false;
        settings.clouds = Cloud::ALL.to_vec();
        settings.success_on = Cloud::ALL.to_vec();
        change(settings);
    })
}

fn sync(export: &Export, destination: &Path) -> E3sync {
    // What the tool does by itself, when nothing names a cloud.
    export.sync(destination).env_remove("E3SYNC_SOURCE")
}

/// The cloud that a published day came from, by its manifest.
fn cloud_of(destination: &Path, partition: &str) -> String {
    let source = manifest_lines(destination, partition)[0]["source"].as_str().unwrap().to_owned();
    source.split("://").next().unwrap().to_owned()
}

/// Fails the test unless a published day is exactly what one cloud has.
#[track_caller]
fn assert_day_is_of(export: &Export, destination: &Path, cloud: Cloud, day: &str) {
    for type_name in ["decisions", "events"] {
        let partition = format!("type={type_name}/date={day}");
        let found: BTreeSet<String> = files_below(&destination.join(&partition)).into_values().collect();
        let expected: BTreeSet<String> =
            export.simulator().manifest(cloud, type_name, date(day)).map(|entry| entry.sha256_hex).collect();
        assert_eq!(found, expected, "{partition} is not {cloud}'s");
        assert_eq!(cloud_of(destination, &partition), if cloud == Cloud::Gcs { "gs" } else { "s3" });
    }
}

#[test]
fn a_day_in_both_clouds_is_taken_from_google_and_stays_there() {
    let export = in_both(3, |_| {});
    let folder = tempfile::tempdir().unwrap();
    sync(&export, folder.path()).run().expect(0);
    for day in ["2026-11-18", "2026-11-19", "2026-11-20"] {
        assert_day_is_of(&export, folder.path(), Cloud::Gcs, day);
    }
    let again = sync(&export, folder.path()).arg("--json").run().expect(0).summary();
    assert_eq!(again["objects"]["transferred"], 0);
}

#[test]
fn a_day_is_taken_from_the_cloud_that_has_it_complete() {
    let export = in_both(1, |_| {});
    for type_name in ["decisions", "events"] {
        export.simulator().change().set_success_on(Cloud::Gcs, type_name, date("2026-11-20"), false);
    }
    let folder = tempfile::tempdir().unwrap();
    sync(&export, folder.path()).run().expect(0);
    assert_day_is_of(&export, folder.path(), Cloud::S3, "2026-11-20");
}

#[test]
fn a_published_day_is_compared_with_its_own_cloud() {
    let export = in_both(2, |_| {});
    let folder = tempfile::tempdir().unwrap();
    export.sync(folder.path()).env("E3SYNC_SOURCE", "s3").run().expect(0);
    let unchanged = sync(&export, folder.path()).arg("--json").run().expect(0).summary();
    assert_eq!(unchanged["objects"]["transferred"], 0, "Google's other names are no change");
    for type_name in ["decisions", "events"] {
        export.simulator().change().rewrite_day_on(Cloud::S3, type_name, date("2026-11-19"), 160);
    }
    sync(&export, folder.path()).run().expect(0);
    assert_day_is_of(&export, folder.path(), Cloud::S3, "2026-11-19");
}

#[test]
fn when_s3_stops_serving_a_daily_run_goes_on_from_google_without_a_gap() {
    let last_on_s3 = date("2026-11-16");
    let export = in_both(10, |settings| {
        settings.days_on.insert(Cloud::S3, Date::MIN..=last_on_s3);
        settings.days_on.insert(Cloud::Gcs, date("2026-11-15")..=Date::MAX);
    });
    let folder = tempfile::tempdir().unwrap();
    let first = export.dates()[0].to_string();
    export
        .command("sync")
        .arg(folder.path())
        .env("E3SYNC_SOURCE", "s3")
        .args(["--from", &first, "--to", "2026-11-15", "--today", TODAY])
        .run()
        .expect(0);
    let before = files_below(folder.path());

    export.simulator().change().set_serving(Cloud::S3, false);
    let daily = || export.command("sync").arg(folder.path()).env("E3SYNC_SOURCE", "auto").args(["--today", TODAY]);
    daily().run().expect(0);
    let after = files_below(folder.path());
    assert!(before.iter().all(|(path, sha256)| after.get(path) == Some(sha256)), "the archive is as it was");
    for day in ["2026-11-16", "2026-11-17", "2026-11-20"] {
        assert_day_is_of(&export, folder.path(), Cloud::Gcs, day);
    }
    let days = E3sync::new("status").arg(folder.path()).arg("--json").run().expect(0).json();
    let gaps =
        days.iter().filter(|day| day["state"] == "missing" && day["date"].as_str() <= Some("2026-11-20")).count();
    assert_eq!(gaps, 0, "one unbroken row of days");
    assert_eq!(daily().arg("--json").run().expect(0).summary()["objects"]["transferred"], 0);
}

#[test]
fn a_plan_says_which_cloud_a_day_would_come_from() {
    let export = in_both(1, |_| {});
    let folder = tempfile::tempdir().unwrap();
    let plan = |arguments: &[&str]| {
        let command = export.command("plan").arg(folder.path()).env("E3SYNC_SOURCE", "auto");
        command.args(["--last", "1d", "--today", TODAY]).args(arguments).run().expect(0)
    };
    assert!(plan(&[]).stdout.contains("· from gcs"), "{}", plan(&[]).stdout);
    let sources: Vec<_> =
        plan(&["--json"]).json().iter().filter_map(|plan| Some(plan["source"].as_str()?.to_owned())).collect();
    assert!(sources.iter().all(|source| source.starts_with("gs://optimizely-e3-")), "{sources:?}");
}

#[test]
fn an_account_in_one_cloud_needs_no_choice_and_none_is_told_why() {
    for (cloud, other) in [(Cloud::S3, Cloud::Gcs), (Cloud::Gcs, Cloud::S3)] {
        let export = in_both(1, |settings| {
            settings.clouds = vec![cloud];
            settings.success_on = vec![cloud];
        });
        let folder = tempfile::tempdir().unwrap();
        sync(&export, folder.path()).run().expect(0);
        assert_day_is_of(&export, folder.path(), cloud, "2026-11-20");
        let refused = export.sync(folder.path()).env("E3SYNC_SOURCE", other.name()).run().expect(4);
        assert!(refused.stderr.contains("no export in this cloud"), "{}", refused.stderr);
    }
}

#[test]
fn a_token_for_google_is_printed_where_it_makes_sense() {
    let export = in_both(1, |_| {});
    let auth = |format: &str| export.command("auth").env("E3SYNC_SOURCE", "gcs").args(["--format", format]).run();
    let env = auth("env").expect(0).stdout;
    assert!(env.starts_with("export CLOUDSDK_AUTH_ACCESS_TOKEN='ya29."), "{env}");
    assert!(env.contains("GCS_BASE_PATH='gs://optimizely-e3-21468570738/v1/account_id=21468570738/'"), "{env}");
    let json: serde_json::Value = serde_json::from_str(&auth("json").expect(0).stdout).unwrap();
    assert!(json["token"].as_str().unwrap().starts_with("ya29."));
    auth("credential-process").expect(2).says("AWS tools only");
}

#[test]
fn a_bucket_elsewhere_is_refused_and_a_paying_project_is_sent_only_when_wanted() {
    let export = in_both(1, |settings| settings.gcp_uri = Some("gs://somebody-elses-bucket".into()));
    let folder = tempfile::tempdir().unwrap();
    export.sync(folder.path()).env("E3SYNC_SOURCE", "gcs").run().expect(1).says("is not the bucket of an export");

    let export = in_both(1, |_| {});
    export.sync(folder.path()).env("E3SYNC_SOURCE", "gcs").run().expect(0);
    assert!(export.simulator().log().iter().all(|request| request.user_project.is_none()));
    export.simulator().forget_requests();
    let paying = export.sync(folder.path()).env("E3SYNC_SOURCE", "gcs").args(["--user-project", "my-project"]);
    paying.run().expect(0);
    let log = export.simulator().log();
    assert!(log.iter().any(|request| request.user_project.as_deref() == Some("my-project")));
}
