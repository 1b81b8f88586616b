//! The summary at the end of a run, as text and as JSON.

use std::collections::BTreeMap;
use std::time::Duration;

use e3sync::error::{ErrorKind, ExitCode};
use e3sync::export::Partition;
use e3sync::plan::Action;
use e3sync::progress::Counters;
use e3sync::source::AbsentCloud;
use e3sync::sync;
use e3sync::transfer::{PartitionOutcome, RunOutcome};
use serde_json::{Value, json};

use super::json::{error_fields, names_of, strays_fields};
use super::unmirrored;
use crate::cli::units::{Bytes, Count, Counted, Elapsed};

/// Maximum number of partitions waiting for the source that are named.
const NAMES_SHOWN_MAX: usize = 4;

/// A run in numbers.
pub struct Summary<'a> {
    pub outcome: &'a RunOutcome,
    pub counters: &'a Counters,
    /// How many objects were verified against what.
    pub verified: BTreeMap<String, u64>,
    pub elapsed: Duration,
    /// `None` where the run ended before it was known.
    pub account_id: Option<&'a str>,
    /// Where the export lies, cloud by cloud.
    pub sources: &'a [String],
}

impl Summary<'_> {
    fn count(&self, is_counted: impl Fn(&PartitionOutcome) -> bool) -> u64 {
        self.outcome.partitions.iter().filter(|partition| is_counted(partition)).count() as u64
    }

    fn sum(&self, number: impl Fn(&PartitionOutcome) -> u64) -> u64 {
        self.outcome.partitions.iter().map(number).sum()
    }

    /// Number of partitions with this outcome.
    pub fn with_action(&self, action: Action) -> u64 {
        self.count(|partition| partition.action == action && partition.error.is_none())
    }

    /// Number of partitions that were up to date.
    pub fn unchanged(&self) -> u64 {
        self.with_action(Action::Keep) - self.published_by_others()
    }

    /// Number of partitions that other runs have published while this one ran.
    pub fn published_by_others(&self) -> u64 {
        self.count(|partition| partition.is_by_another)
    }

    /// Number of partitions published.
    pub fn published(&self) -> u64 {
        self.count(|partition| partition.published.is_some())
    }

    /// Number of partitions that failed.
    pub fn failed(&self) -> u64 {
        self.count(|partition| partition.error.is_some())
    }

    /// Number of partitions that wait for a person.
    pub fn held_count(&self) -> u64 {
        self.count(is_held)
    }

    /// The objects that came over the network.
    pub fn objects_transferred(&self) -> u64 {
        self.sum(|partition| partition.objects_transferred)
    }

    /// Their bytes.
    pub fn bytes_transferred(&self) -> u64 {
        self.sum(|partition| partition.bytes_transferred)
    }

    /// The objects that could not be transferred.
    pub fn objects_failed(&self) -> u64 {
        self.sum(|partition| partition.objects_failed)
    }

    /// Objects of the published sets that were here already.
    fn objects_unchanged(&self) -> u64 {
        self.sum(|partition| match &partition.published {
            Some(header) => header.objects.saturating_sub(partition.objects_transferred),
            None => 0,
        })
    }

    /// The summary for people, a few lines.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = vec![self.headline()];
        lines.extend(self.by_others());
        lines.extend(self.waiting());
        lines.extend(self.held());
        lines.extend(self.empty());
        lines.extend(self.missing());
        lines.extend(self.kept());
        lines.extend(self.unmirrored());
        lines.extend(self.outcome.destination_habits.iter().map(ToString::to_string));

        if let Some(error) = &self.outcome.stopped_by {
            lines.push(format!("the run ended early: {error}"));
        }
        lines
    }

    fn headline(&self) -> String {
        let to_do = self.count(|partition| partition.action.is_change() || partition.error.is_some());
        let transferred = self.objects_transferred();
        if to_do == 0 && transferred == 0 {
            let kept = self.with_action(Action::Keep) + self.with_action(Action::Expired);
            let empty = self.with_action(Action::Empty);
            if kept == 0 && empty > 0 {
                let elapsed = Elapsed(self.elapsed);
                return format!(
                    "nothing to transfer: no object of the selected days matches the experiments and events · {elapsed}"
                );
            }
            if kept == 0 && self.with_action(Action::Missing) > 0 {
                let source = if self.is_partial_view() { "a cloud that takes part" } else { "the source" };
                return format!("neither {source} nor the destination has anything of the selected days");
            }
            let kept = Counted(kept - self.published_by_others(), "partition is", "partitions are");
            return format!("nothing to transfer: {kept} up to date · {}", Elapsed(self.elapsed));
        }
        format!(
            "{} of {} published · {} copied, {} unchanged, {} failed · {} in {}{}",
            Count(self.published()),
            Counted(to_do, "partition", "partitions"),
            Count(transferred),
            Count(self.objects_unchanged()),
            Count(self.objects_failed()),
            Bytes(self.bytes_transferred()),
            Elapsed(self.elapsed),
            self.verification(transferred),
        )
    }

    /// What runs that share the days have done in the meantime.
    fn by_others(&self) -> Option<String> {
        let count = self.published_by_others();
        let partitions = Counted(count, "partition was", "partitions were");
        (count > 0).then(|| format!("{partitions} published by other runs in the meantime"))
    }

    fn verification(&self, transferred: u64) -> String {
        if transferred == 0 {
            return String::new();
        }
        let counts: Vec<String> = self
            .verified
            .iter()
            .map(|(name, count)| format!("{} {}", if name == "size" { "size only" } else { name }, Count(*count)))
            .collect();
        format!(" · every byte hashed, verified ({})", counts.join(", "))
    }

    fn waiting(&self) -> Option<String> {
        let (count, names) = self.names_with(Action::Wait)?;
        Some(match count {
            1 => format!("{names} is not complete at the source yet (no _SUCCESS); the next run will take it"),
            count => format!(
                "{count} partitions are not complete at the source yet (no _SUCCESS): {names}; the next run will take them"
            ),
        })
    }

    /// Days without anything of the experiments and events that were asked for, where no day has any: then it
    /// is most likely a typing error.
    fn empty(&self) -> Option<String> {
        if self.published() + self.with_action(Action::Keep) + self.with_action(Action::Expired) > 0 {
            return None;
        }
        let (count, names) = self.names_with(Action::Empty)?;
        let partitions = Counted(count as u64, "partition has", "partitions have");
        Some(format!(
            "{partitions} no object of the selected experiments and events: {names}; \
             `e3sync ls --paths` shows what there is, and names are compared with upper and lower case"
        ))
    }

    /// Selected days that neither the source nor the destination has.
    fn missing(&self) -> Option<String> {
        let (count, names) = self.names_with(Action::Missing)?;
        let partitions = Counted(count as u64, "partition has", "partitions have");
        let nothing = match self.is_partial_view() {
            true => "no object in the clouds that take part, nor here",
            false => "no object at the source, nor here",
        };
        Some(format!("{partitions} {nothing}: {names}"))
    }

    /// Whether a cloud takes no part that may have days.
    fn is_partial_view(&self) -> bool {
        self.outcome.absent.iter().any(|cloud| !cloud.is_without_export)
    }

    /// Objects that only this mirror still has.
    fn kept(&self) -> Option<String> {
        let objects = self.sum(|partition| partition.objects_gone);
        let days = self.count(|partition| partition.objects_gone > 0);
        let objects = Counted(objects, "object", "objects");
        let days = Counted(days, "partition", "partitions");
        (self.sum(|partition| partition.objects_gone) > 0)
            .then(|| format!("{objects} of {days} are gone at the source and kept here"))
    }

    /// The number of partitions with an action, and the names of the first few; `None` for none.
    fn names_with(&self, action: Action) -> Option<(usize, String)> {
        let is_one = |partition: &&PartitionOutcome| partition.action == action && partition.error.is_none();
        let partitions = self.outcome.partitions.iter().filter(is_one).map(|partition| &partition.partition);
        let all: Vec<String> =
            partitions.map(|partition| format!("{} {}", partition.type_name, partition.date)).collect();
        let shown = all.get(..NAMES_SHOWN_MAX).unwrap_or(&all).join(", ");
        match all.len() {
            0 => None,
            count if count > NAMES_SHOWN_MAX => Some((count, format!("{shown} and {} more", count - NAMES_SHOWN_MAX))),
            count => Some((count, shown)),
        }
    }

    fn held(&self) -> Vec<String> {
        let held = self.outcome.partitions.iter().filter(|partition| is_held(partition));
        held.map(|partition| format!("held back: {} (accept it with --accept-shrink)", partition.partition)).collect()
    }

    /// What waits for a person, whoever else is to be spared.
    pub fn for_a_person(&self) -> Vec<String> {
        let mut lines = self.held();
        lines.extend(self.unmirrored());
        lines.extend(self.outcome.destination_habits.iter().map(ToString::to_string));
        lines
    }

    fn unmirrored(&self) -> Vec<String> {
        unmirrored::lines(&self.outcome.strays, &self.outcome.vanished)
    }

    /// The summary for machines: in `--json` the last document but for an error's, and in `--report`.
    pub fn json(&self, code: ExitCode) -> Value {
        let error = self.outcome.stopped_by.as_ref().map(error_fields);
        json!({
            "schema": 1, "event": "summary", "account_id": self.account_id, "sources": self.sources,
            "tool_version": env!("CARGO_PKG_VERSION"), "exit_code": code as u8, "seconds": self.elapsed.as_secs_f64(),
            "partitions": {
                "published": self.published(), "published_by_others": self.published_by_others(),
                "unchanged": self.unchanged(),
                "waiting": self.with_action(Action::Wait), "held": self.held_count(),
                "expired": self.with_action(Action::Expired), "missing": self.with_action(Action::Missing),
                "empty": self.with_action(Action::Empty), "failed": self.failed(),
            },
            "objects": {
                "transferred": self.objects_transferred(),
                "unchanged": self.objects_unchanged(), "failed": self.objects_failed(),
            },
            "bytes": {
                "transferred": self.bytes_transferred(), "received": self.counters.bytes_received.get(),
            },
            "requests": {
                "exchange": self.counters.exchange_requests.get(), "list": self.counters.list_requests.get(),
                "get": self.counters.get_requests.get(), "put": self.counters.put_requests.get(),
                "destination": self.counters.destination_requests.get(), "retries": self.counters.retries.get(),
            },
            "destination_habits": self.outcome.destination_habits,
            "absent_clouds": absent_clouds(&self.outcome.absent),
            "strays": strays_fields(&self.outcome.strays), "vanished_types": names_of(&self.outcome.vanished.types),
            "credentials_renewed": self.counters.renewals.get(), "verified_against": self.verified, "stopped_by": error,
        })
    }

    /// The summary with every partition, for `--report`. Those that were only kept are ranges: a run over
    /// years of unchanged days leaves a small report.
    pub fn report(&self, code: ExitCode) -> Value {
        let mut report = self.json(code);
        let (kept, others): (Vec<_>, Vec<_>) = self.outcome.partitions.iter().partition(|day| is_kept(day));
        report["event"] = "report".into();
        report["days"] = others.into_iter().map(partition_fields).collect();
        report["kept"] = kept_ranges(&kept);
        report
    }

    /// The exit code that the run deserves.
    pub fn exit_code(&self) -> ExitCode {
        sync::exit_code(self.outcome)
    }
}

/// The clouds that take no part, by the names of `--source`.
fn absent_clouds(absent: &[AbsentCloud]) -> Value {
    let fields = |cloud: &AbsentCloud| {
        json!({
            "cloud": if cloud.scheme == "gs" { "gcs" } else { cloud.scheme },
            "without_export": cloud.is_without_export, "error": error_fields(&cloud.error),
        })
    };
    absent.iter().map(fields).collect()
}

/// Whether the rewritten day is so much smaller that it waits for a person, by its listing or by
/// the rows that it turned out to have.
fn is_held(partition: &PartitionOutcome) -> bool {
    let is_shrunk = partition.error.as_ref().is_some_and(|error| error.kind() == ErrorKind::Shrunk);
    partition.action == Action::Hold || is_shrunk
}

/// Whether nothing happened to a partition and nothing is to be said of it.
fn is_kept(partition: &PartitionOutcome) -> bool {
    partition.action == Action::Keep && partition.error.is_none() && partition.published.is_none()
}

/// The days that were listed and found unchanged, as ranges of consecutive days for each type.
fn kept_ranges(kept: &[&PartitionOutcome]) -> Value {
    let listed = kept.iter().filter(|outcome| outcome.objects > 0).map(|outcome| &outcome.partition);
    let mut listed: Vec<&Partition> = listed.collect();
    listed.sort();
    let follows = |one: &&Partition, next: &&Partition| {
        one.type_name == next.type_name && one.date.tomorrow().is_ok_and(|tomorrow| tomorrow == next.date)
    };
    let ranges = listed.chunk_by(follows).filter_map(|range| Some((range.first()?, range.last()?)));
    let fields = |(first, last): (&&Partition, &&Partition)| {
        json!({
            "type": first.type_name.as_str(), "from": first.date.to_string(), "to": last.date.to_string(),
        })
    };
    ranges.map(fields).collect()
}

fn partition_fields(partition: &PartitionOutcome) -> Value {
    json!({
        "type": partition.partition.type_name.as_str(), "date": partition.partition.date.to_string(),
        "action": partition.action.name(), "reason": partition.reason, "published": partition.published.is_some(),
        "objects": partition.objects, "bytes": partition.bytes, "objects_gone_at_source": partition.objects_gone,
        "objects_transferred": partition.objects_transferred, "bytes_transferred": partition.bytes_transferred,
        "objects_failed": partition.objects_failed, "error": partition.error.as_ref().map(error_fields),
    })
}
