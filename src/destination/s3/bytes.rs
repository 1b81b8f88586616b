//! Sends an object's bytes by one lean signed request: what the SDK takes to make such a request costs more
//! than to hash and to send a small object.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_s3::config::endpoint::{DefaultResolver, Params, ResolveEndpoint as _};
use http::{HeaderMap, HeaderValue, Method, header};

use super::S3Store;
use super::failure::Operation;
use crate::clock::Clock;
use crate::credentials::{CachedKeys, SignedPayload, Signer};
use crate::destination::bucket::Payload;
use crate::error::{Error, ErrorKind, Result};
use crate::net::{self, ANSWER_TIMEOUT, HttpClient, HttpError, Refusal, SentBody, Timeouts};

/// The longest answer that is read into memory, in bytes. One to a success has no body.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// The only scheme of signatures here. Directory buckets and access points in several regions have others.
const SIGV4: &str = "sigv4";

/// Sends bytes to objects of one bucket.
pub(super) struct ByteSender {
    client: HttpClient,
    /// The address to which keys are appended, where the bucket has one.
    bucket_url: Result<String>,
    signer: Signer,
    keys: Arc<CachedKeys>,
    clock: Arc<Clock>,
    timeouts: Timeouts,
}

/// Where the bucket is, as the user's AWS settings have it.
#[derive(Clone, Debug)]
pub(super) struct Addressing {
    pub bucket: String,
    pub region: String,
    pub endpoint_url: Option<String>,
    pub uses_fips: bool,
    pub uses_dual_stack: bool,
}

/// A success's headers, or what the server said when it refused.
pub(super) type Answered = std::result::Result<HeaderMap, Box<Refusal>>;

impl ByteSender {
    /// A sender over `client`'s connections, for the bucket at this address.
    pub async fn new(
        client: HttpClient,
        addressing: Addressing,
        keys: Arc<CachedKeys>,
        clock: Arc<Clock>,
        stall_timeout: Duration,
    ) -> Self {
        let timeouts = Timeouts { send: stall_timeout, answer: ANSWER_TIMEOUT, receive: ANSWER_TIMEOUT };
        let signer = Signer::new(&addressing.region);
        let bucket_url = addressing.bucket_url().await;
        Self { client, bucket_url, signer, keys, clock, timeouts }
    }
}

impl Addressing {
    /// The bucket's address by the SDK's own rules for partitions, FIPS, dual stack and odd names.
    async fn bucket_url(self) -> Result<String> {
        let unusable = |cause: String| {
            Error::new(ErrorKind::Usage, format!("s3://{} has no address: {cause}", self.bucket))
                .with_hint("name a general-purpose bucket by its name, or an access point by its alias")
        };
        let params = Params::builder()
            .bucket(&self.bucket)
            .region(&self.region)
            .set_endpoint(self.endpoint_url.clone())
            .force_path_style(self.endpoint_url.is_some())
            .use_fips(self.uses_fips)
            .use_dual_stack(self.uses_dual_stack)
            .build()
            .map_err(|cause| unusable(cause.to_string()))?;
        let endpoint =
            DefaultResolver::new().resolve_endpoint(&params).await.map_err(|cause| unusable(cause.to_string()))?;
        if endpoint.auth_schemes().iter().any(|scheme| scheme.name() == SIGV4) {
            return Ok(format!("{}/", endpoint.url().trim_end_matches('/')));
        }
        Err(unusable("its requests have another signature than Version 4".to_owned()))
    }
}

impl S3Store {
    /// Sends a payload by PUT. `headers` are signed; `query` begins with its question mark or is empty.
    pub(super) async fn send_bytes(
        &self,
        sender: &ByteSender,
        operation: Operation,
        (key, query): (&str, &str),
        mut headers: HeaderMap,
        payload: &Payload,
    ) -> Result<Answered> {
        let what = || self.request(operation, key);
        let keys = sender.keys.current().await;
        let keys = keys.map_err(|cause| self.no_credentials(net::credentials_failure(&cause).within(what())))?;
        let mut url = sender.bucket_url.clone()?;
        net::push_encoded(&mut url, key, b'/');
        url.push_str(query);
        headers.insert(header::CONTENT_LENGTH, payload.length_bytes().into());
        let body = SentBody::chunks(payload.chunks().to_vec());
        let mut request = net::request(Method::PUT, &url, body)?;
        *request.headers_mut() = headers;
        sender.signer.sign(&mut request, SignedPayload::Unsigned, &keys.own, sender.clock.now())?;
        let failed = |cause: HttpError| net::connection_error(format!("no answer to {}", what()), cause);
        let answer = sender.client.send(request, sender.timeouts).await.map_err(failed)?;
        let (parts, mut body) = answer.into_parts();
        let body = body.first_bytes(ANSWER_BYTES_MAX).await;
        if parts.status.is_success() {
            body.map_err(failed)?;
            return Ok(Ok(parts.headers));
        }
        let refusal = Refusal::read(what(), parts.status, parts.headers, &body.unwrap_or_default());
        Ok(Err(Box::new(refusal)))
    }
}

/// A header's value of what the user or a server said.
///
/// # Errors
/// [`ErrorKind::Usage`] for what cannot stand in a header.
pub(super) fn header_value(what: &str, text: &str) -> Result<HeaderValue> {
    HeaderValue::try_from(text).map_err(|_| Error::new(ErrorKind::Usage, format!("{what} cannot stand in a header")))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn url(bucket: &str, region: &str, endpoint_url: Option<&str>, uses_fips: bool) -> Result<String> {
        let endpoint_url = endpoint_url.map(str::to_owned);
        let (bucket, region) = (bucket.to_owned(), region.to_owned());
        Addressing { bucket, region, endpoint_url, uses_fips, uses_dual_stack: false }.bucket_url().await
    }

    #[tokio::test]
    async fn a_bucket_is_addressed_as_the_sdk_does() {
        for (bucket, region, endpoint_url, uses_fips, expected) in [
            ("lake", "eu-west-1", None, false, "https://lake.s3.eu-west-1.amazonaws.com/"),
            ("lake", "us-east-1", None, true, "https://lake.s3-fips.us-east-1.amazonaws.com/"),
            ("lake", "cn-north-1", None, false, "https://lake.s3.cn-north-1.amazonaws.com.cn/"),
            // A certificate covers no dots.
            ("a.lake", "eu-west-1", None, false, "https://s3.eu-west-1.amazonaws.com/a.lake/"),
            ("lake", "eu-west-1", Some("http://127.0.0.1:9000"), false, "http://127.0.0.1:9000/lake/"),
        ] {
            assert_eq!(url(bucket, region, endpoint_url, uses_fips).await.unwrap(), expected);
        }
        let error = url("lake--use1-az4--x-s3", "us-east-1", None, false).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Usage);
    }
}
