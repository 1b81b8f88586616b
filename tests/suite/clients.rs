//! `auth` for the tools that people use beside us: aws-cli and boto3 renew through it, shells and
//! JSON parsers read it.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use e3sync::simulator::{Cloud, Operation};
use jiff::Timestamp;
use serde_json::Value;

use crate::harness::{E3sync, Export, Python, empty_folder, output_of, python};

/// Two types, one day, 30 objects each; `_SUCCESS` is none that `ls` lists.
const OBJECTS: usize = 60;

fn export_with_lifetime(lifetime: Duration) -> Export {
    Export::with(|settings| {
        settings.days = 1;
        settings.objects_per_day = 30;
        settings.credential_lifetime = Some(lifetime);
    })
}

fn bucket() -> String {
    Cloud::S3.bucket_name("")
}

fn keys(export: &Export) -> Vec<String> {
    let types = export.simulator().settings().types.clone();
    let date = export.dates()[0];
    let entries = types.iter().flat_map(|type_name| export.simulator().manifest(Cloud::S3, type_name, date));
    entries.map(|entry| entry.key).collect()
}

/// Lets a call of an AWS tool find its credentials by asking us, as a user would set it up.
fn through_us<'a>(command: &'a mut Command, export: &Export, folder: &Path) -> &'a mut Command {
    let config = folder.join("config");
    let program = env!("CARGO_BIN_EXE_e3sync");
    let process = format!("credential_process = \"{program}\" auth --format credential-process");
    std::fs::write(&config, format!("[profile optimizely]\nregion = us-east-1\n{process}\n")).unwrap();
    let url = export.simulator().url();
    command.env("AWS_CONFIG_FILE", config).env("AWS_PROFILE", "optimizely").env("AWS_ENDPOINT_URL", &url);
    command.env("E3SYNC_API_URL", &url).env("OPTIMIZELY_API_TOKEN", export.simulator().token())
}

fn list_by_aws_cli(python: &Python, export: &Export, folder: &Path) -> Vec<String> {
    let prefix = export.simulator().account().prefix();
    let mut aws = python.command("aws");
    aws.args(["s3api", "list-objects-v2", "--output", "json", "--page-size", "5", "--query", "Contents[].Key"]);
    aws.args(["--bucket", &bucket(), "--prefix", &prefix]);
    serde_json::from_str(&output_of(through_us(&mut aws, export, folder))).unwrap()
}

#[test]
fn aws_cli_lists_before_and_after_an_expiry() {
    let Some(python) = python() else { return };
    let export = export_with_lifetime(Duration::from_secs(900));
    let folder = tempfile::tempdir().unwrap();
    for round in 1..=3 {
        assert_eq!(list_by_aws_cli(python, &export, folder.path()), keys(&export));
        assert!(export.simulator().requests().credentials_issued >= round);
        export.simulator().expire_credentials();
    }
    assert_no_listing_was_refused(&export);
}

#[test]
fn aws_cli_lists_across_an_expiry() {
    let Some(python) = python() else { return };
    let lifetime = Duration::from_secs(3);
    let export = Export::with(|settings| {
        settings.days = 1;
        settings.objects_per_day = 30;
        settings.credential_lifetime = Some(lifetime);
        // The pages of one listing take longer than credentials live.
        settings.latency = Some(Duration::from_millis(300));
    });
    let folder = tempfile::tempdir().unwrap();
    let began = Instant::now();
    assert_eq!(list_by_aws_cli(python, &export, folder.path()), keys(&export));
    assert!(began.elapsed() > lifetime, "the listing ended before the first credentials did");
    assert_no_listing_was_refused(&export);
}

#[test]
fn one_client_of_boto3_renews_between_pages() {
    let Some(python) = python() else { return };
    // Short enough for botocore to renew at once; ended by us, not by waiting.
    let export = export_with_lifetime(Duration::from_secs(60));
    let folder = tempfile::tempdir().unwrap();
    let mut command = python.script("renewing_client.py");
    command.args([bucket(), export.simulator().account().prefix()]);
    through_us(&mut command, &export, folder.path());
    let mut client = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut listed: Vec<String> = Vec::new();
    for page in BufReader::new(client.stdout.take().unwrap()).lines() {
        listed.extend(serde_json::from_str::<Vec<String>>(&page.unwrap()).unwrap());
        export.simulator().expire_credentials();
        writeln!(client.stdin.as_mut().unwrap()).unwrap();
    }
    assert!(client.wait().unwrap().success());
    assert_eq!(listed, keys(&export));
    assert!(export.simulator().requests().of(Operation::List) >= 7);
    assert_no_listing_was_refused(&export);
}

#[test]
fn boto3_knows_the_errors_of_objects_that_cannot_be_read() {
    let Some(python) = python() else { return };
    let export = export_with_lifetime(Duration::from_secs(900));
    let folder = tempfile::tempdir().unwrap();
    let keys = &keys(&export)[..4];
    for (key, fault) in keys.iter().zip(["archived", "kms-disabled", "kms-denied"]) {
        export.inject(&format!("get:{fault} times=always key={key}"));
    }
    let mut client = python.script("refused_client.py");
    client.arg(bucket()).args(keys);
    let said: Value = serde_json::from_str(&output_of(through_us(&mut client, &export, folder.path()))).unwrap();
    let expected = serde_json::json!([
        ["InvalidObjectState", "InvalidObjectState"],
        ["KMS.DisabledException", "ClientError"],
        ["AccessDenied", "AccessDenied"],
        null
    ]);
    assert_eq!(said, expected);
}

#[track_caller]
fn assert_no_listing_was_refused(export: &Export) {
    let requests = export.simulator().requests();
    assert_eq!(keys(export).len(), OBJECTS + 2);
    assert_eq!(requests.answered(Operation::List, 200), requests.of(Operation::List));
}

/// What `auth` prints; the command itself must not print the token that it was given.
fn auth(export: &Export, format: &str) -> String {
    export.command("auth").args(["--format", format]).run().expect(0).stdout
}

#[test]
fn a_shell_takes_the_variables() {
    let export = export_with_lifetime(Duration::from_secs(900));
    let script = "eval \"$0\"; printf '%s\\n' \"$S3_BASE_PATH\" \"$AWS_SESSION_EXPIRATION\"; exec \"$1\" ls --paths \
                  --source-ambient --account-id \"$2\" --date 2026-11-20 --today 2026-11-21";
    let account = export.simulator().account().id().to_owned();
    let mut shell = Command::new("sh");
    shell.args(["-c", script, &auth(&export, "env"), env!("CARGO_BIN_EXE_e3sync"), &account]);
    shell.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    shell.env("E3SYNC_SOURCE_ENDPOINT_URL", export.simulator().url());
    let printed = output_of(&mut shell);
    let mut lines = printed.lines();
    assert_eq!(lines.next().unwrap(), format!("s3://{}/{}", bucket(), export.simulator().account().prefix()));
    assert!(lines.next().unwrap().parse::<Timestamp>().unwrap() > Timestamp::now());
    assert_eq!(lines.count(), OBJECTS, "the keys read the export by themselves");
}

#[test]
fn dotenv_and_json_say_the_same_as_the_shell_form() {
    let export = export_with_lifetime(Duration::from_secs(900));
    let dotenv = auth(&export, "dotenv");
    let names: Vec<_> = dotenv.lines().map(|line| line.split_once('=').unwrap().0).collect();
    let expected =
        ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_SESSION_EXPIRATION", "S3_BASE_PATH"];
    assert_eq!(names, expected);
    let json: Value = serde_json::from_str(&auth(&export, "json")).unwrap();
    assert_eq!(json["s3Path"], dotenv.lines().last().unwrap().split_once('=').unwrap().1);
    assert!(json["expiration"].as_str().unwrap().parse::<Timestamp>().unwrap() > Timestamp::now());
    assert_reads(&export, &json);
}

/// The credentials of a JSON answer list the export.
fn assert_reads(export: &Export, json: &Value) {
    let text = |field: &str| json[field].as_str().unwrap();
    let listed = E3sync::new("ls")
        .args(["--paths", "--source-ambient", "--account-id", export.simulator().account().id()])
        .args(["--date", "2026-11-20", "--today", "2026-11-21"])
        .env("E3SYNC_SOURCE_ENDPOINT_URL", &export.simulator().url())
        .env("AWS_ACCESS_KEY_ID", text("accessKeyId"))
        .secret_env("AWS_SECRET_ACCESS_KEY", text("secretAccessKey"))
        .secret_env("AWS_SESSION_TOKEN", text("sessionToken"))
        .run()
        .expect(0);
    assert_eq!(listed.stdout.lines().count(), OBJECTS);
}

/// `e3sync simulate` with a bucket, and the variables that it prints for it.
fn simulate_a_bucket() -> (Child, Vec<(String, String)>) {
    let mut process = Command::new(env!("CARGO_BIN_EXE_e3sync"))
        .args(["simulate", "--days", "1", "--customer-bucket", "warehouse"])
        .current_dir(empty_folder())
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(process.stdout.take().unwrap()).lines().take(11).map(Result::unwrap);
    let variables = lines.map(|line| {
        let (name, value) = line.strip_prefix("export ").unwrap().split_once('=').unwrap();
        (name.to_owned(), value.trim_matches('\'').to_owned())
    });
    let variables = variables.collect();
    (process, variables)
}

#[test]
fn aws_cli_writes_into_a_simulated_customers_bucket() {
    let Some(python) = python() else { return };
    let (mut process, variables) = simulate_a_bucket();
    let folder = tempfile::tempdir().unwrap();
    // Large enough that aws-cli sends it in parts.
    let bytes: Vec<u8> = (0..9 * 1024 * 1024_u32).map(|index| (index >> 8) as u8).collect();
    std::fs::write(folder.path().join("sent"), &bytes).unwrap();
    let value = |wanted: &str| &variables.iter().find(|(name, _)| name == wanted).unwrap().1;
    let url = format!("{}/a b+\u{fc}", value("E3SYNC_DEST"));
    for (from, to) in [("sent", url.as_str()), (&url, "received")] {
        let mut aws = python.command("aws");
        aws.args(["s3", "cp", "--only-show-errors", from, to]).current_dir(folder.path());
        aws.envs(variables.iter().map(|(name, value)| (name, value)));
        output_of(aws.env("AWS_ENDPOINT_URL_S3", value("E3SYNC_DEST_ENDPOINT_URL")));
    }
    assert!(std::fs::read(folder.path().join("received")).unwrap() == bytes);
    let id = rustix::process::Pid::from_child(&process);
    rustix::process::kill_process(id, rustix::process::Signal::INT).unwrap();
    assert!(process.wait().unwrap().success());
}
