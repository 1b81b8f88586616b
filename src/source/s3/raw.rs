//! Requests whose answers are looked at as they come.

use http::{HeaderValue, Request};

use super::{S3Protocol, object_url};
use crate::credentials::{AwsCredentials, Grant, SignedPayload};
use crate::error::Result;
use crate::net::SentBody;
use crate::source::get;
use crate::source::raw::LookedAt;

impl S3Protocol {
    /// The signed request for a page of a listing or for an object.
    pub(in crate::source) fn raw_request(
        &self,
        grant: &Grant<AwsCredentials>,
        asked: &LookedAt<'_>,
    ) -> Result<Request<SentBody>> {
        let (bucket, credentials) = (&grant.location.bucket, &grant.credentials);
        match asked {
            LookedAt::Listing { prefix, has_delimiter } => {
                self.list_request(credentials, bucket, prefix, has_delimiter.then_some("/"), None)
            }
            LookedAt::Object { key, range } => {
                let url = object_url(&self.settings, bucket, key);
                let mut request = get::request(&url, key, range.as_ref())?;
                request.headers_mut().insert("x-amz-checksum-mode", HeaderValue::from_static("ENABLED"));
                self.signer.sign(&mut request, SignedPayload::Empty, credentials, self.clock.now())?;
                Ok(request)
            }
        }
    }
}
