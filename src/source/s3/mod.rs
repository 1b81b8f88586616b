//! The export in S3: listings and objects by lean signed GETs.

mod failure;
mod list;
mod raw;
mod xml;

use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use http::{HeaderValue, Request};
use url::Url;

use super::bucket::Protocol;
use super::get::{self, Getter};
use super::page::RawPage;
use super::{OpenObject, PageToken, ReadRequest};
use crate::clock::Clock;
use crate::credentials::{AwsCredentials, Issued, SignedPayload, Signer};
use crate::error::{Error, ErrorKind, Result};
use crate::export::{Object, printable};
use crate::net::{self, NetSettings, SentBody};
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
    signer: Signer,
    clock: Arc<Clock>,
}

impl S3Protocol {
    /// Requests to the bucket that the settings tell how to reach.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] for a proxy that cannot be used.
    pub fn new(settings: S3Settings, clock: Arc<Clock>, counters: Arc<Counters>) -> Result<Self> {
        let client = net::build_client(&settings.net)?;
        Ok(Self {
            signer: Signer::new(&settings.region),
            getter: Getter::new(client, settings.net.clone(), counters),
            settings,
            clock,
        })
    }

    fn signed_get(
        &self,
        issued: &Issued<AwsCredentials>,
        key: &str,
        object: &Object,
        range: Option<&Range<u64>>,
    ) -> Result<Request<SentBody>> {
        let url = object_url(&self.settings, &issued.location.bucket, key);
        let mut request = get::request(&url, key, range)?;
        let headers = request.headers_mut();
        headers.insert("x-amz-checksum-mode", HeaderValue::from_static("ENABLED"));
        if let Some(etag) = &object.etag {
            let value = HeaderValue::from_str(etag).map_err(|_| {
                Error::new(ErrorKind::KeyRefused, format!("the ETag of `{}` cannot stand in a header", printable(key)))
            })?;
            headers.insert(http::header::IF_MATCH, value);
        }
        self.signer.sign(&mut request, SignedPayload::Empty, &issued.credentials, self.clock.now())?;
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
            return Err(failure::of_answer(response, "GET", key, &self.clock).await);
        }
        self.getter.opened(response, object, range)
    }
}

/// The address of an object: in the bucket's own host at AWS, in path style elsewhere.
fn object_url(settings: &S3Settings, bucket: &str, key: &str) -> String {
    let mut url = match &settings.endpoint_url {
        Some(endpoint) => format!("{}/{bucket}/", endpoint.as_str().trim_end_matches('/')),
        None => format!("https://{bucket}.s3.{}.amazonaws.com/", settings.region),
    };
    net::push_encoded(&mut url, key, b'/');
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings_with(endpoint_url: Option<&str>) -> S3Settings {
        S3Settings {
            region: "us-east-1".into(),
            endpoint_url: endpoint_url.map(|url| url.parse().unwrap()),
            net: NetSettings::default(),
        }
    }

    #[test]
    fn a_key_is_escaped_once_and_never_decoded() {
        let key = "v1/account_id=1/type=events/event=a%3Ab c/größe+";
        let expected = "v1/account_id%3D1/type%3Devents/event%3Da%253Ab%20c/gr%C3%B6%C3%9Fe%2B";
        let url = object_url(&settings_with(None), "bucket-b", key);
        assert_eq!(url, format!("https://bucket-b.s3.us-east-1.amazonaws.com/{expected}"));
        let url = object_url(&settings_with(Some("http://127.0.0.1:9")), "bucket-b", key);
        assert_eq!(url, format!("http://127.0.0.1:9/bucket-b/{expected}"));
    }
}
