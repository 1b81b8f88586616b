//! How connections are made.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use http::HeaderValue;

/// Who asks.
pub(super) const USER_AGENT: HeaderValue = HeaderValue::from_static(concat!("e3sync/", env!("CARGO_PKG_VERSION")));

/// How connections are made.
#[derive(Clone)]
pub struct NetSettings {
    /// How long a connection may take to come about.
    pub connect_timeout: Duration,
    /// How long an answer or the next bytes of a body may stay away before the connection is dropped.
    pub stall_timeout: Duration,
    /// A transfer from the source that brings less in a minute of waiting is dropped and continued; 0 for none.
    pub min_bytes_per_second: u64,
    /// A proxy for HTTPS, and the hosts that are reached without it (`NO_PROXY` syntax).
    pub proxy: Option<(String, String)>,
    /// Certificate authorities that are trusted besides the system's: PEM files, or folders of such files.
    pub ca_bundles: Vec<PathBuf>,
}

impl Default for NetSettings {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            stall_timeout: Duration::from_secs(20),
            min_bytes_per_second: 100,
            proxy: None,
            ca_bundles: Vec::new(),
        }
    }
}

impl fmt::Debug for NetSettings {
    /// Says only whether there is a proxy: its address may hold a password.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("NetSettings")
            .field("connect_timeout", &self.connect_timeout)
            .field("stall_timeout", &self.stall_timeout)
            .field("min_bytes_per_second", &self.min_bytes_per_second)
            .field("has_proxy", &self.proxy.is_some())
            .field("ca_bundles", &self.ca_bundles)
            .finish()
    }
}
