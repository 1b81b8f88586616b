//! The arguments of `sql`.

use clap::{Args, ValueEnum};
use e3sync::export::TypeName;

use super::DestinationArgs;
use super::parsers::parse_type;

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
