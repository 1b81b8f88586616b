//! Runs `completions`: prints the script that completes commands in a shell.

use clap::builder::PossibleValuesParser;
use clap::{Command, CommandFactory as _};

use super::{Outcome, success};
use crate::cli::args::Arguments;
use crate::cli::args::CompletionsArgs;
use crate::cli::output;

/// Runs `e3sync completions`.
pub fn run(arguments: &CompletionsArgs) -> Outcome {
    // Into memory first: the generator panics where a reader goes away.
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut offered(), "e3sync", &mut script);
    output::text(&String::from_utf8_lossy(&script));
    success()
}

/// The command as it is offered: `config` takes the name of a verb, though it parses a whole call.
fn offered() -> Command {
    let mut command = shown(&Arguments::command());
    let verbs: Vec<String> = command.get_subcommands().map(|verb| verb.get_name().to_owned()).collect();
    if let Some(config) = command.find_subcommand_mut("config") {
        *config = config.clone().mut_arg("call", |call| call.value_parser(PossibleValuesParser::new(verbs)));
    }
    command
}

/// A command without the options that its help does not show; the generator would offer them.
fn shown(command: &Command) -> Command {
    let options = command.get_arguments().filter(|option| !option.is_hide_set()).cloned();
    let mut shown = Command::new(command.get_name().to_owned()).propagate_version(true).args(options);
    shown = command.get_about().cloned().into_iter().fold(shown, Command::about);
    shown = command.get_version().map(str::to_owned).into_iter().fold(shown, Command::version);
    shown.subcommands(command.get_subcommands().filter(|verb| !verb.is_hide_set()).map(self::shown))
}
