//! How a run works together with others on the same destination.

use std::path::PathBuf;

use clap::Args;
use clap::builder::FalseyValueParser;

use super::parsers::{ShardArg, parse_group, parse_shard, path};
use crate::cli::units::Span;

#[derive(Debug, Args)]
#[command(next_help_heading = "Together (the same command on several machines; see docs/SCALING.md)")]
pub struct TogetherArgs {
    /// Share the days with other runs on this destination: leave those that they hold, wait for them at the
    /// end, and finish the days of runs that died
    #[arg(long, env = "E3SYNC_JOIN", value_parser = FalseyValueParser::new())]
    pub join: bool,
    /// How long to wait for days that other runs hold without any of them getting done; then exit with 75
    #[arg(long, value_name = "TIME", default_value = "3h", env = "E3SYNC_JOIN_WAIT")]
    pub join_wait: Span,
    /// Begin with this share of the days, as in 3/8, and share them as with --join; auto takes it from
    /// E3SYNC_SHARD_INDEX and E3SYNC_SHARD_COUNT, or from what the scheduler sets in their place
    #[arg(long, value_name = "K/N|auto", value_parser = parse_shard, env = "E3SYNC_SHARD")]
    pub shard: Option<ShardArg>,
    /// Take the days that this file names, one a line as in type=events/date=2026-11-20 or as plan --json
    /// prints them; - for standard input
    #[arg(long, value_name = "FILE", value_parser = path(), conflicts_with_all = ["from", "to", "date", "last", "types"])]
    pub units: Option<PathBuf>,
    /// The name under which status adds this run and others up [default: the scheduler's execution]
    #[arg(long, value_name = "NAME", value_parser = parse_group, env = "E3SYNC_GROUP", hide_short_help = true)]
    pub group: Option<String>,
}
