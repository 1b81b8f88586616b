//! Keys and destinations that mean harm, or look like it.

use e3sync::simulator::Content;

use crate::harness::{Export, assert_tree_is, files_below};

fn export() -> Export {
    Export::with(|settings| {
        settings.days = 2;
        settings.types = vec!["events".into()];
        settings.objects_per_day = 3;
        settings.content = Content::Noise { size_bytes: 100..=200 };
        settings.odd_names = false;
    })
}

#[test]
fn keys_that_would_leave_the_destination_leave_their_day_unpublished() {
    for key in [
        "../../../../escaped",
        "event=a/../../../../escaped",
        "/escaped",
        "event=a//b.parquet",
        "event=a/./b.parquet",
        "..",
    ] {
        let export = export();
        export.simulator().change().add_object("events", "2026-11-20".parse().unwrap(), key, "harm");
        let folder = tempfile::tempdir().unwrap();
        let destination = folder.path().join("inner/mirror");
        export.sync(&destination).run().expect(3).says("is refused");
        let found = files_below(folder.path());
        assert!(found.keys().all(|path| path.starts_with("inner/mirror/")), "{key}: {:?}", found.keys());
        assert!(destination.join("type=events/date=2026-11-19").is_dir(), "the other day is published");
        assert!(!destination.join("type=events/date=2026-11-20").exists(), "{key}");
    }
}

#[test]
fn odd_but_harmless_keys_are_kept_as_they_are() {
    let export = export();
    let date = "2026-11-20".parse().unwrap();
    for key in [
        "event=a\u{1b}[31mred/part-0.parquet",
        "event=-rf/--help.parquet",
        "event=.hidden/.dot.parquet",
        "event=a b&c;d|e'f\"/part 0.parquet",
        "event=100%25%/p+q.parquet",
        "event=größe/日本.parquet",
        "event=CART/p.parquet",
        "event=cart/p.parquet",
        "no-folder.parquet",
        "event=tab\there/p.parquet",
        "event=new\nline/p.parquet",
    ] {
        export.simulator().change().add_object("events", date, key, key.to_owned());
    }
    let long = format!("event={}/part-0.parquet", "x".repeat(300));
    export.simulator().change().add_object("events", date, &long, "long");
    let folder = tempfile::tempdir().unwrap();
    let finished = export.sync(folder.path()).arg("-v").run().expect(0);
    assert!(!finished.stderr.contains('\u{1b}'), "escapes are made visible");
    assert!(folder.path().join("type=events/date=2026-11-20/event=CART/p.parquet").exists());
    let manifest = crate::harness::manifest_lines(folder.path(), "type=events/date=2026-11-20");
    let entry = manifest.iter().find(|line| line["key"] == long.as_str()).expect("the true key is in the manifest");
    let path = folder.path().join("type=events/date=2026-11-20").join(entry["path"].as_str().unwrap());
    assert_eq!(std::fs::read_to_string(path).unwrap(), "long");
    let second = export.sync(folder.path()).arg("--json").run().expect(0).summary();
    assert_eq!(second["objects"]["transferred"], 0);
}

#[test]
fn a_file_where_a_folder_must_be_is_told() {
    let export = export();
    let date = "2026-11-20".parse().unwrap();
    export.simulator().change().add_object("events", date, "event=twin", "file");
    export.simulator().change().add_object("events", date, "event=twin/part.parquet", "folder");
    let folder = tempfile::tempdir().unwrap();
    export.sync(folder.path()).run().expect(3).says("needs a folder where another key is a file");
    assert!(!folder.path().join("type=events/date=2026-11-20").exists());
}

#[test]
fn empty_objects_and_folder_markers_are_told_apart() {
    let export = export();
    let date = "2026-11-20".parse().unwrap();
    export.simulator().change().add_object("events", date, "event=empty/part-0.parquet", "");
    export.simulator().change().add_object("events", date, "event=marker/", "");
    let folder = tempfile::tempdir().unwrap();
    export.sync(folder.path()).run().expect(0);
    let day = folder.path().join("type=events/date=2026-11-20");
    assert_eq!(std::fs::metadata(day.join("event=empty/part-0.parquet")).unwrap().len(), 0);
    assert!(!day.join("event=marker").exists());
}

#[test]
fn links_inside_the_destination_are_not_followed() {
    let export = export();
    let folder = tempfile::tempdir().unwrap();
    let (destination, elsewhere) = (folder.path().join("mirror"), folder.path().join("elsewhere"));
    std::fs::create_dir_all(&destination).unwrap();
    std::fs::create_dir_all(&elsewhere).unwrap();
    for link in ["_e3sync", "type=events"] {
        std::os::unix::fs::symlink(&elsewhere, destination.join(link)).unwrap();
        export.sync(&destination).run().expect(1).says("is a link or a file, not a folder");
        assert!(files_below(&elsewhere).is_empty(), "{link}");
        std::fs::remove_file(destination.join(link)).unwrap();
    }
    // The destination itself may be reached through a link, as its owner likes.
    std::os::unix::fs::symlink(&destination, folder.path().join("linked")).unwrap();
    export.sync(&folder.path().join("linked")).run().expect(0);
    assert_tree_is(&export, &destination);
}

#[test]
fn data_of_others_is_not_touched() {
    let export = export();
    let folder = tempfile::tempdir().unwrap();
    let theirs = folder.path().join("type=events/date=2026-11-20/event=a/mine.parquet");
    std::fs::create_dir_all(theirs.parent().unwrap()).unwrap();
    std::fs::write(&theirs, "precious").unwrap();
    for _ in 0..2 {
        export.sync(folder.path()).run().expect(3).says("holds data that e3sync did not publish");
        assert_eq!(std::fs::read_to_string(&theirs).unwrap(), "precious");
        let others = files_below(folder.path()).keys().filter(|path| path.ends_with("_SUCCESS")).count();
        assert_eq!(others, export.dates().len() - 1, "every other day is published");
    }
}

#[test]
fn a_stray_file_in_a_new_day_costs_that_day_only() {
    let export = Export::of_noise(5, 2);
    let folder = tempfile::tempdir().unwrap();
    let stray = folder.path().join("type=events/date=2026-11-18/.DS_Store");
    std::fs::create_dir_all(stray.parent().unwrap()).unwrap();
    std::fs::write(&stray, "theirs").unwrap();
    for transferred in [18, 0] {
        let summary = export.sync(folder.path()).arg("--json").run().expect(3).summary();
        assert_eq!(summary["objects"]["transferred"], transferred, "nothing is fetched for that day");
    }
    assert_eq!(std::fs::read_to_string(&stray).unwrap(), "theirs");
    std::fs::remove_file(&stray).unwrap();
    export.sync(folder.path()).run().expect(0);
    assert_tree_is(&export, folder.path());
}

#[test]
fn another_accounts_export_is_refused() {
    let export = export();
    let folder = tempfile::tempdir().unwrap();
    export.sync(folder.path()).run().expect(0);
    let other = Export::with(|settings| settings.account_id = "777".into());
    let before = files_below(folder.path());
    other.sync(folder.path()).run().expect(2).says("holds account 21468570738, not 777");
    assert_eq!(files_below(folder.path()), before);
}

#[test]
fn a_destination_that_cannot_be_used_is_told() {
    let export = export();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    export.sync(&file).run().expect(2).says("is a file, not a directory");
    export.sync(&file.join("below")).run().expect(2).says("hint:");
    export.sync(std::path::Path::new("/proc/mirror")).run().expect(1).says("cannot create");
    export.sync(std::path::Path::new("az://bucket/x")).run().expect(2).says("not supported");
    export.sync(std::path::Path::new("")).run().expect(2);
}

#[test]
fn too_few_open_files_are_told_and_nothing_is_lost() {
    let export = Export::of_noise(1, 300);
    let folder = tempfile::tempdir().unwrap();
    let limited = export
        .sync(folder.path())
        .args(["--concurrency", "200"])
        .under(&["sh", "-c", "ulimit -n 60; exec \"$0\" \"$@\""])
        .run();
    assert!(matches!(limited.code, Some(1 | 3 | 75)), "{limited:?}");
    export.sync(folder.path()).run().expect(0);
    assert_tree_is(&export, folder.path());
}

#[test]
fn a_damaged_manifest_is_told_and_its_hint_leads_out() {
    let export = Export::of_noise(2, 3);
    let folder = tempfile::tempdir().unwrap();
    let destination = folder.path().join("mirror");
    export.sync(&destination).run().expect(0);
    let day = "type=events/date=2026-11-20";
    let manifest = destination.join("_e3sync/manifests").join(format!("{day}.jsonl"));
    let whole = std::fs::read(&manifest).unwrap();
    std::fs::write(&manifest, &whole[..whole.len() / 2]).unwrap();
    export.sync(&destination).run().expect(5).says("`e3sync verify DEST --repair` fetches the day anew");

    // By hand it works as well.
    std::fs::rename(&manifest, folder.path().join("manifest")).unwrap();
    std::fs::rename(destination.join(day), folder.path().join("day")).unwrap();
    export.sync(&destination).run().expect(0);
    assert_tree_is(&export, &destination);

    std::fs::write(&manifest, &whole[..whole.len() / 2]).unwrap();
    export.command("verify").arg(&destination).args(["--repair", "--keep-replaced", "0s"]).run().expect(0);
    std::fs::remove_dir_all(destination.join("_e3sync/superseded")).unwrap();
    assert_tree_is(&export, &destination);
}
