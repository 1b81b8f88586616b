use std::time::Duration;

use tokio::time::Instant;

/// How many objects may be in flight at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Concurrency {
    /// Begins moderately, rises while that brings more, halves when a server asks for less.
    Adaptive {
        /// Never more than this.
        max: usize,
    },
    /// Always the same number.
    Fixed(usize),
}

/// Finds the number of objects in flight that serves best.
#[derive(Debug)]
pub(super) struct Limiter {
    limit: usize,
    limit_max: usize,
    is_fixed: bool,
    window_began: Instant,
    window_work: u64,
    window_objects: usize,
    /// Work a second in the last window that was better than all before it at a lower limit.
    best_rate: f64,
    /// Windows since the limit last rose.
    idle_windows: u32,
    halved_at: Option<Instant>,
}

impl Limiter {
    /// Where an adaptive limit begins.
    const START: usize = 16;

    /// A window lasts at least so long.
    const WINDOW: Duration = Duration::from_millis(200);

    /// One storm of refusals halves the limit once in this time.
    const HALVING_PAUSE: Duration = Duration::from_secs(1);

    /// After so many windows without a rise a higher limit is tried again.
    const IDLE_WINDOWS_MAX: u32 = 25;

    pub fn new(concurrency: Concurrency, now: Instant) -> Self {
        let (limit, limit_max, is_fixed) = match concurrency {
            Concurrency::Adaptive { max } => (Self::START.min(max), max, false),
            Concurrency::Fixed(limit) => (limit, limit, true),
        };
        Self {
            limit: limit.max(1),
            limit_max: limit_max.max(1),
            is_fixed,
            window_began: now,
            window_work: 0,
            window_objects: 0,
            best_rate: 0.0,
            idle_windows: 0,
            halved_at: None,
        }
    }

    pub fn limit(&self) -> usize {
        self.limit
    }

    /// An object is done. `is_saturated` says whether as many were in flight as the limit allows:
    /// only then does the rate say anything about the limit.
    pub fn completed(&mut self, size_bytes: u64, is_saturated: bool, now: Instant) {
        // Small objects cost their latency, large ones their bytes.
        self.window_work += 1 + size_bytes / (64 * 1024);
        self.window_objects += 1;
        let elapsed = now.duration_since(self.window_began);
        if self.is_fixed || elapsed < Self::WINDOW || self.window_objects < self.limit {
            return;
        }
        let rate = self.window_work as f64 / elapsed.as_secs_f64();
        (self.window_began, self.window_work, self.window_objects) = (now, 0, 0);
        if is_saturated {
            self.judge(rate);
        }
    }

    fn judge(&mut self, rate: f64) {
        self.idle_windows += 1;
        if rate > self.best_rate * 1.1 || self.idle_windows > Self::IDLE_WINDOWS_MAX {
            self.limit = (self.limit + self.limit / 2).min(self.limit_max);
            self.best_rate = rate;
            self.idle_windows = 0;
        }
    }

    /// A server asked for fewer requests, or did not answer in time.
    pub fn throttled(&mut self, now: Instant) {
        let is_too_soon = self.halved_at.is_some_and(|at| now.duration_since(at) < Self::HALVING_PAUSE);
        if self.is_fixed || is_too_soon {
            return;
        }
        self.limit = (self.limit / 2).max(1);
        self.halved_at = Some(now);
        (self.best_rate, self.idle_windows) = (0.0, 0);
        (self.window_began, self.window_work, self.window_objects) = (now, 0, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs windows at a rate that depends on the limit, as a server would.
    fn settle(limiter: &mut Limiter, now: &mut Instant, rate_at: impl Fn(usize) -> f64) {
        for _ in 0..20 {
            let objects = limiter.limit() * 4;
            let step = Duration::from_secs_f64(1.0 / rate_at(limiter.limit()));
            for _ in 0..objects.max(200) {
                *now += step;
                limiter.completed(1000, true, *now);
            }
        }
    }

    #[test]
    fn latency_raises_the_limit_and_a_full_machine_does_not() {
        let mut now = Instant::now();
        let mut latency_bound = Limiter::new(Concurrency::Adaptive { max: 256 }, now);
        settle(&mut latency_bound, &mut now, |limit| limit as f64 * 30.0);
        assert_eq!(latency_bound.limit(), 256);
        let mut cpu_bound = Limiter::new(Concurrency::Adaptive { max: 256 }, now);
        settle(&mut cpu_bound, &mut now, |_| 5_000.0);
        assert!(cpu_bound.limit() <= 54, "{}", cpu_bound.limit());
    }

    #[test]
    fn a_storm_halves_once_a_second_down_to_one() {
        let mut now = Instant::now();
        let mut limiter = Limiter::new(Concurrency::Adaptive { max: 256 }, now);
        limiter.throttled(now);
        limiter.throttled(now);
        assert_eq!(limiter.limit(), 8);
        for _ in 0..10 {
            now += Duration::from_secs(2);
            limiter.throttled(now);
        }
        assert_eq!(limiter.limit(), 1);
    }

    #[test]
    fn a_fixed_limit_stays() {
        let now = Instant::now();
        let mut limiter = Limiter::new(Concurrency::Fixed(7), now);
        limiter.throttled(now);
        assert_eq!(limiter.limit(), 7);
    }
}
