//! What earlier runs left about themselves, as far as `status` uses it.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use jiff::Timestamp;
use jiff::civil::Date;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::export::{Days, TypeName};

/// What a run left about itself in the destination: its report, as far as `status` uses it.
#[derive(Clone, Debug, Deserialize)]
pub struct Run {
    /// Its id.
    #[serde(rename = "run")]
    pub id: String,
    /// The name under which it and others are added up.
    #[serde(default)]
    pub group: Option<String>,
    /// Which process on which machine it was.
    #[serde(default)]
    pub worker: Option<String>,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    pub ended_at: Timestamp,
    /// What it ended with.
    pub exit_code: u8,
    /// How long it took.
    #[serde(default)]
    pub seconds: f64,
    /// What was asked for.
    #[serde(default)]
    pub asked: Asked,
    /// What became of the partitions.
    #[serde(default)]
    pub partitions: RunPartitions,
    /// What became of the objects.
    #[serde(default)]
    pub objects: RunObjects,
    /// How much came.
    #[serde(default)]
    pub bytes: RunBytes,
    /// What was requested.
    #[serde(default)]
    pub requests: RunRequests,
    /// How often the credentials were renewed.
    #[serde(default)]
    pub credentials_renewed: u64,
    /// What stopped it early.
    #[serde(default)]
    pub stopped_by: Option<RunError>,
    /// The partitions that it looked at, but for those of `kept`.
    #[serde(default)]
    pub days: Vec<RunDay>,
    /// The days that it listed and found unchanged.
    #[serde(default)]
    pub kept: Vec<RunRange>,
}

/// Consecutive days of a type.
#[derive(Clone, Debug, Deserialize)]
pub struct RunRange {
    /// The type.
    #[serde(rename = "type")]
    pub type_name: String,
    /// The first day.
    pub from: Date,
    /// The last day.
    pub to: Date,
}

/// What a run was asked for, in the words of its report.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Asked {
    /// The destination's plain address.
    pub destination: String,
    /// The types; none for the documented ones.
    pub types: Vec<String>,
    /// A word, a list of days, or `from` and `to`.
    pub days: Value,
    /// `all`, or the part of the days that was wanted.
    pub selection: Value,
    /// What else decisions rested on, as it stands in the report.
    #[serde(flatten)]
    pub others: Map<String, Value>,
}

/// What became of a run's partitions.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub struct RunPartitions {
    /// Published by this run.
    pub published: u64,
    /// Published by other runs meanwhile.
    pub published_by_others: u64,
    /// Up to date.
    pub unchanged: u64,
    /// Not complete at the source.
    pub waiting: u64,
    /// Held back by the shrink guard.
    pub held: u64,
    /// Gone at the source, kept here.
    pub expired: u64,
    /// Neither there nor here.
    pub missing: u64,
    /// Complete at the source, without anything of what was selected.
    pub empty: u64,
    /// Not published because of an error.
    pub failed: u64,
}

/// What became of a run's objects.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub struct RunObjects {
    /// Came over the network and were verified.
    pub transferred: u64,
    /// Could not be transferred.
    pub failed: u64,
}

/// How much came in a run.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub struct RunBytes {
    /// The bytes of the objects that came.
    pub transferred: u64,
}

/// What a run requested.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub struct RunRequests {
    /// Repeated requests.
    pub retries: u64,
    /// To the Authentication API.
    pub exchange: u64,
}

/// An error in a report.
#[derive(Clone, Debug, Deserialize)]
pub struct RunError {
    /// Its stable name.
    #[serde(default)]
    pub kind: String,
    /// What failed, in words.
    pub message: String,
}

/// What a run said of one partition.
#[derive(Clone, Debug, Deserialize)]
pub struct RunDay {
    /// The partition's type.
    #[serde(rename = "type")]
    pub type_name: String,
    /// The partition's day.
    pub date: Date,
    /// What was to happen to it.
    pub action: String,
    /// Why.
    #[serde(default)]
    pub reason: String,
    /// Whether the run published it.
    #[serde(default)]
    pub published: bool,
    /// The objects of its listing; 0 where none was taken.
    #[serde(default)]
    pub objects: u64,
    /// Why it was not published.
    #[serde(default)]
    pub error: Option<RunError>,
}

impl RunDay {
    /// Why the day is as it is, in words; `None` where the run did not say.
    pub fn why(&self) -> Option<String> {
        let words = self.error.as_ref().map_or(&self.reason, |error| &error.message);
        (!words.is_empty()).then(|| words.clone())
    }

    /// Whether it tells anything about the source: a day that was not listed was not looked at.
    fn was_looked_at(&self) -> bool {
        self.action != "keep" || self.objects > 0
    }

    /// Whether the source had, or is to have, something for the destination.
    pub(super) fn is_wanted(&self) -> bool {
        matches!(self.action.as_str(), "create" | "replace" | "extend" | "complete" | "repair" | "wait" | "hold")
    }
}

/// What the last run that looked at a day said of it, and when that run began.
pub(super) type LastWords<'a> = BTreeMap<(TypeName, Date), (Timestamp, &'a RunDay)>;

/// The runs behind reports, the newest first, and how many reports are no report at all. They are
/// files that anybody may have cut or altered; one that cannot be read costs nothing but itself.
pub(super) fn parse(reports: &[Option<Vec<u8>>]) -> (Vec<Run>, usize) {
    let mut runs: Vec<Run> = reports.iter().flatten().filter_map(|bytes| serde_json::from_slice(bytes).ok()).collect();
    let unreadable = reports.len() - runs.len();
    runs.sort_by(|one, other| (other.started_at, &other.id).cmp(&(one.started_at, &one.id)));
    (runs, unreadable)
}

/// What the runs said last, day by day.
pub(super) fn last_words(runs: &[Run]) -> LastWords<'_> {
    let mut words = LastWords::new();
    for run in runs {
        for day in run.days.iter().filter(|day| day.was_looked_at()) {
            if let Ok(type_name) = TypeName::parse(&day.type_name) {
                words.entry((type_name, day.date)).or_insert((run.started_at, day));
            }
        }
        for range in &run.kept {
            let Ok(type_name) = TypeName::parse(&range.type_name) else { continue };
            // Nothing was to be said of these days, which takes back what earlier runs said.
            let days = Days { from: range.from, to: range.to }.iter().take(DAYS_IN_A_RANGE_MAX);
            for date in days {
                words.entry((type_name.clone(), date)).or_insert((run.started_at, &KEPT));
            }
        }
    }
    words
}

/// A range in a report that anybody may have altered is read up to this many days.
const DAYS_IN_A_RANGE_MAX: usize = 36_500;

/// What a run says of a day that it found unchanged.
static KEPT: LazyLock<RunDay> = LazyLock::new(|| RunDay {
    type_name: String::new(),
    date: Date::ZERO,
    action: "keep".to_owned(),
    reason: String::new(),
    published: false,
    objects: 0,
    error: None,
});

#[cfg(test)]
mod tests {
    use super::*;

    fn report(id: &str, days: &str) -> Vec<u8> {
        format!(
            r#"{{"event":"report","run":"{id}","started_at":"2026-11-{id}T10:00:00Z","ended_at":"2026-11-{id}T10:01:00Z",
            "exit_code":0,"seconds":60.0,"days":[{days}]}}"#
        )
        .into_bytes()
    }

    #[test]
    fn reports_that_are_none_are_counted_and_the_others_read() {
        let torn = report("19", "")[..40].to_vec();
        let strange = br#"{"run":7,"days":"none"}"#.to_vec();
        let deep = "[".repeat(100_000).into_bytes();
        let reports = [report("18", ""), torn, strange, deep, Vec::new(), vec![0xff; 9], report("20", "")].map(Some);
        let (runs, unreadable) = parse(&[reports.as_slice(), &[None]].concat());
        assert_eq!(unreadable, 6);
        assert_eq!(runs.iter().map(|run| run.id.as_str()).collect::<Vec<_>>(), ["20", "18"]);
    }

    #[test]
    fn the_last_run_that_looked_at_a_day_has_the_last_word() {
        let expired = r#"{"type":"events","date":"2026-01-01","action":"expired"}"#;
        let unlisted = r#"{"type":"events","date":"2026-01-01","action":"keep","objects":0}"#;
        let kept = report("20", "").iter().map(|byte| char::from(*byte)).collect::<String>();
        let kept =
            kept.replace("\"days\":[", r#""kept":[{"type":"events","from":"2025-12-30","to":"2026-01-02"}],"days":["#);
        let (runs, _) = parse(&[Some(report("18", expired)), Some(kept.into_bytes())]);
        assert_eq!(last_words(&runs).len(), 4);
        assert!(last_words(&runs).values().all(|(_, day)| day.action == "keep"), "taken back");
        let odd = r#"{"type":"../events","date":"2026-01-01","action":"hold"}"#;
        let (runs, _) = parse(&[report("18", expired), report("19", &format!("{unlisted},{odd}"))].map(Some));
        let words = last_words(&runs);
        assert_eq!(words.len(), 1);
        assert_eq!(words.values().next().unwrap().1.action, "expired");
    }
}
