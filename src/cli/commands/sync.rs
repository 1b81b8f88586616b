use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use e3sync::destination::DestinationSettings;
use e3sync::error::{Error, ErrorKind, ExitCode, Result};
use e3sync::progress::{Counters, Event};
use e3sync::select::DaysWanted;
use e3sync::source::{SourceSettings, Watch};
use e3sync::sync::{self, RunHandles, SyncRequest};
use e3sync::transfer::PartitionOutcome;

use super::Outcome;
use super::plan;
use crate::cli::args::{OutputArgs, SyncArgs};
use crate::cli::decide::{self, Present};
use crate::cli::output;
use crate::cli::render::{self, Display, Summary};
use crate::cli::signals;

/// A `sync` as decided.
pub struct Decided {
    pub source: SourceSettings,
    pub destination: DestinationSettings,
    pub request: SyncRequest,
    pub present: Present,
    pub output: OutputArgs,
    pub report: Option<PathBuf>,
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
        report: arguments.report,
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
    let destination = unless_stopped(decided.destination.open(&account_id, &watch), &stop).await?;
    let ticker = display.tick(&clouds);
    let handles = RunHandles { observer: display.observer.clone(), counters: counters.clone(), clock, stop };
    let outcome = sync::sync(decided.request, &clouds, destination, handles).await;
    drop(ticker);
    display.clear();
    let outcome = outcome?;
    let summary = Summary {
        outcome: &outcome,
        counters: &counters,
        verified: display.tally.verified(),
        elapsed: began.elapsed(),
        account_id: account_id.as_str(),
        sources: &sources,
    };
    let code = tell(&summary, &decided.output, decided.report.as_deref())?;
    match outcome.stopped_by {
        // The summary has the numbers; the error adds what to do.
        Some(error) => Err(error),
        None => Ok((code, outcome.partitions)),
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

fn tell(summary: &Summary<'_>, arguments: &OutputArgs, report: Option<&Path>) -> Result<ExitCode> {
    let code = summary.exit_code();
    if arguments.json {
        output::json(&summary.json(code));
    } else if !arguments.quiet {
        for line in summary.lines() {
            output::line(line);
        }
    }
    if let Some(path) = report {
        let text = format!("{:#}\n", summary.report(code));
        let written = std::fs::write(path, text).map_err(|cause| {
            Error::new(ErrorKind::Usage, format!("cannot write the report to {}", path.display()))
                .with_hint("the run itself is done; name a writable file with --report")
                .with_cause(cause)
        });
        match written {
            Err(error) if code == ExitCode::Success => return Err(error),
            // What became of the run matters more.
            Err(error) => output::error(&error),
            Ok(()) => {}
        }
    }
    Ok(code)
}
