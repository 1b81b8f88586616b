//! An answer as a document: its status, the names of its headers, what it says of a refusal.

use http::HeaderMap;
use serde_json::{Value, json};

use super::mask::Mask;
use crate::error::{Error, Result};
use crate::net::{RawAnswer, RefusalBody};

/// Headers whose values tell how a server works and nothing of the user's; of all others only the names are shown.
const SHOWN_HEADERS: [&str; 23] = [
    "accept-ranges",
    "cache-control",
    "content-encoding",
    "content-length",
    "content-type",
    "retry-after",
    "server",
    "transfer-encoding",
    "via",
    "x-amz-archive-status",
    "x-amz-bucket-region",
    "x-amz-checksum-type",
    "x-amz-mp-parts-count",
    "x-amz-restore",
    "x-amz-server-side-encryption",
    "x-amz-server-side-encryption-bucket-key-enabled",
    "x-amz-storage-class",
    "x-goog-component-count",
    "x-goog-storage-class",
    "x-goog-stored-content-encoding",
    "x-goog-stored-content-length",
    "x-ratelimit-limit",
    "x-ratelimit-remaining",
];

/// An answer, or why there is none.
pub(super) fn answer(answer: &Result<RawAnswer>, mask: &Mask) -> Value {
    match answer {
        Ok(answer) => {
            let body = RefusalBody::read(&answer.body);
            let refusal = (!answer.status.is_success()).then(|| {
                let said = body.said();
                json!({
                    "code": mask.text(&body.code),
                    "said": mask.text(said.trim_start_matches(": ")),
                    "is_structured": body.is_structured,
                })
            });
            json!({
                "status": answer.status.as_u16(),
                "head_after_ms": u64::try_from(answer.head_after.as_millis()).unwrap_or(u64::MAX),
                "headers": headers(&answer.headers, mask),
                "refusal": refusal,
            })
        }
        Err(error) => failure(error, mask),
    }
}

/// Why there is no answer.
pub(super) fn failure(error: &Error, mask: &Mask) -> Value {
    json!({ "failed": error.kind().name(), "said": mask.text(&error.to_string()) })
}

/// The names of an answer's headers, with the values of some.
fn headers(headers: &HeaderMap, mask: &Mask) -> Value {
    let shown = headers.iter().map(|(name, value)| {
        let is_shown = SHOWN_HEADERS.contains(&name.as_str());
        let value = value.to_str().ok().filter(|_| is_shown).map(|value| mask.text(value));
        (name.as_str().to_owned(), value.into())
    });
    Value::Object(shown.collect())
}
