//! An answer as it came, for whoever looks at the answer itself and not at what it means.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};

use super::{HttpClient, SentBody, Timeouts, connection_error};
use crate::error::{Error, ErrorKind, Result};

/// A server's answer, whatever its status.
#[derive(Debug)]
pub(crate) struct RawAnswer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The first bytes of the body, up to the limit.
    pub body: Bytes,
    /// From the sending of the request to the head of the answer.
    pub head_after: Duration,
}

impl RawAnswer {
    /// Sends a request once and reads up to `body_bytes_max` bytes of what is answered within `timeout`.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] where no answer comes; `what` names the request.
    pub async fn ask(
        client: &HttpClient,
        request: Request<SentBody>,
        what: &str,
        body_bytes_max: usize,
        timeout: Duration,
    ) -> Result<Self> {
        let failed = |cause| connection_error(format!("no answer to {what}"), cause);
        let asking = async {
            let sent_at = Instant::now();
            let answer = client.send(request, Timeouts::all(timeout)).await.map_err(failed)?;
            let head_after = sent_at.elapsed();
            let (parts, mut body) = answer.into_parts();
            let body = body.first_bytes(body_bytes_max).await.map_err(failed)?;
            Ok(Self { status: parts.status, headers: parts.headers, body, head_after })
        };
        let timed_out = |_| Error::new(ErrorKind::Unavailable, format!("no answer to {what} within {timeout:?}"));
        tokio::time::timeout(timeout, asking).await.map_err(timed_out)?
    }
}
