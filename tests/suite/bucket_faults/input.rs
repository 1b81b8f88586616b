//! What people type, and buckets that are not what they should be.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use e3sync::simulator::{Cloud, Operation};

use super::lake::{DATA, Lake, NAME, export_of};

#[test]
fn typing_errors_of_an_address_are_told_before_anything_is_asked() {
    let lake = Lake::small(Cloud::S3);
    for (typed, text) in [
        ("s3:/my-lake/lake", "write s3://my-lake/lake"),
        ("s3//my-lake/lake", "write s3://my-lake/lake"),
        ("s3:my-lake/lake", "write s3://my-lake/lake"),
        ("S3://my-lake/lake", "write s3://my-lake/lake"),
        ("s3a://my-lake/lake", "write s3://my-lake/lake"),
        ("gcs://my-lake/lake", "write gs://my-lake/lake"),
        ("gs//my-lake", "write gs://my-lake"),
        ("s3://", "names no bucket"),
        ("s3:///lake", "names no bucket"),
        ("s3://my lake/lake", "lower-case"),
        ("s3://my-lake//lake", "empty part"),
        ("s3://my-lake/../lake", "empty part"),
        ("https://my-lake.s3.amazonaws.com/lake", "s3://BUCKET/PREFIX"),
        ("az://my-lake/lake", "not supported"),
        ("s3://optimizely-events-data/v1", "the vendor's bucket"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        for verb in ["sync", "plan", "status"] {
            let mut command = lake.command(verb).arg(typed).current_dir(folder.path());
            if verb != "status" {
                command = command.args(["--last", "1d"]);
            }
            let finished = command.run().expect(2).says("hint: ");
            assert!(finished.stderr.contains(text), "{typed}: {}", finished.stderr);
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "{typed} made something");
    }
    assert_eq!(lake.bucket().requests().total(), 0);
    assert_eq!(lake.export.simulator().requests().total(), 0);
}

#[test]
fn options_that_do_not_fit_the_destination_are_told() {
    let lake = Lake::small(Cloud::S3);
    let folder = tempfile::tempdir().unwrap();
    let (directory, bucket) = (folder.path().join("mirror"), lake.address());
    let (directory, bucket) = (directory.to_str().unwrap(), bucket.as_str());
    for (arguments, text) in [
        (vec![directory, "--sse", "AES256"], "--sse is for buckets"),
        (vec![directory, "--sse-kms-key-id", "k"], "--sse-kms-key-id is for buckets"),
        (vec![directory, "--storage-class", "GLACIER_IR"], "--storage-class is for buckets"),
        (vec![directory, "--tag", "a=b"], "--tag is for buckets"),
        (vec![bucket, "--sse-kms-key-id", "k"], "add --sse aws:kms"),
        (vec![bucket, "--sse", "AES256", "--sse-kms-key-id", "k"], "add --sse aws:kms"),
        (vec![bucket, "--sse", "rot13"], "possible values"),
        (vec![bucket, "--tag", "no-value"], "KEY=VALUE"),
        (vec![bucket, "--part-size", "1MiB"], "at least 5MiB"),
        (vec![bucket, "--dest-lease", "1"], "2..=3600"),
        (
            vec![bucket, "--dest-endpoint-url", "http://lake.example.com"],
            "neither HTTPS nor plain HTTP on this machine",
        ),
        (vec!["gs://my-lake/lake", "--sse", "aws:kms"], "--sse is for buckets at S3"),
        (vec!["gs://my-lake/lake", "--tag", "a=b"], "--tag is for buckets at S3"),
        (vec!["gs://my-lake/lake", "--dest-profile", "p"], "--dest-profile is for buckets at S3"),
    ] {
        let finished = lake
            .command("sync")
            .env_remove("E3SYNC_DEST_REGION")
            .args(&arguments)
            .args(["--last", "1d"])
            .run()
            .expect(2);
        assert!(finished.stderr.contains(text), "{arguments:?}: {}", finished.stderr);
    }
    assert!(!std::path::Path::new(directory).exists());
    assert_eq!(lake.bucket().requests().total(), 0);
    assert_eq!(lake.export.simulator().requests().total(), 0);
}

#[test]
fn the_vendors_credentials_in_the_shell_are_never_tried_on_the_users_bucket() {
    let lake = Lake::small(Cloud::S3);
    let printed = lake.export.command("auth").args(["--format", "dotenv"]).run().expect(0).stdout;
    let with_them = |mut command: crate::harness::E3sync| {
        for line in printed.lines().filter(|line| !line.starts_with('#')) {
            if let Some((name, value)) = line.trim_start_matches("export ").split_once('=') {
                command = command.env(name, value.trim_matches(['\'', '"']));
            }
        }
        command
    };
    let refused = with_them(lake.sync()).run().expect(2);
    refused.says("is the vendor's").says("unset AWS_ACCESS_KEY_ID");
    assert_eq!(lake.bucket().requests().total(), 0);

    let folder = tempfile::tempdir().unwrap();
    let credentials = credentials_file(&lake, folder.path());
    with_them(lake.sync())
        .env("AWS_SHARED_CREDENTIALS_FILE", &credentials)
        .args(["--dest-profile", "lake"])
        .run()
        .expect(0);
    lake.assert_mirrored("the profile was taken");
}

/// A file of the user's with the keys of the bucket in the profile `lake`.
fn credentials_file(lake: &Lake, folder: &std::path::Path) -> String {
    let key = &lake.bucket().settings().access_key;
    let text = format!(
        "[lake]\naws_access_key_id = {}\naws_secret_access_key = {}\n",
        key.access_key_id, key.secret_access_key
    );
    let path = folder.join("credentials");
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn a_named_profile_wins_over_the_environment_and_an_unknown_one_is_told() {
    let lake = Lake::small(Cloud::S3);
    let folder = tempfile::tempdir().unwrap();
    let credentials = credentials_file(&lake, folder.path());
    let sync = || {
        lake.sync()
            .env("AWS_SHARED_CREDENTIALS_FILE", &credentials)
            .env("AWS_ACCESS_KEY_ID", "AKIAOFANOTHER0000000")
            .secret_env("AWS_SECRET_ACCESS_KEY", "another0secret")
    };
    sync().args(["--dest-profile", "laek"]).run().expect(2).says("`laek`").says("hint: ");
    assert_eq!(lake.bucket().requests().total(), 0);
    sync().args(["--dest-profile", "lake"]).run().expect(0);
    lake.assert_mirrored("the profile won");
}

#[test]
fn no_credentials_at_all_are_told_with_the_ways_to_get_some() {
    let lake = Lake::small(Cloud::S3);
    let bare = lake.all_days(lake.without_credentials("sync"));
    bare.run().expect(2).says("no AWS credentials").says("--dest-profile").says("AWS_ACCESS_KEY_ID");
    assert_eq!(lake.bucket().requests().total(), 0);
    assert_eq!(lake.export.simulator().requests().of(Operation::Get), 0);
}

/// A laptop asks the address where a machine at AWS would find its role, and nobody answers.
#[test]
fn a_machine_without_a_role_does_not_wait_long_for_one() {
    let lake = Lake::small(Cloud::S3);
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", nobody.local_addr().unwrap());
    let began = Instant::now();
    lake.all_days(lake.without_credentials("sync"))
        .env_remove("AWS_EC2_METADATA_DISABLED")
        .env("AWS_EC2_METADATA_SERVICE_ENDPOINT", &address)
        .run()
        .expect(4)
        .says("no AWS credentials were found")
        .says("metadata server")
        .says("--dest-profile");
    assert!(began.elapsed() < Duration::from_secs(30), "a person waits {:?}", began.elapsed());
}

#[test]
fn buckets_with_versions_or_locks_are_mirrored_into() {
    for cloud in Cloud::ALL {
        for is_locked in [false, true] {
            let lake = Lake::with(cloud, export_of(3, 1_000..=4_000), |settings| {
                settings.is_versioned = true;
                settings.is_object_locked = is_locked;
            });
            lake.publish_and_rewrite();
            lake.sync().run().expect(0);
            lake.assert_mirrored(&format!("{cloud:?}, locked: {is_locked}"));
        }
    }
}

#[test]
fn another_accounts_mirror_is_refused() {
    for cloud in Cloud::ALL {
        let lake = Lake::small(cloud);
        lake.sync().run().expect(0);
        let file = "lake/_e3sync/destination.json";
        let text = String::from_utf8(lake.bucket().object(file).unwrap().bytes.to_vec()).unwrap();
        lake.bucket().put_object(file, text.replace("21468570738", "99999999999"));
        let before = lake.bucket().objects();
        lake.rewrite();
        lake.export.simulator().forget_requests();
        lake.sync().run().expect(2).says("99999999999");
        lake.bucket().put_object(file, "not ours");
        lake.sync().run().expect(2).says("destination.json is not e3sync's").says("another prefix");
        lake.bucket().put_object(file, text);
        assert_eq!(lake.bucket().objects().len(), before.len(), "nothing was added");
        assert_eq!(lake.export.simulator().requests().of(Operation::Get), 0);
        lake.sync().run().expect(0);
        lake.assert_mirrored("put right");
    }
}

#[test]
fn objects_of_somebody_else_in_a_day_are_neither_read_nor_overwritten() {
    for cloud in Cloud::ALL {
        for name in ["theirs.parquet", "_SUCCESS"] {
            let lake = Lake::small(cloud);
            let key = format!("{DATA}{name}");
            lake.bucket().put_object(&key, "somebody else's");
            let finished = lake.sync().run().expect(3).says(name).says("hint: ");
            assert!(finished.stderr.contains(NAME), "{}", finished.stderr);
            assert_eq!(lake.bucket().object(&key).unwrap().bytes, "somebody else's");
            assert_eq!(lake.export.simulator().requests().of(Operation::Get), 0);
            lake.bucket().remove_object(&key);
            lake.run_after_leases(|| lake.sync()).expect(0);
            lake.assert_mirrored("moved away");
        }
    }
}

#[test]
fn a_bucket_without_a_mirror_has_an_empty_calendar() {
    let lake = Lake::small(Cloud::S3);
    lake.command("status").arg(lake.address()).run().expect(0);
    assert!(lake.bucket().objects().is_empty(), "looking writes nothing");
}
