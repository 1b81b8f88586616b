//! Repeats requests to the source as far as that helps.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::{OpenObject, Page, PageToken, ReadRequest, Source, TypeDays};
use crate::error::{Error, ErrorKind, Result};
use crate::export::{ExportLocation, Object, Partition, TypeName};
use crate::progress::{Counters, Event, Observer};
use crate::retry::RetryPolicy;

/// A source whose listings are repeated after passing failures.
///
/// Opening an object is passed through: the engine repeats it, since it knows how many bytes it
/// already has.
pub struct Retrying<S> {
    source: S,
    attempts_max: u32,
    observer: Arc<dyn Observer>,
    counters: Arc<Counters>,
}

impl<S: Source> Retrying<S> {
    /// Repeats each failing request of `source` up to `attempts_max` times.
    pub fn new(source: S, attempts_max: u32, observer: Arc<dyn Observer>, counters: Arc<Counters>) -> Self {
        Self { source, attempts_max, observer, counters }
    }

    async fn retry<T, F: Future<Output = Result<T>>>(&self, request: impl Fn() -> F) -> Result<T> {
        let mut retry_policy = RetryPolicy::new(self.attempts_max);
        loop {
            let error = match request().await {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            let Some(pause) = retry_policy.after(&error) else { return Err(error) };
            self.counters.retries.add(1);
            if error.kind() == ErrorKind::Throttled {
                self.counters.throttles.add(1);
            }
            self.observer.observe(&Event::Retrying { error: &error, pause });
            tokio::time::sleep(pause).await;
        }
    }
}

#[async_trait]
impl<S: Source> Source for Retrying<S> {
    async fn location(&self) -> Result<ExportLocation> {
        self.source.location().await
    }

    async fn list_types(&self) -> Result<Vec<TypeName>> {
        self.retry(|| self.source.list_types()).await
    }

    async fn list_days(&self, type_name: &TypeName) -> Result<TypeDays> {
        self.retry(|| self.source.list_days(type_name)).await
    }

    async fn list_page(&self, partition: &Partition, prefix: &str, from: Option<&PageToken>) -> Result<Page> {
        self.retry(|| self.source.list_page(partition, prefix, from)).await
    }

    async fn open(&self, partition: &Partition, object: &Object, request: ReadRequest) -> Result<OpenObject> {
        self.source.open(partition, object, request).await
    }

    async fn keep_fresh(&self) -> Error {
        self.source.keep_fresh().await
    }

    fn credentials_remaining(&self) -> Option<Duration> {
        self.source.credentials_remaining()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::progress::Silent;

    /// Asks for patience twice.
    #[derive(Default)]
    struct Overloaded(AtomicU32);

    #[async_trait]
    impl Source for Overloaded {
        async fn list_types(&self) -> Result<Vec<TypeName>> {
            match self.0.fetch_add(1, Ordering::SeqCst) {
                0 | 1 => Err(Error::new(ErrorKind::Throttled, "slow down")),
                2 => Err(Error::new(ErrorKind::Unavailable, "cut")),
                _ => Ok(Vec::new()),
            }
        }

        async fn location(&self) -> Result<ExportLocation> {
            unreachable!("no test asks for it")
        }

        async fn list_days(&self, _: &TypeName) -> Result<TypeDays> {
            unreachable!("no test asks for it")
        }

        async fn list_page(&self, _: &Partition, _: &str, _: Option<&PageToken>) -> Result<Page> {
            unreachable!("no test asks for it")
        }

        async fn open(&self, _: &Partition, _: &Object, _: ReadRequest) -> Result<OpenObject> {
            unreachable!("no test asks for it")
        }

        async fn keep_fresh(&self) -> Error {
            unreachable!("no test asks for it")
        }

        fn credentials_remaining(&self) -> Option<Duration> {
            None
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_throttled_listing_counts_as_throttling() {
        let counters = Arc::new(Counters::default());
        let source = Retrying::new(Overloaded::default(), 5, Arc::new(Silent), counters.clone());
        source.list_types().await.unwrap();
        assert_eq!((counters.retries.get(), counters.throttles.get()), (3, 2));
    }
}
