//! The arguments of `plan`.

use clap::Args;

use super::{DestinationArgs, OutputArgs, PlanningArgs, SelectionArgs, SourceArgs};

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  e3sync plan ./events                      what the next daily run would do, day by day
  e3sync plan ./events --last 30d --json    the same of 30 days, for a program
  e3sync plan ./events --exit-code --quiet  ends with 10 if there is something to do")]
pub struct PlanArgs {
    #[command(flatten)]
    pub destination: DestinationArgs,
    #[command(flatten)]
    pub selection: SelectionArgs,
    #[command(flatten)]
    pub planning: PlanningArgs,
    #[command(flatten)]
    pub source: SourceArgs,
    #[command(flatten)]
    pub output: OutputArgs,
    /// Exit with 10 if there are changes
    #[arg(long)]
    pub exit_code: bool,
}
