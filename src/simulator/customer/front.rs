//! Answers the calls of both protocols. Google's XML interface was made after S3's, so most is told once for both.

use super::super::account::Cloud;
use super::super::call::Call;
use super::super::gcs::{Dialect, GcsError};
use super::super::reply::{Body, Reply};
use super::super::s3::{S3Error, verify};
use super::digest::{check_signed_body, refuse};
use super::faults::BucketAction;
use super::operation::{BucketOperation, place};
use super::service::Service;
use super::store::Condition;
use super::{listing, multipart, object};
use bytes::Bytes;
use http::{Method, StatusCode};

/// A request of somebody who may ask it, to the bucket that there is.
pub(super) struct Asked<'a> {
    pub(super) service: &'a Service,
    pub(super) call: &'a Call,
    /// Empty for the bucket itself.
    pub(super) key: &'a str,
    pub(super) body: &'a Bytes,
    /// What goes wrong with it.
    pub(super) actions: &'a [BucketAction],
}

/// The sound answer to a call.
pub(super) async fn answer(
    service: &Service,
    operation: BucketOperation,
    call: &Call,
    body: &Bytes,
    actions: &[BucketAction],
) -> Reply {
    if call.cloud == Cloud::Gcs && !has_bearer(service, call) {
        return GcsError::invalid_credentials().reply(call, Dialect::Xml);
    }
    match try_answer(service, operation, call, body, actions) {
        Ok(reply) => reply,
        Err(error) => error.reply(call),
    }
}

fn has_bearer(service: &Service, call: &Call) -> bool {
    let credentials = service.credentials();
    let token = call.header("authorization").and_then(|header| header.strip_prefix("Bearer "));
    !credentials.are_expired && token == Some(credentials.bearer.as_str())
}

fn try_answer(
    service: &Service,
    operation: BucketOperation,
    call: &Call,
    body: &Bytes,
    actions: &[BucketAction],
) -> Result<Reply, S3Error> {
    let (bucket, key) = place(call).ok_or_else(|| refuse("InvalidURI", "Couldn't parse the specified URI."))?;
    if call.cloud == Cloud::S3 {
        let now = service.clock.now();
        verify(call, &service.settings.region, now, |id| service.credentials().find(id, now))?;
        check_signed_body(call, body)?;
    }
    if bucket != service.settings.bucket {
        let error = S3Error::new(StatusCode::NOT_FOUND, "NoSuchBucket", "The specified bucket does not exist");
        return Err(error.with("BucketName", bucket));
    }
    service.settings.quirks.iter().try_for_each(|quirk| quirk.check(operation, call))?;
    dispatch(operation, &Asked { service, call, key, body, actions })
}

fn dispatch(operation: BucketOperation, asked: &Asked<'_>) -> Result<Reply, S3Error> {
    let is_s3 = asked.call.cloud == Cloud::S3;
    match operation {
        BucketOperation::Put => object::put(asked),
        BucketOperation::Copy => object::copy(asked),
        BucketOperation::Get | BucketOperation::Head => object::get(asked),
        BucketOperation::Delete => object::delete(asked),
        BucketOperation::DeleteMany if is_s3 => object::delete_many(asked),
        BucketOperation::CreateUpload => multipart::create(asked),
        BucketOperation::UploadPart => multipart::upload_part(asked),
        BucketOperation::CopyPart if is_s3 => multipart::copy_part(asked),
        BucketOperation::CompleteUpload => multipart::complete(asked),
        BucketOperation::AbortUpload => multipart::abort(asked),
        BucketOperation::ListParts => multipart::list_parts(asked),
        BucketOperation::ListUploads => listing::list_uploads(asked),
        BucketOperation::List => listing::list(asked),
        BucketOperation::Lifecycle => listing::lifecycle(asked),
        BucketOperation::Policies if is_s3 => listing::s3_policies(asked),
        BucketOperation::Policies => Ok(listing::policies(asked)),
        BucketOperation::Other if asked.key.is_empty() && asked.call.method == Method::HEAD => {
            Ok(empty(StatusCode::OK))
        }
        BucketOperation::DeleteMany | BucketOperation::CopyPart | BucketOperation::Other => Err(not_implemented()),
    }
}

/// The refusal of what the simulator does not know.
pub(super) fn not_implemented() -> S3Error {
    let message = "A header or parameter you provided implies functionality that is not implemented";
    S3Error::new(StatusCode::NOT_IMPLEMENTED, "NotImplemented", message)
}

/// An answer without a body.
pub(super) fn empty(status: StatusCode) -> Reply {
    Reply::new(status, Body::Bytes(Bytes::new()))
}

/// An answer of an XML document.
pub(super) fn document(root: &str, inner: &str) -> Reply {
    let text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <{root} xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">{inner}</{root}>"
    );
    Reply::text(StatusCode::OK, "application/xml", text)
}

/// On what the write depends.
pub(super) fn condition(asked: &Asked<'_>) -> Result<Condition, S3Error> {
    if !asked.service.settings.honours_conditions {
        return Ok(Condition::None);
    }
    match asked.call.cloud {
        Cloud::S3 => match (asked.call.header("if-none-match"), asked.call.header("if-match")) {
            (None, None) => Ok(Condition::None),
            (Some("*"), None) => Ok(Condition::IfAbsent),
            (None, Some(tag)) => Ok(Condition::IfTag(tag.to_owned())),
            _ => Err(not_implemented()),
        },
        Cloud::Gcs => match asked.call.header("x-goog-if-generation-match").map(str::parse::<u64>) {
            None => Ok(Condition::None),
            Some(Ok(0)) => Ok(Condition::IfAbsent),
            Some(Ok(generation)) => Ok(Condition::IfGeneration(generation)),
            Some(Err(_)) => Err(refuse("InvalidArgument", "Invalid argument: x-goog-if-generation-match")),
        },
    }
}
