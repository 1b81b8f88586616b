use clap::CommandFactory as _;

use super::Outcome;
use crate::cli::args::Arguments;
use crate::cli::args::CompletionsArgs;
use crate::cli::{output, success};

/// Runs `e3sync completions`.
pub fn run(arguments: &CompletionsArgs) -> Outcome {
    // Into memory first: the generator panics where a reader goes away.
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Arguments::command(), "e3sync", &mut script);
    output::text(&String::from_utf8_lossy(&script));
    success()
}
