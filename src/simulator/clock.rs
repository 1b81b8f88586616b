//! The server's own clock, which may be wrong on purpose.

use jiff::{SignedDuration, Timestamp, fmt::rfc2822::DateTimePrinter};
use std::time::Instant;

/// Wall time as the fake service sees it: the given start, the time elapsed since, and the skew.
///
/// The machine's wall clock is not read here, so a test decides what time it is.
#[derive(Debug, Clone)]
pub(crate) struct Clock {
    start: Timestamp,
    begun: Instant,
    skew: SignedDuration,
}

impl Clock {
    /// A clock that shows `start` plus `skew` now and runs from there.
    pub(crate) fn new(start: Timestamp, skew: SignedDuration) -> Self {
        Self { start, begun: Instant::now(), skew }
    }

    /// What the server takes for the present.
    pub(crate) fn now(&self) -> Timestamp {
        let elapsed = SignedDuration::try_from(self.begun.elapsed()).unwrap_or(SignedDuration::MAX);
        later(later(self.start, elapsed), self.skew)
    }
}

/// `moment` moved by `by`, held at the ends of representable time.
pub(crate) fn later(moment: Timestamp, by: SignedDuration) -> Timestamp {
    let end = if by.is_negative() { Timestamp::MIN } else { Timestamp::MAX };
    moment.checked_add(by).unwrap_or(end)
}

/// The form of the `Date` and `Last-Modified` headers; empty outside the years 0 to 9999.
pub(crate) fn http_date(moment: Timestamp) -> String {
    DateTimePrinter::new().timestamp_to_rfc9110_string(&moment).unwrap_or_default()
}

/// The form of `LastModified` in a listing, with milliseconds.
pub(crate) fn iso_date(moment: Timestamp) -> String {
    moment.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_match_what_the_services_send() {
        let moment: Timestamp = "2026-11-21T13:05:09.25Z".parse().unwrap();
        assert_eq!(http_date(moment), "Sat, 21 Nov 2026 13:05:09 GMT");
        assert_eq!(iso_date(moment), "2026-11-21T13:05:09.250Z");
    }

    #[test]
    fn a_skewed_clock_is_wrong_by_the_skew() {
        let start: Timestamp = "2026-11-21T13:00:00Z".parse().unwrap();
        let clock = Clock::new(start, SignedDuration::from_hours(-2));
        let error = clock.now().duration_since(start) + SignedDuration::from_hours(2);
        assert!(error < SignedDuration::from_secs(60) && !error.is_negative());
    }
}
