//! The arguments of `config`.

use std::ffi::OsString;

use clap::Args;
use clap::builder::FalseyValueParser;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  e3sync config                             what `e3sync sync` would go by
  e3sync config status                      the same of another verb
  e3sync config --profile weekly sync --last 7d
  e3sync config --json

Settings stand in ./e3sync.toml and in your own file, whose name is shown at the end:
  dest = \"/data/events\"
  type = [\"events\"]
  keep-superseded = true
  [profile.weekly]
  lookback = \"14d\"")]
pub struct ConfigArgs {
    /// Print one JSON document on each line
    #[arg(long, env = "E3SYNC_JSON", value_parser = FalseyValueParser::new())]
    pub json: bool,
    /// A verb, and what would be typed behind it [default: sync]
    #[arg(value_name = "COMMAND", trailing_var_arg = true, allow_hyphen_values = true)]
    pub call: Vec<OsString>,
}
