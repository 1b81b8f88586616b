//! The time that requests are signed with.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

/// A wall clock that is read once, runs on monotonically, and can be set right by a server.
///
/// A machine whose clock is hours wrong still signs requests that are accepted, and a clock that
/// jumps changes nothing (reliability.md section 1).
#[derive(Debug)]
pub struct Clock {
    started_at: Timestamp,
    started: Instant,
    correction_ms: AtomicI64,
    is_compared: AtomicBool,
}

impl Clock {
    /// Differences up to this are left alone: `Date` headers have whole seconds, answers take time.
    const TOLERANCE: SignedDuration = SignedDuration::from_secs(30);

    /// A clock that shows `now` at this moment.
    pub fn starting_at(now: Timestamp) -> Self {
        Self {
            started_at: now,
            started: Instant::now(),
            correction_ms: AtomicI64::new(0),
            is_compared: AtomicBool::new(false),
        }
    }

    /// The present time.
    pub fn now(&self) -> Timestamp {
        let elapsed = SignedDuration::try_from(self.started.elapsed()).unwrap_or(SignedDuration::MAX);
        let correction = SignedDuration::from_millis(self.correction_ms.load(Ordering::Relaxed));
        self.started_at.saturating_add(elapsed.saturating_add(correction)).unwrap_or(self.started_at)
    }

    /// By how much a server has set the clock right; zero where it agreed, `None` where none has told
    /// its time.
    pub fn correction(&self) -> Option<SignedDuration> {
        let is_compared = self.is_compared.load(Ordering::Acquire);
        is_compared.then(|| SignedDuration::from_millis(self.correction_ms.load(Ordering::Relaxed)))
    }

    /// Sets the clock to a server's time where it is clearly wrong; says whether it was.
    pub fn correct(&self, server_time: Timestamp) -> bool {
        let elapsed = SignedDuration::try_from(self.started.elapsed()).unwrap_or(SignedDuration::MAX);
        let needed = server_time.duration_since(self.started_at).saturating_sub(elapsed);
        let needed_ms = i64::try_from(needed.as_millis()).unwrap_or(0);
        // Many answers may tell the same at once: only the first of them moves the clock.
        let correction = self.correction_ms.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |present_ms| {
            let difference = SignedDuration::from_millis(needed_ms.saturating_sub(present_ms));
            (difference.abs() > Self::TOLERANCE).then_some(needed_ms)
        });
        self.is_compared.store(true, Ordering::Release);
        correction.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_wrong_clock_is_set_right_and_a_right_one_left_alone() {
        let clock = Clock::starting_at(Timestamp::UNIX_EPOCH);
        assert_eq!(clock.correction(), None);
        tokio::time::advance(std::time::Duration::from_secs(10)).await;
        assert_eq!(clock.now(), Timestamp::from_second(10).unwrap());
        assert!(!clock.correct(Timestamp::from_second(12).unwrap()));
        assert_eq!(clock.now(), Timestamp::from_second(10).unwrap());
        assert_eq!(clock.correction(), Some(SignedDuration::ZERO));
        assert!(clock.correct(Timestamp::from_second(7200).unwrap()));
        assert_eq!(clock.now(), Timestamp::from_second(7200).unwrap());
    }

    #[test]
    fn answers_that_come_together_move_the_clock_once() {
        for _ in 0..200 {
            let clock = Clock::starting_at(Timestamp::UNIX_EPOCH);
            let together = std::sync::Barrier::new(16);
            let correct = || {
                together.wait();
                clock.correct(Timestamp::from_second(7200).unwrap())
            };
            let moves = std::thread::scope(|scope| {
                let threads: Vec<_> = (0..16).map(|_| scope.spawn(correct)).collect();
                threads.into_iter().map(|thread| thread.join().unwrap()).filter(|moved| *moved).count()
            });
            assert_eq!(moves, 1);
            assert!((7199..7300).contains(&clock.now().as_second()));
        }
    }
}
