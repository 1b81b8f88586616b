//! The programs of docs/examples, as a user of the library runs them.

use std::path::Path;
use std::process::{Command, Output};

use crate::harness::{Export, assert_tree_is};

/// One of the programs, which `cargo test` builds beside the command.
fn example(name: &str) -> Command {
    let path = Path::new(env!("CARGO_BIN_EXE_e3sync")).with_file_name("examples").join(name);
    assert!(path.exists(), "{} is not built: cargo build --examples", path.display());
    Command::new(path)
}

fn with_access(export: &Export, name: &str) -> Command {
    let mut command = example(name);
    command.env("OPTIMIZELY_API_TOKEN", export.simulator().token()).env("E3SYNC_API_URL", export.simulator().url());
    command
}

fn text_of(output: &Output) -> (Option<i32>, String) {
    let text = [&output.stdout[..], &output.stderr[..]].concat();
    (output.status.code(), String::from_utf8(text).unwrap())
}

#[test]
fn a_day_is_mirrored_and_verified_by_ten_lines() {
    let export = Export::of_parquet(1);
    let folder = tempfile::tempdir().unwrap();
    let day = export.dates()[0].to_string();
    let mirrored = with_access(&export, "mirror_a_day").arg(folder.path()).arg(&day).output().unwrap();
    let (code, text) = text_of(&mirrored);
    assert_eq!(code, Some(0), "{text}");
    assert_eq!(text.matches("objects published").count(), 2, "{text}");
    assert_tree_is(&export, folder.path());

    let verified = || text_of(&example("verify").arg(folder.path()).output().unwrap());
    let (code, text) = verified();
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("of 2 days verified, 0 days differ"), "{text}");
    let (key, _) = export.objects().into_iter().find(|(key, _)| key.ends_with(".parquet")).unwrap();
    std::fs::write(folder.path().join(&key), "not what was published").unwrap();
    let (code, text) = verified();
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("1 days differ") && text.contains(" changed: "), "{text}");
}

#[test]
fn an_observer_of_ones_own_sees_what_happens() {
    let export = Export::of_noise(2, 3);
    let folder = tempfile::tempdir().unwrap();
    let days = export.dates();
    let mut command = with_access(&export, "observer");
    let output = command.arg(folder.path()).args([days[0].to_string(), days[1].to_string()]).output().unwrap();
    let (code, text) = text_of(&output);
    assert_eq!(code, Some(0), "{text}");
    assert_eq!(text.matches(": 3 objects, complete").count(), 4, "{text}");
    let bytes: u64 = text.lines().find_map(|line| line.strip_suffix(" bytes transferred")?.parse().ok()).unwrap();
    let stored: u64 = export.objects().iter().map(|(key, _)| folder.path().join(key).metadata().unwrap().len()).sum();
    assert_eq!(bytes, stored);
    assert_tree_is(&export, folder.path());
}

#[test]
fn a_refused_token_is_an_error_of_the_library() {
    let export = Export::of_noise(1, 1);
    let folder = tempfile::tempdir().unwrap();
    let mut command = with_access(&export, "mirror_a_day");
    let command = command.env("OPTIMIZELY_API_TOKEN", "2:of-nobody");
    let (code, text) =
        text_of(&command.arg(folder.path().join("events")).arg(export.dates()[0].to_string()).output().unwrap());
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("TokenRefused") || text.contains("token"), "{text}");
    assert!(!text.contains("of-nobody"), "{text}");
}
