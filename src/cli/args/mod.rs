//! The arguments exactly as typed: a file for each group of options or verbs.

mod auth;
mod completions;
mod config;
mod destination;
mod doctor;
mod ls;
mod network;
mod oauth;
mod parsers;
mod plan;
mod selection;
#[cfg(feature = "simulator")]
mod simulate;
mod source;
mod sql;
mod status;
mod sync;
mod together;
mod transfer;
mod verify;

use clap::{Parser, Subcommand};

pub use self::auth::{AuthArgs, AuthFormat};
pub use self::completions::{CompletionsArgs, ManArgs};
pub use self::config::ConfigArgs;
pub use self::destination::{BucketArgs, DestinationArgs};
pub use self::doctor::DoctorArgs;
pub use self::ls::LsArgs;
pub use self::network::NetworkArgs;
pub use self::oauth::{ApplicationArgs, ClientAuthArg, GrantArg, LoginArgs, LogoutArgs, OAuthArgs};
pub use self::parsers::ShardArg;
pub use self::plan::PlanArgs;
pub use self::selection::{PlanningArgs, ReadyArg, SelectionArgs};
#[cfg(feature = "simulator")]
pub use self::simulate::{DemoArgs, SimulateArgs, SimulatorArgs};
pub use self::source::{SourceArg, SourceArgs};
pub use self::sql::{EngineArg, SqlArgs};
pub use self::status::StatusArgs;
pub use self::sync::SyncArgs;
pub use self::together::TogetherArgs;
pub use self::transfer::{OutputArgs, TransferArgs};
pub use self::verify::{ExportManifestArgs, FormArg, VerifyArgs};
use super::output::LogFormat;

const EXAMPLES: &str = "\
Examples:
  export OPTIMIZELY_API_TOKEN=...           a Personal Access Token of the account
  e3sync ls --last 7d                       what the export has
  e3sync sync ./events --last 30d           the first backfill
  e3sync sync ./events                      every day after that
  e3sync sync s3://my-lake/optimizely       the same into a bucket of your own
  e3sync plan ./events                      what sync would do, and why
  e3sync status ./events                    a calendar of what is here
  e3sync verify ./events                    every file against its manifest
  e3sync sql duckdb ./events                views over it; also Spark, Athena, BigQuery, Snowflake
  eval \"$(e3sync auth)\"                     credentials for aws-cli, DuckDB, Spark

Exit codes: 0 all published; 1 failed; 2 usage; 3 partly done, run again; 4 refused; 5 a difference;
6 not ready at the source; 7 held by another run; 10 plan --exit-code found changes;
75 temporary, run again later; 130, 143 stopped.";

/// Mirror Optimizely's Experimentation Events Export: every event exactly once, verified, resumable,
/// with credentials renewed in the middle of anything.
#[derive(Debug, Parser)]
#[command(name = "e3sync", version, after_help = EXAMPLES, max_term_width = 100, propagate_version = true)]
pub struct Arguments {
    #[command(subcommand)]
    pub command: Command,
    /// Use this profile of the settings files
    #[arg(long, global = true, value_name = "NAME", help_heading = "Settings", env = "E3SYNC_PROFILE")]
    pub profile: Option<String>,
    /// How messages on standard error look
    #[arg(long, global = true, value_name = "FORMAT", value_enum, help_heading = "Settings", default_value_t = LogFormat::Text, env = "E3SYNC_LOG_FORMAT", hide_short_help = true)]
    pub log_format: LogFormat,
    #[command(flatten)]
    pub network: NetworkArgs,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Mirror the export into a directory or bucket: plan, transfer, verify, publish day by day
    Sync(Box<SyncArgs>),
    /// Show what sync would do, and why; changes nothing
    Plan(Box<PlanArgs>),
    /// List what the export has
    Ls(Box<LsArgs>),
    /// Print temporary credentials for other tools
    Auth(Box<AuthArgs>),
    /// Show a calendar of the days that a destination has; needs no token
    Status(Box<StatusArgs>),
    /// Check token, credentials, clock, listing, reading and the destination; explain what fails
    Doctor(Box<DoctorArgs>),
    /// Let an OAuth application act for you; keeps its refresh token
    Login(Box<LoginArgs>),
    /// Forget the refresh token of a login
    Logout(Box<LogoutArgs>),
    /// Compare a destination with its manifests, file by file; needs no token
    Verify(Box<VerifyArgs>),
    /// Print what is published in the forms that other tools take; needs no token
    ExportManifest(Box<ExportManifestArgs>),
    /// Show the settings in effect and where each comes from
    Config(Box<ConfigArgs>),
    /// Print a script that completes commands in a shell
    Completions(CompletionsArgs),
    /// Write manual pages into a directory
    Man(ManArgs),
    /// Print statements that make a mirror readable as tables; needs no token
    Sql(Box<SqlArgs>),
    /// Serve a whole fake export on loopback, to rehearse without an account
    #[cfg(feature = "simulator")]
    Simulate(Box<SimulateArgs>),
    /// Simulate an export, mirror it and show its calendar, all in a temporary directory
    #[cfg(feature = "simulator")]
    Demo(Box<DemoArgs>),
}

impl Arguments {
    /// Whether standard output is for machines.
    pub fn is_json(&self) -> bool {
        match &self.command {
            Command::Sync(arguments) => arguments.output.json,
            Command::Plan(arguments) => arguments.output.json,
            Command::Ls(arguments) => arguments.json,
            Command::Status(arguments) => arguments.json,
            Command::Doctor(arguments) => arguments.json,
            Command::Verify(arguments) => arguments.output.json,
            Command::Config(arguments) => arguments.json,
            _ => false,
        }
    }
}
