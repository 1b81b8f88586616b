//! OAuth applications: who asks, and by what right.

use std::path::PathBuf;

use clap::builder::FalseyValueParser;
use clap::{Args, ValueEnum};

use super::parsers::path;

/// The port that is registered for the application where nothing else is said.
pub const REDIRECT_PORT: u16 = 8765;

/// Who asks: the same for runs and for the login.
#[derive(Debug, Args)]
#[command(next_help_heading = "OAuth application (instead of a Personal Access Token)")]
pub struct ApplicationArgs {
    /// The application's id; its access tokens are then used
    #[arg(long, value_name = "ID", env = "E3SYNC_OAUTH_CLIENT_ID", hide_short_help = true)]
    pub oauth_client_id: Option<String>,
    /// The file with the application's secret
    #[arg(
        value_parser = path(),
        long,
        value_name = "FILE",
        conflicts_with = "oauth_client_secret_command",
        env = "E3SYNC_OAUTH_CLIENT_SECRET_FILE",
        hide_short_help = true
    )]
    pub oauth_client_secret_file: Option<PathBuf>,
    /// Run this shell command for the application's secret
    #[arg(
        long,
        value_name = "COMMAND",
        env = "E3SYNC_OAUTH_CLIENT_SECRET_COMMAND",
        hide_env_values = true,
        hide_short_help = true
    )]
    pub oauth_client_secret_command: Option<String>,
    /// How the application says who it is
    #[arg(long, value_enum, value_name = "METHOD", default_value_t = ClientAuthArg::Body, env = "E3SYNC_OAUTH_CLIENT_AUTH", hide_short_help = true)]
    pub oauth_client_auth: ClientAuthArg,
    /// What is asked for
    #[arg(long, value_name = "SCOPE", default_value = "all", env = "E3SYNC_OAUTH_SCOPE", hide_short_help = true)]
    pub oauth_scope: String,
    /// The token endpoint's address
    #[arg(
        long,
        value_name = "URL",
        default_value = "https://app.optimizely.com/oauth2/token",
        env = "E3SYNC_OAUTH_TOKEN_URL",
        hide_short_help = true
    )]
    pub oauth_token_url: String,
}

#[derive(Debug, Args)]
pub struct OAuthArgs {
    #[command(flatten)]
    pub application: ApplicationArgs,
    /// The file with a refresh token, instead of the one that `e3sync login` keeps
    #[arg(long, value_parser = path(), value_name = "FILE", env = "E3SYNC_OAUTH_REFRESH_TOKEN_FILE", hide_short_help = true)]
    pub oauth_refresh_token_file: Option<PathBuf>,
    /// By what right access tokens are asked for
    #[arg(long, value_enum, value_name = "GRANT", default_value_t = GrantArg::RefreshToken, env = "E3SYNC_OAUTH_GRANT", hide_short_help = true)]
    pub oauth_grant: GrantArg,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum GrantArg {
    /// The refresh token of a login
    RefreshToken,
    /// The application's own secret
    ClientCredentials,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ClientAuthArg {
    /// Fields of the form
    Body,
    /// A header
    Basic,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  e3sync login --oauth-client-id 123 --oauth-client-secret-file ~/.e3sync-secret
  e3sync login --no-browser                 on a machine without one: paste the address that you end at
  e3sync logout
Register http://127.0.0.1:8765/callback as the application's redirect address, or another port with
--redirect-port. The refresh token is kept in a file that only you can read.")]
pub struct LoginArgs {
    /// The authorization page's address
    #[arg(
        long,
        value_name = "URL",
        default_value = "https://app.optimizely.com/oauth2/authorize",
        env = "E3SYNC_OAUTH_AUTHORIZE_URL"
    )]
    pub oauth_authorize_url: String,
    /// The port of this machine that the browser is sent back to
    #[arg(long, value_name = "PORT", default_value_t = REDIRECT_PORT, env = "E3SYNC_OAUTH_REDIRECT_PORT")]
    pub redirect_port: u16,
    /// Open no browser, and read the address that it ended at from standard input
    #[arg(long, value_parser = FalseyValueParser::new(), env = "E3SYNC_NO_BROWSER")]
    pub no_browser: bool,
    #[command(flatten)]
    pub application: ApplicationArgs,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  e3sync logout                             forgets the one login that there is
  e3sync logout --oauth-client-id 123       the login of this application")]
pub struct LogoutArgs {
    #[command(flatten)]
    pub application: ApplicationArgs,
}
