//! The listening socket and its connections.

use super::delivery::Sending;
use super::wire::{Fuse, Wire};
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};

/// How long to wait after a failed accept, which happens when the process has no file descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

/// What stands behind a listening socket.
pub(crate) trait Serve: Send + Sync + 'static {
    /// Answers one request, or cuts its connection. The fuse is that of the connection.
    fn serve(
        self: Arc<Self>,
        request: Request<Incoming>,
        fuse: Fuse,
    ) -> impl Future<Output = Result<Response<Sending>, Cut>> + Send;
}

/// In place of an answer: the connection ends without one.
#[derive(Debug)]
pub(crate) struct Cut;

impl fmt::Display for Cut {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the connection is cut on purpose")
    }
}

impl std::error::Error for Cut {}

/// A running server. Dropping it stops it without waiting.
pub(crate) struct Server {
    address: SocketAddr,
    accepting: JoinHandle<()>,
    /// Never sent on: its end is the signal to stop.
    running: oneshot::Sender<Infallible>,
}

impl Server {
    /// Listens on the address, and has the service answer.
    pub(crate) async fn start(listen: SocketAddr, service: Arc<impl Serve>) -> io::Result<Self> {
        let listener = TcpListener::bind(listen).await?;
        let address = listener.local_addr()?;
        let (running, stopped) = oneshot::channel();
        let accepting = tokio::spawn(run(listener, service, stopped));
        Ok(Self { address, accepting, running })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Closes the socket and all connections, and waits until they are closed.
    pub(crate) async fn stop(self) {
        drop(self.running);
        // The task cannot fail, and if the runtime has ended it, the sockets are closed as well.
        let _ = self.accepting.await;
    }
}

async fn run(listener: TcpListener, service: Arc<impl Serve>, stopped: oneshot::Receiver<Infallible>) {
    let mut connections = JoinSet::new();
    tokio::select! {
        _ = stopped => {}
        () = accept(&listener, &service, &mut connections) => {}
    }
    drop(listener);
    connections.shutdown().await;
}

async fn accept(listener: &TcpListener, service: &Arc<impl Serve>, connections: &mut JoinSet<()>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                connections.spawn(connection(stream, service.clone()));
            }
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
        while connections.try_join_next().is_some() {}
    }
}

async fn connection(stream: TcpStream, service: Arc<impl Serve>) {
    // Small answers must not wait for the client's acknowledgements; a failure costs only time.
    let _ = stream.set_nodelay(true);
    let fuse = Fuse::default();
    let wire = TokioIo::new(Wire::new(stream, fuse.clone()));
    let answer = service_fn(|request: Request<Incoming>| service.clone().serve(request, fuse.clone()));
    // A connection that breaks, or is broken on purpose, is the client's to notice.
    let _ = http1::Builder::new().serve_connection(wire, answer).await;
}
