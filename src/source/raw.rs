//! The export's buckets as their servers answer, request by request: what a diagnosis looks at.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use secrecy::ExposeSecret as _;

use super::connect::SourceSettings;
use super::gcs::GcsProtocol;
use super::s3::S3Protocol;
use crate::clock::Clock;
use crate::credentials::{AwsCredentials, GcpToken, Grant};
use crate::error::Result;
use crate::export::{ExportLocation, printable};
use crate::net::{self, HttpClient, RawAnswer};
use crate::progress::Counters;

/// The most of an answer that is read, in bytes: a page of 1,000 objects with all their fields fits.
const BODY_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Somebody waits for the diagnosis.
const TIMEOUT: Duration = Duration::from_secs(30);

/// What is asked for.
pub(crate) enum LookedAt<'a> {
    /// The first page of what begins with the prefix, given in full.
    Listing {
        /// The prefix.
        prefix: &'a str,
        /// Whether what lies deeper is folded into folders.
        has_delimiter: bool,
    },
    /// An object.
    Object {
        /// Its key, given in full.
        key: &'a str,
        /// Half-open range of bytes; `None` for the whole object.
        range: Option<Range<u64>>,
    },
}

/// A bucket of the export with credentials that were issued for it.
pub(crate) struct RawSource {
    client: HttpClient,
    cloud: RawCloud,
}

enum RawCloud {
    S3(Box<S3Protocol>, Grant<AwsCredentials>),
    Gcs(Box<GcsProtocol>, Grant<GcpToken>),
}

impl SourceSettings {
    /// The bucket at S3, with fresh credentials.
    ///
    /// # Errors
    /// What the exchange answers.
    pub(crate) async fn raw_s3(&self, clock: &Arc<Clock>) -> Result<RawSource> {
        let grant = self.issue_for_s3(clock).await?;
        let protocol = S3Protocol::new(self.s3.clone(), clock.clone(), Arc::new(Counters::default()))?;
        Ok(RawSource { client: net::build_client(&self.s3.net)?, cloud: RawCloud::S3(Box::new(protocol), grant) })
    }

    /// The bucket at Google Cloud Storage, with a fresh token.
    ///
    /// # Errors
    /// What the exchange answers.
    pub(crate) async fn raw_gcs(&self, clock: &Arc<Clock>) -> Result<RawSource> {
        let grant = self.issue_for_gcs(clock).await?;
        let protocol = GcsProtocol::new(self.gcs.clone(), Arc::new(Counters::default()))?;
        Ok(RawSource { client: net::build_client(&self.gcs.net)?, cloud: RawCloud::Gcs(Box::new(protocol), grant) })
    }
}

impl RawSource {
    /// Where the export lies.
    pub fn location(&self) -> &ExportLocation {
        match &self.cloud {
            RawCloud::S3(_, grant) => &grant.location,
            RawCloud::Gcs(_, grant) => &grant.location,
        }
    }

    /// How long the credentials live from when they were issued; `None` for ever.
    pub fn lifetime(&self) -> Option<Duration> {
        match &self.cloud {
            RawCloud::S3(_, grant) => grant.lifetime,
            RawCloud::Gcs(_, grant) => grant.lifetime,
        }
    }

    /// The secrets that must stand in nothing that is shown, and the key's public half.
    pub fn secrets(&self) -> Vec<&str> {
        match &self.cloud {
            RawCloud::S3(_, Grant { credentials, .. }) => {
                let session_token = credentials.session_token.as_ref().map(|token| token.expose_secret());
                let pair = [credentials.access_key_id.as_str(), credentials.secret_access_key.expose_secret()];
                pair.into_iter().chain(session_token).collect()
            }
            RawCloud::Gcs(_, grant) => vec![grant.credentials.0.expose_secret()],
        }
    }

    /// Asks once.
    ///
    /// # Errors
    /// Why there is no answer; a refusal is one.
    pub async fn ask(&self, asked: &LookedAt<'_>) -> Result<RawAnswer> {
        let request = match &self.cloud {
            RawCloud::S3(protocol, grant) => protocol.raw_request(grant, asked)?,
            RawCloud::Gcs(protocol, grant) => protocol.raw_request(grant, asked)?,
        };
        let what = match asked {
            LookedAt::Listing { prefix, .. } => format!("LIST {}", printable(prefix)),
            LookedAt::Object { key, .. } => format!("GET {}", printable(key)),
        };
        RawAnswer::ask(&self.client, request, &what, BODY_BYTES_MAX, TIMEOUT).await
    }
}
