//! What a run looks like: bars on a terminal, lines elsewhere, JSON for machines, a summary for all.

mod bars;
mod calendar;
mod checks;
pub mod html;
pub mod json;
pub mod lines;
pub mod metrics;
pub mod status;
mod summary;
mod tally;
pub mod text;
pub mod unmirrored;

use std::sync::Arc;
use std::time::Duration;

use e3sync::progress::{Counters, Event, Observer};
use e3sync::source::Cloud;
use tokio::task::JoinHandle;

pub use checks::{ChecksDisplay, summary_json, summary_line};
pub use summary::Summary;
pub use tally::Tally;

use super::args::OutputArgs;
use super::output;

/// Prints a sentence as a result: on a terminal in lines that end between its words, those after the
/// first one behind this number of spaces; elsewhere it stays one line.
pub fn print_sentence(head: &str, indent: usize, text: &str) {
    match output::terminal_columns() {
        Some(columns) => text::wrapped(head, indent, text, columns).into_iter().all(output::line),
        None => output::line(format_args!("{head}{text}")),
    };
}

/// Everything that watches a run.
pub struct Display {
    /// Receives the run's events.
    pub observer: Arc<dyn Observer>,
    /// Adds up what the summary needs.
    pub tally: Arc<Tally>,
    bars: Option<Arc<bars::Bars>>,
    interval: Option<Duration>,
    counters: Arc<Counters>,
}

impl Display {
    /// The display that the arguments and the terminal call for.
    pub fn new(arguments: &OutputArgs, counters: &Arc<Counters>) -> Self {
        let tally = Arc::new(Tally::default());
        let mut observers: Vec<Arc<dyn Observer>> = vec![tally.clone()];
        let is_interactive = output::is_stderr_interactive() && !arguments.quiet && !arguments.json;
        let bars = is_interactive.then(|| Arc::new(bars::Bars::new(counters.clone(), arguments.verbose)));
        match &bars {
            Some(bars) => observers.push(bars.clone()),
            None => observers.push(Arc::new(lines::Lines::new(arguments.quiet, arguments.verbose))),
        }
        if arguments.json {
            observers.push(Arc::new(json::Json));
        }
        let interval = match (&bars, arguments.quiet) {
            (Some(_), _) => Some(Duration::from_millis(120)),
            (None, false) => Some(Duration::from_secs(30)),
            (None, true) => None,
        };
        Self { observer: Arc::new(All(observers)), tally, bars, interval, counters: counters.clone() }
    }

    /// Redraws on a tick until stopped.
    pub fn tick(&self, clouds: &[Arc<Cloud>]) -> Ticker {
        let clouds = clouds.to_vec();
        let (bars, counters, interval) = (self.bars.clone(), self.counters.clone(), self.interval);
        Ticker(interval.map(|interval| {
            tokio::spawn(async move {
                let mut ticks = tokio::time::interval_at(tokio::time::Instant::now() + interval, interval);
                loop {
                    ticks.tick().await;
                    match &bars {
                        Some(bars) => bars.draw(remaining(&clouds)),
                        None => lines::print_progress(&counters),
                    }
                }
            })
        }))
    }

    /// Removes what was drawn, to make room for the summary.
    pub fn clear(&self) {
        if let Some(bars) = &self.bars {
            bars.clear();
        }
    }
}

/// How long the first credentials to end still live.
pub fn remaining(clouds: &[Arc<Cloud>]) -> Option<Duration> {
    clouds.iter().filter_map(|cloud| cloud.source.credentials_remaining()).min()
}

/// Redraws for as long as it lives.
pub struct Ticker(Option<JoinHandle<()>>);

impl Drop for Ticker {
    fn drop(&mut self) {
        if let Some(task) = &self.0 {
            task.abort();
        }
    }
}

/// Several observers as one.
struct All(Vec<Arc<dyn Observer>>);

impl Observer for All {
    fn observe(&self, event: &Event<'_>) {
        for observer in &self.0 {
            observer.observe(event);
        }
    }
}
