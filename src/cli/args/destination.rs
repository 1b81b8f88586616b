//! Where the mirror is.

use clap::Args;

use super::parsers::{parse_header, parse_host_part, parse_profile};

#[derive(Debug, Args)]
pub struct DestinationArgs {
    /// Where the mirror is: a directory, s3://BUCKET/PREFIX or gs://BUCKET/PREFIX
    #[arg(value_name = "DEST", env = "E3SYNC_DEST")]
    pub destination: Option<String>,
    /// The same as an option
    #[arg(long = "dest", alias = "output", value_name = "DEST", conflicts_with = "destination")]
    pub option: Option<String>,
    #[command(flatten)]
    pub bucket: BucketArgs,
}

impl DestinationArgs {
    /// Whether a destination is named at all.
    pub fn is_given(&self) -> bool {
        self.destination.is_some() || self.option.is_some()
    }
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Destination bucket (AWS_* and GOOGLE_* in the environment are for it alone)")]
pub struct BucketArgs {
    /// The bucket's region [default: the one of the AWS profile or environment]
    #[arg(long, value_name = "REGION", value_parser = parse_host_part, env = "E3SYNC_DEST_REGION")]
    pub dest_region: Option<String>,
    /// Another server than the cloud's own; plain HTTP only on this machine
    #[arg(long, value_name = "URL", env = "E3SYNC_DEST_ENDPOINT_URL")]
    pub dest_endpoint_url: Option<String>,
    /// The AWS profile with the credentials for the bucket
    #[arg(long, value_name = "NAME", value_parser = parse_profile, env = "E3SYNC_DEST_PROFILE")]
    pub dest_profile: Option<String>,
    /// Run this shell command for a token of Google's; it is run again when the token ends
    #[arg(long, value_name = "COMMAND", env = "E3SYNC_DEST_TOKEN_COMMAND", hide_env_values = true)]
    pub dest_token_command: Option<String>,
    /// Server-side encryption to ask S3 for
    #[arg(long, value_name = "KIND", value_parser = ["AES256", "aws:kms", "aws:kms:dsse"], env = "E3SYNC_SSE")]
    pub sse: Option<String>,
    /// The KMS key to encrypt with [default: the bucket's]
    #[arg(long, value_name = "KEY", value_parser = parse_header, env = "E3SYNC_SSE_KMS_KEY_ID")]
    pub sse_kms_key_id: Option<String>,
    /// The storage class of data, as in STANDARD_IA or NEARLINE [default: the bucket's]
    #[arg(long, value_name = "CLASS", value_parser = parse_header, env = "E3SYNC_STORAGE_CLASS")]
    pub storage_class: Option<String>,
    /// A tag of data objects at S3; repeatable
    #[arg(long = "tag", value_name = "KEY=VALUE", value_delimiter = ',', env = "E3SYNC_TAG")]
    pub tags: Vec<String>,
    /// The canned access control list of every object at S3, where the bucket's owner is another account
    #[arg(long, value_name = "ACL", value_parser = ["bucket-owner-full-control", "bucket-owner-read", "private"], env = "E3SYNC_ACL", hide_short_help = true)]
    pub acl: Option<String>,
    /// Pay for requests to a bucket at S3 that demands it
    #[arg(long, value_name = "WHO", value_parser = ["requester"], env = "E3SYNC_REQUEST_PAYER", hide_short_help = true)]
    pub request_payer: Option<String>,
    /// Seconds without a heartbeat after which another run on the bucket counts as dead
    #[arg(
        long,
        value_name = "SECONDS",
        value_parser = clap::value_parser!(u16).range(2..=3600),
        env = "E3SYNC_DEST_LEASE",
        hide = true
    )]
    pub dest_lease: Option<u16>,
}
