use aws_sdk_s3::error::{DisplayErrorContext, SdkError};
use aws_sdk_s3::operation::RequestId as _;
use aws_sdk_s3::operation::list_objects_v2::ListObjectsV2Error;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use http::{HeaderMap, StatusCode};
use reqwest::Response;

use crate::clock::Clock;
use crate::error::{Error, ErrorKind};
use crate::export::printable;
use crate::net::{self, UntrustedAnswer};
use crate::source::get;
use crate::source::page::untrusted;

/// The most of an error's body that is read, in bytes.
const ERROR_BODY_BYTES_MAX: usize = 16 * 1024;

/// What S3 said when it refused a request.
struct Refusal<'a> {
    /// What was asked: `GET key` or `LIST prefix`.
    request: String,
    status: StatusCode,
    code: &'a str,
    request_id: &'a str,
    headers: &'a HeaderMap,
}

/// The failure behind an answer to a GET that is no success.
pub(super) async fn of_response(response: Response, key: &str, clock: &Clock) -> Error {
    let (status, headers) = (response.status(), response.headers().clone());
    let body = get::error_body(response, ERROR_BODY_BYTES_MAX).await;
    let body = String::from_utf8_lossy(&body);
    let refusal = Refusal {
        request: format!("GET {}", printable(key)),
        status,
        code: element(&body, "Code").unwrap_or_default(),
        request_id: get::text(&headers, "x-amz-request-id").unwrap_or_default(),
        headers: &headers,
    };
    refusal.into_error(clock)
}

/// The text of a simple XML element. A full parser has nothing to add for an error's code.
fn element<'a>(body: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = body.split_once(&format!("<{name}>"))?;
    let (text, _) = rest.split_once(&format!("</{name}>"))?;
    (text.len() <= 100).then_some(text)
}

/// The failure behind a listing that the SDK reports as failed.
pub(super) fn of_listing(error: SdkError<ListObjectsV2Error, HttpResponse>, prefix: &str, clock: &Clock) -> Error {
    let request = format!("LIST {}", printable(prefix));
    match &error {
        SdkError::ServiceError(service) if service.raw().status().is_success() => {
            untrusted(prefix, "it is not a listing")
        }
        SdkError::ServiceError(service) => {
            let raw = service.raw();
            let headers = header_map(raw);
            let refusal = Refusal {
                request,
                status: StatusCode::from_u16(raw.status().as_u16()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
                code: service.err().meta().code().unwrap_or_default(),
                request_id: service.err().meta().request_id().unwrap_or_default(),
                headers: &headers,
            };
            refusal.into_error(clock)
        }
        SdkError::DispatchFailure(failure) => {
            let cause = failure.as_connector_error().and_then(std::error::Error::source);
            match cause.and_then(|cause| cause.downcast_ref::<UntrustedAnswer>()) {
                Some(answer) => untrusted(prefix, &answer.to_string()),
                None => Error::new(
                    ErrorKind::Unavailable,
                    format!("no answer to {request}: {}", DisplayErrorContext(&error)),
                ),
            }
        }
        SdkError::TimeoutError(_) => Error::new(ErrorKind::Unavailable, format!("no answer to {request} in time")),
        SdkError::ResponseError(_) => untrusted(prefix, "it is not a listing"),
        _ => Error::new(
            ErrorKind::Internal,
            format!("cannot make the request {request}: {}", DisplayErrorContext(&error)),
        ),
    }
}

fn header_map(response: &HttpResponse) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for name in ["retry-after", "date"] {
        if let Some(value) = response.headers().get(name).and_then(|value| value.parse().ok()) {
            headers.insert(name, value);
        }
    }
    headers
}

impl Refusal<'_> {
    fn into_error(self, clock: &Clock) -> Error {
        let kind = self.kind();
        if self.code == "RequestTimeTooSkewed"
            && let Some(server_time) = net::server_time(self.headers)
        {
            clock.correct(server_time);
        }
        let error = Error::new(kind, self.what()).with_retry_after(net::retry_after(self.headers));
        match self.hint(kind) {
            Some(hint) => error.with_hint(hint),
            None => error,
        }
    }

    /// `GET key failed (403 AccessDenied, request 4442587FB7D0A2F9)`.
    fn what(&self) -> String {
        let mut said = self.status.as_u16().to_string();
        if !self.code.is_empty() {
            said = format!("{said} {}", printable(self.code));
        }
        if !self.request_id.is_empty() {
            said = format!("{said}, request {}", printable(self.request_id));
        }
        format!("{} failed ({said})", self.request)
    }

    /// The meaning of S3's documented codes; the status decides where there is no code.
    fn kind(&self) -> ErrorKind {
        match (self.code, self.status.as_u16()) {
            ("ExpiredToken" | "InvalidToken" | "TokenRefreshRequired" | "InvalidAccessKeyId", _) => {
                ErrorKind::CredentialsRefused
            }
            ("SlowDown" | "Throttling" | "TooManyRequests" | "RequestLimitExceeded", _) => ErrorKind::Throttled,
            ("RequestTimeTooSkewed" | "RequestTimeout" | "InternalError", _) => ErrorKind::Unavailable,
            ("NoSuchBucket", _) => ErrorKind::Protocol,
            (_, 404 | 412 | 416) if self.request.starts_with("LIST") => ErrorKind::Protocol,
            ("NoSuchKey", _) | (_, 404 | 412 | 416) => ErrorKind::SourceChanged,
            (_, 429 | 503) => ErrorKind::Throttled,
            (_, 401 | 403) => ErrorKind::AccessDenied,
            (_, 408) => ErrorKind::Unavailable,
            (_, 500..) => ErrorKind::Unavailable,
            _ => ErrorKind::Protocol,
        }
    }

    fn hint(&self, kind: ErrorKind) -> Option<&'static str> {
        match (kind, self.code) {
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
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(status: u16, code: &str) -> ErrorKind {
        let headers = HeaderMap::new();
        let status = StatusCode::from_u16(status).unwrap();
        Refusal { request: String::new(), status, code, request_id: "", headers: &headers }.kind()
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

    #[test]
    fn an_errors_code_is_found_in_its_body() {
        let body = "<?xml version=\"1.0\"?><Error><Code>SlowDown</Code><Message>x</Message></Error>";
        assert_eq!(element(body, "Code"), Some("SlowDown"));
        assert_eq!(element("<html>", "Code"), None);
    }
}
