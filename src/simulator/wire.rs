//! The server's end of one connection, which can be made to end badly.

use super::reply::Ending;
use bytes::{Buf as _, Bytes};
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// Tells the connection how to end once everything written so far has reached the socket.
#[derive(Debug, Clone, Default)]
pub(crate) struct Fuse(Arc<Mutex<Option<Ending>>>);

impl Fuse {
    /// Lights the fuse: it burns down with the next complete flush.
    pub(crate) fn light(&self, ending: Ending) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(ending);
    }

    fn burnt(&self) -> Option<Ending> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// A TCP stream with a fuse.
///
/// hyper writes to it and flushes; only here is it known that all bytes before a cut are really on their way.
#[derive(Debug)]
pub(crate) struct Wire {
    stream: TcpStream,
    fuse: Fuse,
    spill: Bytes,
}

impl Wire {
    pub(crate) fn new(stream: TcpStream, fuse: Fuse) -> Self {
        Self { stream, fuse, spill: Bytes::new() }
    }

    /// Writes the rest of what follows the answer, then ends the connection.
    fn poll_spill(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.spill.is_empty() {
            let written = ready!(Pin::new(&mut self.stream).poll_write(context, &self.spill))?;
            self.spill.advance(written);
        }
        Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()))
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// hyper flushes when its own buffer is empty, so a burnt fuse loses no byte before it.
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_flush(context))?;
        if !self.spill.is_empty() {
            return self.poll_spill(context);
        }
        match self.fuse.burnt() {
            None | Some(Ending::Keep | Ending::Hang) => Poll::Ready(Ok(())),
            Some(Ending::Close) => Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into())),
            Some(Ending::Reset) => {
                self.stream.set_zero_linger()?;
                Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()))
            }
            Some(Ending::Spill(bytes)) => {
                self.spill = bytes;
                self.poll_spill(context)
            }
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
