//! Carries object_store's requests over the HTTP client that everything here shares.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, header};
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpResponseBody, HttpService,
};
use reqwest::{Client, Response, StatusCode};
use url::Url;

use super::body::{ReceivedBody, SentBody, Stalled};
use super::call::{Call, Operation};
use super::failure::{self, ERROR_BODY_BYTES_MAX};
use super::tried::{Failure, Tried};
use crate::error::{Error, ErrorKind};
use crate::export::Base64;
use crate::net::xml::Element;

/// The longest answer that is read into memory, in bytes: a page of 1,000 keys of 1,024 bytes each,
/// escaped at its worst, fits.
const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;

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
    client: Client,
    stall_timeout: Duration,
}

impl Transport {
    /// A transport over `client`.
    pub fn new(client: Client, stall_timeout: Duration) -> Self {
        Self { client, stall_timeout }
    }

    async fn exchange(&self, call: &Call, request: HttpRequest) -> Tried<HttpResponse> {
        let pieces = Arc::new(AtomicU64::new(0));
        let request = to_reqwest(call, request, &pieces)?;
        let mut response = self.send(call, request, &pieces).await?;
        let (status, headers) = (response.status(), response.headers().clone());
        if !status.is_success() {
            let body = self.read(call, &mut response, ERROR_BODY_BYTES_MAX).await.unwrap_or_default();
            return Err(failure::of_answer(call, status, &headers, &body));
        }
        call.note_crc32c(crc32c(&headers));
        let body = if call.operation.is_streamed() {
            HttpResponseBody::new(ReceivedBody::new(response.into(), self.stall_timeout))
        } else {
            let body = self.read(call, &mut response, ANSWER_BYTES_MAX).await?;
            check_answer(call, status, &headers, &body)?;
            HttpResponseBody::from(body)
        };
        let mut answer = http::Response::new(body);
        *answer.status_mut() = status;
        *answer.headers_mut() = headers;
        Ok(answer)
    }

    /// Sends a request and awaits the head of its answer for as long as its bytes move.
    async fn send(&self, call: &Call, request: reqwest::Request, pieces: &AtomicU64) -> Tried<Response> {
        let timeout = match call.operation {
            operation if operation.is_slow() => SLOW_ANSWER_TIMEOUT,
            operation if operation.sends_bytes() => self.stall_timeout * SEND_STALLS_MAX,
            _ => self.stall_timeout,
        };
        let mut sending = std::pin::pin!(self.client.execute(request));
        loop {
            let pieces_before = pieces.load(Ordering::Relaxed);
            match tokio::time::timeout(timeout, &mut sending).await {
                Ok(Ok(response)) => return Ok(response),
                Ok(Err(cause)) => return Err(failure::no_answer(call, cause.without_url())),
                Err(_) if pieces.load(Ordering::Relaxed) != pieces_before => {}
                Err(_) => return Err(failure::no_answer(call, Stalled(timeout))),
            }
        }
    }

    async fn read(&self, call: &Call, response: &mut Response, bytes_max: usize) -> Tried<Bytes> {
        let mut body = BytesMut::new();
        loop {
            match tokio::time::timeout(self.stall_timeout, response.chunk()).await {
                Err(_) => return Err(failure::no_answer(call, Stalled(self.stall_timeout))),
                Ok(Err(cause)) => return Err(failure::no_answer(call, cause.without_url())),
                Ok(Ok(None)) => return Ok(body.freeze()),
                Ok(Ok(Some(chunk))) if body.len() + chunk.len() > bytes_max => {
                    return Err(failure::unreadable(call, "it is far too long"));
                }
                Ok(Ok(Some(chunk))) => body.extend_from_slice(&chunk),
            }
        }
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

fn to_reqwest(call: &Call, request: HttpRequest, pieces: &Arc<AtomicU64>) -> Tried<reqwest::Request> {
    let (parts, body) = request.into_parts();
    let url = Url::parse(&parts.uri.to_string()).map_err(|_| unsendable(call))?;
    let mut request = reqwest::Request::new(parts.method, url);
    *request.headers_mut() = parts.headers;
    if let Some(bearer) = request.headers_mut().get_mut(header::AUTHORIZATION) {
        bearer.set_sensitive(true);
    }
    if let Some(crc32c) = call.crc32c {
        let value = HeaderValue::from_str(&format!("crc32c={crc32c}")).map_err(|_| unsendable(call))?;
        request.headers_mut().insert(GOOG_HASH, value);
    }
    if body.content_length() > 0 {
        *request.body_mut() = Some(reqwest::Body::wrap(SentBody::new(body, pieces.clone())));
    }
    Ok(request)
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
