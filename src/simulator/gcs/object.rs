//! The bytes of an object and its description.

use super::super::account::Cloud;
use super::super::call::Call;
use super::super::clock::http_date;
use super::super::front::Front;
use super::super::object::Object;
use super::super::range::{Asked, parse};
use super::super::reply::{Body, Reply};
use super::super::seed::{base64, hex};
use super::address::{Address, Dialect};
use super::fields::Fields;
use super::resource::{Origin, etag};
use super::{GENERATION, GcsError};
use bytes::Bytes;
use http::StatusCode;
use serde_json::Value;
use std::sync::Arc;

/// Objects of this size together are summed up on a thread of their own.
const INLINE_BYTES_MAX: u64 = 1024 * 1024;

/// The answer with the object's bytes. The server leaves them out of an answer to HEAD by itself.
pub(crate) async fn media(front: &Front<'_>, call: &Call, address: &Address, key: &str) -> Result<Reply, GcsError> {
    let object = find(front, call, key).map_err(GcsError::plain)?;
    let tag = entity_tag(&object, address.dialect, front.settings.gcs_composite);
    sum_up(vec![object.clone()], !front.settings.gcs_composite).await;
    if let Some(early) = check_conditions(call, &object, &tag).map_err(GcsError::plain)? {
        return Ok(describe(front, early, address, &object, &tag));
    }
    let size_bytes = object.size_bytes();
    let reply = match parse(call.header("range"), size_bytes) {
        Asked::Whole => Reply::new(StatusCode::OK, Body::Object(object.clone(), 0..size_bytes)),
        Asked::Part(range) => {
            let text = format!("bytes {}-{}/{size_bytes}", range.start, range.end - 1);
            let body = Body::Object(object.clone(), range);
            Reply::new(StatusCode::PARTIAL_CONTENT, body).header("content-range", &text)
        }
        Asked::Unsatisfiable => {
            let error = GcsError::new(StatusCode::RANGE_NOT_SATISFIABLE, "Request range not satisfiable");
            let reply = error.at("header", "Range").plain().reply(call, address.dialect);
            return Ok(reply.header("content-range", &format!("bytes */{size_bytes}")));
        }
    };
    Ok(describe(front, reply, address, &object, &tag))
}

/// The answer that describes the object in JSON.
pub(crate) async fn metadata(front: &Front<'_>, call: &Call, key: &str) -> Result<Reply, GcsError> {
    let object = find(front, call, key)?;
    let tag = etag(&object);
    if let Some(early) = check_conditions(call, &object, &tag)? {
        return Ok(early.header("etag", &tag));
    }
    sum_up(vec![object.clone()], !front.settings.gcs_composite).await;
    let fields = Fields::of_object(call)?;
    let value = fields.of(origin(front, call).describe(key, &object));
    Ok(json_reply(&value).header("etag", &tag))
}

/// Where the descriptions of an answer lead.
pub(crate) fn origin(front: &Front<'_>, call: &Call) -> Origin {
    let base = format!("http://{}", call.header("host").unwrap_or("localhost"));
    Origin { base, bucket: front.bucket_name(Cloud::Gcs), composite: front.settings.gcs_composite }
}

/// A sound answer in JSON.
pub(crate) fn json_reply(value: &Value) -> Reply {
    Reply::text(StatusCode::OK, "application/json; charset=UTF-8", value.to_string())
}

/// Makes the checksums of the objects, which a listing needs of all of them, off the threads that answer.
pub(crate) async fn sum_up(objects: Vec<Arc<Object>>, with_md5: bool) {
    let size_bytes: u64 = objects.iter().filter(|object| !object.is_summed_up(with_md5)).map(|o| o.size_bytes()).sum();
    let sum_up = move || {
        for object in objects {
            object.crc32c();
            if with_md5 {
                object.md5();
            }
        }
    };
    if size_bytes <= INLINE_BYTES_MAX {
        sum_up();
    } else {
        // Fails only if the runtime is shutting down; the sums are then made where they are needed.
        let _ = tokio::task::spawn_blocking(sum_up).await;
    }
}

/// The object in the generation asked for; there is only the newest one.
fn find(front: &Front<'_>, call: &Call, key: &str) -> Result<Arc<Object>, GcsError> {
    let bucket = front.bucket_name(Cloud::Gcs);
    let asked = number(call, "generation")?;
    let object = front.find(Cloud::Gcs, key);
    let object = object.filter(|object| asked.is_none_or(|generation| generation == object.generation()));
    object.ok_or_else(|| match asked {
        Some(generation) => GcsError::not_found(&format!("No such object: {bucket}/{key}#{generation}")),
        None => GcsError::not_found(&format!("No such object: {bucket}/{key}")),
    })
}

/// The answer that a condition gives before the object is read, if it gives one.
fn check_conditions(call: &Call, object: &Object, tag: &str) -> Result<Option<Reply>, GcsError> {
    let versions = [
        ("ifGenerationMatch", "ifGenerationNotMatch", "x-goog-if-generation-match", object.generation()),
        ("ifMetagenerationMatch", "ifMetagenerationNotMatch", "x-goog-if-metageneration-match", 1),
    ];
    let mut known = call.names_tag("if-none-match", tag) == Some(true);
    if call.names_tag("if-match", tag) == Some(false) {
        return Err(not_met("If-Match"));
    }
    for (same, other, header, version) in versions {
        let asked = [number(call, same)?, header_number(call, header)?];
        if asked.into_iter().flatten().any(|asked| asked != version) {
            return Err(not_met(header));
        }
        known |= number(call, other)? == Some(version);
    }
    Ok(known.then(|| Reply::new(StatusCode::NOT_MODIFIED, Body::Bytes(Bytes::new()))))
}

fn not_met(header: &'static str) -> GcsError {
    let message = "At least one of the pre-conditions you specified did not hold.";
    GcsError::new(StatusCode::PRECONDITION_FAILED, message).at("header", header)
}

fn number(call: &Call, parameter: &'static str) -> Result<Option<u64>, GcsError> {
    let text = call.parameter(parameter);
    text.map(|text| text.parse().map_err(|_| GcsError::invalid(parameter, text))).transpose()
}

fn header_number(call: &Call, header: &'static str) -> Result<Option<u64>, GcsError> {
    let text = call.header(header);
    text.map(|text| text.parse().map_err(|_| GcsError::invalid(header, text))).transpose()
}

/// The `ETag` header: the JSON interface gives its own tag bare, the XML one the MD5 in quotation marks.
fn entity_tag(object: &Object, dialect: Dialect, composite: bool) -> String {
    match dialect {
        Dialect::Json => etag(object),
        Dialect::Xml if composite => format!("\"-{}\"", etag(object)),
        Dialect::Xml => format!("\"{}\"", hex(object.md5())),
    }
}

fn describe(front: &Front<'_>, reply: Reply, address: &Address, object: &Object, tag: &str) -> Reply {
    let reply = reply
        .header("accept-ranges", "bytes")
        .header("content-type", "application/octet-stream")
        .header("etag", tag)
        .header("last-modified", &http_date(object.modified()))
        .header(GENERATION, &object.generation().to_string())
        .header("x-goog-metageneration", "1")
        .header("x-goog-storage-class", "STANDARD")
        .header("x-goog-stored-content-encoding", "identity")
        .header("x-goog-stored-content-length", &object.size_bytes().to_string());
    hashes(object, front.settings.gcs_composite, address.dialect)
        .iter()
        .fold(reply, |reply, hashes| reply.more("x-goog-hash", hashes))
}

/// `x-goog-hash`, always of the whole object: one header in the JSON interface, one for each sum in the XML one.
fn hashes(object: &Object, composite: bool, dialect: Dialect) -> Vec<String> {
    let mut hashes = vec![format!("crc32c={}", object.crc32c())];
    if !composite {
        hashes.push(format!("md5={}", base64(object.md5())));
    }
    match dialect {
        Dialect::Json => vec![hashes.join(",")],
        Dialect::Xml => hashes,
    }
}
