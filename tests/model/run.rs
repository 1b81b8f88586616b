//! Runs of the real library over the model's source and destination: a plan, a `sync`, a repair.

use std::cell::RefCell;
use std::sync::{Arc, Mutex};

use e3sync::clock::Clock;
use e3sync::destination::Damage;
use e3sync::error::{Error, ErrorKind, Result};
use e3sync::export::{Filter, NamePattern, Scope};
use e3sync::plan::{DaysWanted, PartitionPlan, PlanOptions, Ready, Selection};
use e3sync::progress::Counters;
use e3sync::source::Clouds;
use e3sync::sync::{RunHandles, SyncRequest};
use e3sync::transfer::{JOIN_WAIT_DEFAULT, Join, RunOutcome, TransferSettings};
use e3sync::verify::{VerifyOutcome, VerifyRequest};
use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};
use tokio::runtime::Runtime;

use crate::place::{Place, base};
use crate::reference::{Ask, Wanted};
use crate::script::Script;
use crate::source::{DAYS, Export, clouds, partition};

/// How long a day may be without `_SUCCESS` before it counts as complete by time.
const GRACE: SignedDuration = SignedDuration::from_hours(80);

/// A run that takes longer, by its own paused clock, waits for something that never comes.
const LONGEST: std::time::Duration = std::time::Duration::from_secs(48 * 3600);

/// The model's present time: the oldest two days are past their grace period.
pub fn now() -> Timestamp {
    "2026-11-22T12:00:00Z".parse().unwrap()
}

fn today() -> Date {
    jiff::civil::date(2026, 11, 22)
}

/// A selection in the library's words.
pub fn scope(wanted: &Wanted) -> Scope {
    let of_filter = |letters: &String| {
        let names = letters.chars().map(|letter| NamePattern::parse(&letter.to_string()).unwrap()).collect();
        Scope::of_filter(Filter { events: names, ..Filter::default() })
    };
    match wanted {
        Wanted::All => Scope::All,
        Wanted::AnyOf(filters) => {
            filters.iter().map(of_filter).reduce(|one, other| one.union(&other)).unwrap_or(Scope::All)
        }
    }
}

fn request(ask: &Ask) -> SyncRequest {
    SyncRequest {
        selection: Selection {
            types: Vec::new(),
            days: DaysWanted::Each(ask.days.iter().map(|day| partition(*day)).collect()),
            scope: scope(&ask.scope),
        },
        options: PlanOptions {
            ready: ask.ready,
            grace: GRACE,
            lookback_from: DAYS.get(ask.relisted_from).copied().unwrap_or(Date::MAX),
            accept_shrink: ask.accepts_shrink,
            now: now(),
        },
        transfer: TransferSettings { attempts_max: 1, ..TransferSettings::default() },
        today: today(),
        spill_folder: base(),
        join: None,
    }
}

/// What a repair asks for: as `verify --repair` does.
pub fn repair_ask(days: Vec<usize>, clouds: Vec<usize>) -> Ask {
    Ask { days, scope: Wanted::All, ready: Ready::Success, accepts_shrink: false, relisted_from: 0, clouds }
}

fn handles(script: &Arc<Script>) -> RunHandles {
    RunHandles {
        observer: script.clone(),
        counters: Arc::new(Counters::default()),
        clock: Arc::new(Clock::starting_at(now())),
        stop: script.stop(),
    }
}

thread_local! {
    static RUNTIME: RefCell<Option<Runtime>> = const { RefCell::new(None) };
}

/// Runs something on the thread's runtime, whose time is paused.
pub fn on_runtime<T>(work: impl Future<Output = T>) -> T {
    // Not put back after a panic: what that left running ends with the runtime.
    let runtime = RUNTIME.take().unwrap_or_else(new_runtime);
    let output = runtime.block_on(work);
    RUNTIME.set(Some(runtime));
    output
}

fn new_runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap()
}

/// Ends whatever a killed run left running, and waits for its threads.
pub fn end_runtime() {
    drop(RUNTIME.take());
}

/// What `plan` says.
pub async fn plan(place: &Place, export: &Arc<Mutex<Export>>, ask: &Ask) -> Result<Vec<Result<PartitionPlan>>> {
    let script = Script::new(None);
    let files = place.look(&script).await?;
    let clouds = clouds(export, &script, &ask.clouds);
    let mut plans = Vec::new();
    e3sync::sync::plan(request(ask), &Clouds::of(clouds), &*files, &*script, |plan| plans.push(plan)).await?;
    Ok(plans)
}

/// Runs `sync`, from opening the destination to closing it. A killed run ends with an error.
pub async fn sync(
    place: &Place,
    export: &Arc<Mutex<Export>>,
    ask: &Ask,
    script: &Arc<Script>,
    damage: Damage,
) -> Result<RunOutcome> {
    let run = async {
        let destination = place.open(damage, script).await?;
        let clouds = clouds(export, script, &ask.clouds);
        let join = script.joined_seed().map(|seed| Join { wait_max: JOIN_WAIT_DEFAULT, shard: None, seed });
        let request = SyncRequest { join, ..request(ask) };
        let outcome = e3sync::sync::sync(request, &Clouds::of(clouds), destination.clone(), handles(script)).await;
        destination.close().await;
        outcome
    };
    tokio::select! {
        biased;
        () = script.killed() => Err(Error::new(ErrorKind::Internal, "killed")),
        outcome = run => outcome,
        () = tokio::time::sleep(LONGEST) => Err(Error::new(ErrorKind::Internal, "the run does not end")),
    }
}

/// Runs `verify` over all that is published.
pub async fn verify(place: &Place) -> Result<VerifyOutcome> {
    let script = Script::new(None);
    let files = place.look(&script).await?;
    let request = VerifyRequest {
        selection: Selection { types: Vec::new(), days: DaysWanted::All, scope: Scope::All },
        sample: None,
        is_quick: false,
        today: today(),
        readers_max: 1,
        destination: "the model".into(),
        days_asked: String::new(),
        progress: None,
        is_fresh: false,
        is_recheck: false,
    };
    e3sync::verify::verify(request, files, handles(&script)).await
}
