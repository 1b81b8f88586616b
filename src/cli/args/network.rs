//! How servers are reached, whichever verb asks them.

use std::path::PathBuf;

use clap::Args;

use super::parsers::{parse_min_rate, parse_timeout, path};
use crate::cli::units::{ByteRate, Span};

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Network (a proxy is named by HTTPS_PROXY, exceptions by NO_PROXY)")]
pub struct NetworkArgs {
    /// Trust the certificate authorities of this PEM file as well [also: AWS_CA_BUNDLE, REQUESTS_CA_BUNDLE,
    /// CURL_CA_BUNDLE]
    #[arg(long, value_parser = path(), global = true, value_name = "FILE", env = "E3SYNC_CA_BUNDLE", hide_short_help = true)]
    pub ca_bundle: Option<PathBuf>,
    /// Drop a connection that brings nothing for this time
    #[arg(long, global = true, value_name = "TIME", default_value = "20s", value_parser = parse_timeout, env = "E3SYNC_STALL_TIMEOUT", hide_short_help = true)]
    pub stall_timeout: Span,
    /// Drop a transfer that brings less over a minute, and continue it; 0 for never
    #[arg(long, global = true, value_name = "RATE", default_value = "100B/s", value_parser = parse_min_rate, env = "E3SYNC_MIN_RATE", hide_short_help = true)]
    pub min_rate: ByteRate,
}
