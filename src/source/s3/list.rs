//! Listings of the source at S3.

use http::Request;

use super::xml::ListedPage;
use super::{S3Protocol, failure, object_url};
use crate::credentials::{AwsCredentials, Issued, SignedPayload};
use crate::error::Result;
use crate::net::{self, SentBody};
use crate::plan::listing_check::{PageToken, next_token};
use crate::source::get;
use crate::source::page::{RawPage, untrusted};

impl S3Protocol {
    /// One listing request.
    pub(super) async fn list_raw(
        &self,
        issued: &Issued<AwsCredentials>,
        prefix: &str,
        delimiter: Option<&str>,
        from: Option<&PageToken>,
    ) -> Result<RawPage> {
        let bucket = &issued.location.bucket;
        let request = self.list_request(&issued.credentials, bucket, prefix, delimiter, from)?;
        let answer = self.getter.ask_for_page(request, prefix).await?;
        if !answer.status().is_success() {
            return Err(failure::of_answer(answer, "LIST", prefix, &self.clock).await);
        }
        let page = ListedPage::read(&get::page(answer, prefix).await?).map_err(|reason| untrusted(prefix, reason))?;
        raw_page(page, bucket, prefix)
    }

    /// The signed request for a page.
    pub(super) fn list_request(
        &self,
        credentials: &AwsCredentials,
        bucket: &str,
        prefix: &str,
        delimiter: Option<&str>,
        from: Option<&PageToken>,
    ) -> Result<Request<SentBody>> {
        let mut url = object_url(&self.settings, bucket, "");
        url.push_str("?list-type=2&prefix=");
        net::push_encoded(&mut url, prefix, b'.');
        for (name, value) in [("delimiter", delimiter), ("continuation-token", from.map(|from| from.token.as_str()))] {
            if let Some(value) = value {
                url.push('&');
                url.push_str(name);
                url.push('=');
                net::push_encoded(&mut url, value, b'.');
            }
        }
        let mut request = get::request(&url, prefix, None)?;
        self.signer.sign(&mut request, SignedPayload::Empty, credentials, self.clock.now())?;
        Ok(request)
    }
}

/// The page in the words of both clouds; the bucket and the number of keys must be right.
fn raw_page(page: ListedPage, bucket: &str, prefix: &str) -> Result<RawPage> {
    if page.bucket.as_deref() != Some(bucket) {
        return Err(untrusted(prefix, "it does not say that it lists this bucket"));
    }
    if page.prefix.is_none() {
        return Err(untrusted(prefix, "it does not say which prefix it lists"));
    }
    let keys = page.objects.len() + page.folders.len();
    if page.key_count.is_some_and(|count| count != keys) {
        return Err(untrusted(prefix, "it has another number of keys than it says"));
    }
    let next_token = next_token(page.is_truncated, page.next_token).map_err(|reason| untrusted(prefix, reason))?;
    Ok(RawPage { prefix: page.prefix, objects: page.objects, folders: page.folders, next_token })
}
