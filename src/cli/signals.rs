//! What Ctrl-C and its relatives do: the first asks the run to stop, the second ends the process.

use std::sync::Arc;
use std::time::Duration;

use e3sync::error::{ErrorKind, ExitCode};
use e3sync::progress::{Event, Observer};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

/// A channel that says when to stop: on a signal, or after `max_duration`. What is said about it
/// goes to `observer`, which knows whether bars are on the screen.
///
/// The listening task lives until the process ends; nothing waits for it.
pub fn listen(max_duration: Option<Duration>, observer: Arc<dyn Observer>) -> watch::Receiver<Option<ErrorKind>> {
    let (sender, receiver) = watch::channel(None);
    tokio::spawn(async move {
        let Some(mut signals) = Signals::install() else {
            let message = "signals cannot be caught; Ctrl-C ends the run at once, and is still safe";
            observer.observe(&Event::Notice { message });
            return std::future::pending().await;
        };
        let first = tokio::select! {
            kind = signals.next() => kind,
            () = deadline(max_duration) => ErrorKind::DeadlineReached,
        };
        if first != ErrorKind::DeadlineReached {
            let message = "stopping; running transfers may end, a second signal leaves at once";
            observer.observe(&Event::Notice { message });
        }
        sender.send_replace(Some(first));
        let second = signals.next().await;
        let code = if second == ErrorKind::Interrupted { ExitCode::Interrupted } else { ExitCode::Terminated };
        std::process::exit(code as i32);
    });
    receiver
}

async fn deadline(max_duration: Option<Duration>) {
    match max_duration {
        Some(duration) => tokio::time::sleep(duration).await,
        None => std::future::pending().await,
    }
}

struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hang_up: Signal,
}

impl Signals {
    fn install() -> Option<Self> {
        Some(Self {
            interrupt: signal(SignalKind::interrupt()).ok()?,
            terminate: signal(SignalKind::terminate()).ok()?,
            hang_up: signal(SignalKind::hangup()).ok()?,
        })
    }

    async fn next(&mut self) -> ErrorKind {
        tokio::select! {
            _ = self.interrupt.recv() => ErrorKind::Interrupted,
            _ = self.terminate.recv() => ErrorKind::Terminated,
            _ = self.hang_up.recv() => ErrorKind::Terminated,
        }
    }
}
