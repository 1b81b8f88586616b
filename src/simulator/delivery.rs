//! Sends an answer in chunks, at the set pace and with its faults.

use super::reply::{Ending, Reply};
use super::wire::Fuse;
use bytes::{Bytes, BytesMut};
use futures::stream;
use http::Response;
use http_body_util::{BodyExt as _, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::Frame;
use std::convert::Infallible;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// The most bytes of a body that are in memory at a time, per connection.
const CHUNK_BYTES: u64 = 128 * 1024;

/// A body on its way.
pub(crate) type Sending = UnsyncBoxBody<Bytes, Infallible>;

/// Counts the sent bytes and holds them back to the bandwidth.
#[derive(Debug)]
pub(crate) struct Pace {
    bytes_per_second: Option<u64>,
    free_at: Mutex<Instant>,
    sent_bytes: AtomicU64,
}

impl Pace {
    pub(crate) fn new(bytes_per_second: Option<u64>) -> Self {
        Self { bytes_per_second, free_at: Mutex::new(Instant::now()), sent_bytes: AtomicU64::new(0) }
    }

    /// Body bytes sent so far.
    pub(crate) fn sent_bytes(&self) -> u64 {
        self.sent_bytes.load(Ordering::Relaxed)
    }

    /// Waits until the line, which all connections share, is free for the bytes.
    async fn pass(&self, bytes: u64) {
        self.sent_bytes.fetch_add(bytes, Ordering::Relaxed);
        if let Some(turn) = self.turn(bytes) {
            sleep_until(turn).await;
        }
    }

    fn turn(&self, bytes: u64) -> Option<Instant> {
        let needed = Duration::from_secs_f64(bytes as f64 / self.bytes_per_second? as f64);
        let mut free_at = self.free_at.lock().unwrap_or_else(PoisonError::into_inner);
        *free_at = (*free_at).max(Instant::now()) + needed;
        Some(*free_at)
    }
}

/// The state of one body between two chunks.
struct Sender {
    reply: Reply,
    fuse: Fuse,
    pace: Arc<Pace>,
    offset: u64,
    end: u64,
}

impl Sender {
    async fn next(mut self) -> Option<(Result<Frame<Bytes>, Infallible>, Self)> {
        if self.offset >= self.end {
            return self.finish().await;
        }
        let wanted = CHUNK_BYTES.min(self.end - self.offset);
        let chunk = self.flip(self.reply.body.read(self.offset, wanted));
        self.pace.pass(chunk.len() as u64).await;
        self.offset += chunk.len() as u64;
        if self.offset >= self.end {
            // hyper may drop the body without asking for its end, so the fuse is lit with the last chunk.
            self.fuse.light(self.reply.ending.clone());
        }
        Some((Ok(Frame::data(chunk)), self))
    }

    async fn finish(self) -> Option<(Result<Frame<Bytes>, Infallible>, Self)> {
        match self.reply.ending {
            Ending::Keep | Ending::Spill(_) => None,
            Ending::Close | Ending::Reset | Ending::Hang => {
                self.fuse.light(self.reply.ending);
                std::future::pending().await
            }
        }
    }

    fn flip(&self, chunk: Bytes) -> Bytes {
        let place = self.reply.flipped.and_then(|byte| byte.checked_sub(self.offset));
        let place = place.filter(|&place| place < chunk.len() as u64);
        place.map_or(chunk.clone(), |place| {
            let mut flipped = BytesMut::from(&chunk[..]);
            flipped[place as usize] ^= 1;
            flipped.freeze()
        })
    }
}

/// The reply as hyper sends it. The fuse belongs to the connection that the request came on.
pub(crate) fn send(mut reply: Reply, fuse: Fuse, pace: Arc<Pace>) -> Response<Sending> {
    let mut response = Response::new(());
    *response.status_mut() = reply.status;
    *response.headers_mut() = std::mem::take(&mut reply.headers);
    response.headers_mut().extend(reply.content_length());
    let end = reply.body.length().min(reply.sent_bytes_max);
    let sender = Sender { reply, fuse, pace, offset: 0, end };
    response.map(|()| StreamBody::new(stream::unfold(sender, Sender::next)).boxed_unsync())
}
