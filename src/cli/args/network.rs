//! How servers are reached, whichever verb asks them.

use std::path::PathBuf;

use clap::Args;

use super::parsers::parse_patience;
use crate::cli::units::Span;

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Network (a proxy is named by HTTPS_PROXY, exceptions by NO_PROXY)")]
pub struct NetworkArgs {
    /// Trust the certificate authorities of this PEM file as well [also: AWS_CA_BUNDLE, REQUESTS_CA_BUNDLE,
    /// CURL_CA_BUNDLE]
    #[arg(long, global = true, value_name = "FILE", env = "E3SYNC_CA_BUNDLE", hide_short_help = true)]
    pub ca_bundle: Option<PathBuf>,
    /// Drop a connection that brings nothing for so long
    #[arg(long, global = true, value_name = "TIME", default_value = "20s", value_parser = parse_patience, env = "E3SYNC_STALL_TIMEOUT", hide_short_help = true)]
    pub stall_timeout: Span,
}
