//! What a run has from its first moment to its last: display, counters, clock and stop signal.

use std::sync::Arc;
use std::time::Instant;

use e3sync::clock::Clock;
use e3sync::destination::{Address, Destination, DestinationSettings};
use e3sync::error::{Error, ErrorKind, Result};
use e3sync::progress::{Counters, Event};
use e3sync::source::{Cloud, Clouds, Watch};
use e3sync::sync::{self, RunHandles, SyncRequest};
use e3sync::transfer::RunOutcome;
use jiff::Timestamp;
use tokio::sync::watch;

use super::lineage::Lineage;
use super::settings::RunSettings;
use crate::cli::render::{self, Display, Summary};
use crate::cli::signals;

/// What a run has from its first moment on.
pub struct RunSession {
    began: Instant,
    counters: Arc<Counters>,
    pub display: Display,
    clock: Arc<Clock>,
    stop: watch::Receiver<Option<ErrorKind>>,
    pub is_quiet: bool,
}

impl RunSession {
    pub fn begin(settings: &RunSettings) -> Self {
        let counters = Arc::new(Counters::default());
        let display = Display::new(&settings.output, &counters);
        Self {
            began: Instant::now(),
            stop: signals::listen(settings.max_duration, display.observer.clone()),
            clock: settings.present.clock.clone(),
            is_quiet: settings.output.quiet,
            counters,
            display,
        }
    }

    pub fn watch(&self) -> Watch {
        let (clock, observer) = (self.clock.clone(), self.display.observer.clone());
        Watch { clock, observer, counters: self.counters.clone() }
    }

    /// When the run began, by a clock that a server may have set right since.
    pub fn started_at(&self) -> Timestamp {
        self.clock.now() - self.began.elapsed()
    }

    pub fn warn(&self, messages: impl IntoIterator<Item = String>) {
        for message in messages {
            self.display.observer.observe(&Event::Warning { message: &message });
        }
    }

    pub async fn unless_stopped<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        let mut stop = self.stop.clone();
        tokio::select! {
            result = work => result,
            Ok(kind) = async { stop.wait_for(Option::is_some).await.map(|kind| *kind) } => {
                Err(Error::new(kind.unwrap_or(ErrorKind::Interrupted), "stopped before anything was transferred"))
            }
        }
    }

    pub fn tell_begin(&self, account_id: Option<&str>, sources: &[String], clouds: &[Arc<Cloud>]) {
        if let Some(account_id) = account_id {
            let credentials_remaining = render::remaining(clouds);
            self.display.observer.observe(&Event::RunStarted { account_id, sources, credentials_remaining });
        }
    }

    pub fn lineage(&self, sources: &[String], destination: &Address) -> Option<Lineage> {
        Lineage::from_environment(sources, destination, &self.stop).unwrap_or_else(|error| {
            self.warn([format!("{error}; the run goes on without OpenLineage")]);
            None
        })
    }

    /// Brings the destination up to date, and gives it back where it could be opened.
    pub async fn transfer(
        &self,
        request: SyncRequest,
        settings: &DestinationSettings,
        clouds: &Clouds,
    ) -> (Option<Arc<dyn Destination>>, Result<RunOutcome>) {
        let watch = self.watch();
        let destination = match self.unless_stopped(settings.open(&clouds.present[0].location.account_id, &watch)).await
        {
            Ok(destination) => destination,
            Err(error) => return (None, Err(error)),
        };
        let Watch { clock, observer, counters } = watch;
        let handles = RunHandles { observer, counters, clock, stop: self.stop.clone() };
        let _ticker = self.display.tick(&clouds.present);
        let outcome = sync::sync(request, clouds, destination.clone(), handles).await;
        (Some(destination), outcome)
    }

    pub fn summary<'a>(
        &'a self,
        outcome: &'a RunOutcome,
        account_id: Option<&'a str>,
        sources: &'a [String],
    ) -> Summary<'a> {
        Summary {
            outcome,
            counters: &self.counters,
            verified: self.display.tally.verified(),
            elapsed: self.began.elapsed(),
            account_id,
            sources,
        }
    }
}
