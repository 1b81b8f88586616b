use std::sync::Arc;
use std::time::Instant;

use e3sync::destination::{Destination, DestinationSettings};
use e3sync::error::{Error, ErrorKind, ExitCode, Result};
use e3sync::progress::{Counters, Event};
use e3sync::select::DaysWanted;
use e3sync::source::{SourceSettings, Watch};
use e3sync::sync::{self, RunHandles, SyncRequest};
use e3sync::transfer::{PartitionOutcome, RunOutcome};

use super::Outcome;
use super::plan;
use crate::cli::args::{OutputArgs, SyncArgs};
use crate::cli::decide::{self, Present};
use crate::cli::lineage::Lineage;
use crate::cli::output;
use crate::cli::record::{self, RecordSettings, Run};
use crate::cli::render::{self, Display, Summary};
use crate::cli::signals;

/// A `sync` as decided.
pub struct Decided {
    pub source: SourceSettings,
    pub destination: DestinationSettings,
    pub request: SyncRequest,
    pub present: Present,
    pub output: OutputArgs,
    pub record: RecordSettings,
    pub max_duration: Option<std::time::Duration>,
}

/// Runs `e3sync sync`.
pub async fn run(arguments: SyncArgs) -> Outcome {
    if arguments.dry_run {
        return plan::run(arguments.into_plan()).await;
    }
    let present = Present::read(arguments.selection.today.as_deref())?;
    let retries = arguments.source.retries;
    let destination = decide::destination(&arguments.destination, &present, arguments.keep_superseded, retries)?;
    let decided = Decided {
        source: decide::source(&arguments.source)?,
        request: SyncRequest {
            selection: decide::selection(&arguments.selection, &present, DaysWanted::Incremental)?,
            options: decide::planning(&arguments.planning, &present)?,
            transfer: decide::transfer(&arguments.transfer, retries, &destination.address)?,
            today: present.today,
            spill_folder: destination.spill_folder(),
        },
        destination,
        max_duration: arguments.transfer.max_duration.map(|span| span.0),
        output: arguments.output,
        record: RecordSettings { report: arguments.report, metrics_file: arguments.metrics_file },
        present,
    };
    execute(decided).await
}

/// Carries a decided `sync` out: connects, transfers, tells.
pub async fn execute(decided: Decided) -> Outcome {
    carry_out(decided).await.map(|(code, _)| code)
}

/// The same, and gives what became of each partition.
pub async fn carry_out(decided: Decided) -> Result<(ExitCode, Vec<PartitionOutcome>)> {
    let began = Instant::now();
    let counters = Arc::new(Counters::default());
    let display = Display::new(&decided.output, &counters);
    let stop = signals::listen(decided.max_duration, display.observer.clone());
    let clock = decided.present.clock.clone();
    let watch = Watch { clock: clock.clone(), observer: display.observer.clone(), counters: counters.clone() };
    let clouds = unless_stopped(decided.source.connect(&watch), &stop).await?;
    let account_id = clouds[0].location.account_id.clone();
    let sources: Vec<String> = clouds.iter().map(|cloud| cloud.location.to_string()).collect();
    display.observer.observe(&Event::RunStarted {
        account_id: account_id.as_str(),
        sources: &sources,
        credentials_remaining: render::remaining(&clouds),
    });
    let address = decided.destination.address.clone();
    let lineage = Lineage::from_environment(&sources, &address, &stop).unwrap_or_else(|error| {
        warn(&display, [format!("{error}; the run goes on without OpenLineage")]);
        None
    });
    let destination = unless_stopped(decided.destination.open(&account_id, &watch), &stop).await?;
    let run = Run::new(clock.now(), &address.to_string(), &decided.request.selection);
    if let Some(lineage) = &lineage {
        warn(&display, lineage.begin(run.started_at).await);
    }
    let ticker = display.tick(&clouds);
    let handles = RunHandles { observer: display.observer.clone(), counters: counters.clone(), clock, stop };
    let outcome = sync::sync(decided.request, &clouds, destination.clone(), handles).await;
    let has_looked = outcome.is_ok();
    let outcome = outcome.unwrap_or_else(|error| RunOutcome { partitions: Vec::new(), stopped_by: Some(error) });
    let summary = Summary {
        outcome: &outcome,
        counters: &counters,
        verified: display.tally.verified(),
        elapsed: began.elapsed(),
        account_id: account_id.as_str(),
        sources: &sources,
    };
    let ending = Ending { run: &run, summary: &summary, lineage: lineage.as_ref(), record: &decided.record };
    let (warnings, written) = ending.settle(destination.as_ref()).await;
    drop(ticker);
    display.clear();
    warn(&display, warnings);
    if has_looked {
        tell(&summary, &decided.output);
    }
    let code = ending.code(written)?;
    Ok((code, outcome.partitions))
}

fn warn(display: &Display, messages: impl IntoIterator<Item = String>) {
    for message in messages {
        display.observer.observe(&Event::Warning { message: &message });
    }
}

/// The end of a run: what it leaves behind, and what it ends with.
struct Ending<'a> {
    run: &'a Run,
    summary: &'a Summary<'a>,
    lineage: Option<&'a Lineage>,
    record: &'a RecordSettings,
}

impl Ending<'_> {
    /// Leaves the reports and closes the destination; gives what a person should know, and whether
    /// the files that were asked for are written.
    async fn settle(&self, destination: &dyn Destination) -> (Vec<String>, Result<()>) {
        let report = self.run.report(self.summary, self.summary.exit_code());
        let mut warnings = Vec::from_iter(record::keep(self.run, &report, destination).await);
        let published = destination.published_days().await.unwrap_or_default();
        warnings.extend(destination.close().await);
        let ended_at = self.run.ended_at(self.summary.elapsed);
        if let Some(lineage) = self.lineage {
            warnings.extend(lineage.end(self.summary.outcome, ended_at).await);
        }
        (warnings, record::write_files(self.record, &report, self.summary, &published, ended_at))
    }

    fn code(&self, written: Result<()>) -> Outcome {
        let code = self.summary.exit_code();
        match (&self.summary.outcome.stopped_by, written) {
            (None, written) if code == ExitCode::Success => written.map(|()| code),
            // The summary has the numbers; the error adds what to do.
            (stopped_by, written) => {
                if let Err(error) = written {
                    // What became of the run matters more.
                    output::error(&error);
                }
                stopped_by.clone().map_or(Ok(code), Err)
            }
        }
    }
}

async fn unless_stopped<T>(
    work: impl Future<Output = Result<T>>,
    stop: &tokio::sync::watch::Receiver<Option<ErrorKind>>,
) -> Result<T> {
    let mut stop = stop.clone();
    tokio::select! {
        result = work => result,
        Ok(kind) = async { stop.wait_for(Option::is_some).await.map(|kind| *kind) } => {
            Err(Error::new(kind.unwrap_or(ErrorKind::Interrupted), "stopped before anything was transferred"))
        }
    }
}

fn tell(summary: &Summary<'_>, arguments: &OutputArgs) {
    if arguments.json {
        output::json(&summary.json(summary.exit_code()));
    } else if !arguments.quiet {
        for line in summary.lines() {
            output::line(line);
        }
    }
}
