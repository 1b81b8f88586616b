//! The export in Google Cloud Storage: listings by the JSON API, which tell size, generation and
//! checksums of every object; objects by one lean GET pinned to the generation.

mod failure;
mod list;
mod raw;

use std::sync::Arc;

use async_trait::async_trait;
use http::{HeaderValue, header};
use secrecy::ExposeSecret as _;
use url::Url;

use super::bucket::Protocol;
use super::get::{self, Getter};
use super::page::RawPage;
use super::{OpenObject, PageToken, ReadRequest};
use crate::credentials::{GcpToken, Issued};
use crate::error::{Error, ErrorKind, Result};
use crate::export::Object;
use crate::net::{self, NetSettings};
use crate::progress::Counters;

/// Google's own address.
const ENDPOINT: &str = "https://storage.googleapis.com";

/// How the export's bucket is reached.
#[derive(Clone, Debug, Default)]
pub struct GcsSettings {
    /// Another server than Google's.
    pub endpoint_url: Option<Url>,
    /// The project that pays for the requests, where the user wants one to (domain.md section 2).
    pub user_project: Option<String>,
    /// How connections are made.
    pub net: NetSettings,
}

/// Google Cloud Storage's requests.
pub(super) struct GcsProtocol {
    settings: GcsSettings,
    getter: Getter,
}

impl GcsProtocol {
    /// Requests to the bucket that the settings tell how to reach.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] for a proxy or a project that cannot be used.
    pub fn new(settings: GcsSettings, counters: Arc<Counters>) -> Result<Self> {
        if let Some(project) = &settings.user_project
            && HeaderValue::from_str(project).is_err()
        {
            return Err(Error::new(ErrorKind::Usage, "the user project cannot stand in a header")
                .with_hint("--user-project takes a project's id or number"));
        }
        let client = net::build_client(&settings.net)?;
        let getter = Getter::new(client, settings.net.clone(), counters);
        Ok(Self { settings, getter })
    }

    /// `ENDPOINT/storage/v1/b/BUCKET/o`: the bucket's objects in the JSON API.
    fn objects_url(&self, bucket: &str) -> String {
        let endpoint = self.settings.endpoint_url.as_ref().map_or(ENDPOINT, |url| url.as_str().trim_end_matches('/'));
        format!("{endpoint}/storage/v1/b/{bucket}/o")
    }

    /// Adds the token, and the paying project where there is one.
    fn authorize<T>(&self, request: &mut http::Request<T>, token: &GcpToken) -> Result<()> {
        let bearer = net::bearer(token.0.expose_secret())
            .map_err(|_| Error::new(ErrorKind::Protocol, "the vendor's token cannot stand in a header"))?;
        let headers = request.headers_mut();
        headers.insert(header::AUTHORIZATION, bearer);
        if let Some(project) = self.settings.user_project.as_deref().and_then(|text| HeaderValue::from_str(text).ok()) {
            headers.insert("x-goog-user-project", project);
        }
        Ok(())
    }
}

#[async_trait]
impl Protocol for GcsProtocol {
    type Credentials = GcpToken;

    async fn list_once(
        &self,
        issued: &Issued<GcpToken>,
        prefix: &str,
        delimiter: Option<&str>,
        from: Option<&PageToken>,
    ) -> Result<RawPage> {
        self.list_raw(issued, prefix, delimiter, from).await
    }

    async fn open_once(
        &self,
        issued: &Issued<GcpToken>,
        key: &str,
        object: &Object,
        request: &ReadRequest,
    ) -> Result<OpenObject> {
        let mut url = self.objects_url(&issued.location.bucket);
        url.push('/');
        // The JSON API takes the whole name as one segment of the path.
        net::push_encoded(&mut url, key, b'.');
        url.push_str("?alt=media");
        if let Some(generation) = object.generation {
            url.push_str(&format!("&generation={generation}"));
        }
        let range = request.range.as_ref();
        let mut http_request = get::request(&url, key, range)?;
        // Without it an object that is stored compressed would arrive changed.
        http_request.headers_mut().insert(header::ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
        self.authorize(&mut http_request, &issued.credentials)?;
        let response = self.getter.send(http_request, key, request.on_new_connection).await?;
        if !response.status().is_success() {
            return Err(failure::of_response(response, "GET", key).await);
        }
        self.getter.opened(response, object, range)
    }
}
