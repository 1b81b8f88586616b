//! What goes wrong with a destination in a bucket of the user's own, over the real binary.

mod answers;
mod input;
mod kills;
pub mod lake;
mod leases;
mod outages;
mod permissions;
mod secrets;
mod uploads;
