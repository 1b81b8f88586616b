//! A run in numbers, in the text format of Prometheus, for its node exporter's textfile collector.

use std::fmt::Write as _;

use e3sync::plan::Action;
use e3sync::status::RunGroup;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::Summary;
use crate::cli::run::freshness::{Freshness, OfMirror};

/// The numbers as text; without those about the mirror where it could not be looked at.
pub fn text(summary: &Summary<'_>, known: &OfMirror, ended_at: Timestamp) -> String {
    let mut output = MetricsText(String::new());
    output.number("e3sync_run_ended_timestamp_seconds", "When the last run ended.", ended_at.as_second());
    output.number("e3sync_run_seconds", "How long the last run took.", summary.elapsed.as_secs_f64());
    output.number("e3sync_run_exit_code", "What the last run ended with.", summary.exit_code() as u8);
    if let Some(freshness) = &known.freshness {
        output.freshness(freshness);
    }
    if let Some(group) = &known.group {
        output.group(group);
    }
    output.family("e3sync_run_partitions", "Partitions of the last run by what became of them.", partitions(summary));
    output.number(
        "e3sync_run_objects_transferred",
        "Objects that came over the network.",
        summary.objects_transferred(),
    );
    output.number("e3sync_run_objects_failed", "Objects that could not be transferred.", summary.objects_failed());
    output.number("e3sync_run_bytes_transferred", "Bytes of the objects that came.", summary.bytes_transferred());
    let counters = summary.counters;
    let requests = [
        ("exchange", counters.exchange_requests.get()),
        ("list", counters.list_requests.get()),
        ("get", counters.get_requests.get()),
        ("put", counters.put_requests.get()),
        ("destination", counters.destination_requests.get()),
    ];
    let requests = requests.map(|(kind, count)| ([("kind", kind.to_owned())], count.cast_signed()));
    output.family("e3sync_run_requests", "Requests of the last run.", requests.into_iter());
    output.number("e3sync_run_retries", "Repeated requests.", counters.retries.get());
    output.number("e3sync_run_credentials_renewed", "How often the credentials were renewed.", counters.renewals.get());
    let verified = summary.verified.iter().map(|(name, count)| ([("against", name.clone())], count.cast_signed()));
    output.family("e3sync_run_objects_verified", "Objects by what they were verified against.", verified);
    output.0
}

fn partitions(summary: &Summary<'_>) -> impl Iterator<Item = ([(&'static str, String); 1], i64)> {
    let outcomes = [
        ("published", summary.published()),
        ("published_by_others", summary.published_by_others()),
        ("unchanged", summary.unchanged()),
        ("waiting", summary.with_action(Action::Wait)),
        ("held", summary.held_count()),
        ("expired", summary.with_action(Action::Expired)),
        ("missing", summary.with_action(Action::Missing)),
        ("empty", summary.with_action(Action::Empty)),
        ("failed", summary.failed()),
    ];
    outcomes.into_iter().map(|(outcome, count)| ([("outcome", outcome.to_owned())], count.cast_signed()))
}

struct MetricsText(String);

impl MetricsText {
    fn head(&mut self, name: &str, help: &str) {
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} gauge");
    }

    fn freshness(&mut self, freshness: &Freshness) {
        let newest = freshness.published.iter().filter_map(|(name, days)| Some((name, *days.last()?)));
        self.family(
            "e3sync_newest_published_day_timestamp_seconds",
            "The beginning (UTC) of the newest day that is published, whole or not.",
            newest.filter_map(|(name, date)| Some(([("type", name.to_string())], beginning(date)?))),
        );
        let newest = freshness.newest_complete.iter();
        self.family(
            "e3sync_newest_complete_day_timestamp_seconds",
            "The beginning (UTC) of the newest day that is published whole and was complete at the source.",
            newest.filter_map(|(name, date)| Some(([("type", name.to_string())], beginning(*date)?))),
        );
        let published = freshness.published.iter();
        let counts = published.map(|(name, days)| ([("type", name.to_string())], days.len() as i64));
        self.family("e3sync_published_days", "Days that are published.", counts);
    }

    fn group(&mut self, group: &RunGroup) {
        let total = &group.total;
        self.number("e3sync_group_runs", "Runs of the last run's group.", group.workers.len());
        self.number("e3sync_group_seconds", "From the first beginning to the last end.", total.seconds);
        self.number("e3sync_group_exit_code", "What the group ended with: 0 if one of its runs did.", total.exit_code);
        self.number("e3sync_group_partitions_published", "Partitions that they published.", total.partitions.published);
        self.number("e3sync_group_objects_transferred", "Objects that came.", total.objects.transferred);
        self.number("e3sync_group_bytes_transferred", "Their bytes.", total.bytes.transferred);
        self.number("e3sync_group_exchange_requests", "Exchanges of credentials.", total.requests.exchange);
        self.number("e3sync_group_retries", "Repeated requests.", total.requests.retries);
    }

    fn number(&mut self, name: &str, help: &str, value: impl std::fmt::Display) {
        self.head(name, help);
        let _ = writeln!(self.0, "{name} {value}");
    }

    fn family(&mut self, name: &str, help: &str, values: impl Iterator<Item = ([(&'static str, String); 1], i64)>) {
        self.head(name, help);
        for ([(label, label_value)], value) in values {
            let _ = writeln!(self.0, "{name}{{{label}=\"{}\"}} {value}", escaped(&label_value));
        }
    }
}

/// When a day begins, in seconds since 1970.
fn beginning(date: Date) -> Option<i64> {
    Some(date.to_zoned(TimeZone::UTC).ok()?.timestamp().as_second())
}

/// A label's value, escaped by the rules of the text format.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
