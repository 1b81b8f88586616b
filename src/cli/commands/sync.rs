//! Runs `sync`: decides, transfers, and reports.

use std::sync::Arc;
use std::time::Instant;

use e3sync::clock::Clock;
use e3sync::destination::{Address, Destination, DestinationSettings};
use e3sync::error::{Error, ErrorKind, ExitCode, Result};
use e3sync::plan::DaysWanted;
use e3sync::progress::{Counters, Event};
use e3sync::source::{Cloud, Clouds, SourceSettings, Watch};
use e3sync::sync::{self, RunHandles, SyncRequest};
use e3sync::transfer::{PartitionOutcome, RunOutcome};
use jiff::Timestamp;
use serde_json::Value;
use tokio::sync::watch;

use super::Outcome;
use super::plan;
use crate::cli::args::{OutputArgs, SyncArgs};
use crate::cli::asked::asked;
use crate::cli::decide::{self, Present};
use crate::cli::lineage::Lineage;
use crate::cli::output::{self, Level};
use crate::cli::record::{self, Freshness, RecordSettings, Run};
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
    /// The profile of the settings files.
    pub profile: Option<String>,
}

/// Runs `e3sync sync`.
pub async fn run(arguments: SyncArgs, profile: Option<String>) -> Outcome {
    if arguments.dry_run {
        let is_recorded = arguments.report.is_some() || arguments.metrics_file.is_some();
        if is_recorded && !arguments.output.quiet {
            output::log(Level::Warning, "a dry run is no run: --report and --metrics-file write nothing", None);
        }
        return plan::run(arguments.into_plan()).await;
    }
    let present = Present::read(arguments.selection.today)?;
    let retries = arguments.source.retries;
    let destination = DestinationSettings {
        keep_replaced: arguments.keep_replaced.0,
        ..decide::destination(&arguments.destination, &present, arguments.keep_superseded, retries)?
    };
    let destination = decide::without_locks(destination, arguments.no_lock)?;

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
        profile,
    };
    execute(decided).await
}

/// Carries a decided `sync` out: connects, transfers, tells.
pub async fn execute(decided: Decided) -> Outcome {
    carry_out(decided).await.map(|(code, _)| code)
}

/// The same, and gives what became of each partition.
pub async fn carry_out(decided: Decided) -> Result<(ExitCode, Vec<PartitionOutcome>)> {
    decided.record.check(&decided.destination.address, decided.output.json)?;
    let session = Session::begin(&decided);
    let asked = asked(&decided);
    let Decided { source, destination: settings, request, record, output, .. } = decided;
    let connected = session.unless_stopped(source.connect(&session.watch())).await;
    let clouds = connected.as_ref().map(|clouds| clouds.present.as_slice()).unwrap_or_default();
    let account_id = clouds.first().map(|cloud| cloud.location.account_id.as_str());
    let sources: Vec<String> = clouds.iter().map(|cloud| cloud.location.to_string()).collect();
    session.tell_begin(account_id, &sources, clouds);
    let lineage = session.lineage(&sources, &settings.address);
    let run = Run::new(session.started_at(), asked, lineage.as_ref().map(|lineage| lineage.run_id().to_owned()));
    if let Some(lineage) = &lineage {
        session.warn(lineage.begin(run.started_at).await);
    }
    let (destination, outcome) = match &connected {
        Ok(clouds) => session.transfer(request, &settings, clouds).await,
        Err(error) => (None, Err(error.clone())),
    };
    let has_looked = outcome.is_ok();
    let absent = || connected.as_ref().map(|clouds| clouds.absent.clone()).unwrap_or_default();
    let outcome = outcome.unwrap_or_else(|error| RunOutcome {
        stopped_by: Some(error),
        absent: absent(),
        ..RunOutcome::default()
    });
    let summary = session.summary(&outcome, account_id, &sources);
    let report = run.report(&summary, summary.exit_code());
    let ending = Ending { session: &session, run: &run, summary: &summary, report: &report, record: &record };
    ending.settle(destination.as_deref(), lineage.as_ref()).await;
    session.display.clear();
    if record.prints_report() {
        output::text(&record::text_of(&report));
    } else if has_looked {
        tell(&summary, &output);
    }
    let code = summary.exit_code();
    // The summary has the numbers; the error adds what to do.
    outcome.stopped_by.map_or(Ok((code, outcome.partitions)), Err)
}

/// What a run has from its first moment on.
struct Session {
    began: Instant,
    counters: Arc<Counters>,
    display: Display,
    clock: Arc<Clock>,
    stop: watch::Receiver<Option<ErrorKind>>,
    is_quiet: bool,
}

impl Session {
    fn begin(decided: &Decided) -> Self {
        let counters = Arc::new(Counters::default());
        let display = Display::new(&decided.output, &counters);
        Self {
            began: Instant::now(),
            stop: signals::listen(decided.max_duration, display.observer.clone()),
            clock: decided.present.clock.clone(),
            is_quiet: decided.output.quiet,
            counters,
            display,
        }
    }

    fn watch(&self) -> Watch {
        let (clock, observer) = (self.clock.clone(), self.display.observer.clone());
        Watch { clock, observer, counters: self.counters.clone() }
    }

    /// When the run began, by a clock that a server may have set right since.
    fn started_at(&self) -> Timestamp {
        self.clock.now() - self.began.elapsed()
    }

    fn warn(&self, messages: impl IntoIterator<Item = String>) {
        for message in messages {
            self.display.observer.observe(&Event::Warning { message: &message });
        }
    }

    async fn unless_stopped<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        let mut stop = self.stop.clone();
        tokio::select! {
            result = work => result,
            Ok(kind) = async { stop.wait_for(Option::is_some).await.map(|kind| *kind) } => {
                Err(Error::new(kind.unwrap_or(ErrorKind::Interrupted), "stopped before anything was transferred"))
            }
        }
    }

    fn tell_begin(&self, account_id: Option<&str>, sources: &[String], clouds: &[Arc<Cloud>]) {
        if let Some(account_id) = account_id {
            let credentials_remaining = render::remaining(clouds);
            self.display.observer.observe(&Event::RunStarted { account_id, sources, credentials_remaining });
        }
    }

    fn lineage(&self, sources: &[String], destination: &Address) -> Option<Lineage> {
        Lineage::from_environment(sources, destination, &self.stop).unwrap_or_else(|error| {
            self.warn([format!("{error}; the run goes on without OpenLineage")]);
            None
        })
    }

    /// Brings the destination up to date, and gives it back where it could be opened.
    async fn transfer(
        &self,
        request: SyncRequest,
        settings: &DestinationSettings,
        clouds: &Clouds,
    ) -> (Option<Arc<dyn Destination>>, Result<RunOutcome>) {
        let watch = self.watch();
        let destination = match self.unless_stopped(settings.open(&clouds.present[0].location.account_id, &watch)).await
        {
            Ok(destination) => destination,
            Err(error) => return (None, Err(error)),
        };
        let Watch { clock, observer, counters } = watch;
        let handles = RunHandles { observer, counters, clock, stop: self.stop.clone() };
        let _ticker = self.display.tick(&clouds.present);
        let outcome = sync::sync(request, clouds, destination.clone(), handles).await;
        (Some(destination), outcome)
    }

    fn summary<'a>(
        &'a self,
        outcome: &'a RunOutcome,
        account_id: Option<&'a str>,
        sources: &'a [String],
    ) -> Summary<'a> {
        Summary {
            outcome,
            counters: &self.counters,
            verified: self.display.tally.verified(),
            elapsed: self.began.elapsed(),
            account_id,
            sources,
        }
    }
}

/// The end of a run: what it leaves behind.
struct Ending<'a> {
    session: &'a Session,
    run: &'a Run,
    summary: &'a Summary<'a>,
    report: &'a Value,
    record: &'a RecordSettings,
}

impl Ending<'_> {
    /// Leaves the reports and the numbers, closes the destination, and only then tells a server that
    /// may keep it waiting.
    async fn settle(&self, destination: Option<&dyn Destination>, lineage: Option<&Lineage>) {
        let mut freshness = None;
        if let Some(destination) = destination {
            self.session.warn(record::keep(self.run, self.report, destination).await);
            freshness = self.freshness(destination).await;
            self.session.warn(destination.close().await);
        }
        let ended_at = self.run.ended_at(self.summary.elapsed);
        let unwritten = record::write_files(self.record, self.report, self.summary, freshness.as_ref(), ended_at);
        for message in &unwritten {
            self.session.display.observer.observe(&Event::Warning { message });
            if self.session.is_quiet {
                // Whoever reads the file would take the last run's for this one's.
                output::log(Level::Error, message, None);
            }
        }
        if let Some(lineage) = lineage {
            self.session.warn(lineage.end(self.summary.outcome, ended_at).await);
        }
    }

    /// How fresh the mirror is, where the numbers are asked for.
    async fn freshness(&self, destination: &dyn Destination) -> Option<Freshness> {
        self.record.metrics_file.as_ref()?;
        match Freshness::of(destination).await {
            Ok(freshness) => Some(freshness),
            Err(error) => {
                self.session.warn([format!("the metrics do not tell how fresh the mirror is: {error}")]);
                None
            }
        }
    }
}

fn tell(summary: &Summary<'_>, arguments: &OutputArgs) {
    if arguments.json {
        output::json(&summary.json(summary.exit_code()));
    } else if !arguments.quiet {
        for line in summary.lines() {
            render::print_sentence("", 2, &line);
        }
    } else {
        // A cron job mails what is printed, and not the exit code.
        for line in summary.for_a_person() {
            output::message(line);
        }
    }
}
