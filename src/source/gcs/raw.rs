//! Requests whose answers are looked at as they come.

use super::GcsProtocol;
use crate::credentials::{GcpToken, Grant};
use crate::error::Result;
use crate::net::{self, SentBody};
use crate::source::get;
use crate::source::raw::LookedAt;

impl GcsProtocol {
    /// The authorised request for a page of a listing, with every field that objects have, or for an object.
    pub(in crate::source) fn raw_request(
        &self,
        grant: &Grant<GcpToken>,
        asked: &LookedAt<'_>,
    ) -> Result<http::Request<SentBody>> {
        let mut url = self.objects_url(&grant.location.bucket);
        let mut request = match asked {
            LookedAt::Listing { prefix, has_delimiter } => {
                url.push_str(if *has_delimiter { "?delimiter=%2F&prefix=" } else { "?prefix=" });
                net::push_encoded(&mut url, prefix, b'.');
                get::request(&url, prefix, None)?
            }
            LookedAt::Object { key, range } => {
                url.push('/');
                net::push_encoded(&mut url, key, b'.');
                url.push_str("?alt=media");
                get::request(&url, key, range.as_ref())?
            }
        };
        self.authorize(&mut request, &grant.credentials)?;
        Ok(request)
    }
}
