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
    /// The name under which this run and others are added up.
    pub group: Option<String>,
}

/// The longest time over which the starts of runs that share the days are spread.
const START_SPREAD_MAX: Duration = Duration::from_secs(30);

impl RunSettings {
    /// A random time before this run begins, so that many that are started at once do not ask the
    /// Authentication API in the same moment (design.md section 7).
    pub fn pause_before_start(&self) -> Duration {
        let runs = self.request.join.and_then(|join| join.shard).map_or(0, |shard| shard.count());
        let spread = Duration::from_millis(250).saturating_mul(runs.saturating_sub(1)).min(START_SPREAD_MAX);
        spread.mul_f64(rand::random_range(0.0..1.0))
    }
}
