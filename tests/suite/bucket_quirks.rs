//! Servers that speak S3's protocol and are not S3: what they lack is found out before the first transfer and
//! respected, and what a bucket's owner demands can be given.

use e3sync::simulator::{BucketAction, BucketFault, BucketOperation, Cloud, CustomerSettings, Quirk};

use crate::harness::{CustomerLake, E3sync, Export};

fn lake_with(quirk: Quirk) -> CustomerLake {
    CustomerLake::with(Cloud::S3, "optimizely", |settings: &mut CustomerSettings| settings.quirks = vec![quirk])
}

/// Mirrors, replaces a rewritten day, and verifies: every kind of request is made.
fn assert_works(export: &Export, lake: &CustomerLake, adapt: impl Fn(E3sync) -> E3sync) {
    adapt(lake.sync(export)).run().expect(0);
    export.simulator().change().rewrite_day("events", export.dates()[0], 100);
    adapt(lake.sync(export).args(["--part-size", "5MiB", "--keep-superseded"])).run().expect(0);
    lake.assert_is(export);
    adapt(lake.command(export, "verify")).run().expect(0);
}

fn export() -> Export {
    Export::with(|settings| {
        settings.days = 2;
        settings.objects_per_day = 2;
        settings.odd_names = false;
        settings.content = e3sync::simulator::Content::Noise { size_bytes: 1_000..=6_000_000 };
    })
}

#[test]
fn objects_are_deleted_one_by_one_where_the_server_knows_nothing_else() {
    let (export, lake) = (export(), lake_with(Quirk::NoDeleteMany));
    assert_works(&export, &lake, |command| command);
    let requests = lake.bucket().requests();
    assert!(requests.count(BucketOperation::Delete) > 2, "{requests:?}");
    assert!(requests.count(BucketOperation::DeleteMany) <= 2, "each run finds it out once: {requests:?}");
    let habit = "does not delete many objects by one request, so they are deleted one by one";
    let run = lake.sync(&export).run().expect(0).says(habit);
    assert!(run.stdout.contains(habit), "the summary too: {}", run.stdout);
    let doctor = lake.command(&export, "doctor").run().expect(0);
    assert!(doctor.stdout.contains(habit), "{}", doctor.stdout);
}

#[test]
fn deletes_carry_the_checksum_that_older_servers_demand() {
    let (export, lake) = (export(), lake_with(Quirk::Md5OnDeleteMany));
    assert_works(&export, &lake, |command| command);
    assert_eq!(lake.bucket().requests().count(BucketOperation::Delete), 0);
}

#[test]
fn a_server_that_refuses_newer_checksums_verifies_by_md5_where_the_user_says_so() {
    // A locked bucket takes no upload without a checksum of some kind.
    let locked = || {
        CustomerLake::with(Cloud::S3, "optimizely", |settings: &mut CustomerSettings| {
            (settings.quirks, settings.is_object_locked) = (vec![Quirk::RefusesChecksums], true);
        })
    };
    let (export, lake) = (export(), locked());
    let told = lake.sync(&export).run().expect(1);
    told.says("Unsupported header").says("AWS_REQUEST_CHECKSUM_CALCULATION");
    let adapt = |command: E3sync| command.env("AWS_REQUEST_CHECKSUM_CALCULATION", "when_required");
    assert_works(&export, &lake, adapt);
    let summary = adapt(lake.sync(&export)).arg("--json").run().expect(0).summary();
    let habits = summary["destination_habits"].as_array().unwrap();
    assert!(habits.len() == 1 && habits[0].as_str().unwrap().contains("verifies what it stores by MD5"), "{summary}");
    // What arrives changed is refused there too.
    let lake = locked();
    let distorted = lake
        .bucket()
        .inject(BucketFault::new(BucketOperation::Put, BucketAction::status(400, "BadDigest")).on("part-").times(1));
    adapt(lake.sync(&export)).run().expect(0);
    assert_eq!(distorted.fired(), 1);
    lake.assert_is(&export);
}

#[test]
fn a_server_that_refuses_conditions_is_used_without_and_each_run_says_so() {
    let (export, lake) = (export(), lake_with(Quirk::RefusesConditions));
    for _ in 0..2 {
        let told = lake.sync(&export).run().expect(0);
        told.says("this server takes no notice of conditional writes");
    }
    lake.assert_is(&export);
    let doctor = lake.command(&export, "doctor").run().expect(0);
    assert!(doctor.stdout.contains("conditional writes"), "{}", doctor.stdout);
}

#[test]
fn an_access_control_list_and_the_payer_are_sent_with_every_request_that_needs_them() {
    for (quirk, option) in [
        (Quirk::OwnerAcl, ["--acl", "bucket-owner-full-control"]),
        (Quirk::RequesterPays, ["--request-payer", "requester"]),
    ] {
        let (export, lake) = (export(), lake_with(quirk));
        lake.sync(&export).run().expect(4).says("AccessDenied");
        let adapt = |command: E3sync| command.args(option);
        assert_works(&export, &lake, adapt);
    }
    let export = Export::of_noise(1, 1);
    let elsewhere = |destination: &str| export.command("sync").args([destination, "--acl", "private"]);
    elsewhere("gs://my-lake").run().expect(2).says("--acl is for buckets at S3");
    elsewhere("./mirror").run().expect(2).says("--acl is for buckets");
    export.command("sync").args(["s3://my-lake", "--acl", "public-read"]).run().expect(2).says("bucket-owner-read");
}

#[test]
fn a_bucket_that_forbids_deletes_is_told_and_does_not_fill_with_what_tried_it() {
    for cloud in [Cloud::S3, Cloud::Gcs] {
        let (export, lake) = (Export::of_noise(1, 1), CustomerLake::new(cloud));
        for operation in [BucketOperation::Delete, BucketOperation::DeleteMany] {
            lake.bucket().inject(BucketFault::new(operation, BucketAction::status(403, "AccessDenied")));
        }
        for _ in 0..3 {
            lake.sync(&export).run().expect(4).says("DELETE").says("AccessDenied");
            let left: Vec<_> = lake.stored().into_keys().collect();
            assert!(left.len() == 1 && left[0].contains("probe-"), "{left:?}");
        }
        // What is left hinders nobody.
        lake.bucket().clear_faults();
        lake.sync(&export).run().expect(0);
        assert!(lake.has_success_marker("type=events/date=2026-11-20"));
    }
}

#[test]
fn what_runs_need_of_a_mirror_and_is_archived_is_told_with_what_to_leave_out_of_the_rule() {
    let (export, lake) = (Export::of_noise(2, 1), CustomerLake::new(Cloud::S3));
    lake.sync(&export).run().expect(0);
    let archived = BucketAction::status(403, "InvalidObjectState");
    lake.bucket().inject(BucketFault::new(BucketOperation::Get, archived).on("/_e3sync/"));
    for verb in ["sync", "status", "verify"] {
        let told = lake.command(&export, verb).args(["--today", "2026-11-21"]).run().expect(1);
        told.says("restore everything below _e3sync/").says("lifecycle rule");
    }
}

#[test]
fn the_server_of_s3_alone_reaches_the_destination_and_nothing_else() {
    let export = Export::of_noise(1, 1);
    let lake = CustomerLake::new(Cloud::S3);
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("config");
    let url = lake.bucket().url();
    std::fs::write(
        &config,
        format!("[default]\nregion = eu-central-1\nservices = lake\n[services lake]\ns3 =\n  endpoint_url = {url}\n"),
    )
    .unwrap();
    let sync =
        || lake.sync(&export).env_remove("E3SYNC_DEST_ENDPOINT_URL").env("AWS_ENDPOINT_URL", "http://127.0.0.1:9");
    sync().env("AWS_ENDPOINT_URL_S3", &url).run().expect(0);
    lake.assert_is(&export);
    let services = sync().env_remove("AWS_ENDPOINT_URL").env("AWS_CONFIG_FILE", config.to_str().unwrap());
    services.arg("--verbose").run().expect(0);
    sync().env("AWS_ENDPOINT_URL_S3", "http://192.0.2.1").run().expect(2).says("AWS_ENDPOINT_URL_S3");
    // All that is configured can be set aside; then the cloud itself is asked, here through a closed door.
    lake.bucket().forget_requests();
    let ignoring = sync().env("AWS_ENDPOINT_URL_S3", &url).env("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true");
    ignoring.env("HTTPS_PROXY", "http://127.0.0.1:9").run().expect(2).says("the proxy does not answer");
    assert_eq!(lake.bucket().requests().total(), 0);
}

#[test]
fn names_of_buckets_are_those_that_the_server_may_have() {
    let export = Export::of_noise(1, 1);
    let plan = |bucket: &str| export.command("plan").args([bucket, "--last", "1d"]);
    let own = |bucket: &str| {
        plan(bucket).args(["--dest-endpoint-url", "http://127.0.0.1:9", "--dest-region", "x", "--retries", "0"])
    };
    plan("s3://My_Lake/p").run().expect(2).says("cannot be a bucket's name");
    assert_ne!(
        own("s3://My_Lake/p").env("AWS_ACCESS_KEY_ID", "a").env("AWS_SECRET_ACCESS_KEY", "b").run().code,
        Some(2)
    );
    let point = "s3://arn:aws:s3:eu-west-1:123456789012:accesspoint/my-point/p";
    plan(point).run().expect(2).says("access point").says("alias");
}
