//! What refusals and missing answers of Google Cloud Storage mean.

use http::{HeaderMap, StatusCode};

use super::call::{Call, Operation};
use super::tried::Failure;
use crate::destination::bucket::RETENTION_HINT;
use crate::error::{Error, ErrorKind};
use crate::export::printable;
use crate::net::{self, RefusalBody};

/// The most of an error's body that is read, in bytes.
pub(super) const ERROR_BODY_BYTES_MAX: usize = 16 * 1024;

/// The failure behind an answer that is no success.
pub(super) fn of_answer(call: &Call, status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Failure {
    let status = status.as_u16();
    let body = RefusalBody::read(body);
    let kind = kind(call.operation, status, &body.code);
    let code = if body.code.is_empty() { status.to_string() } else { format!("{status} {}", printable(&body.code)) };
    let request_id = headers.get("x-guploader-uploadid").and_then(|id| id.to_str().ok());
    let request_id = request_id.map(|id| format!(", request {}", printable(id))).unwrap_or_default();
    let error = Error::new(kind, format!("{} failed ({code}{request_id}){}", call.what(), body.said()));
    let error = error.with_retry_after(net::retry_after(headers));
    Failure { status: Some(status), error: with_hint(error, call.operation, status) }
}

fn with_hint(error: Error, operation: Operation, status: u16) -> Error {
    match error.kind() {
        ErrorKind::AccessDenied if status == 401 => error.with_hint(
            "Google refuses the credentials for the destination: a token in GOOGLE_OAUTH_ACCESS_TOKEN has ended, or the credentials file's owner lost the access; get a new one, or sign in again",
        ),
        ErrorKind::AccessDenied => error
            .with_hint(format!("give the credentials for the destination {} on the bucket", operation.permissions())),
        ErrorKind::Usage => error.with_hint("the destination's bucket does not exist; create it, or check its name"),
        ErrorKind::DestinationUnusable => error.with_hint(RETENTION_HINT),
        ErrorKind::Protocol => error.with_hint("check the destination's bucket and endpoint"),
        _ => error,
    }
}

/// The meaning of Google's documented statuses and codes.
fn kind(operation: Operation, status: u16, code: &str) -> ErrorKind {
    match (status, code) {
        (404, "NoSuchBucket") => ErrorKind::Usage,
        (404, "NoSuchUpload") | (400, "InvalidPart" | "InvalidPartOrder") => ErrorKind::UploadLost,
        (404, _) if operation.needs_upload() => ErrorKind::UploadLost,
        (400, "BadDigest" | "XGoogHashMismatch") => ErrorKind::ChecksumMismatch,
        (403, "RateLimitExceeded" | "UserRateLimitExceeded" | "QuotaExceeded") | (_, "SlowDown") | (429 | 503, _) => {
            ErrorKind::Throttled
        }
        (403, "RetentionPolicyNotMet" | "ObjectUnderActiveHold") => ErrorKind::DestinationUnusable,
        (401 | 403, _) => ErrorKind::AccessDenied,
        // A success whose body turns out to be an error: the server failed after it had begun to answer.
        (200..300, _) => ErrorKind::Unavailable,
        // 409: another request on the same object was quicker; it is not there the next time.
        (408 | 409 | 500.., _) => ErrorKind::Unavailable,
        _ => ErrorKind::Protocol,
    }
}

/// The failure of a request that brought no answer, or no whole one.
pub(super) fn no_answer(call: &Call, cause: impl std::error::Error + Send + Sync + 'static) -> Failure {
    net::no_answer(format!("no answer to {}", call.what()), cause).into()
}

/// The failure of an answer that is not what the request asks for.
pub(super) fn unreadable(call: &Call, reason: &str) -> Failure {
    Error::new(ErrorKind::Protocol, format!("the answer to {} cannot be read: {reason}", call.what()))
        .with_hint(
            "something between this machine and the cloud may have answered instead of it: a proxy, a login page",
        )
        .into()
}

/// The failure of a call: what was noted on the way, or else what object_store says of the answer.
pub(super) fn of_call(call: &Call, cause: &object_store::Error) -> Failure {
    call.take_failure().unwrap_or_else(|| unreadable(call, &innermost(cause)))
}

/// What the innermost cause says. Those around it repeat addresses with the upload's id.
pub(super) fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut error = error;
    while let Some(cause) = error.source() {
        error = cause;
    }
    error.to_string()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn failure(operation: Operation, status: u16, code: &str) -> Failure {
        let call = Call::new(operation, "gs://bucket/a\u{1b}key", None);
        let body =
            format!("<?xml version='1.0' encoding='UTF-8'?><Error><Code>{code}</Code><Message>m</Message></Error>");
        let mut headers = HeaderMap::new();
        headers.insert("retry-after", "7".parse().unwrap());
        headers.insert("x-guploader-uploadid", "AB12".parse().unwrap());
        of_answer(&call, StatusCode::from_u16(status).unwrap(), &headers, body.as_bytes())
    }

    #[test]
    fn a_refusal_is_told_in_googles_words() {
        use ErrorKind::*;
        for (operation, status, code, kind) in [
            (Operation::Put, 401, "AuthenticationRequired", AccessDenied),
            (Operation::Put, 403, "AccessDenied", AccessDenied),
            (Operation::Delete, 403, "RetentionPolicyNotMet", DestinationUnusable),
            (Operation::Put, 403, "RateLimitExceeded", Throttled),
            (Operation::Put, 429, "SlowDown", Throttled),
            (Operation::Put, 503, "ServiceUnavailable", Throttled),
            (Operation::Put, 500, "InternalError", Unavailable),
            (Operation::Put, 504, "", Unavailable),
            (Operation::Put, 409, "Conflict", Unavailable),
            (Operation::Put, 400, "BadDigest", ChecksumMismatch),
            (Operation::Put, 400, "InvalidArgument", Protocol),
            (Operation::Put, 302, "", Protocol),
            (Operation::Put, 404, "NoSuchBucket", Usage),
            (Operation::Complete, 404, "NoSuchBucket", Usage),
            (Operation::Complete, 404, "NoSuchUpload", UploadLost),
            (Operation::Complete, 200, "InternalError", Unavailable),
            (Operation::Complete, 200, "SlowDown", Throttled),
            (Operation::Part, 404, "", UploadLost),
            (Operation::Complete, 400, "InvalidPart", UploadLost),
            (Operation::Get, 404, "NoSuchKey", Protocol),
        ] {
            let failure = failure(operation, status, code);
            assert_eq!((failure.status, failure.error.kind()), (Some(status), kind), "{operation:?} {status} {code}");
            assert_eq!(failure.error.retry_after(), Some(Duration::from_secs(7)));
        }
    }

    #[test]
    fn the_message_names_the_request_and_the_hint_the_permission() {
        let error = failure(Operation::Put, 403, "AccessDenied").error;
        assert_eq!(error.to_string(), "PUT gs://bucket/a\\u{1b}key failed (403 AccessDenied, request AB12): m");
        assert!(error.hint().unwrap().contains("storage.objects.create"), "{:?}", error.hint());
    }

    #[test]
    fn a_body_that_is_no_xml_does_not_hide_the_status() {
        let call = Call::new(Operation::List, "gs://bucket/", None);
        let failure = of_answer(&call, StatusCode::BAD_GATEWAY, &HeaderMap::new(), b"<html><title>Bad gateway</title>");
        assert_eq!(failure.error.to_string(), "LIST gs://bucket/ failed (502): Bad gateway");
        assert_eq!(failure.error.kind(), ErrorKind::Unavailable);
    }
}
