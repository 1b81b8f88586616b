//! Errors as S3 words them.

use super::super::call::Call;
use super::super::reply::Reply;
use super::super::xml::element;
use http::StatusCode;

/// An error answer: status, code and message of S3, and further elements of its body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct S3Error {
    pub(crate) status: StatusCode,
    pub(crate) code: String,
    pub(crate) message: String,
    pub(crate) details: Vec<(&'static str, String)>,
}

impl S3Error {
    pub(crate) fn new(status: StatusCode, code: &str, message: &str) -> Self {
        Self { status, code: code.to_owned(), message: message.to_owned(), details: Vec::new() }
    }

    /// What S3 says to everything that a policy does not allow.
    pub(crate) fn access_denied() -> Self {
        Self::new(StatusCode::FORBIDDEN, "AccessDenied", "Access Denied")
    }

    /// Adds an element to the body.
    pub(crate) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.details.push((name, value.to_owned()));
        self
    }

    /// The answer with its XML body.
    pub(crate) fn reply(&self, call: &Call) -> Reply {
        let mut body = element("Code", &self.code) + &element("Message", &self.message);
        for (name, value) in &self.details {
            body += &element(name, value);
        }
        body += &element("Resource", &call.path);
        body += &element("RequestId", &super::request_id(call));
        let text = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error>{body}</Error>");
        Reply::text(self.status, "application/xml", text)
    }
}

/// The code that S3 usually gives with the status.
pub(crate) fn usual_code(status: StatusCode) -> &'static str {
    match status.as_u16() {
        400 => "InvalidRequest",
        403 => "AccessDenied",
        404 => "NoSuchKey",
        409 => "OperationAborted",
        412 => "PreconditionFailed",
        416 => "InvalidRange",
        429 => "TooManyRequests",
        500 => "InternalError",
        503 => "SlowDown",
        _ => "UnexpectedError",
    }
}
