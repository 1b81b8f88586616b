//! How the HTTP client is built that everything here shares.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Once};
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{Certificate, Client, ClientBuilder, NoProxy, Proxy, redirect};
use url::Url;

use super::established::MarkLaterFailures;
use super::no_answer::NoAuthorities;
use crate::error::{Error, ErrorKind, Result};

/// The schemes of proxies that can be used. A name behind `socks5h` and `socks4a` is resolved by the proxy.
const PROXY_SCHEMES: [&str; 6] = ["http", "https", "socks5", "socks5h", "socks4", "socks4a"];

/// How connections are made.
#[derive(Clone)]
pub struct NetSettings {
    /// How long a connection may take to come about.
    pub connect_timeout: Duration,
    /// How long an answer or the next bytes of a body may stay away before the connection is dropped.
    pub stall_timeout: Duration,
    /// A transfer from the source that brings less in a minute of waiting is dropped and continued; 0 for none.
    pub min_bytes_per_second: u64,
    /// A proxy for HTTPS, and the hosts that are reached without it (`NO_PROXY` syntax).
    pub proxy: Option<(String, String)>,
    /// Certificate authorities that are trusted besides the system's: PEM files, or folders of such files.
    pub ca_bundles: Vec<PathBuf>,
}

impl Default for NetSettings {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            stall_timeout: Duration::from_secs(20),
            min_bytes_per_second: 100,
            proxy: None,
            ca_bundles: Vec::new(),
        }
    }
}

impl fmt::Debug for NetSettings {
    /// Says only whether there is a proxy: its address may hold a password.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("NetSettings")
            .field("connect_timeout", &self.connect_timeout)
            .field("stall_timeout", &self.stall_timeout)
            .field("min_bytes_per_second", &self.min_bytes_per_second)
            .field("has_proxy", &self.proxy.is_some())
            .field("ca_bundles", &self.ca_bundles)
            .finish()
    }
}

/// A pooled HTTP/1.1 client that follows no redirect: no token or signature goes to a second host.
///
/// # Errors
/// [`ErrorKind::Usage`] for a proxy address that is none, and for a CA bundle without certificates.
pub fn build_client(settings: &NetSettings) -> Result<Client> {
    build(settings, |builder| builder)
}

/// A client like [`build_client`]'s that opens a new connection for every request.
///
/// # Errors
/// As [`build_client`].
pub fn build_client_without_pool(settings: &NetSettings) -> Result<Client> {
    build(settings, |builder| builder.pool_max_idle_per_host(0))
}

fn build(settings: &NetSettings, adapt: impl Fn(ClientBuilder) -> ClientBuilder) -> Result<Client> {
    install_tls_provider();
    let mut authorities = Vec::new();
    for bundle in &settings.ca_bundles {
        authorities.extend(read_bundle(bundle)?);
    }
    let builder = || Ok::<_, Error>(adapt(with_proxy(plain_builder(settings), settings)?));
    match builder()?.tls_certs_merge(authorities.clone()).build() {
        Ok(client) => Ok(client),
        // A system without any certificate authority, such as a bare container image, reaches plain HTTP on
        // this machine all the same; whatever else is to be reached is told that there is none.
        Err(_) => builder()?
            .tls_certs_only(authorities)
            .dns_resolver(Arc::new(ThisMachine))
            .build()
            .map_err(|cause| Error::new(ErrorKind::Internal, "cannot set up HTTPS").with_cause(cause)),
    }
}

fn plain_builder(settings: &NetSettings) -> ClientBuilder {
    Client::builder()
        .http1_only()
        .redirect(redirect::Policy::none())
        .connect_timeout(settings.connect_timeout)
        .pool_idle_timeout(Duration::from_secs(20))
        .tcp_nodelay(true)
        .user_agent(concat!("e3sync/", env!("CARGO_PKG_VERSION")))
}

fn with_proxy(builder: ClientBuilder, settings: &NetSettings) -> Result<ClientBuilder> {
    let Some((address, exceptions)) = &settings.proxy else {
        return Ok(builder.no_proxy());
    };
    let refuse = |what: &str| {
        Error::new(ErrorKind::Usage, what.to_owned())
            .with_hint("check HTTPS_PROXY; it has the form http://host:port, or socks5h://host:port")
    };
    // Without a scheme it is a host, as other tools take it.
    if let Ok(url) = Url::parse(address)
        && address.contains("://")
        && !PROXY_SCHEMES.contains(&url.scheme())
    {
        return Err(refuse(&format!("proxies of the scheme `{}` are not supported", url.scheme())));
    }
    let proxy = Proxy::https(address.as_str())
        .map_err(|cause| refuse("the proxy's address is not a URL").with_cause(cause.without_url()))?;
    let proxy = proxy.no_proxy(NoProxy::from_string(exceptions));
    Ok(builder.proxy(proxy).connector_layer(MarkLaterFailures))
}

/// The certificates of a PEM file, or of all files of a folder, as `c_rehash` makes them.
fn read_bundle(path: &Path) -> Result<Vec<Certificate>> {
    let unusable = |reason: String| {
        Error::new(ErrorKind::Usage, format!("the CA bundle {} {reason}", path.display()))
            .with_hint("name a file of PEM certificates: --ca-bundle, or one of AWS_CA_BUNDLE, REQUESTS_CA_BUNDLE and CURL_CA_BUNDLE")
    };
    let unread = |cause: std::io::Error| unusable("cannot be read".to_owned()).with_cause(cause);
    let mut files = vec![path.to_owned()];
    if path.is_dir() {
        let entries = std::fs::read_dir(path).and_then(Iterator::collect::<std::io::Result<Vec<_>>>);
        files = entries.map_err(unread)?.into_iter().map(|entry| entry.path()).filter(|path| path.is_file()).collect();
    }
    let mut authorities = Vec::new();
    for file in files {
        let bytes = std::fs::read(&file).map_err(unread)?;
        // A folder may hold other files as well.
        authorities.extend(Certificate::from_pem_bundle(&bytes).unwrap_or_default());
    }
    if authorities.is_empty() {
        return Err(unusable("holds no PEM certificate".to_owned()));
    }
    Ok(authorities)
}

/// Knows this machine only: without authorities no other can be trusted, and none need be looked up.
struct ThisMachine;

impl Resolve for ThisMachine {
    fn resolve(&self, name: Name) -> Resolving {
        let found: std::result::Result<Addrs, Box<dyn std::error::Error + Send + Sync>> = match name.as_str() {
            "localhost" => Ok(Box::new([SocketAddr::from((Ipv4Addr::LOCALHOST, 0))].into_iter())),
            _ => Err(Box::new(NoAuthorities)),
        };
        Box::pin(std::future::ready(found))
    }
}

fn install_tls_provider() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // Another part of the process may have chosen a provider already; that one serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
}
