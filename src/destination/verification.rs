//! What verifications leave at a destination: which days they found to differ from their manifests.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

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
    /// The days that differ from their manifests, in ascending order of types and days. A day has
    /// several entries where looks of different closeness or extent found something.
    damaged: Vec<DamagedDay>,
}

impl Default for VerificationRecord {
    fn default() -> Self {
        Self { format: FORMAT_NAME.to_owned(), version: FORMAT_VERSION.to_owned(), last: None, damaged: Vec::new() }
    }
}

/// What a verification compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Names, sizes and ETags only.
    Quick,
    /// Every byte, by its SHA-256.
    Full,
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

/// How closely a verification looked, and at how much of each day.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Look {
    /// What was compared.
    pub mode: Mode,
    /// How much of the day was looked at.
    pub selection: Scope,
}

impl Look {
    /// Whether it sees whatever `other` sees.
    fn sees_all_of(&self, other: &Self) -> bool {
        self.mode >= other.mode && (self.selection == Scope::All || self.selection == other.selection)
    }
}

/// How far the last verification went.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LastVerification {
    /// When it ended.
    pub verified_at: Timestamp,
    /// How closely it looked.
    #[serde(flatten)]
    pub look: Look,
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
    #[serde(rename = "type")]
    type_name: String,
    date: Date,
    /// When the set was published that differs; `None` where its manifest could not be read or there
    /// was none.
    published_at: Option<Timestamp>,
    found_at: Timestamp,
    #[serde(flatten)]
    look: Look,
    /// How many differences there are of each kind, by the kinds' names.
    differences: BTreeMap<String, u64>,
}

impl DamagedDay {
    /// A day of which a look at `found_at` found these numbers of differences of each kind in the set that was
    /// published at `published_at`, if there was one with a manifest that could be read.
    pub fn new(
        partition: &Partition,
        published_at: Option<Timestamp>,
        found_at: Timestamp,
        look: Look,
        differences: BTreeMap<String, u64>,
    ) -> Self {
        let (type_name, date) = (partition.type_name.as_str().to_owned(), partition.date);
        Self { type_name, date, published_at, found_at, look, differences }
    }

    fn place(&self) -> (&str, Date) {
        (&self.type_name, self.date)
    }

    /// The day; `None` for a type that nothing can have.
    pub fn partition(&self) -> Option<Partition> {
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

    /// Why the day is damaged, in words.
    pub fn reason(&self) -> String {
        let kinds = self.differences.iter().map(|(kind, count)| format!("{count} {}", kind.replace('_', " ")));
        let kinds = kinds.collect::<Vec<_>>().join(", ");
        format!("verify found on {}: {kinds}", self.found_at.strftime("%Y-%m-%d"))
    }
}

fn place_of(partition: &Partition) -> (&str, Date) {
    (partition.type_name.as_str(), partition.date)
}

impl VerificationRecord {
    /// Reads the record of a destination; without one, nothing is known.
    ///
    /// # Errors
    /// [`ErrorKind::ManifestDamaged`] for one that is cut, altered or of another version.
    pub fn parse(bytes: Option<&[u8]>) -> Result<Self> {
        let Some(bytes) = bytes else { return Ok(Self::default()) };
        let told = |what: &str| {
            Error::new(ErrorKind::ManifestDamaged, format!("what was verified before is {what}"))
                .with_hint("remove _e3sync/verification.json at the destination, and verify again")
        };
        let mut record: Self = serde_json::from_slice(bytes).map_err(|cause| told("unreadable").with_cause(cause))?;
        if record.format != FORMAT_NAME || record.version.split('.').next() != Some(MAJOR_VERSION) {
            return Err(told("noted by another version of e3sync"));
        }
        record.sort();
        Ok(record)
    }

    /// The document to keep, ended by a newline.
    pub fn to_bytes(&self) -> Vec<u8> {
        format!("{:#}\n", serde_json::to_value(self).unwrap_or_default()).into_bytes()
    }

    fn sort(&mut self) {
        self.damaged.sort_by(|one, other| one.place().cmp(&other.place()));
    }

    /// The entries, in ascending order of types and days.
    pub fn damaged(&self) -> &[DamagedDay] {
        &self.damaged
    }

    /// What is wrong with a day whose set was published at `published_at`; an entry about a set that
    /// was replaced since says nothing.
    pub fn damage_of(&self, partition: &Partition, published_at: Option<Timestamp>) -> Option<&DamagedDay> {
        let place = place_of(partition);
        let begin = self.damaged.partition_point(|day| day.place() < place);
        let of_day = self.damaged[begin..].iter().take_while(|day| day.place() == place);
        of_day.filter(|day| day.is_about(published_at)).max_by_key(|day| day.look.mode)
    }

    /// Takes in what one look at many days found: `is_looked_at` says of which days, `found` are the
    /// ones that differ.
    pub fn take(&mut self, look: &Look, is_looked_at: impl Fn(&Partition) -> bool, found: Vec<DamagedDay>) {
        self.damaged.retain(|day| {
            let is_seen_again = look.sees_all_of(&day.look);
            !is_seen_again || !day.partition().is_none_or(|partition| is_looked_at(&partition))
        });
        let closer: Vec<_> = found.into_iter().filter(|day| !self.has_closer_than(day)).collect();
        self.damaged.extend(closer);
        self.sort();
    }

    /// Whether the same set was found to differ by a look that would have seen all of this as well.
    fn has_closer_than(&self, found: &DamagedDay) -> bool {
        let begin = self.damaged.partition_point(|day| day.place() < found.place());
        let of_day = self.damaged[begin..].iter().take_while(|day| day.place() == found.place());
        of_day.filter(|day| day.is_about(found.published_at)).any(|day| day.look.sees_all_of(&found.look))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PUBLISHED_AT: &str = "2026-11-20T06:00:00Z";
    const FOUND_AT: &str = "2026-11-21T00:00:00Z";
    const FULL: Look = Look { mode: Mode::Full, selection: Scope::All };
    const QUICK: Look = Look { mode: Mode::Quick, selection: Scope::All };

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn partition(day: &str) -> Partition {
        Partition { type_name: TypeName::parse("events").unwrap(), date: day.parse().unwrap() }
    }

    fn part(experiment: &str) -> Look {
        let selection = serde_json::from_value(serde_json::json!({ "any_of": [{ "experiments": [experiment] }] }));
        Look { mode: Mode::Full, selection: selection.unwrap() }
    }

    fn take_damage(record: &mut VerificationRecord, look: &Look, day: &str, published_at: Option<&str>) {
        let differences = [("changed".to_owned(), 1)].into();
        let day = DamagedDay::new(&partition(day), published_at.map(at), at(FOUND_AT), look.clone(), differences);
        let looked_at = day.partition();
        record.take(look, |partition| Some(partition) == looked_at.as_ref(), vec![day]);
    }

    fn take_sound(record: &mut VerificationRecord, look: &Look, day: &str) {
        record.take(look, |looked_at| *looked_at == partition(day), Vec::new());
    }

    fn is_damaged(record: &VerificationRecord, day: &str) -> bool {
        record.damage_of(&partition(day), Some(at(PUBLISHED_AT))).is_some()
    }

    #[test]
    fn a_day_is_damaged_until_a_look_as_close_finds_it_in_order() {
        let mut record = VerificationRecord::default();
        take_damage(&mut record, &FULL, "2026-11-20", Some(PUBLISHED_AT));
        take_damage(&mut record, &QUICK, "2026-11-19", Some(PUBLISHED_AT));
        for day in ["2026-11-18", "2026-11-19", "2026-11-20"] {
            take_sound(&mut record, &QUICK, day);
        }
        assert!(!is_damaged(&record, "2026-11-19"));
        assert!(is_damaged(&record, "2026-11-20"), "a quick look reads nothing");
        take_sound(&mut record, &part("12"), "2026-11-20");
        assert!(is_damaged(&record, "2026-11-20"), "a part is not the whole");
        take_damage(&mut record, &QUICK, "2026-11-20", Some(PUBLISHED_AT));
        assert_eq!(record.damaged().len(), 1, "the closer look would have seen that too: {record:?}");
        take_sound(&mut record, &FULL, "2026-11-20");
        assert_eq!(record, VerificationRecord::default());
    }

    #[test]
    fn looks_at_different_parts_do_not_take_each_other_back() {
        let mut record = VerificationRecord::default();
        take_damage(&mut record, &QUICK, "2026-11-20", Some(PUBLISHED_AT));
        take_damage(&mut record, &part("12"), "2026-11-20", Some(PUBLISHED_AT));
        take_damage(&mut record, &part("123"), "2026-11-20", Some(PUBLISHED_AT));
        assert_eq!(record.damaged().len(), 3);
        take_sound(&mut record, &QUICK, "2026-11-20");
        take_sound(&mut record, &part("12"), "2026-11-20");
        assert!(is_damaged(&record, "2026-11-20"), "{record:?}");
        take_sound(&mut record, &part("123"), "2026-11-20");
        assert!(!is_damaged(&record, "2026-11-20"));
    }

    #[test]
    fn an_entry_is_about_the_set_that_was_looked_at() {
        let mut record = VerificationRecord::default();
        take_damage(&mut record, &FULL, "2026-11-20", Some(PUBLISHED_AT));
        take_damage(&mut record, &FULL, "2026-11-19", None);
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
        take_damage(&mut record, &part("12"), "2026-11-20", Some(PUBLISHED_AT));
        let bytes = record.to_bytes();
        assert_eq!(VerificationRecord::parse(Some(&bytes)).unwrap(), record);
        assert_eq!(VerificationRecord::parse(None).unwrap(), VerificationRecord::default());
        let text = String::from_utf8(bytes).unwrap();
        let (cut, newer) = (&text[..text.len() - 5], text.replace("\"1.0\"", "\"2.0\""));
        for other in [cut, &newer, &text.replace(FORMAT_NAME, "x"), ""] {
            let error = VerificationRecord::parse(Some(other.as_bytes())).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ManifestDamaged);
        }
    }
}
