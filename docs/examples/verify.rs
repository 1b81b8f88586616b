//! Compares every byte of a mirror with its manifests, and prints what differs:
//!
//! ```sh
//! cargo run --example verify -- ./events
//! ```

use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;

use e3sync::Mirror;
use e3sync::plan::DaysWanted;
use e3sync::progress::Event;
use jiff::Timestamp;

#[tokio::main]
async fn main() -> Result<ExitCode, Box<dyn Error>> {
    let directory = std::env::args().nth(1).ok_or("DIRECTORY")?;
    let print = |event: &Event<'_>| {
        if let Event::Difference { partition, kind, key, detail } = event {
            println!("{partition} {}: {} {detail}", kind.name(), key.unwrap_or("the whole day"));
        }
    };
    let mirror = Mirror::in_directory(directory, Timestamp::now()).days(DaysWanted::All).observer(Arc::new(print));

    let outcome = mirror.verify().await?;
    println!("{} objects of {} days verified, {} days differ", outcome.objects, outcome.days, outcome.damaged.len());
    match outcome.stopped_by {
        Some(error) => Err(error.into()),
        None => Ok(ExitCode::from(u8::from(!outcome.damaged.is_empty()))),
    }
}
