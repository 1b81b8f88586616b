//! Runs `sync`.

use e3sync::destination::DestinationSettings;
use e3sync::error::{Error, ErrorKind, ExitCode, Result};
use e3sync::sync::SyncRequest;

use super::Outcome;
use super::plan;
use crate::cli::args::{SourceArgs, SyncArgs};
use crate::cli::decide::{self, Present};
use crate::cli::output::{self, Level};
use crate::cli::run::{self, RecordSettings, RunSettings};
use crate::cli::scheduler;
use crate::cli::unit_lines::Units;

/// Runs `e3sync sync`.
pub async fn run(mut arguments: SyncArgs, profile: Option<String>) -> Outcome {
    let present = Present::read(arguments.selection.today)?;
    let units = arguments.together.units.take();
    let units = units.map(|path| decide::units(&path, &arguments.source, &present)).transpose()?;
    if let Some(units) = &units {
        if units.partitions.is_empty() {
            output::message("--units names no day: there is nothing to do");
            return Ok(ExitCode::Success);
        }
        check_account(units, &mut arguments.source)?;
    }
    if arguments.dry_run {
        let is_recorded = arguments.report.is_some() || arguments.metrics_file.is_some();
        if is_recorded && !arguments.output.quiet {
            output::log(Level::Warning, "a dry run is no run: --report and --metrics-file write nothing", None);
        }
        return plan::run(arguments.into_plan(), units).await;
    }
    let retries = arguments.source.retries;
    let join = decide::join(&arguments.together, arguments.no_lock)?;
    let destination = DestinationSettings {
        keep_replaced: arguments.keep_replaced.0,
        is_joined: join.is_some(),
        ..decide::destination(&arguments.destination, &present, arguments.keep_superseded, retries)?
    };
    let destination = decide::without_locks(destination, arguments.no_lock)?;
    let decided = RunSettings {
        source: decide::source(&arguments.source)?,
        request: SyncRequest {
            selection: decide::selection_of(&arguments.selection, units, &present)?,
            options: decide::planning(&arguments.planning, &present)?,
            transfer: decide::transfer(&arguments.transfer, retries, &destination.address)?,
            today: present.today,
            spill_folder: destination.spill_folder(),
            join,
        },
        destination,
        max_duration: arguments.transfer.max_duration.map(|span| span.0),
        output: arguments.output,
        record: RecordSettings { report: arguments.report, metrics_file: arguments.metrics_file },
        present,
        profile,
        group: arguments.together.group.or_else(scheduler::execution),
    };
    run::execute(decided).await
}

/// Sees to it that days which are named with their account are looked for in no other one.
fn check_account(units: &Units, source: &mut SourceArgs) -> Result<()> {
    let Some(named) = &units.account_id else { return Ok(()) };
    match &source.account_id {
        Some(account_id) if account_id != named => {
            let what = format!("--units names days of account {named}, and --account-id is {account_id}");
            Err(Error::new(ErrorKind::Usage, what).with_hint("a destination holds one account's mirror"))
        }
        _ => {
            source.account_id = Some(named.clone());
            Ok(())
        }
    }
}
