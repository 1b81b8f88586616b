//! The names of replaced sets: the time of replacement, a random number, and what becomes of the set.

use std::fmt;
use std::str::FromStr;

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::layout::REPLACED;
use crate::export::{Partition, day_of_folder};

const TIME_FORMAT: &str = "%Y%m%dT%H%M%SZ";
const MANIFEST_ENDING: &str = ".jsonl";

/// What becomes of a replaced set once readers had time to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::destination) enum Fate {
    /// The files that its manifest names are deleted.
    Delete,
    /// It is kept because the user wants that.
    Keep,
    /// It is kept because files of others are in it, or because that cannot be told.
    KeepForeign,
}

impl Fate {
    const ALL: [Self; 3] = [Self::Delete, Self::Keep, Self::KeepForeign];

    fn name(self) -> &'static str {
        match self {
            Self::Delete => "delete",
            Self::Keep => "keep",
            Self::KeepForeign => "keep_foreign",
        }
    }
}

/// What tells one replaced set of a partition from another. Names sort by the time of replacement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::destination) struct ReplacedName {
    /// When the set was replaced, in whole seconds.
    pub replaced_at: Timestamp,
    /// What becomes of it.
    pub fate: Fate,
    random: u32,
}

impl ReplacedName {
    /// A name that no other set has.
    pub fn new(now: Timestamp, fate: Fate) -> Self {
        let replaced_at = Timestamp::from_second(now.as_second()).unwrap_or(now);
        Self { replaced_at, fate, random: rand::random() }
    }

    /// The set's folder below `_e3sync/replaced/type=T`.
    pub fn folder_of(&self, partition: &Partition) -> String {
        format!("{}.{self}", partition.date_folder())
    }

    /// The set's folder in the partition's staging folder, where it stays until it can be moved.
    pub fn folder_in_staging(&self) -> String {
        format!("{REPLACED}.{self}")
    }

    /// The day and the name of a folder below `_e3sync/replaced/type=T`.
    pub fn parse_folder(folder: &str) -> Option<(Date, Self)> {
        let (day, name) = folder.split_once('.')?;
        Some((day_of_folder(day)?, name.parse().ok()?))
    }

    /// The name of a folder in a partition's staging folder.
    pub fn parse_folder_in_staging(folder: &str) -> Option<Self> {
        folder.strip_prefix(REPLACED)?.strip_prefix('.')?.parse().ok()
    }

    /// How long ago the set was replaced; negative after a clock was set back.
    pub fn age(&self, now: Timestamp) -> SignedDuration {
        now.duration_since(self.replaced_at)
    }
}

/// The name of the manifest beside a replaced set's folder.
pub(super) fn manifest_beside(folder: &str) -> String {
    format!("{folder}{MANIFEST_ENDING}")
}

/// The folder that a manifest lies beside.
pub(super) fn folder_beside(manifest: &str) -> Option<&str> {
    manifest.strip_suffix(MANIFEST_ENDING)
}

impl fmt::Display for ReplacedName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = self.replaced_at.strftime(TIME_FORMAT);
        write!(formatter, "{time}-{:08x}.{}", self.random, self.fate.name())
    }
}

impl FromStr for ReplacedName {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (unique, fate) = text.split_once('.').ok_or(())?;
        let (time, random) = unique.split_once('-').ok_or(())?;
        let fate = Fate::ALL.into_iter().find(|known| known.name() == fate).ok_or(())?;
        let time = DateTime::strptime(TIME_FORMAT, time).map_err(|_| ())?;
        let replaced_at = time.to_zoned(TimeZone::UTC).map_err(|_| ())?.timestamp();
        let name = Self { replaced_at, fate, random: u32::from_str_radix(random, 16).map_err(|_| ())? };
        if name.to_string() == text { Ok(name) } else { Err(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::TypeName;

    #[test]
    fn a_name_is_read_back_and_nothing_else_is_one() {
        let partition =
            Partition { type_name: TypeName::parse("events").unwrap(), date: "2026-11-20".parse().unwrap() };
        let now: Timestamp = "2026-11-21T10:15:00.7Z".parse().unwrap();
        for fate in Fate::ALL {
            let name = ReplacedName::new(now, fate);
            let folder = name.folder_of(&partition);
            assert!(folder.starts_with("date=2026-11-20.20261121T101500Z-"), "{folder}");
            assert_eq!(ReplacedName::parse_folder(&folder), Some((partition.date, name)));
            assert_eq!(ReplacedName::parse_folder_in_staging(&name.folder_in_staging()), Some(name));
            let manifest = manifest_beside(&folder);
            assert_eq!(folder_beside(&manifest), Some(folder.as_str()));
            assert_eq!(ReplacedName::parse_folder(&manifest), None);
            assert_eq!(name.age("2026-11-21T11:15:00Z".parse().unwrap()), SignedDuration::from_hours(1));
        }
        for other in ["date=2026-11-20.1", "date=2026-11-20", "date=2026-11-20.20261121T101500Z-7.delete", "notes"] {
            assert_eq!(ReplacedName::parse_folder(other), None, "{other}");
        }
        assert_eq!(ReplacedName::parse_folder_in_staging("replaced"), None);
    }

    #[test]
    fn two_sets_of_one_second_have_two_names() {
        let now = Timestamp::UNIX_EPOCH;
        assert_ne!(ReplacedName::new(now, Fate::Delete), ReplacedName::new(now, Fate::Delete));
    }
}
