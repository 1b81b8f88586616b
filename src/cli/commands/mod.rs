//! One file for each verb.

pub mod auth;
#[cfg(feature = "simulator")]
pub mod demo;
pub mod ls;
pub mod plan;
#[cfg(feature = "simulator")]
pub mod simulate;
pub mod sql;
pub mod status;
pub mod sync;

use e3sync::error::{ExitCode, Result};

/// What a command ends with.
pub type Outcome = Result<ExitCode>;
