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

/// The pause before a held partition is first asked for again.
const FIRST_PAUSE: Duration = Duration::from_secs(2);

/// The range of each further pause.
const PAUSES: std::ops::Range<f64> = 5.0..15.0;

/// A partition that another run holds.
struct HeldPartition {
    partition: Partition,
    error: Error,
    asked_again_at: Instant,
}

/// The partitions that other runs hold, by their place in the order.
pub(super) struct HeldPartitions {
    held: BTreeMap<usize, HeldPartition>,
    /// How often each was asked for, where the run works together with others.
    asked: BTreeMap<usize, u32>,
    /// Since when there is nothing to do but to wait.
    idle_since: Option<Instant>,
    has_told: bool,
    pauses: StdRng,
    join: Option<Join>,
    is_last_round: bool,
}

impl HeldPartitions {
    pub fn new(join: Option<Join>) -> Self {
        Self {
            held: BTreeMap::new(),
            asked: BTreeMap::new(),
            idle_since: None,
            has_told: false,
            pauses: StdRng::seed_from_u64(join.map_or(0, |join| join.seed)),
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
        let asked = self.asked.entry(order).or_default();
        *asked += 1;
        let pause = match asked {
            1 => FIRST_PAUSE,
            _ => Duration::from_secs_f64(self.pauses.random_range(PAUSES)),
        };
        self.held.insert(order, HeldPartition { partition, error, asked_again_at: Instant::now() + pause });
    }

    /// Takes the partitions that are to be asked for again: of a run that works together with others those
    /// whose pause is over, of any other one, once and when it has nothing else to do, all.
    pub fn take_due(&mut self, is_idle: bool) -> Vec<(usize, Partition)> {
        if self.join.is_some() {
            let now = Instant::now();
            let due = self.held.extract_if(.., |_, held| held.asked_again_at <= now);
            return due.map(|(order, held)| (order, held.partition)).collect();
        }
        if !is_idle || self.is_last_round || self.held.is_empty() {
            return Vec::new();
        }
        self.is_last_round = true;
        std::mem::take(&mut self.held).into_iter().map(|(order, held)| (order, held.partition)).collect()
    }

    /// When the next one is due, where the run waits for others.
    pub fn next_due(&self) -> Option<Instant> {
        self.join?;
        self.held.values().map(|held| held.asked_again_at).min()
    }

    /// Notes that there is nothing to do but to wait; the first time it gives what is waited for.
    pub fn begin_to_wait(&mut self) -> Option<(usize, &Error)> {
        let (_, first) = self.held.first_key_value()?;
        self.idle_since.get_or_insert_with(Instant::now);
        (!std::mem::replace(&mut self.has_told, true)).then_some((self.held.len(), &first.error))
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
        std::mem::take(&mut self.held).into_values().map(|held| (held.partition, held.error))
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
        assert!(held.take_due(false).is_empty());
        assert_eq!(held.take_due(true).len(), 1);
        assert!(!held.asks_again());
        passed_over(&mut held, 0);
        assert!(held.take_due(true).is_empty());
        assert_eq!(held.take_all().count(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn together_each_is_asked_for_again_and_again_with_pauses() {
        let mut held = HeldPartitions::new(Some(join()));
        for pause_seconds in [2.0..=2.0, 5.0..=15.0, 5.0..=15.0] {
            passed_over(&mut held, 3);
            assert!(held.take_due(true).is_empty() && held.asks_again());
            let due = held.next_due().unwrap();
            assert!(pause_seconds.contains(&(due - Instant::now()).as_secs_f64()));
            tokio::time::sleep_until(due).await;
            assert_eq!(held.take_due(false).len(), 1);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_ends_unless_something_gets_done() {
        let mut held = HeldPartitions::new(Some(join()));
        assert!(held.begin_to_wait().is_none(), "for nothing");
        passed_over(&mut held, 0);
        assert_eq!(held.begin_to_wait().map(|(count, _)| count), Some(1));
        let ends_at = held.wait_ends_at().unwrap();
        held.begin_to_wait();
        tokio::time::advance(Duration::from_secs(30)).await;
        held.progressed();
        assert!(held.wait_ends_at().is_none());
        assert!(held.begin_to_wait().is_none(), "is told once");
        assert_eq!(held.wait_ends_at().unwrap() - ends_at, Duration::from_secs(30));
    }
}
