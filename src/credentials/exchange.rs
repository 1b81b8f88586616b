use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use http::{HeaderMap, StatusCode};
use jiff::Timestamp;
use reqwest::{Client, Response, Url};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;

use super::{AwsCredentials, Grant, Issuer, S3_BUCKET, TokenSource};
use crate::clock::Clock;
use crate::error::{Error, ErrorKind, Result};
use crate::export::{AccountId, ExportLocation, printable};
use crate::net;
use crate::progress::Counters;

/// The longest answer that is read, in bytes; a real one has about two thousand.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// The whole exchange may take this long.
const EXCHANGE_TIMEOUT: Duration = Duration::from_secs(60);

/// The pause after 429 and 503 where the answer asks for none (domain.md section 1).
const THROTTLED_PAUSE: Duration = Duration::from_secs(60);

/// How the Authentication API is asked.
#[derive(Clone, Debug)]
pub struct ExchangeSettings {
    /// The API's base address.
    pub api_url: Url,
    /// Where the token comes from.
    pub token: TokenSource,
    /// The life that is asked for, in whole minutes from 15 to 60; one hour by default.
    pub duration_minutes: Option<u8>,
    /// The account that the answer must be for, where the user named one.
    pub account_id: Option<AccountId>,
    /// The bucket that the answer must name, where the user named another than the documented one.
    pub bucket: Option<String>,
}

/// The exchange for AWS: `GET /v2/export/credentials` (domain.md section 1).
pub struct AwsExchange {
    settings: ExchangeSettings,
    client: Client,
    clock: Arc<Clock>,
    counters: Arc<Counters>,
}

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

/// The documented error body; other bodies occur.
#[derive(Default, Deserialize)]
#[serde(default)]
struct ErrorAnswer {
    message: Option<String>,
    uuid: Option<String>,
}

impl AwsExchange {
    /// The path below the API's base address.
    const PATH: &str = "v2/export/credentials";

    /// An exchange that sets `clock` right by the API's own.
    pub fn new(settings: ExchangeSettings, client: Client, clock: Arc<Clock>, counters: Arc<Counters>) -> Self {
        Self { settings, client, clock, counters }
    }

    fn url(&self) -> Url {
        let mut url = self.settings.api_url.clone();
        let base = url.path().trim_end_matches('/').to_owned();
        url.set_path(&format!("{base}/{}", Self::PATH));
        if let Some(minutes) = self.settings.duration_minutes {
            url.query_pairs_mut().append_pair("duration", &format!("{minutes}m"));
        }
        url
    }

    async fn request(&self) -> Result<(HeaderMap, Vec<u8>)> {
        let token = self.settings.token.read().await?;
        self.counters.exchange_requests.add(1);
        let response = self
            .client
            .get(self.url())
            .bearer_auth(token.expose_secret())
            .timeout(EXCHANGE_TIMEOUT)
            .send()
            .await
            .map_err(unreachable_api)?;
        let (status, headers) = (response.status(), response.headers().clone());
        let body = bounded_body(response).await;
        if status == StatusCode::OK {
            Ok((headers, body?))
        } else {
            Err(refusal(status, &headers, &body.unwrap_or_default()))
        }
    }

    fn location(&self, s3_path: &str) -> Result<ExportLocation> {
        let location = ExportLocation::parse("s3", s3_path).map_err(|error| error.within(from_the_api()))?;
        let bucket = self.settings.bucket.as_deref().unwrap_or(S3_BUCKET);
        if location.bucket != bucket {
            return Err(Error::new(
                ErrorKind::Protocol,
                format!(
                    "{}: the export is said to be in bucket `{}`, not in `{bucket}`",
                    from_the_api(),
                    location.bucket
                ),
            )
            .with_hint("if the vendor really moved the data, name the new bucket with --source-bucket"));
        }
        match &self.settings.account_id {
            Some(account_id) if *account_id != location.account_id => Err(Error::new(
                ErrorKind::Usage,
                format!("the token belongs to account {}, not to {account_id}", location.account_id),
            )
            .with_hint("use a token of the account that --account-id names, or leave --account-id out")),
            _ => Ok(location),
        }
    }

    /// The credentials' life: their end minus the server's own time, so that a wrong clock on this
    /// machine does not matter.
    fn lifetime(&self, expiration_ms: i64, headers: &HeaderMap) -> Result<Duration> {
        let now = net::server_time(headers).unwrap_or_else(|| self.clock.now());
        Timestamp::from_millisecond(expiration_ms)
            .ok()
            .and_then(|expiration| Duration::try_from(expiration.duration_since(now)).ok())
            .filter(|lifetime| !lifetime.is_zero())
            .ok_or_else(|| unusable("the credentials have ended already"))
    }
}

#[async_trait]
impl Issuer for AwsExchange {
    type Credentials = AwsCredentials;

    async fn issue(&self) -> Result<Grant<AwsCredentials>> {
        let (headers, body) = self.request().await?;
        let answer: Answer = serde_json::from_slice(&body).map_err(|_| unusable("it is not the documented JSON"))?;
        if let Some(server_time) = net::server_time(&headers) {
            self.clock.correct(server_time);
        }
        let lifetime = self.lifetime(answer.credentials.expiration, &headers)?;
        Ok(Grant {
            location: self.location(&answer.s3_path)?,
            credentials: AwsCredentials {
                access_key_id: answer.credentials.access_key_id,
                secret_access_key: answer.credentials.secret_access_key,
                session_token: Some(answer.credentials.session_token),
            },
            lifetime: Some(lifetime),
        })
    }
}

async fn bounded_body(mut response: Response) -> Result<Vec<u8>> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(unreachable_api)? {
        body.extend_from_slice(&chunk);
        if body.len() > ANSWER_BYTES_MAX {
            return Err(unusable("it is far too long"));
        }
    }
    Ok(body)
}

fn from_the_api() -> String {
    format!("the answer of /{}", AwsExchange::PATH)
}

fn unreachable_api(cause: reqwest::Error) -> Error {
    net::connection_error(format!("no answer from /{}", AwsExchange::PATH), cause)
        .with_kind(ErrorKind::ExchangeUnavailable)
        .with_hint("check the network and --api-url; the vendor's status page tells of outages")
}

fn unusable(reason: &str) -> Error {
    Error::new(ErrorKind::ExchangeUnavailable, format!("{} cannot be used: {reason}", from_the_api())).with_hint(
        "something between this machine and the vendor may have answered instead of it: a proxy, a login page",
    )
}

/// The meaning of an answer that is not 200.
fn refusal(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Error {
    let answer: ErrorAnswer = serde_json::from_slice(body).unwrap_or_default();
    let mut context = format!("{} from /{}", status.as_u16(), AwsExchange::PATH);
    if let Some(uuid) = answer.uuid.filter(|uuid| uuid.len() <= 100) {
        context = format!("{context}, reference {}", printable(&uuid));
    }
    let message = answer.message.filter(|message| message.len() <= 500).unwrap_or_default();
    let said = if message.is_empty() { String::new() } else { format!(": {}", printable(&message)) };
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            Error::new(ErrorKind::TokenRefused, format!("the vendor refused the token ({context}){said}")).with_hint(
                "a revoked token never works again. Create one under Profile > API Access, check that OPTIMIZELY_API_TOKEN is this account's, and that the account's plan has the export",
            )
        }
        StatusCode::TOO_MANY_REQUESTS => temporary(&context, &said).with_retry_after(Some(pause(headers))),
        StatusCode::SERVICE_UNAVAILABLE => temporary(&context, &said).with_retry_after(Some(pause(headers))),
        status if status.is_server_error() => temporary(&context, &said).with_retry_after(net::retry_after(headers)),
        status if status.is_redirection() => {
            Error::new(ErrorKind::Protocol, format!("the Authentication API redirects elsewhere ({context})"))
                .with_hint("the token is sent to one host only; if the API has moved, name its new address with --api-url")
        }
        _ => Error::new(ErrorKind::Protocol, format!("the Authentication API refused the request ({context}){said}"))
            .with_hint("check --api-url and --credential-minutes"),
    }
}

fn temporary(context: &str, said: &str) -> Error {
    Error::new(ErrorKind::ExchangeUnavailable, format!("the Authentication API is not available ({context}){said}"))
        .with_hint("the vendor's status page tells of outages; run again later")
}

fn pause(headers: &HeaderMap) -> Duration {
    net::retry_after(headers).unwrap_or(THROTTLED_PAUSE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_vendors_reference_is_shown_and_foreign_bodies_do_no_harm() {
        let body = br#"{"code":"unauthorized","message":"Token revoked","messages":{},"uuid":"3f6c"}"#;
        let error = refusal(StatusCode::UNAUTHORIZED, &HeaderMap::new(), body);
        assert_eq!(
            error.to_string(),
            "the vendor refused the token (401 from /v2/export/credentials, reference 3f6c): Token revoked"
        );
        for body in [&b""[..], b"<html>", br#"{"message":7}"#] {
            let error = refusal(StatusCode::BAD_GATEWAY, &HeaderMap::new(), body);
            assert_eq!(error.kind(), ErrorKind::ExchangeUnavailable);
        }
    }

    #[test]
    fn throttling_without_a_pause_waits_a_minute() {
        let error = refusal(StatusCode::TOO_MANY_REQUESTS, &HeaderMap::new(), b"");
        assert_eq!(error.retry_after(), Some(Duration::from_secs(60)));
    }
}
