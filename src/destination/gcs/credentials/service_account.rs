//! A service account's own key, with which tokens are signed without asking anybody.

use std::time::Duration;

use object_store::gcp::{GoogleCloudStorage, GoogleCloudStorageBuilder};
use secrecy::{ExposeSecret as _, SecretString};

use super::super::transport::Transport;
use super::token::Bearer;
use crate::error::{Error, ErrorKind, Result};
use crate::net::HttpClient;

/// object_store signs a token for one hour.
const SIGNED_SECONDS: u64 = 3600;

/// object_store's own signer of tokens; it makes no request for them.
pub(super) fn signer(key: &SecretString, client: &HttpClient) -> object_store::Result<GoogleCloudStorage> {
    GoogleCloudStorageBuilder::new()
        .with_bucket_name("none")
        .with_service_account_key(key.expose_secret())
        .with_http_connector(Transport::new(client.clone(), Duration::ZERO))
        .build()
}

/// A new token of the account.
pub(super) async fn sign(key: &SecretString, client: &HttpClient) -> Result<Bearer> {
    let refused = |_| Error::new(ErrorKind::AccessDenied, "the service account's key signs no token");
    // A new signer each time: it would give the refused token again.
    let credential = signer(key, client).map_err(refused)?.credentials().get_credential().await.map_err(refused)?;
    Ok(Bearer::new(credential.bearer.clone(), SIGNED_SECONDS))
}
