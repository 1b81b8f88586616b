//! The HTTP client that everything here shares.

use std::time::Duration;

use http::{HeaderValue, Method, Request, Response, header};
use hyper::body::Incoming;
use hyper_util::client::legacy::{Client, ResponseFuture};
use hyper_util::rt::{TokioExecutor, TokioTimer};

use super::body::{Progress, ReceivedBody, SentBody};
use super::connector::Connector;
use super::http_error::HttpError;
use super::settings::{NetSettings, USER_AGENT};
use super::tls;
use crate::error::{Error, ErrorKind, Result};

/// A connection that nobody uses is closed after this time: servers close theirs soon, too.
const IDLE_TIMEOUT: Duration = Duration::from_secs(20);

/// How long a request may take while nothing moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Timeouts {
    /// The longest time in which no bytes of the request's body leave.
    pub send: Duration,
    /// The longest time from when all of the request has left to the head of its answer.
    pub answer: Duration,
    /// The longest time in which no bytes of the answer's body arrive.
    pub receive: Duration,
}

impl Timeouts {
    /// The same for each of them.
    pub fn all(timeout: Duration) -> Self {
        Self { send: timeout, answer: timeout, receive: timeout }
    }
}

/// An answer whose head is here, and whose body arrives.
pub(crate) type Answer = Response<ReceivedBody<Incoming>>;

/// A pooled HTTP/1.1 client that follows no redirect: no token or signature goes to a second host.
#[derive(Clone)]
pub(crate) struct HttpClient {
    client: Client<Connector, SentBody>,
}

/// Builds the client.
///
/// # Errors
/// [`ErrorKind::Usage`] for a proxy address that is none, and for a CA bundle without certificates.
pub(crate) fn build_client(settings: &NetSettings) -> Result<HttpClient> {
    build(settings, usize::MAX)
}

/// A client like [`build_client`]'s that opens a new connection for every request.
///
/// # Errors
/// As [`build_client`].
pub(crate) fn build_client_without_pool(settings: &NetSettings) -> Result<HttpClient> {
    build(settings, 0)
}

fn build(settings: &NetSettings, idle_max: usize) -> Result<HttpClient> {
    let connector = Connector::new(settings, tls::trust(&settings.ca_bundles)?)?;
    let client = Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE_TIMEOUT)
        .pool_max_idle_per_host(idle_max)
        .build(connector);
    Ok(HttpClient { client })
}

impl HttpClient {
    /// Sends a request and gives the head of its answer, whatever its status. It may take long as long as its
    /// bytes move.
    pub async fn send(
        &self,
        mut request: Request<SentBody>,
        timeouts: Timeouts,
    ) -> std::result::Result<Answer, HttpError> {
        request.headers_mut().entry(header::USER_AGENT).or_insert(USER_AGENT);
        let progress = request.body().progress();
        let answering = self.client.request(request);
        let answer = match progress {
            None => tokio::time::timeout(timeouts.answer, answering)
                .await
                .map_err(|_| HttpError::Stalled(timeouts.answer))?
                .map_err(HttpError::Unanswered)?,
            Some(progress) => watched(answering, &progress, timeouts).await?,
        };
        Ok(answer.map(|body| ReceivedBody::new(body, timeouts.receive)))
    }
}

/// A request to an address.
///
/// # Errors
/// [`ErrorKind::Internal`] for an address that a request cannot have.
pub(crate) fn request(method: Method, url: &str, body: SentBody) -> Result<Request<SentBody>> {
    let request = Request::builder().method(method).uri(url).body(body);
    // The address may hold a secret in its query.
    request.map_err(|_| Error::new(ErrorKind::Internal, "an address gives no request"))
}

/// The value of an `Authorization` header with a token, which prints as sensitive.
///
/// # Errors
/// [`ErrorKind::Usage`] for a token that cannot stand in a header.
pub(crate) fn bearer(token: &str) -> Result<HeaderValue> {
    let mut value = HeaderValue::try_from(format!("Bearer {token}"))
        .map_err(|_| Error::new(ErrorKind::Usage, "a token cannot stand in a header"))?;
    value.set_sensitive(true);
    Ok(value)
}

/// Waits for an answer for as long as the request's body moves from one period to the next.
async fn watched(
    answering: ResponseFuture,
    progress: &Progress,
    timeouts: Timeouts,
) -> std::result::Result<Response<Incoming>, HttpError> {
    let mut answering = std::pin::pin!(answering);
    let mut before = 0;
    loop {
        let timeout = if before == Progress::ALL { timeouts.answer } else { timeouts.send };
        match tokio::time::timeout(timeout, &mut answering).await {
            Ok(answer) => return answer.map_err(HttpError::Unanswered),
            Err(_) => {
                let pieces = progress.pieces();
                if pieces == before {
                    return Err(HttpError::Stalled(timeout));
                }
                before = pieces;
            }
        }
    }
}
