//! Owns the state of a run: begins what may be begun, and settles what has ended.

use std::collections::{BTreeMap, VecDeque};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;

use super::TransferSettings;
use super::held::HeldPartitions;
use super::limit::Limiter;
use super::object::{Arrival, Common, ObjectTransfer};
use super::outcome::{PartitionOutcome, RunOutcome};
use super::partition::{Active, Confirmation, Context, Prepared, Together};
use crate::clock::Clock;
use crate::destination::{Claim, Destination, Publication, Work};
use crate::error::{Error, ErrorKind, Result, Retry};
use crate::export::Partition;
use crate::manifest::to_hex;
use crate::plan::{Action, Surveyor};

use crate::progress::{Counters, Event, Observer};

/// How many partitions a run takes before it has published others.
struct LookAhead {
    /// Maximum number of partitions listed concurrently, or with objects to transfer.
    preparing_max: usize,
    /// Maximum number of partitions staged, confirmed or published concurrently.
    active_max: usize,
}

/// Of a run that works alone.
const ALONE: LookAhead = LookAhead { preparing_max: 8, active_max: 64 };

/// Of a run that works together with others: what it takes, no other run can (design.md section 7).
const TOGETHER: LookAhead = LookAhead { preparing_max: 2, active_max: 8 };

/// Maximum number of partitions published concurrently: each waits for the disk, and they share it.
const PUBLISHING_MAX: usize = 4;

/// How many partitions in a row may fail as if the source or the destination were away as a whole before
/// the run ends.
const PARTITION_FAILURES_IN_A_ROW_MAX: u32 = 20;

/// The reason of a set that was fetched and is held back.
const HELD_BY_ROWS: &str = "rewritten with less than half of its rows (accept with --accept-shrink)";

/// A publication that is under way when the grace ends gets so much longer: it is almost done, or
/// its disk hangs.
const LAST_WAIT: Duration = Duration::from_secs(3);

/// Brings partitions up to date at a destination.
pub struct Engine {
    context: Context,
    stop: watch::Receiver<Option<ErrorKind>>,
}

impl Engine {
    /// An engine from the surveyor's clouds to `destination`. A value in `stop` ends the run early:
    /// [`ErrorKind::Interrupted`], [`ErrorKind::Terminated`] or [`ErrorKind::DeadlineReached`].
    pub fn new(
        destination: Arc<dyn Destination>,
        surveyor: Surveyor,
        settings: TransferSettings,
        observer: Arc<dyn Observer>,
        counters: Arc<Counters>,
        clock: Arc<Clock>,
        stop: watch::Receiver<Option<ErrorKind>>,
    ) -> Self {
        let common = Arc::new(Common::new(settings, observer, counters, destination.buffers_objects()));
        Self { context: Context { common, destination, surveyor, clock, together: None }, stop }
    }

    /// The same engine, which leaves to other runs what they have taken, and waits for it.
    #[must_use]
    pub(crate) fn together(mut self, together: Option<Together>) -> Self {
        self.context.together = together;
        self
    }

    /// Brings the partitions up to date, in their order.
    pub async fn run(self, partitions: Vec<Partition>) -> RunOutcome {
        let now = Instant::now();
        let join = self.context.together.as_ref().map(|together| together.join);
        let dispatcher = Dispatcher {
            limiter: Limiter::new(self.context.common.settings.concurrency, now),
            waiting: partitions.into_iter().enumerate().collect(),
            held: HeldPartitions::new(join),
            look_ahead: if join.is_some() { TOGETHER } else { ALONE },
            context: Arc::new(self.context),
            tasks: JoinSet::new(),
            active: BTreeMap::new(),
            preparing: 0,
            publishing: 0,
            publishable: VecDeque::new(),
            in_flight: 0,
            partition_failures_in_a_row: 0,
            throttles_seen: 0,
            troubles_seen: 0,
            is_over: false,
            outcomes: Vec::new(),
            stopped: None,
        };
        dispatcher.run(self.stop).await
    }
}

/// What a task brings back.
enum Done {
    Prepared(Partition, usize, Result<Prepared>),
    Object(usize, Box<Work>, Result<Arrival>),
    Confirmed(usize, Result<Confirmation>),
    Published(usize, Result<Publication>),
    Released(Result<()>),
}

/// Owns the state of a run. Tasks get what they need and bring back what they found; nothing else
/// changes the state.
struct Dispatcher {
    context: Arc<Context>,
    tasks: JoinSet<Done>,
    /// Partitions that were not looked at yet, with their place in the order.
    waiting: VecDeque<(usize, Partition)>,
    held: HeldPartitions,
    look_ahead: LookAhead,
    active: BTreeMap<usize, Active>,
    preparing: usize,
    publishing: usize,
    publishable: VecDeque<usize>,
    in_flight: usize,
    partition_failures_in_a_row: u32,
    throttles_seen: u64,
    troubles_seen: u64,
    /// Whether the grace after a stop has ended: nothing at all is begun any more.
    is_over: bool,
    limiter: Limiter,
    outcomes: Vec<PartitionOutcome>,
    stopped: Option<(Error, Instant)>,
}

impl Dispatcher {
    async fn run(mut self, mut stop: watch::Receiver<Option<ErrorKind>>) -> RunOutcome {
        let context = self.context.clone();
        let mut keep_fresh: Pin<Box<_>> = Box::pin(keep_fresh(&context.surveyor));
        let mut is_fresh = true;
        loop {
            if let Err(error) = self.admit().await {
                self.stop(error);
            }
            let is_idle = self.tasks.is_empty();
            if self.ask_again_for_held(is_idle) {
                continue;
            }
            if is_idle && !self.waits_for_others() {
                break;
            }
            let grace_ends = self.stopped.as_ref().map(|(_, at)| *at + self.context.common.settings.stop_grace);
            let [held_due, wait_ends] = match self.stopped {
                None => [self.held.next_due(), self.held.wait_ends_at().filter(|_| is_idle)],
                Some(_) => [None, None],
            };
            tokio::select! {
                done = self.tasks.join_next(), if !is_idle => self.settle(done),
                kind = stopped(&mut stop), if self.stopped.is_none() => self.stop(stop_error(kind)),
                error = &mut keep_fresh, if is_fresh => {
                    is_fresh = false;
                    self.stop(error);
                }
                () = sleep_until(held_due) => {}
                () = sleep_until(wait_ends) => self.stop(waited_too_long(self.held.len())),
                () = sleep_until(grace_ends) => break,
            }
        }
        self.wind_up().await;
        self.outcomes.sort_by(|one, other| {
            let order = |outcome: &PartitionOutcome| (outcome.partition.date, outcome.partition.type_name.clone());
            order(one).cmp(&order(other))
        });
        let stopped_by = self.stopped.map(|(error, _)| error);
        RunOutcome { partitions: self.outcomes, stopped_by, ..RunOutcome::default() }
    }

    /// Breaks off what still runs, and notes what became of each partition.
    async fn wind_up(&mut self) {
        self.is_over = true;
        let mut tasks = std::mem::take(&mut self.tasks);
        break_off(&mut tasks, |done| self.settle(Some(done))).await;
        for active in std::mem::take(&mut self.active).into_values() {
            match active.failure.clone() {
                Some(error) => self.fail(PartitionOutcome { error: Some(error), ..active.outcome }),
                None => self.outcomes.push(active.outcome),
            }
        }
        for (partition, error) in self.held.take_all() {
            self.fail(PartitionOutcome::of_failure(partition, error));
        }
    }

    /// Puts back what other runs held: alone once more at the end of the run, so that whoever comes last finds
    /// everything published (design.md promise 9); together again and again.
    fn ask_again_for_held(&mut self, is_idle: bool) -> bool {
        if self.stopped.is_some() {
            return false;
        }
        let due = self.held.take_due(is_idle);
        let is_any = !due.is_empty();
        self.waiting.extend(due);
        is_any
    }

    /// Whether nothing is left but to wait for what others hold; tells so when that begins.
    fn waits_for_others(&mut self) -> bool {
        if self.stopped.is_some() || self.held.len() == 0 || !self.held.asks_again() {
            return false;
        }
        if let Some((days, first)) = self.held.begin_to_wait() {
            let message = match days {
                1 => format!("nothing else is left to do, so this run waits: {first}"),
                days => format!("nothing else is left to do, so this run waits for {days} days of others: {first}"),
            };
            self.context.common.observer.observe(&Event::Notice { message: &message });
        }
        true
    }

    /// Begins whatever may be begun now.
    async fn admit(&mut self) -> Result<()> {
        self.watch_the_source();
        if self.stopped.is_none() {
            self.admit_partitions();
            self.admit_objects().await?;
        }
        self.admit_publications();
        Ok(())
    }

    /// Lets the limiter know how the source copes with the requests.
    fn watch_the_source(&mut self) {
        let common = &self.context.common;
        let counters = &common.counters;
        let (throttles, troubles, now) = (counters.throttles.get(), common.troubles.get(), Instant::now());
        if throttles > self.throttles_seen {
            self.limiter.throttled(now);
        }
        if troubles > self.troubles_seen {
            self.limiter.troubled(troubles - self.troubles_seen, now);
        }
        (self.throttles_seen, self.troubles_seen) = (throttles, troubles);
        counters.concurrency.set(self.limiter.limit() as u64);
        counters.in_flight.set(self.in_flight as u64);
    }

    /// Lists a few partitions ahead: as long as there is not enough work to fill the limit.
    fn admit_partitions(&mut self) {
        let LookAhead { preparing_max, active_max } = self.look_ahead;
        while self.preparing < preparing_max && self.active.len() + self.preparing < active_max {
            let with_work = self.active.values().filter(|active| active.has_work()).count();
            if with_work + self.preparing >= preparing_max {
                break;
            }
            let Some((order, partition)) = self.waiting.pop_front() else { break };
            let context = self.context.clone();
            self.preparing += 1;
            self.tasks.spawn(async move {
                let prepared = context.prepare(partition.clone()).await;
                Done::Prepared(partition, order, prepared)
            });
        }
    }

    /// Begins objects, those of the oldest partition first.
    async fn admit_objects(&mut self) -> Result<()> {
        let mut drained = Vec::new();
        for (order, active) in &mut self.active {
            while self.in_flight < self.limiter.limit() && active.has_work() {
                let Some(work) = active.next_work().await? else {
                    drained.push(*order);
                    break;
                };
                let transfer = ObjectTransfer {
                    common: self.context.common.clone(),
                    cloud: active.cloud.clone(),
                    claim: active.claim.clone(),
                    partition: active.partition.clone(),
                    work: work.clone(),
                };
                let order = *order;
                self.tasks.spawn(async move { Done::Object(order, Box::new(work), transfer.run().await) });
                active.in_flight += 1;
                self.in_flight += 1;
            }
        }
        for order in drained {
            self.advance(order);
        }
        Ok(())
    }

    fn admit_publications(&mut self) {
        while self.publishing < PUBLISHING_MAX {
            let Some(order) = self.publishable.pop_front() else { break };
            let Some(active) = self.active.get(&order) else { continue };
            let (context, staged, runtime) = (self.context.clone(), active.staged(), Handle::current());
            self.publishing += 1;
            self.tasks.spawn_blocking(move || Done::Published(order, context.publish(&staged, &runtime)));
        }
    }

    fn settle(&mut self, done: Option<std::result::Result<Done, JoinError>>) {
        match done {
            None => {}
            Some(Err(cause)) => {
                self.stop(Error::new(ErrorKind::Internal, "a task broke off").with_cause(cause));
            }
            Some(Ok(Done::Prepared(partition, order, prepared))) => self.settle_prepared(partition, order, prepared),
            Some(Ok(Done::Object(order, work, arrival))) => self.settle_object(order, &work, arrival),
            Some(Ok(Done::Confirmed(order, confirmation))) => self.settle_confirmed(order, confirmation),
            Some(Ok(Done::Published(order, header))) => self.settle_published(order, header),
            Some(Ok(Done::Released(Ok(())))) => {}
            // It is free when this run ends.
            Some(Ok(Done::Released(Err(error)))) if !error.kind().stops_the_run() => {}
            Some(Ok(Done::Released(Err(error)))) => self.stop(error),
        }
    }

    fn settle_prepared(&mut self, partition: Partition, order: usize, prepared: Result<Prepared>) {
        self.preparing -= 1;
        match prepared {
            Ok(Prepared::Settled(outcome)) => self.end(*outcome),
            Ok(Prepared::Staged(active)) => {
                self.held.progressed();
                self.active.insert(order, *active);
            }
            Err(error) => self.fail_or_ask_again(order, PartitionOutcome::of_failure(partition, error.clone()), error),
        }
    }

    fn settle_object(&mut self, order: usize, work: &Work, arrival: Result<Arrival>) {
        self.in_flight -= 1;
        let is_saturated = self.in_flight + 1 >= self.limiter.limit();
        let Some(active) = self.active.get_mut(&order) else { return };
        active.in_flight -= 1;
        let common = &self.context.common;
        match arrival {
            Ok(arrival) => {
                self.partition_failures_in_a_row = 0;
                active.note_success();
                self.limiter.completed(work.object.size_bytes, is_saturated, Instant::now());
                note_arrival(active, work, &arrival, common);
            }
            // Another version of the object than listed says nothing about the object itself.
            Err(error) if error.retry() == Retry::Relist => {
                active.outdated_by = Some(error);
                active.abandon_queue();
            }
            // Before it counts, the listing must say again that the object is there.
            Err(error) if error.kind() == ErrorKind::AccessDenied => active.note_refusal(work.clone(), error),
            Err(error) => {
                fail_object(active, work, &error, common);
                if error.kind().stops_the_run() {
                    self.stop(error);
                }
            }
        }
        self.advance(order);
    }

    /// Confirms a partition whose objects are all done, or ends one that cannot be published.
    fn advance(&mut self, order: usize) {
        if self.is_over {
            return;
        }
        let Some(active) = self.active.get_mut(&order).filter(|active| active.is_drained()) else { return };
        if active.failure.is_some() || self.stopped.is_some() {
            // What was refused is not asked about again: the partition is not published anyway.
            fail_refused(active, &self.context.common);
        }
        if let Some(error) = active.failure.take() {
            return self.fail_active(order, error);
        }
        if active.is_cut_short || (self.stopped.is_some() && active.outdated_by.is_some()) {
            if let Some(active) = self.active.remove(&order) {
                self.outcomes.push(active.outcome);
            }
            return;
        }
        let (context, staged) = (self.context.clone(), active.staged());
        self.tasks.spawn(async move { Done::Confirmed(order, context.confirm(&staged).await) });
    }

    fn settle_confirmed(&mut self, order: usize, confirmation: Result<Confirmation>) {
        let Some(active) = self.active.get_mut(&order) else { return };
        let applied = match confirmation {
            Ok(Confirmation::Settled(plan)) => {
                active.outcome.replan(&plan);
                if let Some(active) = self.active.remove(&order) {
                    self.end(active.outcome);
                }
                return;
            }
            Ok(Confirmation::Same) => {
                fail_refused(active, &self.context.common);
                match active.failure.take() {
                    Some(error) => Err(error),
                    None => active.apply(None),
                }
            }
            Ok(Confirmation::Changed(plan)) => {
                // They were refused because others stand in their place by now.
                drop(active.take_refused());
                active.apply(Some(*plan))
            }
            Err(error) => {
                fail_refused(active, &self.context.common);
                Err(error)
            }
        };
        match applied {
            Ok(true) => self.publishable.push_back(order),
            Ok(false) if self.stopped.is_some() => {
                if let Some(active) = self.active.remove(&order) {
                    self.outcomes.push(active.outcome);
                }
            }
            Ok(false) => {}
            Err(error) => self.fail_active(order, error),
        }
    }

    fn settle_published(&mut self, order: usize, publication: Result<Publication>) {
        self.publishing -= 1;
        let publication = match publication {
            Ok(publication) => publication,
            Err(error) => return self.fail_active(order, error),
        };
        let Some(mut active) = self.active.remove(&order) else { return };
        match publication {
            Publication::Published(header) => {
                self.context.common.observer.observe(&Event::PartitionPublished {
                    partition: &active.partition,
                    objects: header.objects,
                    bytes: header.bytes,
                    rows: header.rows,
                    is_complete: header.completeness.is_complete(),
                });
                active.outcome.published = Some(*header);
            }
            Publication::Held => (active.outcome.action, active.outcome.reason) = (Action::Hold, HELD_BY_ROWS),
        }
        self.end(active.outcome);
    }

    /// Ends a partition that is as it should be.
    fn end(&mut self, outcome: PartitionOutcome) {
        self.held.progressed();
        self.partition_failures_in_a_row = 0;
        self.outcomes.push(outcome);
    }

    fn fail_active(&mut self, order: usize, error: Error) {
        if let Some(active) = self.active.remove(&order) {
            let outcome = PartitionOutcome { error: Some(error.clone()), ..active.outcome };
            self.release(active.claim);
            self.fail_or_ask_again(order, outcome, error);
        }
    }

    /// Leaves a partition that failed to other runs, which need not wait for the end of this one.
    fn release(&mut self, claim: Arc<dyn Claim>) {
        if self.stopped.is_none() {
            self.tasks.spawn(async move { Done::Released(claim.release().await) });
        }
    }

    /// Ends a partition that failed. One that another run holds is passed over and asked for again later.
    fn fail_or_ask_again(&mut self, order: usize, outcome: PartitionOutcome, error: Error) {
        if error.kind() == ErrorKind::Held && self.held.asks_again() && self.stopped.is_none() {
            self.held.pass_over(order, outcome.partition, error);
            return;
        }
        self.fail(outcome);
        self.stop_if_concerned(error);
    }

    /// Notes that a partition is not published; what is staged of it stays for the next run.
    fn fail(&mut self, outcome: PartitionOutcome) {
        if let Some(error) = &outcome.error {
            let observer = &self.context.common.observer;
            observer.observe(&Event::PartitionFailed { partition: &outcome.partition, error });
        }
        self.outcomes.push(outcome);
    }

    /// Stops after the failure of a whole partition where all others would fail like it.
    fn stop_if_concerned(&mut self, error: Error) {
        if error.kind().stops_the_run() {
            return self.stop(error);
        }
        let seems_general =
            matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Throttled | ErrorKind::PartitionUnusable);
        self.partition_failures_in_a_row += u32::from(seems_general);
        if self.partition_failures_in_a_row >= PARTITION_FAILURES_IN_A_ROW_MAX {
            let context = format_args!("{PARTITION_FAILURES_IN_A_ROW_MAX} partitions failed in a row, the last one");
            self.stop(error.within(context));
        }
    }

    /// Begins nothing more; what is in flight may end within the grace.
    fn stop(&mut self, error: Error) {
        if self.stopped.is_none() {
            self.waiting.clear();
            for active in self.active.values_mut() {
                active.abandon_queue_for_good();
            }
            self.stopped = Some((error, Instant::now()));
        }
    }
}

/// Ends all tasks and shows each one's end. Publications cannot be broken off; those that do not
/// end by themselves are left alone.
async fn break_off(tasks: &mut JoinSet<Done>, mut show: impl FnMut(std::result::Result<Done, JoinError>)) {
    tasks.abort_all();
    let ends_at = Instant::now() + LAST_WAIT;
    while let Ok(Some(done)) = tokio::time::timeout_at(ends_at, tasks.join_next()).await {
        show(done);
    }
    tasks.detach_all();
}

/// Tells that an object has failed for good, and notes it.
fn fail_object(active: &mut Active, work: &Work, error: &Error, common: &Common) {
    common.observer.observe(&Event::ObjectFailed { partition: &active.partition, key: &work.object.key, error });
    active.note_failure(error);
}

/// The same of the objects that were refused.
fn fail_refused(active: &mut Active, common: &Common) {
    let (refused, given_up_by) = active.take_refused();
    for (work, error) in refused {
        fail_object(active, &work, &error, common);
    }
    if given_up_by.is_some() {
        active.failure = given_up_by;
    }
}

/// Counts an object that is at the destination.
fn note_arrival(active: &mut Active, work: &Work, arrival: &Arrival, common: &Common) {
    let size_bytes = work.object.size_bytes;
    common.counters.objects_done.add(1);
    match arrival {
        Arrival::Staged => common.counters.bytes_done.add(size_bytes),
        Arrival::Transferred(content) => {
            active.outcome.objects_transferred += 1;
            active.outcome.bytes_transferred += size_bytes;
            common.observer.observe(&Event::ObjectTransferred {
                partition: &active.partition,
                key: &work.object.key,
                size_bytes,
                sha256: to_hex(&content.sha256),
                verified_against: &content.verified_against(),
            });
        }
    }
}

/// The kind of stop that is asked for, once one is.
async fn stopped(stop: &mut watch::Receiver<Option<ErrorKind>>) -> ErrorKind {
    loop {
        if let Some(kind) = *stop.borrow_and_update() {
            return kind;
        }
        if stop.changed().await.is_err() {
            // Nobody is left who could ask.
            std::future::pending::<()>().await;
        }
    }
}

fn stop_error(kind: ErrorKind) -> Error {
    let what = match kind {
        ErrorKind::DeadlineReached => "stopped: --max-duration is reached",
        ErrorKind::Interrupted => "stopped by SIGINT",
        _ => "stopped by a signal",
    };
    Error::new(kind, what).with_hint("nothing is lost: run the same command again, it continues where this run ended")
}

fn waited_too_long(days: usize) -> Error {
    let days = if days == 1 { "a day is".to_owned() } else { format!("{days} days are") };
    Error::new(ErrorKind::DeadlineReached, format!("stopped: {days} still held by other runs"))
        .with_hint("nothing is lost; if those runs make progress, run again or wait longer with --join-wait")
}

/// Keeps the credentials of all clouds fresh; returns why that has ended for one of them.
async fn keep_fresh(surveyor: &Surveyor) -> Error {
    let clouds = surveyor.clouds().map(|cloud| Box::pin(cloud.source.keep_fresh()));
    futures::future::select_all(clouds).await.0
}

async fn sleep_until(instant: Option<Instant>) {
    match instant {
        Some(instant) => tokio::time::sleep_until(instant).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_publication_that_hangs_is_not_waited_for_for_ever() {
        let (release, hanging) = std::sync::mpsc::channel::<()>();
        let (begun, begins) = tokio::sync::oneshot::channel();
        let mut tasks = JoinSet::new();
        tasks.spawn_blocking(move || {
            let _ = begun.send(());
            let _ = hanging.recv();
            Done::Published(0, Err(Error::new(ErrorKind::Internal, "hung")))
        });
        tasks.spawn(std::future::pending());
        begins.await.unwrap();
        let began = Instant::now();
        let mut ended = 0;
        break_off(&mut tasks, |_| ended += 1).await;
        assert!(began.elapsed() < LAST_WAIT * 2);
        assert_eq!(ended, 1, "the one that could be broken off");
        drop(release);
    }

    #[tokio::test]
    async fn a_publication_that_ends_soon_counts() {
        let (begun, begins) = tokio::sync::oneshot::channel();
        let mut tasks = JoinSet::new();
        tasks.spawn_blocking(move || {
            let _ = begun.send(());
            std::thread::sleep(Duration::from_millis(300));
            Done::Published(7, Err(Error::new(ErrorKind::Internal, "any")))
        });
        begins.await.unwrap();
        let mut ended = Vec::new();
        break_off(&mut tasks, |done| ended.push(done)).await;
        assert!(matches!(ended.as_slice(), [Ok(Done::Published(7, _))]));
    }
}
