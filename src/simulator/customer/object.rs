//! Writing, reading, copying and deleting whole objects.

use super::super::account::Cloud;
use super::super::call::Call;
use super::super::clock::{http_date, iso_date};
use super::super::range::{Asked as Wanted, parse};
use super::super::reply::{Body, Reply};
use super::super::s3::S3Error;
use super::super::uri::decode;
use super::super::xml::{element, elements, unescape};
use super::copy::{Labels, StoredCopy, Sum, vendor};
use super::digest::{Algorithm, check_body, refuse, sent, vouches};
use super::faults::BucketAction;
use super::front::{Asked, condition, document, empty};
use super::operation::BucketOperation;
use super::store::{Condition, precondition_failed};
use http::StatusCode;
use std::sync::Arc;

/// Maximum number of objects deleted by one request.
const DELETES_MAX: usize = 1000;

/// PutObject.
pub(super) fn put(asked: &Asked<'_>) -> Result<Reply, S3Error> {
    check_vouched(asked)?;
    check_body(asked.call, asked.body)?;
    let sum = Sum::whole(sent(asked.call)?.map_or(Algorithm::usual(), |(algorithm, _)| algorithm));
    let copy = Labels::of(asked.call).copy(asked.body.clone(), &sum, asked.service.clock.now());
    let stored = asked.service.store.put(asked.key, copy, &condition(asked)?)?;
    Ok(identify(asked, empty(StatusCode::OK), &stored, true))
}

/// A bucket with locked objects takes no body that its sender does not vouch for.
pub(super) fn check_vouched(asked: &Asked<'_>) -> Result<(), S3Error> {
    let is_bound = asked.service.settings.is_object_locked && asked.call.cloud == Cloud::S3;
    if !is_bound || vouches(asked.call) {
        return Ok(());
    }
    Err(refuse(
        "InvalidRequest",
        "Content-MD5 OR x-amz-checksum- HTTP header is required for Put Object requests with Object Lock parameters",
    ))
}

/// GetObject and HeadObject. The server leaves out the body of an answer to HEAD by itself.
pub(super) fn get(asked: &Asked<'_>) -> Result<Reply, S3Error> {
    let copy = asked.service.store.get(asked.key)?;
    if let Some(early) = check_read_conditions(asked.call, &copy)? {
        return Ok(describe(asked, early, &copy, false));
    }
    let size_bytes = copy.bytes.len() as u64;
    let (reply, is_whole) = match parse(asked.call.header("range"), size_bytes) {
        Wanted::Whole => (Reply::new(StatusCode::OK, Body::Bytes(copy.bytes.clone())), true),
        Wanted::Part(range) => {
            let text = format!("bytes {}-{}/{size_bytes}", range.start, range.end - 1);
            let body = Body::Bytes(copy.bytes.slice(range.start as usize..range.end as usize));
            (Reply::new(StatusCode::PARTIAL_CONTENT, body).header("content-range", &text), false)
        }
        Wanted::Unsatisfiable => {
            let message = "The requested range is not satisfiable";
            return Err(S3Error::new(StatusCode::RANGE_NOT_SATISFIABLE, "InvalidRange", message)
                .with("ActualObjectSize", &size_bytes.to_string()));
        }
    };
    let asks = asked.call.header("x-amz-checksum-mode").is_some_and(|mode| mode.eq_ignore_ascii_case("enabled"));
    Ok(describe(asked, reply, &copy, is_whole && asks))
}

fn check_read_conditions(call: &Call, copy: &StoredCopy) -> Result<Option<Reply>, S3Error> {
    let wanted = call.header("x-goog-if-generation-match").or_else(|| call.parameter("generation"));
    if wanted.is_some_and(|generation| generation != copy.generation.to_string()) {
        return Err(precondition_failed("x-goog-if-generation-match"));
    }
    if call.names_tag("if-match", &copy.etag) == Some(false) {
        return Err(precondition_failed("If-Match"));
    }
    Ok((call.names_tag("if-none-match", &copy.etag) == Some(true)).then(|| empty(StatusCode::NOT_MODIFIED)))
}

/// Adds what names the version of an object: the answer to a write has no more than this.
pub(super) fn identify(asked: &Asked<'_>, reply: Reply, copy: &StoredCopy, has_checksum: bool) -> Reply {
    let mut reply = reply.header("etag", &copy.etag);
    if asked.call.cloud == Cloud::Gcs {
        reply = reply.header("x-goog-generation", &copy.generation.to_string()).header("x-goog-metageneration", "1");
        let hashes = copy.checksums.get("x-goog-hash").map(String::as_str).unwrap_or_default();
        return hashes.split(',').fold(reply, |reply, hash| reply.more("x-goog-hash", hash));
    }
    if has_checksum {
        for algorithm in Algorithm::all() {
            if let Some(value) = copy.checksums.get(algorithm.header) {
                reply = reply.header(algorithm.header, value);
            }
        }
        let kind = copy.checksums.get("x-amz-checksum-type");
        reply = reply.header("x-amz-checksum-type", kind.map(String::as_str).unwrap_or_default());
    }
    reply = reply.header("x-amz-server-side-encryption", copy.sse.as_deref().unwrap_or("AES256"));
    if let Some(id) = &copy.sse_kms_key_id {
        reply = reply.header("x-amz-server-side-encryption-aws-kms-key-id", id);
    }
    match asked.service.settings.keeps_versions() {
        true => reply.header("x-amz-version-id", &format!("v{}", copy.generation)),
        false => reply,
    }
}

fn describe(asked: &Asked<'_>, reply: Reply, copy: &StoredCopy, has_checksum: bool) -> Reply {
    let mut reply = identify(asked, reply, copy, has_checksum)
        .header("accept-ranges", "bytes")
        .header("content-type", &copy.content_type)
        .header("last-modified", &http_date(copy.modified_at));
    let vendor = vendor(asked.call.cloud);
    for (name, value) in &copy.metadata {
        reply = reply.named(&format!("{vendor}meta-{name}"), value);
    }
    if asked.call.cloud == Cloud::Gcs {
        reply = reply.header("x-goog-stored-content-length", &copy.bytes.len().to_string());
    }
    // S3 does not name its usual class.
    match asked.call.cloud == Cloud::Gcs || copy.storage_class != "STANDARD" {
        true => reply.named(&format!("{vendor}storage-class"), &copy.storage_class),
        false => reply,
    }
}

/// CopyObject.
pub(super) fn copy(asked: &Asked<'_>) -> Result<Reply, S3Error> {
    let source = copy_source(asked)?;
    if source.bytes.len() as u64 > asked.service.settings.copy_bytes_max {
        let limit = asked.service.settings.copy_bytes_max;
        let message =
            format!("The specified copy source is larger than the maximum allowable size for a copy source: {limit}");
        return Err(refuse("InvalidRequest", &message));
    }
    let labels = Labels::of_copy(asked.call, &source);
    let copy = labels.copy(source.bytes.clone(), &Sum::whole(Algorithm::usual()), asked.service.clock.now());
    let stored = asked.service.store.put(asked.key, copy, &condition(asked)?)?;
    let inner = element("LastModified", &iso_date(stored.modified_at)) + &element("ETag", &stored.etag);
    Ok(identify(asked, document("CopyObjectResult", &(inner + &checksum_elements(&stored))), &stored, false))
}

/// The object that the call copies from.
pub(super) fn copy_source(asked: &Asked<'_>) -> Result<Arc<StoredCopy>, S3Error> {
    let prefix = format!("{}copy-source", vendor(asked.call.cloud));
    let (bucket, key) = asked
        .call
        .header(&prefix)
        .and_then(parse_copy_source)
        .ok_or_else(|| refuse("InvalidArgument", "Copy Source must mention the source bucket and key"))?;
    if bucket != asked.service.settings.bucket {
        return Err(S3Error::new(StatusCode::NOT_FOUND, "NoSuchBucket", "The specified bucket does not exist"));
    }
    let source = asked.service.store.get(&key)?;
    if asked.call.names_tag(&format!("{prefix}-if-match"), &source.etag) == Some(false) {
        return Err(precondition_failed("x-amz-copy-source-If-Match"));
    }
    let generation = asked.call.header("x-goog-copy-source-if-generation-match");
    if generation.is_some_and(|wanted| wanted != source.generation.to_string()) {
        return Err(precondition_failed("x-goog-copy-source-if-generation-match"));
    }
    Ok(source)
}

fn parse_copy_source(text: &str) -> Option<(String, String)> {
    let path = text.split_once("?versionId=").map_or(text, |(path, _)| path);
    let decoded = decode(path, false)?;
    let (bucket, key) = decoded.strip_prefix('/').unwrap_or(&decoded).split_once('/')?;
    Some((bucket.to_owned(), key.to_owned()))
}

/// The checksum of S3 and its type as elements.
pub(super) fn checksum_elements(copy: &StoredCopy) -> String {
    let sums = Algorithm::all().iter().filter_map(|algorithm| {
        let value = copy.checksums.get(algorithm.header)?;
        Some(element(&format!("Checksum{}", algorithm.name), value))
    });
    let kind = copy.checksums.get("x-amz-checksum-type").map(String::as_str).unwrap_or_default();
    sums.collect::<String>() + &element("ChecksumType", kind)
}

/// DeleteObject. S3 deletes also what is not there; Google says that it is not.
pub(super) fn delete(asked: &Asked<'_>) -> Result<Reply, S3Error> {
    let was_there = asked.service.store.remove(asked.key, &condition(asked)?)?;
    if asked.call.cloud == Cloud::Gcs && !was_there {
        return Err(asked.service.store.get(asked.key).err().unwrap_or_else(S3Error::access_denied));
    }
    let reply = empty(StatusCode::NO_CONTENT);
    let is_marked = asked.call.cloud == Cloud::S3 && asked.service.settings.keeps_versions();
    Ok(if is_marked { reply.header("x-amz-delete-marker", "true") } else { reply })
}

/// DeleteObjects.
pub(super) fn delete_many(asked: &Asked<'_>) -> Result<Reply, S3Error> {
    if !vouches(asked.call) {
        return Err(refuse("InvalidRequest", "Missing required header for this request: Content-MD5"));
    }
    check_body(asked.call, asked.body)?;
    let text = String::from_utf8_lossy(asked.body);
    let keys: Vec<_> = elements(&text, "Key").map(unescape).collect();
    if keys.is_empty() || keys.len() > DELETES_MAX {
        let message = "The XML you provided was not well-formed or did not validate against our published schema";
        return Err(refuse("MalformedXML", message));
    }
    let is_quiet = elements(&text, "Quiet").any(|quiet| quiet == "true");
    let results = keys.iter().map(|key| delete_one(asked, key, is_quiet));
    Ok(document("DeleteResult", &results.collect::<Result<String, _>>()?))
}

fn delete_one(asked: &Asked<'_>, key: &str, is_quiet: bool) -> Result<String, S3Error> {
    for action in asked.service.faults.meet_key(BucketOperation::Delete, Cloud::S3, key) {
        if let BucketAction::Status { code, .. } = action {
            let inner = element("Key", key) + &element("Code", &code) + &element("Message", "As a fault says.");
            return Ok(format!("<Error>{inner}</Error>"));
        }
    }
    asked.service.store.remove(key, &Condition::None)?;
    Ok(if is_quiet { String::new() } else { format!("<Deleted>{}</Deleted>", element("Key", key)) })
}
