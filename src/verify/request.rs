//! What is to be verified, and how.

use std::path::PathBuf;

use jiff::civil::Date;

use super::sample::Sample;
use crate::plan::Selection;

/// What is to be verified, and how.
#[derive(Clone, Debug)]
pub struct VerifyRequest {
    /// Which of the published days, and how much of each.
    pub selection: Selection,
    /// Only a part of these days.
    pub sample: Option<Sample>,
    /// Whether only names, sizes and ETags are compared.
    pub is_quick: bool,
    /// The day that counts as today, for the sample.
    pub today: Date,
    /// Maximum number of files read concurrently.
    pub readers_max: usize,
    /// Where the destination is, for the journal.
    pub destination: String,
    /// The days as they were asked for, for the journal: the last seven days are the same request
    /// tomorrow.
    pub days_asked: String,
    /// Where to note what is verified, to go on behind it after an interruption.
    pub progress: Option<ProgressFile>,
    /// Whether to begin anew, whatever an interrupted verification had verified.
    pub is_fresh: bool,
    /// Whether it is merely another look at days that were just repaired.
    pub is_recheck: bool,
}

impl VerifyRequest {
    /// A verification of every byte of what is selected, seen from the day `today`. `destination` is its
    /// address, for messages.
    pub fn new(selection: Selection, destination: impl Into<String>, today: Date) -> Self {
        Self {
            selection,
            sample: None,
            is_quick: false,
            today,
            readers_max: std::thread::available_parallelism().map_or(2, usize::from),
            destination: destination.into(),
            days_asked: String::new(),
            progress: None,
            is_fresh: false,
            is_recheck: false,
        }
    }
}

/// Where a verification notes what it has verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProgressFile {
    /// In this file; where that cannot be, nothing is verified.
    Named(PathBuf),
    /// In this folder, in a file of its own for each kind of request; where that cannot be, nothing is
    /// noted.
    InFolder(PathBuf),
}
