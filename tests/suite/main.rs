//! The real binary against real servers: our simulator for faults and expiry, servers that we did
//! not write for the protocol. Everything on loopback.

mod harness;

mod addresses;
mod basics;
mod bucket;
mod bucket_faults;
mod bundle;
mod checksums;
mod clients;
mod clouds;
mod conformance;
mod crash;
mod credentials;
mod doctor;
mod documents;
mod engine;
mod export_manifest;
mod faults;
mod file_systems;
mod google_client;
mod hostile;
mod incremental;
mod lineage;
mod listings;
mod machine;
mod noted;
mod peers;
mod readers;
mod records;
mod replaced;
mod resume;
mod sample_day;
mod settings;
mod settling;
mod shells;
mod sql;
mod status;
mod status_page;
mod stores;
mod stores_gcs;
mod together;
mod unmirrored;
mod usage;
mod verify;
mod verify_bucket;
