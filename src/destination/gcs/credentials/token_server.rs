//! One request to a server that gives tokens out, and what its answer means.

use std::time::Duration;

use base64::Engine as _;
use http::{HeaderValue, Method, Request, StatusCode, header};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use url::Url;

use super::token::Bearer;
use crate::error::{Error, ErrorKind, Result};
use crate::export::printable;
use crate::net::{self, HttpClient, RawAnswer, RefusalBody, SentBody};

/// How long an answer may take.
const TOKEN_TIMEOUT: Duration = Duration::from_secs(30);

/// The longest answer that is read into memory, in bytes.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// The answer of OAuth's token endpoints (RFC 6749 section 5.1).
#[derive(Deserialize)]
pub(super) struct TokenAnswer {
    access_token: String,
    expires_in: u64,
    /// The refresh token that takes the place of the one that was used, if any.
    pub refresh_token: Option<String>,
}

impl TokenAnswer {
    /// The token with its life.
    pub fn into_bearer(self) -> Bearer {
        Bearer::new(self.access_token, self.expires_in)
    }
}

/// Asks for a document; `server` names who is asked, `hint` says what to do about a refusal.
///
/// # Errors
/// [`ErrorKind::Unavailable`] where no answer comes, or one that says to come back later;
/// [`ErrorKind::AccessDenied`] for a refusal; [`ErrorKind::Protocol`] for an answer of another form.
pub(super) async fn ask<T: DeserializeOwned>(
    client: &HttpClient,
    request: Request<SentBody>,
    server: &str,
    hint: &'static str,
) -> Result<T> {
    let answer = answer(client, request, server, TOKEN_TIMEOUT).await?;
    if answer.status != StatusCode::OK {
        return Err(refusal(&answer, server, hint));
    }
    // Causes of the JSON reader are left out: they quote what stands in the answer.
    serde_json::from_slice(&answer.body)
        .map_err(|_| Error::new(ErrorKind::Protocol, format!("the answer of {server} holds no token")).with_hint(hint))
}

/// Asks once, and gives the answer whatever it is.
///
/// # Errors
/// [`ErrorKind::Unavailable`] where no answer comes.
pub(super) async fn answer(
    client: &HttpClient,
    request: Request<SentBody>,
    server: &str,
    timeout: Duration,
) -> Result<RawAnswer> {
    RawAnswer::ask(client, request, server, ANSWER_BYTES_MAX, timeout).await
}

/// What an answer means that is no success.
pub(super) fn refusal(answer: &RawAnswer, server: &str, hint: &'static str) -> Error {
    let status = answer.status.as_u16();
    let body = RefusalBody::read(&answer.body);
    let code = if body.code.is_empty() { String::new() } else { format!(" {}", printable(&body.code)) };
    let what = format!("{server} gives no token ({status}{code}){}", body.said());
    match status {
        408 | 429 | 500.. => {
            Error::new(ErrorKind::Unavailable, what).with_retry_after(net::retry_after(&answer.headers))
        }
        300..400 => Error::new(ErrorKind::Protocol, what)
            .with_hint("a token is asked for at the address in the credentials file only, and no redirect is followed"),
        _ => Error::new(ErrorKind::AccessDenied, what).with_hint(hint),
    }
}

/// The address of a server that gets secrets, as a credentials file names it: HTTPS, or this machine.
///
/// # Errors
/// [`ErrorKind::Usage`] for any other.
pub(super) fn secret_url(field: &str, text: &str) -> Result<Url> {
    let url = Url::parse(text).ok().filter(|url| url.scheme() == "https" || net::is_loopback(url));
    url.filter(Url::has_host).ok_or_else(|| {
        let what = format!("the credentials file's `{field}` is no HTTPS address: {}", printable(text));
        Error::new(ErrorKind::Usage, what).with_hint("make the credentials file anew with gcloud")
    })
}

/// A POST of a form.
pub(super) fn post_form(url: &Url, fields: &[(&str, &str)]) -> Result<Request<SentBody>> {
    let form = Url::parse_with_params("http://form/", fields).ok();
    let form = form.as_ref().and_then(Url::query).unwrap_or_default().to_owned();
    post(url, "application/x-www-form-urlencoded", form)
}

/// A POST of a text.
pub(super) fn post(url: &Url, content_type: &'static str, text: String) -> Result<Request<SentBody>> {
    let mut request = net::request(Method::POST, url.as_str(), SentBody::bytes(text))?;
    request.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    Ok(request)
}

/// The value of an `Authorization` header with a name and a secret (RFC 7617).
///
/// # Errors
/// [`ErrorKind::Usage`] for what cannot stand in a header.
pub(super) fn basic(name: &str, secret: &str) -> Result<HeaderValue> {
    let pair = base64::engine::general_purpose::STANDARD.encode(format!("{name}:{secret}"));
    let mut value = HeaderValue::try_from(format!("Basic {pair}"))
        .map_err(|_| Error::new(ErrorKind::Usage, "a client's secret cannot stand in a header"))?;
    value.set_sensitive(true);
    Ok(value)
}
