//! How long to wait before a request is repeated. Whether to repeat is the error's own word
//! ([`crate::error::ErrorKind::retry`]).

use std::time::Duration;

use rand::RngExt as _;

use tokio::time::Instant;

use crate::error::{Error, ErrorKind, Retry};

/// How often a failing request is repeated, unless the settings say otherwise.
pub const ATTEMPTS_MAX_DEFAULT: u32 = 8;

/// Exponential backoff with full jitter: each pause is drawn evenly between nothing and a ceiling
/// that doubles, so that many waiters do not return together.
#[derive(Clone, Debug)]
pub struct Backoff {
    ceiling: Duration,
    ceiling_max: Duration,
}

impl Backoff {
    /// The longest pause that a server's `Retry-After` can impose.
    const RETRY_AFTER_MAX: Duration = Duration::from_secs(300);

    /// Pauses below `ceiling` at first, doubling up to `ceiling_max`.
    pub fn new(ceiling: Duration, ceiling_max: Duration) -> Self {
        Self { ceiling, ceiling_max }
    }

    /// The pauses between the attempts at one object or one page.
    pub fn of_requests() -> Self {
        Self::new(Duration::from_millis(200), Duration::from_secs(20))
    }

    /// The next pause; never shorter than the server asked for.
    pub fn next_pause(&mut self, error: &Error) -> Duration {
        let pause = self.ceiling.mul_f64(rand::rng().random_range(0.0..1.0));
        self.ceiling = (self.ceiling * 2).min(self.ceiling_max);
        match error.retry_after() {
            Some(asked) => pause + asked.min(Self::RETRY_AFTER_MAX),
            None => pause,
        }
    }
}

/// How long one object or one page is tried.
#[derive(Clone, Debug)]
pub struct RetryPolicy {
    attempts_max: u32,
    attempts: u32,
    /// Requests that the server asked to repeat later; they are no failures of the object.
    throttles: u32,
    refetches: u32,
    began: Instant,
    backoff: Backoff,
}

impl RetryPolicy {
    /// Maximum number of times that bytes with a wrong checksum, and listings that are none, are fetched.
    const REFETCHES_MAX: u32 = 3;

    /// A server that asks to be left alone for a while gets at least this much (reliability.md section 1).
    const STORM_MAX: Duration = Duration::from_secs(600);

    /// Repeats a failing request `attempts_max` times without progress.
    pub fn new(attempts_max: u32) -> Self {
        Self {
            attempts_max,
            attempts: 0,
            throttles: 0,
            refetches: 0,
            began: Instant::now(),
            backoff: Backoff::of_requests(),
        }
    }

    /// Forgets the failures so far, since the last attempt brought something.
    pub fn progressed(&mut self) {
        (self.attempts, self.throttles) = (0, 0);
        self.began = Instant::now();
        self.backoff = Backoff::of_requests();
    }

    /// The pause before the next attempt; `None` when there is none.
    pub fn after(&mut self, error: &Error) -> Option<Duration> {
        let goes_on = match (error.retry(), error.kind()) {
            (Retry::Never | Retry::Relist | Retry::Renew, _) => false,
            (Retry::Refetch, _) | (_, ErrorKind::ListingUntrusted) => {
                self.refetches += 1;
                self.refetches < Self::REFETCHES_MAX
            }
            (Retry::BackOff, ErrorKind::Throttled) => {
                self.throttles += 1;
                self.throttles <= self.attempts_max || self.began.elapsed() < Self::STORM_MAX
            }
            (Retry::BackOff, _) => {
                self.attempts += 1;
                self.attempts <= self.attempts_max
            }
        };
        goes_on.then(|| self.backoff.next_pause(error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_ceiling_and_respect_the_server() {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_millis(400));
        let error = Error::new(ErrorKind::Throttled, "slow down");
        for ceiling_ms in [100, 200, 400, 400, 400] {
            assert!(backoff.next_pause(&error) <= Duration::from_millis(ceiling_ms));
        }
        let asked = error.with_retry_after(Some(Duration::from_secs(7)));
        let pause = backoff.next_pause(&asked);
        assert!((Duration::from_secs(7)..=Duration::from_millis(7400)).contains(&pause));
        let absurd = asked.with_retry_after(Some(Duration::from_secs(1_000_000)));
        assert!(backoff.next_pause(&absurd) < Duration::from_secs(301));
    }

    #[tokio::test(start_paused = true)]
    async fn a_storm_is_sat_out_and_a_permanent_error_is_not_retried() {
        let throttled = Error::new(ErrorKind::Throttled, "slow down");
        let began = Instant::now();
        let mut retry_policy = RetryPolicy::new(5);
        while let Some(pause) = retry_policy.after(&throttled) {
            tokio::time::sleep(pause).await;
        }
        assert!(began.elapsed() >= Duration::from_secs(600));
        assert_eq!(RetryPolicy::new(5).after(&Error::new(ErrorKind::AccessDenied, "no")), None);
    }

    #[tokio::test]
    async fn a_failure_in_a_storm_is_not_the_last_straw() {
        let mut retry_policy = RetryPolicy::new(2);
        for _ in 0..20 {
            assert!(retry_policy.after(&Error::new(ErrorKind::Throttled, "slow down")).is_some());
        }
        let failed = Error::new(ErrorKind::Unavailable, "500");
        assert!(retry_policy.after(&failed).is_some() && retry_policy.after(&failed).is_some());
        assert!(retry_policy.after(&failed).is_none());
    }

    #[tokio::test]
    async fn failures_are_counted_anew_after_progress() {
        let cut = Error::new(ErrorKind::Unavailable, "cut");
        let mut retry_policy = RetryPolicy::new(2);
        assert!(retry_policy.after(&cut).is_some() && retry_policy.after(&cut).is_some());
        retry_policy.progressed();
        assert!(retry_policy.after(&cut).is_some() && retry_policy.after(&cut).is_some());
        assert!(retry_policy.after(&cut).is_none());
    }

    #[tokio::test]
    async fn flipped_bits_are_fetched_three_times_in_all() {
        let flipped = Error::new(ErrorKind::ChecksumMismatch, "differs");
        let mut retry_policy = RetryPolicy::new(9);
        assert!(retry_policy.after(&flipped).is_some() && retry_policy.after(&flipped).is_some());
        assert!(retry_policy.after(&flipped).is_none());
    }
}
