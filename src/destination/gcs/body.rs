//! The bodies of requests and answers, with a guard against stalls.

use std::fmt;
use std::future::Future as _;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use object_store::client::{HttpError, HttpErrorKind, HttpRequestBody};
use tokio::time::Sleep;

/// So much is handed to the connection at once. Larger pieces would hide for how long nothing moves.
const PIECE_BYTES_MAX: usize = 128 * 1024;

/// A request's bytes on their way out; nothing is copied. Counts the pieces that were taken, by
/// which a stalled connection is told from a slow one.
pub(super) struct SentBody {
    body: HttpRequestBody,
    chunk: Bytes,
    pieces: Arc<AtomicU64>,
}

impl SentBody {
    /// Sends `body` and counts in `pieces`.
    pub fn new(body: HttpRequestBody, pieces: Arc<AtomicU64>) -> Self {
        Self { body, chunk: Bytes::new(), pieces }
    }
}

impl Body for SentBody {
    type Data = Bytes;
    type Error = HttpError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, HttpError>>> {
        while self.chunk.is_empty() {
            match Pin::new(&mut self.body).poll_frame(context) {
                Poll::Ready(Some(Ok(frame))) => self.chunk = frame.into_data().unwrap_or_default(),
                other => return other,
            }
        }
        self.pieces.fetch_add(1, Ordering::Relaxed);
        let piece_bytes = self.chunk.len().min(PIECE_BYTES_MAX);
        Poll::Ready(Some(Ok(Frame::data(self.chunk.split_to(piece_bytes)))))
    }

    fn is_end_stream(&self) -> bool {
        self.chunk.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.body.size_hint().lower() + self.chunk.len() as u64)
    }
}

/// An answer's bytes on their way in, each within the stall timeout after the one before. Time that
/// the receiver takes does not count.
pub(super) struct ReceivedBody {
    body: reqwest::Body,
    stall_timeout: Duration,
    timer: Option<Pin<Box<Sleep>>>,
}

impl ReceivedBody {
    /// Receives `body`.
    pub fn new(body: reqwest::Body, stall_timeout: Duration) -> Self {
        Self { body, stall_timeout, timer: None }
    }
}

impl Body for ReceivedBody {
    type Data = Bytes;
    type Error = HttpError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, HttpError>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) {
            self.timer = None;
            return Poll::Ready(
                frame.map(|frame| {
                    frame.map_err(|cause| HttpError::new(HttpErrorKind::Interrupted, cause.without_url()))
                }),
            );
        }
        let stall_timeout = self.stall_timeout;
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(stall_timeout)));
        match timer.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(Some(Err(HttpError::new(HttpErrorKind::Timeout, Stalled(stall_timeout))))),
            Poll::Pending => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Nothing moved on a connection during this time.
#[derive(Debug)]
pub(super) struct Stalled(pub Duration);

impl fmt::Display for Stalled {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "nothing moved for {:?}", self.0)
    }
}

impl std::error::Error for Stalled {}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;
    use object_store::PutPayload;

    use super::*;

    #[tokio::test]
    async fn a_large_chunk_leaves_in_pieces_and_the_size_is_known() {
        let chunks = [Bytes::from(vec![1; 300_000]), Bytes::new(), Bytes::from_static(b"end")];
        let payload: PutPayload = chunks.iter().cloned().collect();
        let pieces = Arc::new(AtomicU64::new(0));
        let mut body = SentBody::new(payload.into(), pieces.clone());
        assert_eq!(body.size_hint().exact(), Some(300_003));
        let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
        assert_eq!((first.len(), first.as_ptr()), (PIECE_BYTES_MAX, chunks[0].as_ptr()), "a copy was made");
        assert_eq!(body.size_hint().exact(), Some(300_003 - PIECE_BYTES_MAX as u64));
        let rest = body.collect().await.unwrap().to_bytes();
        assert_eq!(rest.len(), 300_003 - PIECE_BYTES_MAX);
        assert_eq!(pieces.load(Ordering::Relaxed), 4);
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_stalls_fails_but_a_slow_receiver_does_not() {
        let (mut sender, receiver) = futures::channel::mpsc::channel::<Result<Bytes, std::io::Error>>(4);
        let mut body = ReceivedBody::new(reqwest::Body::wrap_stream(receiver), Duration::from_secs(20));
        sender.try_send(Ok(Bytes::from_static(b"a"))).unwrap();
        assert!(body.frame().await.unwrap().is_ok());
        tokio::time::sleep(Duration::from_secs(100)).await;
        sender.try_send(Ok(Bytes::from_static(b"b"))).unwrap();
        assert!(body.frame().await.unwrap().is_ok());
        let error = body.frame().await.unwrap().unwrap_err();
        assert_eq!(error.kind(), HttpErrorKind::Timeout, "{error}");
    }
}
