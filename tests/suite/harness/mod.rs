//! What the tests share: the binary, the simulated export, the tree that must come out.

mod binary;
mod export;
mod tree;

pub use binary::{E3sync, Finished};
pub use export::{Export, TODAY};
pub use tree::{assert_tree_is, files_below, manifest_lines};
