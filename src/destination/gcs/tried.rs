//! What one try of a request ends with.

use crate::error::Error;

/// A failed request, with what the server said as far as callers tell cases apart by it.
#[derive(Debug)]
pub(super) struct Failure {
    /// The answer's status, where there was an answer.
    pub status: Option<u16>,
    /// The error as it is shown.
    pub error: Error,
}

/// The outcome of a request.
pub(super) type Tried<T> = std::result::Result<T, Failure>;

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        failure.error
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self { status: None, error }
    }
}
