//! How connections come about: directly, or through a proxy.

use std::error::Error as StdError;
use std::future::Ready;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use futures::future::{BoxFuture, Either};
use http::uri::Scheme;
use http::{HeaderMap, Uri, header};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::connect::dns::{GaiResolver, Name};
use hyper_util::client::legacy::connect::proxy::{SocksV4, SocksV5, Tunnel};
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use rustls::ClientConfig;
use tower_service::Service;
use url::Url;

use super::http_error::{FailedLater, NoAuthorities};
use super::read_ahead::ReadAheadConnector;
use super::settings::{NetSettings, USER_AGENT};
use super::tls::Trust;
use crate::error::{Error, ErrorKind, Result};

/// The schemes of proxies that can be used. A name behind `socks5h` and `socks4a` is resolved by the proxy.
const PROXY_SCHEMES: [&str; 6] = ["http", "https", "socks5", "socks5h", "socks4", "socks4a"];

/// The port of SOCKS proxies that name none (RFC 1928).
const SOCKS_PORT: u16 = 1080;

/// How soon a connection on which nothing comes is asked whether it still is one, and how often.
const KEEPALIVE: Duration = Duration::from_secs(15);
const KEEPALIVE_RETRIES: u32 = 3;

type BoxError = Box<dyn StdError + Send + Sync>;
type Plain = HttpConnector<Resolver>;
type Direct = ReadAheadConnector<Plain>;

/// Makes connections for the client's pool.
#[derive(Clone)]
pub(super) struct Connector {
    plain: Plain,
    tls: Arc<ClientConfig>,
    proxy: Option<Arc<Proxy>>,
    timeout: Duration,
}

/// A proxy for HTTPS.
struct Proxy {
    matcher: Matcher,
    /// Whether a connection through it has come about: a proxy that let one through may fail for a while, but
    /// forbids nothing, and the library does not hand the status of its answer on.
    has_connected: AtomicBool,
}

impl Connector {
    /// Connections as the settings want them.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] for a proxy that cannot be used.
    pub fn new(settings: &NetSettings, trust: Trust) -> Result<Self> {
        let mut plain = HttpConnector::new_with_resolver(Resolver { knows_others: trust.has_authorities });
        plain.enforce_http(false);
        plain.set_nodelay(true);
        plain.set_keepalive(Some(KEEPALIVE));
        plain.set_keepalive_interval(Some(KEEPALIVE));
        plain.set_keepalive_retries(Some(KEEPALIVE_RETRIES));
        let proxy = settings.proxy.as_ref().map(|(address, exceptions)| proxy(address, exceptions)).transpose()?;
        Ok(Self {
            plain,
            tls: trust.config,
            proxy: proxy.map(|matcher| Arc::new(Proxy { matcher, has_connected: AtomicBool::new(false) })),
            timeout: settings.connect_timeout,
        })
    }

    async fn connect(mut self, to: Uri) -> std::result::Result<Stream, BoxError> {
        let timeout = self.timeout;
        let connecting = async {
            let Some(proxy) = self.proxy.take() else { return self.connect_directly(to).await };
            let connected = match proxy.matcher.intercept(&to) {
                None => self.connect_directly(to).await,
                Some(by) => self.connect_by(&by, to).await,
            };
            let has_connected = proxy.has_connected.fetch_or(connected.is_ok(), Ordering::Relaxed);
            connected.map_err(|cause| if has_connected { Box::new(FailedLater(cause)) } else { cause })
        };
        match tokio::time::timeout(timeout, connecting).await {
            Ok(connected) => connected,
            Err(_) => Err(Box::new(io::Error::new(io::ErrorKind::TimedOut, "connecting took too long"))),
        }
    }

    async fn connect_directly(self, to: Uri) -> std::result::Result<Stream, BoxError> {
        let is_secured = to.scheme() == Some(&Scheme::HTTPS);
        Ok(Stream::of(self.secured(self.direct(is_secured)).call(to).await?))
    }

    /// Connections of TCP; those that are to be secured read ahead.
    fn direct(&self, reads_ahead: bool) -> Direct {
        ReadAheadConnector::new(self.plain.clone(), reads_ahead)
    }

    fn secured<C>(&self, connector: C) -> HttpsConnector<C> {
        HttpsConnector::from((connector, self.tls.clone()))
    }

    /// Through a proxy: the far end is secured whatever the way to the proxy is.
    async fn connect_by(self, proxy: &Intercept, to: Uri) -> std::result::Result<Stream, BoxError> {
        let address = proxy.uri().clone();
        let scheme = address.scheme_str().unwrap_or_default().to_owned();
        match scheme.as_str() {
            "socks5" | "socks5h" => {
                let mut socks = SocksV5::new(address, self.direct(true)).local_dns(scheme == "socks5");
                if let Some((user, password)) = proxy.raw_auth() {
                    socks = socks.with_auth(user.to_owned(), password.to_owned());
                }
                Ok(Stream::of(self.secured(socks).call(to).await?))
            }
            "socks4" | "socks4a" => {
                let socks = SocksV4::new(address, self.direct(true)).local_dns(scheme == "socks4");
                Ok(Stream::of(self.secured(socks).call(to).await?))
            }
            _ => {
                let headers = HeaderMap::from_iter([(header::USER_AGENT, USER_AGENT)]);
                let mut tunnel = Tunnel::new(address, self.secured(self.direct(true))).with_headers(headers);
                if let Some(login) = proxy.basic_auth() {
                    tunnel = tunnel.with_auth(login.clone());
                }
                Ok(Stream::of(self.secured(tunnel).call(to).await?))
            }
        }
    }
}

impl Service<Uri> for Connector {
    type Response = Stream;
    type Error = BoxError;
    type Future = BoxFuture<'static, std::result::Result<Stream, BoxError>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<std::result::Result<(), BoxError>> {
        self.plain.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        Box::pin(self.clone().connect(to))
    }
}

/// The proxy at an address, and for which hosts there is none.
fn proxy(address: &str, exceptions: &str) -> Result<Matcher> {
    let refuse = |what: &str| {
        Error::new(ErrorKind::Usage, what.to_owned())
            .with_hint("check HTTPS_PROXY; it has the form http://host:port, or socks5h://host:port")
    };
    // Without a scheme it is a host, as other tools take it.
    let has_scheme = address.contains("://");
    let mut url = Url::parse(&if has_scheme { address.to_owned() } else { format!("http://{address}") })
        .ok()
        .filter(Url::has_host)
        .ok_or_else(|| refuse("the proxy's address is not a URL"))?;
    if !PROXY_SCHEMES.contains(&url.scheme()) {
        return Err(refuse(&format!("proxies of the scheme `{}` are not supported", url.scheme())));
    }
    if url.scheme().starts_with("socks") && url.port().is_none() {
        let _ = url.set_port(Some(SOCKS_PORT));
    }
    let matcher = Matcher::builder().https(url.as_str()).no(exceptions).build();
    // A matcher without a proxy would silently go without it.
    let https = Uri::from_static("https://a.host.that.no.exception.names");
    if Matcher::builder().https(url.as_str()).build().intercept(&https).is_none() {
        return Err(refuse("the proxy's address is not a URL"));
    }
    Ok(matcher)
}

/// Finds addresses: the system's way, or only those of this machine where no other can be trusted anyway.
#[derive(Clone)]
pub(super) struct Resolver {
    knows_others: bool,
}

impl Service<Name> for Resolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = BoxError;
    type Future = Either<
        BoxFuture<'static, std::result::Result<Self::Response, BoxError>>,
        Ready<std::result::Result<Self::Response, BoxError>>,
    >;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<std::result::Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        if self.knows_others {
            let found = GaiResolver::new().call(name);
            return Either::Left(Box::pin(async move { Ok(found.await?.collect::<Vec<_>>().into_iter()) }));
        }
        Either::Right(std::future::ready(match name.as_str() {
            "localhost" => Ok(vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 0))].into_iter()),
            _ => Err(Box::new(NoAuthorities)),
        }))
    }
}

/// A connection of any kind.
pub(super) struct Stream(Box<dyn Duplex>);

trait Duplex: Read + Write + Connection + Unpin + Send {}

impl<T: Read + Write + Connection + Unpin + Send> Duplex for T {}

impl Stream {
    fn of(stream: impl Duplex + 'static) -> Self {
        Self(Box::new(stream))
    }
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        self.0.connected()
    }
}

impl Read for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0).poll_read(context, buffer)
    }
}

impl Write for Stream {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0).poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.0).poll_write_vectored(context, pieces)
    }
}
