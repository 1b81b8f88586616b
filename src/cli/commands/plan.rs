//! Runs `plan`: shows what `sync` would do with each partition, and why.

use std::sync::Arc;

use e3sync::destination::check_account;
use e3sync::error::ExitCode;
use e3sync::plan::PartitionPlan;
use e3sync::progress::{Counters, Event};
use e3sync::source::Watch;
use e3sync::sync::{self, SyncRequest};
use e3sync::transfer::TransferSettings;

use super::Outcome;
use crate::cli::args::{PlanArgs, SyncArgs};
use crate::cli::decide::{self, Present};
use crate::cli::output;
use crate::cli::render::{self, Display, json, unmirrored};
use crate::cli::unit_lines::Units;
use crate::cli::units::{Bytes, Count, Counted};

impl SyncArgs {
    /// The same request, to be planned only.
    pub fn into_plan(self) -> PlanArgs {
        PlanArgs {
            destination: self.destination,
            selection: self.selection,
            planning: self.planning,
            source: self.source,
            output: self.output,
            exit_code: false,
        }
    }
}

/// Runs `e3sync plan`, and `e3sync sync --dry-run`.
pub async fn run(arguments: PlanArgs, units: Option<Units>) -> Outcome {
    let present = Present::read(arguments.selection.today)?;
    let destination = decide::destination(&arguments.destination, &present, false, arguments.source.retries)?;
    let request = SyncRequest {
        selection: decide::selection_of(&arguments.selection, units, &present)?,
        options: decide::planning(&arguments.planning, &present)?,
        transfer: TransferSettings::default(),
        today: present.today,
        spill_folder: std::env::temp_dir(),
        join: None,
    };
    let settings = decide::source(&arguments.source)?;
    let counters = Arc::new(Counters::default());
    // The plan's own lines are the result; events would only repeat them.
    let display = Display::new(&arguments.output, &counters);
    let observer = display.observer.clone();
    let watch = Watch { clock: present.clock, observer: observer.clone(), counters };
    let clouds = settings.connect(&watch).await?;
    let account_id = &clouds.present[0].location.account_id;
    let sources: Vec<String> = clouds.present.iter().map(|cloud| cloud.location.to_string()).collect();
    observer.observe(&Event::RunStarted {
        account_id: account_id.as_str(),
        sources: &sources,
        credentials_remaining: render::remaining(&clouds.present),
    });
    let published = destination.look(&watch).await?;
    published.account_id().map_or(Ok(()), |held| check_account(held, account_id))?;
    let mut totals = PlanTotals::default();
    let outcome = sync::plan(request, &clouds, published.as_ref(), observer.as_ref(), |plan| match plan {
        Ok(plan) => {
            totals.add(&plan);
            show(&plan, &arguments, clouds.present.len() > 1);
        }
        Err(error) => {
            totals.is_partial = true;
            output::error(&error);
        }
    })
    .await?;
    display.clear();
    totals.tell(&arguments);
    let unmirrored = unmirrored::lines(&outcome.strays, &outcome.vanished);
    if !arguments.output.json {
        // A cron job mails what is printed, so that `--quiet` does not hide it.
        unmirrored.iter().for_each(|line| render::print_sentence("", 2, line));
    }
    totals.is_partial |= !unmirrored.is_empty();
    Ok(totals.exit_code(arguments.exit_code))
}

/// Prints a partition's plan, with the cloud where there is a choice.
fn show(plan: &PartitionPlan, arguments: &PlanArgs, names_cloud: bool) {
    if arguments.output.json {
        output::json(&json::of_plan(plan));
    } else if !arguments.output.quiet {
        let amount = if plan.action.is_change() {
            format!(
                " · {} of {}, {}",
                Count(plan.changes.added.objects),
                Counted(plan.objects(), "object", "objects"),
                Bytes(plan.changes.added.bytes)
            )
        } else {
            String::new()
        };
        let cloud = plan.source.as_deref().and_then(|source| source.split("://").next()).filter(|_| names_cloud);
        let cloud = cloud.map_or_else(String::new, |scheme| {
            let name = if scheme == "gs" { "gcs" } else { scheme };
            format!(" · from {name}, {}", plan.source_reason.unwrap_or_default())
        });
        output::line(format_args!("{:<8} {} · {}{cloud}{amount}", plan.action.name(), plan.partition, plan.reason));
    }
}

#[derive(Default)]
struct PlanTotals {
    changes: u64,
    partitions: u64,
    objects: u64,
    bytes: u64,
    /// Whether a partition could not be planned, or something at the source cannot be mirrored.
    is_partial: bool,
}

impl PlanTotals {
    fn add(&mut self, plan: &PartitionPlan) {
        self.partitions += 1;
        self.changes += u64::from(plan.action.is_change());
        self.objects += plan.changes.added.objects;
        self.bytes += plan.changes.added.bytes;
    }

    fn tell(&self, arguments: &PlanArgs) {
        if !arguments.output.json && !arguments.output.quiet {
            output::line(format_args!(
                "plan: {} of {} {} · {} to transfer · {}",
                Count(self.changes),
                Counted(self.partitions, "partition", "partitions"),
                if self.changes == 1 { "changes" } else { "change" },
                Counted(self.objects, "object", "objects"),
                Bytes(self.bytes)
            ));
        }
    }

    fn exit_code(&self, tells_changes: bool) -> ExitCode {
        if self.is_partial {
            ExitCode::Partial
        } else if tells_changes && self.changes > 0 {
            ExitCode::Changes
        } else {
            ExitCode::Success
        }
    }
}
