//! The export in S3: listings by the AWS SDK, objects by one lean signed GET.

mod failure;
mod list;
mod sign;

use std::future::Future;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use http::HeaderValue;
use jiff::civil::Date;
use reqwest::{Client, Url};

use super::get;
use super::{OpenObject, Page, PageToken, ReadRequest, Source};
use crate::clock::Clock;
use crate::credentials::{AwsCredentials, Issued, Renewer};
use crate::error::{Error, ErrorKind, Result, Retry};
use crate::export::{ExportLocation, Object, Partition, TypeName, day_of_folder, printable};
use crate::net::{self, AnswerCheck, NetSettings, SdkTransport};
use crate::progress::Counters;

/// How the export's bucket is reached.
#[derive(Clone, Debug)]
pub struct S3Settings {
    /// The bucket's region; the documented one is `us-east-1` (domain.md section 2).
    pub region: String,
    /// Another server than AWS, addressed in path style.
    pub endpoint_url: Option<Url>,
    /// How connections are made.
    pub net: NetSettings,
}

/// The export in an S3 bucket.
///
/// Lists only below the account's prefix and calls no operation on the bucket itself: the
/// credentials allow neither (domain.md section 2).
pub struct S3Source {
    settings: S3Settings,
    client: Client,
    /// Keeps no connection, for bytes that arrived wrong over a pooled one. Made when first needed:
    /// it reads all trusted certificates again.
    client_without_pool: OnceLock<Client>,
    sdk_config: aws_sdk_s3::Config,
    renewer: Renewer<AwsCredentials>,
    clock: Arc<Clock>,
    counters: Arc<Counters>,
}

impl S3Source {
    /// A source that signs by `clock` with the credentials of `renewer`.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] for a proxy that cannot be used.
    pub fn new(
        settings: S3Settings,
        renewer: Renewer<AwsCredentials>,
        clock: Arc<Clock>,
        counters: Arc<Counters>,
    ) -> Result<Self> {
        let client = net::build_client(&settings.net)?;
        let transport = SdkTransport::new(client.clone(), AnswerCheck::WholeXml);
        Ok(Self {
            sdk_config: list::sdk_config(&settings, transport, clock.clone()),
            client_without_pool: OnceLock::new(),
            settings,
            client,
            renewer,
            clock,
            counters,
        })
    }

    /// Makes a request with current credentials, and once more with new ones each time the server
    /// refuses them, in the middle of whatever it is.
    async fn with_credentials<T, F, R>(&self, request: F) -> Result<T>
    where
        F: Fn(Arc<Issued<AwsCredentials>>) -> R + Send + Sync,
        R: Future<Output = Result<T>> + Send,
    {
        let mut issued = self.renewer.current().await?;
        loop {
            match request(issued.clone()).await {
                Err(error) if error.retry() == Retry::Renew => {
                    issued = self.renewer.replace_refused(&issued).await?;
                }
                Err(error) => return Err(error),
                Ok(value) => {
                    self.renewer.accepted(&issued);
                    return Ok(value);
                }
            }
        }
    }

    async fn open_with(
        &self,
        issued: &Issued<AwsCredentials>,
        partition: &Partition,
        object: &Object,
        request: &ReadRequest,
    ) -> Result<OpenObject> {
        let key = format!("{}{}", issued.location.partition_prefix(partition), object.key);
        let http_request = self.get_request(issued, &key, object, request)?;
        let client = if request.on_new_connection { self.client_without_pool()? } else { &self.client };
        self.counters.get_requests.add(1);
        let sending = tokio::time::timeout(self.settings.net.stall_timeout, client.execute(http_request));
        let response = match sending.await {
            Err(_) => return Err(Error::new(ErrorKind::Unavailable, format!("no answer to GET {}", printable(&key)))),
            Ok(Err(cause)) => {
                return Err(net::connection_error(format!("no answer to GET {}", printable(&key)), cause));
            }
            Ok(Ok(response)) => response,
        };
        if !response.status().is_success() {
            return Err(failure::of_response(response, &key, &self.clock).await);
        }
        get::check_answer(&response, object, request.range.as_ref())?;
        let wanted_bytes = request.range.as_ref().map_or(object.size_bytes, |range| range.end - range.start);
        // Some servers repeat the whole object's checksum on a part; it says nothing of the part.
        let checksums = if request.range.is_none() { get::checksums(response.headers()) } else { Default::default() };
        Ok(OpenObject {
            checksums,
            body: get::body(response, wanted_bytes, self.settings.net.stall_timeout, &object.key),
        })
    }

    fn client_without_pool(&self) -> Result<&Client> {
        if let Some(client) = self.client_without_pool.get() {
            return Ok(client);
        }
        let client = net::build_client_without_pool(&self.settings.net)?;
        Ok(self.client_without_pool.get_or_init(|| client))
    }

    fn get_request(
        &self,
        issued: &Issued<AwsCredentials>,
        key: &str,
        object: &Object,
        request: &ReadRequest,
    ) -> Result<reqwest::Request> {
        let url = sign::object_url(&self.settings, &issued.location.bucket, key);
        let mut http_request = http::Request::builder().uri(&url).header("x-amz-checksum-mode", "ENABLED");
        if let Some(etag) = &object.etag {
            let value =
                HeaderValue::from_str(etag).map_err(|_| get_refused(key, "its ETag cannot stand in a header"))?;
            http_request = http_request.header(http::header::IF_MATCH, value);
        }
        if let Some(range) = &request.range {
            http_request = http_request.header(http::header::RANGE, format!("bytes={}-{}", range.start, range.end - 1));
        }
        let mut http_request = http_request.body("").map_err(|_| get_refused(key, "it gives no address"))?;
        sign::sign(&mut http_request, &issued.credentials, &self.settings.region, self.clock.now())?;
        reqwest::Request::try_from(http_request).map_err(|_| get_refused(key, "it gives no address"))
    }
}

fn get_refused(key: &str, reason: &str) -> Error {
    Error::new(ErrorKind::KeyRefused, format!("key `{}` cannot be requested: {reason}", printable(key)))
}

#[async_trait]
impl Source for S3Source {
    async fn location(&self) -> Result<ExportLocation> {
        Ok(self.renewer.current().await?.location.clone())
    }

    async fn list_types(&self) -> Result<Vec<TypeName>> {
        let folders = self.list_folders(|location| location.root.clone()).await?;
        let names = folders.iter().filter_map(|folder| folder.strip_prefix("type="));
        Ok(names.filter_map(|name| TypeName::parse(name).ok()).collect())
    }

    async fn list_days(&self, type_name: &TypeName) -> Result<Vec<Date>> {
        let folders = self.list_folders(|location| format!("{}{}/", location.root, type_name.folder())).await?;
        Ok(folders.iter().filter_map(|folder| day_of_folder(folder)).collect())
    }

    async fn list_page(&self, partition: &Partition, prefix: &str, from: Option<&PageToken>) -> Result<Page> {
        self.with_credentials(|issued| async move {
            let cut = issued.location.partition_prefix(partition);
            let full_prefix = format!("{cut}{prefix}");
            let raw = self.list_raw(&issued, &full_prefix, None, from).await?;
            raw.into_page(&full_prefix, &cut, from)
        })
        .await
    }

    async fn open(&self, partition: &Partition, object: &Object, request: ReadRequest) -> Result<OpenObject> {
        let request = &request;
        self.with_credentials(|issued| async move { self.open_with(&issued, partition, object, request).await }).await
    }

    async fn keep_fresh(&self) -> Error {
        self.renewer.keep_fresh().await
    }

    fn credentials_remaining(&self) -> Option<Duration> {
        self.renewer.remaining()
    }
}
