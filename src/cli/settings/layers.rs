//! Which layer decides which option.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;

use clap::builder::{FalseyValueParser, TypedValueParser as _};
use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Command};

use super::catalog::{is_switch, name_of};
use super::file::SettingEntry;
use crate::cli::environment;

/// What the command line alone says.
pub struct Typed {
    pub verb: String,
    pub profile: Option<String>,
    pub log_format: Option<String>,
    options: BTreeSet<String>,
}

impl Typed {
    /// Reads the command line without the environment; `None` if it only asks for help, or names no
    /// verb. Mistakes are left to the parser that comes after.
    pub fn read(command: &Command, arguments: &[OsString]) -> Option<Self> {
        let bare = command.clone().mut_args(without_variable);
        let bare = bare.mut_subcommands(|verb| verb.mut_args(without_variable)).ignore_errors(true);
        let matches = bare.try_get_matches_from(arguments).ok()?;
        let (verb, matches) = matches.subcommand()?;
        let of = |name: &str| typed_or_variable(matches, name);
        let options = matches.ids().filter(|id| is_typed(matches, id.as_str())).map(|id| id.as_str().to_owned());
        Some(Self {
            verb: verb.to_owned(),
            profile: of("profile"),
            log_format: of("log_format"),
            options: options.collect(),
        })
    }
}

fn without_variable(argument: Arg) -> Arg {
    argument.env(None::<&'static str>)
}

fn is_typed(matches: &ArgMatches, id: &str) -> bool {
    matches.value_source(id) == Some(ValueSource::CommandLine)
}

/// An option of all verbs, needed before the files are read.
fn typed_or_variable(matches: &ArgMatches, id: &str) -> Option<String> {
    let raw = matches.try_get_raw(id).ok().flatten().filter(|_| is_typed(matches, id));
    let typed = raw.and_then(|mut values| values.next()).map(|value| value.to_string_lossy().into_owned());
    typed.or_else(|| environment::variable(&format!("E3SYNC_{}", id.to_ascii_uppercase())))
}

/// Lets the files' values stand for defaults where no higher layer decides; gives the entries that
/// do, by option.
pub fn apply(
    command: &Command,
    typed: &Typed,
    layers: Vec<&[SettingEntry]>,
) -> (Command, BTreeMap<String, SettingEntry>) {
    let Some(verb) = command.find_subcommand(&typed.verb) else { return (command.clone(), BTreeMap::new()) };
    let mut decided = Decided { rivals: rivals(verb), ..Decided::default() };
    decided.decide(typed.options.iter().map(|id| (id.clone(), false)).collect());
    let overruled: BTreeSet<String> =
        verb.get_arguments().map(id_of).filter(|id| decided.is_decided(id) && !typed.options.contains(id)).collect();
    let all = || command.get_arguments().chain(verb.get_arguments());
    let set = all().filter(|argument| !overruled.contains(&id_of(argument)));
    decided.decide(set.filter_map(|argument| Some((id_of(argument), is_off_by_variable(argument)?))).collect());

    let ids: BTreeMap<String, String> = all().filter_map(|it| Some((name_of(it)?, id_of(it)))).collect();
    let mut chosen = BTreeMap::new();
    for layer in layers {
        let of_verb = layer.iter().filter_map(|entry| Some((ids.get(&entry.name)?, entry)));
        let open: Vec<_> = of_verb.filter(|(id, _)| !decided.is_decided(id)).collect();
        decided.decide(open.iter().map(|(id, entry)| ((*id).clone(), entry.is_off)).collect());
        chosen.extend(open.into_iter().map(|(id, entry)| (id.clone(), entry.clone())));
    }
    let set = |argument: Arg| {
        let id = id_of(&argument);
        let argument = if overruled.contains(&id) { without_variable(argument) } else { argument };
        match chosen.get(&id) {
            Some(entry) => argument.default_values(entry.values.clone()),
            None => argument,
        }
    };
    let command = command.clone().mut_args(set).mut_subcommand(&typed.verb, |verb| verb.mut_args(set));
    (command, chosen)
}

fn id_of(argument: &Arg) -> String {
    argument.get_id().as_str().to_owned()
}

/// Schedulers leave a variable empty that they have nothing for: it says nothing.
pub fn without_empty_variables(command: Command) -> Command {
    let unset = |argument: Arg| {
        if argument.get_env().is_some_and(environment::is_empty) { without_variable(argument) } else { argument }
    };
    command.mut_args(unset).mut_subcommands(|verb| verb.mut_args(unset))
}

/// Whether a variable says something about an option, and if so, whether it only turns it off.
fn is_off_by_variable(argument: &Arg) -> Option<bool> {
    let value = environment::value(argument.get_env()?)?;
    let is_on = || FalseyValueParser::new().parse_ref(&Command::new("switch"), None, &value).unwrap_or(true);
    Some(is_switch(argument) && !is_on())
}

/// The options of a verb that each option excludes, whichever of the two says so.
fn rivals(verb: &Command) -> BTreeMap<String, BTreeSet<String>> {
    let mut rivals: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for argument in verb.get_arguments() {
        for other in verb.get_arg_conflicts_with(argument) {
            rivals.entry(id_of(argument)).or_default().insert(id_of(other));
            rivals.entry(id_of(other)).or_default().insert(id_of(argument));
        }
    }
    rivals
}

/// What the layers so far have decided.
#[derive(Default)]
struct Decided {
    rivals: BTreeMap<String, BTreeSet<String>>,
    options: BTreeSet<String>,
    set_aside: BTreeSet<String>,
}

impl Decided {
    fn is_decided(&self, id: &str) -> bool {
        self.options.contains(id) || self.set_aside.contains(id)
    }

    /// Takes a layer's options; one that is only turned off leaves the others to lower layers.
    fn decide(&mut self, layer: Vec<(String, bool)>) {
        for (id, is_off) in layer {
            let rivals = self.rivals.get(&id).filter(|_| !is_off);
            self.set_aside.extend(rivals.into_iter().flatten().cloned());
            self.options.insert(id);
        }
    }
}
