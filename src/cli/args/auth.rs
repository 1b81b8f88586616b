//! The arguments of `auth`.

use clap::{Args, ValueEnum};

use super::SourceArgs;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  eval \"$(e3sync auth)\"                     for the shell; then: aws s3 ls \"$S3_BASE_PATH\"
  e3sync auth --format dotenv > .env
In ~/.aws/config, so that aws-cli and boto3 renew through e3sync:
  [profile optimizely]
  region = us-east-1
  credential_process = e3sync auth --format credential-process")]
pub struct AuthArgs {
    #[command(flatten)]
    pub source: SourceArgs,
    /// The form to print them in
    #[arg(long, help_heading = "Output", value_enum, default_value_t = AuthFormat::Env, env = "E3SYNC_AUTH_FORMAT")]
    pub format: AuthFormat,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum AuthFormat {
    /// `export NAME=VALUE` lines for a shell
    Env,
    /// One JSON document
    Json,
    /// NAME=VALUE lines
    Dotenv,
    /// What aws-cli and boto3 expect of a credential_process
    CredentialProcess,
}
