//! The arguments of `sync`.

use std::path::PathBuf;

use clap::Args;
use clap::builder::FalseyValueParser;

use super::parsers::path;
use super::{DestinationArgs, OutputArgs, PlanningArgs, SelectionArgs, SourceArgs, TogetherArgs, TransferArgs};
use crate::cli::units::Span;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  e3sync sync ./events --from 2026-03-01 --to 2026-03-07
  e3sync sync ./events --type events --event add_to_cart --last 14d
  e3sync sync ./events                      incremental: fills gaps, finds rewritten days
  e3sync sync ./events --last 7d --dry-run  the plan only
  e3sync sync s3://my-lake/optimizely --last 7d --dest-profile lake --sse aws:kms
  e3sync sync gs://my-lake/optimizely --last 7d --storage-class NEARLINE
  e3sync sync /mnt/lake --last 90d --shard 2/4    on the second of four machines")]
pub struct SyncArgs {
    #[command(flatten)]
    pub destination: DestinationArgs,
    #[command(flatten)]
    pub selection: SelectionArgs,
    #[command(flatten)]
    pub planning: PlanningArgs,
    #[command(flatten)]
    pub source: SourceArgs,
    #[command(flatten)]
    pub transfer: TransferArgs,
    #[command(flatten)]
    pub together: TogetherArgs,
    #[command(flatten)]
    pub output: OutputArgs,
    /// Show the plan and change nothing
    #[arg(long, help_heading = "Planning", env = "E3SYNC_DRY_RUN", value_parser = FalseyValueParser::new())]
    pub dry_run: bool,
    /// Keep replaced days aside below _e3sync/superseded instead of deleting them
    #[arg(long, help_heading = "Transfer", env = "E3SYNC_KEEP_SUPERSEDED", value_parser = FalseyValueParser::new())]
    pub keep_superseded: bool,
    /// Take no locks in a directory: for mounts without file locks. Nothing keeps two runs apart then
    #[arg(long, help_heading = "Transfer", env = "E3SYNC_NO_LOCK", value_parser = FalseyValueParser::new())]
    pub no_lock: bool,
    /// How long a replaced day stays in _e3sync/replaced of a directory, for readers that have it open
    #[arg(long, value_name = "TIME", help_heading = "Transfer", default_value = "1h", env = "E3SYNC_KEEP_REPLACED")]
    pub keep_replaced: Span,

    /// Write a JSON document about the run to this file when it ends, or fails to begin; - for standard
    /// output, in place of the summary. A dry run writes none
    #[arg(long, value_parser = path(), value_name = "FILE", env = "E3SYNC_REPORT")]
    pub report: Option<PathBuf>,
    /// Write the run's numbers to this file for Prometheus's textfile collector. A dry run writes none
    #[arg(long, value_parser = path(), value_name = "FILE", env = "E3SYNC_METRICS_FILE")]
    pub metrics_file: Option<PathBuf>,
}
