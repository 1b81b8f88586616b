//! The manifest: what a published partition contains and how it was verified, and the listing that
//! it is made from. Bytes in, values out; docs/MANIFEST.md is the format's specification.

mod content;
mod digest;
mod footer;
mod format;
mod reader;
mod writer;

pub use content::VerifiedContent;
pub use digest::{ListingDigest, ListingSummary, ListingTally};
pub use footer::{FooterTail, ParquetFooter};
pub use format::{Completeness, Entry, FORMAT_NAME, FORMAT_VERSION, Header};
pub use reader::{EntryReader, read_header, verify};
pub use writer::ManifestWriter;
