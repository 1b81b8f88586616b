//! What refusals of Google Cloud Storage mean at the source.

use crate::error::{Error, ErrorKind};
use crate::export::printable;
use crate::net::{self, Answer, RefusalBody};
use crate::source::get;

/// The most of an error's body that is read, in bytes.
const ERROR_BODY_BYTES_MAX: usize = 16 * 1024;

/// The failure behind an answer that is no success.
pub(super) async fn of_response(response: Answer, verb: &str, key: &str) -> Error {
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let body = get::error_body(response, ERROR_BODY_BYTES_MAX).await;
    let body = RefusalBody::read(&body);
    let kind = kind(verb, status, &body.code, &body.message);
    let code = if body.code.is_empty() { status.to_string() } else { format!("{status} {}", printable(&body.code)) };
    let request_id = get::text(&headers, "x-guploader-uploadid").map(|id| format!(", request {}", printable(id)));
    let what = format!("{verb} {} failed ({code}{}){}", printable(key), request_id.unwrap_or_default(), body.said());
    let error = Error::new(kind, what).with_retry_after(net::retry_after(&headers));
    match kind {
        ErrorKind::AccessDenied => error.with_hint(
            "the credentials do not reach this account's export; check --account-id, and that the account's plan has the export",
        ),
        ErrorKind::Usage => error.with_hint(
            "the bucket's owner lets whoever reads it pay: name a project of yours that pays with --user-project (it needs serviceusage.services.use there)",
        ),
        ErrorKind::Unreadable => error.with_hint(
            "the object's encryption key at Google Cloud KMS does not serve it: ask the vendor's support",
        ),
        ErrorKind::Protocol => error.with_hint("check --source-bucket and --source-endpoint-url"),
        _ => error,
    }
}

/// The meaning of Google's documented statuses and reasons; an answer to a GET has only the message.
fn kind(verb: &str, status: u16, reason: &str, message: &str) -> ErrorKind {
    let is_kms = || reason.starts_with("cloudKms") || message.contains("Cloud KMS") || message.contains("cloudkms");
    match (status, reason) {
        (400, _) if message.to_lowercase().contains("requester pays") => ErrorKind::Usage,
        (400 | 403, _) if verb == "GET" && is_kms() => ErrorKind::Unreadable,
        (401, _) => ErrorKind::CredentialsRefused,
        (403, "rateLimitExceeded" | "userRateLimitExceeded" | "quotaExceeded") | (429 | 503, _) => ErrorKind::Throttled,
        (403, _) => ErrorKind::AccessDenied,
        (404 | 412 | 416, _) if verb == "GET" => ErrorKind::SourceChanged,
        (408 | 500.., _) => ErrorKind::Unavailable,
        _ => ErrorKind::Protocol,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(verb: &str, status: u16, reason: &str) -> ErrorKind {
        super::kind(verb, status, reason, "")
    }

    #[test]
    fn a_bucket_whose_readers_pay_and_a_key_that_is_gone_are_told_apart() {
        let pays = "Bucket is a requester pays bucket but no user project provided.";
        assert_eq!(super::kind("LIST", 400, "required", pays), ErrorKind::Usage);
        assert_eq!(super::kind("GET", 400, "", pays), ErrorKind::Usage, "media answers have no reason");
        assert_eq!(super::kind("GET", 400, "cloudKmsDisabledKey", ""), ErrorKind::Unreadable);
        assert_eq!(super::kind("GET", 403, "", "Permission denied on Cloud KMS key."), ErrorKind::Unreadable);
        assert_eq!(kind("LIST", 400, "required"), ErrorKind::Protocol);
    }

    #[test]
    fn a_limit_is_told_from_a_prohibition() {
        assert_eq!(kind("GET", 401, "authError"), ErrorKind::CredentialsRefused);
        assert_eq!(kind("GET", 403, "forbidden"), ErrorKind::AccessDenied);
        assert_eq!(kind("GET", 403, "rateLimitExceeded"), ErrorKind::Throttled);
        assert_eq!(kind("GET", 404, "notFound"), ErrorKind::SourceChanged);
        assert_eq!(kind("LIST", 404, "notFound"), ErrorKind::Protocol);
        assert_eq!(kind("GET", 502, ""), ErrorKind::Unavailable);
    }
}
