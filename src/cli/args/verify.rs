//! Options of the verbs that read what is published: `verify` and `export-manifest`.

use std::path::PathBuf;

use clap::builder::FalseyValueParser;
use clap::{Args, ValueEnum};
use e3sync::export_manifest::Form;
use e3sync::verify::Sample;

use super::parsers::path;
use super::{DestinationArgs, OutputArgs, SelectionArgs, SourceArgs, TransferArgs};
use crate::cli::units::Span;

#[derive(Debug, Args)]
#[command(after_help = "\
Names what is missing, extra, changed or unreadable. Data and manifests stay as they are.
Which days differ is noted beside them, for e3sync status.
Exit codes: 0 nothing differs; 5 something does; 1 something cannot be read; 3 a run is at work there.

Examples:
  e3sync verify ./events                    the SHA-256 of every file
  e3sync verify ./events --quick            names and sizes only; for buckets also ETags, by listing
  e3sync verify ./events --sample 1/30      a thirtieth of the days; every day of a month another one
  e3sync verify ./events --last 7d --type events
  e3sync verify ./events --repair           and fetch what differs; the only part that needs a token")]
pub struct VerifyArgs {
    #[command(flatten)]
    pub destination: DestinationArgs,
    #[command(flatten)]
    pub selection: SelectionArgs,
    #[command(flatten)]
    pub how: VerifyHowArgs,
    #[command(flatten)]
    pub source: SourceArgs,
    #[command(flatten)]
    pub transfer: TransferArgs,
    #[command(flatten)]
    pub output: OutputArgs,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Verification")]
pub struct VerifyHowArgs {
    /// Compare names and sizes only, and in a bucket ETags; read no file
    #[arg(long, env = "E3SYNC_QUICK", value_parser = FalseyValueParser::new())]
    pub quick: bool,
    /// Only every N-th day, another part every day: N daily runs look at each day once
    #[arg(long, value_name = "1/N", env = "E3SYNC_SAMPLE")]
    pub sample: Option<Sample>,
    /// Bring days that differ up to date from the source; good files are kept, bad ones fetched
    #[arg(long, env = "E3SYNC_REPAIR", value_parser = FalseyValueParser::new())]
    pub repair: bool,
    /// With --repair, give up what is damaged here and gone at the source, and take rewritten days
    /// even if they have less than half of their data
    #[arg(long, env = "E3SYNC_ACCEPT_SHRINK", value_parser = FalseyValueParser::new())]
    pub accept_shrink: bool,
    /// With --repair, keep replaced days aside below _e3sync/superseded
    #[arg(long, env = "E3SYNC_KEEP_SUPERSEDED", value_parser = FalseyValueParser::new())]
    pub keep_superseded: bool,
    /// Take no locks in a directory: for mounts without file locks. Nothing keeps two runs apart then
    #[arg(long, env = "E3SYNC_NO_LOCK", value_parser = FalseyValueParser::new())]
    pub no_lock: bool,
    /// With --repair, how long a replaced day stays in _e3sync/replaced of a directory
    #[arg(long, value_name = "TIME", default_value = "1h", env = "E3SYNC_KEEP_REPLACED")]
    pub keep_replaced: Span,

    /// Note in this file what is verified, to go on there after an interruption [default: one for each
    /// kind of request in the user's state folder]
    #[arg(long, value_parser = path(), value_name = "FILE", env = "E3SYNC_PROGRESS_FILE")]
    pub progress_file: Option<PathBuf>,
    /// Begin anew, whatever an interrupted verification had verified
    #[arg(long, env = "E3SYNC_FRESH", value_parser = FalseyValueParser::new())]
    pub fresh: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Paths are relative to a directory, and whole addresses for a bucket. Needs no token.

Examples:
  e3sync export-manifest ./events --format sha256sums > sums.txt && (cd ./events && sha256sum -c -) < sums.txt
  e3sync export-manifest ./events --last 7d --type events --format uris
  e3sync export-manifest s3://my-lake/optimizely --format redshift --date yesterday > load.manifest
  e3sync export-manifest ./events --format csv > files.csv")]
pub struct ExportManifestArgs {
    #[command(flatten)]
    pub destination: DestinationArgs,
    #[command(flatten)]
    pub selection: SelectionArgs,
    /// The form
    #[arg(long, value_enum, default_value_t = FormArg::Uris, env = "E3SYNC_FORMAT")]
    pub format: FormArg,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FormArg {
    /// A path or address on each line
    Uris,
    /// What `sha256sum -c` reads
    Sha256sums,
    /// The JSON of Redshift's COPY ... MANIFEST; for buckets at S3
    Redshift,
    /// Lists for FILES = in Snowflake's COPY INTO, a thousand names on each line
    Snowflake,
    /// A table with a header
    Csv,
    /// One JSON document on each line
    Json,
}

impl From<FormArg> for Form {
    fn from(form: FormArg) -> Self {
        match form {
            FormArg::Uris => Self::Uris,
            FormArg::Sha256sums => Self::Sha256sums,
            FormArg::Redshift => Self::Redshift,
            FormArg::Snowflake => Self::Snowflake,
            FormArg::Csv => Self::Csv,
            FormArg::Json => Self::Json,
        }
    }
}
