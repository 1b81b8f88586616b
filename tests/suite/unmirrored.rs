//! What the source has and no day can hold, and what it no longer has: counted, named, and in the exit
//! code.

use serde_json::json;

use crate::harness::{Export, TODAY, assert_tree_is, files_below};

/// What is a marker or a committer's work, and no stray: directly below a type, with and without content.
const NO_STRAYS: [(&str, &str); 6] = [
    ("type=events/", ""),
    ("type=events/_SUCCESS", ""),
    ("type=events/date=2026-11-20_$folder$", ""),
    ("type=events/_temporary/0/task_1/part-0.parquet", "uncommitted"),
    ("type=events/_started_7", "7"),
    ("type=events_$folder$", ""),
];

fn export_with(keys: &[(&str, &str)]) -> Export {
    let export = Export::of_noise(2, 3);
    for (key, content) in keys {
        add(&export, key, content);
    }
    export
}

fn add(export: &Export, path: &str, content: &str) {
    let mut account = export.simulator().change();
    let key = format!("{}{path}", account.prefix());
    account.add_key(&key, content.to_owned());
}

fn remove_type(export: &Export, type_name: &str) {
    for day in export.dates() {
        export.simulator().change().remove_day(type_name, day);
    }
}

#[test]
fn folders_that_are_no_day_and_objects_in_no_day_are_named() {
    let export = export_with(&NO_STRAYS);
    let folder = tempfile::tempdir().unwrap();
    let clean = export.sync(folder.path()).args(["--json"]).run().expect(0).summary();
    assert_eq!(clean["strays"], json!({"count": 0, "named": []}));

    for (path, content) in [
        ("type=events/date=2026-1-2/x.parquet", "x"),
        ("type=events/date=__HIVE_DEFAULT_PARTITION__/x.parquet", "x"),
        ("type=events/notes.txt", "x"),
        ("type=events/part-0.parquet", ""),
        ("type=decisions/2026-11-20/x.parquet", "x"),
        ("type=decisions-rerun/notes.txt", "of a type that is not selected"),
    ] {
        add(&export, path, content);
    }
    let named = [
        "type=decisions/2026-11-20/",
        "type=events/date=2026-1-2/",
        "type=events/date=__HIVE_DEFAULT_PARTITION__/",
        "type=events/notes.txt",
        "type=events/part-0.parquet",
    ];
    let summary = export.sync(folder.path()).args(["--json"]).run().expect(3).summary();
    assert_eq!(summary["strays"], json!({"count": 5, "named": named}));
    assert_eq!(summary["exit_code"], 3);
    for quiet in [&[][..], &["--quiet"]] {
        let told = export.sync(folder.path()).args(quiet).run().expect(3);
        let told = format!("{}{}", told.stdout, told.stderr);
        assert!(told.contains("5 entries are not days at the source"), "{told}");
        assert!(named.iter().all(|name| told.contains(name)), "{told}");
    }
    let plan = || export.command("plan").arg(folder.path()).args(["--today", TODAY]);
    assert!(plan().run().expect(3).stdout.contains("5 entries are not days at the source"));
    let planned = plan().arg("--json").run().expect(3).json();
    let selection = planned.iter().find(|document| document["event"] == "selection").unwrap();
    assert_eq!(selection["strays"]["count"], 5);
    assert_tree_is(&export, folder.path());
    export.sync(folder.path()).args(["--type", "decisions-rerun"]).run().expect(3);
}

#[test]
fn many_strays_are_counted_and_the_first_named() {
    let export = Export::with(|settings| {
        settings.days = 1;
        settings.page_keys = 4;
    });
    (0..30).for_each(|number| add(&export, &format!("type=events/date=x{number:02}/a"), "x"));
    let folder = tempfile::tempdir().unwrap();
    let summary = export.sync(folder.path()).args(["--json"]).run().expect(3).summary();
    assert_eq!((&summary["strays"]["count"], summary["strays"]["named"].as_array().unwrap().len()), (&30.into(), 5));
}

#[test]
fn a_committers_work_and_markers_of_folders_are_not_mirrored() {
    let export = export_with(&[]);
    let (folder, plain) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    export.sync(plain.path()).run().expect(0);
    for (path, content) in [
        ("event=a_$folder$", ""),
        ("event=a/b_$folder$", ""),
        ("_temporary/0/task_1/part-0.parquet", "uncommitted"),
        ("_committed_7", "{}"),
        ("_started_7", ""),
    ] {
        add(&export, &format!("type=events/date=2026-11-20/{path}"), content);
    }
    export.sync(folder.path()).run().expect(0);
    assert_eq!(files_below(folder.path()), files_below(plain.path()));
    let again = export.sync(plain.path()).arg("--json").run().expect(0).summary();
    assert_eq!(again["partitions"]["unchanged"], 4, "they change no listing either");
}

#[test]
fn a_type_that_has_vanished_is_told_and_kept() {
    let export = export_with(&[]);
    let folder = tempfile::tempdir().unwrap();
    export.sync(folder.path()).run().expect(0);
    let before = files_below(folder.path());
    remove_type(&export, "events");
    let told = export.sync(folder.path()).run().expect(3);
    assert!(told.stdout.contains("does not list type events"), "{}", told.stdout);
    assert!(told.stderr.contains("warning: "), "{}", told.stderr);
    let summary = export.sync(folder.path()).args(["--json"]).run().expect(3).summary();
    assert_eq!((&summary["vanished_types"], &summary["partitions"]["expired"]), (&json!(["events"]), &2.into()));
    export.sync(folder.path()).args(["--type", "decisions"]).run().expect(0);
    export.command("plan").arg(folder.path()).args(["--today", TODAY]).run().expect(3);
    assert_eq!(files_below(folder.path()), before);
}

#[test]
fn an_export_that_has_vanished_as_a_whole_is_told_and_kept() {
    let export = export_with(&[]);
    let folder = tempfile::tempdir().unwrap();
    export.sync(folder.path()).run().expect(0);
    let before = files_below(folder.path());
    remove_type(&export, "events");
    remove_type(&export, "decisions");
    for quiet in [&[][..], &["--quiet"]] {
        let told = export.sync(folder.path()).args(quiet).run().expect(3);
        let told = format!("{}{}", told.stdout, told.stderr);
        assert!(told.contains("the whole export had vanished"), "{told}");
    }
    assert_eq!(files_below(folder.path()), before);
}
