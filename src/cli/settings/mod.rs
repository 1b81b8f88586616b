//! Settings from files: what stands in them becomes the default of the command line's options, so
//! that one set of parsers, types and messages serves every layer.
//!
//! The layers, highest first: what is typed, variables, `./e3sync.toml`, the user's own file; inside
//! a file the chosen profile stands above the rest. What a layer turns on sets aside what lower ones
//! say about the options that it excludes.

mod catalog;
mod failure;
mod file;
mod layers;
mod places;
mod trust;

use std::collections::BTreeMap;
use std::ffi::OsString;

use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Command, CommandFactory as _, ValueEnum as _};
use e3sync::error::{Error, ErrorKind, Result};
use e3sync::export::printable;

use self::catalog::Catalog;
pub use self::catalog::{is_list, is_switch, name_of};
pub use self::failure::Failure;
pub use self::file::SettingEntry;
use self::file::SettingsFile;
use self::layers::Typed;
pub use self::places::Seen;
use super::args::Arguments;
use super::output::{self, LogFormat};

/// Verbs that take no settings, and work where a file is broken.
const VERBS_WITHOUT_SETTINGS: [&str; 2] = ["completions", "man"];

/// A command line together with all that stands behind it.
pub struct Resolved {
    /// The command without what the files and the layers made of it.
    pub command: Command,
    /// What clap made of it.
    pub matches: ArgMatches,
    /// The files that were looked for.
    pub files: Vec<Seen>,
    chosen: BTreeMap<String, SettingEntry>,
}

/// Where an option's value comes from.
pub enum Origin<'a> {
    /// It was typed.
    Flag,
    /// This variable.
    Variable(String),
    /// This line of a file.
    File(&'a SettingEntry),
    /// Nobody said anything.
    Default,
}

/// Parses a command line over the environment and the settings files.
pub fn resolve(arguments: &[OsString]) -> std::result::Result<Resolved, Failure> {
    let command = Arguments::command();
    let mut decided = command.clone();
    let mut files = Vec::new();
    let mut chosen = BTreeMap::new();
    let typed = Typed::read(&command, arguments);
    if let Some(typed) = &typed
        && !VERBS_WITHOUT_SETTINGS.contains(&typed.verb.as_str())
    {
        // The files are not read yet, and what is wrong with them is to be told in the right form.
        if let Some(Ok(format)) = typed.log_format.as_deref().map(|name| LogFormat::from_str(name, true)) {
            output::set_log_format(format);
        }
        let catalog = Catalog::of(&command);
        let read = read_all(&catalog).map_err(Failure::Settings)?;
        check_profile(typed.profile.as_deref(), &read).map_err(Failure::Settings)?;
        let layers = read.iter().filter_map(|seen| seen.file.as_ref());
        let layers = layers.flat_map(|file| file.layers(typed.profile.as_deref())).collect();
        (decided, chosen) = layers::apply(&command, typed, layers);
        files = read;
    }
    // Help names the variables all the same.
    if typed.is_some() {
        decided = layers::without_empty_variables(decided);
    }
    let matches = decided.try_get_matches_from(arguments).map_err(Failure::CommandLine)?;
    Ok(Resolved { command, matches, files, chosen })
}

fn read_all(catalog: &Catalog) -> Result<Vec<Seen>> {
    places::all().into_iter().map(|place| places::look(place, catalog)).collect()
}

fn check_profile(profile: Option<&str>, files: &[Seen]) -> Result<()> {
    let Some(profile) = profile else { return Ok(()) };
    let found = || files.iter().filter_map(|seen| seen.file.as_ref());
    if found().any(|file| file.has_profile(profile)) {
        return Ok(());
    }
    let mut names: Vec<&str> = found().flat_map(SettingsFile::profiles).collect();
    names.sort_unstable();
    names.dedup();
    let hint = if names.is_empty() {
        format!("write one into a settings file: [profile.{profile}]; `e3sync config` shows where they are looked for")
    } else {
        format!("there are: {}", printable(&names.join(", ")))
    };
    Err(Error::new(ErrorKind::Usage, format!("no settings file has the profile `{profile}`")).with_hint(hint))
}

impl Resolved {
    /// Where the value of one of a verb's options comes from.
    pub fn origin(&self, argument: &Arg, matches: &ArgMatches) -> Origin<'_> {
        match matches.value_source(argument.get_id().as_str()) {
            Some(ValueSource::CommandLine) => Origin::Flag,
            Some(ValueSource::EnvVariable) => {
                let name = argument.get_env().map(|name| name.to_string_lossy().into_owned());
                Origin::Variable(name.unwrap_or_default())
            }
            _ => self.chosen.get(argument.get_id().as_str()).map_or(Origin::Default, Origin::File),
        }
    }
}
