//! The exchange of the token for credentials at S3.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use http::HeaderMap;
use serde_json::Value;

use super::expiration::{self, Expiration};
use super::{Exchange, ExchangeSettings};
use crate::clock::Clock;
use crate::credentials::{AwsCredentials, Grant, Issuer, well_formed};
use crate::error::Result;
use crate::export::ExportLocation;
use crate::net::{self, HttpClient, RawAnswer};
use crate::progress::{Counters, Event, Observer};

/// The life that is counted with where the answer tells one that cannot be: the least that can be asked for.
const CAUTIOUS_LIFETIME: Duration = Duration::from_secs(15 * 60);

/// A longer life than this is none that the API gives: one hour is its longest (domain.md section 1).
const LIFETIME_MAX: Duration = Duration::from_secs(24 * 3600);

/// The exchange for AWS: `GET /v2/export/credentials` (domain.md section 1).
pub struct AwsExchange {
    exchange: Exchange,
    /// Is told of an answer that says odd things.
    observer: Option<Arc<dyn Observer>>,
}

impl AwsExchange {
    /// An exchange that sets `clock` right by the API's own.
    pub fn new(settings: ExchangeSettings, client: HttpClient, clock: Arc<Clock>, counters: Arc<Counters>) -> Self {
        let exchange = Exchange { settings, path: "v2/export/credentials", client, clock, counters };
        Self { exchange, observer: None }
    }

    /// The same exchange, which tells `observer` of an answer that says odd things.
    #[must_use]
    pub fn telling(self, observer: Arc<dyn Observer>) -> Self {
        Self { observer: Some(observer), ..self }
    }

    fn location(&self, s3_path: &str) -> Result<ExportLocation> {
        let location = ExportLocation::parse("s3", s3_path)
            .map_err(|error| error.within(format_args!("the answer of /{}", self.exchange.path)))?;
        self.exchange.expect(location)
    }

    /// The API's answer as it came, for whoever looks at its form.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Usage`] for a token that is none; why there is no answer.
    pub(crate) async fn raw(&self) -> Result<RawAnswer> {
        self.exchange.raw().await
    }

    /// The credentials' life: their end minus the server's own time, so that a wrong clock on this
    /// machine does not matter.
    fn lifetime(&self, expiration: &Value, headers: &HeaderMap) -> Result<Duration> {
        let now = net::server_time(headers).unwrap_or_else(|| self.exchange.clock.now());
        let Some(Expiration(ends_at)) = expiration::read(expiration) else {
            return Err(self.exchange.malformed(expiration::PATH, expiration, "a time in milliseconds"));
        };
        match Duration::try_from(ends_at.duration_since(now)) {
            Ok(lifetime) if lifetime > LIFETIME_MAX => {
                if let Some(observer) = &self.observer {
                    let message = &format!(
                        "the vendor says that its credentials end at {ends_at:.0}, which is far away; they are renewed after a quarter of an hour instead"
                    );
                    observer.observe(&Event::Warning { message });
                }
                Ok(CAUTIOUS_LIFETIME)
            }
            Ok(lifetime) if !lifetime.is_zero() => Ok(lifetime),
            _ => Err(self.exchange.unusable(&format!(
                "the credentials have ended already: at {ends_at:.0}, and it is {now:.0} by the server's clock"
            ))),
        }
    }
}

#[async_trait]
impl Issuer for AwsExchange {
    type Credentials = AwsCredentials;

    async fn issue(&self) -> Result<Grant<AwsCredentials>> {
        let exchange = &self.exchange;
        let asked_for = exchange.settings.duration_minutes.map(|minutes| format!("{minutes}m"));
        let query = asked_for.as_deref().map(|duration| ("duration", duration));
        let (headers, body) = exchange.ask(query).await?;
        let answer = exchange.document(&body)?;
        let expiration = answer.pointer(expiration::PATH).unwrap_or(&Value::Null);
        let credentials = AwsCredentials {
            access_key_id: exchange.text(&answer, "/credentials/accessKeyId")?.to_owned(),
            secret_access_key: exchange.secret(&answer, "/credentials/secretAccessKey")?,
            session_token: Some(exchange.secret(&answer, "/credentials/sessionToken")?),
        };
        well_formed::check_aws(&credentials, &exchange.origin()).map_err(well_formed::of_server)?;
        Ok(Grant {
            credentials,
            lifetime: Some(self.lifetime(expiration, &headers)?),
            location: self.location(exchange.text(&answer, "/s3Path")?)?,
        })
    }
}
