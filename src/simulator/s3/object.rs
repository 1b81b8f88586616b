//! GetObject and HeadObject.

use super::super::account::Cloud;
use super::super::call::Call;
use super::super::checksum::{Checksum, Sum};
use super::super::clock::http_date;
use super::super::front::Front;
use super::super::object::Object;
use super::super::range::{Asked, parse};
use super::super::reply::{Body, Reply};
use super::S3Error;
use bytes::Bytes;
use http::StatusCode;
use std::sync::Arc;

/// Objects above this size are summed up on a thread of their own.
const INLINE_BYTES_MAX: u64 = 1024 * 1024;

/// The answer for the object of the key. The server leaves out the body of an answer to HEAD by itself.
pub(crate) async fn get(front: &Front<'_>, call: &Call, key: &str) -> Result<Reply, S3Error> {
    let object = find(front, key)?;
    let etag = format!("\"{}\"", object.etag());
    if let Some(early) = check_conditions(call, &etag)? {
        return Ok(describe(early, &object, &etag));
    }
    let size_bytes = object.size_bytes();
    let reply = match parse(call.header("range"), size_bytes) {
        Asked::Whole => {
            let reply = Reply::new(StatusCode::OK, Body::Object(object.clone(), 0..size_bytes));
            with_checksum(front, call, &object, reply).await
        }
        Asked::Part(range) => {
            let text = format!("bytes {}-{}/{size_bytes}", range.start, range.end - 1);
            let body = Body::Object(object.clone(), range);
            Reply::new(StatusCode::PARTIAL_CONTENT, body).header("content-range", &text)
        }
        Asked::Unsatisfiable => return Ok(unsatisfiable(call, size_bytes)),
    };
    Ok(describe(reply, &object, &etag))
}

fn find(front: &Front<'_>, key: &str) -> Result<Arc<Object>, S3Error> {
    front.find(Cloud::S3, key).ok_or_else(|| {
        let message = "The specified key does not exist.";
        S3Error::new(StatusCode::NOT_FOUND, "NoSuchKey", message).with("Key", key)
    })
}

/// The answer that a condition gives before the object is read, if it gives one.
fn check_conditions(call: &Call, etag: &str) -> Result<Option<Reply>, S3Error> {
    if call.names_tag("if-match", etag) == Some(false) {
        let message = "At least one of the pre-conditions you specified did not hold";
        let error = S3Error::new(StatusCode::PRECONDITION_FAILED, "PreconditionFailed", message);
        return Err(error.with("Condition", "If-Match"));
    }
    let known = call.names_tag("if-none-match", etag) == Some(true);
    Ok(known.then(|| Reply::new(StatusCode::NOT_MODIFIED, Body::Bytes(Bytes::new()))))
}

fn unsatisfiable(call: &Call, size_bytes: u64) -> Reply {
    S3Error::new(StatusCode::RANGE_NOT_SATISFIABLE, "InvalidRange", "The requested range is not satisfiable")
        .with("RangeRequested", call.header("range").unwrap_or_default())
        .with("ActualObjectSize", &size_bytes.to_string())
        .reply(call)
        .header("content-range", &format!("bytes */{size_bytes}"))
}

fn describe(reply: Reply, object: &Object, etag: &str) -> Reply {
    reply
        .header("accept-ranges", "bytes")
        .header("content-type", "binary/octet-stream")
        .header("etag", etag)
        .header("last-modified", &http_date(object.modified()))
        .header("x-amz-server-side-encryption", "aws:kms")
}

/// The stored checksum covers the whole object, so S3 sends it with whole objects only.
async fn with_checksum(front: &Front<'_>, call: &Call, object: &Arc<Object>, reply: Reply) -> Reply {
    let kind = front.settings.checksum;
    let asked = call.header("x-amz-checksum-mode").is_some_and(|mode| mode.eq_ignore_ascii_case("enabled"));
    if !asked || kind == Checksum::None {
        return reply;
    }
    match sum(object, kind).await {
        Some(sum) => reply.header(sum.header, &sum.value).header("x-amz-checksum-type", sum.kind),
        None => reply,
    }
}

/// None only if the runtime is shutting down.
async fn sum(object: &Arc<Object>, kind: Checksum) -> Option<Arc<Sum>> {
    if object.size_bytes() <= INLINE_BYTES_MAX {
        return Some(object.checksum(kind));
    }
    let object = object.clone();
    tokio::task::spawn_blocking(move || object.checksum(kind)).await.ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_compare_opaque_tags() {
        let check = |name: &str, value: &str| {
            let request = http::Request::get("/b/k").header(name, value);
            let call = Call::new(1, request.body(()).unwrap().into_parts().0);
            check_conditions(&call, "\"abc\"").map(|early| early.map(|reply| reply.status.as_u16()))
        };
        assert_eq!(check("if-match", "\"abc\"").unwrap(), None);
        assert_eq!(check("if-match", "\"x\", abc").unwrap(), None);
        assert_eq!(check("if-match", "\"abd\"").unwrap_err().status, StatusCode::PRECONDITION_FAILED);
        assert_eq!(check("if-none-match", "*").unwrap(), Some(304));
        assert_eq!(check("if-none-match", "\"x\"").unwrap(), None);
    }
}
