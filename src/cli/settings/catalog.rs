//! Which settings there are: the options of any verb that have a variable.

use std::any::TypeId;
use std::collections::{BTreeMap, BTreeSet};

use clap::{Arg, ArgAction, Command};

/// What every variable for an option begins with.
const VARIABLES: &str = "E3SYNC_";

/// Options with a variable that choose among settings, and so cannot be settings.
const NOT_IN_FILES: [&str; 1] = ["profile"];

/// Names under which people would look for a place for the token itself.
const TOKENS: [&str; 6] = ["token", "api-token", "optimizely-api-token", "optimizely-pat", "pat", "api-key"];

/// The words of the vendor's own tool that are settings under another name.
const WORDS: [(&str, &str); 1] = [("output", "dest")];

/// So alike must a name be to be offered in place of an unknown one.
const LIKENESS_MIN: f64 = 0.7;

/// The settings of all verbs by name, and what else is an option.
pub struct Catalog {
    settings: BTreeMap<String, Arg>,
    aliases: BTreeMap<String, String>,
    typed_only: BTreeSet<String>,
    exclusions: BTreeSet<(String, String)>,
}

/// The name of an option in a settings file: that of its variable, in the spelling of its flag.
pub fn name_of(argument: &Arg) -> Option<String> {
    let variable = argument.get_env()?.to_str()?.strip_prefix(VARIABLES)?;
    let name = variable.to_ascii_lowercase().replace('_', "-");
    (!NOT_IN_FILES.contains(&name.as_str())).then_some(name)
}

/// Whether an option is a switch, on or off.
pub fn is_switch(argument: &Arg) -> bool {
    matches!(argument.get_action(), ArgAction::SetTrue | ArgAction::SetFalse)
}

/// Whether an option takes a whole number.
pub fn is_number(argument: &Arg) -> bool {
    let kind = argument.get_value_parser().type_id();
    // What counts days is written 7d as well.
    let is_days = argument.get_value_names().is_some_and(|names| names == ["DAYS"]);
    !is_days && [TypeId::of::<u8>(), TypeId::of::<u16>(), TypeId::of::<u32>()].into_iter().any(|number| kind == number)
}

/// Whether an option can be given more than once.
pub fn is_list(argument: &Arg) -> bool {
    matches!(argument.get_action(), ArgAction::Append)
}

impl Catalog {
    /// The settings of a command and its verbs.
    pub fn of(command: &Command) -> Self {
        let mut catalog = Self {
            settings: BTreeMap::new(),
            aliases: BTreeMap::new(),
            typed_only: BTreeSet::new(),
            exclusions: BTreeSet::new(),
        };
        catalog.aliases.extend(WORDS.map(|(word, name)| (word.to_owned(), name.to_owned())));
        for arguments in std::iter::once(command).chain(command.get_subcommands()) {
            for argument in arguments.get_arguments() {
                catalog.add(argument);
                let others = arguments.get_arg_conflicts_with(argument).into_iter().filter_map(name_of);
                let name = name_of(argument);
                catalog.exclusions.extend(others.filter_map(|other| Some((name.clone()?, other))));
            }
        }
        let is_setting = |name: &String| catalog.settings.contains_key(name);
        catalog.typed_only.retain(|name| !is_setting(name) && !catalog.aliases.contains_key(name));
        catalog
    }

    fn add(&mut self, argument: &Arg) {
        let Some(name) = name_of(argument) else {
            self.typed_only.extend(argument.get_long().map(str::to_owned));
            return;
        };
        for alias in argument.get_all_aliases().unwrap_or_default() {
            self.aliases.insert(alias.to_owned(), name.clone());
        }
        self.settings.entry(name).or_insert_with(|| argument.clone());
    }

    /// The option behind a name.
    pub fn get(&self, name: &str) -> Option<&Arg> {
        self.settings.get(name)
    }

    /// Whether two settings cannot be used together.
    pub fn exclude_each_other(&self, one: &str, other: &str) -> bool {
        let is_listed = |from: &str, to: &str| self.exclusions.contains(&(from.to_owned(), to.to_owned()));
        is_listed(one, other) || is_listed(other, one)
    }

    /// What is wrong with a name that is no setting, and what to do instead.
    pub fn explain(&self, name: &str) -> (String, String) {
        let spelled = name.to_ascii_lowercase().replace('_', "-");
        if TOKENS.contains(&spelled.as_str()) {
            return (
                "a token cannot stand in a settings file".to_owned(),
                "name a file with token-file or, in your own settings, a command with token-command".to_owned(),
            );
        }
        if self.typed_only.contains(&spelled) || NOT_IN_FILES.contains(&spelled.as_str()) {
            return (format!("`{name}` cannot stand in a settings file"), format!("give --{spelled} with the command"));
        }
        let unknown = format!("there is no setting `{name}`");
        let exact = self.settings.get_key_value(&spelled).map(|(name, _)| name).or_else(|| self.aliases.get(&spelled));
        match exact.map(String::as_str).or_else(|| self.nearest(&spelled)) {
            Some(near) if exact.is_some() => (unknown, format!("write {near}")),
            Some(near) => (unknown, format!("did you mean {near}?")),
            None => (unknown, "`e3sync config` shows the settings of a verb".to_owned()),
        }
    }

    fn nearest(&self, name: &str) -> Option<&str> {
        let likeness = |known: &str| strsim::jaro_winkler(name, known);
        let near = self.settings.keys().map(String::as_str).map(|known| (likeness(known), known));
        let near = near.filter(|(likeness, _)| *likeness > LIKENESS_MIN);
        near.max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, known)| known)
    }
}
