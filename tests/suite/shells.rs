//! What shells, manual readers and log collectors get.

use std::process::Command;

use serde_json::Value;

use crate::harness::{E3sync, Export, TODAY, skip};

/// A program of the machine, or a reason to leave a test out.
fn has(program: &str) -> bool {
    let is_there = Command::new(program).arg("--version").output().is_ok();
    if !is_there {
        skip(&format!("{program} is not installed"));
    }
    is_there
}

#[test]
fn completions_are_scripts_of_their_shell() {
    let folder = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = E3sync::new("completions").arg(shell).run().expect(0).stdout;
        assert!(script.contains("keep-superseded") && script.contains("completions"), "{shell}");
        let path = folder.path().join(shell);
        std::fs::write(&path, script).unwrap();
        if ["bash", "zsh", "fish"].contains(&shell) && has(shell) {
            let checked = Command::new(shell).arg("-n").arg(&path).output().unwrap();
            assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
        }
    }
    E3sync::new("completions").arg("tcsh").run().expect(2).says("possible values: bash");
}

#[test]
fn bash_completes_verbs_and_options() {
    let script = E3sync::new("completions").arg("bash").run().expect(0).stdout;
    let completed = |words: &str| {
        let asks = format!(
            "{script}\ncomplete -p e3sync >&2\nCOMP_WORDS=({words})\nCOMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))\n\
             _e3sync e3sync \"${{COMP_WORDS[-1]}}\" \"${{COMP_WORDS[-2]}}\"\nprintf '%s\\n' \"${{COMPREPLY[@]}}\""
        );
        let output = Command::new("bash").args(["-c", &asks]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(completed("e3sync sta"), "status\n");
    assert_eq!(completed("e3sync sync --keep-s"), "--keep-superseded\n");
    assert_eq!(completed("e3sync sync --ready a"), "any\n");
    assert_eq!(completed("e3sync config sta"), "status\n");
    assert_eq!(completed("e3sync sync --outp").trim(), "", "hidden options are not offered");
    for shell in ["bash", "zsh", "fish"] {
        let script = E3sync::new("completions").arg(shell).run().expect(0).stdout;
        assert!(!script.contains("dest-lease") && script.contains("dest-region"), "{shell}");
    }
}

#[test]
fn every_verb_has_a_manual_page_without_faults() {
    let folder = tempfile::tempdir().unwrap();
    let pages = folder.path().join("share/man1");
    E3sync::new("man").arg(&pages).run().expect(0).says("manual pages are in");
    for name in ["e3sync", "e3sync-sync", "e3sync-status", "e3sync-config", "e3sync-man"] {
        let page = std::fs::read_to_string(pages.join(format!("{name}.1"))).unwrap();
        assert!(page.contains(".SH EXAMPLES\n.nf\n"), "{name}");
        assert!(page.contains(".SH \"EXIT STATUS\"\n.TP\n0\nall published\n"), "{name}");
        assert!(page.contains(".TP\n130, 143\nstopped\n"), "{name}");
    }
    let page = std::fs::read_to_string(pages.join("e3sync-sync.1")).unwrap();
    assert!(page.contains("E3SYNC_KEEP_SUPERSEDED"), "variables stand at their options");
    E3sync::new("man").arg(pages.join("e3sync.1")).run().expect(2).says("cannot write manual pages");
    if has("groff") {
        for entry in std::fs::read_dir(&pages).unwrap() {
            let path = entry.unwrap().path();
            let set = Command::new("groff").args(["-man", "-Tutf8", "-ww", "-z"]).arg(&path).output().unwrap();
            let said = String::from_utf8_lossy(&set.stderr);
            assert!(set.status.success() && said.is_empty(), "{}: {said}", path.display());
        }
    }
}

/// The messages of a call, each with its documented fields.
fn messages(stderr: &str) -> Vec<Value> {
    let messages = stderr.lines().map(|line| {
        let message: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("not JSON: {line}"));
        let fields: Vec<&str> = message.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(fields, ["hint", "level", "message", "time"]);
        assert!(message["time"].as_str().unwrap().parse::<jiff::Timestamp>().is_ok(), "{message}");
        message
    });
    messages.collect()
}

#[test]
fn messages_are_json_where_that_is_asked_for() {
    let export = Export::of_noise(2, 3);
    let folder = tempfile::tempdir().unwrap();
    let sync = || export.sync(folder.path()).env("E3SYNC_LOG_FORMAT", "json");
    let here = tempfile::tempdir().unwrap();
    std::fs::write(here.path().join("e3sync.toml"), "log-format = \"json\"").unwrap();
    assert_eq!(messages(&E3sync::new("status").arg("none").folder(here.path()).run().expect(0).stderr).len(), 1);

    let run = messages(&sync().run().expect(0).stderr);
    assert!(run.iter().all(|message| message["level"] == "info"), "{run:?}");
    assert!(run[0]["message"].as_str().unwrap().starts_with("account "), "{run:?}");

    export.simulator().change().add_object("events", "2026-11-20".parse().unwrap(), "event=x/y.parquet", "new");
    export.inject("get:status=403 times=always");
    let failed = messages(&sync().run().stderr);
    let error = failed.iter().find(|message| message["level"] == "error").expect("an error");
    assert!(!error["message"].as_str().unwrap().contains("hint:"), "{error}");

    for call in [vec!["--to", TODAY], vec!["--bogus"], vec!["--last", "x"]] {
        let told =
            messages(&export.command("sync").args(["here", "--log-format", "json"]).args(call).run().expect(2).stderr);
        assert_eq!(told.len(), 1);
        assert_eq!(told[0]["level"], "error");
        assert!(!told[0]["message"].as_str().unwrap().starts_with("error"), "{told:?}");
    }
    export.command("sync").args(["--log-format", "xml"]).run().expect(2).says("--log-format");
}
