//! Credentials for the source that come from the user's own AWS settings instead of the exchange.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials as _, SharedCredentialsProvider};
use jiff::Timestamp;

use super::{AwsCredentials, AwsSettings, Grant, Issuer};
use crate::clock::Clock;
use crate::error::{Error, ErrorKind, Result};
use crate::export::ExportLocation;
use crate::net::{self, NetSettings};

/// Long-lived AWS keys that the vendor's support issued, from a profile or the ambient AWS
/// credentials: a run without the Authentication API (domain.md section 1).
#[derive(Debug)]
pub struct AmbientAwsIssuer {
    provider: SharedCredentialsProvider,
    /// What to do where there are none.
    hint: String,
    location: ExportLocation,
    clock: Arc<Clock>,
}

impl AmbientAwsIssuer {
    /// Takes credentials from the named profile of the user's AWS files, or without a name from
    /// the AWS libraries' default chain. `clock` tells how long they live.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] when that chain has no credentials at all.
    pub async fn load(
        profile: Option<&str>,
        location: ExportLocation,
        net: &NetSettings,
        clock: Arc<Clock>,
    ) -> Result<Self> {
        let settings = AwsSettings::new(profile.map(str::to_owned), "--source-profile", net, clock.clone())?;
        let loaded = settings.load(settings.region_of_roles().await?).await;
        let provider = loaded
            .credentials_provider()
            .ok_or_else(|| Error::new(ErrorKind::Usage, NO_CREDENTIALS).with_hint(settings.hint()))?;
        Ok(Self { provider, hint: settings.hint().into_owned(), location, clock })
    }
}

const NO_CREDENTIALS: &str = "no AWS credentials for the source";

fn no_credentials(cause: &CredentialsError, hint: &str) -> Error {
    let error = net::credentials_failure(cause).within(NO_CREDENTIALS);
    if error.hint().is_some() { error } else { error.with_hint(hint.to_owned()) }
}

/// How long credentials live that end at `expiry`; zero once they have ended.
fn lifetime(expiry: SystemTime, now: Timestamp) -> Duration {
    let left = Timestamp::try_from(expiry).map(|expiry| expiry.duration_since(now));
    // An end beyond all calendars is none that a run lives to see.
    left.map_or(Duration::MAX, |left| Duration::try_from(left).unwrap_or(Duration::ZERO))
}

#[async_trait]
impl Issuer for AmbientAwsIssuer {
    type Credentials = AwsCredentials;

    async fn issue(&self) -> Result<Grant<AwsCredentials>> {
        let credentials =
            self.provider.provide_credentials().await.map_err(|cause| no_credentials(&cause, &self.hint))?;
        let lifetime = credentials.expiry().map(|expiry| lifetime(expiry, self.clock.now()));
        Ok(Grant { credentials: AwsCredentials::of_sdk(&credentials), location: self.location.clone(), lifetime })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_life_is_counted_by_the_given_time() {
        let now = Timestamp::from_second(1_000_000).unwrap();
        let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        assert_eq!(lifetime(at(1_000_060), now), Duration::from_secs(60));
        assert_eq!(lifetime(at(999_999), now), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn the_wall_clock_is_not_read() {
        let ends_at = Timestamp::from_second(1_000_060).unwrap();
        let credentials = aws_credential_types::Credentials::new("id", "key", None, Some(ends_at.into()), "test");
        let issuer = AmbientAwsIssuer {
            provider: SharedCredentialsProvider::new(credentials),
            hint: String::new(),
            location: ExportLocation::of_account("s3", "bucket", crate::export::AccountId::parse("1").unwrap()),
            clock: Arc::new(Clock::starting_at(Timestamp::from_second(1_000_000).unwrap())),
        };
        assert_eq!(issuer.issue().await.unwrap().lifetime, Some(Duration::from_secs(60)));
    }
}
