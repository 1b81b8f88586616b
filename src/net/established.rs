//! Tells a proxy that forbids connections from one that fails for a while: a client whose connections came about
//! before was allowed them, and the library does not hand the status of the proxy's answer on.

use std::error::Error as StdError;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use tower_layer::Layer;
use tower_service::Service;

type BoxError = Box<dyn StdError + Send + Sync>;

/// Marks failures to connect of a client that has connected before as [`FailedLater`].
#[derive(Clone, Default)]
pub(super) struct MarkLaterFailures;

/// A connector with its mark.
#[derive(Clone)]
pub(super) struct Marking<S> {
    connector: S,
    has_connected: Arc<AtomicBool>,
}

/// A failure to connect, where a connection of the same client came about before.
#[derive(Debug)]
pub(super) struct FailedLater(BoxError);

impl fmt::Display for FailedLater {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, formatter)
    }
}

impl StdError for FailedLater {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&*self.0)
    }
}

impl<S> Layer<S> for MarkLaterFailures {
    type Service = Marking<S>;

    fn layer(&self, connector: S) -> Marking<S> {
        Marking { connector, has_connected: Arc::default() }
    }
}

impl<S, R> Service<R> for Marking<S>
where
    S: Service<R, Error = BoxError>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.connector.poll_ready(context)
    }

    fn call(&mut self, request: R) -> Self::Future {
        let (connecting, has_connected) = (self.connector.call(request), self.has_connected.clone());
        Box::pin(async move {
            match connecting.await {
                Ok(connection) => {
                    has_connected.store(true, Ordering::Relaxed);
                    Ok(connection)
                }
                Err(cause) if has_connected.load(Ordering::Relaxed) => Err(FailedLater(cause).into()),
                Err(cause) => Err(cause),
            }
        })
    }
}
