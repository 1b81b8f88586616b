//! Runs `sql`: prints the statements that make a mirror readable as tables.

use std::sync::Arc;

use clap::{Args, ValueEnum};
use e3sync::destination::Address;
use e3sync::error::{Error, ErrorKind, Result};
use e3sync::export::TypeName;
use e3sync::progress::{Counters, Silent};
use e3sync::source::Watch;
use e3sync::sql::{self, Engine, MirroredType, Names, Place, Request};

use super::Outcome;
use crate::cli::address;
use crate::cli::args::{DestinationArgs, parse_type};
use crate::cli::decide::{self, Present};
use crate::cli::output;
use crate::cli::success;

/// A failing request to a bucket is repeated so often.
const RETRIES: u32 = 8;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  e3sync sql duckdb ./events | duckdb lake.db
  e3sync sql athena s3://my-lake/optimizely --schema optimizely
  e3sync sql bigquery gs://my-lake/optimizely --schema my-project.optimizely
  e3sync sql snowflake s3://my-lake/optimizely --schema RAW.OPTIMIZELY
  e3sync sql spark ./events --prefix e3_ > tables.sql; spark-sql -f tables.sql
  e3sync sql bigquery                       with a placeholder for the bucket

With a destination, its published types get tables; with --type it is not looked at.")]
pub struct SqlArgs {
    /// What reads the tree
    #[arg(value_enum)]
    pub engine: EngineArg,
    #[command(flatten)]
    pub destination: DestinationArgs,
    /// A type to make a table for; repeatable [default: the published ones]
    #[arg(long = "type", value_name = "TYPE", value_delimiter = ',', value_parser = parse_type, env = "E3SYNC_TYPE", help_heading = "Tables")]
    pub types: Vec<TypeName>,
    /// What the names of tables and views begin with
    #[arg(long, value_name = "NAME", default_value = "", env = "E3SYNC_SQL_PREFIX", help_heading = "Tables")]
    pub prefix: String,
    /// The schema (database, data set) that they go into
    #[arg(long, value_name = "NAME", env = "E3SYNC_SQL_SCHEMA", help_heading = "Tables")]
    pub schema: Option<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum EngineArg {
    /// Views over a directory or a bucket
    Duckdb,
    /// External tables with projected days, over S3
    Athena,
    /// External tables over Google Cloud Storage
    Bigquery,
    /// External tables over a stage
    Snowflake,
    /// Tables over a directory or a bucket; also for EMR, Dataproc and Databricks
    Spark,
}

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
    let names = Names::new(arguments.schema.as_deref(), &arguments.prefix)?;
    let is_named = address::is_named(&arguments.destination);
    let place = if is_named { place(&address::destination(&arguments.destination)?)? } else { Place::Unknown };
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
fn place(address: &Address) -> Result<Place> {
    match address {
        Address::S3 { store, prefix } => Ok(Place::S3 { bucket: store.bucket.clone(), prefix: prefix.clone() }),
        Address::Gcs { store, prefix } => Ok(Place::Gcs { bucket: store.bucket.clone(), prefix: prefix.clone() }),
        Address::Directory(path) => {
            let absolute = std::path::absolute(path).map_err(|cause| {
                Error::new(ErrorKind::Usage, format!("{} has no absolute path", path.display())).with_cause(cause)
            })?;
            let text = absolute.into_os_string().into_string().map_err(|path| {
                Error::new(ErrorKind::Usage, format!("{} is not UTF-8", path.display()))
                    .with_hint("SQL is text: give the mirror a name in UTF-8, for example by a symbolic link")
            })?;
            Ok(Place::Directory(text))
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
    let destination = decide::destination(arguments, &present, false, RETRIES)?;
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
