use std::collections::BTreeMap;

use e3sync::simulator::Content;
use serde_json::Value;

use super::text::{Document, read};
use crate::harness::{E3sync, Export, TODAY, manifest_lines};

/// Fields by name, with what the document says about their type.
type Fields = BTreeMap<String, String>;

fn documented(document: &Document, heading: &str) -> Fields {
    let rows = document.table(heading);
    rows.into_iter().map(|row| (row[0].trim_matches('`').to_owned(), row[1].clone())).collect()
}

/// The fields of every document of `--json` besides its own.
fn documented_event(scripting: &Document, name: &str) -> Fields {
    let mut fields = documented(scripting, "### `start`");
    fields.retain(|field, _| ["schema", "event"].contains(&field.as_str()));
    fields.extend(documented(scripting, &format!("### `{name}`")));
    fields
}

/// Fails the test unless the value has the documented fields, all but optional ones, of the
/// documented types, and no others.
#[track_caller]
fn assert_has(value: &Value, fields: &Fields) {
    let mut found = BTreeMap::new();
    flatten(value, "", fields, &mut found);
    for (name, value) in &found {
        let kinds = fields.get(name).unwrap_or_else(|| panic!("`{name}` is not documented: {value}"));
        let is_of = |kind: &str| kinds.split([',', ' ']).any(|word| word == kind);
        assert!(kinds_of(value).iter().any(|kind| is_of(kind)), "`{name}` is no {kinds}: {value}");
    }
    for (name, kinds) in fields {
        let is_optional = kinds.contains("optional");
        assert!(is_optional || found.contains_key(name), "`{name}` is documented and missing in {value}");
    }
}

/// The fields of an object; those of objects in it as `OUTER.INNER`, unless OUTER is documented.
fn flatten<'a>(value: &'a Value, outer: &str, fields: &Fields, found: &mut BTreeMap<String, &'a Value>) {
    for (name, value) in value.as_object().expect("an object") {
        let name = format!("{outer}{name}");
        if value.is_object() && !fields.contains_key(&name) {
            flatten(value, &format!("{name}."), fields, found);
        } else {
            found.insert(name, value);
        }
    }
}

fn kinds_of(value: &Value) -> &'static [&'static str] {
    match value {
        Value::Null => &["null"],
        Value::Bool(_) => &["boolean"],
        Value::Number(number) if number.is_u64() => &["integer", "number"],
        Value::Number(_) => &["number"],
        Value::String(_) => &["string"],
        Value::Array(_) => &["list"],
        Value::Object(_) => &["object"],
    }
}

/// Whatever commands print with `--json`: of runs in which everything happens that has a document.
fn printed(report: &std::path::Path) -> Vec<Value> {
    let export = Export::with(|settings| {
        settings.days = 2;
        settings.objects_per_day = 20;
        settings.content = Content::Noise { size_bytes: 1024..=4096 };
        settings.odd_names = false;
        settings.types.push("decisions-rerun".into());
    });
    let folder = tempfile::tempdir().unwrap();
    let objects = export.objects();
    let (bad, _) = objects.iter().find(|(path, _)| path.ends_with(".parquet") && path.contains("events")).unwrap();
    export.inject(&format!("get:flip@100 times=always key={bad}"));
    export.inject("get:expire-all after=5");
    export.inject("exchange:status=500 after=1");
    let sync =
        export.sync(folder.path()).args(["--json", "--group", "nightly", "--report"]).arg(report).run().expect(5);
    export.command("sync").arg(folder.path()).args(["--last", "1d", "--today", TODAY, "--group", "nightly"]).run();
    let plan = export.command("plan").arg(folder.path()).args(["--json", "--today", TODAY]).run().expect(0);
    let ls = export.command("ls").arg("--json").run().expect(0);
    let status = export.command("status").arg(folder.path()).arg("--json").run().expect(0);
    let doctor = export.command("doctor").arg(folder.path()).arg("--json").run().expect(0);
    let repairing = Export::of_noise(1, 2);
    let mirror = tempfile::tempdir().unwrap();
    repairing.sync(mirror.path()).run().expect(0);
    std::fs::remove_file(mirror.path().join("type=events/date=2026-11-20/_SUCCESS")).unwrap();
    let repair =
        repairing.command("verify").arg(mirror.path()).args(["--json", "--repair", "--today", TODAY]).run().expect(0);
    let verified = E3sync::new("status").arg(mirror.path()).args(["--json", "--today", TODAY]).run().expect(0);
    let files = E3sync::new("export-manifest").arg(mirror.path()).args(["--format", "json"]).run().expect(0);
    let refused = export.command("ls").arg("--json").env("OPTIMIZELY_API_TOKEN", "2:another").run().expect(4);
    let config = E3sync::new("config").arg("--json").env("OPTIMIZELY_PAT", "2:another").run().expect(0);
    let all = [sync, plan, ls, status, doctor, repair, verified, files, config, refused];
    all.iter().flat_map(|finished| finished.json()).collect()
}

#[test]
fn every_field_of_every_document_is_documented_and_printed() {
    let scripting = read("docs/SCRIPTING.md");
    let folder = tempfile::tempdir().unwrap();
    let report = folder.path().join("report.json");
    let error_fields = documented(&scripting, "### An error");
    let mut missing: Vec<&str> = scripting.headings("### `");
    for document in printed(&report) {
        let name = document["event"].as_str().unwrap();
        assert_has(&document, &documented_event(&scripting, name));
        if let Some(error) = document.get("error") {
            assert_has(error, &error_fields);
        }
        missing.retain(|heading| *heading != format!("### `{name}`"));
    }
    assert!(missing.is_empty(), "documented and never printed: {missing:?}");

    let report: Value = serde_json::from_slice(&std::fs::read(report).unwrap()).unwrap();
    let mut fields = documented_event(&scripting, "summary");
    fields.insert("days".into(), "list".into());
    fields.extend(documented(&scripting, "### The run in a report"));
    assert_has(&report, &fields);
    assert_has(&report["asked"], &documented(&scripting, "### What was asked for"));
    let day_fields = documented(&scripting, "## The report");
    for day in report["days"].as_array().unwrap() {
        assert_has(day, &day_fields);
    }
}

#[test]
fn every_field_of_a_verification_s_note_is_documented_and_written() {
    let specification = read("docs/MANIFEST.md");
    let export = Export::of_noise(1, 1);
    let folder = tempfile::tempdir().unwrap();
    export.sync(folder.path()).run().expect(0);
    std::fs::remove_file(folder.path().join("type=events/date=2026-11-20/_SUCCESS")).unwrap();
    E3sync::new("verify").arg(folder.path()).run().expect(5);
    let note = std::fs::read(folder.path().join("_e3sync/verification.json")).unwrap();
    let note: Value = serde_json::from_slice(&note).unwrap();
    assert_has(&note, &documented(&specification, "## verification.json"));
    assert_has(&note["last"], &documented(&specification, "### The last verification"));
    let damaged = note["damaged"].as_array().unwrap();
    assert_eq!(damaged.len(), 1);
    assert_has(&damaged[0], &documented(&specification, "### A damaged day"));
}

#[test]
fn every_field_of_a_manifest_is_documented_and_written() {
    let specification = read("docs/MANIFEST.md");
    let export = Export::of_parquet(1);
    let folder = tempfile::tempdir().unwrap();
    export.sync(folder.path()).run().expect(0);
    let lines = manifest_lines(folder.path(), "type=events/date=2026-11-20");
    let [header, entries @ .., trailer] = lines.as_slice() else { panic!("a manifest has lines") };
    assert_has(header, &documented(&specification, "### The header"));
    for entry in entries {
        assert_has(entry, &documented(&specification, "### An object"));
    }
    assert!(entries.iter().any(|entry| entry.get("path").is_some()), "a key that is too long for a file");
    assert_has(trailer, &documented(&specification, "### The trailer"));
    let identity = std::fs::read(folder.path().join("_e3sync/destination.json")).unwrap();
    assert_has(&serde_json::from_slice(&identity).unwrap(), &documented(&specification, "## destination.json"));
}
