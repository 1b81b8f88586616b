//! The arguments of `completions` and `man`.

use std::path::PathBuf;

use clap::Args;
use clap_complete::Shell;

use super::parsers::path;

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
    #[arg(value_parser = path(), value_name = "DIR")]
    pub folder: PathBuf,
}
