//! What verifications leave at a destination: which days they found to differ, until a later one
//! finds them in order or they are published anew. By it `status` knows a damaged day.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::outcome::Damaged;
use super::{VerifyOutcome, VerifyRequest};
use crate::destination::PublishedFiles;
use crate::error::{Error, ErrorKind, Result};
use crate::export::{Partition, Scope, TypeName};

const FORMAT_NAME: &str = "e3sync-verification";
const FORMAT_VERSION: &str = "1.0";
const MAJOR_VERSION: &str = "1";

/// What verifications have found at a destination: `_e3sync/verification.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VerificationRecord {
    /// Always `e3sync-verification`.
    format: String,
    /// The version, `MAJOR.MINOR`; another major one is not read.
    version: String,
    /// The last verification that was not merely a look at what was just repaired.
    pub last: Option<LastVerification>,
    /// The days that differ from their manifests, in ascending order of types and days.
    pub damaged: Vec<DamagedDay>,
}

impl Default for VerificationRecord {
    fn default() -> Self {
        Self { format: FORMAT_NAME.to_owned(), version: FORMAT_VERSION.to_owned(), last: None, damaged: Vec::new() }
    }
}

/// What a verification compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Every byte, by its SHA-256.
    Full,
    /// Names, sizes and ETags only.
    Quick,
}

impl Mode {
    /// The mode of a verification that reads files, or does not.
    pub fn new(is_quick: bool) -> Self {
        if is_quick { Self::Quick } else { Self::Full }
    }

    /// The mode's name in output.
    pub fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Quick => "quick",
        }
    }
}

/// How far the last verification went.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LastVerification {
    /// When it ended.
    pub verified_at: Timestamp,
    /// What was compared.
    pub mode: Mode,
    /// Whether it came to the end of what was asked for.
    pub complete: bool,
    /// The days that it looked at, with those that an interrupted verification before it had done.
    pub days: u64,
    /// The objects that it compared.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// A day that was found to differ from its manifest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DamagedDay {
    /// The partition's type.
    #[serde(rename = "type")]
    pub type_name: String,
    /// The partition's day.
    pub date: Date,
    /// When the set was published that differs; `None` where its manifest could not be read or there
    /// was none.
    pub published_at: Option<Timestamp>,
    /// When this was found.
    pub found_at: Timestamp,
    /// What was compared.
    pub mode: Mode,
    /// How much of the day was looked at.
    pub selection: Scope,
    /// How many differences there are of each kind, by the kinds' names.
    pub differences: BTreeMap<String, u64>,
}

impl DamagedDay {
    fn is_of(&self, partition: &Partition) -> bool {
        self.type_name == partition.type_name.as_str() && self.date == partition.date
    }

    fn partition(&self) -> Option<Partition> {
        Some(Partition { type_name: TypeName::parse(&self.type_name).ok()?, date: self.date })
    }

    /// Whether it was this published set. Of one whose manifest could not be read it is only known
    /// that it was there when this was found.
    fn is_about(&self, published_at: Option<Timestamp>) -> bool {
        match (self.published_at, published_at) {
            (None, Some(published_at)) => published_at <= self.found_at,
            (known, published_at) => known == published_at,
        }
    }

    /// Whether a verification in this manner would see whatever had been seen for this entry.
    fn is_seen_by(&self, manner: &Manner) -> bool {
        (self.mode == Mode::Quick || manner.mode == Mode::Full)
            && (manner.selection == Scope::All || manner.selection == self.selection)
    }

    /// Why the day is damaged, in words.
    pub fn reason(&self) -> String {
        let kinds = self.differences.iter().map(|(kind, count)| format!("{count} {}", kind.replace('_', " ")));
        let kinds = kinds.collect::<Vec<_>>().join(", ");
        format!("verify found on {}: {kinds}", self.found_at.strftime("%Y-%m-%d"))
    }
}

/// How closely a verification looked.
struct Manner {
    mode: Mode,
    selection: Scope,
}

impl VerificationRecord {
    /// Reads the record of a destination; without one, nothing is known.
    ///
    /// # Errors
    /// [`ErrorKind::ManifestDamaged`] for one that is cut, altered or of a later version.
    pub fn parse(bytes: Option<&[u8]>) -> Result<Self> {
        let Some(bytes) = bytes else { return Ok(Self::default()) };
        let told = |what: &str| {
            Error::new(ErrorKind::ManifestDamaged, format!("what was verified before is {what}"))
                .with_hint("remove _e3sync/verification.json at the destination, and verify again")
        };
        let record: Self = serde_json::from_slice(bytes).map_err(|cause| told("unreadable").with_cause(cause))?;
        if record.format != FORMAT_NAME || record.version.split('.').next() != Some(MAJOR_VERSION) {
            return Err(told("noted by another version of e3sync"));
        }
        Ok(record)
    }

    /// The partitions about which something is noted.
    pub fn partitions(&self) -> impl Iterator<Item = Partition> {
        self.damaged.iter().filter_map(DamagedDay::partition)
    }

    /// What is wrong with a day whose set was published at `published_at`; an entry about a set that
    /// was replaced since says nothing.
    pub fn damage_of(&self, partition: &Partition, published_at: Option<Timestamp>) -> Option<&DamagedDay> {
        self.damaged.iter().find(|day| day.is_of(partition) && day.is_about(published_at))
    }

    /// Takes in what a verification in this manner found at `now`.
    fn take(&mut self, outcome: &VerifyOutcome, manner: &Manner, now: Timestamp) {
        self.damaged.retain(|day| {
            day.partition().is_some_and(|partition| {
                let is_looked_at = outcome.sound.contains(&partition) || outcome.damaged.contains_key(&partition);
                !(is_looked_at && day.is_seen_by(manner))
            })
        });
        for (partition, damaged) in &outcome.damaged {
            // An entry that is still here was found by a closer look, and says more.
            if !self.damaged.iter().any(|day| day.is_of(partition) && day.is_about(damaged.published_at)) {
                self.damaged.retain(|day| !day.is_of(partition));
                self.damaged.push(entry(partition, damaged, manner, now));
            }
        }
        self.damaged.sort_by(|one, other| (&one.type_name, one.date).cmp(&(&other.type_name, other.date)));
    }
}

fn entry(partition: &Partition, damaged: &Damaged, manner: &Manner, now: Timestamp) -> DamagedDay {
    DamagedDay {
        type_name: partition.type_name.as_str().to_owned(),
        date: partition.date,
        published_at: damaged.published_at,
        found_at: now,
        mode: manner.mode,
        selection: manner.selection.clone(),
        differences: damaged.differences.iter().map(|(kind, count)| (kind.name().to_owned(), *count)).collect(),
    }
}

/// Notes at the destination what a verification found.
///
/// # Errors
/// What kept it from being noted, if what is noted there now misleads: a destination that cannot be
/// written and has nothing wrong is as good as one that says so.
pub(super) async fn note(
    files: &dyn PublishedFiles,
    request: &VerifyRequest,
    outcome: &VerifyOutcome,
    now: Timestamp,
) -> Result<()> {
    let manner = Manner { mode: Mode::new(request.is_quick), selection: request.selection.scope.clone() };
    let last = LastVerification {
        verified_at: now,
        mode: manner.mode,
        complete: outcome.stopped_by.is_none(),
        days: outcome.days + outcome.days_resumed,
        objects: outcome.objects,
        bytes: outcome.bytes,
    };
    let changed = |stored: Option<&[u8]>| {
        let mut record = VerificationRecord::parse(stored)?;
        record.take(outcome, &manner, now);
        if !request.is_recheck {
            record.last = Some(last.clone());
        }
        Ok(format!("{:#}\n", serde_json::to_value(&record).unwrap_or_default()).into_bytes())
    };
    let Err(error) = files.change_verification(&changed).await else { return Ok(()) };
    let stored = files.verification().await?;
    let mut record = VerificationRecord::parse(stored.as_deref())?;
    let before = record.damaged.clone();
    record.take(outcome, &manner, now);
    if record.damaged == before { Ok(()) } else { Err(error) }
}

#[cfg(test)]
mod tests {
    use super::super::finding::{Finding, FindingKind};
    use super::*;

    const PUBLISHED_AT: &str = "2026-11-20T06:00:00Z";
    const FULL: Manner = Manner { mode: Mode::Full, selection: Scope::All };
    const QUICK: Manner = Manner { mode: Mode::Quick, selection: Scope::All };

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn partition(day: &str) -> Partition {
        Partition { type_name: TypeName::parse("events").unwrap(), date: day.parse().unwrap() }
    }

    fn found(day: &str, kind: FindingKind, published_at: Option<&str>) -> VerifyOutcome {
        let mut outcome = VerifyOutcome::default();
        outcome.note(&partition(day), published_at.map(at), &Finding::new(kind, "a.parquet", "x"));
        outcome
    }

    fn sound(day: &str) -> VerifyOutcome {
        VerifyOutcome { sound: [partition(day)].into(), ..VerifyOutcome::default() }
    }

    fn days(record: &VerificationRecord) -> Vec<String> {
        record.damaged.iter().map(|day| day.date.to_string()).collect()
    }

    #[test]
    fn a_day_is_damaged_until_a_look_as_close_finds_it_in_order() {
        let now = at("2026-11-21T00:00:00Z");
        let mut record = VerificationRecord::default();
        record.take(&found("2026-11-20", FindingKind::Changed, Some(PUBLISHED_AT)), &FULL, now);
        record.take(&found("2026-11-19", FindingKind::Missing, Some(PUBLISHED_AT)), &QUICK, now);
        assert_eq!(days(&record), ["2026-11-19", "2026-11-20"]);
        for day in ["2026-11-18", "2026-11-19", "2026-11-20"] {
            record.take(&sound(day), &QUICK, now);
        }
        assert_eq!(days(&record), ["2026-11-20"], "a quick look reads nothing");
        let part: Scope = Scope::AnyOf(Vec::new());
        record.take(&sound("2026-11-20"), &Manner { mode: Mode::Full, selection: part }, now);
        assert_eq!(days(&record), ["2026-11-20"], "a part is not the whole");
        record.take(&found("2026-11-20", FindingKind::Extra, Some(PUBLISHED_AT)), &QUICK, now);
        assert!(record.damaged[0].differences.contains_key("changed"), "the closer look says more: {record:?}");
        record.take(&sound("2026-11-20"), &FULL, now);
        assert_eq!(days(&record), Vec::<String>::new());
    }

    #[test]
    fn an_entry_is_about_the_set_that_was_looked_at() {
        let found_at = at("2026-11-21T00:00:00Z");
        let mut record = VerificationRecord::default();
        record.take(&found("2026-11-20", FindingKind::Changed, Some(PUBLISHED_AT)), &FULL, found_at);
        record.take(&found("2026-11-19", FindingKind::ManifestDamaged, None), &FULL, found_at);
        let is_damaged =
            |day: &str, published_at: Option<&str>| record.damage_of(&partition(day), published_at.map(at)).is_some();
        assert!(is_damaged("2026-11-20", Some(PUBLISHED_AT)));
        assert!(!is_damaged("2026-11-20", Some("2026-11-20T07:00:00Z")), "published anew");
        assert!(!is_damaged("2026-11-20", None), "not there");
        assert!(is_damaged("2026-11-19", Some(PUBLISHED_AT)), "the header can be read, the rest not");
        assert!(is_damaged("2026-11-19", None));
        assert!(!is_damaged("2026-11-19", Some("2026-11-21T07:00:00Z")), "published anew");
    }

    #[test]
    fn what_is_noted_is_read_again_and_other_formats_are_refused() {
        let mut record = VerificationRecord::default();
        record.take(&found("2026-11-20", FindingKind::Changed, Some(PUBLISHED_AT)), &FULL, at(PUBLISHED_AT));
        let text = serde_json::to_string(&record).unwrap();
        assert_eq!(VerificationRecord::parse(Some(text.as_bytes())).unwrap(), record);
        assert_eq!(VerificationRecord::parse(None).unwrap(), VerificationRecord::default());
        let (cut, newer) = (&text[..text.len() - 5], text.replace("\"1.0\"", "\"2.0\""));
        for other in [cut, &newer, &text.replace(FORMAT_NAME, "x"), ""] {
            let error = VerificationRecord::parse(Some(other.as_bytes())).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ManifestDamaged);
        }
    }
}
