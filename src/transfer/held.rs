//! The partitions that other runs hold, and when they are asked for again.

use std::collections::BTreeMap;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::time::Instant;

use crate::error::Error;
use crate::export::Partition;
use crate::plan::Shard;

/// How a run works together with others on the same destination (design.md section 7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Join {
    /// How long the run waits for days that others hold without any of them getting done.
    pub wait_max: Duration,
    /// The days that the run begins with.
    pub shard: Option<Shard>,
    /// Decides in which order the other days are tried, and the pauses; another one for each run.
    pub seed: u64,
}

/// How long a run waits for others, unless the settings say otherwise.
pub const JOIN_WAIT_DEFAULT: Duration = Duration::from_secs(3 * 3600);

/// The pause before held partitions are first asked for again, in seconds.
const FIRST_PAUSE_SECONDS: f64 = 0.5;

/// By what each further pause is longer, up to the last one.
const PAUSE_GROWTH: f64 = 1.5;

/// Maximum pause, in seconds.
const LAST_PAUSE_SECONDS: f64 = 15.0;

/// A pause is so much of its length, so that runs do not ask in step.
const JITTER: std::ops::Range<f64> = 0.75..1.25;

/// The partitions that other runs hold, by their place in the order, with why each was passed over.
pub(super) struct HeldPartitions {
    held: BTreeMap<usize, (Partition, Error)>,
    /// When all of them are asked for again, where the run works together with others.
    asks_again_at: Option<Instant>,
    pause_seconds: f64,
    /// Since when there is nothing to do but to wait.
    idle_since: Option<Instant>,
    has_told: bool,
    jitter: StdRng,
    join: Option<Join>,
    is_last_round: bool,
}

impl HeldPartitions {
    pub fn new(join: Option<Join>) -> Self {
        Self {
            held: BTreeMap::new(),
            asks_again_at: None,
            pause_seconds: FIRST_PAUSE_SECONDS,
            idle_since: None,
            has_told: false,
            jitter: StdRng::seed_from_u64(join.map_or(0, |join| join.seed)),
            join,
            is_last_round: false,
        }
    }

    /// Whether a held partition is to be asked for again in this run.
    pub fn asks_again(&self) -> bool {
        self.join.is_some() || !self.is_last_round
    }

    /// Passes a partition over.
    pub fn pass_over(&mut self, order: usize, partition: Partition, error: Error) {
        self.held.insert(order, (partition, error));
        if self.join.is_some() && self.asks_again_at.is_none() {
            self.pause();
        }
    }

    /// Lets the time until all are asked for again begin; it is longer each time.
    fn pause(&mut self) {
        let pause = self.pause_seconds * self.jitter.random_range(JITTER);
        self.asks_again_at = Some(Instant::now() + Duration::from_secs_f64(pause));
        self.pause_seconds = (self.pause_seconds * PAUSE_GROWTH).min(LAST_PAUSE_SECONDS);
    }

    /// Takes the partitions if they are to be asked for again: in a run that works together with others after a
    /// pause, in any other one once, when it has nothing else to do.
    pub fn take_due(&mut self, is_idle: bool) -> Vec<(usize, Partition)> {
        let is_due = match self.join {
            Some(_) => self.asks_again_at.is_some_and(|at| at <= Instant::now()),
            None => is_idle && !std::mem::replace(&mut self.is_last_round, is_idle),
        };
        if !is_due {
            return Vec::new();
        }
        self.asks_again_at = None;
        std::mem::take(&mut self.held).into_iter().map(|(order, (partition, _))| (order, partition)).collect()
    }

    /// When they are asked for again, where the run waits for others.
    pub fn next_due(&self) -> Option<Instant> {
        self.asks_again_at
    }

    /// Notes that there is nothing to do but to wait; the first time it gives what is waited for.
    pub fn begin_to_wait(&mut self) -> Option<(usize, &Error)> {
        if self.idle_since.is_none() {
            // What the others began while this run was busy may be done by now.
            self.idle_since = Some(Instant::now());
            self.pause_seconds = FIRST_PAUSE_SECONDS;
            self.pause();
        }
        let (_, (_, first)) = self.held.first_key_value()?;
        (!std::mem::replace(&mut self.has_told, true)).then_some((self.held.len(), first))
    }

    /// Notes that there is something to do, or that a day which was waited for is done.
    pub fn progressed(&mut self) {
        self.idle_since = None;
    }

    /// When the run has waited long enough.
    pub fn wait_ends_at(&self) -> Option<Instant> {
        Some(self.idle_since? + self.join?.wait_max)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.held.len()
    }

    /// Takes all, with why each was passed over.
    pub fn take_all(&mut self) -> impl Iterator<Item = (Partition, Error)> + use<> {
        std::mem::take(&mut self.held).into_values()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use crate::export::TypeName;

    fn passed_over(held: &mut HeldPartitions, order: usize) {
        let partition =
            Partition { type_name: TypeName::parse("events").unwrap(), date: jiff::civil::date(2026, 1, 1) };
        held.pass_over(order, partition, Error::new(ErrorKind::Held, "held"));
    }

    fn join() -> Join {
        Join { wait_max: Duration::from_secs(60), shard: None, seed: 7 }
    }

    #[tokio::test(start_paused = true)]
    async fn alone_a_run_asks_once_more_and_at_its_end() {
        let mut held = HeldPartitions::new(None);
        passed_over(&mut held, 0);
        assert!(held.next_due().is_none());
        assert!(held.take_due(false).is_empty() && held.asks_again());
        assert_eq!(held.take_due(true).len(), 1);
        assert!(!held.asks_again());
        passed_over(&mut held, 0);
        assert!(held.take_due(true).is_empty());
        assert_eq!(held.take_all().count(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn together_all_are_asked_for_again_after_pauses_that_grow() {
        let mut held = HeldPartitions::new(Some(join()));
        let mut pauses = Vec::new();
        for _ in 0..12 {
            passed_over(&mut held, 3);
            passed_over(&mut held, 5);
            assert!(held.take_due(true).is_empty() && held.asks_again());
            let due = held.next_due().unwrap();
            pauses.push((due - Instant::now()).as_secs_f64());
            tokio::time::sleep_until(due).await;
            assert_eq!(held.take_due(false).len(), 2);
        }
        assert!((0.375..0.625).contains(&pauses[0]), "{pauses:?}");
        assert!((11.25..18.75).contains(&pauses[11]) && pauses[11] > pauses[3], "{pauses:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_ends_unless_something_gets_done() {
        let mut held = HeldPartitions::new(Some(join()));
        passed_over(&mut held, 0);
        assert_eq!(held.begin_to_wait().map(|(count, _)| count), Some(1));
        let ends_at = held.wait_ends_at().unwrap();
        assert!(held.begin_to_wait().is_none(), "is told once");
        tokio::time::advance(Duration::from_secs(30)).await;
        held.progressed();
        assert!(held.wait_ends_at().is_none());
        held.begin_to_wait();
        assert_eq!(held.wait_ends_at().unwrap() - ends_at, Duration::from_secs(30));
    }
}
