//! What is known of an object's bytes once all were hashed.

use crate::export::Checksums;

/// What is known of an object's bytes after every one of them was hashed on its way through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VerifiedContent {
    /// The SHA-256 of the bytes.
    pub sha256: [u8; 32],
    /// The checksums that the source offered; all of them matched the bytes.
    pub checksums: Checksums,
    /// The number of rows by the Parquet footer; `None` for what is not Parquet.
    pub rows: Option<u64>,
}

impl VerifiedContent {
    /// What the bytes were compared with besides their number: the names of the source's
    /// checksums joined by `+`, or `size` where the source offered none.
    pub fn verified_against(&self) -> String {
        let names: Vec<&str> = self.checksums.iter().map(|(algorithm, _)| algorithm.name()).collect();
        if names.is_empty() { "size".to_owned() } else { names.join("+") }
    }
}
