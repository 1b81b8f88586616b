//! The arguments exactly as typed.

mod verify;

use std::path::PathBuf;

use clap::builder::FalseyValueParser;
use clap::{Args, Parser, Subcommand, ValueEnum};
use e3sync::export::DaySpec;

pub use self::verify::{ExportManifestArgs, FormArg, VerifyArgs};
use super::commands::sql::SqlArgs;
use super::extra_args::{CompletionsArgs, ConfigArgs, ManArgs};
use super::output::LogFormat;
use super::units::{ByteRate, ByteSize, Span};

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
6 not ready at the source; 7 held by another run; 75 temporary, run again later; 130, 143 stopped.";

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
    /// Write a JSON document about the run to this file when it ends
    #[arg(long, value_name = "FILE", env = "E3SYNC_REPORT")]
    pub report: Option<PathBuf>,
    /// Write the run's numbers to this file for Prometheus's textfile collector
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
    #[arg(long, help_heading = "Output", value_enum, default_value_t = AuthFormat::Env)]
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

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  e3sync status ./events                    the calendar, gaps, sizes, the last run
  e3sync status ./events --last 90d --html status.html
  e3sync status s3://my-lake/optimizely --html - | aws s3 cp - s3://my-site/status.html
  e3sync status ./events --json | jq -r 'select(.state == \"missing\") | .date'
Needs no token: it reads manifests and the reports of the last runs, never the source.")]
pub struct StatusArgs {
    #[command(flatten)]
    pub destination: DestinationArgs,
    /// Only so many days up to yesterday
    #[arg(long, help_heading = "Selection", value_name = "DAYS", value_parser = parse_days)]
    pub last: Option<u32>,
    /// Write one self-contained page to this file instead; - for standard output
    #[arg(long, help_heading = "Output", value_name = "FILE", conflicts_with = "json")]
    pub html: Option<PathBuf>,
    /// The day to count as today [default: the present day in UTC]
    #[arg(long, help_heading = "Selection", value_name = "DAY", env = "E3SYNC_TODAY")]
    pub today: Option<String>,
    /// Print one JSON document on each line
    #[arg(long, help_heading = "Output", env = "E3SYNC_JSON", value_parser = FalseyValueParser::new())]
    pub json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  e3sync doctor                             the token and the export
  e3sync doctor ./events                    and a directory: room, leftovers
  e3sync doctor s3://my-lake/optimizely     and a bucket: permissions, unfinished uploads
Exits with what a run would end with that meets the first failure; 0 where all is well.")]
pub struct DoctorArgs {
    #[command(flatten)]
    pub destination: DestinationArgs,
    #[command(flatten)]
    pub source: SourceArgs,
    /// Print one JSON document on each line
    #[arg(long, help_heading = "Output", env = "E3SYNC_JSON", value_parser = FalseyValueParser::new())]
    pub json: bool,
}

impl DestinationArgs {
    /// Whether a destination is named at all.
    pub fn is_given(&self) -> bool {
        self.destination.is_some() || self.output.is_some()
    }
}

#[derive(Debug, Args)]
pub struct DestinationArgs {
    /// Where the mirror is: a directory, s3://BUCKET/PREFIX or gs://BUCKET/PREFIX
    #[arg(value_name = "DEST", env = "E3SYNC_DEST")]
    pub destination: Option<String>,
    /// The same, as the vendor's own tool has it
    #[arg(long, value_name = "DEST", conflicts_with = "destination", hide = true)]
    pub output: Option<String>,
    #[command(flatten)]
    pub bucket: BucketArgs,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Destination bucket (AWS_* and GOOGLE_* in the environment are for it alone)")]
pub struct BucketArgs {
    /// The bucket's region [default: the one of the AWS profile or environment]
    #[arg(long, value_name = "REGION", env = "E3SYNC_DEST_REGION")]
    pub dest_region: Option<String>,
    /// Another server than the cloud's own; plain HTTP only on this machine
    #[arg(long, value_name = "URL", env = "E3SYNC_DEST_ENDPOINT_URL")]
    pub dest_endpoint_url: Option<String>,
    /// The AWS profile with the credentials for the bucket
    #[arg(long, value_name = "NAME", env = "E3SYNC_DEST_PROFILE")]
    pub dest_profile: Option<String>,
    /// Server-side encryption to ask S3 for
    #[arg(long, value_name = "KIND", value_parser = ["AES256", "aws:kms", "aws:kms:dsse"], env = "E3SYNC_SSE")]
    pub sse: Option<String>,
    /// The KMS key to encrypt with [default: the bucket's]
    #[arg(long, value_name = "KEY", env = "E3SYNC_SSE_KMS_KEY_ID")]
    pub sse_kms_key_id: Option<String>,
    /// The storage class of data, as in STANDARD_IA or NEARLINE [default: the bucket's]
    #[arg(long, value_name = "CLASS", env = "E3SYNC_STORAGE_CLASS")]
    pub storage_class: Option<String>,
    /// A tag of data objects at S3; repeatable
    #[arg(long = "tag", value_name = "KEY=VALUE", value_delimiter = ',', env = "E3SYNC_TAG")]
    pub tags: Vec<String>,
    /// After so many seconds without a sign of life another run on the bucket counts as dead
    #[arg(
        long,
        value_name = "SECONDS",
        value_parser = clap::value_parser!(u16).range(2..=3600),
        env = "E3SYNC_DEST_LEASE",
        hide = true
    )]
    pub dest_lease: Option<u16>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Selection (days are UTC, both ends included)")]
pub struct SelectionArgs {
    /// The first day: YYYY-MM-DD, today, yesterday, or 7d for seven days ago
    #[arg(long, visible_aliases = ["start", "since"], value_name = "DAY", env = "E3SYNC_FROM")]
    pub from: Option<DaySpec>,
    /// The last day; needs --from [default: yesterday]
    #[arg(long, visible_alias = "end", value_name = "DAY", env = "E3SYNC_TO")]
    pub to: Option<DaySpec>,
    /// A single day; repeatable
    #[arg(long, value_name = "DAY", value_delimiter = ',', conflicts_with_all = ["from", "to", "last"], env = "E3SYNC_DATE")]
    pub date: Vec<DaySpec>,
    /// The last so many days, up to yesterday
    #[arg(long, value_name = "DAYS", value_parser = parse_days, conflicts_with_all = ["from", "to"], env = "E3SYNC_LAST")]
    pub last: Option<u32>,
    /// A type that the export has; repeatable [default: decisions and events]
    #[arg(long = "type", value_name = "TYPE", value_delimiter = ',', env = "E3SYNC_TYPE")]
    pub types: Vec<String>,
    /// Only this experiment's decisions; repeatable
    #[arg(long, value_name = "ID", value_delimiter = ',', env = "E3SYNC_EXPERIMENT")]
    pub experiment: Vec<String>,
    /// Only events of this name or pattern (* and ?); repeatable
    #[arg(long, value_name = "NAME", env = "E3SYNC_EVENT")]
    pub event: Vec<String>,
    /// No events of this name or pattern; repeatable
    #[arg(long, value_name = "NAME", env = "E3SYNC_EXCLUDE_EVENT")]
    pub exclude_event: Vec<String>,
    /// The day to count as today [default: the present day in UTC]
    #[arg(long, value_name = "DAY", env = "E3SYNC_TODAY", hide_short_help = true)]
    pub today: Option<String>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Planning")]
pub struct PlanningArgs {
    /// List published days of the last so many days again, to find rewritten ones
    #[arg(long, value_name = "DAYS", value_parser = parse_days, default_value = "7d", env = "E3SYNC_LOOKBACK")]
    pub lookback: u32,
    /// When a day counts as complete
    #[arg(long, value_enum, default_value_t = ReadyArg::Success, env = "E3SYNC_READY")]
    pub ready: ReadyArg,
    /// How long after its end a day counts as complete without _SUCCESS
    #[arg(long, value_name = "TIME", default_value = "48h", env = "E3SYNC_GRACE")]
    pub grace: Span,
    /// Publish rewritten days even if they have less than half of their data
    #[arg(long, env = "E3SYNC_ACCEPT_SHRINK", value_parser = FalseyValueParser::new())]
    pub accept_shrink: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ReadyArg {
    /// With the source's _SUCCESS; where a type never has one, after the grace period
    Success,
    /// With _SUCCESS, or after the grace period
    Grace,
    /// As it is
    Any,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Source")]
pub struct SourceArgs {
    /// The cloud to read from
    #[arg(long, value_enum, default_value_t = SourceArg::Auto, env = "E3SYNC_SOURCE")]
    pub source: SourceArg,
    /// The account that the token must belong to
    #[arg(long, value_name = "ID", env = "E3SYNC_ACCOUNT_ID")]
    pub account_id: Option<String>,
    /// Read the token from this file at every exchange; - for standard input, once
    #[arg(long, value_name = "FILE", conflicts_with = "token_command", env = "E3SYNC_TOKEN_FILE")]
    pub token_file: Option<PathBuf>,
    /// Run this shell command at every exchange; it prints the token
    #[arg(long, value_name = "COMMAND", env = "E3SYNC_TOKEN_COMMAND", hide_env_values = true)]
    pub token_command: Option<String>,
    /// Use this AWS profile's long-lived keys instead of a token; needs --account-id
    #[arg(long, value_name = "NAME", conflicts_with_all = ["token_file", "token_command"], env = "E3SYNC_SOURCE_PROFILE")]
    pub source_profile: Option<String>,
    /// Use the ambient AWS credentials instead of a token; needs --account-id
    #[arg(
        long,
        value_parser = FalseyValueParser::new(),
        conflicts_with_all = ["token_file", "token_command", "source_profile"],
        env = "E3SYNC_SOURCE_AMBIENT"
    )]
    pub source_ambient: bool,
    /// Ask for credentials that live so many minutes, 15 to 60
    #[arg(long, value_name = "MINUTES", value_parser = clap::value_parser!(u8).range(15..=60), env = "E3SYNC_CREDENTIAL_MINUTES")]
    pub credential_minutes: Option<u8>,
    /// How long the Authentication API may be away during a run
    #[arg(long, value_name = "TIME", default_value = "3h", env = "E3SYNC_OUTAGE")]
    pub outage: Span,
    /// The Authentication API's address
    #[arg(
        long,
        value_name = "URL",
        default_value = "https://api.optimizely.com",
        env = "E3SYNC_API_URL",
        hide_short_help = true
    )]
    pub api_url: String,
    /// Another server than the cloud's own; plain HTTP only on this machine
    #[arg(long, value_name = "URL", env = "E3SYNC_SOURCE_ENDPOINT_URL", hide_short_help = true)]
    pub source_endpoint_url: Option<String>,
    /// The bucket, if the vendor moved the export
    #[arg(long, visible_alias = "bucket", value_name = "BUCKET", env = "E3SYNC_SOURCE_BUCKET", hide_short_help = true)]
    pub source_bucket: Option<String>,
    /// The bucket's region
    #[arg(
        long,
        value_name = "REGION",
        default_value = "us-east-1",
        env = "E3SYNC_SOURCE_REGION",
        hide_short_help = true
    )]
    pub source_region: String,
    /// The project that pays for requests to Google Cloud Storage
    #[arg(long, value_name = "PROJECT", env = "E3SYNC_USER_PROJECT", hide_short_help = true)]
    pub user_project: Option<String>,
    /// Drop a connection that brings nothing for so long
    #[arg(long, value_name = "TIME", default_value = "20s", env = "E3SYNC_STALL_TIMEOUT", hide_short_help = true)]
    pub stall_timeout: Span,
    /// Repeat a failing request so often
    #[arg(long, value_name = "NUMBER", default_value_t = 8, env = "E3SYNC_RETRIES")]
    pub retries: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SourceArg {
    /// Amazon S3
    S3,
    /// Google Cloud Storage
    Gcs,
    /// Whatever the account has; never two clouds in one day of a type
    Auto,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Transfer")]
pub struct TransferArgs {
    /// Objects in flight: a number, or auto to find the best one
    #[arg(long, value_name = "auto|N", default_value = "auto", env = "E3SYNC_CONCURRENCY")]
    pub concurrency: String,
    /// The size of the ranges that large objects are fetched in
    #[arg(long, value_name = "SIZE", default_value = "16MiB", env = "E3SYNC_PART_SIZE")]
    pub part_size: ByteSize,
    /// The memory that transfers may use
    #[arg(long, value_name = "SIZE", default_value = "256MiB", env = "E3SYNC_MEMORY")]
    pub memory: ByteSize,
    /// At most so many bytes a second, as in 50MB/s
    #[arg(long, value_name = "RATE", env = "E3SYNC_BWLIMIT")]
    pub bwlimit: Option<ByteRate>,
    /// Stop cleanly after this time, with exit code 75
    #[arg(long, value_name = "TIME", env = "E3SYNC_MAX_DURATION")]
    pub max_duration: Option<Span>,
}

#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Output")]
pub struct OutputArgs {
    /// Print one JSON document on each line of standard output
    #[arg(long, env = "E3SYNC_JSON", value_parser = FalseyValueParser::new())]
    pub json: bool,
    /// Print only errors
    #[arg(short, long, conflicts_with = "verbose", env = "E3SYNC_QUIET", value_parser = FalseyValueParser::new())]
    pub quiet: bool,
    /// Print every published day and every repeated request
    #[arg(short, long, env = "E3SYNC_VERBOSE", value_parser = FalseyValueParser::new())]
    pub verbose: bool,
}

#[cfg(feature = "simulator")]
#[derive(Debug, Args)]
pub struct SimulatorArgs {
    /// Where to listen; only addresses of this machine
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    pub listen: std::net::SocketAddr,
    /// The clouds that hold the export: s3, gcs or both with a comma between
    #[arg(long, value_name = "NAMES", default_value = "s3", value_delimiter = ',')]
    pub clouds: Vec<String>,
    /// Decides all content
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    pub seed: u64,
    /// So many days up to yesterday
    #[arg(long, value_name = "NUMBER", default_value_t = 14)]
    pub days: u32,
    /// Of these, so many newest days without _SUCCESS
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    pub unfinished_days: u32,
    /// Objects of each type on each day
    #[arg(long, value_name = "NUMBER", default_value_t = 12)]
    pub objects_per_day: u32,
    /// Noise of this size for each object instead of Parquet, as in 16KiB..64KiB
    #[arg(long, value_name = "SIZES")]
    pub noise: Option<String>,
    /// The life of credentials, down to a second; longer ones are asked for in vain
    #[arg(long, value_name = "TIME")]
    pub credential_lifetime: Option<Span>,
    /// Let every answer take so much longer
    #[arg(long, value_name = "TIME")]
    pub latency: Option<Span>,
    /// The checksum that S3 offers: crc64nvme, crc32c, crc32, sha256, composite-crc32c or none
    #[arg(long, value_name = "NAME", default_value = "crc64nvme")]
    pub checksum: String,
    /// Keys on a page of a listing
    #[arg(long, value_name = "NUMBER", default_value_t = 1000)]
    pub page_keys: usize,
    /// Something that goes wrong, as in `get:cut@1000 times=3` or `exchange:status=503`; repeatable
    #[arg(long, value_name = "FAULT")]
    pub fault: Vec<String>,
}

#[cfg(feature = "simulator")]
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  e3sync simulate                           put what it prints into another shell
  e3sync simulate --days 60 --clouds s3,gcs
  e3sync simulate --credential-lifetime 30s --fault 'get:cut@1000 times=20'
  e3sync simulate --customer-bucket my-lake and a bucket to mirror into")]
pub struct SimulateArgs {
    #[command(flatten)]
    pub simulator: SimulatorArgs,
    /// Serve an empty bucket of this name as well, to mirror into
    #[arg(long, value_name = "NAME")]
    pub customer_bucket: Option<String>,
}

#[cfg(feature = "simulator")]
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  e3sync demo                               two weeks, in a temporary directory
  e3sync demo --days 5 --keep ./demo        leaves the mirror for a look")]
pub struct DemoArgs {
    #[command(flatten)]
    pub simulator: SimulatorArgs,
    #[command(flatten)]
    pub output: OutputArgs,
    /// Mirror into this directory and keep it
    #[arg(long, value_name = "DEST")]
    pub keep: Option<PathBuf>,
}

/// Reads `7d` or `7` as a number of days.
fn parse_days(text: &str) -> Result<u32, String> {
    let number = text.strip_suffix('d').unwrap_or(text);
    match number.parse() {
        Ok(days @ 1..=36_500) => Ok(days),
        Ok(0) => Err("must be at least one day".to_owned()),
        _ => Err("write a number of days, as in 7d".to_owned()),
    }
}
