//! A promise that was found broken.

/// What is wrong, and which promise that breaks in a word.
#[derive(Clone, Debug)]
pub struct Failure {
    pub promise: &'static str,
    pub text: String,
}

impl Failure {
    /// A broken promise.
    pub fn new(promise: &'static str, text: impl Into<String>) -> Self {
        Self { promise, text: text.into() }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "[{}] {}", self.promise, self.text)
    }
}

/// Fails with a broken promise.
///
/// # Errors
/// Always.
pub fn fail<T>(promise: &'static str, text: impl FnOnce() -> String) -> Result<T, Failure> {
    Err(Failure::new(promise, text()))
}

/// Fails unless the promise holds.
///
/// # Errors
/// Where it does not.
pub fn ensure(holds: bool, promise: &'static str, text: impl FnOnce() -> String) -> Result<(), Failure> {
    if holds { Ok(()) } else { fail(promise, text) }
}
