//! The vendor's Authentication API (domain.md section 1).

mod aws;
mod expiration;
mod gcp;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode, header};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use url::Url;

pub use aws::AwsExchange;
pub use gcp::GcpExchange;

use super::{GCS_BUCKET_PREFIX, S3_BUCKET, TokenSource};
use crate::clock::Clock;
use crate::error::{Error, ErrorKind, Result};
use crate::export::{AccountId, ExportLocation, printable};
use crate::net::{self, HttpClient, HttpError, RawAnswer, RefusalBody, SentBody, Timeouts};
use crate::progress::Counters;

/// The longest answer that is read, in bytes; a real one has about two thousand.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// The whole exchange may take this long.
const EXCHANGE_TIMEOUT: Duration = Duration::from_secs(60);

/// The pause after 429 and 503 where the answer asks for none (domain.md section 1).
const THROTTLED_PAUSE: Duration = Duration::from_secs(60);

/// The base address of the vendor's Authentication API (domain.md section 1).
pub const API_URL: &str = "https://api.optimizely.com";

/// How the Authentication API is asked.
#[derive(Clone, Debug)]
pub struct ExchangeSettings {
    /// The API's base address.
    pub api_url: Url,
    /// Where the token comes from.
    pub token: TokenSource,
    /// The life that is asked for, in whole minutes from 15 to 60; one hour by default. Google's
    /// tokens always live one hour.
    pub duration_minutes: Option<u8>,
    /// The account that the answer must be for, where the user named one.
    pub account_id: Option<AccountId>,
    /// The bucket that the answer must name, where the user named another than the documented one.
    pub bucket: Option<String>,
}

impl ExchangeSettings {
    /// The vendor's API, asked with this token.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`] if the vendor's address were no URL.
    pub fn new(token: impl Into<TokenSource>) -> Result<Self> {
        let api_url =
            Url::parse(API_URL).map_err(|_| Error::new(ErrorKind::Internal, "the vendor's address is no URL"))?;
        Ok(Self { api_url, token: token.into(), duration_minutes: None, account_id: None, bucket: None })
    }
}

/// The part of an exchange that is the same for both clouds.
struct Exchange {
    settings: ExchangeSettings,
    /// The path below the API's base address.
    path: &'static str,
    client: HttpClient,
    clock: Arc<Clock>,
    counters: Arc<Counters>,
}

impl Exchange {
    fn url(&self, query: Option<(&str, &str)>) -> Url {
        let mut url = self.settings.api_url.clone();
        let base = url.path().trim_end_matches('/').to_owned();
        url.set_path(&format!("{base}/{}", self.path));
        if let Some((name, value)) = query {
            url.query_pairs_mut().append_pair(name, value);
        }
        url
    }

    /// Asks once, and gives the answer whatever it is.
    async fn raw(&self) -> Result<RawAnswer> {
        let token = self.settings.token.read(&self.clock).await?;
        self.counters.exchange_requests.add(1);
        let request = self.request(&token, None)?;
        RawAnswer::ask(&self.client, request, &format!("GET /{}", self.path), ANSWER_BYTES_MAX, EXCHANGE_TIMEOUT).await
    }

    /// Asks, and sets the clock right by the answer. An access token that is refused before its end is
    /// replaced once.
    async fn ask(&self, query: Option<(&str, &str)>) -> Result<(HeaderMap, Bytes)> {
        let token = self.settings.token.read(&self.clock).await?;
        match self.ask_with(&token, query).await {
            Err(error) if error.kind() == ErrorKind::TokenRefused && self.settings.token.refuse(&token).await => {
                let token = self.settings.token.read(&self.clock).await?;
                self.ask_with(&token, query).await
            }
            answered => answered,
        }
    }

    async fn ask_with(&self, token: &SecretString, query: Option<(&str, &str)>) -> Result<(HeaderMap, Bytes)> {
        self.counters.exchange_requests.add(1);
        let asking = self.exchange(self.request(token, query)?);
        let (status, headers, body) = match tokio::time::timeout(EXCHANGE_TIMEOUT, asking).await {
            Ok(answered) => answered?,
            Err(_) => {
                return Err(self.outage(Error::new(
                    ErrorKind::Unavailable,
                    format!("no whole answer from /{} within {EXCHANGE_TIMEOUT:?}", self.path),
                )));
            }
        };
        if status != StatusCode::OK {
            return Err(refusal(self.path, status, &headers, &body.unwrap_or_default()));
        }
        let body = body?;
        if let Some(server_time) = net::server_time(&headers) {
            self.clock.correct(server_time);
        }
        Ok((headers, body))
    }

    fn request(&self, token: &SecretString, query: Option<(&str, &str)>) -> Result<Request<SentBody>> {
        let mut request = net::request(Method::GET, self.url(query).as_str(), SentBody::empty())?;
        request.headers_mut().insert(header::AUTHORIZATION, net::bearer(token.expose_secret())?);
        Ok(request)
    }

    /// The head of the answer, and its body where that is one.
    async fn exchange(&self, request: Request<SentBody>) -> Result<(StatusCode, HeaderMap, Result<Bytes>)> {
        let answer = self.client.send(request, Timeouts::all(EXCHANGE_TIMEOUT)).await;
        let (parts, mut body) = answer.map_err(|cause| self.unreachable(cause))?.into_parts();
        let body = match body.bytes(ANSWER_BYTES_MAX).await {
            Ok(Some(body)) => Ok(body),
            Ok(None) => Err(self.unusable("it is far too long")),
            Err(cause) => Err(self.unreachable(cause)),
        };
        Ok((parts.status, parts.headers, body))
    }

    /// The location, once it is one of the vendor's, or the one that the user named.
    fn expect(&self, location: ExportLocation) -> Result<ExportLocation> {
        let bucket = &location.bucket;
        let is_expected = match &self.settings.bucket {
            Some(named) => named == bucket,
            None => is_vendors(&location),
        };
        if !is_expected {
            let expected = self.settings.bucket.as_deref();
            let expected = expected.map_or("none of the vendor's".to_owned(), |named| format!("not `{named}`"));
            return Err(Error::new(
                ErrorKind::Protocol,
                format!("the answer of /{}: the export is said to be in bucket `{bucket}`, {expected}", self.path),
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

    /// The answer as JSON; what is no JSON may be a page of something in between.
    fn document(&self, body: &[u8]) -> Result<Value> {
        serde_json::from_slice(body).map_err(|_| self.unusable("it is not the documented JSON"))
    }

    /// A field of the answer that must be a text.
    fn text<'a>(&self, document: &'a Value, path: &str) -> Result<&'a str> {
        let field = document.pointer(path).unwrap_or(&Value::Null);
        field.as_str().filter(|text| !text.is_empty()).ok_or_else(|| self.malformed(path, field, "a text"))
    }

    fn secret(&self, document: &Value, path: &str) -> Result<SecretString> {
        self.text(document, path).map(SecretString::from)
    }

    /// The failure of an answer with a field of another form than documented; says its form, never its value.
    fn malformed(&self, path: &str, field: &Value, expected: &str) -> Error {
        let found = match field {
            Value::Null => "missing",
            Value::Bool(_) => "true or false",
            Value::Number(_) => "a number",
            Value::String(text) if text.is_empty() => "empty",
            Value::String(_) => "a text",
            Value::Array(_) => "a list",
            Value::Object(_) => "an object",
        };
        let name = path.trim_start_matches('/').replace('/', ".");
        Error::new(
            ErrorKind::ExchangeMalformed,
            format!("the answer of /{} cannot be used: `{name}` is {found}, and {expected} is expected", self.path),
        )
        .with_hint("the API may have changed: see whether there is a newer e3sync, and show this message to its maintainers (e3sync doctor --bundle FILE)")
    }

    fn unreachable(&self, cause: HttpError) -> Error {
        self.outage(net::connection_error(format!("no answer from /{}", self.path), cause))
    }

    fn outage(&self, error: Error) -> Error {
        let hint = "check the network and --api-url; the vendor's status page tells of outages";
        error.as_outage(ErrorKind::ExchangeUnavailable, hint)
    }

    /// Where the parts of an answer are said to come from.
    fn origin(&self) -> String {
        format!("the answer of /{}", self.path)
    }

    fn unusable(&self, reason: &str) -> Error {
        Error::new(ErrorKind::ExchangeUnavailable, format!("the answer of /{} cannot be used: {reason}", self.path))
            .with_hint(
                "something between this machine and the vendor may have answered instead of it: a proxy, a login page",
            )
    }
}

/// Whether a bucket is called as the vendor's are (domain.md section 2). A number at the end of the name is
/// an account's, and then it must be this one's.
fn is_vendors(location: &ExportLocation) -> bool {
    let name = location.bucket.as_str();
    let at_s3 = || {
        name.strip_prefix(S3_BUCKET).filter(|rest| location.scheme == "s3" && !rest.starts_with(char::is_alphanumeric))
    };
    let Some(rest) = name.strip_prefix(GCS_BUCKET_PREFIX).or_else(at_s3) else { return false };
    rest.split(['-', '_', '.']).all(|word| {
        let is_number = !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit());
        !is_number || word == location.account_id.as_str()
    })
}

/// The meaning of an answer that is not 200.
fn refusal(path: &str, status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Error {
    let is_documented = is_documented_refusal(body);
    let body = RefusalBody::read(body);
    let mut context = format!("{} from /{path}", status.as_u16());
    if !body.reference.is_empty() {
        context = format!("{context}, reference {}", printable(&body.reference));
    }
    let said = body.said();
    match status {
        StatusCode::FORBIDDEN if !is_documented => {
            Error::new(ErrorKind::ExchangeUnavailable, format!("something refused the request for credentials ({context}){said}"))
                .with_hint("the answer is not the vendor's own: a gateway, a firewall or a limit of requests may have given it. If it stays, check the proxy and --api-url, and ask the vendor's support whether this machine's address may call the API")
                .with_retry_after(net::retry_after(headers))
        }
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            Error::new(ErrorKind::TokenRefused, format!("the vendor refused the token ({context}){said}")).with_hint(
                "a revoked token never works again. Create one under Profile > API Access, check that OPTIMIZELY_API_TOKEN is this account's, and that the account's plan has the export",
            )
        }
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
            temporary(&context, &said).with_retry_after(Some(net::retry_after(headers).unwrap_or(THROTTLED_PAUSE)))
        }
        status if status.is_server_error() => temporary(&context, &said).with_retry_after(net::retry_after(headers)),
        status if status.is_redirection() => {
            Error::new(ErrorKind::Protocol, format!("the Authentication API redirects elsewhere ({context})"))
                .with_hint("the token is sent to one host only; if the API has moved, name its new address with --api-url")
        }
        StatusCode::NOT_FOUND => {
            Error::new(ErrorKind::AccessDenied, format!("the account has no export in this cloud ({context}){said}"))
                .with_hint("try the other cloud with --source, and check --api-url")
        }
        _ => Error::new(ErrorKind::Protocol, format!("the Authentication API refused the request ({context}){said}"))
            .with_hint("check --api-url and --credential-minutes"),
    }
}

/// Whether a body is the error that the Authentication API documents: `code`, `message`, and `messages` or
/// the reference `uuid` (domain.md section 1). A gateway's JSON has a `message` at most.
fn is_documented_refusal(body: &[u8]) -> bool {
    let Ok(body) = serde_json::from_slice::<Value>(body) else { return false };
    body["code"].is_string()
        && body["message"].is_string()
        && (body["uuid"].is_string() || body["messages"].is_object())
}

fn temporary(context: &str, said: &str) -> Error {
    Error::new(ErrorKind::ExchangeUnavailable, format!("the Authentication API is not available ({context}){said}"))
        .with_hint("the vendor's status page tells of outages; run again later")
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATH: &str = "v2/export/credentials";

    #[test]
    fn the_vendors_reference_is_shown_and_foreign_bodies_do_no_harm() {
        let body = br#"{"code":"unauthorized","message":"Token revoked","messages":{},"uuid":"3f6c"}"#;
        let error = refusal(PATH, StatusCode::UNAUTHORIZED, &HeaderMap::new(), body);
        assert_eq!(
            error.to_string(),
            "the vendor refused the token (401 from /v2/export/credentials, reference 3f6c): Token revoked"
        );
        for body in [&b""[..], b"<html>", br#"{"message":7}"#] {
            let error = refusal(PATH, StatusCode::BAD_GATEWAY, &HeaderMap::new(), body);
            assert_eq!(error.kind(), ErrorKind::ExchangeUnavailable);
        }
    }

    #[test]
    fn only_the_vendors_own_refusal_is_one_of_the_token() {
        let kind = |status, body: &str| refusal(PATH, status, &HeaderMap::new(), body.as_bytes()).kind();
        let own = r#"{"code":"forbidden","message":"no","messages":{},"uuid":"3f6c"}"#;
        assert_eq!(kind(StatusCode::FORBIDDEN, own), ErrorKind::TokenRefused);
        assert_eq!(kind(StatusCode::UNAUTHORIZED, "<html>"), ErrorKind::TokenRefused);
        for foreign in ["", "<html><title>403</title>", r#"{"message":"Forbidden"}"#, r#"{"code":1020,"message":"x"}"#]
        {
            assert_eq!(kind(StatusCode::FORBIDDEN, foreign), ErrorKind::ExchangeUnavailable, "{foreign}");
            let error = refusal(PATH, StatusCode::FORBIDDEN, &HeaderMap::new(), foreign.as_bytes());
            assert!(!error.hint().unwrap().contains("revoked"));
        }
    }

    #[test]
    fn a_bucket_of_the_vendors_agrees_with_the_account() {
        let is_vendors = |scheme, bucket: &str, id| {
            let account_id = AccountId::parse(id).unwrap();
            super::is_vendors(&ExportLocation::of_account(scheme, bucket, account_id))
        };
        for bucket in ["optimizely-e3-123", "optimizely-e3-eu-123", "optimizely-e3-europe", "optimizely-e3-123-eu"] {
            assert!(is_vendors("gs", bucket, "123") && is_vendors("s3", bucket, "123"), "{bucket}");
        }
        assert!(
            is_vendors("s3", "optimizely-events-data", "123") && is_vendors("s3", "optimizely-events-data-eu", "1")
        );
        for bucket in ["optimizely-e3-123", "optimizely-e3-eu-123", "optimizely-e3-123.eu"] {
            assert!(!is_vendors("gs", bucket, "12") && !is_vendors("gs", bucket, "1234"), "{bucket}");
        }
        for bucket in ["optimizely-events-database", "evil-optimizely-e3-123", "optimizely-e4-123"] {
            assert!(!is_vendors("s3", bucket, "123"), "{bucket}");
        }
        assert!(!is_vendors("gs", "optimizely-events-data", "123"));
    }

    #[test]
    fn throttling_without_a_pause_waits_a_minute() {
        let error = refusal(PATH, StatusCode::TOO_MANY_REQUESTS, &HeaderMap::new(), b"");
        assert_eq!(error.retry_after(), Some(Duration::from_secs(60)));
    }
}
