use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use http::HeaderMap;
use jiff::Timestamp;
use reqwest::Client;
use secrecy::SecretString;
use serde::Deserialize;

use super::{Exchange, ExchangeSettings};
use crate::clock::Clock;
use crate::credentials::{AwsCredentials, Grant, Issuer, S3_BUCKET, well_formed};
use crate::error::Result;
use crate::export::ExportLocation;
use crate::net::{self, RawAnswer};
use crate::progress::Counters;

/// The exchange for AWS: `GET /v2/export/credentials` (domain.md section 1).
pub struct AwsExchange(Exchange);

#[derive(Deserialize)]
struct Answer {
    credentials: AnswerCredentials,
    #[serde(rename = "s3Path")]
    s3_path: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AnswerCredentials {
    access_key_id: String,
    secret_access_key: SecretString,
    session_token: SecretString,
    expiration: i64,
}

impl AwsExchange {
    /// An exchange that sets `clock` right by the API's own.
    pub fn new(settings: ExchangeSettings, client: Client, clock: Arc<Clock>, counters: Arc<Counters>) -> Self {
        Self(Exchange { settings, path: "v2/export/credentials", client, clock, counters })
    }

    fn location(&self, s3_path: &str) -> Result<ExportLocation> {
        let location = ExportLocation::parse("s3", s3_path)
            .map_err(|error| error.within(format_args!("the answer of /{}", self.0.path)))?;
        self.0.expect(location, S3_BUCKET)
    }

    /// The API's answer as it came, for whoever looks at its form.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Usage`] for a token that is none; why there is no answer.
    pub(crate) async fn raw(&self) -> Result<RawAnswer> {
        self.0.raw().await
    }

    /// The credentials' life: their end minus the server's own time, so that a wrong clock on this
    /// machine does not matter.
    fn lifetime(&self, expiration_ms: i64, headers: &HeaderMap) -> Result<Duration> {
        let now = net::server_time(headers).unwrap_or_else(|| self.0.clock.now());
        Timestamp::from_millisecond(expiration_ms)
            .ok()
            .and_then(|expiration| Duration::try_from(expiration.duration_since(now)).ok())
            .filter(|lifetime| !lifetime.is_zero())
            .ok_or_else(|| self.0.unusable("the credentials have ended already"))
    }
}

#[async_trait]
impl Issuer for AwsExchange {
    type Credentials = AwsCredentials;

    async fn issue(&self) -> Result<Grant<AwsCredentials>> {
        let asked_for = self.0.settings.duration_minutes.map(|minutes| format!("{minutes}m"));
        let query = asked_for.as_deref().map(|duration| ("duration", duration));
        let (headers, body) = self.0.ask(query).await?;
        let answer: Answer =
            serde_json::from_slice(&body).map_err(|_| self.0.unusable("it is not the documented JSON"))?;
        let lifetime = self.lifetime(answer.credentials.expiration, &headers)?;
        let credentials = AwsCredentials {
            access_key_id: answer.credentials.access_key_id,
            secret_access_key: answer.credentials.secret_access_key,
            session_token: Some(answer.credentials.session_token),
        };
        well_formed::check_aws(&credentials, &self.0.origin()).map_err(well_formed::of_server)?;
        Ok(Grant { location: self.location(&answer.s3_path)?, credentials, lifetime: Some(lifetime) })
    }
}
