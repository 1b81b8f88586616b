//! What a run leaves behind: its report in the destination and where `--report` says, and its numbers
//! for Prometheus.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use e3sync::destination::{Address, Destination};
use e3sync::error::{Error, ErrorKind, ExitCode, Result};
use jiff::Timestamp;
use serde_json::Value;

use super::freshness::OfMirror;
use crate::cli::file;
use crate::cli::render::{Summary, metrics};

/// Where a run is told besides the terminal.
#[derive(Clone, Debug, Default)]
pub struct RecordSettings {
    /// A file for the report; `-` for standard output.
    pub report: Option<PathBuf>,
    /// A file for the numbers, in Prometheus's text format.
    pub metrics_file: Option<PathBuf>,
}

impl RecordSettings {
    /// Whether the report goes to standard output.
    pub fn prints_report(&self) -> bool {
        self.report.as_deref().is_some_and(|path| path.as_os_str() == "-")
    }

    fn report_file(&self) -> Option<&Path> {
        self.report.as_deref().filter(|_| !self.prints_report())
    }

    /// Sees before the run that its files can be written, and that nothing else is lost by that.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] for what cannot be used.
    pub fn check(&self, destination: &Address, is_json: bool) -> Result<()> {
        if self.prints_report() && is_json {
            return Err(usage("--report - and --json both want standard output")
                .with_hint("give --report a file; the last document of --json is the summary"));
        }
        let targets = [("--report", self.report_file()), ("--metrics-file", self.metrics_file.as_deref())];
        for (flag, path) in targets {
            if let Some(path) = path {
                check_target(flag, path, destination)?;
            }
        }
        match (self.report_file(), self.metrics_file.as_deref()) {
            (Some(report), Some(metrics)) if file::resolved(report) == file::resolved(metrics) => {
                match file::is_device(report) {
                    true => Ok(()),
                    false => Err(usage("--report and --metrics-file name the same file").with_hint("name two files")),
                }
            }
            _ => Ok(()),
        }
    }
}

fn usage(what: impl Into<String>) -> Error {
    Error::new(ErrorKind::Usage, what)
}

fn check_target(flag: &str, path: &Path, destination: &Address) -> Result<()> {
    if path.as_os_str() == "-" {
        return Err(usage(format!("{flag} cannot be written to standard output")).with_hint("name a file"));
    }
    file::keep_off_mirror(flag, path, destination)?;
    // The run makes the mirror's folder, but no other.
    if let Address::Directory(mirror) = destination
        && !mirror.exists()
        && file::resolved(path).parent() == Some(&file::resolved(mirror))
    {
        return Ok(());
    }
    match file::try_out(path) {
        // A disk may have room again by the end, and the file itself is asked for only then.
        Err(cause) if matches!(cause.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) => Ok(()),
        tried => tried.map_err(|cause| {
            usage(format!("cannot write the file of {flag}, {}", path.display()))
                .with_hint(format!("name a file in a folder that is there and can be written with {flag}"))
                .with_cause(cause)
        }),
    }
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
    /// Its id at the server of OpenLineage, where there is one.
    pub lineage_run_id: Option<String>,
    /// The name under which it and others are added up.
    pub group: Option<String>,
    /// Which process on which machine it is.
    pub worker: String,
}

impl Run {
    pub fn new(started_at: Timestamp, asked: Value, lineage_run_id: Option<String>) -> Self {
        let id = format!("{}-{:08x}", started_at.strftime("%Y%m%dT%H%M%S%.3fZ"), rand::random::<u32>());
        Self { id, started_at, asked, lineage_run_id, group: None, worker: String::new() }
    }

    /// When it ended, by its duration.
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
        report["lineage_run_id"] = self.lineage_run_id.clone().into();
        report["group"] = self.group.clone().into();
        report["worker"] = self.worker.as_str().into();
        report
    }
}

/// Leaves the run's report in the destination. A run that is done is not failed by that.
pub async fn keep(run: &Run, report: &Value, destination: &dyn Destination) -> Option<String> {
    let kept = destination.keep_report(&run.id, text_of(report).as_bytes()).await;
    kept.err().map(|error| format!("the run's report could not be kept in the destination: {error}"))
}

/// A report as it stands in a file.
pub fn text_of(report: &Value) -> String {
    format!("{report:#}\n")
}

/// Writes the files that were asked for, each whatever becomes of the other; says which could not be.
pub fn write_files(
    settings: &RecordSettings,
    report: &Value,
    summary: &Summary<'_>,
    known: &OfMirror,
    ended_at: Timestamp,
) -> Vec<String> {
    let report = settings.report_file().map(|path| write(path, &text_of(report), "report"));
    let metrics = settings.metrics_file.as_deref();
    let metrics = metrics.map(|path| write(path, &metrics::text(summary, known, ended_at), "metrics"));
    report.into_iter().chain(metrics).flatten().collect()
}

fn write(path: &Path, text: &str, what: &str) -> Option<String> {
    let written = file::replace(path, text.as_bytes());
    written.err().map(|cause| format!("cannot write the {what} to {}: {cause}", path.display()))
}
