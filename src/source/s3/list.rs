//! Listings of the source at S3.

use std::sync::Arc;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::{BehaviorVersion, Config, Region};
use aws_sdk_s3::operation::list_objects_v2::ListObjectsV2Output;

use super::{S3Protocol, S3Settings, failure};
use crate::clock::Clock;
use crate::credentials::{AwsCredentials, Issued};
use crate::error::Result;
use crate::export::Object;
use crate::net::{self, SdkTransport};
use crate::plan::listing_check::{PageToken, next_token};
use crate::source::page::{RawPage, untrusted};

/// The SDK's settings, all but the credentials: those are given with each request, so that it is
/// known which ones a refusal is about.
pub(super) fn sdk_config(settings: &S3Settings, transport: SdkTransport, clock: Arc<Clock>) -> Config {
    let mut builder = net::with_own_transport(Config::builder(), transport, clock)
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(settings.region.clone()))
        .identity_cache(aws_sdk_s3::config::IdentityCache::no_cache())
        .force_path_style(settings.endpoint_url.is_some());
    if let Some(url) = &settings.endpoint_url {
        builder = builder.endpoint_url(url.as_str().trim_end_matches('/'));
    }
    builder.build()
}

impl S3Protocol {
    /// One listing request.
    pub(super) async fn list_raw(
        &self,
        issued: &Issued<AwsCredentials>,
        prefix: &str,
        delimiter: Option<&str>,
        from: Option<&PageToken>,
    ) -> Result<RawPage> {
        self.counters.list_requests.add(1);
        let bucket = &issued.location.bucket;
        let config = self.sdk_config.to_builder().credentials_provider(issued.credentials.to_sdk()).build();
        let answer = Client::from_conf(config)
            .list_objects_v2()
            .bucket(bucket)
            .prefix(prefix)
            .set_delimiter(delimiter.map(str::to_owned))
            .set_continuation_token(from.map(|from| from.token.clone()))
            .send()
            .await
            .map_err(|error| failure::of_listing(error, prefix, &self.clock))?;
        raw_page(answer, bucket, prefix)
    }
}

/// The answer in the words of both clouds; the bucket and the number of keys must be right.
fn raw_page(answer: ListObjectsV2Output, bucket: &str, prefix: &str) -> Result<RawPage> {
    if answer.name() != Some(bucket) {
        return Err(untrusted(prefix, "it does not say that it lists this bucket"));
    }
    if answer.prefix().is_none() {
        return Err(untrusted(prefix, "it does not say which prefix it lists"));
    }
    let keys = answer.contents().len() + answer.common_prefixes().len();
    if answer.key_count().is_some_and(|count| usize::try_from(count) != Ok(keys)) {
        return Err(untrusted(prefix, "it has another number of keys than it says"));
    }
    let is_truncated = answer.is_truncated() == Some(true);
    let next_token =
        next_token(is_truncated, answer.next_continuation_token).map_err(|reason| untrusted(prefix, reason))?;
    let folders = answer.common_prefixes.unwrap_or_default().into_iter().filter_map(|folder| folder.prefix).collect();
    let contents = answer.contents.unwrap_or_default();
    let objects = contents.into_iter().map(|object| read_object(object, prefix)).collect::<Result<_>>()?;
    Ok(RawPage { prefix: answer.prefix, objects, folders, next_token })
}

fn read_object(object: aws_sdk_s3::types::Object, prefix: &str) -> Result<Object> {
    let key = object.key.ok_or_else(|| untrusted(prefix, "an object has no key"))?;
    let size_bytes = object
        .size
        .and_then(|size| u64::try_from(size).ok())
        .ok_or_else(|| untrusted(prefix, "an object has no size"))?;
    Ok(Object { key, size_bytes, etag: object.e_tag, ..Object::default() })
}
