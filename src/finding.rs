//! What a check has found: the values that the verb `doctor` returns.

use crate::error::{Error, ExitCode};

/// What a check came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// As it should be.
    Fine,
    /// Worth knowing; runs work.
    Notable,
    /// Runs fail.
    Broken,
}

impl State {
    /// The state's name in output.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fine => "fine",
            Self::Notable => "notable",
            Self::Broken => "broken",
        }
    }
}

/// What one check has found.
#[derive(Clone, Debug)]
pub struct Finding {
    /// What was checked, in a word.
    pub check: &'static str,
    /// What it came to.
    pub state: State,
    /// What was found, in words.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// What a run would end with that meets this.
    pub exit_code: ExitCode,
}

impl Finding {
    /// Something that is as it should be.
    pub fn fine(check: &'static str, message: impl Into<String>) -> Self {
        Self { check, state: State::Fine, message: message.into(), hint: None, exit_code: ExitCode::Success }
    }

    /// Something that is worth knowing.
    pub fn notable(check: &'static str, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { state: State::Notable, hint: Some(hint.into()), ..Self::fine(check, message) }
    }

    /// Something that makes runs fail.
    pub fn broken(check: &'static str, error: &Error) -> Self {
        Self {
            check,
            state: State::Broken,
            message: error.to_string(),
            hint: error.hint().map(str::to_owned),
            exit_code: error.exit_code(),
        }
    }
}
