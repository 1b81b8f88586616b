//! The real binary against real servers: our simulator for faults and expiry, servers that we did
//! not write for the protocol. Everything on loopback.

mod harness;

mod addresses;
mod basics;
mod checksums;
mod clients;
mod clouds;
mod crash;
mod credentials;
mod documents;
mod engine;
mod faults;
mod google_client;
mod hostile;
mod incremental;
mod listings;
mod machine;
mod peers;
mod readers;
mod resume;
mod sample_day;
mod sql;
mod stores;
mod stores_gcs;
mod usage;
