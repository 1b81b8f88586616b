//! What a settings file in the working directory may not decide. The folder may have come from
//! anywhere; it must not run a command, send credentials or files elsewhere, or overwrite any.

use std::path::{Component, Path, PathBuf};

/// Settings that run something, or say which server gets credentials. Not even this machine is safe:
/// where several people share it, its ports belong to any of them.
const REFUSED: [&str; 4] = ["token-command", "api-url", "source-endpoint-url", "dest-endpoint-url"];
/// Settings that name a file to overwrite.
const WRITTEN: [&str; 3] = ["report", "metrics-file", "progress-file"];
/// Settings that name a file whose content is sent.
const SENT: [&str; 1] = ["token-file"];

/// Why a file in the working directory may not give this setting this value.
pub fn refuse(name: &str, value: &str) -> Option<String> {
    if REFUSED.contains(&name) {
        return Some(format!("`{name}` is not taken from the working directory"));
    }
    let is_file = WRITTEN.contains(&name) || SENT.contains(&name);
    (is_file && leads_out(Path::new("."), Path::new(value)))
        .then(|| format!("`{name}` outside of the working directory is not taken from there"))
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
            ("token-file", "token", false),
            ("token-file", "/etc/hostname", true),
            ("token-file", "-", false),
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

    #[test]
    fn every_setting_that_names_a_file_is_judged() {
        let command = Arguments::command();
        let is_path = |argument: &&clap::Arg| argument.get_value_parser().type_id() == TypeId::of::<PathBuf>();
        let paths = command.get_subcommands().flat_map(clap::Command::get_arguments).filter(is_path);
        let paths: BTreeSet<String> = paths.filter_map(name_of).collect();
        let judged = WRITTEN.into_iter().chain(SENT).map(str::to_owned).collect();
        assert_eq!(paths, judged);
    }
}
