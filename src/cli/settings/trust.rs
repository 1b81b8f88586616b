//! What a settings file in the working directory may decide. The folder may have come from anywhere:
//! it must not run a command, name a server, choose whose credentials are used, whose export is read or
//! from where, or overwrite files. Each setting says so here; one that does not is refused.

use std::path::{Component, Path, PathBuf};

/// How far a file in the working directory is believed about a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// Any value is taken.
    Any,
    /// The file that it names must lie below the working directory: it is written.
    FileBelow,
    /// No value is taken, for this reason.
    None(&'static str),
}

/// Not even this machine is safe: where several people share it, its ports belong to any of them.
const NAMES_SERVER: Trust = Trust::None("it says which server gets credentials and data");
const RUNS_COMMAND: Trust = Trust::None("it runs a command");
const CHOOSES_CREDENTIALS: Trust = Trust::None("it chooses whose credentials are used");
const CHOOSES_SOURCE: Trust = Trust::None("it chooses whose export is read, and from where");

/// How far a setting of this name is believed; `None` for one that nobody has judged yet.
fn trust(name: &str) -> Option<Trust> {
    Some(match name {
        "api-url"
        | "source-endpoint-url"
        | "dest-endpoint-url"
        | "oauth-token-url"
        | "oauth-authorize-url"
        | "ca-bundle"
        | "notify" => NAMES_SERVER,
        "token-command" | "dest-token-command" | "oauth-client-secret-command" | "on-publish" => RUNS_COMMAND,
        "request-payer"
        | "token-file"
        | "source-profile"
        | "source-ambient"
        | "dest-profile"
        | "user-project"
        | "oauth-client-id"
        | "oauth-client-secret-file"
        | "oauth-refresh-token-file"
        | "oauth-client-auth"
        | "oauth-scope"
        | "oauth-redirect-port"
        | "no-browser"
        | "oauth-grant" => CHOOSES_CREDENTIALS,
        "source" | "source-bucket" | "source-region" | "account-id" => CHOOSES_SOURCE,
        "report" | "metrics-file" | "progress-file" => Trust::FileBelow,
        "accept-shrink" | "acl" | "auth-format" | "bwlimit" | "concurrency" | "credential-minutes" | "date"
        | "dest" | "dest-lease" | "dest-region" | "dry-run" | "event" | "exclude-event" | "experiment" | "format"
        | "fresh" | "from" | "grace" | "group" | "join" | "join-wait" | "json" | "keep-replaced"
        | "keep-superseded" | "last" | "log-format" | "lookback" | "max-duration" | "memory" | "min-rate"
        | "no-lock" | "outage" | "part-size" | "quick" | "quiet" | "ready" | "repair" | "retries" | "sample"
        | "shard" | "sql-prefix" | "sql-schema" | "sse" | "sse-kms-key-id" | "stall-timeout" | "storage-class"
        | "tag" | "to" | "today" | "type" | "verbose" => Trust::Any,
        _ => return None,
    })
}

/// Why a file in the working directory may not give this setting this value.
pub fn refuse(name: &str, value: &str) -> Option<String> {
    match trust(name).unwrap_or(Trust::None("it is not among those that a folder may decide")) {
        Trust::Any => None,
        Trust::FileBelow => leads_out(Path::new("."), Path::new(value))
            .then(|| format!("`{name}` outside of the working directory is not taken from there")),
        Trust::None(reason) => Some(format!("`{name}` is not taken from the working directory: {reason}")),
    }
}

/// Whether a path may lead out of a folder, by what it says or through a link in it.
fn leads_out(folder: &Path, path: &Path) -> bool {
    // Without a trailing slash, which would have a link followed.
    let path: PathBuf = path.components().collect();
    let is_below = path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    let is_link = |part: &Path| folder.join(part).symlink_metadata().is_ok_and(|metadata| metadata.is_symlink());
    !is_below || path.ancestors().any(is_link)
}

#[cfg(test)]
mod tests {
    use std::any::TypeId;
    use std::collections::BTreeSet;

    use clap::CommandFactory as _;

    use super::*;
    use crate::cli::args::Arguments;
    use crate::cli::settings::name_of;

    #[test]
    fn a_folder_cannot_run_a_command_or_send_anything_elsewhere() {
        for (name, value, is_refused) in [
            ("token-command", "true", true),
            ("token-file", "token", true),
            ("source", "gcs", true),
            ("source-bucket", "b", true),
            ("source-ambient", "true", true),
            ("source-profile", "p", true),
            ("source-region", "eu-west-1", true),
            ("account-id", "1", true),
            ("dest-profile", "p", true),
            ("a-setting-of-tomorrow", "1", true),
            ("type", "events", false),
            ("api-url", "https://example.com", true),
            ("api-url", "http://127.0.0.1:8080", true),
            ("source-endpoint-url", "http://[::1]:1", true),
            ("dest-endpoint-url", "http://localhost:1", true),
            ("report", "/home/user/.profile", true),
            ("report", "../report.json", true),
            ("report", "./run/report.json", false),
            ("progress-file", "/home/user/.profile", true),
            ("dest", "/srv/events", false),
        ] {
            assert_eq!(refuse(name, value).is_some(), is_refused, "{name} = {value}");
        }
    }

    #[test]
    fn a_path_through_a_link_leads_out() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::create_dir(at("run")).unwrap();
        std::os::unix::fs::symlink("/", at("out")).unwrap();
        std::os::unix::fs::symlink("/nonexistent", at("run/dangling")).unwrap();
        for (path, is_out) in [
            ("run/report", false),
            ("new/report", false),
            ("out/report", true),
            ("out", true),
            ("./out/", true),
            ("out/.", true),
            ("run/dangling", true),
        ] {
            assert_eq!(leads_out(folder.path(), Path::new(path)), is_out, "{path}");
        }
    }

    fn settings_of(keep: impl Fn(&clap::Arg) -> bool) -> BTreeSet<String> {
        let command = Arguments::command();
        let verbs = command.get_subcommands().chain(std::iter::once(&command));
        let options: Vec<_> = verbs.flat_map(clap::Command::get_arguments).filter(|option| keep(option)).collect();
        options.into_iter().filter_map(name_of).collect()
    }

    #[test]
    fn every_setting_is_judged() {
        let open: Vec<_> = settings_of(|_| true).into_iter().filter(|name| trust(name).is_none()).collect();
        assert!(open.is_empty(), "how far a project's file is believed about {open:?} is not decided");
    }

    #[test]
    fn no_setting_that_names_a_file_is_taken_as_it_is() {
        let paths = settings_of(|option| option.get_value_parser().type_id() == TypeId::of::<PathBuf>());
        assert!(!paths.is_empty());
        for name in paths {
            assert_ne!(trust(&name), Some(Trust::Any), "{name}");
        }
    }

    #[test]
    fn what_names_a_server_a_command_or_a_credential_is_never_taken() {
        let words = ["url", "command", "token", "secret", "profile", "account", "source"];
        for name in settings_of(|_| true).iter().filter(|name| words.iter().any(|word| name.contains(word))) {
            assert!(matches!(trust(name), Some(Trust::None(_))), "{name}");
        }
    }
}
