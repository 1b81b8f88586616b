//! The bodies of requests and answers, with a guard against stalls.

use std::fmt;
use std::future::{Future as _, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use http_body_util::combinators::UnsyncBoxBody;
use tokio::time::{Instant, Sleep};

use super::http_error::HttpError;

/// Maximum size of the pieces in which a request's body is handed to the connection, in bytes. A line has to
/// take one piece per timeout to count as alive, so pieces must be small.
const PIECE_BYTES_MAX: usize = 64 * 1024;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A request's bytes on their way out: in small pieces, none of them copied.
pub(crate) struct SentBody {
    content: Content,
    /// What is left of the piece that the content gave last.
    rest: Bytes,
    /// Counts the pieces that were taken, by which a stalled connection is told from a slow one.
    progress: Option<Arc<Progress>>,
}

enum Content {
    Chunks { chunks: std::vec::IntoIter<Bytes>, left_bytes: u64 },
    Other(UnsyncBoxBody<Bytes, BoxError>),
}

impl SentBody {
    /// No bytes.
    pub fn empty() -> Self {
        Self::chunks(Vec::new())
    }

    /// These bytes.
    pub fn bytes(bytes: impl Into<Bytes>) -> Self {
        Self::chunks(vec![bytes.into()])
    }

    /// These bytes, one chunk after the other.
    pub fn chunks(mut chunks: Vec<Bytes>) -> Self {
        chunks.retain(|chunk| !chunk.is_empty());
        let left_bytes = chunks.iter().map(|chunk| chunk.len() as u64).sum();
        let progress = (left_bytes > 0).then(Arc::default);
        Self { content: Content::Chunks { chunks: chunks.into_iter(), left_bytes }, rest: Bytes::new(), progress }
    }

    /// The bytes of a library's own body.
    pub fn of<B>(body: B) -> Self
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let body = body.map_err(Into::into).boxed_unsync();
        Self { content: Content::Other(body), rest: Bytes::new(), progress: Some(Arc::default()) }
    }

    /// What tells how much has left; `None` where there is nothing to send.
    pub(super) fn progress(&self) -> Option<Arc<Progress>> {
        self.progress.clone()
    }
}

impl Drop for SentBody {
    fn drop(&mut self) {
        if let Some(progress) = &self.progress {
            progress.end();
        }
    }
}

impl Body for SentBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        while self.rest.is_empty() {
            match &mut self.content {
                Content::Chunks { chunks, left_bytes } => match chunks.next() {
                    Some(chunk) => {
                        *left_bytes -= chunk.len() as u64;
                        self.rest = chunk;
                    }
                    None => return Poll::Ready(None),
                },
                Content::Other(body) => match ready!(Pin::new(body).poll_frame(context)) {
                    Some(Ok(frame)) => match frame.into_data() {
                        Ok(data) => self.rest = data,
                        Err(frame) => return Poll::Ready(Some(Ok(frame))),
                    },
                    end => return Poll::Ready(end),
                },
            }
        }
        let piece_bytes = self.rest.len().min(PIECE_BYTES_MAX);
        let piece = self.rest.split_to(piece_bytes);
        if let Some(progress) = &self.progress {
            progress.add_piece();
        }
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty()
            && match &self.content {
                Content::Chunks { left_bytes, .. } => *left_bytes == 0,
                Content::Other(body) => body.is_end_stream(),
            }
    }

    fn size_hint(&self) -> SizeHint {
        let rest_bytes = self.rest.len() as u64;
        match &self.content {
            Content::Chunks { left_bytes, .. } => SizeHint::with_exact(left_bytes + rest_bytes),
            Content::Other(body) => match body.size_hint().exact() {
                Some(left_bytes) => SizeHint::with_exact(left_bytes + rest_bytes),
                None => SizeHint::default(),
            },
        }
    }
}

/// How much of a request's body has left.
#[derive(Debug, Default)]
pub(super) struct Progress {
    pieces: AtomicU64,
}

impl Progress {
    /// Stands for all pieces: nothing more is to leave.
    pub const ALL: u64 = u64::MAX;

    /// The number of pieces that have left, or [`Progress::ALL`].
    pub fn pieces(&self) -> u64 {
        self.pieces.load(Ordering::Relaxed)
    }

    /// Notes that a piece has left.
    fn add_piece(&self) {
        self.pieces.fetch_add(1, Ordering::Relaxed);
    }

    /// Notes that all has left, or nothing more is wanted.
    fn end(&self) {
        self.pieces.store(Self::ALL, Ordering::Relaxed);
    }
}

/// An answer's bytes on their way in, each within the timeout after the one before. Time that the receiver
/// takes does not count.
pub(crate) struct ReceivedBody<B> {
    body: B,
    timeout: Duration,
    timer: Option<Pin<Box<Sleep>>>,
    is_waiting: bool,
}

impl<B> ReceivedBody<B> {
    /// Receives `body`.
    pub fn new(body: B, timeout: Duration) -> Self {
        Self { body, timeout, timer: None, is_waiting: false }
    }

    fn poll_timeout(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let timeout = self.timeout;
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(timeout)));
        if !self.is_waiting {
            timer.as_mut().reset(Instant::now() + timeout);
            self.is_waiting = true;
        }
        timer.as_mut().poll(context)
    }
}

impl<B> ReceivedBody<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<HttpError>,
{
    /// The next bytes; `None` at the end.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, HttpError> {
        loop {
            match poll_fn(|context| Pin::new(&mut *self).poll_frame(context)).await {
                None => return Ok(None),
                Some(Err(error)) => return Err(error),
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => return Ok(Some(data)),
                    Err(_trailers) => {}
                },
            }
        }
    }

    /// All bytes; `None` where there are more than `bytes_max`.
    pub async fn bytes(&mut self, bytes_max: usize) -> Result<Option<Bytes>, HttpError> {
        let mut bytes = BytesMut::new();
        while let Some(chunk) = self.chunk().await? {
            if bytes.len() + chunk.len() > bytes_max {
                return Ok(None);
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(Some(bytes.freeze()))
    }

    /// The first bytes, up to `bytes_max`.
    pub async fn first_bytes(&mut self, bytes_max: usize) -> Result<Bytes, HttpError> {
        let mut bytes = BytesMut::new();
        while bytes.len() < bytes_max
            && let Some(chunk) = self.chunk().await?
        {
            bytes.extend_from_slice(&chunk);
        }
        bytes.truncate(bytes_max);
        Ok(bytes.freeze())
    }
}

impl<B> Body for ReceivedBody<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<HttpError>,
{
    type Data = Bytes;
    type Error = HttpError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, HttpError>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) {
            self.is_waiting = false;
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        ready!(self.poll_timeout(context));
        Poll::Ready(Some(Err(HttpError::Stalled(self.timeout))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl<B> fmt::Debug for ReceivedBody<B> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("ReceivedBody(..)")
    }
}

#[cfg(test)]
mod tests {
    use futures::{StreamExt as _, stream};
    use http_body_util::StreamBody;

    use super::*;

    #[tokio::test]
    async fn a_large_chunk_leaves_in_pieces_and_none_is_copied() {
        let chunks = vec![Bytes::from(vec![1; 300_000]), Bytes::new(), Bytes::from_static(b"end")];
        let start = chunks[0].as_ptr();
        let mut body = SentBody::chunks(chunks);
        assert_eq!(body.size_hint().exact(), Some(300_003));
        let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
        assert_eq!((first.len(), first.as_ptr()), (PIECE_BYTES_MAX, start), "a copy was made");
        assert_eq!(body.size_hint().exact(), Some(300_003 - PIECE_BYTES_MAX as u64));
        let rest = body.collect().await.unwrap().to_bytes();
        assert_eq!(rest.len(), 300_003 - PIECE_BYTES_MAX);
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_stalls_fails_but_a_slow_receiver_does_not() {
        let (mut sender, receiver) = futures::channel::mpsc::channel::<Bytes>(4);
        let body = StreamBody::new(receiver.map(|bytes| Ok::<_, HttpError>(Frame::data(bytes))));
        let mut body = ReceivedBody::new(body, Duration::from_secs(20));
        sender.try_send(Bytes::from_static(b"a")).unwrap();
        assert!(body.chunk().await.unwrap().is_some());
        tokio::time::sleep(Duration::from_secs(100)).await;
        sender.try_send(Bytes::from_static(b"b")).unwrap();
        assert!(body.chunk().await.unwrap().is_some());
        let error = body.chunk().await.unwrap_err();
        assert!(matches!(error, HttpError::Stalled(_)), "{error}");
    }

    #[tokio::test]
    async fn more_than_the_limit_is_not_kept() {
        let body = || {
            let chunks = stream::iter(["0123", "45"]);
            StreamBody::new(chunks.map(|chunk| Ok::<_, HttpError>(Frame::data(Bytes::from_static(chunk.as_bytes())))))
        };
        let received = || ReceivedBody::new(body(), Duration::from_secs(1));
        assert_eq!(received().bytes(6).await.unwrap().unwrap(), "012345");
        assert!(received().bytes(5).await.unwrap().is_none());
        assert_eq!(received().first_bytes(5).await.unwrap(), "01234");
    }
}
