//! What happens to a run in its middle: a kill, a stop or a change at the source, at a request or an
//! event with a given number.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use e3sync::error::ErrorKind;
use e3sync::progress::{Event, Observer};
use tokio::sync::{Notify, watch};

use crate::history::Change;
use crate::source::Export;

/// Where a run is killed. Numbers count from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kill {
    /// At a request to the source.
    AtRequest(u64),
    /// At an event.
    AtEvent(u64),
    /// At a request to the destination bucket, which has no effect.
    BeforeWrite(u64),
    /// At a request to the destination bucket, which has its effect and no answer.
    AfterWrite(u64),
}

/// What happens in the middle of a run.
#[derive(Clone, Debug, PartialEq)]
pub enum Incident {
    Kill(Kill),
    /// Somebody presses Ctrl-C at a request to the source.
    Stop(u64),
    /// The source changes at a request to it.
    Change(u64, Vec<Change>),
    /// Another run is under way: requests take turns by this seed.
    Turns {
        seed: u64,
        /// Whether the two runs share the days (`--join`).
        is_joined: bool,
    },
}

/// Carries an incident out.
pub struct Script {
    incident: Option<Incident>,
    requests: AtomicU64,
    events: AtomicU64,
    writes: AtomicU64,
    is_killed: AtomicBool,
    killed: Notify,
    stop: watch::Sender<Option<ErrorKind>>,
    /// The export before its change, where there was one.
    pub before: Mutex<Option<Export>>,
}

impl Script {
    /// A script of one incident, or of none.
    pub fn new(incident: Option<Incident>) -> Arc<Self> {
        Arc::new(Self {
            incident,
            requests: AtomicU64::new(0),
            events: AtomicU64::new(0),
            writes: AtomicU64::new(0),
            is_killed: AtomicBool::new(false),
            killed: Notify::new(),
            stop: watch::Sender::new(None),
            before: Mutex::new(None),
        })
    }

    /// The receiving end of the run's stop.
    pub fn stop(&self) -> watch::Receiver<Option<ErrorKind>> {
        self.stop.subscribe()
    }

    /// Whether the run shares the days with another one.
    pub fn is_joined(&self) -> bool {
        self.joined_seed().is_some()
    }

    /// By what such a run decides on its order and its pauses.
    pub fn joined_seed(&self) -> Option<u64> {
        match self.incident {
            Some(Incident::Turns { seed, is_joined: true }) => Some(seed),
            _ => None,
        }
    }

    /// Whether the run was killed.
    pub fn is_killed(&self) -> bool {
        self.is_killed.load(Ordering::SeqCst)
    }

    /// Waits until the run is killed.
    pub async fn killed(&self) {
        self.killed.notified().await;
    }

    fn kill(&self) {
        self.is_killed.store(true, Ordering::SeqCst);
        self.killed.notify_one();
    }

    /// Called before each request to the source. A killed run gets no answer.
    pub async fn source_request(&self, export: &Mutex<Export>) {
        let number = self.requests.fetch_add(1, Ordering::SeqCst);
        match &self.incident {
            Some(Incident::Kill(Kill::AtRequest(at))) if *at == number => self.kill(),
            Some(Incident::Stop(at)) if *at == number => {
                let _ = self.stop.send(Some(ErrorKind::Interrupted));
            }
            Some(Incident::Change(at, changes)) if *at == number => {
                let mut export = export.lock().unwrap_or_else(PoisonError::into_inner);
                *self.before.lock().unwrap_or_else(PoisonError::into_inner) = Some(export.clone());
                changes.iter().for_each(|change| change.apply(&mut export));
            }
            Some(Incident::Turns { seed, .. }) => {
                let turns = (seed >> (number % 48)) & 7;
                tokio::time::sleep(std::time::Duration::from_millis(turns)).await;
            }
            _ => {}
        }
        if self.is_killed() {
            std::future::pending::<()>().await;
        }
    }

    /// Called at each request to the destination bucket; says whether it has an effect, and whether
    /// it has an answer.
    pub fn write(&self) -> (bool, bool) {
        let number = self.writes.fetch_add(1, Ordering::SeqCst);
        if self.is_killed() {
            return (false, false);
        }
        match &self.incident {
            Some(Incident::Kill(Kill::BeforeWrite(at))) if *at == number => {
                self.kill();
                (false, false)
            }
            Some(Incident::Kill(Kill::AfterWrite(at))) if *at == number => {
                self.kill();
                (true, false)
            }
            _ => (true, true),
        }
    }
}

impl Observer for Script {
    fn observe(&self, _event: &Event<'_>) {
        let number = self.events.fetch_add(1, Ordering::SeqCst);
        if self.incident == Some(Incident::Kill(Kill::AtEvent(number))) {
            self.kill();
        }
    }
}
