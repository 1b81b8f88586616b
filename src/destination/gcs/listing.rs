//! Reads the XML of listings and of lifecycle rules.

use crate::destination::bucket::{StoredObject, StoredPage, Upload};
use crate::error::Result;
use crate::net::untrusted_listing as untrusted;
use crate::net::xml::Element;
use crate::plan::listing_check::{PageToken, StatedPage};

/// The page in an answer, once it proves to be a page of the listing of `prefix` that follows `from`.
pub(super) fn read_page(answer: &[u8], bucket: &str, prefix: &str, from: Option<&PageToken>) -> Result<StoredPage> {
    let address = format!("gs://{bucket}/{prefix}");
    let refuse = |reason: &str| untrusted(&address, reason);
    let root = document(answer, "ListBucketResult", &address)?;
    if root.text_of("Name") != Some(bucket) {
        return Err(refuse("it says that it lists another bucket"));
    }
    let mut objects = Vec::new();
    for entry in root.all("Contents") {
        let (Some(key), Some(size)) = (entry.text_of("Key"), entry.text_of("Size")) else {
            return Err(refuse("it has objects without key or size"));
        };
        objects.push(StoredObject {
            key: key.to_owned(),
            size_bytes: size.trim().parse().map_err(|_| refuse("it has a size that is no number"))?,
            etag: entry.text_of("ETag").map(str::to_owned),
            modified_at: entry.text_of("LastModified").and_then(|text| text.trim().parse().ok()),
        });
    }
    let stated = StatedPage {
        echoed_prefix: Some(root.text_of("Prefix").unwrap_or_default()),
        next_token: next_token(&root).map_err(refuse)?,
    };
    let next = stated.check(prefix, objects.iter().map(|object| object.key.as_str()), from).map_err(refuse)?;
    Ok(StoredPage { objects, next })
}

/// The token of the next page. Google says only of a page that is cut off that it is.
fn next_token(root: &Element) -> std::result::Result<Option<String>, &'static str> {
    let token = root.text_of("NextContinuationToken").filter(|token| !token.is_empty());
    if token.is_none() && root.text_of("IsTruncated") == Some("true") {
        return Err("it breaks off without saying where it goes on");
    }
    Ok(token.map(str::to_owned))
}

/// The unfinished uploads in an answer, once they prove to lie below `prefix`: they may be given up.
pub(super) fn read_uploads(answer: &[u8], bucket: &str, prefix: &str) -> Result<Vec<Upload>> {
    let address = format!("gs://{bucket}/{prefix}");
    let root = document(answer, "ListMultipartUploadsResult", &address)?;
    if root.text_of("Bucket") != Some(bucket) {
        return Err(untrusted(&address, "it says that it lists another bucket"));
    }
    let read = |entry: &Element| match (entry.text_of("Key"), entry.text_of("UploadId")) {
        (Some(key), Some(id)) if key.starts_with(prefix) => Ok(Upload { key: key.to_owned(), id: id.to_owned() }),
        _ => Err(untrusted(&address, "it has uploads from elsewhere")),
    };
    root.all("Upload").map(read).collect()
}

/// Whether a rule among the bucket's lifecycle rules removes every unfinished upload below `prefix`.
pub(super) fn read_lifecycle(answer: &[u8], bucket: &str, prefix: &str) -> Result<bool> {
    let root = document(answer, "LifecycleConfiguration", &format!("gs://{bucket}"))?;
    let removes = |rule: &Element| {
        let is_abort =
            rule.child("Action").is_some_and(|action| action.child("AbortIncompleteMultipartUpload").is_some());
        let applies = rule.child("Condition").is_none_or(|condition| applies_below(condition, prefix));
        is_abort && applies
    };
    Ok(root.all("Rule").any(removes))
}

fn applies_below(condition: &Element, prefix: &str) -> bool {
    let mut prefixes = condition.all("MatchesPrefix").map(Element::text).peekable();
    let has_suffix = condition.child("MatchesSuffix").is_some();
    !has_suffix && (prefixes.peek().is_none() || prefixes.any(|matched| prefix.starts_with(matched)))
}

fn document(answer: &[u8], name: &str, address: &str) -> Result<Element> {
    let root = Element::parse(answer).filter(|root| root.name() == name);
    root.ok_or_else(|| untrusted(address, "it is not a listing"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    fn page(bucket: &str, prefix: &str, keys: &[&str], next: Option<&str>) -> String {
        let mut text = format!(
            "<?xml version='1.0' encoding='UTF-8'?><ListBucketResult xmlns='http://doc.s3.amazonaws.com/2006-03-01'><Name>{bucket}</Name><Prefix>{prefix}</Prefix>"
        );
        for key in keys {
            text += &format!(
                "<Contents><Key>{key}</Key><Generation>1</Generation><LastModified>2026-11-20T10:00:00.123Z</LastModified><ETag>&quot;e&quot;</ETag><Size>5</Size></Contents>"
            );
        }
        if let Some(next) = next {
            text += &format!("<IsTruncated>true</IsTruncated><NextContinuationToken>{next}</NextContinuationToken>");
        }
        text + "</ListBucketResult>"
    }

    #[test]
    fn a_page_is_read_and_the_next_one_is_tied_to_it() {
        let text = page("b", "p/", &["p/a%3A &amp;", "p/b "], Some("t1"));
        let read = read_page(text.as_bytes(), "b", "p/", None).unwrap();
        assert_eq!(read.objects[0].key, "p/a%3A &");
        assert_eq!(read.objects[1].key, "p/b ");
        assert_eq!((read.objects[0].size_bytes, read.objects[0].etag.as_deref()), (5, Some("\"e\"")));
        assert_eq!(read.objects[0].modified_at, Some("2026-11-20T10:00:00.123Z".parse().unwrap()));
        let next = read.next.unwrap();
        assert_eq!(next, PageToken { token: "t1".into(), last_key: "p/b ".into(), empty_pages: 0 });
        let follow = |keys: &[&str], token| read_page(page("b", "p/", keys, token).as_bytes(), "b", "p/", Some(&next));
        assert!(follow(&["p/c"], Some("t2")).is_ok());
        assert!(follow(&["p/b "], None).is_err(), "a key again");
        assert!(follow(&["p/c"], Some("t1")).is_err(), "a token again");
        assert_eq!(follow(&[], None).unwrap().next, None);
    }

    #[test]
    fn what_does_not_prove_to_be_the_listing_is_not_believed() {
        let whole = page("b", "p/", &["p/a"], None);
        for text in [
            "<!DOCTYPE html><html><body>Sign in</body></html>",
            "<html><body>Sign in</body></html>",
            "{\"kind\":\"storage#objects\"}",
            "",
            &whole[..whole.len() - 5],
            &page("other", "p/", &["p/a"], None),
            &page("b", "", &["p/a"], None),
            &page("b", "p/", &["q/a"], None),
            &page("b", "p/", &["p/b", "p/a"], None),
            &page("b", "p/", &["p/a", "p/a"], None),
            &whole.replace("<Size>5", "<Size>-5"),
            &whole.replace("</ListBucketResult>", "<IsTruncated>true</IsTruncated></ListBucketResult>"),
        ] {
            let error = read_page(text.as_bytes(), "b", "p/", None).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ListingUntrusted, "{text}");
        }
    }

    #[test]
    fn uploads_from_elsewhere_are_not_believed() {
        let text = "<ListMultipartUploadsResult><Bucket>b</Bucket><Upload><Key>p/k</Key><UploadId>u</UploadId></Upload></ListMultipartUploadsResult>";
        let expected = Upload { key: "p/k".to_owned(), id: "u".to_owned() };
        assert_eq!(read_uploads(text.as_bytes(), "b", "p/").unwrap(), [expected]);
        assert!(read_uploads(text.as_bytes(), "b", "q/").is_err());
        assert!(read_uploads(text.as_bytes(), "c", "p/").is_err());
    }

    #[test]
    fn a_rule_counts_where_it_covers_the_whole_prefix() {
        let rule = |action: &str, condition: &str| {
            let text = format!(
                "<LifecycleConfiguration><Rule><Action>{action}</Action><Condition><Age>7</Age>{condition}</Condition></Rule></LifecycleConfiguration>"
            );
            read_lifecycle(text.as_bytes(), "b", "p/q/").unwrap()
        };
        let abort = "<AbortIncompleteMultipartUpload/>";
        assert!(rule(abort, ""));
        assert!(rule(abort, "<MatchesPrefix>x</MatchesPrefix><MatchesPrefix>p/</MatchesPrefix>"));
        assert!(!rule(abort, "<MatchesPrefix>p/q/r</MatchesPrefix>"));
        assert!(!rule(abort, "<MatchesSuffix>.parquet</MatchesSuffix>"));
        assert!(!rule("<Delete/>", ""));
        assert!(!read_lifecycle(b"<LifecycleConfiguration/>", "b", "p/").unwrap());
    }
}
