//! One harness for every run: `sync`, `demo` and the repair of `verify` differ in their settings only.

pub mod freshness;
mod lineage;
mod record;
mod requested;
mod session;
mod settings;

use e3sync::destination::{Destination, DestinationSettings};
use e3sync::error::{ExitCode, Result};
use e3sync::progress::Event;
use e3sync::status::{self, RunGroup};
use e3sync::transfer::{PartitionOutcome, RunOutcome};
use serde_json::Value;

use self::freshness::{Freshness, OfMirror};
use self::lineage::Lineage;
pub use self::record::RecordSettings;
use self::record::Run;
use self::requested::requested;
use self::session::RunSession;
pub use self::settings::RunSettings;
use super::args::OutputArgs;
use super::output::{self, Level};
use super::render::{self, Summary};

/// Runs: connects, transfers, reports.
pub async fn execute(settings: RunSettings) -> Result<ExitCode> {
    carry_out(settings).await.map(|(code, _)| code)
}

/// The same, and gives what became of each partition.
pub async fn carry_out(settings: RunSettings) -> Result<(ExitCode, Vec<PartitionOutcome>)> {
    settings.record.check(&settings.destination.address, settings.output.json)?;
    let session = RunSession::begin(&settings);
    let requested = requested(&settings);
    let pause = settings.pause_before_start();
    let RunSettings { source, destination: destination_settings, request, record, output, group, .. } = settings;
    let watch = session.watch();
    let connecting = async {
        tokio::time::sleep(pause).await;
        source.connect(&watch).await
    };
    let connected = session.unless_stopped(connecting).await;
    let clouds = connected.as_ref().map(|clouds| clouds.present.as_slice()).unwrap_or_default();
    let account_id = clouds.first().map(|cloud| cloud.location.account_id.as_str());
    let sources: Vec<String> = clouds.iter().map(|cloud| cloud.location.to_string()).collect();
    session.tell_begin(account_id, &sources, clouds);
    let lineage = session.lineage(&sources, &destination_settings.address);
    let lineage_run_id = lineage.as_ref().map(|lineage| lineage.run_id().to_owned());
    let worker = destination_settings.holder.clone();
    let run = Run { group, worker, ..Run::new(session.started_at(), requested, lineage_run_id) };
    if let Some(lineage) = &lineage {
        session.warn(lineage.begin(run.started_at).await);
    }
    let (destination, outcome) = match &connected {
        Ok(clouds) => session.transfer(request, &destination_settings, clouds).await,
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
    let ending = Ending {
        session: &session,
        destination: &destination_settings,
        run: &run,
        summary: &summary,
        report: &report,
        record: &record,
    };
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

/// The end of a run: what it leaves behind.
struct Ending<'a> {
    session: &'a RunSession,
    destination: &'a DestinationSettings,
    run: &'a Run,
    summary: &'a Summary<'a>,
    report: &'a Value,
    record: &'a RecordSettings,
}

impl Ending<'_> {
    /// Leaves the reports and the numbers, closes the destination, and only then tells a server that
    /// may keep it waiting.
    async fn settle(&self, destination: Option<&dyn Destination>, lineage: Option<&Lineage>) {
        let mut known = OfMirror::default();
        if let Some(destination) = destination {
            self.session.warn(record::keep(self.run, self.report, destination).await);
            known = OfMirror { freshness: self.freshness(destination).await, group: self.group().await };
            self.session.warn(destination.close().await);
        }
        let ended_at = self.run.ended_at(self.summary.elapsed);
        let unwritten = record::write_files(self.record, self.report, self.summary, &known, ended_at);
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

    /// What the runs of this one's group have done together, where the numbers are asked for.
    async fn group(&self) -> Option<RunGroup> {
        let name = self.run.group.as_deref().filter(|_| self.record.metrics_file.is_some())?;
        let runs = async {
            let published = self.destination.look(&self.session.watch()).await?;
            status::last_runs(published.as_ref()).await
        };
        match runs.await {
            Ok((runs, _)) => {
                status::grouped(&runs).into_iter().find(|group| group.total.group.as_deref() == Some(name))
            }
            Err(error) => {
                self.session.warn([format!("the metrics do not tell what the group's runs have done: {error}")]);
                None
            }
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
