//! How many objects are in flight: adapts to what the source and the line can take.

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
///
/// It climbs the hill of work a second over the limit: doubling at first, then by trials of a
/// higher or lower limit that are taken back where they do not pay. A server that asks for less
/// halves the limit, and is taken at its word: for some time the limit stays below the one refused.
#[derive(Debug)]
pub(super) struct Limiter {
    limit: usize,
    limit_max: usize,
    is_fixed: bool,
    phase: Phase,
    window: Window,
    /// The whole windows since the limit changed.
    windows: u32,
    /// Work a second at the present limit, smoothed over its windows but the first.
    rate: f64,
    /// Whether the next trial is of a higher limit.
    tries_higher: bool,
    trial_pause: Duration,
    ceiling: Option<Ceiling>,
    halved_at: Option<Instant>,
    troubles: Troubles,
}

/// A limit and what it brought.
#[derive(Clone, Copy, Debug)]
struct Level {
    limit: usize,
    rate: f64,
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    /// Doubles as long as that pays in comparison with the level before.
    Doubling(Option<Level>),
    /// Stays until it is time for a trial.
    Steady { trial_at: Instant },
    /// Another limit than this level's is tried.
    Trial(Level),
    /// Stays after a halving.
    Held { until: Instant },
}

/// The completed objects of a short time.
#[derive(Debug)]
struct Window {
    began: Instant,
    work: u64,
    objects: usize,
    /// The objects that ended while as many were in flight as the limit allows.
    saturated: usize,
}

/// How long a window lasts: at least some time, and until this many times as many objects ended as may be in
/// flight.
#[derive(Clone, Copy, Debug)]
struct WindowLength {
    time_min: Duration,
    generations: usize,
}

/// Where a server asked for less: the limit stays below for a while, then feels its way up in
/// steps that grow.
#[derive(Debug)]
struct Ceiling {
    limit: usize,
    step: usize,
    rises_at: Instant,
}

/// Broken connections and answers that stayed away. One says nothing; many at once are an overload.
#[derive(Debug)]
struct Troubles {
    since: Instant,
    count: u64,
}

impl Window {
    /// The usual one: when it is over, all objects begun under a new limit have ended, with their connections'
    /// handshakes.
    const WHOLE: WindowLength = WindowLength { time_min: Duration::from_millis(50), generations: 2 };

    /// While the limit doubles: each generation costs a round trip, and a doubling shows even so.
    const SHORT: WindowLength = WindowLength { time_min: Duration::from_millis(25), generations: 1 };

    fn beginning(now: Instant) -> Self {
        Self { began: now, work: 0, objects: 0, saturated: 0 }
    }

    /// The work a second once the window is whole, if the limit was in use: else the rate says
    /// nothing about it.
    fn add(
        &mut self,
        size_bytes: u64,
        is_saturated: bool,
        limit: usize,
        length: WindowLength,
        now: Instant,
    ) -> Option<Option<f64>> {
        // Small objects cost their latency, large ones their bytes.
        self.work += 1 + size_bytes / (64 * 1024);
        self.objects += 1;
        self.saturated += usize::from(is_saturated);
        let elapsed = now.duration_since(self.began);
        if elapsed < length.time_min || self.objects < length.generations * limit {
            return None;
        }
        let was_in_use = self.saturated * 10 >= self.objects * 9;
        Some(was_in_use.then(|| self.work as f64 / elapsed.as_secs_f64()))
    }
}

impl Level {
    /// A limit pays that changes the rate by a tenth of what it changes the limit: so a higher one
    /// must bring something, and a lower one may cost almost nothing.
    const WORTH: f64 = 0.1;

    /// While the limit doubles, on short windows, less than this is noise.
    const WORTH_OF_DOUBLING: f64 = 0.25;

    fn is_beaten_by(self, other: Self, worth: f64) -> bool {
        let change = other.limit as f64 / self.limit as f64 - 1.0;
        other.rate >= self.rate * (1.0 + change * worth)
    }
}

impl Limiter {
    /// Where an adaptive limit begins.
    const START: usize = 64;

    /// Number of windows that make the rate of a trial, or of the level that it is compared with.
    const WINDOWS_OF_TRIAL: u32 = 10;

    /// The pause before a trial is at least this, and doubles after each trial that did not pay.
    const TRIAL_PAUSE_MIN: Duration = Duration::from_secs(5);

    /// The pause before a trial is at most this.
    const TRIAL_PAUSE_MAX: Duration = Duration::from_secs(40);

    /// One storm of refusals halves the limit once in this time.
    const HALVING_PAUSE: Duration = Duration::from_secs(1);

    /// Time that the limit stays after a halving.
    const HOLD: Duration = Duration::from_secs(5);

    /// A server's refusal is tested again after this time.
    const CEILING_PAUSE: Duration = Duration::from_secs(20);

    pub fn new(concurrency: Concurrency, now: Instant) -> Self {
        let (limit, limit_max, is_fixed) = match concurrency {
            Concurrency::Adaptive { max } => (Self::START.min(max), max, false),
            Concurrency::Fixed(limit) => (limit, limit, true),
        };
        Self {
            limit: limit.max(1),
            limit_max: limit_max.max(1),
            is_fixed,
            phase: Phase::Doubling(None),
            window: Window::beginning(now),
            windows: 0,
            rate: 0.0,
            tries_higher: true,
            trial_pause: Self::TRIAL_PAUSE_MIN,
            ceiling: None,
            halved_at: None,
            troubles: Troubles { since: now, count: 0 },
        }
    }

    pub fn limit(&self) -> usize {
        self.limit
    }

    /// An object is done. `is_saturated` says whether as many were in flight as the limit allows.
    pub fn completed(&mut self, size_bytes: u64, is_saturated: bool, now: Instant) {
        if self.is_fixed {
            return;
        }
        let length = if matches!(self.phase, Phase::Doubling(_)) { Window::SHORT } else { Window::WHOLE };
        let Some(rate) = self.window.add(size_bytes, is_saturated, self.limit, length, now) else { return };
        self.window = Window::beginning(now);
        self.raise_ceiling(now);
        if let Some(rate) = rate {
            self.judge(rate, now);
        }
    }

    /// A server asked for fewer requests.
    pub fn throttled(&mut self, now: Instant) {
        let is_too_soon = self.halved_at.is_some_and(|at| now.duration_since(at) < Self::HALVING_PAUSE);
        if self.is_fixed || is_too_soon {
            return;
        }
        self.lower_ceiling(now);
        self.halved_at = Some(now);
        self.move_to((self.limit / 2).max(1), now);
        self.phase = Phase::Held { until: now + Self::HOLD };
        (self.tries_higher, self.trial_pause) = (true, Self::TRIAL_PAUSE_MIN);
    }

    /// Connections broke, or brought no answer in time.
    pub fn troubled(&mut self, count: u64, now: Instant) {
        if now.duration_since(self.troubles.since) > Self::HALVING_PAUSE {
            self.troubles = Troubles { since: now, count: 0 };
        }
        self.troubles.count += count;
        if self.troubles.count >= (self.limit as u64 / 16).max(3) {
            self.troubles = Troubles { since: now, count: 0 };
            self.throttled(now);
        }
    }

    fn judge(&mut self, rate: f64, now: Instant) {
        self.windows = self.windows.saturating_add(1);
        if self.windows == 1 {
            // The flow is just changing over to the new limit.
            return;
        }
        self.rate += (rate - self.rate) / f64::from((self.windows - 1).min(Self::WINDOWS_OF_TRIAL));
        let is_measured = self.windows > Self::WINDOWS_OF_TRIAL;
        match self.phase {
            Phase::Doubling(before) => self.double(before, now),
            Phase::Steady { trial_at } if is_measured && now >= trial_at => self.begin_trial(now),
            Phase::Trial(base) if is_measured => self.end_trial(base, now),
            Phase::Held { until } if now >= until => self.double(None, now),
            _ => {}
        }
    }

    fn here(&self) -> Level {
        Level { limit: self.limit, rate: self.rate }
    }

    fn cap(&self) -> usize {
        self.ceiling.as_ref().map_or(self.limit_max, |ceiling| ceiling.limit.min(self.limit_max))
    }

    /// Changes the limit; what was measured before says nothing about it.
    fn move_to(&mut self, limit: usize, now: Instant) {
        self.limit = limit;
        self.window = Window::beginning(now);
        (self.windows, self.rate) = (0, 0.0);
    }

    fn double(&mut self, before: Option<Level>, now: Instant) {
        let here = self.here();
        if let Some(before) = before.filter(|before| !before.is_beaten_by(here, Level::WORTH_OF_DOUBLING)) {
            // Where the very first step up did not pay, the beginning may have been too high.
            self.tries_higher = before.limit > Self::START;
            self.move_to(before.limit, now);
            self.phase = Phase::Steady { trial_at: now };
            return;
        }
        let next = (self.limit * 2).min(self.cap());
        if next <= self.limit {
            self.phase = Phase::Steady { trial_at: now + self.trial_pause };
        } else {
            self.move_to(next, now);
            self.phase = Phase::Doubling(Some(here));
        }
    }

    fn begin_trial(&mut self, now: Instant) {
        let higher = (self.limit + (self.limit / 2).max(1)).min(self.cap());
        let lower = (self.limit - (self.limit / 4).max(1)).max(1);
        let next = if self.tries_higher { higher } else { lower };
        if (next > self.limit) == self.tries_higher && next != self.limit {
            let here = self.here();
            self.move_to(next, now);
            self.phase = Phase::Trial(here);
        } else {
            self.turn_back(now);
        }
    }

    fn end_trial(&mut self, base: Level, now: Instant) {
        if base.is_beaten_by(self.here(), Level::WORTH) {
            self.trial_pause = Self::TRIAL_PAUSE_MIN;
            // What paid once may pay again.
            self.phase = Phase::Steady { trial_at: now };
        } else {
            self.move_to(base.limit, now);
            self.turn_back(now);
        }
    }

    /// Goes on in the other direction, after a pause that grows.
    fn turn_back(&mut self, now: Instant) {
        self.tries_higher = !self.tries_higher;
        self.phase = Phase::Steady { trial_at: now + self.trial_pause };
        self.trial_pause = (self.trial_pause * 2).min(Self::TRIAL_PAUSE_MAX);
    }

    fn lower_ceiling(&mut self, now: Instant) {
        let rises_at = now + Self::CEILING_PAUSE;
        match &mut self.ceiling {
            // A storm that goes on says nothing about the lower limit.
            Some(ceiling) if matches!(self.phase, Phase::Held { .. }) => ceiling.rises_at = rises_at,
            _ => {
                let step = (self.limit / 8).max(1);
                self.ceiling = Some(Ceiling { limit: (self.limit - step).max(1), step, rises_at });
            }
        }
    }

    fn raise_ceiling(&mut self, now: Instant) {
        let Some(ceiling) = self.ceiling.as_mut().filter(|ceiling| now >= ceiling.rises_at) else { return };
        ceiling.limit += ceiling.step;
        ceiling.step *= 2;
        ceiling.rises_at = now + Self::CEILING_PAUSE;
        if ceiling.limit >= self.limit_max {
            self.ceiling = None;
        }
        if let Phase::Steady { trial_at } = &mut self.phase {
            (self.tries_higher, *trial_at) = (true, now);
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::rngs::StdRng;
    use rand::{RngExt as _, SeedableRng as _};

    use super::*;

    /// A server in simulated time: objects end at a rate that depends on the limit.
    struct Simulation {
        limiter: Limiter,
        began: Instant,
        now: Instant,
        halvings: u32,
    }

    impl Simulation {
        fn new() -> Self {
            let now = Instant::now();
            Self { limiter: Limiter::new(Concurrency::Adaptive { max: 256 }, now), began: now, now, halvings: 0 }
        }

        fn seconds(&self) -> f64 {
            self.now.duration_since(self.began).as_secs_f64()
        }

        /// Lets this number of seconds pass; shows each limit to `see`.
        fn run(&mut self, seconds: f64, mut rate_at: impl FnMut(usize) -> f64, mut see: impl FnMut(usize)) {
            let until = self.seconds() + seconds;
            while self.seconds() < until {
                // The rate changes from one short while to the next, not from object to object.
                let limit = self.limiter.limit();
                let rate = rate_at(limit);
                for _ in 0..(rate * 0.05).ceil() as u64 {
                    self.now += Duration::from_secs_f64(1.0 / rate);
                    self.limiter.completed(1000, true, self.now);
                }
                see(self.limiter.limit());
            }
        }

        /// As `run`, at a server that refuses while more than `most` are in flight.
        fn run_refused(&mut self, seconds: f64, most: usize, see: impl FnMut(usize)) {
            self.run_refused_at(0.03, seconds, most, see);
        }

        /// The same with another time for each request.
        fn run_refused_at(&mut self, latency_seconds: f64, seconds: f64, most: usize, mut see: impl FnMut(usize)) {
            let until = self.seconds() + seconds;
            while self.seconds() < until {
                let limit = self.limiter.limit();
                self.run(0.05, |limit| limit.min(most) as f64 / latency_seconds, &mut see);
                if limit > most {
                    self.limiter.throttled(self.now);
                    self.halvings += u32::from(self.limiter.limit() < limit);
                }
            }
        }
    }

    fn latency_bound(limit: usize) -> f64 {
        limit as f64 / 0.03
    }

    /// Full at 32, and a little slower with more.
    fn cpu_bound(limit: usize) -> f64 {
        let over = limit.saturating_sub(32) as f64;
        latency_bound(limit.min(32)) * (1.0 - 0.001 * over)
    }

    #[test]
    fn latency_raises_the_limit_to_its_most_within_five_round_trips() {
        for latency_seconds in [0.03, 0.3] {
            let mut simulation = Simulation::new();
            simulation.run(latency_seconds * 5.0, |limit| limit as f64 / latency_seconds, |_| {});
            assert_eq!(simulation.limiter.limit(), 256, "{latency_seconds}");
        }
        let mut simulation = Simulation::new();
        simulation.run(1.2, latency_bound, |_| {});
        let mut least = 256;
        simulation.run(300.0, latency_bound, |limit| least = least.min(limit));
        assert_eq!(least, 192, "only the trials go lower");
        assert_eq!(simulation.limiter.limit(), 256);
    }

    #[test]
    fn a_full_machine_settles_where_it_is_full_and_stays() {
        let mut simulation = Simulation::new();
        simulation.run(3.0, cpu_bound, |_| {});
        // Twelve thousand windows.
        simulation.run(600.0, cpu_bound, |limit| assert!((24..=64).contains(&limit), "{limit}"));
    }

    #[test]
    fn noise_neither_keeps_the_limit_low_nor_drives_it_up() {
        for seed in 0..20 {
            let mut random = StdRng::seed_from_u64(seed);
            let mut noisy = |rate: f64| rate * random.random_range(0.8..1.2);
            let mut simulation = Simulation::new();
            simulation.run(5.0, |limit| noisy(latency_bound(limit)), |_| {});
            assert!(simulation.limiter.limit() >= 192, "seed {seed}: {}", simulation.limiter.limit());

            let mut simulation = Simulation::new();
            simulation.run(20.0, |limit| noisy(cpu_bound(limit)), |_| {});
            let (mut total, mut count) = (0, 0);
            simulation.run(
                300.0,
                |limit| noisy(cpu_bound(limit)),
                |limit| {
                    (total, count) = (total + limit, count + 1);
                    assert!((18..=110).contains(&limit), "seed {seed}: {limit}");
                },
            );
            assert!((24..=64).contains(&(total / count)), "seed {seed}: {} on average", total / count);
        }
    }

    #[test]
    fn one_lucky_window_does_not_decide() {
        let mut simulation = Simulation::new();
        let mut windows = 0;
        let lucky = |limit| {
            windows += 1;
            latency_bound(limit) * if windows == 3 { 20.0 } else { 1.0 }
        };
        simulation.run(12.0, lucky, |_| {});
        assert_eq!(simulation.limiter.limit(), 256);
    }

    #[test]
    fn a_server_that_refuses_above_a_number_is_kept_near_it_without_a_storm() {
        for most in [10, 40, 100] {
            let mut simulation = Simulation::new();
            simulation.run_refused(60.0, most, |_| {});
            simulation.halvings = 0;
            let (mut total, mut count) = (0, 0);
            simulation.run_refused(600.0, most, |limit| (total, count) = (total + limit, count + 1));
            assert!(total * 10 >= count * most * 6, "{most}: {} on average", total / count);
            assert!(total <= count * most, "{most}: {} on average", total / count);
            assert!(simulation.halvings <= 31, "{most}: {} halvings", simulation.halvings);
        }
    }

    #[test]
    fn a_server_that_begins_to_refuse_is_followed_down_at_any_distance() {
        for latency_seconds in [0.005, 0.03, 0.3] {
            for most in [20, 100] {
                let mut simulation = Simulation::new();
                simulation.run(30.0, |limit| limit as f64 / latency_seconds, |_| {});
                assert!(simulation.limiter.limit() >= 192, "{latency_seconds}");
                let began = simulation.seconds();
                let mut below_after = None;
                for _ in 0..1_000 {
                    simulation.run_refused_at(latency_seconds, 0.05, most, |_| {});
                    if simulation.limiter.limit() <= most {
                        below_after = Some(simulation.seconds() - began);
                        break;
                    }
                }
                // One halving a second.
                assert!(below_after.is_some_and(|seconds| seconds < 5.0), "{latency_seconds} {most}: {below_after:?}");
                let (mut total, mut count) = (0, 0);
                simulation
                    .run_refused_at(latency_seconds, 300.0, most, |limit| (total, count) = (total + limit, count + 1));
                assert!(total * 2 >= count * most, "{latency_seconds} {most}: {} on average", total / count);
            }
        }
    }

    #[test]
    fn a_storm_halves_once_a_second_and_is_recovered_from() {
        let mut simulation = Simulation::new();
        simulation.run(2.0, latency_bound, |_| {});
        simulation.limiter.throttled(simulation.now);
        simulation.limiter.throttled(simulation.now);
        assert_eq!(simulation.limiter.limit(), 128);
        for _ in 0..20 {
            simulation.now += Duration::from_secs(2);
            simulation.limiter.throttled(simulation.now);
        }
        assert_eq!(simulation.limiter.limit(), 1);
        simulation.run(4.0, latency_bound, |limit| assert_eq!(limit, 1, "held"));
        simulation.run(5.0, latency_bound, |_| {});
        assert_eq!(simulation.limiter.limit(), 224, "below what was refused");
        simulation.run(60.0, latency_bound, |_| {});
        assert_eq!(simulation.limiter.limit(), 256, "tried again");
    }

    #[test]
    fn one_broken_connection_is_borne_and_many_at_once_are_an_overload() {
        let now = Instant::now();
        let mut limiter = Limiter::new(Concurrency::Adaptive { max: 256 }, now);
        for second in 0..10 {
            limiter.troubled(1, now + Duration::from_secs(2 * second));
        }
        assert_eq!(limiter.limit(), Limiter::START);
        limiter.troubled(3, now + Duration::from_secs(30));
        limiter.troubled(1, now + Duration::from_secs(30));
        assert_eq!(limiter.limit(), Limiter::START / 2);
    }

    #[test]
    fn a_limit_that_is_not_in_use_is_not_judged() {
        let now = Instant::now();
        let mut limiter = Limiter::new(Concurrency::Adaptive { max: 256 }, now);
        for object in 0..10_000 {
            limiter.completed(1000, object % 5 == 0, now + Duration::from_millis(object));
        }
        assert_eq!(limiter.limit(), Limiter::START);
    }

    #[test]
    fn a_fixed_limit_stays() {
        let now = Instant::now();
        let mut limiter = Limiter::new(Concurrency::Fixed(7), now);
        limiter.throttled(now);
        limiter.troubled(100, now);
        assert_eq!(limiter.limit(), 7);
    }
}
