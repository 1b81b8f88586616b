//! What people type, and what they are told.

use crate::harness::{E3sync, Export, TODAY};

#[test]
fn wrong_usage_is_told_with_a_hint_and_code_2() {
    let export = Export::of_noise(1, 2);
    let sync = || export.command("sync").arg("/nonexistent/mirror");
    for (arguments, text) in [
        (vec!["--to", "2026-11-20"], "--to is given without --from"),
        (vec!["--from", "2026-11-20", "--to", "2026-11-10"], "ends before it begins"),
        (vec!["--from", "last week"], "is not a day"),
        (vec!["--date", "2126-11-20"], "2126-11-20 is in the future"),
        (vec!["--from", "2026-11-20", "--to", "2126-11-20"], "2126-11-20 is in the future"),
        (vec!["--last", "0d"], "at least one day"),
        (vec!["--last", "7d", "--from", "2026-11-01"], "cannot be used with"),
        (vec!["--concurrency", "0", "--last", "1d"], "give auto, or a number from 1 to 4096"),
        (vec!["--part-size", "1KiB", "--last", "1d"], "parts have at least 64KiB"),
        (vec!["--memory", "1MiB", "--last", "1d"], "--memory is smaller"),
        (vec!["--api-url", "http://example.com", "--last", "1d"], "neither HTTPS nor plain HTTP on this machine"),
        (vec!["--source-endpoint-url", "ftp://127.0.0.1", "--last", "1d"], "--source-endpoint-url"),
        (vec!["--account-id", "abc", "--last", "1d"], "is not a number; an Optimizely account id is all digits"),
        (vec!["--source-region", "a/b", "--last", "1d"], "letters, digits, - . and _"),
        (vec!["--stall-timeout", "0s", "--last", "1d"], "must be longer than no time"),
        (vec!["--today", "someday", "--last", "1d"], "is not a day; write YYYY-MM-DD"),
        (vec!["--type", "a/b", "--last", "1d"], "cannot be the name of a type"),
        (vec!["--event", "", "--last", "1d"], "cannot match the name of an event"),
        (vec!["--source-profile", "x", "--last", "1d"], "--account-id"),
        (vec!["--bwlimit", "fast", "--last", "1d"], "write a rate"),
        (vec!["--bwlimit", "50", "--last", "1d"], "say of what, as in 50MB/s"),
        (vec!["--last", "0w"], "at least one day"),
        (vec!["--dest", "elsewhere", "--last", "1d"], "cannot be used with"),
        (vec!["--report", "~nobody/report.json", "--last", "1d"], "whose home folder `~nobody` is cannot be told"),
    ] {
        let finished = sync().args(&arguments).run().expect(2);
        assert!(finished.stderr.contains(text), "{arguments:?}: {}", finished.stderr);
    }
    assert_eq!(export.simulator().requests().total(), 0, "nothing was asked");
}

#[test]
fn days_that_nobody_has_are_told() {
    let export = Export::of_noise(2, 2);
    let folder = tempfile::tempdir().unwrap();
    let sync = |from: &str, to: &str| {
        export.command("sync").arg(folder.path()).args(["--from", from, "--to", to, "--today", TODAY]).run()
    };
    let some = sync("2026-11-10", "2026-11-20").expect(0);
    some.says("neither the source nor the destination has anything of 2026-11-10 .. 2026-11-18");
    let none = sync("2025-01-01", "2025-01-03").expect(3);
    assert!(none.stdout.contains("has anything of the selected days"), "{}", none.stdout);
}

#[test]
fn a_file_in_the_place_of_a_destination_is_told_before_anything_is_asked() {
    let export = Export::of_noise(1, 2);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "mine").unwrap();
    for path in [file.clone(), file.join("mirror")] {
        for verb in ["sync", "status", "verify"] {
            export.command(verb).arg(&path).run().expect(2).says("file is a file, not a directory");
        }
    }
    assert_eq!(export.simulator().requests().total(), 0);
}

#[test]
fn no_destination_is_told_and_the_vendors_variable_is_one() {
    let export = Export::of_noise(1, 2);
    export.command("sync").args(["--last", "1d"]).run().expect(2).says("no destination is given");
    let folder = tempfile::tempdir().unwrap();
    for name in ["OPTIMIZELY_DATA_DIR", "E3SYNC_DEST"] {
        let path = folder.path().join(name);
        export
            .command("sync")
            .env(name, path.to_str().unwrap())
            .args(["--last", "1d", "--today", TODAY])
            .run()
            .expect(0);
        assert!(path.join("type=events").is_dir());
    }
}

#[test]
fn the_words_of_the_vendors_tool_work() {
    let export = Export::of_noise(3, 2);
    let folder = tempfile::tempdir().unwrap();
    export
        .command("sync")
        .args(["--output", folder.path().to_str().unwrap(), "--start", "2026-11-19", "--end", "2026-11-19"])
        .args(["--account-id", "21468570738", "--bucket", "optimizely-events-data"])
        .run()
        .expect(0);
    assert!(folder.path().join("type=events/date=2026-11-19/_SUCCESS").exists());
    assert!(!folder.path().join("type=events/date=2026-11-20").exists());
    for (verb, here) in [("load", "'e3sync sync'"), ("paths", "'e3sync ls --paths'")] {
        let told = E3sync::new(verb).arg("--type=events").run().expect(2).says(here);
        assert!(!told.stderr.contains("similar"), "{}", told.stderr);
        E3sync::new(verb).args(["--log-format", "json"]).run().expect(2).says(here);
    }
}

#[test]
fn results_that_a_full_disk_swallows_are_a_failure() {
    let export = Export::of_noise(2, 2);
    let folder = tempfile::tempdir().unwrap();
    export.sync(folder.path()).run().expect(0);
    let destination = folder.path().to_str().unwrap();
    let calls: [(&str, &[&str]); 12] = [
        ("sync", &[destination, "--last", "2d", "--json"]),
        ("plan", &[destination, "--last", "2d"]),
        ("ls", &[]),
        ("auth", &[]),
        ("doctor", &[]),
        ("status", &[destination]),
        ("status", &[destination, "--html", "-"]),
        ("verify", &[destination, "--json"]),
        ("export-manifest", &[destination]),
        ("sql", &["duckdb", destination]),
        ("config", &[]),
        ("completions", &["bash"]),
    ];
    for (verb, arguments) in calls {
        let command = export.command(verb).env("E3SYNC_TODAY", TODAY).args(arguments);
        let finished = command.under(&["sh", "-c", "exec \"$0\" \"$@\" > /dev/full"]).run().expect(1);
        let told = finished.stderr.matches("cannot write to standard output: No space left").count();
        assert_eq!(told, 1, "{verb}: {}", finished.stderr);
    }
    E3sync::new("--help").under(&["sh", "-c", "exec \"$0\" \"$@\" > /dev/full"]).run().expect(1);
    let refused = export.command("ls").env("OPTIMIZELY_API_TOKEN", "2:another").arg("--json");
    refused.under(&["sh", "-c", "exec \"$0\" \"$@\" > /dev/full"]).run().expect(4);
}

#[test]
fn results_break_between_words_on_a_narrow_terminal() {
    let export = Export::of_noise(1, 1);
    let folder = tempfile::tempdir().unwrap();
    export.sync(folder.path()).run().expect(0);
    let call = |verb: &str| export.command(verb).arg(folder.path()).env("E3SYNC_TODAY", TODAY).env("NO_COLOR", "1");
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    for verb in ["sync", "doctor", "verify"] {
        let told = words(&call(verb).run().expect(0).stdout);
        for columns in [30, 40, 70] {
            let shown = call(verb).on_a_terminal(columns).run().expect(0).stdout;
            assert!(shown.lines().all(|line| line.chars().count() <= columns as usize), "{verb}: {shown}");
            // Paths are longer than a line, and times differ from call to call.
            let is_plain = |word: &&String| word.len() < 20 && word.chars().all(char::is_alphabetic);
            let cut: Vec<&String> = told.iter().filter(is_plain).filter(|word| !words(&shown).contains(word)).collect();
            assert!(cut.is_empty(), "{verb} at {columns}: {cut:?}\n{shown}");
        }
    }
}

#[test]
fn one_thing_is_told_as_one() {
    let export = Export::of_noise(1, 1);
    let folder = tempfile::tempdir().unwrap();
    let call = |verb: &str| export.command(verb).arg(folder.path()).args(["--type", "events", "--date", "2026-11-20"]);
    assert!(call("plan").run().expect(0).stdout.contains("plan: 1 of 1 partition changes"));
    assert!(call("sync").run().expect(0).stdout.starts_with("1 of 1 partition published"));
    assert!(call("sync").run().expect(0).stdout.starts_with("nothing to transfer: 1 partition is up to date"));
    let verified = call("verify").run().expect(0).stdout;
    assert!(verified.starts_with("1 day · 1 file · "), "{verified}");
    std::fs::remove_file(folder.path().join("type=events/date=2026-11-20/_SUCCESS")).unwrap();
    let differing = call("verify").run().expect(5).stdout;
    assert!(differing.ends_with(" · 1 differs: 1 marker missing\n"), "{differing}");
}

#[test]
fn variables_stand_for_flags() {
    let export = Export::of_noise(3, 2);
    let folder = tempfile::tempdir().unwrap();
    let finished = export
        .command("sync")
        .env("E3SYNC_DEST", folder.path().to_str().unwrap())
        .env("E3SYNC_DATE", "2026-11-18")
        .env("E3SYNC_TYPE", "events")
        .env("E3SYNC_JSON", "1")
        .run()
        .expect(0);
    assert_eq!(finished.summary()["partitions"]["published"], 1);
    let silent = export.sync(folder.path()).env("E3SYNC_QUIET", "true").run().expect(0);
    assert_eq!((silent.stdout.as_str(), silent.stderr.as_str()), ("", ""));
    export.command("ls").env("E3SYNC_SOURCE_AMBIENT", "1").run().expect(2).says("--account-id");
    export.command("ls").env("E3SYNC_SOURCE_AMBIENT", "0").run().expect(0);
}

#[test]
fn a_plan_changes_nothing_and_tells_what_would() {
    let export = Export::of_noise(2, 5);
    let folder = tempfile::tempdir().unwrap();
    let destination = folder.path().join("mirror");
    let plan = || export.command("plan").arg(&destination).args(["--last", "2d", "--today", TODAY]);
    let text = plan().run().expect(0).stdout;
    assert!(text.contains("create   type=events/date=2026-11-20 · not here yet · 5 of 5 objects"), "{text}");
    assert!(text.contains("plan: 4 of 4 partitions change · 20 objects to transfer"), "{text}");
    assert!(!destination.exists());
    plan().arg("--exit-code").run().expect(10);
    export.sync(&destination).arg("--dry-run").run().expect(0);
    assert!(!destination.exists());

    export.sync(&destination).run().expect(0);
    plan().arg("--exit-code").run().expect(0);
    export.simulator().change().add_object("events", "2026-11-20".parse().unwrap(), "event=x/y.parquet", "new");
    let plans = plan().args(["--json", "--exit-code"]).run().expect(10).json();
    let changed: Vec<_> = plans.iter().filter(|plan| plan["action"] == "replace").collect();
    assert_eq!(changed.len(), 1);
    assert_eq!((changed[0]["objects"].as_u64(), changed[0]["objects_here"].as_u64()), (Some(6), Some(5)));
}

#[test]
fn a_listing_shows_days_or_paths() {
    let export = Export::of_parquet(2);
    let text = export.command("ls").run().expect(0).stdout;
    assert_eq!(text.lines().count(), 4);
    assert!(text.lines().all(|line| line.contains("12 objects") && line.ends_with("_SUCCESS")), "{text}");
    let paths =
        export.command("ls").args(["--paths", "--type", "events", "--date", "2026-11-20"]).run().expect(0).stdout;
    assert_eq!(paths.lines().count(), 12);
    assert!(paths.lines().all(|line| {
        line.starts_with("s3://optimizely-events-data/v1/account_id=21468570738/type=events/date=2026-11-20/event=")
    }));
    export.command("ls").args(["--type", "nonsense"]).run().expect(2).says("it has: decisions, events");
    export.command("ls").args(["--date", "2020-01-01"]).run().expect(0).says("nothing of what is selected");
}

#[test]
fn credentials_are_printed_in_every_form() {
    let export = Export::of_noise(1, 1);
    let auth = |format: &str| export.command("auth").args(["--format", format]).run().expect(0).stdout;
    let env = auth("env");
    assert!(env.contains("export AWS_ACCESS_KEY_ID='") && env.contains("export AWS_SESSION_TOKEN='"), "{env}");
    assert!(env.contains("export S3_BASE_PATH='s3://optimizely-events-data/v1/account_id=21468570738/'"), "{env}");
    assert!(auth("dotenv").lines().all(|line| line.split_once('=').is_some_and(|(name, _)| !name.contains(' '))));
    let process: serde_json::Value = serde_json::from_str(&auth("credential-process")).unwrap();
    assert_eq!(process["Version"], 1);
    assert!(process["Expiration"].as_str().unwrap().parse::<jiff::Timestamp>().is_ok());
    let json: serde_json::Value = serde_json::from_str(&auth("json")).unwrap();
    assert!(json["sessionToken"].is_string());
}

#[test]
fn a_calendar_shows_what_is_here() {
    let export = Export::of_noise(9, 2);
    let folder = tempfile::tempdir().unwrap();
    export
        .command("sync")
        .arg(folder.path())
        .args(["--date", "2026-11-16,2026-11-18", "--today", TODAY])
        .run()
        .expect(0);
    let status = E3sync::new("status").arg(folder.path()).run().expect(0);
    assert!(status.stdout.contains("■ · ■"), "{}", status.stdout);
    assert!(status.stdout.contains("oldest gap: decisions 2026-11-17"), "{}", status.stdout);
    let days = E3sync::new("status").arg(folder.path()).arg("--json").run().expect(0).json();
    let published = days.iter().filter(|day| day["state"] == "published").count();
    assert_eq!(published, 4);
    E3sync::new("status").arg(folder.path().join("nothing")).run().expect(0).says("is no mirror yet");
}

#[test]
fn help_and_version_are_results() {
    for arguments in [vec!["--help"], vec!["--version"]] {
        assert!(!E3sync::new("sync").args(arguments).run().expect(0).stdout.is_empty());
    }
    E3sync::new("snyc").run().expect(2).says("sync");
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let export = Export::of_noise(14, 50);
    let shell = "\"$0\" \"$@\" | head -n 1 >/dev/null; exit ${PIPESTATUS[0]}";
    export.command("ls").arg("--paths").under(&["bash", "-c", shell]).run().expect(0);
    let folder = tempfile::tempdir().unwrap();
    export.sync(folder.path()).arg("--json").under(&["bash", "-c", shell]).run().expect(0);
    crate::harness::assert_tree_is(&export, folder.path());
}

#[test]
fn a_home_folder_is_found_where_no_shell_puts_it_in() {
    let export = Export::of_noise(1, 1);
    let home = tempfile::tempdir().unwrap();
    let sync =
        || export.command("sync").env("HOME", home.path().to_str().unwrap()).args(["--last", "1w", "--today", TODAY]);
    sync().env("E3SYNC_DEST", "~/events").args(["--report", "~/report.json"]).run().expect(0);
    assert!(home.path().join("events/type=events").is_dir() && home.path().join("report.json").is_file());
    sync().args(["--dest", "~/again"]).run().expect(0);
    assert!(home.path().join("again/type=events").is_dir());
    sync().arg("~nobody/events").run().expect(2).says("`~nobody`").says("./~NAME");
    std::fs::create_dir(home.path().join("~here")).unwrap();
    sync().current_dir(home.path()).arg("./~here").run().expect(0);
    assert!(home.path().join("~here/type=events").is_dir());
}

#[test]
fn a_filter_that_nothing_matches_is_told_as_that() {
    let export = Export::of_noise(2, 2);
    let folder = tempfile::tempdir().unwrap();
    let sync = |event: &str| {
        let command = export.command("sync").arg(folder.path()).args(["--from", "2026-11-19", "--today", TODAY]);
        command.args(["--type", "events", "--event", event]).run().expect(0).stdout
    };
    let nothing = sync("of-nobody");
    assert!(nothing.starts_with("nothing to transfer: no object of the selected days"), "{nothing}");
    assert!(nothing.contains("2 partitions have no object of the selected experiments and events"), "{nothing}");
    let some = sync("*");
    assert!(some.starts_with("2 of 2 partitions published") && !some.contains("have no object"), "{some}");
}
