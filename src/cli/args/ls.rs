//! The arguments of `ls`.

use clap::Args;
use clap::builder::FalseyValueParser;

use super::{SelectionArgs, SourceArgs};

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  e3sync ls --last 7d                       a line for each day of each type
  e3sync ls --date yesterday --type events --paths
  e3sync ls --last 30d --event 'check*' --json")]
pub struct LsArgs {
    #[command(flatten)]
    pub selection: SelectionArgs,
    #[command(flatten)]
    pub source: SourceArgs,
    /// Print the address of every object with data, one on each line
    #[arg(long, help_heading = "Output")]
    pub paths: bool,
    /// Print one JSON document on each line
    #[arg(long, help_heading = "Output", env = "E3SYNC_JSON", value_parser = FalseyValueParser::new(), conflicts_with = "paths")]
    pub json: bool,
}
