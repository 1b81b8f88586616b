//! Listings of a bucket.

use aws_sdk_s3::operation::list_objects_v2::ListObjectsV2Output;
use jiff::Timestamp;

use super::S3Store;
use super::failure::Operation;
use crate::destination::bucket::{StoredObject, StoredPage};
use crate::error::Result;
use crate::plan::listing_check::{self, PageToken, StatedPage};

impl S3Store {
    pub(super) async fn list_objects(&self, prefix: &str, from: Option<&PageToken>) -> Result<StoredPage> {
        let answer = self.sessions.run(async |session| {
            let request = session
                .xml
                .list_objects_v2()
                .bucket(&self.settings.bucket)
                .prefix(prefix)
                .set_continuation_token(from.map(|from| from.token.clone()))
                .set_request_payer(self.request_payer());
            request.send().await.map_err(|error| self.failure(Operation::List, prefix, &error))
        });
        page(answer.await?, &self.settings.bucket, prefix, from)
            .map_err(|reason| self.untrusted(Operation::List, prefix, reason))
    }
}

/// The page, once it is proven to be one of the listing that was asked for; else the reason why
/// it is not. An answer that is believed wrongly would have objects taken for missing.
fn page(
    answer: ListObjectsV2Output,
    bucket: &str,
    prefix: &str,
    from: Option<&PageToken>,
) -> std::result::Result<StoredPage, &'static str> {
    if answer.name() != Some(bucket) {
        return Err("it does not say that it lists this bucket");
    }
    if answer.key_count().is_some_and(|count| usize::try_from(count) != Ok(answer.contents().len())) {
        return Err("it has another number of keys than it says");
    }
    let is_truncated = answer.is_truncated() == Some(true);
    let next_token = listing_check::next_token(is_truncated, answer.next_continuation_token)?;
    let contents = answer.contents.unwrap_or_default();
    let objects = contents.into_iter().map(stored_object).collect::<std::result::Result<Vec<_>, _>>()?;
    let stated = StatedPage { echoed_prefix: Some(answer.prefix.as_deref().unwrap_or_default()), next_token };
    let next = stated.check(prefix, objects.iter().map(|object| object.key.as_str()), from)?;
    Ok(StoredPage { objects, next })
}

fn stored_object(object: aws_sdk_s3::types::Object) -> std::result::Result<StoredObject, &'static str> {
    let size_bytes = object.size.and_then(|size| u64::try_from(size).ok()).ok_or("an object has no size")?;
    let modified_at = object
        .last_modified
        .and_then(|time| Timestamp::new(time.secs(), i32::try_from(time.subsec_nanos()).unwrap_or_default()).ok());
    Ok(StoredObject { key: object.key.ok_or("an object has no key")?, size_bytes, etag: object.e_tag, modified_at })
}

#[cfg(test)]
mod tests {
    use aws_sdk_s3::operation::list_objects_v2::builders::ListObjectsV2OutputBuilder;
    use aws_sdk_s3::types::Object;

    use super::*;

    fn answer(keys: &[&str]) -> ListObjectsV2OutputBuilder {
        let objects = keys.iter().map(|key| Object::builder().key(*key).size(1).build()).collect();
        ListObjectsV2Output::builder().name("bucket").prefix("p/").set_contents(Some(objects))
    }

    fn is_believed(answer: ListObjectsV2OutputBuilder) -> bool {
        let from = PageToken { token: "token-1".into(), last_key: "p/0".into(), empty_pages: 0 };
        page(answer.build(), "bucket", "p/", Some(&from)).is_ok()
    }

    #[test]
    fn only_a_page_of_this_listing_is_believed() {
        assert!(is_believed(answer(&[])));
        assert!(is_believed(answer(&["p/a", "p/b"]).key_count(2)));
        assert!(is_believed(answer(&["p/a"]).is_truncated(true).next_continuation_token("token-2")));
        assert!(!is_believed(answer(&[]).name("other")));
        assert!(!is_believed(answer(&[]).prefix("other/")));
        assert!(!is_believed(answer(&["p/a"]).key_count(2)));
        assert!(!is_believed(answer(&["p/b", "p/a"])));
        assert!(!is_believed(answer(&["p/a", "p/a"])));
        assert!(!is_believed(answer(&["p/0", "p/a"])), "the last key of the page before");
        assert!(!is_believed(answer(&["p/"])), "a key before the last one of the page before");
        assert!(!is_believed(answer(&["q/a"])));
        assert!(!is_believed(answer(&["p/a"]).is_truncated(true)));
        assert!(!is_believed(answer(&["p/a"]).next_continuation_token("token-2")));
        assert!(!is_believed(answer(&["p/a"]).is_truncated(true).next_continuation_token("token-1")));
    }
}
