//! Follows a daily run by an observer of one's own, and ends it early by Ctrl-C:
//!
//! ```sh
//! OPTIMIZELY_API_TOKEN=... cargo run --example observer -- ./events 2026-11-01 2026-11-20
//! ```

use std::env;
use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use e3sync::Mirror;
use e3sync::credentials::SecretSource;
use e3sync::error::ErrorKind;
use e3sync::export::Days;
use e3sync::progress::{Event, Observer};
use jiff::Timestamp;
use tokio::sync::watch;

/// Counts what comes over the network. Called from many tasks at once, so that it must return at once.
#[derive(Default)]
struct Meter {
    bytes: AtomicU64,
}

impl Observer for Meter {
    fn observe(&self, event: &Event<'_>) {
        match event {
            Event::ObjectTransferred { size_bytes, .. } => {
                self.bytes.fetch_add(*size_bytes, Ordering::Relaxed);
            }
            Event::PartitionPublished { partition, objects, is_complete, .. } => {
                let state = if *is_complete { "complete" } else { "not complete yet" };
                println!("{partition}: {objects} objects, {state}");
            }
            Event::PartitionFailed { partition, error } => eprintln!("{partition}: {error}"),
            Event::Warning { message } => eprintln!("{message}"),
            _ => {}
        }
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let [directory, from, to] = &env::args().skip(1).collect::<Vec<_>>()[..] else {
        return Err("DIRECTORY FROM TO".into());
    };
    let (meter, (stop, stopped)) = (Arc::new(Meter::default()), watch::channel(None));
    let token = SecretSource::Value(env::var("OPTIMIZELY_API_TOKEN")?.into());
    let mut mirror = Mirror::in_directory(directory, Timestamp::now())
        .token(token)?
        .days(Days::new(from.parse()?, to.parse()?)?)
        .observer(meter.clone())
        .stop(stopped);
    if let Ok(url) = env::var("E3SYNC_API_URL") {
        mirror = mirror.server(&url)?;
    }
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            // What is in flight may end, what is done is kept, and the next run goes on behind it.
            let _ = stop.send(Some(ErrorKind::Interrupted));
        }
    });

    let outcome = mirror.sync().await?;
    println!("{} bytes transferred", meter.bytes.load(Ordering::Relaxed));
    outcome.stopped_by.map_or(Ok(()), |error| Err(error.into()))
}
