//! An answer as it came, for whoever looks at the answer itself and not at what it means.

use std::time::{Duration, Instant};

use http::{HeaderMap, StatusCode};
use reqwest::{Client, Request};

use super::connection_error;
use crate::error::{Error, ErrorKind, Result};

/// A server's answer, whatever its status.
#[derive(Debug)]
pub(crate) struct RawAnswer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The first bytes of the body, up to the limit.
    pub body: Vec<u8>,
    /// From the sending of the request to the head of the answer.
    pub head_after: Duration,
}

impl RawAnswer {
    /// Sends a request once and reads up to `body_bytes_max` bytes of what is answered within `timeout`.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] where no answer comes; `what` names the request.
    pub async fn ask(
        client: &Client,
        request: Request,
        what: &str,
        body_bytes_max: usize,
        timeout: Duration,
    ) -> Result<Self> {
        let failed = |cause| connection_error(format!("no answer to {what}"), cause);
        let asking = async {
            let sent_at = Instant::now();
            let mut response = client.execute(request).await.map_err(failed)?;
            let head_after = sent_at.elapsed();
            let (status, headers) = (response.status(), response.headers().clone());
            let mut body = Vec::new();
            while body.len() < body_bytes_max
                && let Some(chunk) = response.chunk().await.map_err(failed)?
            {
                body.extend_from_slice(&chunk);
            }
            body.truncate(body_bytes_max);
            Ok(Self { status, headers, body, head_after })
        };
        let timed_out = |_| Error::new(ErrorKind::Unavailable, format!("no answer to {what} within {timeout:?}"));
        tokio::time::timeout(timeout, asking).await.map_err(timed_out)?
    }
}
