//! What a settings file in the working directory may not decide. The folder may have come from
//! anywhere; it must not run a command, or send credentials or a report elsewhere.

use std::path::{Component, Path};

use e3sync::net;
use reqwest::Url;

/// Settings that run something.
const COMMANDS: [&str; 1] = ["token-command"];
/// Settings that say which server gets credentials.
const SERVERS: [&str; 3] = ["api-url", "source-endpoint-url", "dest-endpoint-url"];
/// Settings that name a file to overwrite.
const WRITTEN: [&str; 3] = ["report", "metrics-file", "html"];

/// Why a file in the working directory may not give this setting this value.
pub fn refuse(name: &str, value: &str) -> Option<String> {
    if COMMANDS.contains(&name) {
        return Some(format!("`{name}` is not taken from the working directory"));
    }
    if SERVERS.contains(&name) && !Url::parse(value).is_ok_and(|url| net::is_loopback(&url)) {
        return Some(format!("`{name}` of another machine is not taken from the working directory"));
    }
    if WRITTEN.contains(&name) && leads_out(Path::new(value)) {
        return Some(format!("`{name}` outside of the working directory is not taken from there"));
    }
    None
}

fn leads_out(path: &Path) -> bool {
    !path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_cannot_run_a_command_or_send_anything_elsewhere() {
        for (name, value, is_refused) in [
            ("token-command", "true", true),
            ("token-file", "token", false),
            ("api-url", "https://example.com", true),
            ("api-url", "https://127.0.0.1.example.com", true),
            ("api-url", "http://localhost@example.com", true),
            ("api-url", "http://127.0.0.1:8080", false),
            ("source-endpoint-url", "http://[::1]:1", false),
            ("dest-endpoint-url", "no address", true),
            ("report", "/home/user/.profile", true),
            ("report", "../report.json", true),
            ("report", "./run/report.json", false),
            ("dest", "/srv/events", false),
        ] {
            assert_eq!(refuse(name, value).is_some(), is_refused, "{name} = {value}");
        }
    }
}
