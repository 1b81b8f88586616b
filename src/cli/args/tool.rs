//! The arguments of the verbs that are about e3sync itself.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Args;
use clap::builder::FalseyValueParser;
use clap_complete::Shell;

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

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  e3sync completions bash > ~/.local/share/bash-completion/completions/e3sync
  e3sync completions zsh > ~/.zfunc/_e3sync     with ~/.zfunc in $fpath
  e3sync completions fish > ~/.config/fish/completions/e3sync.fish")]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    pub shell: Shell,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  e3sync man ~/.local/share/man/man1        then: man e3sync-sync
  e3sync man /usr/local/share/man/man1      for all users of the machine")]
pub struct ManArgs {
    /// The directory to write into; it is made if it is not there
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
}
