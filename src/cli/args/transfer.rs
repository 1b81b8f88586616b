//! How transfers are made, and what is printed about them.

use clap::Args;
use clap::builder::FalseyValueParser;
use e3sync::transfer::Concurrency;

use super::parsers::{parse_concurrency, parse_part_size};
use crate::cli::units::{ByteRate, ByteSize, Span};

#[derive(Debug, Args)]
#[command(next_help_heading = "Transfer")]
pub struct TransferArgs {
    /// Objects in flight: a number, or auto to find the best one
    #[arg(long, value_name = "auto|N", default_value = "auto", value_parser = parse_concurrency, env = "E3SYNC_CONCURRENCY")]
    pub concurrency: Concurrency,
    /// The size of the ranges that large objects are fetched in
    #[arg(long, value_name = "SIZE", default_value = "8MiB", value_parser = parse_part_size, env = "E3SYNC_PART_SIZE")]
    pub part_size: ByteSize,
    /// The memory that transfers may use
    #[arg(long, value_name = "SIZE", default_value = "256MiB", env = "E3SYNC_MEMORY")]
    pub memory: ByteSize,
    /// Maximum transfer rate, as in 50MB/s
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
