//! What a run leaves behind: its report in the destination and where `--report` says, its numbers for
//! Prometheus, its events for OpenLineage.

use std::path::{Path, PathBuf};
use std::time::Duration;

use e3sync::destination::{Destination, PublishedDays};
use e3sync::error::{Error, ErrorKind, ExitCode, Result};
use e3sync::export::Scope;
use e3sync::select::{DaysWanted, Selection};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::file;
use super::render::{Summary, metrics};

/// Where a run is told besides the terminal.
#[derive(Clone, Debug, Default)]
pub struct RecordSettings {
    /// A file for the report.
    pub report: Option<PathBuf>,
    /// A file for the numbers, in Prometheus's text format.
    pub metrics_file: Option<PathBuf>,
}

/// What is known of a run before it begins.
#[derive(Clone, Debug)]
pub struct Run {
    /// Its id: the time of its beginning, and a random number.
    pub id: String,
    /// When it began.
    pub started_at: Timestamp,
    /// What was asked for.
    pub asked: Value,
}

impl Run {
    pub fn new(started_at: Timestamp, destination: &str, selection: &Selection) -> Self {
        let id = format!("{}-{:08x}", started_at.strftime("%Y%m%dT%H%M%S%.3fZ"), rand::random::<u32>());
        Self { id, started_at, asked: asked(destination, selection) }
    }

    /// When it ended, after so long.
    pub fn ended_at(&self, elapsed: Duration) -> Timestamp {
        self.started_at + elapsed
    }

    /// The report: the summary with every partition, who asked for what, and when.
    pub fn report(&self, summary: &Summary<'_>, code: ExitCode) -> Value {
        let mut report = summary.report(code);
        report["run"] = self.id.as_str().into();
        report["started_at"] = self.started_at.to_string().into();
        report["ended_at"] = self.ended_at(summary.elapsed).to_string().into();
        report["asked"] = self.asked.clone();
        report
    }
}

fn asked(destination: &str, selection: &Selection) -> Value {
    let types: Vec<&str> = selection.types.iter().map(|name| name.as_str()).collect();
    let days = match &selection.days {
        DaysWanted::Range(days) => json!({ "from": days.from.to_string(), "to": days.to.to_string() }),
        DaysWanted::Dates(dates) => dates.iter().map(ToString::to_string).collect(),
        DaysWanted::Incremental => "incremental".into(),
        DaysWanted::All => "all".into(),
        DaysWanted::Each(partitions) => partitions.iter().map(ToString::to_string).collect(),
    };
    let scope = match &selection.scope {
        Scope::All => "all".into(),
        part => serde_json::to_value(part).unwrap_or_default(),
    };
    json!({ "destination": destination, "types": types, "days": days, "selection": scope })
}

/// Leaves the run's report in the destination. A run that is done is not failed by that.
pub async fn keep(run: &Run, report: &Value, destination: &dyn Destination) -> Option<String> {
    let text = format!("{report:#}\n");
    let kept = destination.keep_report(&run.id, text.as_bytes()).await;
    kept.err().map(|error| format!("the run's report could not be kept in the destination: {error}"))
}

/// Writes the files that were asked for.
///
/// # Errors
/// [`ErrorKind::Usage`] for a file that cannot be written.
pub fn write_files(
    settings: &RecordSettings,
    report: &Value,
    summary: &Summary<'_>,
    published: &PublishedDays,
    ended_at: Timestamp,
) -> Result<()> {
    if let Some(path) = &settings.report {
        write(path, &format!("{report:#}\n"), "report", "--report")?;
    }
    if let Some(path) = &settings.metrics_file {
        let text = metrics::text(summary, published, ended_at);
        write(path, &text, "metrics", "--metrics-file")?;
    }
    Ok(())
}

fn write(path: &Path, text: &str, what: &str, flag: &str) -> Result<()> {
    file::replace(path, text.as_bytes()).map_err(|cause| {
        Error::new(ErrorKind::Usage, format!("cannot write the {what} to {}", path.display()))
            .with_hint(format!("the run itself is done; name a writable file with {flag}"))
            .with_cause(cause)
    })
}
