//! Google's own Python client over our simulator, with the token that `auth` prints: it lists,
//! verifies, asks for parts and versions, and ends or renews with the token as it does at Google's.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};

use e3sync::simulator::{Cloud, ManifestEntry, Operation};
use serde_json::{Value, json};

use crate::harness::{Export, Python, output_of, python};

/// One day of both types with all the odd names, as Google Cloud Storage has it.
fn export() -> Export {
    Export::with(|settings| {
        settings.days = 1;
        settings.objects_per_day = 30;
        settings.clouds = vec![Cloud::S3, Cloud::Gcs];
        settings.success_on = vec![Cloud::S3, Cloud::Gcs];
    })
}

fn objects(export: &Export) -> Vec<ManifestEntry> {
    let (simulator, date) = (export.simulator(), export.dates()[0]);
    let of = |type_name: &String| simulator.manifest(Cloud::Gcs, type_name, date);
    simulator.settings().types.iter().flat_map(of).collect()
}

fn add_known(export: &Export) -> String {
    let date = export.dates()[0];
    let mut account = export.simulator().change();
    account.add_object("events", date, "event=known/part-0", (0..=255).collect::<Vec<u8>>());
    account.key("events", date, "event=known/part-0")
}

/// What `auth` prints; the command itself must not print the token that it was given.
fn answer(export: &Export) -> String {
    export.command("auth").args(["--source", "gcs", "--format", "json"]).run().expect(0).stdout
}

/// A call of the script that has nothing but an answer of `auth`.
fn client(python: &Python, export: &Export, answer: &str, arguments: &[&str]) -> Command {
    let mut command = python.script("gcs_client.py");
    command.args(arguments).env("ANSWER", answer);
    command.env("ENDPOINT", export.simulator().url()).env("PREFIX", export.simulator().account().prefix());
    command
}

#[track_caller]
fn said(mut client: Command) -> Value {
    serde_json::from_str(&output_of(&mut client)).unwrap()
}

#[track_caller]
fn assert_reads_all(python: &Python, export: &Export) {
    let read = said(client(python, export, &answer(export), &["read"]));
    let objects = objects(export);
    assert_eq!(read["pages"], objects.len().div_ceil(7));
    let expected: BTreeMap<_, _> = objects
        .into_iter()
        .map(|entry| (entry.key, json!({ "size": entry.size_bytes, "sha256": entry.sha256_hex })))
        .collect();
    assert_eq!(read["objects"], json!(expected));
}

#[test]
fn every_object_is_listed_by_pages_and_verified() {
    let Some(python) = python() else { return };
    let export = export();
    assert_reads_all(python, &export);
    let folders = said(client(python, &export, &answer(&export), &["folders"]));
    let prefix = export.simulator().account().prefix();
    let expected: Vec<_> = ["decisions", "events"].map(|type_name| format!("{prefix}type={type_name}/")).into();
    assert_eq!(folders, json!({ "objects": [], "folders": expected }));
}

#[test]
fn objects_without_md5_are_verified_by_crc32c() {
    let Some(python) = python() else { return };
    let export = Export::with(|settings| {
        settings.days = 1;
        settings.clouds = vec![Cloud::Gcs];
        settings.gcs_composite = true;
    });
    assert_reads_all(python, &export);
}

#[test]
fn parts_and_generations_are_told_apart() {
    let Some(python) = python() else { return };
    let export = export();
    let key = add_known(&export);
    let versions = said(client(python, &export, &answer(&export), &["versions", &key]));
    assert_eq!(versions["part"], true);
    assert_eq!(versions["matched"], "done");
    assert_eq!(versions["other"][0], 404);
    assert_eq!(versions["unmatched"][0], 412);
}

#[test]
fn a_flipped_bit_is_found_by_either_checksum() {
    let Some(python) = python() else { return };
    let export = export();
    let (key, answer) = (add_known(&export), answer(&export));
    let download = || said(client(python, &export, &answer, &["download", &key]));
    assert_eq!(download(), json!(["done", "done"]));
    let flips = export.inject("get:flip@100 cloud=gcs times=always");
    assert_eq!(download(), json!(["DataCorruption", "DataCorruption"]));
    assert!(flips.fired() >= 2);
}

#[test]
fn an_expired_token_is_refused_in_words_that_the_client_knows() {
    let Some(python) = python() else { return };
    let export = export();
    let answer = answer(&export);
    let listing = || said(client(python, &export, &answer, &["listing"]));
    assert_eq!(listing(), "done");
    export.simulator().expire_credentials();
    let [code, message] = [0, 1].map(|index| listing()[index].clone());
    assert_eq!(code, 401);
    assert!(message.as_str().unwrap().contains("Invalid Credentials"), "{message}");
    let key = add_known(&export);
    let downloads = said(client(python, &export, &answer, &["download", &key]));
    assert_eq!((&downloads[0][0], &downloads[1][0]), (&json!(401), &json!(401)));
}

#[test]
fn refusals_are_told_in_words_that_the_client_knows() {
    let Some(python) = python() else { return };
    let export = export();
    let (key, answer) = (add_known(&export), answer(&export));
    let listing = || said(client(python, &export, &answer, &["listing"]));
    let download = || said(client(python, &export, &answer, &["download", &key]))[0].clone();
    for (fault, status, words) in [
        ("any:requester-pays", 400, "requester pays bucket"),
        ("any:kms-disabled", 400, "Cloud KMS key"),
        ("any:kms-denied", 403, "Cloud KMS key"),
        ("list:status=403 depth=types", 403, "Forbidden"),
    ] {
        export.inject(&format!("{fault} cloud=gcs times=always"));
        for said in std::iter::once(listing()).chain((!fault.starts_with("list")).then(download)) {
            assert_eq!(said[0], status, "{fault}: {said}");
            assert!(said[1].as_str().unwrap().contains(words), "{fault}: {said}");
        }
        export.simulator().clear_faults();
    }
    export.inject("list:status=403 depth=days cloud=gcs times=always");
    assert_eq!(listing(), "done", "the whole account is another depth");
}

#[test]
fn one_client_renews_through_us_between_pages() {
    let Some(python) = python() else { return };
    let export = export();
    let mut command = client(python, &export, &answer(&export), &["renew"]);
    command.env("E3SYNC", env!("CARGO_BIN_EXE_e3sync")).env("E3SYNC_API_URL", export.simulator().url());
    command.env("OPTIMIZELY_API_TOKEN", export.simulator().token());
    let mut client = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut last = String::new();
    for line in BufReader::new(client.stdout.take().unwrap()).lines() {
        last = line.unwrap();
        if last.is_empty() {
            export.simulator().expire_credentials();
            writeln!(client.stdin.as_mut().unwrap()).unwrap();
        }
    }
    assert!(client.wait().unwrap().success());
    let listed: Value = serde_json::from_str(&last).unwrap();
    let keys: Vec<_> = objects(&export).into_iter().map(|entry| entry.key).collect();
    assert_eq!(listed["keys"], json!(keys));
    let renewals = keys.len().div_ceil(20) as u64 - 1;
    assert_eq!(listed["renewals"], renewals, "once for each page but the first");
    assert_eq!(export.simulator().requests().answered_on(Cloud::Gcs, Operation::List, 401), renewals);
}
