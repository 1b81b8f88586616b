use reqwest::Response;

use crate::error::{Error, ErrorKind};
use crate::export::printable;
use crate::net::{self, RefusalBody};
use crate::source::get;

/// The most of an error's body that is read, in bytes.
const ERROR_BODY_BYTES_MAX: usize = 16 * 1024;

/// The failure behind an answer that is no success.
pub(super) async fn of_response(response: Response, verb: &str, key: &str) -> Error {
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let body = get::error_body(response, ERROR_BODY_BYTES_MAX).await;
    let body = RefusalBody::read(&body);
    let kind = kind(verb, status, &body.code);
    let code = if body.code.is_empty() { status.to_string() } else { format!("{status} {}", printable(&body.code)) };
    let request_id = get::text(&headers, "x-guploader-uploadid").map(|id| format!(", request {}", printable(id)));
    let what = format!("{verb} {} failed ({code}{}){}", printable(key), request_id.unwrap_or_default(), body.said());
    let error = Error::new(kind, what).with_retry_after(net::retry_after(&headers));
    match kind {
        ErrorKind::AccessDenied => error.with_hint(
            "the credentials do not reach this account's export; check --account-id, and that the account's plan has the export",
        ),
        ErrorKind::Protocol => error.with_hint("check --source-bucket and --source-endpoint-url"),
        _ => error,
    }
}

/// The meaning of Google's documented statuses and reasons.
fn kind(verb: &str, status: u16, reason: &str) -> ErrorKind {
    match (status, reason) {
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
