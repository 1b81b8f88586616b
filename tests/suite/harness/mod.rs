//! What the tests share: the binary, the simulated export, servers and readers that we did not
//! write, and the tree that must come out.

mod binary;
mod exchange;
mod export;
mod fake_gcs;
mod moto;
mod peer;
mod process;
mod s3s;
mod sample;
mod tools;
mod tree;

pub use binary::{E3sync, Finished};
pub use export::{CHECKSUM, CLOUD, Export, TODAY};
pub use fake_gcs::FakeGcs;
pub use moto::{Moto, OpenMoto};
pub use peer::{Server, assert_same_files, prefix};
pub use s3s::S3s;
pub use sample::sample;
pub use tools::{Python, java, output_of, python, skip};
pub use tree::{assert_tree_is, files_below, manifest_lines};
