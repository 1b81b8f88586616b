//! What the S3 SDK's errors are about: a refusal, no answer, no credentials.

use std::error::Error as StdError;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::RequestId as _;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::error::ErrorMetadata;
use http::{HeaderMap, StatusCode};

use super::RefusalBody;
use super::no_answer::{cause_of, of_cause};
use super::refusal_body::said;
use super::sdk_transport::UntrustedAnswer;
use crate::clock::Clock;
use crate::error::{Error, ErrorKind};
use crate::export::printable;

/// Where the SDK keeps the request's id among what else it knows of an error.
const REQUEST_ID: &str = "aws_request_id";

/// What S3 said when it refused a request.
#[derive(Debug)]
pub(crate) struct Refusal {
    /// What was asked: the operation and its object.
    pub request: String,
    /// The status of the answer.
    pub status: StatusCode,
    /// The error's code, empty where the answer has none: to a HEAD for one.
    pub code: String,
    /// The server's own words about it; empty where the answer has none.
    pub message: String,
    /// The request's id, empty where the answer has none.
    pub request_id: String,
    /// The headers that say more: `Retry-After`, `Date`, `x-amz-bucket-region`.
    pub headers: HeaderMap,
}

/// Why a request of the AWS SDK has no result.
#[derive(Debug)]
pub(crate) enum SdkFailure {
    /// S3 refused it.
    Refused(Box<Refusal>),
    /// What answered is not S3, for this reason.
    Untrusted(String),
    /// There are no credentials to sign it with.
    NoCredentials(Error),
    /// It was not answered, or never made.
    Unanswered(Error),
}

impl SdkFailure {
    /// What an error of the SDK is about; `request` names the operation and its object.
    pub fn of<E>(error: &SdkError<E, HttpResponse>, request: &str) -> Self
    where
        E: ProvideErrorMetadata + StdError + 'static,
    {
        if let Some(credentials) = cause_of(error) {
            return Self::NoCredentials(credentials_failure(credentials).within(request));
        }
        match error {
            SdkError::ServiceError(service) => Self::of_answer(service.raw(), service.err().meta(), request),
            SdkError::ResponseError(_) => Self::Untrusted("it is not an answer of S3".to_owned()),
            SdkError::TimeoutError(_) => Self::unanswered(format!("no answer to {request} in time")),
            SdkError::DispatchFailure(_) => match cause_of::<UntrustedAnswer>(error) {
                Some(answer) => Self::Untrusted(answer.to_string()),
                None => Self::Unanswered(of_cause(format!("no answer to {request}{}", causes(error)), error)),
            },
            _ => Self::Unanswered(Error::new(
                ErrorKind::Internal,
                format!("cannot make the request {request}{}", causes(error)),
            )),
        }
    }

    fn of_answer(raw: &HttpResponse, said: &aws_sdk_s3::error::ErrorMetadata, request: &str) -> Self {
        // The SDK reads XML only; a gateway's page stands in no metadata.
        let body = RefusalBody::read(raw.body().bytes().unwrap_or_default());
        let code = said.code().unwrap_or_default();
        if raw.status().is_success() && code.is_empty() {
            return Self::Untrusted("it is not an answer of S3".to_owned());
        }
        Self::Refused(Box::new(Refusal {
            request: request.to_owned(),
            status: StatusCode::from_u16(raw.status().as_u16()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            code: code.to_owned(),
            message: said.message().map_or(body.message, str::to_owned),
            request_id: said.request_id().unwrap_or_default().to_owned(),
            headers: header_map(raw),
        }))
    }

    fn unanswered(what: String) -> Self {
        Self::Unanswered(Error::new(ErrorKind::Unavailable, what))
    }
}

/// Why the user's AWS settings give no keys. What this crate itself found keeps its kind and hint.
pub(crate) fn credentials_failure(error: &CredentialsError) -> Error {
    if let Some(own) = cause_of::<Error>(error) {
        return own.clone();
    }
    let is_offline = cause_of::<ConnectorError>(error).is_some();
    let (kind, what) = match error {
        CredentialsError::CredentialsNotLoaded(_) => (ErrorKind::Usage, "no AWS credentials were found"),
        CredentialsError::InvalidConfiguration(_) => (ErrorKind::Usage, "the AWS settings give no credentials"),
        CredentialsError::ProviderTimedOut(_) => (ErrorKind::Unavailable, "the AWS credentials did not come in time"),
        // Who gives credentials out may be away for a while, like any server.
        _ if is_offline => {
            return of_cause(format!("who gives the AWS credentials out does not answer{}", causes(error)), error);
        }
        _ => (ErrorKind::AccessDenied, "the AWS credentials cannot be had"),
    };
    Error::new(kind, format!("{what}{}", causes(error)))
}

/// What the causes of an error say, each once and after a colon. The libraries' own way to print
/// them adds the structures that they are made of.
fn causes(error: &(dyn StdError + 'static)) -> String {
    let (mut said, mut next) = (String::new(), error.source());
    while let Some(error) = next {
        let text = match error.downcast_ref::<ErrorMetadata>() {
            Some(refused) => words_of(refused),
            None => error.to_string(),
        };
        // Below the first line stands every way that was tried, and a hint names the ways.
        let text = text.lines().next().unwrap_or_default().trim_end_matches(". Attempted:");
        if !said.contains(text) {
            said = format!("{said}: {text}");
        }
        next = error.source();
    }
    said
}

/// A server's refusal in its own words: `AccessDenied, request 1: …`.
fn words_of(refused: &ErrorMetadata) -> String {
    let code = refused.code().unwrap_or_default();
    let request_id = refused.extra(REQUEST_ID).map(|id| format!(", request {}", printable(id))).unwrap_or_default();
    format!("{}{request_id}{}", printable(code), said(code, refused.message().unwrap_or_default()))
}

fn header_map(response: &HttpResponse) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for name in ["retry-after", "date", "x-amz-bucket-region"] {
        if let Some(value) = response.headers().get(name).and_then(|value| value.parse().ok()) {
            headers.insert(name, value);
        }
    }
    headers
}

impl Refusal {
    /// What the answer to a request says that is no success; `request` names the operation and its object.
    pub fn read(request: String, status: StatusCode, headers: HeaderMap, body: &[u8]) -> Self {
        let body = RefusalBody::read(body);
        let request_id = headers.get("x-amz-request-id").and_then(|id| id.to_str().ok());
        let request_id = request_id.map_or(body.reference, str::to_owned);
        Self { request, status, code: body.code, message: body.message, request_id, headers }
    }

    /// The meaning of the documented codes that mean the same in every bucket.
    pub fn kind_by_code(&self) -> Option<ErrorKind> {
        match self.code.as_str() {
            "ExpiredToken" | "InvalidToken" | "TokenRefreshRequired" | "InvalidAccessKeyId" => {
                Some(ErrorKind::CredentialsRefused)
            }
            "SlowDown" | "Throttling" | "TooManyRequests" | "RequestLimitExceeded" => Some(ErrorKind::Throttled),
            "RequestTimeTooSkewed" | "RequestTimeout" | "InternalError" => Some(ErrorKind::Unavailable),
            _ => None,
        }
    }

    /// Whether an object that is there cannot be read as it is: it is archived, or its key at AWS KMS is
    /// disabled, deleted, or not to be used by the caller.
    pub fn is_of_unreadable(&self) -> bool {
        let is_kms = || self.code.starts_with("KMS.") || self.message.contains("kms:Decrypt");
        self.code == "InvalidObjectState" || (matches!(self.status.as_u16(), 400 | 403) && is_kms())
    }

    /// The meaning of the status, where the code says nothing in particular.
    pub fn kind_by_status(&self) -> ErrorKind {
        match self.status.as_u16() {
            429 | 503 => ErrorKind::Throttled,
            401 | 403 => ErrorKind::AccessDenied,
            408 | 500.. => ErrorKind::Unavailable,
            _ => ErrorKind::Protocol,
        }
    }

    /// The failure; sets the clock right where that was what S3 minded.
    pub fn into_error(self, kind: ErrorKind, clock: &Clock) -> Error {
        if self.code == "RequestTimeTooSkewed"
            && let Some(server_time) = super::server_time(&self.headers)
        {
            clock.correct(server_time);
        }
        Error::new(kind, self.what()).with_retry_after(super::retry_after(&self.headers))
    }

    /// `GET key failed (403 AccessDenied, request 4442587FB7D0A2F9): the server's own words`.
    pub fn what(&self) -> String {
        let mut said = self.status.as_u16().to_string();
        if !self.code.is_empty() {
            said = format!("{said} {}", printable(&self.code));
        }
        if !self.request_id.is_empty() {
            said = format!("{said}, request {}", printable(&self.request_id));
        }
        format!("{} failed ({said}){}", self.request, super::said(&self.code, &self.message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_refuses_credentials_is_passed_on_in_its_own_words() {
        let caller = "User: arn:aws:iam::123456789012:user/etl is not authorized to perform: sts:AssumeRole";
        let refused = ErrorMetadata::builder().code("AccessDenied").message(caller).custom(REQUEST_ID, "12-3").build();
        let error = credentials_failure(&CredentialsError::provider_error(refused));
        let expected = format!("the AWS credentials cannot be had: AccessDenied, request 12-3: {caller}");
        assert_eq!(error.to_string(), expected);
        assert_eq!(error.kind(), ErrorKind::AccessDenied);
    }
}
