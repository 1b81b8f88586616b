//! Whether a body comes too slowly to be worth waiting for.

use std::time::Duration;

/// A body is judged by so much time of waiting for it: a pause within it says nothing.
const WINDOW: Duration = Duration::from_secs(60);

/// Watches the rate of one body. Time that the receiver takes does not count.
pub(crate) struct RateWatch {
    min_bytes_per_second: u64,
    waited: Duration,
    bytes: u64,
}

impl RateWatch {
    /// Watches for a rate below this many bytes per second; 0 disables it.
    pub fn new(min_bytes_per_second: u64) -> Self {
        Self { min_bytes_per_second, waited: Duration::ZERO, bytes: 0 }
    }

    /// Notes what came after so much waiting; true if the last minute of it brought too little.
    pub fn is_undercut(&mut self, waited: Duration, bytes: u64) -> bool {
        self.waited += waited;
        self.bytes += bytes;
        if self.waited < WINDOW {
            return false;
        }
        let least_bytes = self.min_bytes_per_second as f64 * self.waited.as_secs_f64();
        let is_undercut = (self.bytes as f64) < least_bytes;
        (self.waited, self.bytes) = (Duration::ZERO, 0);
        is_undercut
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// After how many chunks a body of such chunks is given up; `None` for one that is not.
    fn given_up_after(min: u64, seconds: u64, bytes: u64) -> Option<u32> {
        let mut watch = RateWatch::new(min);
        (1..=1_000).find(|_| watch.is_undercut(Duration::from_secs(seconds), bytes))
    }

    #[test]
    fn a_minute_is_judged_and_nothing_shorter() {
        assert_eq!(given_up_after(100, 10, 999), Some(6));
        assert_eq!(given_up_after(100, 10, 1_000), None);
        assert_eq!(given_up_after(100, 19, 1), Some(4));
        assert_eq!(given_up_after(0, 10, 0), None);
        let mut watch = RateWatch::new(100);
        assert!(!watch.is_undercut(Duration::from_secs(59), 0), "a pause");
        assert!(!watch.is_undercut(Duration::from_secs(1), 6_000));
        assert!(watch.is_undercut(Duration::from_secs(60), 5_999), "each minute by itself");
    }
}
