//! What is published, in the forms of other tools; the judges are these tools where they are here.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::harness::{E3sync, Export, TODAY};

fn exported(destination: &Path, form: &str) -> String {
    let command = E3sync::new("export-manifest").arg(destination).args(["--format", form, "--today", TODAY]);
    command.run().expect(0).stdout
}

/// A mirror with all the odd names of the real export, and worse ones.
fn mirror() -> (Export, tempfile::TempDir) {
    let export = Export::of_parquet(2);
    for key in [
        "event=back\\slash/p.parquet",
        "event=two\nlines/p.parquet",
        "event=q\"uo'te, s/p.parquet",
        "event=%0A/ p .parquet",
    ] {
        export.simulator().change().add_object("events", "2026-11-20".parse().unwrap(), key, key);
    }
    let folder = tempfile::tempdir().unwrap();
    export.sync(folder.path()).run().expect(0);
    (export, folder)
}

/// `sha256sum -c` in the destination, as users run it.
fn check_sums(destination: &Path, sums: &str) -> bool {
    use std::io::Write as _;
    let mut child = Command::new("sha256sum")
        .args(["--check", "--strict", "--quiet", "-"])
        .current_dir(destination)
        .stdin(Stdio::piped())
        .stderr(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(sums.as_bytes()).unwrap();
    child.wait().unwrap().success()
}

#[test]
fn sha256sum_passes_on_a_whole_mirror_and_fails_on_a_changed_one() {
    let (export, folder) = mirror();
    let sums = exported(folder.path(), "sha256sums");
    let objects = export.objects().iter().filter(|(path, _)| !path.ends_with("_SUCCESS")).count();
    assert_eq!(sums.lines().count(), objects);
    assert!(sums.contains("event=two\\nlines") && sums.contains("event=back\\\\slash"), "{sums}");
    assert!(check_sums(folder.path(), &sums));
    let file = folder.path().join("type=events/date=2026-11-20/event=two\nlines/p.parquet");
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[0] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    assert!(!check_sums(folder.path(), &sums));
}

#[test]
fn every_form_has_every_file() {
    let (_export, folder) = mirror();
    let json = exported(folder.path(), "json");
    let lines: Vec<Value> = json.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for line in &lines {
        let path = folder.path().join(line["path"].as_str().unwrap());
        assert_eq!(std::fs::metadata(&path).unwrap().len(), line["size_bytes"].as_u64().unwrap());
    }
    assert!(lines.iter().any(|line| line["rows"].is_u64()) && lines.iter().all(|line| line["source_etag"].is_string()));
    let csv = exported(folder.path(), "csv");
    assert!(csv.starts_with("type,date,key,path,size_bytes,sha256,rows,source_etag\r\n"));
    // One name has the end of a line in it, in two columns.
    assert_eq!(csv.lines().count(), 1 + lines.len() + 2);
    let snowflake = exported(folder.path(), "snowflake");
    assert_eq!(snowflake.matches("'type=").count(), lines.len());
    let refused = E3sync::new("export-manifest").arg(folder.path()).args(["--format", "uris"]).run().expect(2);
    refused.says("has the end of a line in its name");
    let uris = E3sync::new("export-manifest").arg(folder.path()).args(["--type", "decisions"]).run().expect(0).stdout;
    assert!(uris.lines().count() > 0 && uris.lines().all(|path| folder.path().join(path).is_file()), "{uris}");
    E3sync::new("export-manifest").arg(folder.path()).args(["--format", "redshift"]).run().expect(2).says("Redshift");
}

#[test]
fn no_list_is_begun_that_cannot_be_ended() {
    let (_export, folder) = mirror();
    let manifest = folder.path().join("_e3sync/manifests/type=events/date=2026-11-20.jsonl");
    let text = std::fs::read_to_string(&manifest).unwrap();
    std::fs::write(&manifest, &text[..text.len() - 20]).unwrap();
    let refused = E3sync::new("export-manifest").arg(folder.path()).args(["--format", "sha256sums"]).run().expect(5);
    assert_eq!(refused.stdout, "");
}

#[test]
fn a_selection_is_exported_and_a_reader_may_leave() {
    let (_export, folder) = mirror();
    let some = E3sync::new("export-manifest").arg(folder.path()).args([
        "--date",
        "2026-11-20",
        "--type",
        "events",
        "--event",
        "q*",
        "--format",
        "json",
    ]);
    assert_eq!(some.run().expect(0).stdout.lines().count(), 1);
    let shell = "\"$0\" \"$@\" | head -n 1 >/dev/null; exit ${PIPESTATUS[0]}";
    let command = E3sync::new("export-manifest").arg(folder.path()).args(["--format", "csv"]);
    command.under(&["bash", "-c", shell]).run().expect(0);
}
