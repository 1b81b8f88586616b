//! The verb `doctor`: each thing that can be wrong is found, explained, and leaves nothing behind.

use std::path::Path;
use std::process::Command;

use e3sync::simulator::{BucketAction, BucketFault, BucketOperation, Cloud, CustomerSettings, Operation};

use crate::harness::{CustomerLake, E3sync, Export, Finished};

/// The findings of one check, as `state: message`.
fn findings(finished: &Finished, check: &str) -> Vec<String> {
    let documents = finished.json();
    let matching = documents.iter().filter(|document| document["check"] == check);
    let text = |document: &serde_json::Value, field: &str| document[field].as_str().unwrap().to_owned();
    matching.map(|document| format!("{}: {}", text(document, "state"), text(document, "message"))).collect()
}

fn assert_found(finished: &Finished, check: &str, state: &str, words: &str) {
    let found = findings(finished, check);
    let is_there = found.iter().any(|finding| finding.starts_with(state) && finding.contains(words));
    assert!(is_there, "no {state} {check} with `{words}`: {found:?}");
}

fn doctor(export: &Export, destination: &Path) -> crate::harness::E3sync {
    export.command("doctor").arg(destination).arg("--json")
}

fn file_count(folder: &Path) -> usize {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| if path.is_dir() { file_count(&path) } else { 1 }).sum()
}

#[test]
fn a_sound_setup_is_fine_and_nothing_is_left_behind() {
    let export = Export::of_noise(3, 2);
    let folder = tempfile::tempdir().unwrap();
    export.sync(folder.path()).run().expect(0);
    let before = file_count(folder.path());
    let finished = doctor(&export, folder.path()).run().expect(0);
    assert!(finished.json().iter().all(|document| document["state"] != "broken"));
    assert_found(&finished, "token", "fine", "OPTIMIZELY_API_TOKEN");
    assert_found(&finished, "exchange", "fine", "live another 60 min");
    assert_found(
        &finished,
        "listing",
        "fine",
        "type=events has 3 days since 2026-11-18; the newest complete one is 2026-11-20",
    );
    assert_found(&finished, "reading", "fine", "type=decisions/date=2026-11-20");
    assert_found(&finished, "clock", "fine", "agrees");
    assert_found(&finished, "mirror", "fine", "published days: 6, the newest of 2026-11-20");
    assert_found(&finished, "leftovers", "fine", "nothing is staged");
    assert_found(&finished, "verification", "fine", "there was none yet");
    assert_eq!(file_count(folder.path()), before);
}

#[test]
fn what_verifications_found_is_told() {
    let export = Export::of_noise(2, 2);
    let folder = tempfile::tempdir().unwrap();
    export.sync(folder.path()).run().expect(0);
    let marker = folder.path().join("type=events/date=2026-11-19/_SUCCESS");
    std::fs::remove_file(&marker).unwrap();
    E3sync::new("verify").arg(folder.path()).run().expect(5);
    let finished = doctor(&export, folder.path()).run().expect(0);
    let found = "days that differ from their manifests: 1, the first of them type=events/date=2026-11-19";
    assert_found(&finished, "verification", "notable", found);
    std::fs::write(&marker, "").unwrap();
    E3sync::new("verify").arg(folder.path()).run().expect(0);
    assert_found(&doctor(&export, folder.path()).run().expect(0), "verification", "fine", "looked at 4");
    std::fs::remove_file(&marker).unwrap();
    E3sync::new("verify").arg(folder.path()).run().expect(5);
    let manifest = folder.path().join("_e3sync/manifests/type=events/date=2026-11-19.jsonl");
    std::fs::remove_file(&manifest).unwrap();
    std::fs::create_dir(&manifest).unwrap();
    assert_found(&doctor(&export, folder.path()).run().expect(0), "verification", "notable", found);
    let noted = folder.path().join("_e3sync/verification.json");
    std::fs::write(&noted, "cut").unwrap();
    assert_found(&doctor(&export, folder.path()).run().expect(0), "verification", "notable", "unreadable");
    std::fs::remove_file(&noted).unwrap();
    std::fs::create_dir(&noted).unwrap();
    assert_found(&doctor(&export, folder.path()).run().expect(0), "verification", "notable", "verification.json");
}

#[test]
fn a_folder_that_is_not_there_is_not_made() {
    let export = Export::of_noise(1, 1);
    let folder = tempfile::tempdir().unwrap();
    let finished = doctor(&export, &folder.path().join("a/b")).run().expect(0);
    assert_found(&finished, "destination", "fine", "is not there yet and can be made");
    assert_eq!(file_count(folder.path()), 0);
    assert!(!folder.path().join("a").exists());
}

#[test]
fn a_file_where_a_folder_must_be_is_told() {
    let export = Export::of_noise(1, 1);
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("plain"), "text").unwrap();
    for path in ["plain", "plain/below", "plain/far/below"] {
        let finished = doctor(&export, &folder.path().join(path)).run().expect(2);
        assert_found(&finished, "destination", "broken", "plain is a file, not a directory");
        assert_eq!(findings(&finished, "mirror").len() + findings(&finished, "verification").len(), 0);
    }
}

#[test]
fn another_accounts_mirror_is_told_before_a_run_refuses_it() {
    let export = Export::of_noise(1, 1);
    let folder = tempfile::tempdir().unwrap();
    export.sync(folder.path()).run().expect(0);
    let identity = folder.path().join("_e3sync/destination.json");
    let text = std::fs::read_to_string(&identity).unwrap();
    std::fs::write(&identity, text.replace("21468570738", "999")).unwrap();
    let finished = doctor(&export, folder.path()).run().expect(2);
    assert_found(&finished, "mirror", "broken", "the destination holds account 999, not 21468570738");
}

#[test]
fn another_accounts_mirror_in_a_bucket_is_told() {
    let (export, lake) = (Export::of_noise(1, 1), CustomerLake::new(Cloud::S3));
    lake.sync(&export).run().expect(0);
    assert_found(&lake.command(&export, "doctor").arg("--json").run().expect(0), "mirror", "fine", "21468570738");
    let objects = lake.bucket().objects();
    let (key, identity) = objects.iter().find(|(key, _)| key.ends_with("_e3sync/destination.json")).unwrap();
    let text = String::from_utf8(identity.bytes.to_vec()).unwrap();
    lake.bucket().put_object(key, text.replace("21468570738", "999"));
    let finished = lake.command(&export, "doctor").arg("--json").run().expect(2);
    assert_found(&finished, "mirror", "broken", "the destination holds account 999, not 21468570738");
}

#[test]
fn what_a_bucket_at_google_keeps_of_what_runs_replace_is_told() {
    let export = Export::of_noise(1, 1);
    let doctor = |change: fn(&mut CustomerSettings), code: i32| {
        let lake = CustomerLake::with(Cloud::Gcs, "optimizely", change);
        let finished = lake.command(&export, "doctor").arg("--json").run().expect(code);
        (lake, finished)
    };
    let (_, plain) = doctor(|_| {}, 0);
    assert_found(&plain, "retention", "fine", "no policy keeps what runs replace and delete");
    let (_, soft) = doctor(|settings| settings.soft_delete_seconds = Some(7 * 86_400), 0);
    assert_found(&soft, "retention", "fine", "can be restored, and is paid for, for 7 days (soft delete)");
    let (_, versions) = doctor(|settings| settings.is_versioned = true, 0);
    assert_found(&versions, "retention", "notable", "stays as old versions");
    let keeps_both = |settings: &mut CustomerSettings| {
        (settings.is_versioned, settings.retention_seconds) = (true, Some(86_400));
    };
    let (_, both) = doctor(keeps_both, 0);
    assert_found(&both, "retention", "notable", "is kept for 1 day by a retention policy");

    let (lake, retained) = doctor(|settings| settings.retention_seconds = Some(30 * 86_400), 1);
    assert_found(&retained, "retention", "broken", "keeps each object as it is 30 days after its writing");
    assert!(lake.stored().is_empty(), "what tried the bucket out could not be deleted again");
    let run = lake.sync(&export).run().expect(1);
    run.says("403 RetentionPolicyNotMet").says("take a bucket without retention policy");

    for cloud in [Cloud::S3, Cloud::Gcs] {
        let lake = CustomerLake::new(cloud);
        lake.bucket().inject(BucketFault::new(BucketOperation::Policies, BucketAction::status(403, "AccessDenied")));
        let hidden = lake.command(&export, "doctor").arg("--json").run().expect(0);
        assert_found(&hidden, "retention", "notable", "cannot be seen");
    }
}

#[test]
fn versions_and_locks_of_a_bucket_at_s3_are_told() {
    let export = Export::of_noise(1, 1);
    let doctor = |change: fn(&mut CustomerSettings)| {
        let lake = CustomerLake::with(Cloud::S3, "optimizely", change);
        lake.command(&export, "doctor").arg("--json").run().expect(0)
    };
    assert_found(&doctor(|_| {}), "retention", "fine", "no policy keeps what runs replace and delete");
    let versions = doctor(|settings| settings.is_versioned = true);
    assert_found(&versions, "retention", "notable", "stays as old versions");
    let locked = |settings: &mut CustomerSettings| {
        (settings.is_object_locked, settings.retention_seconds) = (true, Some(30 * 86_400));
    };
    assert_found(&doctor(locked), "retention", "notable", "kept for 30 days by a retention policy, which is locked");
    // A server that does not know the question.
    let lake = CustomerLake::new(Cloud::S3);
    lake.bucket().inject(BucketFault::new(BucketOperation::Policies, BucketAction::status(501, "NotImplemented")));
    let unknown = lake.command(&export, "doctor").arg("--json").run().expect(0);
    assert!(findings(&unknown, "retention").is_empty());
}

#[test]
fn how_a_bucket_encrypts_new_objects_is_told() {
    const KEY: &str = "projects/p/locations/eu/keyRings/r/cryptoKeys/k";
    let export = Export::of_noise(1, 1);
    let doctor = |cloud: Cloud, change: fn(&mut CustomerSettings)| {
        let lake = CustomerLake::with(cloud, "optimizely", change);
        lake.command(&export, "doctor").arg("--json").run().expect(0)
    };
    let with_key = |settings: &mut CustomerSettings| settings.encryption_key = Some(KEY.to_owned());
    assert_found(&doctor(Cloud::S3, |_| {}), "encryption", "fine", "the bucket names no encryption of its own");
    let encrypted = format!("by aws:kms with the key {KEY}");
    assert_found(&doctor(Cloud::S3, with_key), "encryption", "fine", &encrypted);
    assert_found(&doctor(Cloud::Gcs, |_| {}), "encryption", "fine", "by Google's own keys");
    assert_found(&doctor(Cloud::Gcs, with_key), "encryption", "fine", &format!("by the key {KEY}"));

    let lake = CustomerLake::new(Cloud::S3);
    let denied = BucketFault::new(BucketOperation::Policies, BucketAction::status(403, "AccessDenied"));
    lake.bucket().inject(denied.after(2));
    let hidden = lake.command(&export, "doctor").arg("--json").run().expect(0);
    assert_found(&hidden, "encryption", "notable", "cannot be seen");
}

#[test]
fn a_server_that_is_away_is_asked_again_once_and_sets_no_clock() {
    let export = Export::of_noise(1, 1);
    export.inject("exchange:status=503 times=always");
    let finished = export.command("doctor").args(["--json", "--source", "auto"]).run().expect(75);
    assert_found(&finished, "exchange", "broken", "is not available");
    assert_found(&finished, "clock", "notable", "not compared");
    let asked = export.simulator().requests().of(Operation::Exchange);
    assert!((2..=8).contains(&asked), "asked {asked} times");
}

/// Runs `doctor` on a mirror after `mount`, which knows it as `$target`; `None` where this machine
/// lets nobody mount.
fn doctor_on(export: &Export, folder: &Path, mount: &str) -> Option<Finished> {
    let may_mount = Command::new("unshare").args(["-m", "true"]).status().is_ok_and(|status| status.success());
    if !may_mount {
        // No package helps where a container forbids it, so that these never are required.
        eprintln!("skipped: this user may not mount");
        return None;
    }
    let script = format!("set -e; target='{}'; {mount}; exec \"$0\" \"$@\"", folder.display());
    Some(doctor(export, folder).under(&["unshare", "-m", "sh", "-c", &script]).run())
}

#[test]
fn a_mirror_that_cannot_be_written_is_told_with_all_else_that_is_found() {
    let export = Export::of_noise(1, 1);
    let folder = tempfile::tempdir().unwrap();
    export.sync(folder.path()).run().expect(0);
    let read_only = |path: &str| format!("mount --bind {path} {path}; mount -o remount,bind,ro {path}");
    for path in ["\"$target\"", "\"$target/_e3sync\""] {
        let Some(finished) = doctor_on(&export, folder.path(), &read_only(path)) else { return };
        let finished = finished.expect(1);
        assert_found(&finished, "destination", "broken", "Read-only file system");
        assert_eq!(findings(&finished, "free space").len(), 1);
        assert_found(&finished, "mirror", "fine", "published days: 2");
        assert_found(&finished, "leftovers", "fine", "nothing is staged");
        assert_found(&finished, "verification", "fine", "there was none yet");
    }
}

#[test]
fn a_refused_token_is_told_with_what_to_do_and_the_rest_is_still_checked() {
    let export = Export::of_noise(1, 1);
    let folder = tempfile::tempdir().unwrap();
    let finished = doctor(&export, folder.path()).env("OPTIMIZELY_API_TOKEN", "2:another").run().expect(4);
    assert_found(&finished, "exchange", "broken", "refused the token");
    assert_found(&finished, "destination", "fine", "can be written");
    let missing = doctor(&export, folder.path()).env_remove("OPTIMIZELY_API_TOKEN").run().expect(2);
    assert_found(&missing, "token", "broken", "no token is given");
}

#[test]
fn each_step_towards_the_data_is_checked_by_itself() {
    let export = Export::of_noise(2, 2);
    let folder = tempfile::tempdir().unwrap();
    export.inject("get:status=403 code=AccessDenied times=always");
    let finished = doctor(&export, folder.path()).run().expect(4);
    assert_found(&finished, "listing", "fine", "type=events");
    assert_found(&finished, "reading", "broken", "403");
    export.simulator().clear_faults();
    export.inject("list:status=403 code=AccessDenied times=always");
    assert_found(&doctor(&export, folder.path()).run().expect(4), "listing", "broken", "403");
}

#[test]
fn days_without_markers_are_worth_a_note() {
    let export = Export::of_noise(2, 1);
    for date in export.simulator().settings().dates().collect::<Vec<_>>() {
        export.simulator().change().set_success("events", date, false);
    }
    let folder = tempfile::tempdir().unwrap();
    let finished = doctor(&export, folder.path()).run().expect(0);
    assert_found(
        &finished,
        "listing",
        "notable",
        "type=events has 2 days since 2026-11-19; none of the newest has _SUCCESS",
    );
}

#[test]
fn what_a_killed_run_left_is_named() {
    let export = Export::of_noise(1, 3);
    let folder = tempfile::tempdir().unwrap();
    export.inject("get:status=500 times=always key=type=events");
    export.sync(folder.path()).args(["--retries", "0"]).run().expect(3);
    export.simulator().clear_faults();
    let finished = doctor(&export, folder.path()).run().expect(0);
    assert_found(&finished, "leftovers", "notable", "days staged and not published: 1, the first of them type=events");
}

#[test]
fn a_destination_that_cannot_be_used_is_told() {
    let export = Export::of_noise(1, 1);
    let finished = doctor(&export, Path::new("/proc/nowhere")).run().expect(1);
    assert_found(&finished, "destination", "broken", "cannot write, read and delete a file in /proc");
    let typed = export.command("doctor").args(["s3:/my-lake", "--json"]).run().expect(2);
    assert_found(&typed, "destination", "broken", "neither a bucket nor a directory");
    let none = export.command("doctor").arg("--json").run().expect(0);
    assert_found(&none, "destination", "notable", "none is given");
}
