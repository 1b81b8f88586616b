//! What a check has found: the values that `doctor` returns, and in which words `verify` tells its own.

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

/// In what way something differs from its manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum FindingKind {
    /// The manifest has the object, the destination does not.
    Missing,
    /// The destination has what no manifest has, and readers take it for a part of the day.
    Extra,
    /// Another size, other bytes, or no file at all.
    Changed,
    /// The bytes could not be read.
    Unreadable,
    /// The manifest is torn, altered or another day's.
    ManifestDamaged,
    /// There are data and no manifest.
    ManifestMissing,
    /// The day is complete and its `_SUCCESS` is not there.
    MarkerMissing,
    /// `_SUCCESS` is there and the day is not complete.
    MarkerExtra,
}

impl FindingKind {
    /// The kind's name in output.
    pub fn name(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Extra => "extra",
            Self::Changed => "changed",
            Self::Unreadable => "unreadable",
            Self::ManifestDamaged => "manifest_damaged",
            Self::ManifestMissing => "manifest_missing",
            Self::MarkerMissing => "marker_missing",
            Self::MarkerExtra => "marker_extra",
        }
    }
}

/// What became of a day that was to be verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VerifiedState {
    /// Nothing differs.
    Verified,
    /// Something differs.
    Damaged,
    /// It was verified by a former run that did not come to its end.
    Resumed,
    /// A run is replacing it, so it was not verified.
    BeingReplaced,
}

impl VerifiedState {
    /// The state's name in output.
    pub fn name(self) -> &'static str {
        match self {
            Self::Verified => "verified",
            Self::Damaged => "damaged",
            Self::Resumed => "resumed",
            Self::BeingReplaced => "being_replaced",
        }
    }
}
