//! Keeps all transfers together below a rate.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Keeps all transfers together below a number of bytes a second.
///
/// Each chunk books its time on one shared line; whoever is ahead of the clock waits. A pause of
/// all transfers is not saved up for a burst.
pub(super) struct Bandwidth {
    bytes_per_second: Option<u64>,
    booked_until: Mutex<Instant>,
}

impl Bandwidth {
    pub fn new(bytes_per_second: Option<u64>) -> Self {
        Self { bytes_per_second, booked_until: Mutex::new(Instant::now()) }
    }

    /// Waits until this number of bytes may have come.
    pub async fn take(&self, bytes: u64) {
        let Some(bytes_per_second) = self.bytes_per_second else { return };
        let duration = Duration::from_secs_f64(bytes as f64 / bytes_per_second.max(1) as f64);
        let until = {
            let mut booked_until = self.booked_until.lock().unwrap_or_else(PoisonError::into_inner);
            *booked_until = (*booked_until).max(Instant::now()) + duration;
            *booked_until
        };
        tokio::time::sleep_until(until).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn many_transfers_share_one_limit() {
        let bandwidth = Bandwidth::new(Some(1_000_000));
        let began = Instant::now();
        let takers: Vec<_> = (0..50).map(|_| bandwidth.take(100_000)).collect();
        futures::future::join_all(takers).await;
        let elapsed = began.elapsed();
        assert!((Duration::from_millis(4_990)..Duration::from_millis(5_010)).contains(&elapsed), "{elapsed:?}");
    }
}
