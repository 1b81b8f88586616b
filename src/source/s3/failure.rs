//! What refusals of S3 mean at the source.

use crate::clock::Clock;
use crate::error::{Error, ErrorKind};
use crate::export::printable;
use crate::net::{Answer, Refusal};
use crate::source::get;

/// The most of an error's body that is read, in bytes.
const ERROR_BODY_BYTES_MAX: usize = 16 * 1024;

/// The failure behind an answer that is no success; `verb` says what was asked.
pub(super) async fn of_answer(answer: Answer, verb: &str, key: &str, clock: &Clock) -> Error {
    let (status, headers) = (answer.status(), answer.headers().clone());
    let body = get::error_body(answer, ERROR_BODY_BYTES_MAX).await;
    let refusal = Refusal::read(format!("{verb} {}", printable(key)), status, headers, &body);
    let kind = kind(&refusal);
    let hint = hint(kind, &refusal.code);
    let error = refusal.into_error(kind, clock);
    match hint {
        Some(hint) => error.with_hint(hint),
        None => error,
    }
}

/// The meaning of S3's documented codes; the status decides where there is no code.
fn kind(refusal: &Refusal) -> ErrorKind {
    if let Some(kind) = refusal.kind_by_code() {
        return kind;
    }
    if refusal.request.starts_with("GET") && refusal.is_of_unreadable() {
        return ErrorKind::Unreadable;
    }
    match (refusal.code.as_str(), refusal.status.as_u16()) {
        ("NoSuchBucket", _) => ErrorKind::Protocol,
        (_, 404 | 412 | 416) if refusal.request.starts_with("LIST") => ErrorKind::Protocol,
        ("NoSuchKey", _) | (_, 404 | 412 | 416) => ErrorKind::SourceChanged,
        _ => refusal.kind_by_status(),
    }
}

fn hint(kind: ErrorKind, code: &str) -> Option<&'static str> {
    match (kind, code) {
        (ErrorKind::Unreadable, "InvalidObjectState") => {
            Some("the object is archived, and its day waits until the vendor restores it: ask the vendor's support")
        }
        (ErrorKind::Unreadable, _) => {
            Some("the object's encryption key at AWS KMS does not serve these credentials: ask the vendor's support")
        }
        (ErrorKind::AccessDenied, "SignatureDoesNotMatch") => {
            Some("the secret key does not fit its access key, or a proxy changes requests")
        }
        (ErrorKind::AccessDenied, _) => Some(
            "the credentials do not reach this account's export; check --account-id, and that the account's plan has the export",
        ),
        (ErrorKind::Protocol, "NoSuchBucket") => Some("check --source-bucket and --source-endpoint-url"),
        (ErrorKind::Protocol, "PermanentRedirect" | "AuthorizationHeaderMalformed" | "TemporaryRedirect") => {
            Some("the bucket lies in another region; name it with --source-region")
        }
        (ErrorKind::Protocol, _) => Some("check --source-endpoint-url and --source-region"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, StatusCode};

    use super::*;

    fn kind(status: u16, code: &str) -> ErrorKind {
        kind_of("", status, code, "")
    }

    fn kind_of(request: &str, status: u16, code: &str, message: &str) -> ErrorKind {
        super::kind(&Refusal {
            request: request.to_owned(),
            status: StatusCode::from_u16(status).unwrap(),
            code: code.to_owned(),
            message: message.to_owned(),
            request_id: String::new(),
            headers: HeaderMap::new(),
        })
    }

    #[test]
    fn what_is_archived_or_has_no_key_is_unreadable() {
        let denied = "User: arn:aws:sts::1:assumed-role/a is not authorized to perform: kms:Decrypt on this resource";
        for (status, code, message) in [
            (403, "InvalidObjectState", "The operation is not valid for the object's storage class"),
            (400, "KMS.DisabledException", "arn:aws:kms:us-east-1:1:key/2 is disabled."),
            (400, "KMS.KMSInvalidStateException", "pending deletion"),
            (403, "AccessDenied", denied),
        ] {
            assert_eq!(kind_of("GET k", status, code, message), ErrorKind::Unreadable, "{code}");
        }
        assert_eq!(kind_of("GET k", 403, "AccessDenied", "Access Denied"), ErrorKind::AccessDenied);
    }

    #[test]
    fn an_expired_token_is_told_from_a_forbidden_request() {
        assert_eq!(kind(400, "ExpiredToken"), ErrorKind::CredentialsRefused);
        assert_eq!(kind(400, "InvalidToken"), ErrorKind::CredentialsRefused);
        assert_eq!(kind(400, "TokenRefreshRequired"), ErrorKind::CredentialsRefused);
        assert_eq!(kind(403, "AccessDenied"), ErrorKind::AccessDenied);
        assert_eq!(kind(403, "RequestTimeTooSkewed"), ErrorKind::Unavailable);
        assert_eq!(kind(503, "SlowDown"), ErrorKind::Throttled);
        assert_eq!(kind(503, ""), ErrorKind::Throttled);
        assert_eq!(kind(500, ""), ErrorKind::Unavailable);
        assert_eq!(kind(412, "PreconditionFailed"), ErrorKind::SourceChanged);
        assert_eq!(kind(404, "NoSuchBucket"), ErrorKind::Protocol);
        assert_eq!(kind(301, "PermanentRedirect"), ErrorKind::Protocol);
    }
}
