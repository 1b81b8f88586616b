use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use super::{E3sync, Export};

/// TLS in front of a simulated export, with a certificate of an authority that no machine knows.
pub struct TlsFront {
    folder: tempfile::TempDir,
    port: u16,
    _runtime: Runtime,
}

impl TlsFront {
    /// A front whose certificate is for `localhost`.
    pub fn start(export: &Export) -> Self {
        Self::with(export, "localhost", |_| {})
    }

    /// A front whose certificate is for another name, or is changed before it is signed.
    pub fn with(export: &Export, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Self {
        let authority_key = KeyPair::generate().unwrap();
        let mut authority = CertificateParams::default();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let folder = tempfile::tempdir().unwrap();
        let certificate = authority.self_signed(&authority_key).unwrap();
        std::fs::write(folder.path().join("authority.pem"), certificate.pem()).unwrap();

        let key = KeyPair::generate().unwrap();
        let mut parameters = CertificateParams::new(vec![name.to_owned()]).unwrap();
        change(&mut parameters);
        let certificate = parameters.signed_by(&key, &Issuer::new(authority, authority_key)).unwrap();
        let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], PrivateKeyDer::Pkcs8(key.serialize_der().into()))
            .unwrap();

        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0))).unwrap();
        let port = listener.local_addr().unwrap().port();
        let target = export.simulator().url().strip_prefix("http://").unwrap().parse().unwrap();
        runtime.spawn(serve(listener, TlsAcceptor::from(Arc::new(config)), target));
        Self { folder, port, _runtime: runtime }
    }

    /// The PEM file of the authority.
    pub fn authority(&self) -> PathBuf {
        self.folder.path().join("authority.pem")
    }

    /// The folder that has nothing but that file.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Points a call at the front.
    pub fn point(&self, command: E3sync) -> E3sync {
        let url = format!("https://localhost:{}", self.port);
        command.env("E3SYNC_API_URL", &url).env("E3SYNC_SOURCE_ENDPOINT_URL", &url)
    }
}

async fn serve(listener: TcpListener, acceptor: TlsAcceptor, target: SocketAddr) {
    while let Ok((stream, _)) = listener.accept().await {
        let acceptor = acceptor.clone();
        tokio::spawn(async move {
            // A client that does not trust the certificate leaves in the middle of the handshake.
            let Ok(mut stream) = acceptor.accept(stream).await else { return };
            let Ok(mut server) = TcpStream::connect(target).await else { return };
            let _ = copy_bidirectional(&mut stream, &mut server).await;
        });
    }
}
