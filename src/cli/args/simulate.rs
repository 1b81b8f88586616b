//! The verbs of the simulator.

use std::path::PathBuf;

use clap::Args;
use e3sync::simulator::Quirk;

use super::OutputArgs;
use super::parsers::path;
use crate::cli::units::Span;

#[derive(Debug, Args)]
pub struct SimulatorArgs {
    /// Where to listen; only addresses of this machine
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    pub listen: std::net::SocketAddr,
    /// The clouds that hold the export: s3, gcs or both with a comma between
    #[arg(long, value_name = "NAMES", default_value = "s3", value_delimiter = ',')]
    pub clouds: Vec<String>,
    /// Decides all content
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    pub seed: u64,
    /// Number of days, up to yesterday
    #[arg(long, value_name = "NUMBER", default_value_t = 14)]
    pub days: u32,
    /// Of these, the number of newest days without _SUCCESS
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    pub unfinished_days: u32,
    /// Objects of each type on each day
    #[arg(long, value_name = "NUMBER", default_value_t = 12)]
    pub objects_per_day: u32,
    /// Noise of this size for each object instead of Parquet, as in 16KiB..64KiB
    #[arg(long, value_name = "SIZES")]
    pub noise: Option<String>,
    /// The life of credentials, down to a second; longer ones are asked for in vain
    #[arg(long, value_name = "TIME")]
    pub credential_lifetime: Option<Span>,
    /// Print an OAuth application's variables instead of the token; `e3sync login` then works
    #[arg(long)]
    pub oauth: bool,
    /// The life of OAuth access tokens
    #[arg(long, value_name = "TIME", default_value = "2h")]
    pub oauth_lifetime: Span,
    /// Let each OAuth refresh token serve once
    #[arg(long)]
    pub oauth_rotate: bool,
    /// Let every answer take so much longer
    #[arg(long, value_name = "TIME")]
    pub latency: Option<Span>,
    /// The checksum that S3 offers: crc64nvme, crc32c, crc32, sha256, composite-crc32c or none
    #[arg(long, value_name = "NAME", default_value = "crc64nvme")]
    pub checksum: String,
    /// How the exchange tells the end of AWS credentials: integer, float, exponent, text, seconds, iso8601, far-away, past or object
    #[arg(long, value_name = "FORM", default_value = "integer")]
    pub expiration_form: String,
    /// What the exchange answers as uri, for Google Cloud
    #[arg(long, value_name = "URI")]
    pub gcp_uri: Option<String>,
    /// What the exchange answers as s3Path, for AWS
    #[arg(long, value_name = "PATH")]
    pub s3_path: Option<String>,
    /// Another name for the bucket of a cloud, as in gcs=optimizely-e3-eu-21468570738; repeatable
    #[arg(long, value_name = "CLOUD=NAME")]
    pub bucket_name: Vec<String>,
    /// Keys on a page of a listing
    #[arg(long, value_name = "NUMBER", default_value_t = 1000)]
    pub page_keys: usize,
    /// Something that goes wrong, as in `get:cut@1000 times=3` or `exchange:status=503`; repeatable
    #[arg(long, value_name = "FAULT")]
    pub fault: Vec<String>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  e3sync simulate                           put what it prints into another shell
  e3sync simulate --days 60 --clouds s3,gcs
  e3sync simulate --credential-lifetime 30s --fault 'get:cut@1000 times=20'
  e3sync simulate --customer-bucket my-lake and a bucket to mirror into")]
pub struct SimulateArgs {
    #[command(flatten)]
    pub simulator: SimulatorArgs,
    /// Serve an empty bucket of this name as well, to mirror into
    #[arg(long, value_name = "NAME")]
    pub customer_bucket: Option<String>,
    /// A habit of that bucket's server, as in no-delete-many; repeatable
    #[arg(long, value_name = "NAME", requires = "customer_bucket")]
    pub customer_quirk: Vec<Quirk>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  e3sync demo                               two weeks, in a temporary directory
  e3sync demo --days 5 --keep ./demo        leaves the mirror for a look")]
pub struct DemoArgs {
    #[command(flatten)]
    pub simulator: SimulatorArgs,
    #[command(flatten)]
    pub output: OutputArgs,
    /// Mirror into this directory and keep it
    #[arg(long, value_parser = path(), value_name = "DEST")]
    pub keep: Option<PathBuf>,
}
