//! Runs `sync`.

use e3sync::destination::DestinationSettings;
use e3sync::plan::DaysWanted;
use e3sync::sync::SyncRequest;

use super::Outcome;
use super::plan;
use crate::cli::args::SyncArgs;
use crate::cli::decide::{self, Present};
use crate::cli::output::{self, Level};
use crate::cli::run::{self, RecordSettings, RunSettings};

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

    let decided = RunSettings {
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
    run::execute(decided).await
}
