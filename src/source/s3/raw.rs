//! Requests whose answers are looked at as they come.

use http::HeaderValue;

use super::{S3Protocol, sign};
use crate::credentials::{AwsCredentials, Grant};
use crate::error::Result;
use crate::net;
use crate::source::get;
use crate::source::raw::LookedAt;

impl S3Protocol {
    /// The signed request for a page of a listing or for an object.
    pub(in crate::source) fn raw_request(
        &self,
        grant: &Grant<AwsCredentials>,
        asked: &LookedAt<'_>,
    ) -> Result<http::Request<&'static str>> {
        let bucket = &grant.location.bucket;
        let mut request = match asked {
            LookedAt::Listing { prefix, has_delimiter } => {
                let mut url = sign::object_url(&self.settings, bucket, "");
                url.push_str(if *has_delimiter { "?delimiter=%2F&" } else { "?" });
                url.push_str("list-type=2&prefix=");
                net::push_encoded(&mut url, prefix, b'.');
                get::request(&url, prefix, None)?
            }
            LookedAt::Object { key, range } => {
                let url = sign::object_url(&self.settings, bucket, key);
                let mut request = get::request(&url, key, range.as_ref())?;
                request.headers_mut().insert("x-amz-checksum-mode", HeaderValue::from_static("ENABLED"));
                request
            }
        };
        sign::sign(&mut request, &grant.credentials, &self.settings.region, self.clock.now())?;
        Ok(request)
    }
}
