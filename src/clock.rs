//! The time that requests are signed with.

use std::sync::atomic::{AtomicI64, Ordering};

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
}

impl Clock {
    /// Differences up to this are left alone: `Date` headers have whole seconds, answers take time.
    const TOLERANCE: SignedDuration = SignedDuration::from_secs(30);

    /// A clock that shows `now` at this moment.
    pub fn starting_at(now: Timestamp) -> Self {
        Self { started_at: now, started: Instant::now(), correction_ms: AtomicI64::new(0) }
    }

    /// The present time.
    pub fn now(&self) -> Timestamp {
        let elapsed = SignedDuration::try_from(self.started.elapsed()).unwrap_or(SignedDuration::MAX);
        let correction = SignedDuration::from_millis(self.correction_ms.load(Ordering::Relaxed));
        self.started_at.saturating_add(elapsed.saturating_add(correction)).unwrap_or(self.started_at)
    }

    /// Sets the clock to a server's time where it is clearly wrong; says whether it was.
    pub fn correct(&self, server_time: Timestamp) -> bool {
        let difference = server_time.duration_since(self.now());
        if difference.abs() <= Self::TOLERANCE {
            return false;
        }
        let difference_ms = i64::try_from(difference.as_millis()).unwrap_or(0);
        self.correction_ms.fetch_add(difference_ms, Ordering::Relaxed);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_wrong_clock_is_set_right_and_a_right_one_left_alone() {
        let clock = Clock::starting_at(Timestamp::UNIX_EPOCH);
        tokio::time::advance(std::time::Duration::from_secs(10)).await;
        assert_eq!(clock.now(), Timestamp::from_second(10).unwrap());
        assert!(!clock.correct(Timestamp::from_second(12).unwrap()));
        assert_eq!(clock.now(), Timestamp::from_second(10).unwrap());
        assert!(clock.correct(Timestamp::from_second(7200).unwrap()));
        assert_eq!(clock.now(), Timestamp::from_second(7200).unwrap());
    }
}
