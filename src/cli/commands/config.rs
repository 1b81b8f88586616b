//! Runs `config`: shows the settings in effect and where each comes from.

use std::collections::BTreeSet;
use std::ffi::OsString;

use clap::{Arg, ArgMatches};
use e3sync::export::printable;
use serde_json::{Value, json};

use super::{Outcome, success};
use crate::cli::args::ConfigArgs;
use crate::cli::settings::{self, Failure, Origin, Resolved, Seen, SettingEntry};
use crate::cli::{address, decide, environment, output};

/// What is shown of a value that may hold a secret.
const SECRET: &str = "(set)";

/// The settings that say how to get in, in place of a token in a variable.
const ACCESS: [&str; 4] = ["token-file", "token-command", "source-profile", "source-ambient"];

/// Longer values push their origin to the right.
const VALUE_COLUMNS_MAX: usize = 40;

/// A setting in effect.
struct Setting {
    name: String,
    value: Value,
    origin: &'static str,
    variable: Option<String>,
    file: Option<SettingEntry>,
}

/// Runs `e3sync config`: what the call of a verb would go by.
pub fn run(arguments: &ConfigArgs, profile: Option<&str>) -> Outcome {
    let resolved = match settings::resolve(&call_of(arguments, profile)) {
        Ok(resolved) => resolved,
        Err(Failure::Settings(error)) => return Err(error),
        Err(failure) => return Ok(failure.report()),
    };
    let Some((verb, matches)) = resolved.matches.subcommand() else { return success() };
    let settings = settings_of(&resolved, verb, matches);
    // Behind the verb, `--json` is the verb's own; whoever types it there wants JSON all the same.
    if arguments.json || settings.iter().any(|setting| setting.name == "json" && setting.origin == "flag") {
        let settings = settings.iter().map(|setting| setting.json(verb));
        let _ = settings.chain(resolved.files.iter().map(json_of_file)).all(|document| output::json(&document));
    } else {
        let _ = lines(&settings, &resolved.files).into_iter().all(output::line);
    }
    success()
}

/// The command line that is asked about.
fn call_of(arguments: &ConfigArgs, profile: Option<&str>) -> Vec<OsString> {
    let (verb, rest) = match arguments.call.split_first() {
        Some((verb, rest)) => (verb.clone(), rest),
        None => ("sync".into(), [].as_slice()),
    };
    let profile = profile.into_iter().flat_map(|name| ["--profile".into(), name.into()]);
    ["e3sync".into(), verb].into_iter().chain(profile).chain(rest.iter().cloned()).collect()
}

/// The settings of a verb, in the order of its help.
fn settings_of(resolved: &Resolved, verb: &str, matches: &ArgMatches) -> Vec<Setting> {
    let Some(verb) = resolved.command.find_subcommand(verb) else { return Vec::new() };
    let all = verb.get_arguments().chain(resolved.command.get_arguments());
    let mut names = BTreeSet::new();
    let settings = all.filter_map(|argument| {
        let name = settings::name_of(argument).filter(|name| names.insert(name.clone()))?;
        Some(Setting::read(name, argument, matches, resolved.origin(argument, matches)))
    });
    let mut settings: Vec<Setting> = settings.map(Setting::or_elsewhere).collect();
    settings.extend(token(&settings));
    settings
}

/// The token itself, where a variable holds the one that the verb would use.
fn token(settings: &[Setting]) -> Option<Setting> {
    let access: Vec<&Setting> = settings.iter().filter(|setting| ACCESS.contains(&setting.name.as_str())).collect();
    if access.is_empty() || access.iter().any(|setting| setting.is_set()) {
        return None;
    }
    let variable = decide::TOKEN_VARIABLES.into_iter().find(|name| environment::variable(name).is_some())?;
    let origin = Origin::Variable(variable.to_owned());
    Some(Setting::new("(token)".to_owned(), SECRET.into(), origin))
}

impl Setting {
    fn new(name: String, value: Value, origin: Origin<'_>) -> Self {
        let (kind, variable, file) = match origin {
            Origin::Flag => ("flag", None, None),
            Origin::Variable(name) => ("variable", Some(name), None),
            Origin::File(entry) => ("file", None, Some(entry.clone())),
            Origin::Default => ("default", None, None),
        };
        Self { name, value, origin: kind, variable, file }
    }

    fn read(name: String, argument: &Arg, matches: &ArgMatches, origin: Origin<'_>) -> Self {
        let raw = matches.get_raw(argument.get_id().as_str()).into_iter().flatten();
        let mut texts: Vec<String> = raw.map(|text| text.to_string_lossy().into_owned()).collect();
        let value = if settings::is_switch(argument) {
            matches.get_flag(argument.get_id().as_str()).into()
        } else if argument.is_hide_env_values_set() && !texts.is_empty() {
            SECRET.into()
        } else if settings::is_list(argument) {
            texts.into()
        } else {
            texts.pop().map_or(Value::Null, Value::String)
        };
        Self::new(name, value, origin)
    }

    /// The destination also has the variable of the vendor's own tool.
    fn or_elsewhere(self) -> Self {
        let variable = address::DESTINATION_VARIABLE;
        match environment::variable(variable).filter(|_| self.name == "dest" && self.value.is_null()) {
            Some(value) => Self::new(self.name, value.into(), Origin::Variable(variable.to_owned())),
            None => self,
        }
    }

    fn is_set(&self) -> bool {
        !matches!(self.value, Value::Null | Value::Bool(false))
    }

    fn text(&self) -> String {
        match &self.value {
            Value::String(text) => text.clone(),
            Value::Array(texts) if texts.is_empty() => "-".to_owned(),
            Value::Array(texts) => texts.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(","),
            Value::Null => "-".to_owned(),
            other => other.to_string(),
        }
    }

    fn source(&self) -> String {
        match (&self.variable, &self.file) {
            (Some(variable), _) => variable.clone(),
            (_, Some(entry)) => {
                let profile = entry.profile.as_ref().map_or_else(String::new, |name| format!(", profile {name}"));
                format!("{} line {}{profile}", entry.path, entry.line)
            }
            (None, None) => self.origin.to_owned(),
        }
    }

    fn json(&self, verb: &str) -> Value {
        let file = self.file.as_ref();
        json!({
            "schema": 1, "event": "setting", "verb": verb, "name": self.name, "value": self.value,
            "origin": self.origin, "variable": self.variable, "path": file.map(|entry| &entry.path),
            "line": file.map(|entry| entry.line), "profile": file.and_then(|entry| entry.profile.as_ref()),
        })
    }
}

fn lines(settings: &[Setting], files: &[Seen]) -> Vec<String> {
    let width = settings.iter().map(|setting| setting.text().chars().count()).max().unwrap_or_default();
    let width = width.min(VALUE_COLUMNS_MAX);
    let settings = settings.iter().map(|setting| {
        // A value may be anything that a file holds; one setting stays one line.
        printable(&format!("{:<20}  {:<width$}  {}", setting.name, setting.text(), setting.source())).into_owned()
    });
    let files = files.iter().map(|seen| format!("{}: {}", seen.place.path.display(), state(seen)));
    settings.chain([String::new()]).chain(files).collect()
}

fn state(seen: &Seen) -> String {
    let Some(file) = &seen.file else { return "not there".to_owned() };
    let profiles: Vec<&str> = file.profiles().collect();
    if profiles.is_empty() {
        "read".to_owned()
    } else {
        format!("read, with profiles {}", printable(&profiles.join(", ")))
    }
}

fn json_of_file(seen: &Seen) -> Value {
    let profiles: Vec<&str> = seen.file.iter().flat_map(|file| file.profiles()).collect();
    json!({
        "schema": 1, "event": "settings_file", "path": seen.place.path.display().to_string(),
        "found": seen.file.is_some(), "profiles": profiles,
    })
}
