//! A settings file: names and values with the lines that they stand in, checked as a whole.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;

use clap::error::{ContextKind, ContextValue};
use clap::{Arg, Command};
use e3sync::error::{Error, ErrorKind, Result};
use e3sync::export::printable;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::catalog::{Catalog, is_list, is_number, is_switch};
use super::trust;

/// The table that holds the profiles.
const PROFILES: &str = "profile";

/// A place for a settings file.
#[derive(Clone, Debug)]
pub struct SettingsLocation {
    /// Its path, as messages show it.
    pub path: PathBuf,
    /// Whether it lies in the working directory, whose author may be anybody.
    pub is_local: bool,
}

/// A setting as it stands in a file.
#[derive(Clone, Debug)]
pub struct SettingEntry {
    pub name: String,
    /// As they would be typed.
    pub values: Vec<String>,
    /// Whether it only turns something off, or names nothing.
    pub is_off: bool,
    /// The path as messages show it.
    pub path: String,
    pub line: usize,
    pub profile: Option<String>,
}

/// A settings file whose every line is right.
pub struct SettingsFile {
    top: Vec<SettingEntry>,
    profiles: BTreeMap<String, Vec<SettingEntry>>,
}

impl SettingsFile {
    /// Reads and checks a file, also what the present call has no use for.
    pub fn parse(place: &SettingsLocation, text: &str, catalog: &Catalog) -> Result<Self> {
        let reader = Reader { place, text, catalog };
        let document = DeTable::parse(text).map_err(|error| {
            reader
                .refuse(error.span().unwrap_or(0..0), error.message())
                .with_hint("a settings file is TOML: name = \"value\"")
        })?;
        let document = document.into_inner();
        let mut profiles = BTreeMap::new();
        if let Some((key, value)) = document.get_key_value(PROFILES) {
            for (name, table) in in_order(reader.table(key.span(), value.get_ref())?) {
                let entries = reader.entries(reader.table(name.span(), table.get_ref())?, Some(name.get_ref()))?;
                profiles.insert(name.get_ref().to_string(), entries);
            }
        }
        Ok(Self { top: reader.entries(&document, None)?, profiles })
    }

    /// The names of its profiles.
    pub fn profiles(&self) -> impl Iterator<Item = &str> {
        self.profiles.keys().map(String::as_str)
    }

    /// Whether it has this profile.
    pub fn has_profile(&self, name: &str) -> bool {
        self.profiles.contains_key(name)
    }

    /// Its layers, the highest first.
    pub fn layers(&self, profile: Option<&str>) -> Vec<&[SettingEntry]> {
        let profile = profile.and_then(|name| self.profiles.get(name));
        profile.into_iter().chain([&self.top]).map(Vec::as_slice).collect()
    }
}

type Pair<'a, 'text> = (&'a Spanned<std::borrow::Cow<'text, str>>, &'a Spanned<DeValue<'text>>);

/// A table's lines as they stand in the file, so that the first mistake is the first one told.
fn in_order<'a, 'text>(table: &'a DeTable<'text>) -> Vec<Pair<'a, 'text>> {
    let mut pairs: Vec<_> = table.iter().collect();
    pairs.sort_by_key(|(key, _)| key.span().start);
    pairs
}

struct Reader<'a> {
    place: &'a SettingsLocation,
    text: &'a str,
    catalog: &'a Catalog,
}

impl Reader<'_> {
    fn line(&self, span: &Range<usize>) -> usize {
        let before = self.text.as_bytes().get(..span.start).unwrap_or(self.text.as_bytes());
        before.iter().filter(|byte| **byte == b'\n').count() + 1
    }

    fn refuse(&self, span: Range<usize>, reason: impl std::fmt::Display) -> Error {
        let (path, line) = (self.place.path.display(), self.line(&span));
        // Names and values are whatever the file holds, and may not steer a terminal.
        let reason = reason.to_string();
        Error::new(ErrorKind::Usage, format!("{path} line {line}: {}", printable(&reason)))
    }

    fn table<'v, 'text>(&self, span: Range<usize>, value: &'v DeValue<'text>) -> Result<&'v DeTable<'text>> {
        value.as_table().ok_or_else(|| {
            self.refuse(span, "`profile` holds named tables").with_hint("write [profile.NAME] and settings below it")
        })
    }

    fn entries(&self, table: &DeTable<'_>, profile: Option<&str>) -> Result<Vec<SettingEntry>> {
        let mut entries: Vec<SettingEntry> = Vec::new();
        for (key, value) in in_order(table) {
            if profile.is_some() || key.get_ref() != PROFILES {
                let entry = self.entry(key, value, profile)?;
                self.check_choice(&entries, &entry, key.span())?;
                entries.push(entry);
            }
        }
        Ok(entries)
    }

    fn entry(
        &self,
        key: &Spanned<std::borrow::Cow<'_, str>>,
        value: &Spanned<DeValue<'_>>,
        profile: Option<&str>,
    ) -> Result<SettingEntry> {
        let name = key.get_ref().to_string();
        let Some(argument) = self.catalog.get(&name) else {
            let (reason, hint) = self.catalog.explain(&name);
            let hint = value.get_ref().as_table().map_or(hint, |table| about_table(&name, table, profile));
            return Err(self.refuse(key.span(), reason).with_hint(hint));
        };
        let values = values_of(argument, value.get_ref()).ok_or_else(|| {
            let reason = format!("`{name}` is {}, not {}", expected(argument), a(value.get_ref().type_str()));
            self.refuse(value.span(), reason).with_hint(example(argument, &name))
        })?;
        for value in &values {
            self.check(argument, &name, value, key.span())?;
        }
        let is_off = values.is_empty() || (is_switch(argument) && values == ["false"]);
        let (path, line) = (self.place.path.display().to_string(), self.line(&key.span()));
        Ok(SettingEntry { name, values, is_off, path, line, profile: profile.map(str::to_owned) })
    }

    /// The parser compares only what is typed; in one table, one of two would be passed over in silence.
    fn check_choice(&self, before: &[SettingEntry], entry: &SettingEntry, span: Range<usize>) -> Result<()> {
        let rivals = before.iter().filter(|other| !other.is_off && !entry.is_off);
        match rivals.into_iter().find(|other| self.catalog.exclude_each_other(&other.name, &entry.name)) {
            Some(other) => {
                let reason = format!("`{}` and `{}` of line {} exclude each other", entry.name, other.name, other.line);
                Err(self.refuse(span, reason).with_hint("keep one of them; a profile can have the other"))
            }
            None => Ok(()),
        }
    }

    fn check(&self, argument: &Arg, name: &str, value: &str, span: Range<usize>) -> Result<()> {
        if self.place.is_local
            && let Some(reason) = trust::refuse(name, value)
        {
            return Err(self.refuse(span, reason).with_hint(
                "put it into your own settings (`e3sync config` names the file), a variable, or the command",
            ));
        }
        if value == "~" || value.starts_with("~/") {
            let reason = format!("`~` in `{name}` is not replaced by the home folder");
            return Err(self.refuse(span, reason).with_hint("write the whole path"));
        }
        match objection(argument, value) {
            Some((reason, hint)) => {
                let error = self.refuse(span, format!("`{name}` cannot be `{value}`{reason}"));
                Err(error.with_hint(hint.unwrap_or_else(|| example(argument, name))))
            }
            None => Ok(()),
        }
    }
}

/// A value as it would be typed; `None` where it has the wrong type.
fn values_of(argument: &Arg, value: &DeValue<'_>) -> Option<Vec<String>> {
    if is_switch(argument) {
        return Some(vec![value.as_bool()?.to_string()]);
    }
    match value.as_array() {
        Some(values) if is_list(argument) => values.iter().map(|value| text_of(value.get_ref())).collect(),
        _ => Some(vec![text_of(value)?]),
    }
}

fn text_of(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) if number.radix() == 10 => Some(number.as_str().to_owned()),
        DeValue::Datetime(day) if day.date.is_some() && day.time.is_none() => Some(day.to_string()),
        _ => None,
    }
}

/// What to do about a table that is no setting.
fn about_table(name: &str, table: &DeTable<'_>, profile: Option<&str>) -> String {
    let hint = match (profile, in_order(table).first()) {
        (Some(profile), _) => format!("a profile has no tables; write its settings below [profile.{profile}]"),
        (None, Some((first, value))) if value.get_ref().is_table() => format!("write [profile.{}]", first.get_ref()),
        (None, _) => format!("write settings above all tables, or below [profile.{name}] for --profile {name}"),
    };
    printable(&hint).into_owned()
}

fn expected(argument: &Arg) -> &'static str {
    if is_switch(argument) {
        "true or false"
    } else if is_list(argument) {
        "a list of strings"
    } else if is_number(argument) {
        "a whole number"
    } else {
        "a string"
    }
}

fn a(kind: &str) -> String {
    let article = if kind.starts_with(['a', 'i']) { "an" } else { "a" };
    format!("{article} {kind}")
}

fn example(argument: &Arg, name: &str) -> String {
    if is_switch(argument) {
        format!("write {name} = true")
    } else if is_list(argument) {
        format!("write {name} = [\"...\"]; the help says what can stand there")
    } else if is_number(argument) {
        format!("write {name} = 5; the help says what can stand there")
    } else {
        format!("write {name} = \"...\"; the help says what can stand there")
    }
}

/// What the option's own parser says against a value, and a hint.
fn objection(argument: &Arg, value: &str) -> Option<(String, Option<String>)> {
    if is_switch(argument) {
        return None;
    }
    let mut alone = Arg::new("value").long("value").value_parser(argument.get_value_parser().clone());
    alone = alone.action(argument.get_action().clone()).allow_hyphen_values(true);
    if let Some(delimiter) = argument.get_value_delimiter() {
        alone = alone.value_delimiter(delimiter);
    }
    let command = Command::new("setting").no_binary_name(true).disable_help_flag(true).arg(alone);
    let error = command.try_get_matches_from([format!("--value={value}")]).err()?;
    let reason = std::error::Error::source(&error).map_or_else(String::new, |cause| format!(": {cause}"));
    let hint = match error.get(ContextKind::ValidValue) {
        Some(ContextValue::Strings(names)) if !names.is_empty() => Some(format!("one of: {}", names.join(", "))),
        _ => None,
    };
    Some((reason, hint))
}
