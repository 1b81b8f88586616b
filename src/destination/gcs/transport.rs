//! Carries object_store's requests over the HTTP client that everything here shares.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use http::{HeaderMap, HeaderValue, Request, StatusCode, header};
use http_body_util::BodyExt as _;
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpResponseBody, HttpService,
};

use super::call::{Call, Operation};
use super::failure::{self, ERROR_BODY_BYTES_MAX};
use super::tried::{Failure, Tried};
use crate::error::{Error, ErrorKind};
use crate::export::Base64;
use crate::net::xml::Element;
use crate::net::{self, PAGE_BYTES_MAX, SentBody, Timeouts};

/// Timeout for the answer to a request that takes minutes by Google's own word.
const SLOW_ANSWER_TIMEOUT: Duration = Duration::from_secs(10 * 60);

/// Number of stall timeouts that may pass while bytes are sent and nothing seems to move: on a slow line the
/// system's own buffer, some megabytes, takes that long to empty.
const SEND_STALLS_MAX: u32 = 3;

const GOOG_HASH: &str = "x-goog-hash";

/// Carries object_store's requests over the pooled client that everything else here uses, adds the
/// checksum of the bytes, and keeps what the answers say in the [`Call`].
///
/// An answer that is no success does not reach object_store: it would forget the status.
#[derive(Clone)]
pub(super) struct Transport {
    client: net::HttpClient,
    stall_timeout: Duration,
}

impl Transport {
    /// A transport over `client`.
    pub fn new(client: net::HttpClient, stall_timeout: Duration) -> Self {
        Self { client, stall_timeout }
    }

    async fn exchange(&self, call: &Call, request: HttpRequest) -> Tried<HttpResponse> {
        let sent = self.client.send(to_sent(call, request)?, self.timeouts(call.operation)).await;
        let (parts, mut body) = sent.map_err(|cause| failure::no_answer(call, cause))?.into_parts();
        if !parts.status.is_success() {
            let body = body.first_bytes(ERROR_BODY_BYTES_MAX).await.unwrap_or_default();
            return Err(failure::of_answer(call, parts.status, &parts.headers, &body));
        }
        call.note_crc32c(crc32c(&parts.headers));
        let body = if call.operation.is_streamed() {
            HttpResponseBody::new(body.map_err(|cause| HttpError::new(HttpErrorKind::Interrupted, cause)))
        } else {
            let body = body.bytes(PAGE_BYTES_MAX).await.map_err(|cause| failure::no_answer(call, cause))?;
            let body = body.ok_or_else(|| failure::unreadable(call, "it is far too long"))?;
            check_answer(call, parts.status, &parts.headers, &body)?;
            HttpResponseBody::from(body)
        };
        Ok(http::Response::from_parts(parts, body))
    }

    fn timeouts(&self, operation: Operation) -> Timeouts {
        let sending = match operation {
            operation if operation.is_slow() => SLOW_ANSWER_TIMEOUT,
            operation if operation.sends_bytes() => self.stall_timeout * SEND_STALLS_MAX,
            _ => self.stall_timeout,
        };
        Timeouts { send: sending, answer: sending, receive: self.stall_timeout }
    }
}

impl fmt::Debug for Transport {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Transport(..)")
    }
}

impl HttpConnector for Transport {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.clone()))
    }
}

#[async_trait]
impl HttpService for Transport {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let call = Call::current().ok_or_else(|| HttpError::new(HttpErrorKind::Unknown, Noted))?;
        self.exchange(&call, request).await.map_err(|failure| {
            call.note_failure(failure);
            HttpError::new(HttpErrorKind::Unknown, Noted)
        })
    }
}

/// Stands for a failure that is kept in the [`Call`].
#[derive(Debug)]
pub(super) struct Noted;

impl fmt::Display for Noted {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the request failed")
    }
}

impl std::error::Error for Noted {}

fn to_sent(call: &Call, request: HttpRequest) -> Tried<Request<SentBody>> {
    let (mut parts, body) = request.into_parts();
    if let Some(bearer) = parts.headers.get_mut(header::AUTHORIZATION) {
        bearer.set_sensitive(true);
    }
    if let Some(crc32c) = call.crc32c {
        let value = HeaderValue::from_str(&format!("crc32c={crc32c}")).map_err(|_| unsendable(call))?;
        parts.headers.insert(GOOG_HASH, value);
    }
    let body = if body.content_length() > 0 { SentBody::of(body) } else { SentBody::empty() };
    Ok(Request::from_parts(parts, body))
}

fn unsendable(call: &Call) -> Failure {
    Error::new(ErrorKind::Internal, format!("{} gives no request", call.what())).into()
}

/// The CRC-32C among an answer's hashes: `crc32c=n03x6A==,md5=...`, in one header or several.
fn crc32c(headers: &HeaderMap) -> Option<Base64<4>> {
    let values = headers.get_all(GOOG_HASH).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).find_map(|hash| Base64::parse(hash.trim().strip_prefix("crc32c=")?))
}

/// Looks at a success on which the server worked for long. Its body may be an error after all. And
/// object_store takes any success for a copy, while a server that does not know `x-goog-copy-source`
/// stores an empty object instead.
fn check_answer(call: &Call, status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Tried<()> {
    if !call.operation.is_slow() {
        return Ok(());
    }
    let root = Element::parse(body);
    match root.as_ref().map(Element::name) {
        Some("Error") => Err(failure::of_answer(call, status, headers, body)),
        Some("CopyObjectResult") => Ok(()),
        _ if call.operation == Operation::Copy => {
            Err(failure::unreadable(call, "it does not say that anything was copied"))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_found_among_the_hashes() {
        let found = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(GOOG_HASH, value.parse().unwrap());
            }
            crc32c(&headers).map(|crc32c| crc32c.to_string())
        };
        assert_eq!(found(&["crc32c=n03x6A==,md5=Ojk9c3dhfxgoKVVHYwFbHQ=="]).as_deref(), Some("n03x6A=="));
        assert_eq!(found(&["md5=Ojk9c3dhfxgoKVVHYwFbHQ==", "crc32c=n03x6A=="]).as_deref(), Some("n03x6A=="));
        assert_eq!(found(&["crc32c=AAAAAAAAAAE="]), None);
        assert_eq!(found(&[]), None);
    }
}
