//! Progress where no bars can be drawn: a line for each event that matters.

use e3sync::error::ErrorKind;
use e3sync::progress::{Counters, Event, Observer};

use crate::cli::network;
use crate::cli::output::{self, Level};
use crate::cli::units::{Bytes, Count, Counted, Elapsed};

/// Messages for logs and pipes: one line each, no redrawing.
pub struct Lines {
    is_quiet: bool,
    is_verbose: bool,
}

impl Lines {
    pub fn new(is_quiet: bool, is_verbose: bool) -> Self {
        Self { is_quiet, is_verbose }
    }
}

impl Observer for Lines {
    fn observe(&self, event: &Event<'_>) {
        if let Some(text) = text_of(event, self.is_verbose)
            && (!self.is_quiet || is_error(event) || matches!(event, Event::Warning { .. }))
        {
            tell(event, &text);
        }
    }
}

/// Prints an event's text; a program that reads JSON gets the level and the hint apart.
fn tell(event: &Event<'_>, text: &str) {
    if !output::logs_json() {
        return output::message(text);
    }
    let (text, hint) = match text.split_once("\n  hint: ") {
        Some((text, hint)) => (text, Some(hint)),
        None => (text, None),
    };
    let level = match event {
        _ if is_error(event) => Level::Error,
        Event::Warning { .. } | Event::Notice { .. } | Event::CredentialsWaiting { .. } => Level::Warning,
        _ => Level::Info,
    };
    output::log(level, text.trim_start_matches("warning: ").trim_start_matches("note: "), hint);
}

fn is_error(event: &Event<'_>) -> bool {
    matches!(event, Event::ObjectFailed { .. } | Event::PartitionFailed { .. })
}

/// What a person is told about an event; `None` where silence is better.
pub fn text_of(event: &Event<'_>, is_verbose: bool) -> Option<String> {
    Some(match event {
        Event::RunStarted { account_id, sources, credentials_remaining } => {
            let valid = credentials_remaining
                .map_or_else(String::new, |left| format!(" · credentials valid {}", Elapsed(left)));
            format!("account {account_id} · {}{valid}", clouds(sources))
        }
        Event::PartitionsSelected { partitions, days, .. } => match days {
            Some(days) => {
                let partitions = Counted(*partitions, "partition", "partitions");
                format!("{partitions} · {} .. {} UTC", days.from, days.to)
            }
            None => "no partitions are selected".to_owned(),
        },
        Event::PartitionPublished { partition, objects, bytes, .. } if is_verbose => {
            format!("published {partition} · {} · {}", Counted(*objects, "object", "objects"), Bytes(*bytes))
        }
        Event::PartitionPlanned { partition, action, reason, .. } if is_verbose => {
            format!("{} {partition}: {reason}", action.name())
        }
        Event::ObjectFailed { partition, key, error } => {
            format!("failed {partition}/{}: {error}", e3sync::export::printable(key))
        }
        // What ends the run is told at its end, once for all partitions that it kept from being published.
        Event::PartitionFailed { error, .. } if is_the_runs_own(error.kind()) && !is_verbose => return None,
        Event::PartitionFailed { partition, error } => {
            let hint = network::hint_of(error).map_or_else(String::new, |hint| format!("\n  hint: {hint}"));
            let (partition, error) = (partition.to_string(), error.to_string());
            let subject = if error.starts_with(&partition) { String::new() } else { format!(" {partition}") };
            format!("not published{subject}: {error}{hint}")
        }
        Event::CredentialsRenewed { remaining } if is_verbose => {
            format!(
                "credentials renewed{}",
                remaining.map_or_else(String::new, |left| format!(", valid {}", Elapsed(left)))
            )
        }
        Event::CredentialsWaiting { error, pause } => {
            format!("cannot get credentials: {error}; trying again in {}", Elapsed(*pause))
        }
        Event::Retrying { error, pause } if is_verbose => format!("again in {}: {error}", Elapsed(*pause)),
        Event::Warning { message } => format!("warning: {message}"),
        Event::Notice { message } => format!("note: {message}"),
        _ => return None,
    })
}

/// The clouds by their short names, as `--source` has them: `s3`, `gcs + s3`.
fn clouds(sources: &[String]) -> String {
    let names = sources.iter().map(|source| match source.split("://").next().unwrap_or_default() {
        "gs" => "gcs",
        scheme => scheme,
    });
    names.collect::<Vec<_>>().join(" + ")
}

/// One line about how far a run is.
pub fn print_progress(counters: &Counters) {
    output::message(format_args!(
        "{}/{} · {}/{} · {} in flight · {} · credentials renewed {}",
        Count(counters.objects_done.get()),
        Counted(counters.objects_planned.get(), "object", "objects"),
        Bytes(counters.bytes_done.get()),
        Bytes(counters.bytes_planned.get()),
        counters.in_flight.get(),
        Counted(counters.retries.get(), "retry", "retries"),
        Counted(counters.renewals.get(), "time", "times"),
    ));
}
/// Whether a failure of this kind always ends the run, which then tells it.
fn is_the_runs_own(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::LeaseLost | ErrorKind::DeadlineReached | ErrorKind::Interrupted | ErrorKind::Terminated)
}
