//! Where the export is, and how to get in.

use std::path::PathBuf;

use clap::builder::FalseyValueParser;
use clap::{Args, ValueEnum};
use e3sync::credentials::API_URL;
use e3sync::export::AccountId;
use e3sync::retry::ATTEMPTS_MAX_DEFAULT;
use e3sync::source::s3;

use super::OAuthArgs;
use super::parsers::{parse_account_id, parse_header, parse_host_part, parse_profile, path};
use crate::cli::units::Span;

#[derive(Debug, Args)]
#[command(next_help_heading = "Source")]
pub struct SourceArgs {
    /// The cloud to read from
    #[arg(long, value_enum, default_value_t = SourceArg::Auto, env = "E3SYNC_SOURCE")]
    pub source: SourceArg,
    /// The account that the token must belong to
    #[arg(long, value_name = "ID", value_parser = parse_account_id, env = "E3SYNC_ACCOUNT_ID")]
    pub account_id: Option<AccountId>,
    /// Read the token from this file at every exchange; - for standard input, once
    #[arg(long, value_parser = path(), value_name = "FILE", conflicts_with_all = ["token_command", "oauth_client_id"], env = "E3SYNC_TOKEN_FILE")]
    pub token_file: Option<PathBuf>,
    /// Run this shell command at every exchange; it prints the token
    #[arg(
        long,
        value_name = "COMMAND",
        conflicts_with = "oauth_client_id",
        env = "E3SYNC_TOKEN_COMMAND",
        hide_env_values = true
    )]
    pub token_command: Option<String>,
    /// Use this AWS profile's long-lived keys instead of a token; needs --account-id
    #[arg(long, value_name = "NAME", value_parser = parse_profile, conflicts_with_all = ["token_file", "token_command", "oauth_client_id"], env = "E3SYNC_SOURCE_PROFILE")]
    pub source_profile: Option<String>,
    /// Use the ambient AWS credentials instead of a token; needs --account-id
    #[arg(
        long,
        value_parser = FalseyValueParser::new(),
        conflicts_with_all = ["token_file", "token_command", "source_profile", "oauth_client_id"],
        env = "E3SYNC_SOURCE_AMBIENT"
    )]
    pub source_ambient: bool,
    /// Lifetime of the credentials to ask for, 15 to 60 minutes
    #[arg(long, value_name = "MINUTES", value_parser = clap::value_parser!(u8).range(15..=60), env = "E3SYNC_CREDENTIAL_MINUTES")]
    pub credential_minutes: Option<u8>,
    /// How long the Authentication API may be away during a run
    #[arg(long, value_name = "TIME", default_value = "3h", env = "E3SYNC_OUTAGE")]
    pub outage: Span,
    /// The Authentication API's address
    #[arg(
        long,
        value_name = "URL",
        default_value = API_URL,
        env = "E3SYNC_API_URL",
        hide_short_help = true
    )]
    pub api_url: String,
    /// Another server than the cloud's own; plain HTTP only on this machine
    #[arg(long, value_name = "URL", env = "E3SYNC_SOURCE_ENDPOINT_URL", hide_short_help = true)]
    pub source_endpoint_url: Option<String>,
    /// The bucket, if the vendor moved the export
    #[arg(long, visible_alias = "bucket", value_name = "BUCKET", value_parser = parse_host_part, env = "E3SYNC_SOURCE_BUCKET", hide_short_help = true)]
    pub source_bucket: Option<String>,
    /// The bucket's region
    #[arg(
        long,
        value_name = "REGION",
        default_value = s3::REGION,
        value_parser = parse_host_part,
        env = "E3SYNC_SOURCE_REGION",
        hide_short_help = true
    )]
    pub source_region: String,
    /// The project that pays for requests to Google Cloud Storage
    #[arg(long, value_name = "PROJECT", value_parser = parse_header, env = "E3SYNC_USER_PROJECT", hide_short_help = true)]
    pub user_project: Option<String>,
    /// Maximum number of retries of a failing request
    #[arg(long, value_name = "NUMBER", default_value_t = ATTEMPTS_MAX_DEFAULT, env = "E3SYNC_RETRIES")]
    pub retries: u32,
    #[command(flatten)]
    pub oauth: OAuthArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SourceArg {
    /// Amazon S3
    S3,
    /// Google Cloud Storage
    Gcs,
    /// Whatever the account has; never two clouds in one day of a type
    Auto,
}
