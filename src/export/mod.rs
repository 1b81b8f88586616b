//! The vendor's words: accounts, days, partitions, objects, selections. No input or output.

mod account;
mod checksums;
mod days;
mod escape;
mod filter;
mod names;
mod object;
mod partition;
mod path;
mod strays;

pub use account::AccountId;
pub use checksums::{Base64, Checksum, ChecksumAlgorithm, Checksums};
pub use days::{DaySpec, Days, utc_day};
pub use escape::{hive_escape, hive_unescape, printable};
pub use filter::{Filter, NamePattern, Scope};
pub use names::{NameRules, Oddity, SEGMENT_BYTES_MAX, SEGMENT_BYTES_MIN};
pub use object::{Object, SUCCESS_MARKER, is_committers_work, is_folder_marker};
pub(crate) use partition::day_of_folder;
pub use partition::{ExportLocation, Partition, TypeName};
pub use path::FilePath;
pub use strays::Strays;
