//! One file for each verb.

pub mod auth;
pub mod completions;
pub mod config;
#[cfg(feature = "simulator")]
pub mod demo;
pub mod doctor;
pub mod export_manifest;
pub mod login;
pub mod ls;
pub mod man;
pub mod plan;
#[cfg(feature = "simulator")]
pub mod simulate;
pub mod sql;
pub mod status;
pub mod sync;
pub mod verify;

use e3sync::error::{ExitCode, Result};

/// What a command ends with.
pub type Outcome = Result<ExitCode>;

/// Whether everything went well, as an exit code.
fn success() -> Outcome {
    Ok(ExitCode::Success)
}
