//! Printing: results to standard output, messages to standard error. A reader that goes away is
//! no reason to fail, let alone to panic.

use std::io::{IsTerminal as _, Write as _};

use e3sync::error::Error;
use serde_json::Value;

/// Prints a line of results; `false` once nobody reads them any more.
pub fn line(text: impl std::fmt::Display) -> bool {
    writeln!(std::io::stdout().lock(), "{text}").is_ok()
}

/// Prints a whole text of results as it is.
pub fn text(text: &str) -> bool {
    std::io::stdout().lock().write_all(text.as_bytes()).is_ok()
}

/// Prints a JSON document on one line of results.
pub fn json(value: &Value) -> bool {
    line(value)
}

/// Prints a message.
pub fn message(text: impl std::fmt::Display) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// Prints an error and its hint.
pub fn error(error: &Error) {
    let paint = Paint::for_stderr();
    message(format_args!("{} {error}", paint.bold_red("error:")));
    if let Some(hint) = error.hint() {
        message(format_args!("{} {hint}", paint.bold("hint:")));
    }
}

/// Whether a person at a terminal that can redraw lines sees the messages.
pub fn is_stderr_interactive() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("TERM").is_some_and(|term| term != "dumb")
}

/// What a line of results has room for where no terminal says so, in columns.
const COLUMNS_DEFAULT: usize = 80;

/// How many columns a line of results may have: the terminal's, or else always the same.
pub fn stdout_columns() -> usize {
    let size = rustix::termios::tcgetwinsize(std::io::stdout());
    size.ok().map(|size| usize::from(size.ws_col)).filter(|columns| *columns > 0).unwrap_or(COLUMNS_DEFAULT)
}

/// Colours, where they are wanted: on a terminal, without NO_COLOR and TERM=dumb.
#[derive(Clone, Copy, Debug)]
pub struct Paint {
    is_on: bool,
}

impl Paint {
    /// For standard error.
    pub fn for_stderr() -> Self {
        Self { is_on: std::io::stderr().is_terminal() && allows_colour() }
    }

    /// For standard output.
    pub fn for_stdout() -> Self {
        Self { is_on: std::io::stdout().is_terminal() && allows_colour() }
    }

    /// Without colours.
    #[cfg(test)]
    pub fn plain() -> Self {
        Self { is_on: false }
    }

    /// With colours.
    #[cfg(test)]
    pub fn coloured() -> Self {
        Self { is_on: true }
    }

    pub fn bold(self, text: &str) -> String {
        self.wrap("1", text)
    }

    pub fn bold_red(self, text: &str) -> String {
        self.wrap("1;31", text)
    }

    pub fn green(self, text: &str) -> String {
        self.wrap("32", text)
    }

    pub fn yellow(self, text: &str) -> String {
        self.wrap("33", text)
    }

    pub fn red(self, text: &str) -> String {
        self.wrap("31", text)
    }

    pub fn cyan(self, text: &str) -> String {
        self.wrap("36", text)
    }

    fn wrap(self, code: &str, text: &str) -> String {
        if self.is_on { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

fn allows_colour() -> bool {
    let is_forbidden = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    !is_forbidden && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}
