//! Settings from files: who wins, what is refused, and how it is told.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::harness::{E3sync, Export, Finished, TODAY};

/// A user with a home folder and a working directory.
struct User {
    folder: tempfile::TempDir,
}

impl User {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("work")).unwrap();
        Self { folder }
    }

    fn with(local: &str, own: &str) -> Self {
        let user = Self::new();
        put(&user.local(), local);
        put(&user.own(), own);
        user
    }

    fn local(&self) -> PathBuf {
        self.folder.path().join("work/e3sync.toml")
    }

    fn own(&self) -> PathBuf {
        self.folder.path().join(".config/e3sync/config.toml")
    }

    /// A call in the working directory.
    fn call(&self, verb: &str) -> E3sync {
        self.at_home(E3sync::new(verb))
    }

    fn at_home(&self, call: E3sync) -> E3sync {
        call.folder(&self.folder.path().join("work")).env("HOME", self.folder.path().to_str().unwrap())
    }

    /// What `e3sync config` says about a setting of a call: the value as text, and where it is from.
    fn setting(&self, name: &str, change: impl FnOnce(E3sync) -> E3sync) -> (String, String) {
        let documents = change(self.call("config").arg("--json")).run().expect(0).json();
        let setting = documents.into_iter().find(|document| document["name"] == name).expect(name);
        let value = match &setting["value"] {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let from = match setting["origin"].as_str().unwrap() {
            "variable" => setting["variable"].as_str().unwrap().to_owned(),
            "file" => format!("{}:{}", Path::new(setting["path"].as_str().unwrap()).display(), setting["line"]),
            other => other.to_owned(),
        };
        (value, from.replace(self.folder.path().to_str().unwrap(), "~"))
    }
}

/// Writes a file as its owner alone may write it, whatever the umask.
fn put(path: &Path, text: impl AsRef<[u8]>) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, PermissionsExt::from_mode(0o644)).unwrap();
}

fn is(value: &str, from: &str) -> (String, String) {
    (value.to_owned(), from.to_owned())
}

/// What a call says when `./e3sync.toml` holds this.
fn refused(local: impl AsRef<[u8]>) -> Finished {
    let user = User::new();
    put(&user.local(), local);
    user.call("status").run().expect(2)
}

#[test]
fn the_highest_layer_decides() {
    let user = User::with("\nretries = 3", "grace = \"1h\"\nretries = 4\nready = \"any\"");
    let typed = |call: E3sync| call.env("E3SYNC_RETRIES", "2").args(["sync", "--retries", "1"]);
    assert_eq!(user.setting("retries", typed), is("1", "flag"));
    assert_eq!(user.setting("retries", |call| call.env("E3SYNC_RETRIES", "2")), is("2", "E3SYNC_RETRIES"));
    assert_eq!(user.setting("retries", |call| call), is("3", "./e3sync.toml:2"));
    std::fs::remove_file(user.local()).unwrap();
    assert_eq!(user.setting("retries", |call| call), is("4", "~/.config/e3sync/config.toml:2"));
    assert_eq!(user.setting("ready", |call| call.arg("plan")), is("any", "~/.config/e3sync/config.toml:3"));
    std::fs::remove_file(user.own()).unwrap();
    assert_eq!(user.setting("retries", |call| call), is("8", "default"));
}

#[test]
fn a_profile_stands_above_its_file_only() {
    let local = "retries = 3\n[profile.weekly]\nlookback = \"14d\"";
    let user = User::with(local, "retries = 4\n[profile.weekly]\nretries = 5\nready = \"any\"");
    let weekly = |call: E3sync| call.args(["--profile", "weekly"]);
    assert_eq!(user.setting("lookback", weekly), is("14d", "./e3sync.toml:3"));
    assert_eq!(user.setting("lookback", |call| call.env("E3SYNC_PROFILE", "weekly")), is("14d", "./e3sync.toml:3"));
    assert_eq!(user.setting("lookback", |call| call), is("7d", "default"));
    assert_eq!(user.setting("retries", weekly), is("3", "./e3sync.toml:1"));
    assert_eq!(user.setting("ready", weekly), is("any", "~/.config/e3sync/config.toml:4"));
    std::fs::remove_file(user.local()).unwrap();
    assert_eq!(user.setting("retries", weekly), is("5", "~/.config/e3sync/config.toml:3"));
    let unknown = user.call("status").args(["--profile", "wekly"]).run().expect(2);
    unknown.says("no settings file has the profile `wekly`").says("there are: weekly");
    User::new().call("status").args(["--profile", "x"]).run().expect(2).says("[profile.x]");
}

#[test]
fn a_choice_is_made_by_one_layer() {
    let user = User::with("last = \"3d\"\nquiet = true", "token-command = \"false\"\nverbose = true");
    let days = |name: &str| user.setting(name, |call| call.args(["sync", "--from", "2026-03-01"]));
    assert_eq!(days("from"), is("2026-03-01", "flag"));
    assert_eq!(days("last"), is("null", "default"));
    assert_eq!(user.setting("last", |call| call.env("E3SYNC_DATE", "today")), is("null", "default"));
    let both = |call: E3sync| call.env("E3SYNC_LAST", "9d").args(["sync", "--from", "2026-03-01"]);
    assert_eq!(user.setting("last", both), is("null", "default"), "a flag stands above a variable");
    assert_eq!(user.setting("verbose", |call| call), is("false", "default"));
    assert_eq!(user.setting("quiet", |call| call.args(["sync", "-v"])), is("false", "default"));
    let off = |call: E3sync| call.env("E3SYNC_QUIET", "0");
    assert_eq!(user.setting("verbose", off), is("true", "~/.config/e3sync/config.toml:2"));
    let token = |call: E3sync| call.args(["sync", "--token-file", "t"]);
    assert_eq!(user.setting("token-command", token), is("null", "default"));
    let profile = |call: E3sync| call.env("E3SYNC_SOURCE_PROFILE", "p");
    assert_eq!(user.setting("token-command", profile), is("null", "default"));
    // Of several options only those are set aside that the chosen one excludes.
    put(&user.local(), "from = \"5d\"");
    let range = |name: &str| user.setting(name, |call| call.args(["sync", "--to", "2d"]));
    assert_eq!((range("from"), range("to")), (is("5d", "./e3sync.toml:1"), is("2d", "flag")));
    let last = |call: E3sync| call.env("E3SYNC_LAST", "9d").args(["sync", "--to", "2d"]);
    assert_eq!(user.setting("last", last), is("null", "default"));
    assert_eq!(user.setting("from", last), is("5d", "./e3sync.toml:1"));
    assert_eq!(user.setting("from", |call| call.env("E3SYNC_LAST", "9d")), is("null", "default"));
    // What is only turned off leaves the choice to others.
    put(&user.local(), "quiet = false");
    assert_eq!(user.setting("verbose", |call| call), is("true", "~/.config/e3sync/config.toml:2"));
}

#[test]
fn a_run_goes_by_the_files() {
    let export = Export::of_noise(3, 2);
    let local = "dest = \"mirror\"\ntype = [\"events\"]\nfrom = 2026-11-19\njson = true";
    let user = User::with(local, &format!("account-id = 21468570738\ntoday = \"{TODAY}\"\nconcurrency = 2"));
    let finished = user.at_home(export.command("sync")).run().expect(0);
    assert_eq!(finished.summary()["partitions"]["published"], 2);
    assert!(user.folder.path().join("work/mirror/type=events/date=2026-11-19/_SUCCESS").exists());
    let text = user.at_home(export.command("ls")).env("E3SYNC_JSON", "0").args(["--last", "1d"]).run().expect(0).stdout;
    assert_eq!(text.lines().count(), 1, "{text}");
    put(&user.local(), "dest = \"mirror\"\nlast = \"1d\"");
    assert!(user.call("status").run().expect(0).stdout.contains("1 day published"));
}

#[test]
fn mistakes_are_told_with_file_line_and_what_was_meant() {
    for (text, says, hint) in [
        ("\n\nlst = 3", "./e3sync.toml line 3: there is no setting `lst`", "did you mean last?"),
        ("qqqq = 3", "there is no setting `qqqq`", "`e3sync config`"),
        ("part_size = 3", "there is no setting `part_size`", "write part-size"),
        ("start = \"7d\"", "there is no setting `start`", "write from"),
        ("paths = true", "`paths` cannot stand in a settings file", "give --paths"),
        ("output = \"x\"", "there is no setting `output`", "write dest"),
        ("[sync]\nlast = 3", "line 1: there is no setting `sync`", "[profile.sync]"),
        ("[profiles.x]\nlast = 3", "line 1: there is no setting `profiles`", "write [profile.x]"),
        (
            "[profile.x.y]\nlast = 3",
            "line 1: there is no setting `y`",
            "a profile has no tables; write its settings below [profile.x]",
        ),
        ("[profile.x.type]\nlast = 3", "`type` is a list of strings, not a table", "write type"),
        ("[profile.a]\n[profile.b]\nreris = 3", "line 3: there is no setting `reris`", "did you mean retries?"),
        ("profile = \"a\"", "`profile` holds named tables", "[profile.NAME]"),
        ("[profile]\nlast = 3", "line 2: `profile` holds named tables", "[profile.NAME]"),
        ("quiet = \"yes\"", "`quiet` is true or false, not a string", "write quiet = true"),
        ("type = true", "`type` is a list of strings, not a boolean", "write type = [\"...\"]"),
        ("retries = 1.5", "`retries` is a whole number, not a float", "write retries = 5"),
        ("last = 1.5", "`last` is a string, not a float", "write last = \"...\""),
        ("last = [\"7d\"]", "`last` is a string, not an array", "write last = \"...\""),
        ("type = [[]]", "`type` is a list of strings, not an array", "write type"),
        ("last = \"0d\"", "`last` cannot be `0d`: must be at least one day", "hint: "),
        ("from = \"last week\"", "`from` cannot be `last week`", "hint: "),
        ("ready = \"soon\"", "`ready` cannot be `soon`", "one of: success, grace, any"),
        ("concurrency = \"lots\"", "`concurrency` cannot be `lots`: give auto, or a number", "write concurrency"),
        ("concurrency = 0", "line 1: `concurrency` cannot be `0`", "hint: "),
        ("type = [\"../x\"]", "`type` cannot be `../x`", "write type"),
        ("event = [\"\"]", "`event` cannot be ``", "write the name as it is in the application"),
        ("today = \"someday\"", "`today` cannot be `someday`", "write YYYY-MM-DD"),
        ("credential-minutes = 5", "`credential-minutes` cannot be `5`", "hint: "),
        ("dest = \"~/events\"", "`~` in `dest` is not replaced", "whole path"),
        ("\"\\u001b[31m\" = 1", "there is no setting `\\u{1b}[31m`", "hint: "),
        ("last = 3\nfrom = \"7d\"", "line 2: `from` and `last` of line 1 exclude each other", "keep one"),
        ("verbose = true\nquiet = true", "`quiet` and `verbose` of line 1 exclude each other", "keep one"),
        ("last = ", "./e3sync.toml line 1:", "a settings file is TOML"),
        ("last = 1\nlast = 2", "line 2: duplicate key", "a settings file is TOML"),
    ] {
        refused(text).says(says).says(hint);
    }
    for (own, says, hint) in [
        ("account-id = \"abc\"", "line 1: `account-id` cannot be `abc`", "all digits"),
        ("token-file = \"t\"\nsource-ambient = true", "`source-ambient` and `token-file`", "keep one"),
    ] {
        User::with("", own).call("status").run().expect(2).says(says).says(hint);
    }
    let user = User::with("", "retries = 3\nlst = 1");
    user.call("status").run().expect(2).says("/.config/e3sync/config.toml line 2: there is no setting `lst`");
    user.call("sync").arg("--help").run().expect(0);
    user.call("completions").arg("bash").run().expect(0);
}

#[test]
fn a_token_stands_in_no_file() {
    for name in ["token", "api-token", "optimizely_api_token", "OPTIMIZELY_PAT"] {
        let text = format!("{name} = \"2:very-secret\"");
        let finished = refused(&text).says("a token cannot stand in a settings file").says("token-file");
        assert!(!finished.stderr.contains("very-secret"), "{}", finished.stderr);
    }
}

#[test]
fn a_folder_runs_no_command_and_sends_credentials_nowhere() {
    for (text, says) in [
        ("token-command = \"touch ran\"", "`token-command` is not taken from the working directory"),
        ("api-url = \"http://127.0.0.1:9\"", "`api-url` is not taken from the working directory"),
        ("source-endpoint-url = \"https://example.com\"", "`source-endpoint-url` is not taken"),
        ("dest-endpoint-url = \"http://127.0.0.1:9\"", "`dest-endpoint-url` is not taken"),
        ("token-file = \"/etc/hostname\"", "`token-file` is not taken from the working directory"),
        ("report = \"../report.json\"", "`report` outside of the working directory"),
        ("progress-file = \"/home/x/.bashrc\"", "`progress-file` outside of the working directory"),
        ("[profile.x]\ntoken-command = \"touch ran\"", "line 2: `token-command` is not taken"),
    ] {
        refused(text).says(says).says("your own settings");
        User::with("", text).call("status").arg("here").run().expect(0);
    }
}

#[test]
fn a_folder_overwrites_no_file_through_a_link() {
    let user = User::with("report = \"out/.profile\"", "");
    std::os::unix::fs::symlink(user.folder.path(), user.folder.path().join("work/out")).unwrap();
    user.call("status").run().expect(2).says("`report` outside of the working directory");
    put(&user.local(), "report = \"link\"");
    std::os::unix::fs::symlink(user.folder.path().join(".profile"), user.folder.path().join("work/link")).unwrap();
    user.call("status").run().expect(2).says("`report` outside of the working directory");
    put(&user.local(), "report = \"run/report.json\"");
    user.call("config").run().expect(0);
}

#[test]
fn an_empty_variable_says_nothing() {
    let user = User::with("dest = \"here\"\ntype = [\"a\"]\nquiet = true", "");
    let names = ["DEST", "LAST", "REPORT", "TOKEN_FILE", "TYPE", "BWLIMIT", "QUIET", "PROFILE", "LOG_FORMAT"];
    let empty = |call: E3sync| {
        let variables = names.iter().map(|name| format!("E3SYNC_{name}"));
        variables.fold(call, |call, name| call.env(&name, ""))
    };
    assert_eq!(user.setting("dest", empty), is("here", "./e3sync.toml:1"));
    assert_eq!(user.setting("type", empty), is("[\"a\"]", "./e3sync.toml:2"));
    assert_eq!(user.setting("quiet", empty), is("true", "./e3sync.toml:3"));
    assert_eq!(user.setting("last", empty), is("null", "default"));
    assert_eq!(user.setting("log-format", empty), is("text", "default"));
    std::fs::remove_file(user.local()).unwrap();
    let elsewhere = |call: E3sync| empty(call).env("OPTIMIZELY_DATA_DIR", "/data");
    assert_eq!(user.setting("dest", elsewhere), is("/data", "OPTIMIZELY_DATA_DIR"));
    empty(E3sync::new("completions")).arg("bash").run().expect(0);
}

#[test]
fn a_file_that_others_can_write_is_not_believed() {
    let user = User::with("retries = 3", "");
    for (mode, is_believed) in [(0o644, true), (0o600, true), (0o666, false), (0o646, false)] {
        std::fs::set_permissions(user.local(), PermissionsExt::from_mode(mode)).unwrap();
        let finished = user.call("config").run();
        if is_believed {
            finished.expect(0);
        } else {
            finished.expect(2).says("can be written by others").says("chmod go-w ./e3sync.toml");
        }
    }
    std::fs::set_permissions(user.local(), PermissionsExt::from_mode(0o644)).unwrap();
    // Only root can give a file away.
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(user.local(), Some(65_534), None).unwrap();
        user.call("config").run().expect(2).says("belongs to another user");
    }
}

#[test]
fn what_is_no_settings_file_is_told() {
    refused([b'#', 0xff, 0xfe, b'\n']).says("is not UTF-8 text");
    refused("# a comment\n".repeat(10_000)).says("is larger than 64 KiB");
    let user = User::new();
    for text in [
        "",
        "\n# nothing\n",
        "quiet = true\nverbose = false\ndate = []\nlast = 3",
        "\u{feff}retries = 3\r\nready = \"any\"\r\n",
    ] {
        put(&user.local(), text);
        user.call("config").run().expect(0);
    }
    std::fs::remove_file(user.local()).unwrap();
    std::fs::create_dir(user.local()).unwrap();
    user.call("config").run().expect(2).says("is not a file");
    std::fs::remove_dir(user.local()).unwrap();
    let status = std::process::Command::new("mkfifo").arg(user.local()).status().unwrap();
    assert!(status.success());
    user.call("config").run().expect(2).says("is not a file");
}

#[test]
fn a_file_that_may_not_be_read_is_told_and_a_folder_is_passed_by() {
    if rustix::process::geteuid().is_root() {
        return crate::harness::skip("root may read everything");
    }
    let user = User::with("retries = 3", "retries = 4");
    std::fs::set_permissions(user.local(), PermissionsExt::from_mode(0o000)).unwrap();
    user.call("config").run().expect(2).says("cannot be read");
    std::fs::remove_file(user.local()).unwrap();
    let folder = user.own().parent().unwrap().to_owned();
    std::fs::set_permissions(&folder, PermissionsExt::from_mode(0o000)).unwrap();
    assert_eq!(user.setting("retries", |call| call), is("8", "default"));
    std::fs::set_permissions(&folder, PermissionsExt::from_mode(0o755)).unwrap();
}

#[test]
fn the_users_file_is_found_by_xdg_and_home() {
    let user = User::with("", "retries = 4");
    let elsewhere = user.folder.path().join("xdg");
    put(&elsewhere.join("e3sync/config.toml"), "retries = 5");
    let by = |value: &'static str| user.setting("retries", move |call| call.env("XDG_CONFIG_HOME", value)).0;
    assert_eq!(user.setting("retries", |call| call.env("XDG_CONFIG_HOME", elsewhere.to_str().unwrap())).0, "5");
    assert_eq!((by(""), by("relative")), ("4".to_owned(), "4".to_owned()));
    assert_eq!(user.setting("retries", |call| call.env_remove("HOME")).0, "8");
    let text = user.call("config").env_remove("HOME").run().expect(0).stdout;
    assert!(text.ends_with("\n\n./e3sync.toml: read\n"), "{text}");
}

#[test]
fn effective_values_are_shown_without_secrets() {
    let own = "[profile.p]\ntoken-command = \"echo 2:secret\"";
    let user = User::with("dest = \"here\"\n[profile.p]\ntype = [\"a\", \"b\"]", own);
    let call = || user.call("config").env("OPTIMIZELY_PAT", "2:secret").secret("2:secret").args(["--profile", "p"]);
    let text = call().run().expect(0).stdout;
    let line = |name: &str| {
        let line = text.lines().find(|line| line.starts_with(&format!("{name} "))).expect(name);
        line.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(line("dest"), "dest here ./e3sync.toml line 1");
    assert_eq!(line("type"), "type a,b ./e3sync.toml line 3, profile p");
    assert!(line("token-command").starts_with("token-command (set) /"));
    assert!(!text.contains("(token)"), "the command decides: {text}");
    assert_eq!(line("source"), "source s3 E3SYNC_SOURCE");
    assert_eq!(line("./e3sync.toml:"), "./e3sync.toml: read, with profiles p");
    let documents = call().args(["status", "--json"]).run().expect(0).json();
    assert_eq!(documents[0]["verb"], "status");
    assert!(documents.iter().any(|document| document["event"] == "settings_file" && document["found"] == true));
    call().arg("nonsense").run().expect(2).says("nonsense");
    let token = |call: E3sync| call.env("OPTIMIZELY_PAT", "2:secret");
    assert_eq!(user.setting("(token)", token), is("(set)", "OPTIMIZELY_PAT"));
    for option in ["--token-file=t", "--source-profile=p", "--source-ambient"] {
        let call = user.call("config").env("OPTIMIZELY_PAT", "2:secret").args(["--json", "sync", option]);
        assert!(!call.run().expect(0).stdout.contains("(token)"), "{option}");
    }
    let fallback = User::new().setting("dest", |call| call.env("OPTIMIZELY_DATA_DIR", "/data"));
    assert_eq!(fallback, is("/data", "OPTIMIZELY_DATA_DIR"));
}
