//! The AWS keys of the moment, fetched once for all who sign with them.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{self, ProvideCredentials, SharedCredentialsProvider, future};
use tokio::sync::Mutex;

use super::AwsCredentials;
use crate::clock::Clock;

/// Keys are fetched anew this long before they end.
const MARGIN: Duration = Duration::from_secs(10);

/// Keys that do not say when they end are fetched anew after this time, since a settings file may change.
const LIFETIME: Duration = Duration::from_secs(15 * 60);

/// Getting keys may ask a second server, or run a program that asks a person.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Keeps what a provider gives until it is about to end. Whoever asks meanwhile waits for the same answer.
pub(crate) struct CachedKeys {
    provider: SharedCredentialsProvider,
    clock: Arc<Clock>,
    held: Mutex<Option<Held>>,
}

struct Held {
    keys: Arc<Keys>,
    until: SystemTime,
}

/// The same keys in the SDK's form and in ours.
pub(crate) struct Keys {
    of_sdk: Credentials,
    /// In our form.
    pub own: AwsCredentials,
}

impl CachedKeys {
    /// Nothing is fetched yet.
    pub fn new(provider: SharedCredentialsProvider, clock: Arc<Clock>) -> Self {
        Self { provider, clock, held: Mutex::new(None) }
    }

    /// The keys to sign with now.
    ///
    /// # Errors
    /// The provider's.
    pub async fn current(&self) -> Result<Arc<Keys>, CredentialsError> {
        let mut held = self.held.lock().await;
        let now = SystemTime::from(self.clock.now());
        if let Some(held) = held.as_ref().filter(|held| now < held.until) {
            return Ok(held.keys.clone());
        }
        let fetched = tokio::time::timeout(TIMEOUT, self.provider.provide_credentials());
        let of_sdk = fetched.await.map_err(|_| CredentialsError::provider_timed_out(TIMEOUT))??;
        let until = of_sdk.expiry().and_then(|end| end.checked_sub(MARGIN)).unwrap_or(now + LIFETIME);
        let keys = Arc::new(Keys { own: AwsCredentials::of_sdk(&of_sdk), of_sdk });
        *held = Some(Held { keys: keys.clone(), until });
        Ok(keys)
    }

    async fn provide(&self) -> provider::Result {
        Ok(self.current().await?.of_sdk.clone())
    }
}

impl ProvideCredentials for CachedKeys {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.provide())
    }
}

impl fmt::Debug for CachedKeys {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("CachedKeys(..)")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use jiff::Timestamp;

    use super::*;

    /// Gives keys that live for some seconds, numbered.
    #[derive(Debug)]
    struct Counting {
        given: Arc<AtomicU32>,
        ends_at: Option<SystemTime>,
    }

    impl ProvideCredentials for Counting {
        fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
        where
            Self: 'a,
        {
            future::ProvideCredentials::new(async {
                // All who ask are to be waiting by now.
                tokio::task::yield_now().await;
                let number = self.given.fetch_add(1, Ordering::SeqCst) + 1;
                Ok(Credentials::new(format!("AKIA{number}"), "secret", None, self.ends_at, "test"))
            })
        }
    }

    fn keys(seconds: Option<u64>) -> (CachedKeys, Arc<AtomicU32>) {
        let clock = Arc::new(Clock::starting_at(Timestamp::from_second(1_800_000_000).unwrap()));
        let given = Arc::new(AtomicU32::new(0));
        let ends_at = seconds.map(|seconds| SystemTime::from(clock.now()) + Duration::from_secs(seconds));
        let provider = Counting { given: given.clone(), ends_at };
        (CachedKeys::new(SharedCredentialsProvider::new(provider), clock), given)
    }

    #[tokio::test]
    async fn all_who_ask_at_once_share_one_answer() {
        let (keys, given) = keys(Some(3600));
        futures::future::join_all((0..50).map(|_| keys.current())).await;
        assert_eq!(given.load(Ordering::SeqCst), 1);
        assert_eq!(keys.current().await.ok().unwrap().own.access_key_id, "AKIA1");
    }

    #[tokio::test]
    async fn keys_that_end_soon_are_not_kept() {
        let (keys, given) = keys(Some(MARGIN.as_secs()));
        for number in 1..4 {
            assert!(keys.current().await.is_ok());
            assert_eq!(given.load(Ordering::SeqCst), number);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn keys_without_an_end_are_looked_for_again_after_a_while() {
        let (keys, given) = keys(None);
        assert!(keys.current().await.is_ok());
        tokio::time::advance(LIFETIME - Duration::from_secs(1)).await;
        assert!(keys.current().await.is_ok());
        assert_eq!(given.load(Ordering::SeqCst), 1);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(keys.current().await.is_ok());
        assert_eq!(given.load(Ordering::SeqCst), 2);
    }
}
