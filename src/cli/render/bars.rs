//! Progress on a terminal: bars that are redrawn.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use e3sync::progress::{Counters, Event, Observer};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::lines::text_of;
use crate::cli::units::{Bytes, Count, Counted, Elapsed};

/// Bars on a terminal: one for each type, one for all, and a line about the rest.
pub struct Bars {
    screen: MultiProgress,
    overall: ProgressBar,
    footer: ProgressBar,
    types: Mutex<BTreeMap<String, ProgressBar>>,
    counters: Arc<Counters>,
    is_verbose: bool,
}

/// `wide_bar` takes what the rest leaves of the terminal's width.
const BAR: &str = " {prefix:<12!} {wide_bar} {percent:>3}% {msg:>17}";
const BLOCKS: &str = "█▉▊▋▌▍▎▏░";

/// On a narrower terminal there is no room for a bar, and the line would wrap.
const BAR_COLUMNS_MIN: u16 = 50;

fn bar_style() -> ProgressStyle {
    ProgressStyle::with_template(BAR).unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars(BLOCKS)
}

/// A bar's style on a terminal of the width that it has at this moment.
fn fitting_style() -> ProgressStyle {
    let columns = rustix::termios::tcgetwinsize(std::io::stderr()).map_or(80, |size| size.ws_col);
    if columns >= BAR_COLUMNS_MIN {
        bar_style()
    } else {
        ProgressStyle::with_template(" {prefix:<12!} {percent:>3}%").unwrap_or_else(|_| line_style())
    }
}

fn line_style() -> ProgressStyle {
    ProgressStyle::with_template("{wide_msg}").unwrap_or_else(|_| ProgressStyle::default_spinner())
}

impl Bars {
    pub fn new(counters: Arc<Counters>, is_verbose: bool) -> Self {
        let screen = MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(10));
        let overall = screen.add(ProgressBar::new(0).with_style(bar_style()).with_prefix("all"));
        let footer = screen.add(ProgressBar::new(0).with_style(line_style()));
        Self { screen, overall, footer, types: Mutex::default(), counters, is_verbose }
    }

    /// Redraws from the counters.
    pub fn draw(&self, credentials_remaining: Option<Duration>) {
        let counters = &self.counters;
        let (done, planned) = (counters.bytes_done.get(), counters.bytes_planned.get());
        self.overall.set_length(planned);
        self.overall.set_position(done.min(planned));
        let style = fitting_style();
        for bar in self.lock().values().chain([&self.overall]) {
            bar.set_style(style.clone());
            bar.set_message(format!("{}/{}", Bytes(bar.position()), Bytes(bar.length().unwrap_or(0))));
        }
        let credentials =
            credentials_remaining.map_or_else(String::new, |left| format!(" · credentials {}", Elapsed(left)));
        self.footer.set_message(format!(
            " {}/s · {} · {}/{} · {} in flight · {} · renewed {}{credentials}",
            Bytes(self.overall.per_sec() as u64),
            Elapsed(self.overall.elapsed()),
            Count(counters.objects_done.get()),
            Counted(counters.objects_planned.get(), "object", "objects"),
            counters.in_flight.get(),
            Counted(counters.retries.get(), "retry", "retries"),
            Counted(counters.renewals.get(), "time", "times"),
        ));
    }

    /// Takes the bars off the screen.
    pub fn clear(&self) {
        // A terminal that is gone needs no clearing.
        let _ = self.screen.clear();
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, ProgressBar>> {
        self.types.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn type_bar(&self, name: &str) -> ProgressBar {
        let mut types = self.lock();
        if let Some(bar) = types.get(name) {
            return bar.clone();
        }
        let bar = ProgressBar::new(0).with_style(bar_style()).with_prefix(name.to_owned());
        let bar = self.screen.insert_before(&self.overall, bar);
        types.insert(name.to_owned(), bar.clone());
        bar
    }
}

impl Observer for Bars {
    fn observe(&self, event: &Event<'_>) {
        match event {
            Event::PartitionPlanned { partition, action, bytes, bytes_here, .. } if action.is_change() => {
                let bar = self.type_bar(partition.type_name.as_str());
                bar.inc_length(*bytes);
                bar.inc(*bytes_here);
            }
            Event::ObjectTransferred { partition, size_bytes, .. } => {
                self.type_bar(partition.type_name.as_str()).inc(*size_bytes);
            }
            _ => {}
        }
        if let Some(text) = text_of(event, self.is_verbose) {
            let _ = self.screen.println(text);
        }
    }
}
