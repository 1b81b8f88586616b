//! Which days, and how much of them.

use clap::builder::FalseyValueParser;
use clap::{Args, ValueEnum};
use e3sync::export::{DaySpec, NamePattern, TypeName};

use super::parsers::{parse_day, parse_days, parse_pattern, parse_type};
use crate::cli::units::Span;

#[derive(Debug, Args)]
#[command(next_help_heading = "Selection (days are UTC, both ends included)")]
pub struct SelectionArgs {
    /// The first day: YYYY-MM-DD, today, yesterday, or 7d for seven days ago
    #[arg(long, visible_aliases = ["start", "since"], value_name = "DAY", value_parser = parse_day, env = "E3SYNC_FROM")]
    pub from: Option<DaySpec>,
    /// The last day; needs --from [default: yesterday]
    #[arg(long, visible_alias = "end", value_name = "DAY", value_parser = parse_day, env = "E3SYNC_TO")]
    pub to: Option<DaySpec>,
    /// A single day; repeatable
    #[arg(long, value_name = "DAY", value_delimiter = ',', conflicts_with_all = ["from", "to", "last"], value_parser = parse_day, env = "E3SYNC_DATE")]
    pub date: Vec<DaySpec>,
    /// The last N days, or weeks as in 2w, up to yesterday
    #[arg(long, value_name = "DAYS", value_parser = parse_days, conflicts_with_all = ["from", "to"], env = "E3SYNC_LAST")]
    pub last: Option<u32>,
    /// A type that the export has; repeatable [default: decisions and events]
    #[arg(long = "type", value_name = "TYPE", value_delimiter = ',', value_parser = parse_type, env = "E3SYNC_TYPE")]
    pub types: Vec<TypeName>,
    /// Only this experiment's decisions; repeatable
    #[arg(long, value_name = "ID", value_delimiter = ',', value_parser = parse_pattern, env = "E3SYNC_EXPERIMENT")]
    pub experiment: Vec<NamePattern>,
    /// Only events of this name or pattern (* and ?); repeatable
    #[arg(long, value_name = "NAME", value_parser = parse_pattern, env = "E3SYNC_EVENT")]
    pub event: Vec<NamePattern>,
    /// No events of this name or pattern; repeatable
    #[arg(long, value_name = "NAME", value_parser = parse_pattern, env = "E3SYNC_EXCLUDE_EVENT")]
    pub exclude_event: Vec<NamePattern>,
    /// The day to count as today [default: the present day in UTC]
    #[arg(long, value_name = "DAY", value_parser = parse_day, env = "E3SYNC_TODAY", hide_short_help = true)]
    pub today: Option<DaySpec>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Planning")]
pub struct PlanningArgs {
    /// List published days of the last N days again, to find rewritten ones
    #[arg(long, value_name = "DAYS", value_parser = parse_days, default_value = "7d", env = "E3SYNC_LOOKBACK")]
    pub lookback: u32,
    /// When a day counts as complete
    #[arg(long, value_enum, default_value_t = ReadyArg::Success, env = "E3SYNC_READY")]
    pub ready: ReadyArg,
    /// How long after its end a day counts as complete without _SUCCESS
    #[arg(long, value_name = "TIME", default_value = "48h", env = "E3SYNC_GRACE")]
    pub grace: Span,
    /// Publish rewritten days even if they have less than half of their data, and let go what the
    /// source no longer has
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
