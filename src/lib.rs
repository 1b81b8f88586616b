//! Mirrors Optimizely's Experimentation Events Export: every partition exactly as the source has it,
//! verified byte by byte, published as a whole, resumed wherever a run ended.
//!
//! The library takes settings and returns values. It never reads the terminal, the environment or
//! the wall clock; the command in `main.rs` and `cli/` does. Data flows one way, from
//! [`credentials`] and [`source`] over [`plan`] and [`transfer`] to [`destination`].

#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

#[cfg(not(unix))]
compile_error!("e3sync needs a Unix system: it publishes by renames relative to open folders");

pub mod clock;
pub mod credentials;
pub mod destination;
pub mod doctor;
pub mod error;
pub mod export;
pub mod export_manifest;
pub mod finding;
pub mod hash;
pub mod manifest;
mod mirror;
pub mod net;
pub mod plan;
pub mod progress;
pub mod retry;
#[cfg(feature = "simulator")]
pub mod simulator;
pub mod source;
pub mod sql;
pub mod status;
pub mod sync;
pub mod transfer;
pub mod verify;

pub use mirror::Mirror;
