//! Why a request has no answer, as the client tells it.

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use hyper_util::client::legacy;

type BoxError = Box<dyn StdError + Send + Sync>;

/// Why a request has no answer, or no whole one.
#[derive(Debug)]
pub(crate) enum HttpError {
    /// It was not sent, or nothing came back.
    Unanswered(legacy::Error),
    /// The connection broke in the middle of the answer.
    Cut(hyper::Error),
    /// No bytes were transferred within this time.
    Stalled(Duration),
}

impl fmt::Display for HttpError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unanswered(error) => fmt::Display::fmt(error, formatter),
            Self::Cut(error) => fmt::Display::fmt(error, formatter),
            Self::Stalled(timeout) => write!(formatter, "no bytes were transferred for {timeout:?}"),
        }
    }
}

impl StdError for HttpError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Unanswered(error) => error.source(),
            Self::Cut(error) => error.source(),
            Self::Stalled(_) => None,
        }
    }
}

impl From<hyper::Error> for HttpError {
    fn from(error: hyper::Error) -> Self {
        Self::Cut(error)
    }
}

/// A failure to connect, where a connection through the same proxy came about before.
#[derive(Debug)]
pub(super) struct FailedLater(pub BoxError);

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

/// Why nothing but this machine is reached where no certificate authority is known.
#[derive(Debug)]
pub(super) struct NoAuthorities;

impl fmt::Display for NoAuthorities {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("this system has no CA certificates to trust a server by")
    }
}

impl StdError for NoAuthorities {}
