//! Printing: results to standard output, messages to standard error. A reader that goes away is
//! no reason to fail, let alone to panic; results that a full disk swallows are.

use std::io::{self, ErrorKind, IsTerminal as _, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use clap::ValueEnum;
use e3sync::error::Error;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{environment, network};

/// How messages look. One for the process, as standard error is; set before the first message.
static LOGS_JSON: AtomicBool = AtomicBool::new(false);

/// Why results were lost first. One for the process, as standard output is; told at the end.
static LOST: Mutex<Option<io::Error>> = Mutex::new(None);

/// How messages on standard error look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people
    Text,
    /// One JSON object on each line
    Json,
}

/// How much a message matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    Info,
    Warning,
    Error,
}

impl Level {
    fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// Decides how the messages from here on look.
pub fn set_log_format(format: LogFormat) {
    LOGS_JSON.store(format == LogFormat::Json, Ordering::Relaxed);
}

/// Whether messages are JSON objects.
pub fn logs_json() -> bool {
    LOGS_JSON.load(Ordering::Relaxed)
}

/// Prints a line of results; `false` once they arrive nowhere any more.
pub fn line(text: impl std::fmt::Display) -> bool {
    is_written(writeln!(io::stdout().lock(), "{text}"))
}

/// Prints a whole text of results as it is.
pub fn text(text: &str) -> bool {
    is_written(io::stdout().lock().write_all(text.as_bytes()))
}

/// Whether results were written. Why not is kept for the end, unless the reader has seen enough.
pub fn is_written(outcome: io::Result<()>) -> bool {
    let Err(cause) = outcome else { return true };
    if cause.kind() != ErrorKind::BrokenPipe {
        LOST.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(cause);
    }
    false
}

/// Writes what is left of the results and tells whether any were lost; `false` if so.
pub fn finish() -> bool {
    is_written(io::stdout().flush());
    let lost = LOST.lock().unwrap_or_else(PoisonError::into_inner).take();
    let Some(cause) = lost else { return true };
    let hint = "the results are incomplete; make room where they go, or send them elsewhere";
    log(Level::Error, format_args!("cannot write to standard output: {cause}"), Some(hint));
    false
}

/// Prints a JSON document on one line of results.
pub fn json(value: &Value) -> bool {
    line(value)
}

/// Prints a message.
pub fn message(text: impl std::fmt::Display) {
    log(Level::Info, text, None);
}

/// Prints a message of a level, and what to do about it.
pub fn log(level: Level, text: impl std::fmt::Display, hint: Option<&str>) {
    if logs_json() {
        let time = format!("{:.3}", Timestamp::now());
        to_stderr(json!({ "time": time, "level": level.name(), "message": text.to_string(), "hint": hint }));
        return;
    }
    let paint = Paint::for_stderr();
    match level {
        Level::Info => to_stderr(text),
        Level::Warning => to_stderr(format_args!("warning: {text}")),
        Level::Error => to_stderr(format_args!("{} {text}", paint.bold_red("error:"))),
    }
    if let Some(hint) = hint {
        to_stderr(format_args!("{} {hint}", paint.bold("hint:")));
    }
}

fn to_stderr(text: impl std::fmt::Display) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Prints an error and its hint.
pub fn error(error: &Error) {
    log(Level::Error, error, network::hint_of(error).as_deref());
}

/// Prints what is wrong with a command line.
pub fn usage(error: &clap::Error) {
    if !logs_json() {
        // Where even this cannot be told, the exit code tells it.
        let _ = error.print();
        return;
    }
    let text = error.render().to_string();
    let (message, hint) = text.split_once("\n\n").unwrap_or((&text, ""));
    let hint = Some(hint.trim()).filter(|hint| !hint.is_empty());
    log(Level::Error, message.trim_start_matches("error: "), hint);
}

/// Whether a person at a terminal that can redraw lines sees the messages.
pub fn is_stderr_interactive() -> bool {
    let is_terminal = io::stderr().is_terminal() && environment::value("TERM").is_some_and(|term| term != "dumb");
    is_terminal && !logs_json()
}

/// What a line of results has room for where no terminal says so, in columns.
const COLUMNS_DEFAULT: usize = 80;

/// How many columns a line of results may have: the terminal's, or else always the same.
pub fn stdout_columns() -> usize {
    terminal_columns().unwrap_or(COLUMNS_DEFAULT)
}

/// How many columns the terminal has that shows the results; `None` where none does.
pub fn terminal_columns() -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(io::stdout());
    size.ok().map(|size| usize::from(size.ws_col)).filter(|columns| *columns > 0)
}

/// Colours, where they are wanted: on a terminal, without NO_COLOR and TERM=dumb.
#[derive(Clone, Copy, Debug)]
pub struct Paint {
    is_on: bool,
}

impl Paint {
    /// For standard error.
    pub fn for_stderr() -> Self {
        Self { is_on: io::stderr().is_terminal() && allows_colour() }
    }

    /// For standard output.
    pub fn for_stdout() -> Self {
        Self { is_on: io::stdout().is_terminal() && allows_colour() }
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
    let is_forbidden = environment::value("NO_COLOR").is_some();
    !is_forbidden && environment::value("TERM").is_none_or(|term| term != "dumb")
}
