//! A bucket of the user's own at Google Cloud Storage, written by the XML API: the only one with
//! uploads in parts that run side by side.

mod call;
mod credentials;
mod failure;
mod listing;
mod policies;
mod requests;
mod settings;
mod tokens;
mod transport;
mod tried;
mod upload;

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use http::{HeaderValue, header};
use object_store::client::{HttpRequestBody, HttpResponse, HttpService as _};
use object_store::gcp::{GoogleCloudStorage, GoogleCloudStorageBuilder};
use object_store::path::Path;
use object_store::{BackoffConfig, CredentialProvider as _, RetryConfig};
use url::Url;

use self::call::{Call, Operation};
use self::credentials::TokenIssuer;
pub use self::settings::{GcsAccess, GcsStoreSettings};
use self::tokens::Tokens;
use self::transport::Transport;
use self::tried::Tried;
use crate::clock::Clock;
use crate::error::{Error, ErrorKind, Result};
use crate::export::{Base64, printable};
use crate::net;

/// Google's own address.
const ENDPOINT: &str = "https://storage.googleapis.com";

/// A bucket at Google Cloud Storage.
pub struct GcsStore {
    store: GoogleCloudStorage,
    transport: Transport,
    tokens: Arc<Tokens>,
    bucket: String,
    bucket_url: Url,
    /// The bucket at the JSON API, which tells what the XML API does not.
    json_url: Url,
    url: String,
    storage_class: Option<String>,
}

impl GcsStore {
    /// A bucket by its settings. Makes no request yet.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] for a bucket, an endpoint, a storage class or credentials that cannot be
    /// used.
    pub fn connect(settings: GcsStoreSettings, clock: Arc<Clock>) -> Result<Self> {
        let client = net::build_client(&settings.net)?;
        let issuer = TokenIssuer::new(&settings.access, client.clone(), &settings.net, clock)?;
        Self::over(settings, client, issuer)
    }

    fn over(settings: GcsStoreSettings, client: net::HttpClient, issuer: TokenIssuer) -> Result<Self> {
        let bucket_url = check(&settings)?;
        let transport = Transport::new(client, settings.net.stall_timeout);
        let tokens = Arc::new(Tokens::new(issuer));
        let base_url = settings.endpoint_url.as_ref().map_or(ENDPOINT, |url| url.as_str().trim_end_matches('/'));
        let store = GoogleCloudStorageBuilder::new()
            .with_bucket_name(&settings.bucket)
            .with_base_url(base_url)
            // Given credentials also keep it from looking for some in the home folder.
            .with_credentials(tokens.clone())
            .with_http_connector(transport.clone())
            .with_retry(RetryConfig { max_retries: 0, backoff: BackoffConfig::default(), ..RetryConfig::default() })
            .build()
            .map_err(|cause| Error::new(ErrorKind::Internal, "cannot set up the bucket").with_cause(cause))?;
        let json_url = Url::parse(&format!("{base_url}/storage/v1/b/{}", settings.bucket))
            .map_err(|_| Error::new(ErrorKind::Usage, "the destination's bucket gives no address"))?;
        let url = format!("gs://{}", settings.bucket);
        let GcsStoreSettings { bucket, storage_class, .. } = settings;
        Ok(Self { store, transport, tokens, bucket, bucket_url, json_url, url, storage_class })
    }

    /// Runs one request; one whose token is refused once more with a new token. Gives with the result
    /// the bucket's checksum of the object, where the answer has it.
    async fn run<T, F>(
        &self,
        operation: Operation,
        key: &str,
        crc32c: Option<Base64<4>>,
        request: impl Fn() -> F,
    ) -> Tried<(T, Option<Base64<4>>)>
    where
        F: Future<Output = object_store::Result<T>>,
    {
        let address = format!("{}/{key}", self.url);
        let mut is_last = false;
        loop {
            let call = Arc::new(Call::new(operation, &address, crc32c));
            let failure = match call.run(request()).await {
                Ok(value) => return Ok((value, call.received_crc32c())),
                Err(cause) => failure::of_call(&call, &cause),
            };
            let is_refused = failure.status == Some(401);
            if is_last || !is_refused || !self.tokens.forget(call.token_generation()).await {
                return Err(failure);
            }
            is_last = true;
        }
    }

    /// Asks the bucket itself: object_store has no such requests, or believes too much of the answer.
    async fn ask(&self, operation: Operation, prefix: &str, query: &str) -> Tried<bytes::Bytes> {
        let mut url = self.bucket_url.clone();
        url.set_query(Some(query));
        let (answer, _) = self.run(operation, prefix, None, || self.fetch(&url)).await?;
        Ok(answer)
    }

    async fn fetch(&self, url: &Url) -> object_store::Result<bytes::Bytes> {
        let answer = self.send(http::Request::get(url.as_str())).await?;
        answer.into_body().bytes().await.map_err(generic)
    }

    /// Sends a request of our own without a body, with the token.
    async fn send(&self, request: http::request::Builder) -> object_store::Result<HttpResponse> {
        let credential = self.tokens.get_credential().await?;
        let request = request
            .header(header::AUTHORIZATION, format!("Bearer {}", credential.bearer))
            .body(HttpRequestBody::empty())
            .map_err(generic)?;
        self.transport.call(request).await.map_err(generic)
    }

    /// The key as object_store's path. Its `Path::from` would escape `%` again, and its `Path::parse`
    /// drops outer slashes.
    fn path(&self, key: &str) -> Result<Path> {
        Path::parse(key).ok().filter(|path| path.as_ref() == key && !key.is_empty()).ok_or_else(|| {
            let address = format!("{}/{key}", self.url);
            Error::new(ErrorKind::KeyRefused, format!("key {} cannot be an object's name", printable(&address)))
        })
    }
}

impl fmt::Debug for GcsStore {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("GcsStore").field("url", &self.url).finish_non_exhaustive()
    }
}

fn generic(cause: impl std::error::Error + Send + Sync + 'static) -> object_store::Error {
    object_store::Error::Generic { store: "GCS", source: Box::new(cause) }
}

/// The bucket's own address, once the settings prove usable.
fn check(settings: &GcsStoreSettings) -> Result<Url> {
    let usage = |what: &str| Error::new(ErrorKind::Usage, what);
    let is_of_a_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if settings.bucket.is_empty() || !settings.bucket.bytes().all(is_of_a_name) {
        return Err(usage("the destination's bucket has no name that Google Cloud Storage allows"));
    }
    if settings.storage_class.as_deref().is_some_and(|class| !is_header(class)) {
        return Err(usage("the storage class is none").with_hint("for example STANDARD, NEARLINE, COLDLINE or ARCHIVE"));
    }
    let endpoint = match &settings.endpoint_url {
        Some(url) => net::parse_endpoint("the destination's endpoint", url.as_str())?,
        None => Url::parse(ENDPOINT).map_err(|_| Error::new(ErrorKind::Internal, "Google's address is no URL"))?,
    };
    let address = format!("{}/{}", endpoint.as_str().trim_end_matches('/'), settings.bucket);
    Url::parse(&address).map_err(|_| usage("the destination's bucket gives no address"))
}

/// Whether a text can stand in a header and is read back from one.
fn is_header(text: &str) -> bool {
    !text.is_empty() && HeaderValue::from_str(text).is_ok_and(|value| value.to_str().is_ok())
}

#[cfg(test)]
mod tests;
