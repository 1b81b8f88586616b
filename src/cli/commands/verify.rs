//! Runs `verify`: compares a destination with its manifests, and repairs what differs where asked to.

use std::sync::Arc;
use std::time::Instant;

use e3sync::destination::{Address, Damage, DestinationSettings};
use e3sync::error::{ErrorKind, ExitCode, Result};
use e3sync::export::{Partition, Scope};
use e3sync::plan::PlanOptions;
use e3sync::plan::{DaysWanted, Selection};
use e3sync::progress::{Counters, Event};
use e3sync::source::{SourceSettings, Watch};
use e3sync::sync::{RunHandles, SyncRequest};
use e3sync::transfer::{PartitionOutcome, TransferSettings};
use e3sync::verify::{self, ProgressFile, VerifyOutcome, VerifyRequest};
use jiff::civil::Date;
use tokio::sync::watch;

use super::Outcome;
use crate::cli::args::{OutputArgs, VerifyArgs};
use crate::cli::decide::{self, Present};
use crate::cli::render::{self, ChecksDisplay};
use crate::cli::run::{self, RecordSettings, RunSettings};
use crate::cli::units::Counted;
use crate::cli::{environment, file, output, signals};

/// A `verify` as decided.
struct Decided {
    request: VerifyRequest,
    destination: DestinationSettings,
    repair: Option<(SourceSettings, TransferSettings)>,
    accepts_shrink: bool,
    present: Present,
    output: OutputArgs,
    max_duration: Option<std::time::Duration>,
}

/// Runs `e3sync verify`.
pub async fn run(arguments: VerifyArgs) -> Outcome {
    let decided = decide(arguments)?;
    let mut stopping = None;
    let found = check(&decided, decided.request.clone(), &mut stopping).await?;
    if let Some(error) = found.stopped_by {
        return Err(error);
    }
    match &decided.repair {
        Some((source, transfer)) if !found.damaged.is_empty() => {
            repair(&decided, found, source.clone(), transfer.clone(), stopping).await
        }
        repair => {
            let is_told = repair.is_none() && !decided.output.quiet && !decided.output.json;
            if is_told && !found.damaged.is_empty() {
                let address = render::text::shell_word(&decided.destination.address.to_string());
                output::message(format_args!("e3sync verify {address} --repair fetches what differs"));
            }
            Ok(found.exit_code())
        }
    }
}

fn decide(arguments: VerifyArgs) -> Result<Decided> {
    let present = Present::read(arguments.selection.today)?;
    let (how, retries) = (arguments.how, arguments.source.retries);
    let destination = DestinationSettings {
        keep_replaced: how.keep_replaced.0,
        ..decide::destination(&arguments.destination, &present, how.keep_superseded, retries)?
    };
    let destination = decide::without_locks(destination, how.no_lock)?;

    // What a repair needs is asked for before hours of verification, not after.
    let repair = match how.repair {
        true => Some((
            decide::source(&arguments.source)?,
            decide::transfer(&arguments.transfer, retries, &destination.address)?,
        )),
        false => None,
    };
    if let Some(path) = &how.progress_file {
        file::keep_off_mirror("--progress-file", path, &destination.address)?;
    }
    let named = how.progress_file.map(ProgressFile::Named);
    let selection = decide::selection(&arguments.selection, &present, DaysWanted::All)?;
    let usual = VerifyRequest::new(selection, decide::plain_address(&destination.address), present.today);
    let request = VerifyRequest {
        sample: how.sample,
        is_quick: how.quick,
        readers_max: destination.address.readers_max(),
        days_asked: decide::days_asked(&arguments.selection),
        progress: named.or_else(|| environment::state_folder().map(ProgressFile::InFolder)),
        is_fresh: how.fresh,
        ..usual
    };
    let max_duration = arguments.transfer.max_duration.map(|span| span.0);
    Ok(Decided {
        request,
        destination,
        repair,
        accepts_shrink: how.accept_shrink,
        present,
        output: arguments.output,
        max_duration,
    })
}

/// Signals are listened to once for all looks at the destination; a repair is a run, and listens itself.
type Stopping = Option<watch::Receiver<Option<ErrorKind>>>;

async fn check(decided: &Decided, request: VerifyRequest, stopping: &mut Stopping) -> Result<VerifyOutcome> {
    let began = Instant::now();
    let counters = Arc::new(Counters::default());
    let display = ChecksDisplay::new(&decided.output, &counters);
    let stop = stopping.get_or_insert_with(|| signals::listen(decided.max_duration, display.clone())).clone();
    let clock = decided.present.clock.clone();
    let watch = Watch { clock: clock.clone(), observer: display.clone(), counters: counters.clone() };
    let files = decided.destination.look(&watch).await?;
    let handles = RunHandles { observer: display.clone(), counters, clock, stop };
    let is_quick = request.is_quick;
    let ticker = display.tick();
    let outcome = verify::verify(request, files, handles).await;
    drop(ticker);
    display.clear();
    let outcome = outcome?;
    if decided.output.json {
        output::json(&render::summary_json(&outcome, is_quick, began.elapsed(), outcome.exit_code()));
    } else if !decided.output.quiet {
        render::print_sentence("", 2, &render::summary_line(&outcome, is_quick, began.elapsed()));
    }
    Ok(outcome)
}

/// Fetches what differs, and looks at the days once more.
async fn repair(
    decided: &Decided,
    found: VerifyOutcome,
    source: SourceSettings,
    transfer: TransferSettings,
    mut stopping: Stopping,
) -> Outcome {
    let is_bucket = !matches!(decided.destination.address, Address::Directory(_));
    let scope = &decided.request.selection.scope;
    let mut damage = found.damage.clone();
    let mut partitions = Vec::new();
    let mut is_refused = false;
    for (partition, damaged) in &found.damaged {
        match verify::check_repairable(damaged, is_bucket, scope) {
            Ok(()) => partitions.push(partition.clone()),
            Err(error) => {
                is_refused = true;
                damage.forget(partition);
                tell(decided, partition, false, &error.to_string());
            }
        }
    }
    if partitions.is_empty() {
        return Ok(ExitCode::Difference);
    }
    let run = repairing_run(decided, damage, &partitions, source, transfer);
    // A run that could not begin has repaired nothing, which each day is told.
    let (failure, outcomes) = match run::carry_out(run).await {
        Ok((_, outcomes)) => (None, outcomes),
        Err(error) => (Some(error), Vec::new()),
    };
    let selection = Selection { types: Vec::new(), days: DaysWanted::Each(partitions.clone()), scope: scope.clone() };
    let request =
        VerifyRequest { selection, sample: None, progress: None, is_recheck: true, ..decided.request.clone() };
    let left = check(decided, request, &mut stopping).await?;
    for partition in &partitions {
        let is_repaired = !left.damaged.contains_key(partition) && !left.being_replaced.contains(partition);
        tell(decided, partition, is_repaired, &reason(partition, &outcomes));
    }
    let code = left.exit_code();
    match left.stopped_by.or(failure) {
        Some(error) => Err(error),
        None if is_refused => Ok(ExitCode::Difference),
        None => Ok(code),
    }
}

/// What became of a partition in the run that was to repair it.
fn reason(partition: &Partition, outcomes: &[PartitionOutcome]) -> String {
    let Some(outcome) = outcomes.iter().find(|outcome| outcome.partition == *partition) else {
        return "the run ended before it".to_owned();
    };
    match &outcome.error {
        Some(error) => error.to_string(),
        None if outcome.published.is_some() && outcome.objects_transferred == 0 => {
            "published again from what is here".to_owned()
        }
        None if outcome.published.is_some() => {
            format!("{} fetched", Counted(outcome.objects_transferred, "file", "files"))
        }
        None => outcome.reason.to_owned(),
    }
}

fn tell(decided: &Decided, partition: &Partition, is_repaired: bool, reason: &str) {
    use e3sync::progress::Observer as _;
    let display = ChecksDisplay::new(&decided.output, &Arc::new(Counters::default()));
    display.observe(&Event::PartitionRepaired { partition, is_repaired, reason });
    display.clear();
}

fn repairing_run(
    decided: &Decided,
    damage: Damage,
    partitions: &[Partition],
    source: SourceSettings,
    transfer: TransferSettings,
) -> RunSettings {
    let scope: Scope = decided.request.selection.scope.clone();
    let selection = Selection { types: Vec::new(), days: DaysWanted::Each(partitions.to_vec()), scope };
    let destination = DestinationSettings { damage: Arc::new(damage), ..decided.destination.clone() };
    RunSettings {
        source,
        request: SyncRequest {
            selection,
            options: PlanOptions {
                lookback_from: Date::MIN,
                accept_shrink: decided.accepts_shrink,
                ..PlanOptions::at(decided.present.now)
            },
            transfer,
            today: decided.present.today,
            spill_folder: destination.spill_folder(),
            join: None,
        },
        destination,
        present: decided.present.clone(),
        output: decided.output.clone(),
        record: RecordSettings::default(),
        max_duration: decided.max_duration,
        profile: None,
        group: None,
    }
}
