//! The arguments of `doctor`.

use std::path::PathBuf;

use clap::Args;
use clap::builder::FalseyValueParser;

use super::parsers::path;
use super::{DestinationArgs, SourceArgs};

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  e3sync doctor                             the token and the export
  e3sync doctor ./events                    and a directory: room, leftovers
  e3sync doctor s3://my-lake/optimizely     and a bucket: permissions, unfinished uploads
  e3sync doctor --bundle diagnosis.json     how the vendor's servers answer, without secrets
Exits with what a run would end with that meets the first failure; 0 where all is well. What is away
is asked again once at most, whatever --retries and --outage say.")]
pub struct DoctorArgs {
    #[command(flatten)]
    pub destination: DestinationArgs,
    #[command(flatten)]
    pub source: SourceArgs,
    /// Write how the servers answer to this file, for a maintainer; secrets, account and events are masked
    #[arg(long, value_parser = path(), help_heading = "Output", value_name = "FILE")]
    pub bundle: Option<PathBuf>,
    /// Print one JSON document on each line
    #[arg(long, help_heading = "Output", env = "E3SYNC_JSON", value_parser = FalseyValueParser::new())]
    pub json: bool,
}
