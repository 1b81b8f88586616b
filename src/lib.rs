//! Mirrors Optimizely's Experimentation Events Export, partition by partition.
pub mod clock;
pub mod credentials;
pub mod error;
pub mod export;
pub mod manifest;
pub mod net;
pub mod progress;
pub mod retry;
pub mod source;
