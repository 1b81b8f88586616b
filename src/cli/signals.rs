//! What Ctrl-C and its relatives do: the first asks the run to stop, the second ends the process.

use std::time::Duration;

use e3sync::error::{ErrorKind, ExitCode};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use super::output;

/// A channel that says when to stop: on a signal, or after `max_duration`.
///
/// The listening task lives until the process ends; nothing waits for it.
pub fn listen(max_duration: Option<Duration>) -> watch::Receiver<Option<ErrorKind>> {
    let (sender, receiver) = watch::channel(None);
    tokio::spawn(async move {
        let Some(mut signals) = Signals::install() else {
            output::message("warning: signals cannot be caught; Ctrl-C ends the run at once, and is still safe");
            return std::future::pending().await;
        };
        let first = tokio::select! {
            kind = signals.next() => kind,
            () = deadline(max_duration) => ErrorKind::DeadlineReached,
        };
        if first != ErrorKind::DeadlineReached {
            output::message("stopping: running transfers may end; once more to leave at once");
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
