//! The arguments of `status`.

use std::path::PathBuf;

use clap::Args;
use clap::builder::FalseyValueParser;
use e3sync::export::DaySpec;

use super::DestinationArgs;
use super::parsers::{parse_day, parse_days, path};

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
    /// Only the last N days, up to yesterday
    #[arg(long, help_heading = "Selection", value_name = "DAYS", value_parser = parse_days, env = "E3SYNC_LAST")]
    pub last: Option<u32>,
    /// Write one self-contained page to this file instead; - for standard output
    #[arg(long, value_parser = path(), help_heading = "Output", value_name = "FILE", conflicts_with = "json")]
    pub html: Option<PathBuf>,
    /// The day to count as today [default: the present day in UTC]
    #[arg(long, help_heading = "Selection", value_name = "DAY", value_parser = parse_day, env = "E3SYNC_TODAY")]
    pub today: Option<DaySpec>,
    /// Print one JSON document on each line
    #[arg(long, help_heading = "Output", env = "E3SYNC_JSON", value_parser = FalseyValueParser::new())]
    pub json: bool,
}
