//! What a verification looks like: differences are results and go to standard output, how far it is
//! goes to standard error.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use e3sync::destination::Mode;
use e3sync::error::ExitCode;
use e3sync::export::printable;
use e3sync::finding::VerifiedState;
use e3sync::progress::{Counters, Event, Observer};
use e3sync::verify::VerifyOutcome;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use super::json::{Json, error_fields};
use super::lines::text_of;
use super::{Ticker, output};
use crate::cli::args::OutputArgs;
use crate::cli::units::{Bytes, Count, Counted, Elapsed};

/// On a narrower terminal there is no room for a bar, and the line would wrap.
const BAR_COLUMNS_MIN: u16 = 60;

/// Everything that watches a verification.
pub struct ChecksDisplay {
    bar: Option<ProgressBar>,
    counters: Arc<Counters>,
    is_json: bool,
    is_quiet: bool,
    is_verbose: bool,
}

impl ChecksDisplay {
    /// The display that the arguments and the terminal call for.
    pub fn new(arguments: &OutputArgs, counters: &Arc<Counters>) -> Arc<Self> {
        let is_interactive = output::is_stderr_interactive() && !arguments.quiet && !arguments.json;
        Arc::new(Self {
            bar: is_interactive.then(|| ProgressBar::new(0).with_style(style())),
            counters: counters.clone(),
            is_json: arguments.json,
            is_quiet: arguments.quiet,
            is_verbose: arguments.verbose,
        })
    }

    /// Tells on a tick how far it is, until dropped.
    pub fn tick(self: &Arc<Self>) -> Ticker {
        let interval = match (&self.bar, self.is_quiet) {
            (Some(_), _) => Duration::from_millis(120),
            (None, false) => Duration::from_secs(30),
            (None, true) => return Ticker(None),
        };
        let display = self.clone();
        Ticker(Some(tokio::spawn(async move {
            let mut ticks = tokio::time::interval_at(tokio::time::Instant::now() + interval, interval);
            loop {
                ticks.tick().await;
                display.draw();
            }
        })))
    }

    fn draw(&self) {
        let counters = &self.counters;
        let (done, planned) = (counters.bytes_done.get(), counters.bytes_planned.get());
        let files = format!("{}/{} files", Count(counters.objects_done.get()), Count(counters.objects_planned.get()));
        let Some(bar) = &self.bar else {
            return output::message(format_args!("{files} · {}/{}", Bytes(done), Bytes(planned)));
        };
        bar.set_style(style());
        bar.set_length(planned);
        bar.set_position(done.min(planned));
        bar.set_message(format!("{files} · {}/s · {}", Bytes(bar.per_sec() as u64), Elapsed(bar.eta())));
    }

    /// Takes the bar off the screen.
    pub fn clear(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    fn without_bar(&self, print: impl FnOnce()) {
        match &self.bar {
            Some(bar) => bar.suspend(print),
            None => print(),
        }
    }
}

/// A bar's style on a terminal of the width that it has at this moment.
fn style() -> ProgressStyle {
    let columns = rustix::termios::tcgetwinsize(std::io::stderr()).map_or(80, |size| size.ws_col);
    let template =
        if columns >= BAR_COLUMNS_MIN { " verify {wide_bar} {percent:>3}% {msg}" } else { " verify {percent:>3}%" };
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("█▉▊▋▌▍▎▏░")
}

impl Observer for ChecksDisplay {
    fn observe(&self, event: &Event<'_>) {
        if self.is_json {
            Json.observe(event);
        } else if let Some(text) = result_of(event, self.is_verbose) {
            self.without_bar(|| {
                output::line(text);
            });
        }
        if let Some(text) = text_of(event, self.is_verbose).filter(|_| !self.is_quiet) {
            self.without_bar(|| output::message(text));
        }
    }
}

/// What a person asked for.
fn result_of(event: &Event<'_>, is_verbose: bool) -> Option<String> {
    Some(match event {
        Event::Difference { partition, kind, key, detail } => {
            let key = key.map_or_else(String::new, |key| format!("/{}", printable(key)));
            format!("{:<16} {partition}{key} · {}", kind.name().replace('_', " "), printable(detail))
        }
        Event::PartitionVerified { partition, state: VerifiedState::BeingReplaced, .. } => {
            format!("{:<16} {partition} · a run is replacing it or was killed while doing so", "not verified")
        }
        Event::PartitionVerified {
            partition,
            state: state @ (VerifiedState::Verified | VerifiedState::Resumed),
            objects,
            bytes,
            ..
        } if is_verbose => {
            let when = if *state == VerifiedState::Resumed { " · by an interrupted verification" } else { "" };
            let files = Counted(*objects, "file", "files");
            format!("{:<16} {partition} · {files} · {}{when}", "in order", Bytes(*bytes))
        }
        Event::PartitionRepaired { partition, is_repaired, reason } => {
            format!("{:<16} {partition} · {reason}", if *is_repaired { "repaired" } else { "not repaired" })
        }
        _ => return None,
    })
}

/// The summary for people.
pub fn summary_line(outcome: &VerifyOutcome, is_quick: bool, elapsed: Duration) -> String {
    let resumed = match outcome.days_resumed {
        0 => String::new(),
        days => format!(" · {} by an interrupted verification", Counted(days, "day", "days")),
    };
    let what = if is_quick { "names and sizes" } else { "SHA-256" };
    let differences: u64 = outcome.differences.values().sum();
    if outcome.days + outcome.days_resumed == 0 && outcome.stopped_by.is_none() {
        return "no day of the selected ones has its turn today; nothing was compared".to_owned();
    }
    let found = if differences == 0 {
        if outcome.stopped_by.is_some() { "stopped; nothing differs so far" } else { "nothing differs" }.to_owned()
    } else {
        let kinds = outcome.differences.iter();
        let kinds: Vec<String> =
            kinds.map(|(kind, count)| format!("{} {}", Count(*count), kind.name().replace('_', " "))).collect();
        format!("{}: {}", Counted(differences, "differs", "differ"), kinds.join(", "))
    };
    format!(
        "{} · {} · {} compared by {what} in {}{resumed} · {found}",
        Counted(outcome.days, "day", "days"),
        Counted(outcome.objects, "file", "files"),
        Bytes(outcome.bytes),
        Elapsed(elapsed),
    )
}

/// The summary for machines.
pub fn summary_json(outcome: &VerifyOutcome, is_quick: bool, elapsed: Duration, code: ExitCode) -> Value {
    let differences: BTreeMap<&str, u64> =
        outcome.differences.iter().map(|(kind, count)| (kind.name(), *count)).collect();
    json!({
        "schema": 1, "event": "verification", "mode": Mode::new(is_quick).name(),
        "tool_version": env!("CARGO_PKG_VERSION"), "exit_code": code as u8, "seconds": elapsed.as_secs_f64(),
        "days": outcome.days, "days_resumed": outcome.days_resumed, "days_damaged": outcome.damaged.len(),
        "days_being_replaced": outcome.being_replaced.len(), "objects": outcome.objects, "bytes": outcome.bytes,
        "differences": differences, "stopped_by": outcome.stopped_by.as_ref().map(error_fields),
    })
}
