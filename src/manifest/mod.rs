//! The manifest: what a published partition contains and how it was verified, and the listing that
//! it is made from. Bytes in, values out; docs/MANIFEST.md is the format's specification.

mod content;
mod digest;
mod footer;
mod format;
mod join;
mod reader;
mod writer;

pub use content::VerifiedContent;
pub use digest::{ListingDigest, ListingSummary, ListingTally};
pub(crate) use digest::{from_hex, from_hex_bytes, to_hex};
pub use footer::{FooterTail, ParquetFooter, TAIL_BYTES_MAX};
pub use format::{Completeness, Entry, FORMAT_NAME, FORMAT_VERSION, Header};
pub(crate) use join::{Keyed, join, outer_join};
pub(crate) use reader::read_first_line;
pub use reader::{EntryReader, read_header, verify};
pub use writer::ManifestWriter;
