//! Errors as Google words them: JSON, plain text behind a media request, XML in the XML interface.

use super::super::call::{Call, Target};
use super::super::reply::Reply;
use super::super::xml::element;
use super::address::Dialect;
use http::StatusCode;
use serde_json::json;

const JSON: &str = "application/json; charset=UTF-8";
const REALM: &str = "Bearer realm=\"https://accounts.google.com/\"";

/// An error answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct GcsError {
    pub(crate) status: StatusCode,
    message: String,
    /// In place of the usual reason or code of the status.
    reason: Option<String>,
    /// The kind and name of the culprit in the request.
    location: Option<(&'static str, &'static str)>,
    challenge: Option<String>,
    /// The body is the message alone, as the JSON interface has it behind a media request.
    plain: bool,
}

impl GcsError {
    pub(crate) fn new(status: StatusCode, message: &str) -> Self {
        let message = message.to_owned();
        Self { status, message, reason: None, location: None, challenge: None, plain: false }
    }

    /// No token at all.
    pub(crate) fn anonymous() -> Self {
        let message = "Anonymous caller does not have storage.objects.get access to the Google Cloud Storage object. \
                       Permission 'storage.objects.get' denied on resource (or it may not exist).";
        let error = Self { reason: Some("required".to_owned()), ..Self::new(StatusCode::UNAUTHORIZED, message) };
        error.at("header", "Authorization").challenge(REALM)
    }

    /// A token that is unknown or over: one answer for both, as Google gives it.
    pub(crate) fn invalid_credentials() -> Self {
        let error = Self::new(StatusCode::UNAUTHORIZED, "Invalid Credentials").at("header", "Authorization");
        error.challenge(&format!("{REALM}, error=\"invalid_token\""))
    }

    /// A token that may not do this here.
    pub(crate) fn forbidden(permission: &str) -> Self {
        let message = format!(
            "e3-export@example.iam.gserviceaccount.com does not have {permission} access to the Google Cloud Storage \
             resource. Permission '{permission}' denied on resource (or it may not exist)."
        );
        Self::new(StatusCode::FORBIDDEN, &message)
    }

    pub(crate) fn not_found(message: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, message)
    }

    /// A query parameter that makes no sense.
    pub(crate) fn invalid(parameter: &'static str, value: &str) -> Self {
        let message = format!("Invalid value '{value}' for '{parameter}'.");
        Self::new(StatusCode::BAD_REQUEST, &message).at("parameter", parameter)
    }

    /// Names the culprit in the request.
    pub(crate) fn at(self, kind: &'static str, name: &'static str) -> Self {
        Self { location: Some((kind, name)), ..self }
    }

    /// Gives another reason than the usual one of the status.
    pub(crate) fn because(self, reason: &str) -> Self {
        Self { reason: Some(reason.to_owned()), ..self }
    }

    /// The error as it stands behind a media request.
    pub(crate) fn plain(self) -> Self {
        Self { plain: true, ..self }
    }

    fn challenge(self, challenge: &str) -> Self {
        Self { challenge: Some(challenge.to_owned()), ..self }
    }

    /// The answer in the words of the interface.
    pub(crate) fn reply(&self, call: &Call, dialect: Dialect) -> Reply {
        let reply = match dialect {
            Dialect::Xml => self.xml(call),
            Dialect::Json if self.plain => Reply::text(self.status, "text/html; charset=UTF-8", self.message.clone()),
            Dialect::Json => self.json(),
        };
        match &self.challenge {
            Some(challenge) => reply.header("www-authenticate", challenge),
            None => reply,
        }
    }

    fn json(&self) -> Reply {
        let reason = self.reason.as_deref().unwrap_or(usual_reason(self.status));
        let mut detail = json!({"message": self.message, "domain": "global", "reason": reason});
        if let Some((kind, name)) = self.location {
            detail["locationType"] = json!(kind);
            detail["location"] = json!(name);
        }
        let body = json!({"error": {"code": self.status.as_u16(), "message": self.message, "errors": [detail]}});
        Reply::text(self.status, JSON, body.to_string())
    }

    fn xml(&self, call: &Call) -> Reply {
        let code = self.reason.as_deref().filter(|reason| *reason != "required").unwrap_or(usual_code(self.status));
        let body = element("Code", code) + &element("Message", &self.message) + &element("Details", &call.path);
        let text = format!("<?xml version='1.0' encoding='UTF-8'?><Error>{body}</Error>");
        Reply::text(self.status, "application/xml; charset=UTF-8", text)
    }
}

/// The answer that a fault asks for. `ExpiredToken`, which is S3's word, means what Google says instead: 401.
pub(crate) fn injected(call: &Call, status: StatusCode, code: Option<&str>) -> Reply {
    let error = match (status, code) {
        (_, Some("ExpiredToken")) | (StatusCode::UNAUTHORIZED, None) => GcsError::invalid_credentials(),
        _ => {
            let message = status.canonical_reason().unwrap_or("Error");
            GcsError { reason: code.map(str::to_owned), ..GcsError::new(status, message) }
        }
    };
    let dialect = match &call.target {
        Target::Gcs(address) => address.dialect,
        _ => Dialect::Json,
    };
    error.reply(call, dialect)
}

/// The `reason` that the JSON interface usually gives with the status.
fn usual_reason(status: StatusCode) -> &'static str {
    match status.as_u16() {
        401 => "authError",
        403 => "forbidden",
        404 => "notFound",
        409 => "conflict",
        412 => "conditionNotMet",
        416 => "requestedRangeNotSatisfiable",
        429 => "rateLimitExceeded",
        500..=599 => "backendError",
        _ => "invalid",
    }
}

/// The `Code` that the XML interface usually gives with the status.
fn usual_code(status: StatusCode) -> &'static str {
    match status.as_u16() {
        401 => "AuthenticationRequired",
        403 => "AccessDenied",
        404 => "NoSuchKey",
        409 => "OperationAborted",
        412 => "PreconditionFailed",
        416 => "InvalidRange",
        429 => "SlowDown",
        503 => "ServiceUnavailable",
        500..=599 => "InternalError",
        _ => "InvalidArgument",
    }
}
