//! What the tests share: the binary, the simulated export, servers and readers that we did not
//! write, and the tree that must come out.

mod binary;
mod browser;
mod exchange;
mod export;
mod fake_gcs;
mod lake;
mod moto;
mod peer;
mod peer_lake;
mod process;
mod proxy;
mod s3s;
mod sample;
mod tls_front;
mod token_server;
mod tools;
mod tree;

pub use binary::{E3sync, Finished, Running, empty_folder};
pub use browser::Browser;
pub use exchange::{AWS, Exchange};
pub use export::{CHECKSUM, CLOUD, Export, TODAY};
pub use fake_gcs::FakeGcs;
pub(crate) use lake::for_each_lake;
pub use lake::{CustomerLake, sha256_hex};
pub use moto::{Moto, OpenMoto};
pub use peer::{Server, assert_same_files, prefix};
pub use peer_lake::PeerLake;
pub use proxy::{FailingProxy, Proxy};
pub use s3s::S3s;
pub use sample::sample;
pub use tls_front::TlsFront;
pub use token_server::{Answer, Asked, TokenServer};
pub use tools::{Python, has_strace, java, miss, output_of, python, skip};
pub use tree::{assert_tree_is, copied, files_below, manifest_lines};
