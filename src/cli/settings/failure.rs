//! Why a command line cannot be used, and how that is printed.

use clap::error::{ContextKind, ContextValue};
use e3sync::error::{Error, ExitCode};

use crate::cli::output;

/// Why a command line cannot be used.
pub enum Failure {
    /// What is typed or in a variable; or a call for help.
    CommandLine(clap::Error),
    /// A settings file.
    Settings(Error),
}

impl Failure {
    /// Prints why nothing runs, or the help that was asked for; gives the exit code.
    pub fn report(self) -> ExitCode {
        match self {
            Self::CommandLine(error) if error.use_stderr() => {
                output::usage(&with_our_word(error));
                ExitCode::Usage
            }
            Self::CommandLine(help) => {
                output::is_written(help.print());
                ExitCode::Success
            }
            Self::Settings(error) => {
                output::error(&error);
                error.exit_code()
            }
        }
    }
}

/// Says what the verbs of the vendor's tool are called here; what merely looks similar misleads.
fn with_our_word(mut error: clap::Error) -> clap::Error {
    let hint = match error.get(ContextKind::InvalidSubcommand) {
        Some(ContextValue::String(verb)) if verb == "load" => "what oevents called load is 'e3sync sync'",
        Some(ContextValue::String(verb)) if verb == "paths" => "what oevents called paths is 'e3sync ls --paths'",
        _ => return error,
    };
    error.remove(ContextKind::SuggestedSubcommand);
    error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![hint.into()]));
    error
}
