//! The environment, read here and nowhere else. Schedulers leave a variable empty that they have nothing for:
//! it counts as not set.

use std::ffi::{OsStr, OsString};

/// A variable's value as text; `None` also where it is none.
pub fn variable(name: &str) -> Option<String> {
    value(name)?.into_string().ok()
}

/// A variable's value.
pub fn value(name: impl AsRef<OsStr>) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// Whether a variable is set, and empty.
pub fn is_empty(name: &OsStr) -> bool {
    std::env::var_os(name).is_some_and(|value| value.is_empty())
}
