//! The export in S3: listings by the AWS SDK, objects by one lean signed GET.

mod failure;
mod list;
mod sign;

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use http::HeaderValue;
use jiff::civil::Date;
use reqwest::Url;

use super::get::{self, Getter};
use super::{OpenObject, Page, PageToken, ReadRequest, Source, folders};
use crate::clock::Clock;
use crate::credentials::{AwsCredentials, Issued, Renewer};
use crate::error::{Error, ErrorKind, Result};
use crate::export::{ExportLocation, Object, Partition, TypeName, printable};
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
    getter: Getter,
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
            getter: Getter::new(client, settings.net.clone(), counters.clone()),
            settings,
            renewer,
            clock,
            counters,
        })
    }

    async fn open_with(
        &self,
        issued: &Issued<AwsCredentials>,
        partition: &Partition,
        object: &Object,
        request: &ReadRequest,
    ) -> Result<OpenObject> {
        let key = format!("{}{}", issued.location.partition_prefix(partition), object.key);
        let range = request.range.as_ref();
        let http_request = self.signed_get(issued, &key, object, range)?;
        let response = self.getter.send(http_request, &key, request.on_new_connection).await?;
        if !response.status().is_success() {
            return Err(failure::of_response(response, &key, &self.clock).await);
        }
        self.getter.opened(response, object, range)
    }

    fn signed_get(
        &self,
        issued: &Issued<AwsCredentials>,
        key: &str,
        object: &Object,
        range: Option<&Range<u64>>,
    ) -> Result<http::Request<&'static str>> {
        let url = sign::object_url(&self.settings, &issued.location.bucket, key);
        let mut request = get::request(&url, key, range)?;
        let headers = request.headers_mut();
        headers.insert("x-amz-checksum-mode", HeaderValue::from_static("ENABLED"));
        if let Some(etag) = &object.etag {
            let value = HeaderValue::from_str(etag).map_err(|_| {
                Error::new(ErrorKind::KeyRefused, format!("the ETag of `{}` cannot stand in a header", printable(key)))
            })?;
            headers.insert(http::header::IF_MATCH, value);
        }
        sign::sign(&mut request, &issued.credentials, &self.settings.region, self.clock.now())?;
        Ok(request)
    }
}

#[async_trait]
impl Source for S3Source {
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
