//! Credentials that may not do everything, or nothing any more.

use e3sync::simulator::{AccessKey, BucketAction, BucketFault, BucketOperation, Cloud, Operation, When};

use super::lake::{DATA, Lake, NAME};

#[test]
fn a_permission_that_is_missing_is_found_before_the_first_byte() {
    for (cloud, denied, permission) in [
        (Cloud::S3, BucketOperation::List, "s3:ListBucket"),
        (Cloud::S3, BucketOperation::Get, "s3:GetObject"),
        (Cloud::S3, BucketOperation::Put, "s3:PutObject"),
        (Cloud::S3, BucketOperation::Delete, "s3:DeleteObject"),
        (Cloud::Gcs, BucketOperation::List, "storage.objects.list"),
        (Cloud::Gcs, BucketOperation::Get, "storage.objects.get"),
        (Cloud::Gcs, BucketOperation::Put, "storage.objects.create"),
        (Cloud::Gcs, BucketOperation::Delete, "storage.objects.delete"),
    ] {
        let lake = Lake::small(cloud);
        lake.inject(BucketFault::new(denied, BucketAction::status(403, "AccessDenied")));
        let finished = lake.sync().run().expect(4).says("403").says("hint: ").says("request");
        assert!(finished.stderr.contains(permission), "{cloud:?} {denied:?}: {}", finished.stderr);
        assert_eq!(lake.export.simulator().requests().of(Operation::Get), 0, "{cloud:?} {denied:?}");
        assert!(lake.data().is_empty());
        lake.bucket().clear_faults();
        lake.run_after_leases(|| lake.sync()).expect(0);
        lake.assert_mirrored("the permission was given");
    }
}

#[test]
fn a_policys_own_words_are_passed_on_and_no_right_is_blamed_for_its_denial() {
    for cloud in Cloud::ALL {
        let lake = Lake::small(cloud);
        let caller = "arn:aws:sts::123456789012:assumed-role/mirror/run";
        let words =
            format!("User: {caller} is not authorized: explicit deny in a service control policy \"p&1\"\u{1b}[2J");
        lake.inject(BucketFault::new(BucketOperation::Put, BucketAction::Denied { message: words }));
        let finished =
            lake.sync().run().expect(4).says(caller).says("explicit deny in a service control policy \"p&1\"");
        assert!(!finished.stderr.contains('\u{1b}'), "{cloud:?}: {}", finished.stderr);
        if cloud == Cloud::S3 {
            assert!(!finished.stderr.contains("need s3:PutObject"), "{}", finished.stderr);
            finished.says("hint: a policy forbids it");
        }
    }
}

#[test]
fn read_only_keys_can_look_and_cannot_mirror() {
    for cloud in Cloud::ALL {
        let lake = Lake::small(cloud);
        lake.publish_and_rewrite();
        let before = lake.bucket().objects();
        for operation in [BucketOperation::Put, BucketOperation::Delete, BucketOperation::CreateUpload] {
            lake.inject(BucketFault::new(operation, BucketAction::status(403, "AccessDenied")));
        }
        lake.sync().run().expect(4);
        assert_eq!(lake.bucket().objects(), before);
        assert_eq!(lake.export.simulator().requests().of(Operation::Get), 0);
        lake.command("status").arg(lake.address()).run().expect(0);
        lake.command("plan").arg(lake.address()).args(["--today", crate::harness::TODAY]).run().expect(0);
    }
}

#[test]
fn what_is_wrong_with_the_credentials_is_told() {
    let lake = Lake::small(Cloud::S3);
    let wrong = "wrong0secret0of0nobody";
    lake.sync()
        .secret_env("AWS_SECRET_ACCESS_KEY", wrong)
        .run()
        .expect(4)
        .says("SignatureDoesNotMatch")
        .says("secret key");
    lake.sync()
        .env("AWS_ACCESS_KEY_ID", "AKIAOFANOTHER0000000")
        .run()
        .expect(4)
        .says("InvalidAccessKeyId")
        .says("hint: ");
    lake.sync().secret_env("AWS_SESSION_TOKEN", "a0token0of0another0time").run().expect(4).says("InvalidToken");
    lake.sync().args(["--dest-region", "us-west-2"]).run().expect(2).says("--dest-region").says("eu-central-1");
    lake.command("sync").arg("s3://my-laek/lake").args(["--last", "1d"]).run().expect(2).says("NoSuchBucket");

    let google = Lake::small(Cloud::Gcs);
    google.sync().secret_env("GOOGLE_OAUTH_ACCESS_TOKEN", "ya29.of-nobody").run().expect(4).says("401").says("hint: ");
    google.command("sync").arg("gs://my-laek/lake").args(["--last", "1d"]).run().expect(2).says("NoSuchBucket");
    for lake in [lake, google] {
        assert_eq!(lake.export.simulator().requests().of(Operation::Get), 0);
        assert!(lake.bucket().objects().is_empty(), "{NAME} stays as it was");
    }
}

#[test]
fn credentials_that_end_in_the_middle_stop_the_run_and_lose_nothing() {
    for cloud in Cloud::ALL {
        let lake = Lake::small(cloud);
        let gate = lake.bucket().freeze(When::AfterEffect, BucketOperation::Put, DATA);
        let running = lake.sync().args(["--concurrency", "1"]).start();
        lake.wait_at(&gate);
        lake.bucket().expire_credentials();
        gate.open();
        running.wait().expect(4).says("hint: ");
        assert!(lake.readable_day().is_none());
        let settings = lake.bucket().settings().clone();
        lake.bucket().renew_credentials(settings.access_key, None, &settings.bearer);
        lake.run_after_leases(|| lake.sync()).expect(0);
        lake.assert_mirrored("renewed");
    }
}

#[test]
fn a_profile_whose_program_gives_new_keys_goes_on_in_the_middle() {
    let lake = Lake::small(Cloud::S3);
    let folder = tempfile::tempdir().unwrap();
    let (config, keys) = (folder.path().join("config"), folder.path().join("keys.json"));
    let process = format!("[profile lake]\ncredential_process = cat {}\n", keys.display());
    std::fs::write(&config, process).unwrap();
    let give = |key: &AccessKey| {
        let document = serde_json::json!({
            "Version": 1, "AccessKeyId": key.access_key_id, "SecretAccessKey": key.secret_access_key,
        });
        std::fs::write(&keys, document.to_string()).unwrap();
    };
    let settings = lake.bucket().settings().clone();
    give(&settings.access_key);
    let gate = lake.bucket().freeze(When::AfterEffect, BucketOperation::Put, DATA);
    let sync = lake.all_days(lake.without_credentials("sync"));
    let next = AccessKey {
        access_key_id: "AKIACUSTOMERBUCKET01".to_owned(),
        secret_access_key: "the0next0secret0of0the0customer".to_owned(),
    };
    let running = sync
        .env("AWS_CONFIG_FILE", config.to_str().unwrap())
        // Keys in the environment must not win over the profile that is named.
        .env("AWS_ACCESS_KEY_ID", "AKIAOFANOTHER0000000")
        .secret_env("AWS_SECRET_ACCESS_KEY", "another0secret")
        .secret(&next.secret_access_key)
        .args(["--dest-profile", "lake", "--concurrency", "1"])
        .start();
    lake.wait_at(&gate);
    give(&next);
    lake.bucket().renew_credentials(next, None, &settings.bearer);
    gate.open();
    running.wait().expect(0);
    lake.assert_mirrored("new keys");
}
