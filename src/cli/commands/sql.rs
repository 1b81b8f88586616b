//! Runs `sql`: prints the statements that make a mirror readable as tables.

use std::sync::Arc;

use e3sync::destination::Address;
use e3sync::error::{Error, ErrorKind, Result};
use e3sync::export::TypeName;
use e3sync::progress::{Counters, Silent};
use e3sync::retry::ATTEMPTS_MAX_DEFAULT;
use e3sync::source::Watch;
use e3sync::sql::{self, Engine, MirrorLocation, MirroredType, Request, TableNames};

use super::{Outcome, success};
use crate::cli::address;
use crate::cli::args::{DestinationArgs, EngineArg, SqlArgs};
use crate::cli::decide::{self, Present};
use crate::cli::output;

impl EngineArg {
    fn decided(self) -> Engine {
        match self {
            Self::Duckdb => Engine::DuckDb,
            Self::Athena => Engine::Athena,
            Self::Bigquery => Engine::BigQuery,
            Self::Snowflake => Engine::Snowflake,
            Self::Spark => Engine::Spark,
        }
    }
}

/// Runs `e3sync sql`.
pub async fn run(arguments: SqlArgs) -> Outcome {
    let names = TableNames::new(arguments.schema.as_deref(), &arguments.prefix)?;
    let is_named = address::is_named(&arguments.destination);
    let place = if is_named { place(&address::destination(&arguments.destination)?)? } else { MirrorLocation::Unknown };
    let mut request = Request { place, types: Vec::new(), names };
    let engine = arguments.engine.decided();
    // What the engine cannot read is refused before the destination is asked anything.
    sql::statements(engine, &request)?;
    request.types = match (arguments.types.is_empty(), is_named) {
        (true, true) => published(&arguments.destination).await?,
        (true, false) => documented()?,
        (false, _) => named(arguments.types),
    };
    output::line(sql::statements(engine, &request)?.trim_end());
    success()
}

/// The address in words that other programs understand.
fn place(address: &Address) -> Result<MirrorLocation> {
    match address {
        Address::S3 { store, prefix } => {
            Ok(MirrorLocation::S3 { bucket: store.bucket.clone(), prefix: prefix.clone() })
        }
        Address::Gcs { store, prefix } => {
            Ok(MirrorLocation::Gcs { bucket: store.bucket.clone(), prefix: prefix.clone() })
        }
        Address::Directory(path) => {
            let absolute = std::path::absolute(path).map_err(|cause| {
                Error::new(ErrorKind::Usage, format!("{} has no absolute path", path.display())).with_cause(cause)
            })?;
            let text = absolute.into_os_string().into_string().map_err(|path| {
                Error::new(ErrorKind::Usage, format!("{} is not UTF-8", path.display()))
                    .with_hint("SQL is text: give the mirror a name in UTF-8, for example by a symbolic link")
            })?;
            Ok(MirrorLocation::Directory(text))
        }
    }
}

fn named(types: Vec<TypeName>) -> Vec<MirroredType> {
    types.into_iter().map(|name| MirroredType { name, first_day: None }).collect()
}

fn documented() -> Result<Vec<MirroredType>> {
    Ok(named(TypeName::DOCUMENTED.into_iter().map(TypeName::parse).collect::<Result<_>>()?))
}

/// The types that have published days; the documented ones where nothing is published yet.
async fn published(arguments: &DestinationArgs) -> Result<Vec<MirroredType>> {
    let present = Present::read(None)?;
    let destination = decide::destination(arguments, &present, false, ATTEMPTS_MAX_DEFAULT)?;
    let watch =
        Watch { clock: present.clock.clone(), observer: Arc::new(Silent), counters: Arc::new(Counters::default()) };
    let days = destination.look(&watch).await?.days().await?;
    if days.is_empty() {
        output::message(format_args!(
            "{} is no mirror yet; these are the documented types, for after the first sync",
            destination.address
        ));
        return documented();
    }
    Ok(days.into_iter().map(|(name, days)| MirroredType { name, first_day: days.first().copied() }).collect())
}
