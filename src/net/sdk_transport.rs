//! Carries the S3 SDK's requests over the HTTP client that everything here shares.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use aws_sdk_s3::config::RuntimeComponents;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use http::{HeaderValue, Method, StatusCode, header};

use super::http_error::HttpError;
use super::{ANSWER_TIMEOUT, Answer, PAGE_BYTES_MAX, SentBody, Timeouts, client};

/// A client's own limit on connecting may be reached before the time for an answer begins.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// What an answer must be besides what the SDK checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerCheck {
    /// Anything.
    Any,
    /// A successful answer is one XML document from its first to its last tag. The SDK takes a
    /// listing that breaks off for a complete one.
    WholeXml,
    /// A successful answer is handed on while it arrives, whatever its length. Who reads it minds
    /// that it may stall.
    Streamed,
}

/// Carries the AWS SDK's requests over the pooled client that everything else here uses, with a
/// bound on the size of answers. Request bodies are streamed, and may take as long as they move.
#[derive(Clone)]
pub struct SdkTransport {
    client: client::HttpClient,
    check: AnswerCheck,
    stall_timeout: Duration,
    answer_timeout: Duration,
    has_stalled: Arc<AtomicBool>,
}

impl SdkTransport {
    /// A transport over `client`.
    pub fn new(client: client::HttpClient, check: AnswerCheck) -> Self {
        let (stall_timeout, answer_timeout) = (ANSWER_TIMEOUT, ANSWER_TIMEOUT);
        Self { client, check, stall_timeout, answer_timeout, has_stalled: Arc::default() }
    }

    /// The same transport with another limit on how long a request's body may stand still while it
    /// is sent.
    #[must_use]
    pub fn with_stall_timeout(mut self, stall_timeout: Duration) -> Self {
        self.stall_timeout = stall_timeout;
        self
    }

    /// The same transport with another limit on how long an answer may take from when its request
    /// is sent: first to begin, and then to be complete.
    #[must_use]
    pub fn with_answer_timeout(mut self, answer_timeout: Duration) -> Self {
        self.answer_timeout = answer_timeout;
        self
    }

    /// Whether a server took a request and did not answer in time.
    pub(crate) fn has_stalled(&self) -> bool {
        self.has_stalled.load(Ordering::Relaxed)
    }

    async fn exchange(self, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
        let request = request.try_into_http1x().map_err(|cause| ConnectorError::user(cause.into()))?;
        let answer = self.send(prepare(request)).await?;
        if self.check == AnswerCheck::Streamed && answer.status().is_success() {
            return to_sdk(answer.map(SdkBody::from_body_1_x));
        }
        tokio::time::timeout(self.answer_timeout, self.read(answer))
            .await
            .map_err(|elapsed| ConnectorError::timeout(elapsed.into()))?
    }

    /// Sends the request and waits for the answer's head, for as long as there is progress.
    async fn send(&self, request: http::Request<SentBody>) -> Result<Answer, ConnectorError> {
        let timeouts = Timeouts { send: self.stall_timeout, answer: self.answer_timeout, receive: self.answer_timeout };
        self.client.send(request, timeouts).await.map_err(|error| {
            if matches!(error, HttpError::Stalled(_)) {
                self.has_stalled.store(true, Ordering::Relaxed);
            }
            connector_error(error)
        })
    }

    async fn read(&self, answer: Answer) -> Result<HttpResponse, ConnectorError> {
        let (parts, mut body) = answer.into_parts();
        let body = body.bytes(PAGE_BYTES_MAX).await.map_err(connector_error)?;
        let body = body.ok_or_else(|| untrusted("the answer is far too long"))?;
        check_whole(self.check, parts.status, &body)?;
        to_sdk(http::Response::from_parts(parts, SdkBody::from(body)))
    }
}

/// The request with its body as it is sent.
fn prepare(request: http::Request<SdkBody>) -> http::Request<SentBody> {
    let (mut parts, body) = request.into_parts();
    let is_empty = body.content_length() == Some(0);
    if is_empty && matches!(parts.method, Method::PUT | Method::POST) {
        // Servers refuse a PUT that does not say how long it is, and hyper says nothing of no body.
        parts.headers.entry(header::CONTENT_LENGTH).or_insert(HeaderValue::from_static("0"));
    }
    let body = if is_empty { SentBody::empty() } else { SentBody::of(body) };
    http::Request::from_parts(parts, body)
}

fn to_sdk(answer: http::Response<SdkBody>) -> Result<HttpResponse, ConnectorError> {
    HttpResponse::try_from(answer).map_err(|cause| ConnectorError::user(cause.into()))
}

impl fmt::Debug for SdkTransport {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("SdkTransport(..)")
    }
}

impl HttpConnector for SdkTransport {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        HttpConnectorFuture::new(self.clone().exchange(request))
    }
}

impl HttpClient for SdkTransport {
    fn http_connector(&self, settings: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        let mut connector = self.clone();
        // The metadata server of a machine answers at once or never.
        if let Some(timeout) = settings.read_timeout() {
            let answer_timeout = CONNECT_TIMEOUT + timeout;
            connector.answer_timeout = connector.answer_timeout.min(answer_timeout);
        }
        SharedHttpConnector::new(connector)
    }
}

/// An answer that arrived but does not prove to be what was asked for.
#[derive(Debug)]
pub(crate) struct UntrustedAnswer(&'static str);

impl fmt::Display for UntrustedAnswer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.0)
    }
}

impl std::error::Error for UntrustedAnswer {}

fn untrusted(reason: &'static str) -> ConnectorError {
    ConnectorError::other(Box::new(UntrustedAnswer(reason)), None)
}

fn connector_error(cause: HttpError) -> ConnectorError {
    match cause {
        HttpError::Stalled(_) => ConnectorError::timeout(Box::new(cause)),
        cause => ConnectorError::io(Box::new(cause)),
    }
}

fn check_whole(check: AnswerCheck, status: StatusCode, body: &[u8]) -> Result<(), ConnectorError> {
    if status.is_success() && check == AnswerCheck::WholeXml && !is_whole_xml(body) {
        return Err(untrusted("the answer is not one whole XML document"));
    }
    Ok(())
}

/// Whether the text's last tag closes its first element.
fn is_whole_xml(body: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(body) else { return false };
    let mut text = text.trim_start_matches('\u{feff}').trim();
    while let Some(rest) = text.strip_prefix("<?") {
        let Some((_, rest)) = rest.split_once("?>") else { return false };
        text = rest.trim_start();
    }
    let Some(rest) = text.strip_prefix('<') else { return false };
    let name = rest.split(|c: char| c.is_whitespace() || matches!(c, '>' | '/')).next().unwrap_or_default();
    if text.matches('<').count() == 1 {
        // A root without anything in it.
        return !name.is_empty() && text.ends_with("/>");
    }
    !name.is_empty() && text.strip_suffix('>').is_some_and(|text| text.trim_end().ends_with(&format!("</{name}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_that_breaks_off_is_not_whole() {
        let whole = b"<?xml version=\"1.0\"?>\n<List xmlns=\"a\"><Name>b</Name></List>\n";
        assert!(is_whole_xml(whole));
        for length in 0..whole.len() - 2 {
            assert!(!is_whole_xml(&whole[..length]), "{length}");
        }
        assert!(!is_whole_xml(b"plain text"));
        assert!(!is_whole_xml(b"<a></b>"));
        assert!(is_whole_xml(b"<Result xmlns=\"a\"/>"));
    }

    #[test]
    fn a_listing_that_breaks_off_does_not_reach_the_sdk() {
        let is_taken = |check, status: u16, body: &str| {
            check_whole(check, StatusCode::from_u16(status).unwrap(), body.as_bytes()).is_ok()
        };
        assert!(is_taken(AnswerCheck::WholeXml, 200, "<List><Name>b</Name></List>"));
        assert!(!is_taken(AnswerCheck::WholeXml, 200, "<List><Name>b</Name>"));
        assert!(is_taken(AnswerCheck::WholeXml, 503, ""), "a refusal needs no body");
        assert!(is_taken(AnswerCheck::Any, 200, "{}"));
    }

    /// A server that reads `bytes_wanted` bytes of what it is sent, one piece per pause, and answers.
    async fn slow_server(bytes_wanted: usize, pause: Duration) -> String {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}/", listener.local_addr().unwrap());
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let (mut piece, mut bytes_read) = (vec![0; 1024 * 1024], 0);
            while bytes_read < bytes_wanted {
                tokio::time::sleep(pause).await;
                bytes_read += stream.read(&mut piece).await.unwrap();
            }
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
            std::future::pending::<()>().await;
        });
        address
    }

    async fn send_to(address: &str, length_bytes: usize, timeout: Duration) -> Result<Answer, ConnectorError> {
        let client = crate::net::build_client(&crate::net::NetSettings::default()).unwrap();
        let transport =
            SdkTransport::new(client, AnswerCheck::Any).with_stall_timeout(timeout).with_answer_timeout(timeout);
        let body = SdkBody::from(vec![7; length_bytes]);
        let request = http::Request::put(address).header(header::CONTENT_LENGTH, length_bytes).body(body).unwrap();
        transport.send(prepare(request)).await
    }

    #[tokio::test]
    async fn a_body_may_take_long_as_long_as_it_moves() {
        let (length_bytes, timeout) = (32 * 1024 * 1024, Duration::from_millis(500));
        let address = slow_server(length_bytes, Duration::from_millis(40)).await;
        let started = std::time::Instant::now();
        assert!(send_to(&address, length_bytes, timeout).await.is_ok());
        assert!(started.elapsed() > timeout, "{:?}", started.elapsed());
        let address = slow_server(length_bytes, Duration::from_secs(3600)).await;
        let error = send_to(&address, length_bytes, timeout).await.unwrap_err();
        assert!(error.is_timeout(), "{error}");
    }
}
