//! The settings of one run, as decided from arguments, environment and settings files.

use std::time::Duration;

use e3sync::destination::DestinationSettings;
use e3sync::source::SourceSettings;
use e3sync::sync::SyncRequest;

use super::record::RecordSettings;
use crate::cli::args::OutputArgs;
use crate::cli::decide::Present;

/// A run of `sync`, of `demo`, or one that repairs what `verify` found.
pub struct RunSettings {
    pub source: SourceSettings,
    pub destination: DestinationSettings,
    pub request: SyncRequest,
    pub present: Present,
    pub output: OutputArgs,
    pub record: RecordSettings,
    /// After this time the run begins nothing new.
    pub max_duration: Option<Duration>,
    /// The profile of the settings files.
    pub profile: Option<String>,
}
