//! What every client of the S3 SDK here has in common.

use std::sync::Arc;
use std::time::SystemTime;

use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{Builder, StalledStreamProtectionConfig};
use aws_smithy_types::timeout::TimeoutConfigBuilder;

use super::SdkTransport;
use crate::clock::Clock;

/// The S3 client's settings with what every use of it here has in common: our transport with its
/// own timeouts, our clock, and no repetitions.
pub(crate) fn with_own_transport(builder: Builder, transport: SdkTransport, clock: Arc<Clock>) -> Builder {
    builder
        .http_client(transport)
        .time_source(SigningTime(clock))
        // Repeating is the engine's business, which knows what the failure means.
        .retry_config(RetryConfig::disabled())
        .timeout_config(no_timeouts())
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
}

/// The transport has its own.
fn no_timeouts() -> TimeoutConfig {
    TimeoutConfigBuilder::new().build()
}

/// Signs by our clock, which a server can set right.
#[derive(Debug)]
pub(crate) struct SigningTime(pub Arc<Clock>);

impl aws_smithy_async::time::TimeSource for SigningTime {
    fn now(&self) -> SystemTime {
        self.0.now().into()
    }
}
