//! Reads more from a connection than is asked for: TLS asks for 4 KiB at a time, and each time is a system call.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures::future::BoxFuture;
use http::Uri;
use hyper::rt::{Read, ReadBuf, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::{Connected, Connection};
use tower_service::Service;

/// So much is read at once, in bytes: a few of the longest records of TLS (RFC 8446 section 5.1).
const READ_BYTES: usize = 64 * 1024;

/// Makes connections that read ahead.
#[derive(Clone)]
pub(super) struct ReadAheadConnector<C> {
    connector: C,
    /// Whether they do: what is not secured is read into its place at once.
    is_on: bool,
}

impl<C> ReadAheadConnector<C> {
    /// The connector's connections, which read ahead if `is_on`.
    pub fn new(connector: C, is_on: bool) -> Self {
        Self { connector, is_on }
    }
}

impl<C> Service<Uri> for ReadAheadConnector<C>
where
    C: Service<Uri>,
    C::Future: Send + 'static,
{
    type Response = ReadAhead<C::Response>;
    type Error = C::Error;
    type Future = BoxFuture<'static, Result<Self::Response, C::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), C::Error>> {
        self.connector.poll_ready(context)
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        let (connecting, is_on) = (self.connector.call(to), self.is_on);
        Box::pin(async move { Ok(ReadAhead::new(connecting.await?, is_on)) })
    }
}

/// A connection with what was read of it and is not asked for yet.
pub(super) struct ReadAhead<T> {
    connection: T,
    buffer: Vec<u8>,
    /// What is left of the buffer.
    from: usize,
    until: usize,
}

impl<T> ReadAhead<T> {
    fn new(connection: T, is_on: bool) -> Self {
        Self { connection, buffer: vec![0; if is_on { READ_BYTES } else { 0 }], from: 0, until: 0 }
    }
}

impl<T: Read + Unpin> Read for ReadAhead<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        mut into: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.from == this.until {
            if into.remaining() >= this.buffer.len() {
                return Pin::new(&mut this.connection).poll_read(context, into);
            }
            let mut read = ReadBuf::new(&mut this.buffer);
            ready!(Pin::new(&mut this.connection).poll_read(context, read.unfilled()))?;
            (this.from, this.until) = (0, read.filled().len());
        }
        let taken = (this.until - this.from).min(into.remaining());
        into.put_slice(&this.buffer[this.from..this.from + taken]);
        this.from += taken;
        Poll::Ready(Ok(()))
    }
}

impl<T: Write + Unpin> Write for ReadAhead<T> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.connection).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.connection).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.connection).poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        self.connection.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.connection).poll_write_vectored(context, pieces)
    }
}

impl<T: Connection> Connection for ReadAhead<T> {
    fn connected(&self) -> Connected {
        self.connection.connected()
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use hyper_util::rt::TokioIo;
    use tokio::io::AsyncWriteExt as _;

    use super::*;

    #[tokio::test]
    async fn all_bytes_come_in_order_whatever_is_asked_for() {
        let sent: Vec<u8> = (0..300_000_u32).map(|number| (number % 251) as u8).collect();
        for (is_on, wanted) in [(true, 1_000), (true, 4_096), (true, 100_000), (false, 1_000)] {
            let (mut far, near) = tokio::io::duplex(50_000);
            let bytes = sent.clone();
            let sending = tokio::spawn(async move { far.write_all(&bytes).await.unwrap() });
            let mut connection = ReadAhead::new(TokioIo::new(near), is_on);
            let (mut received, mut place) = (Vec::new(), vec![0; wanted]);
            loop {
                let mut read = ReadBuf::new(&mut place);
                poll_fn(|context| Pin::new(&mut connection).poll_read(context, read.unfilled())).await.unwrap();
                if read.filled().is_empty() {
                    break;
                }
                received.extend_from_slice(read.filled());
            }
            sending.await.unwrap();
            assert!(received == sent, "{is_on} {wanted}");
        }
    }
}
