//! The verbs `sync` and `plan`: bring a destination up to date, or say what that would take.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;

use jiff::civil::Date;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::clock::Clock;
use crate::destination::{Destination, PublishedDays, PublishedSets};
use crate::error::{Error, ErrorKind, ExitCode, Result};
use crate::export::{Partition, Strays, TypeName};
use crate::plan::{
    Action, DaysWanted, PartitionPlan, PlanOptions, Selected, Selection, Surveyor, Vanished, in_joined_order,
};
use crate::progress::{Counters, Event, Observer, Silent};
use crate::source::{AbsentCloud, Clouds, Watch};
use crate::transfer::{Engine, Join, PartitionOutcome, RunOutcome, Together, TransferSettings};

/// What a run is asked to do.
pub struct SyncRequest {
    /// The partitions.
    pub selection: Selection,
    /// How to decide about them.
    pub options: PlanOptions,
    /// How to transfer.
    pub transfer: TransferSettings,
    /// The present day (UTC).
    pub today: Date,
    /// Where long listings are kept while they are needed.
    pub spill_folder: PathBuf,
    /// How the run works together with others on the same destination; `None` for one that does not.
    pub join: Option<Join>,
}

/// What a run tells and by what it is told to stop.
#[derive(Clone)]
pub struct RunHandles {
    /// Receives the events.
    pub observer: Arc<dyn Observer>,
    /// Are counted up.
    pub counters: Arc<Counters>,
    /// The time.
    pub clock: Arc<Clock>,
    /// A value ends the run early.
    pub stop: watch::Receiver<Option<ErrorKind>>,
}

impl RunHandles {
    /// Handles of a run that tells nobody and that nothing stops.
    pub fn silent(clock: Arc<Clock>) -> Self {
        let (_, stop) = watch::channel(None);
        Self { observer: Arc::new(Silent), counters: Arc::default(), clock, stop }
    }

    /// The same for connections.
    pub fn watch(&self) -> Watch {
        let (clock, observer, counters) = (self.clock.clone(), self.observer.clone(), self.counters.clone());
        Watch { clock, observer, counters }
    }
}

/// Brings `destination` up to date with the export in `clouds`. Whoever has
/// opened it closes it afterwards ([`Destination::close`]).
///
/// # Errors
/// What keeps the run from beginning. What happens later is in the outcome.
pub async fn sync(
    request: SyncRequest,
    clouds: &Clouds,
    destination: Arc<dyn Destination>,
    handles: RunHandles,
) -> Result<RunOutcome> {
    let published = destination.published_days().await?;
    let observer = handles.observer.clone();
    let selecting = select(&request, clouds, &published, observer.as_ref());
    let mut stop = handles.stop.clone();
    let selected = tokio::select! {
        selected = selecting => selected?,
        error = stop_requested(&mut stop) => return Err(error),
    };
    let is_incremental = request.selection.days == DaysWanted::Incremental;
    let gaps_expected_before = is_incremental.then_some(request.options.lookback_from);
    let untold_types = selected.untold_types();
    let surveyor = Surveyor::new(
        selected.cloud_days,
        selected.is_partial_view,
        request.selection.scope,
        request.options,
        request.spill_folder,
    );
    let engine = Engine::new(
        destination.clone(),
        surveyor,
        request.transfer,
        observer.clone(),
        handles.counters,
        handles.clock,
        handles.stop,
    );
    let partitions = match request.join {
        Some(join) => in_joined_order(selected.partitions, join.shard, join.seed),
        None => selected.partitions,
    };
    let together = request.join.map(|join| Together { join, published_before: partitions_of(&published) });
    let outcome = run_as_task(engine.together(together), partitions).await?;
    if let Some(message) = request.join.and_then(|join| seems_alone(join, &outcome)) {
        observer.observe(&Event::Warning { message: &message });
    }
    Ok(RunOutcome {
        destination_habits: destination.habits().await,
        gaps_expected_before,
        strays: selected.strays,
        vanished: selected.vanished,
        absent: selected.absent,
        untold_types,
        ..outcome
    })
}

/// What is to be said of a run that had to take the shares of others, of whom it has seen nothing: they may be
/// late, or publish somewhere else.
fn seems_alone(join: Join, outcome: &RunOutcome) -> Option<String> {
    let shard = join.shard?;
    let is_of_others = |outcome: &&PartitionOutcome| !shard.has(&outcome.partition) && outcome.published.is_some();
    let taken = outcome.partitions.iter().filter(is_of_others).count();
    let is_alone = outcome.partitions.iter().all(|outcome| !outcome.is_by_another);
    let count = shard.count();
    (taken > 0 && is_alone && outcome.stopped_by.is_none()).then(|| {
        format!(
            "of {count} runs nobody else has published anything here; if the others have begun, look whether they see this very destination"
        )
    })
}

fn partitions_of(days: &PublishedDays) -> HashSet<Partition> {
    let of_type = |(type_name, dates): &(TypeName, Vec<Date>)| {
        let partitions = dates.iter().map(|date| Partition { type_name: type_name.clone(), date: *date });
        partitions.collect::<Vec<_>>()
    };
    days.iter().flat_map(of_type).collect()
}

/// Runs the engine on the threads that the transfers run on: anywhere else, each object's end would
/// have to wake another thread up. The task ends with its caller.
async fn run_as_task(engine: Engine, partitions: Vec<Partition>) -> Result<RunOutcome> {
    let mut task = JoinSet::new();
    task.spawn(engine.run(partitions));
    match task.join_next().await {
        Some(Ok(outcome)) => Ok(outcome),
        Some(Err(cause)) => Err(Error::new(ErrorKind::Internal, "the engine broke off").with_cause(cause)),
        None => Err(Error::new(ErrorKind::Internal, "the engine did not run")),
    }
}

/// Ends when a stop is asked for before any transfer.
async fn stop_requested(stop: &mut watch::Receiver<Option<ErrorKind>>) -> Error {
    match stop.wait_for(Option::is_some).await {
        Ok(kind) => Error::new(kind.unwrap_or(ErrorKind::Interrupted), "stopped before anything was transferred"),
        Err(_) => std::future::pending().await,
    }
}

async fn select(
    request: &SyncRequest,
    clouds: &Clouds,
    published: &PublishedDays,
    observer: &dyn Observer,
) -> Result<Selected> {
    let selected = request.selection.select(clouds, published, request.today).await?;
    observer.observe(&Event::PartitionsSelected {
        partitions: selected.partitions.len() as u64,
        days: selected.days,
        strays: &selected.strays,
        vanished_types: &selected.vanished.types,
    });
    // The others were told of when the clouds were connected.
    selected.absent.iter().skip(clouds.absent.len()).for_each(|absent| absent.tell(observer));
    let untold_types = selected.untold_types();
    if !untold_types.is_empty() {
        let names: Vec<String> = untold_types.iter().map(ToString::to_string).collect();
        let message = format!(
            "the days of type {} may not be listed with these credentials: each selected day is looked for by itself",
            names.join(", ")
        );
        observer.observe(&Event::Notice { message: &message });
    }
    if let Some(message) = selected.vanished.message() {
        observer.observe(&Event::Warning { message: &message });
    }
    if let Some(days) = selected.days_before {
        let source = if selected.is_partial_view { "a cloud that takes part" } else { "the source" };
        let message = format!("neither {source} nor the destination has anything of {} .. {}", days.from, days.to);
        observer.observe(&Event::Notice { message: &message });
    }
    if !selected.other_types.is_empty() {
        let names: Vec<String> = selected.other_types.iter().map(ToString::to_string).collect();
        let message =
            format!("the export also has type {}, which is not taken unless --type names it", names.join(", "));
        observer.observe(&Event::Notice { message: &message });
    }
    Ok(selected)
}

/// What a plan tells besides the partitions.
#[derive(Clone, Debug, Default)]
pub struct PlanOutcome {
    /// What stands among the days of the selected types at the source and is none.
    pub strays: Strays,
    /// What is published here and the source does not list.
    pub vanished: Vanished,
    /// The clouds that take no part, and why.
    pub absent: Vec<AbsentCloud>,
}

/// Finds out what a run would do, changing nothing; each partition's plan is handed to `show` as
/// soon as it is known.
///
/// # Errors
/// What the source answers or the manifests hold.
pub async fn plan(
    request: SyncRequest,
    clouds: &Clouds,
    published: &dyn PublishedSets,
    observer: &dyn Observer,
    mut show: impl FnMut(Result<PartitionPlan>),
) -> Result<PlanOutcome> {
    use futures::StreamExt as _;
    /// Maximum number of partitions listed concurrently.
    const LISTED_AT_ONCE: usize = 8;
    let days = published.days().await?;
    let selected = select(&request, clouds, &days, observer).await?;
    let surveyor = Surveyor::new(
        selected.cloud_days,
        selected.is_partial_view,
        request.selection.scope,
        request.options,
        request.spill_folder,
    );
    let plans = selected.partitions.into_iter().map(|partition| plan_one(partition, &surveyor, published));
    let mut plans = futures::stream::iter(plans).buffered(LISTED_AT_ONCE);
    while let Some(plan) = plans.next().await {
        match plan {
            Err(error) if error.kind().stops_the_run() => return Err(error),
            plan => show(plan),
        }
    }
    Ok(PlanOutcome { strays: selected.strays, vanished: selected.vanished, absent: selected.absent })
}

async fn plan_one(partition: Partition, surveyor: &Surveyor, published: &dyn PublishedSets) -> Result<PartitionPlan> {
    let known = published.published(&partition).await?;
    Ok(surveyor.survey(&partition, &known, published).await?.plan)
}

/// The exit code of a run, by the rule that docs/SCRIPTING.md states: what stopped it; else what
/// failed; else what waits.
pub fn exit_code(outcome: &RunOutcome) -> ExitCode {
    if let Some(error) = &outcome.stopped_by {
        return error.exit_code();
    }
    let errors: Vec<ExitCode> =
        outcome.partitions.iter().filter_map(|partition| partition.error.as_ref()).map(Error::exit_code).collect();
    if errors.contains(&ExitCode::Difference) {
        return ExitCode::Difference;
    }
    if !errors.is_empty() && errors.iter().all(|code| *code == ExitCode::Held) {
        return ExitCode::Held;
    }
    if let Some(first) = errors.first() {
        let is_alone = outcome.partitions.iter().all(|partition| partition.error.is_some());
        let is_same = errors.iter().all(|code| code == first);
        return if is_alone && is_same { *first } else { ExitCode::Partial };
    }
    let any = |action| outcome.partitions.iter().any(|partition: &PartitionOutcome| partition.action == action);
    let is_mirrorable = outcome.strays.is_empty() && outcome.vanished.types.is_empty();
    let has_gaps = outcome.partitions.iter().any(|partition| is_unexpected_gap(partition, outcome));
    if any(Action::Hold) || has_gaps || !is_mirrorable {
        ExitCode::Partial
    } else if any(Action::Wait) {
        ExitCode::NotReady
    } else {
        ExitCode::Success
    }
}

/// Whether a selected day is nowhere although it should be somewhere.
fn is_unexpected_gap(partition: &PartitionOutcome, outcome: &RunOutcome) -> bool {
    let Partition { type_name, date } = &partition.partition;
    let is_expected = outcome.gaps_expected_before.is_some_and(|before| *date < before);
    // Where days are not listed, only the days themselves tell which is the first.
    let is_before_all = outcome.untold_types.contains(type_name)
        && !outcome.partitions.iter().any(|other| {
            other.partition.type_name == *type_name && other.partition.date < *date && other.action != Action::Missing
        });
    partition.action == Action::Missing && !is_expected && !is_before_all
}
