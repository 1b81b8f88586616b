//! The verbs that read the export.

use std::path::PathBuf;

use clap::builder::FalseyValueParser;
use clap::{Args, ValueEnum};

use super::{DestinationArgs, OutputArgs, PlanningArgs, SelectionArgs, SourceArgs, TransferArgs};
use crate::cli::units::Span;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  e3sync sync ./events --from 2026-03-01 --to 2026-03-07
  e3sync sync ./events --type events --event add_to_cart --last 14d
  e3sync sync ./events                      incremental: fills gaps, finds rewritten days
  e3sync sync ./events --last 7d --dry-run  the plan only
  e3sync sync s3://my-lake/optimizely --last 7d --dest-profile lake --sse aws:kms
  e3sync sync gs://my-lake/optimizely --last 7d --storage-class NEARLINE")]
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
    #[arg(long, value_name = "FILE", env = "E3SYNC_REPORT")]
    pub report: Option<PathBuf>,
    /// Write the run's numbers to this file for Prometheus's textfile collector. A dry run writes none
    #[arg(long, value_name = "FILE", env = "E3SYNC_METRICS_FILE")]
    pub metrics_file: Option<PathBuf>,
}

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

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  eval \"$(e3sync auth)\"                     for the shell; then: aws s3 ls \"$S3_BASE_PATH\"
  e3sync auth --format dotenv > .env
In ~/.aws/config, so that aws-cli and boto3 renew through e3sync:
  [profile optimizely]
  region = us-east-1
  credential_process = e3sync auth --format credential-process")]
pub struct AuthArgs {
    #[command(flatten)]
    pub source: SourceArgs,
    /// The form to print them in
    #[arg(long, help_heading = "Output", value_enum, default_value_t = AuthFormat::Env, env = "E3SYNC_AUTH_FORMAT")]
    pub format: AuthFormat,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum AuthFormat {
    /// `export NAME=VALUE` lines for a shell
    Env,
    /// One JSON document
    Json,
    /// NAME=VALUE lines
    Dotenv,
    /// What aws-cli and boto3 expect of a credential_process
    CredentialProcess,
}
