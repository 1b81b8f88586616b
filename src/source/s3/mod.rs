//! The export in S3: listings by the AWS SDK, objects by one lean signed GET.

mod failure;
mod list;
mod raw;
mod sign;

use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use http::HeaderValue;
use url::Url;

use super::bucket::Protocol;
use super::get::{self, Getter};
use super::page::RawPage;
use super::{OpenObject, PageToken, ReadRequest};
use crate::clock::Clock;
use crate::credentials::{AwsCredentials, Issued};
use crate::error::{Error, ErrorKind, Result};
use crate::export::{Object, printable};
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

/// The region of the vendor's bucket (domain.md section 2).
pub const REGION: &str = "us-east-1";

impl Default for S3Settings {
    fn default() -> Self {
        Self { region: REGION.to_owned(), endpoint_url: None, net: NetSettings::default() }
    }
}

/// S3's requests, signed by a clock that servers can set right.
pub(super) struct S3Protocol {
    settings: S3Settings,
    getter: Getter,
    sdk_config: aws_sdk_s3::Config,
    clock: Arc<Clock>,
    counters: Arc<Counters>,
}

impl S3Protocol {
    /// Requests to the bucket that the settings tell how to reach.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] for a proxy that cannot be used.
    pub fn new(settings: S3Settings, clock: Arc<Clock>, counters: Arc<Counters>) -> Result<Self> {
        let client = net::build_client(&settings.net)?;
        let transport = SdkTransport::new(client.clone(), AnswerCheck::WholeXml);
        Ok(Self {
            sdk_config: list::sdk_config(&settings, transport, clock.clone()),
            getter: Getter::new(client, settings.net.clone(), counters.clone()),
            settings,
            clock,
            counters,
        })
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
impl Protocol for S3Protocol {
    type Credentials = AwsCredentials;

    async fn list_once(
        &self,
        issued: &Issued<AwsCredentials>,
        prefix: &str,
        delimiter: Option<&str>,
        from: Option<&PageToken>,
    ) -> Result<RawPage> {
        self.list_raw(issued, prefix, delimiter, from).await
    }

    async fn open_once(
        &self,
        issued: &Issued<AwsCredentials>,
        key: &str,
        object: &Object,
        request: &ReadRequest,
    ) -> Result<OpenObject> {
        let range = request.range.as_ref();
        let http_request = self.signed_get(issued, key, object, range)?;
        let response = self.getter.send(http_request, key, request.on_new_connection).await?;
        if !response.status().is_success() {
            return Err(failure::of_response(response, key, &self.clock).await);
        }
        self.getter.opened(response, object, range)
    }
}
