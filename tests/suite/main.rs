//! The real binary against real servers: our simulator for faults and expiry, servers that we did
//! not write for the protocol. Everything on loopback.

mod harness;

mod basics;
mod clients;
mod crash;
mod credentials;
mod engine;
mod faults;
mod hostile;
mod incremental;
mod listings;
mod machine;
mod peers;
mod readers;
mod resume;
mod sample_day;
mod usage;
