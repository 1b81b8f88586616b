//! Mirrors one day of the export into a directory:
//!
//! ```sh
//! OPTIMIZELY_API_TOKEN=... cargo run --example mirror_a_day -- ./events 2026-11-20
//! ```

use std::env;
use std::error::Error;

use e3sync::Mirror;
use e3sync::credentials::SecretSource;
use jiff::Timestamp;
use jiff::civil::Date;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let [directory, day] = &env::args().skip(1).collect::<Vec<_>>()[..] else { return Err("DIRECTORY DAY".into()) };
    let token = SecretSource::Value(env::var("OPTIMIZELY_API_TOKEN")?.into());
    let mut mirror = Mirror::in_directory(directory, Timestamp::now()).token(token)?.days(day.parse::<Date>()?);
    if let Ok(url) = env::var("E3SYNC_API_URL") {
        mirror = mirror.server(&url)?;
    }

    let outcome = mirror.sync().await?;
    for partition in &outcome.partitions {
        match (&partition.published, &partition.error) {
            (Some(manifest), _) => println!("{}: {} objects published", partition.partition, manifest.objects),
            (None, Some(error)) => println!("{}: {error}", partition.partition),
            (None, None) => println!("{}: {}", partition.partition, partition.reason),
        }
    }
    // What ended the run as a whole, if anything did.
    outcome.stopped_by.map_or(Ok(()), |error| Err(error.into()))
}
