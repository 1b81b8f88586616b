//! Which servers are trusted: by the system's authorities and those that the user names.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::Verifier;

use crate::error::{Error, ErrorKind, Result};

/// What connections are secured by.
pub(super) struct Trust {
    pub config: Arc<ClientConfig>,
    /// Whether this system has authorities of its own; without, nothing but this machine is to be reached.
    pub has_authorities: bool,
}

/// The system's authorities, and those of PEM files or of folders of such files.
///
/// # Errors
/// [`ErrorKind::Usage`] for a bundle that cannot be read or holds no certificate.
pub(super) fn trust(bundles: &[PathBuf]) -> Result<Trust> {
    let mut authorities = Vec::new();
    for bundle in bundles {
        authorities.extend(read_bundle(bundle)?);
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|cause| Error::new(ErrorKind::Internal, "cannot set up HTTPS").with_cause(cause))?;
    let (mut config, has_authorities) = match Verifier::new_with_extra_roots(authorities.clone(), provider) {
        // The dangerous part would be a verifier that is none; this is the system's own.
        Ok(verifier) => {
            (builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier)).with_no_client_auth(), true)
        }
        // A system without any certificate authority, such as a bare container image, reaches plain HTTP on
        // this machine all the same; whatever else is to be reached is told that there is none.
        Err(_) => {
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(authorities);
            (builder.with_root_certificates(roots).with_no_client_auth(), false)
        }
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Trust { config: Arc::new(config), has_authorities })
}

/// The certificates of a PEM file, or of all files of a folder, as `c_rehash` makes them.
fn read_bundle(path: &Path) -> Result<Vec<CertificateDer<'static>>> {
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
        let found: std::result::Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
        authorities.extend(found.unwrap_or_default());
    }
    if authorities.is_empty() {
        return Err(unusable("holds no PEM certificate".to_owned()));
    }
    Ok(authorities)
}
