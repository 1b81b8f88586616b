//! Carries the S3 SDK's requests over the HTTP client that everything here shares.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use aws_sdk_s3::config::RuntimeComponents;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use bytes::{Bytes, BytesMut};
use http::{HeaderValue, Method, header};
use http_body::{Body, Frame, SizeHint};
use reqwest::{Client, Response};
use tokio::sync::watch;

/// The longest answer that is read into memory, in bytes: a page of 1,000 keys of 1,024 bytes each,
/// escaped at its worst, fits.
const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;

/// An answer may take this long once its request is sent, unless the user of the transport knows
/// better.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

/// A client's own limit on connecting may be reached before the time for an answer begins.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Maximum size of the pieces in which a request's body is handed to the connection, in bytes. A line has to
/// take one piece per stall timeout to count as alive, so pieces must be small.
const PIECE_BYTES_MAX: usize = 64 * 1024;

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
    client: Client,
    check: AnswerCheck,
    stall_timeout: Duration,
    answer_timeout: Duration,
    has_stalled: Arc<AtomicBool>,
}

impl SdkTransport {
    /// A transport over `client`.
    pub fn new(client: Client, check: AnswerCheck) -> Self {
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
        let (request, sending) = prepare(request)?;
        let response = self.send(request, sending).await?;
        if self.check == AnswerCheck::Streamed && response.status().is_success() {
            return handed_on(response);
        }
        tokio::time::timeout(self.answer_timeout, self.read(response))
            .await
            .map_err(|elapsed| ConnectorError::timeout(elapsed.into()))?
    }

    /// Sends the request and waits for the answer's head, for as long as there is progress.
    async fn send(
        &self,
        request: reqwest::Request,
        mut sending: watch::Receiver<()>,
    ) -> Result<Response, ConnectorError> {
        let mut answering = std::pin::pin!(self.client.execute(request));
        let (mut is_open, mut timeout) = (true, self.answer_timeout);
        loop {
            tokio::select! {
                answer = &mut answering => return answer.map_err(connector_error),
                moved = sending.changed(), if is_open => {
                    // The sender goes with the body, once all of it is taken or none is wanted.
                    is_open = moved.is_ok();
                    timeout = if is_open { self.stall_timeout } else { self.answer_timeout };
                }
                () = tokio::time::sleep(timeout) => {
                    self.has_stalled.store(true, Ordering::Relaxed);
                    return Err(ConnectorError::timeout(Box::new(Stalled)));
                }
            }
        }
    }

    async fn read(&self, mut response: Response) -> Result<HttpResponse, ConnectorError> {
        let (status, headers) = (response.status(), response.headers().clone());
        let mut body = BytesMut::new();
        while let Some(chunk) = response.chunk().await.map_err(connector_error)? {
            body.extend_from_slice(&chunk);
            if body.len() > ANSWER_BYTES_MAX {
                return Err(untrusted("the answer is far too long"));
            }
        }
        if status.is_success() && self.check == AnswerCheck::WholeXml && !is_whole_xml(&body) {
            return Err(untrusted("the answer is not one whole XML document"));
        }
        let mut answer = http::Response::new(SdkBody::from(body.freeze()));
        *answer.status_mut() = status;
        *answer.headers_mut() = headers;
        HttpResponse::try_from(answer).map_err(|cause| ConnectorError::user(cause.into()))
    }
}

/// The request as reqwest wants it, and what tells of its body's progress.
fn prepare(request: http::Request<SdkBody>) -> Result<(reqwest::Request, watch::Receiver<()>), ConnectorError> {
    let (mut parts, body) = request.into_parts();
    let is_empty = body.content_length() == Some(0);
    if is_empty && matches!(parts.method, Method::PUT | Method::POST) {
        // Servers refuse a PUT that does not say how long it is, and hyper says nothing of no body.
        parts.headers.entry(header::CONTENT_LENGTH).or_insert(HeaderValue::from_static("0"));
    }
    let (moved, sending) = watch::channel(());
    let body = if is_empty {
        reqwest::Body::from(Bytes::new())
    } else {
        reqwest::Body::wrap(WatchedBody { body, rest: Bytes::new(), moved })
    };
    let request = reqwest::Request::try_from(http::Request::from_parts(parts, body))
        .map_err(|cause| ConnectorError::user(cause.into()))?;
    Ok((request, sending))
}

/// The answer with its body as it arrives.
fn handed_on(response: Response) -> Result<HttpResponse, ConnectorError> {
    let (parts, body) = http::Response::<reqwest::Body>::from(response).into_parts();
    let answer = http::Response::from_parts(parts, SdkBody::from_body_1_x(body));
    HttpResponse::try_from(answer).map_err(|cause| ConnectorError::user(cause.into()))
}

/// A request's body in small pieces, none of them copied, that tells when one is taken.
struct WatchedBody {
    body: SdkBody,
    /// What is left of the piece that the body gave last.
    rest: Bytes,
    moved: watch::Sender<()>,
}

impl Body for WatchedBody {
    type Data = Bytes;
    type Error = aws_smithy_types::body::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if self.rest.is_empty() {
            match ready!(Pin::new(&mut self.body).poll_frame(context)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => self.rest = data,
                    Err(frame) => return Poll::Ready(Some(Ok(frame))),
                },
                end => return Poll::Ready(end),
            }
        }
        let piece_bytes = self.rest.len().min(PIECE_BYTES_MAX);
        let piece = self.rest.split_to(piece_bytes);
        self.moved.send_replace(());
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        match Body::size_hint(&self.body).exact() {
            Some(left) => SizeHint::with_exact(left + self.rest.len() as u64),
            None => SizeHint::default(),
        }
    }
}

/// Neither the request nor its answer moved for too long.
#[derive(Debug)]
struct Stalled;

impl fmt::Display for Stalled {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the connection stands still")
    }
}

impl std::error::Error for Stalled {}

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

fn connector_error(cause: reqwest::Error) -> ConnectorError {
    ConnectorError::io(Box::new(cause.without_url()))
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

    #[tokio::test]
    async fn a_listing_that_breaks_off_does_not_reach_the_sdk() {
        let client = crate::net::build_client(&crate::net::NetSettings::default()).unwrap();
        let read = async |check, status, body: &'static str| {
            let answer = http::Response::builder().status(status).body(body).unwrap();
            SdkTransport::new(client.clone(), check).read(answer.into()).await
        };
        assert!(read(AnswerCheck::WholeXml, 200, "<List><Name>b</Name></List>").await.is_ok());
        assert!(read(AnswerCheck::WholeXml, 200, "<List><Name>b</Name>").await.is_err());
        assert!(read(AnswerCheck::WholeXml, 503, "").await.is_ok(), "a refusal needs no body");
        assert!(read(AnswerCheck::Any, 200, "{}").await.is_ok());
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

    async fn send_to(address: &str, length_bytes: usize, timeout: Duration) -> Result<Response, ConnectorError> {
        let client = crate::net::build_client(&crate::net::NetSettings::default()).unwrap();
        let transport =
            SdkTransport::new(client, AnswerCheck::Any).with_stall_timeout(timeout).with_answer_timeout(timeout);
        let body = SdkBody::from(Bytes::from(vec![7; length_bytes]));
        let request = http::Request::put(address).header(header::CONTENT_LENGTH, length_bytes).body(body).unwrap();
        let (request, sending) = prepare(request).unwrap();
        transport.send(request, sending).await
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

    #[tokio::test]
    async fn a_body_is_cut_but_not_copied() {
        let bytes = Bytes::from(vec![1; 3 * PIECE_BYTES_MAX + 1]);
        let start = bytes.as_ptr();
        let (moved, _sending) = watch::channel(());
        let mut body = WatchedBody { body: SdkBody::from(bytes), rest: Bytes::new(), moved };
        let mut offset = 0;
        while let Some(frame) = std::future::poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
            let piece = frame.unwrap().into_data().unwrap();
            assert_eq!(piece.as_ptr(), start.wrapping_add(offset));
            offset += piece.len();
            assert_eq!(body.size_hint().exact(), Some((3 * PIECE_BYTES_MAX + 1 - offset) as u64));
        }
        assert_eq!(offset, 3 * PIECE_BYTES_MAX + 1);
    }
}
