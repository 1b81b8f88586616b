//! The export in Google Cloud Storage: listings by the JSON API, which tell size, generation and
//! checksums of every object; objects by one lean GET pinned to the generation.

mod failure;
mod list;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use http::{HeaderValue, header};
use jiff::civil::Date;
use reqwest::{Client, Url};
use secrecy::ExposeSecret as _;

use super::get::{self, Getter};
use super::{OpenObject, Page, PageToken, ReadRequest, Source, folders};
use crate::credentials::{GcpToken, Issued, Renewer};
use crate::error::{Error, ErrorKind, Result};
use crate::export::{ExportLocation, Object, Partition, TypeName};
use crate::net::{self, NetSettings};
use crate::progress::Counters;

/// Google's own address.
const ENDPOINT: &str = "https://storage.googleapis.com";

/// How the export's bucket is reached.
#[derive(Clone, Debug)]
pub struct GcsSettings {
    /// Another server than Google's.
    pub endpoint_url: Option<Url>,
    /// The project that pays for the requests, where the user wants one to (domain.md section 2).
    pub user_project: Option<String>,
    /// How connections are made.
    pub net: NetSettings,
}

/// The export in a Google Cloud Storage bucket.
pub struct GcsSource {
    settings: GcsSettings,
    client: Client,
    getter: Getter,
    renewer: Renewer<GcpToken>,
    counters: Arc<Counters>,
}

impl GcsSource {
    /// A source that reads with the tokens of `renewer`.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] for a proxy or a project that cannot be used.
    pub fn new(settings: GcsSettings, renewer: Renewer<GcpToken>, counters: Arc<Counters>) -> Result<Self> {
        if let Some(project) = &settings.user_project
            && HeaderValue::from_str(project).is_err()
        {
            return Err(Error::new(ErrorKind::Usage, "the user project cannot stand in a header")
                .with_hint("--user-project takes a project's id or number"));
        }
        let client = net::build_client(&settings.net)?;
        let getter = Getter::new(client.clone(), settings.net.clone(), counters.clone());
        Ok(Self { settings, client, getter, renewer, counters })
    }

    /// `ENDPOINT/storage/v1/b/BUCKET/o`: the bucket's objects in the JSON API.
    fn objects_url(&self, bucket: &str) -> String {
        let endpoint = self.settings.endpoint_url.as_ref().map_or(ENDPOINT, |url| url.as_str().trim_end_matches('/'));
        format!("{endpoint}/storage/v1/b/{bucket}/o")
    }

    /// Adds the token, and the paying project where there is one.
    fn authorize<T>(&self, request: &mut http::Request<T>, issued: &Issued<GcpToken>) -> Result<()> {
        let bearer = format!("Bearer {}", issued.credentials.0.expose_secret());
        let mut bearer = HeaderValue::from_str(&bearer)
            .map_err(|_| Error::new(ErrorKind::Protocol, "the vendor's token cannot stand in a header"))?;
        bearer.set_sensitive(true);
        let headers = request.headers_mut();
        headers.insert(header::AUTHORIZATION, bearer);
        if let Some(project) = self.settings.user_project.as_deref().and_then(|text| HeaderValue::from_str(text).ok()) {
            headers.insert("x-goog-user-project", project);
        }
        Ok(())
    }

    async fn open_with(
        &self,
        issued: &Issued<GcpToken>,
        partition: &Partition,
        object: &Object,
        request: &ReadRequest,
    ) -> Result<OpenObject> {
        let key = format!("{}{}", issued.location.partition_prefix(partition), object.key);
        let mut url = self.objects_url(&issued.location.bucket);
        url.push('/');
        // The JSON API takes the whole name as one segment of the path.
        get::push_encoded(&mut url, &key, b'.');
        url.push_str("?alt=media");
        if let Some(generation) = object.generation {
            url.push_str(&format!("&generation={generation}"));
        }
        let range = request.range.as_ref();
        let mut http_request = get::request(&url, &key, range)?;
        // Without it an object that is stored compressed would arrive changed.
        http_request.headers_mut().insert(header::ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
        self.authorize(&mut http_request, issued)?;
        let response = self.getter.send(http_request, &key, request.on_new_connection).await?;
        if !response.status().is_success() {
            return Err(failure::of_response(response, "GET", &key).await);
        }
        self.getter.opened(response, object, range)
    }
}

#[async_trait]
impl Source for GcsSource {
    async fn location(&self) -> Result<ExportLocation> {
        Ok(self.renewer.current().await?.location.clone())
    }

    async fn list_types(&self) -> Result<Vec<TypeName>> {
        Ok(folders::types_of(&self.list_folders(|location| location.root.clone()).await?))
    }

    async fn list_days(&self, type_name: &TypeName) -> Result<Vec<Date>> {
        Ok(folders::days_of(&self.list_folders(|location| format!("{}{}/", location.root, type_name.folder())).await?))
    }

    async fn list_page(&self, partition: &Partition, prefix: &str, from: Option<&PageToken>) -> Result<Page> {
        self.renewer
            .request(|issued| async move {
                let cut = issued.location.partition_prefix(partition);
                let full_prefix = format!("{cut}{prefix}");
                let raw = self.list_raw(&issued, &full_prefix, None, from).await?;
                raw.into_page(&full_prefix, &cut, from)
            })
            .await
    }

    async fn open(&self, partition: &Partition, object: &Object, request: ReadRequest) -> Result<OpenObject> {
        let request = &request;
        self.renewer.request(|issued| async move { self.open_with(&issued, partition, object, request).await }).await
    }

    async fn keep_fresh(&self) -> Error {
        self.renewer.keep_fresh().await
    }

    fn credentials_remaining(&self) -> Option<Duration> {
        self.renewer.remaining()
    }
}
