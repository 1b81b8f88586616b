//! What a request to the bucket is for.

use super::super::call::{Call, Target};
use super::super::gcs::{Address, Dialect, Place};
use super::copy::vendor;
use http::Method;

/// What a request to a customer's bucket is for, in the words of neither cloud.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BucketOperation {
    /// Writes an object as a whole.
    Put,
    /// Copies an object.
    Copy,
    /// Begins a multipart upload.
    CreateUpload,
    /// Uploads a part.
    UploadPart,
    /// Makes a part of an object that there is.
    CopyPart,
    /// Makes an object of parts.
    CompleteUpload,
    /// Gives an upload up.
    AbortUpload,
    /// Lists unfinished uploads.
    ListUploads,
    /// Lists the parts of an upload.
    ListParts,
    /// Deletes an object; a fault of it also meets the single keys of a [`BucketOperation::DeleteMany`] of S3.
    Delete,
    /// Deletes up to 1,000 objects, at S3.
    DeleteMany,
    /// Lists objects.
    List,
    /// Reads an object.
    Get,
    /// Reads what an object says about itself.
    Head,
    /// Reads the lifecycle rules.
    Lifecycle,
    /// Reads how the bucket keeps old objects: its description in Google's JSON interface, S3's versioning or lock.
    Policies,
    /// Anything else.
    Other,
}

/// A request's bucket and key, decoded; the key is empty for the bucket itself. None if there is no making sense of
/// the path.
pub(super) fn place(call: &Call) -> Option<(&str, &str)> {
    match &call.target {
        Target::S3 { bucket, key } => Some((bucket, key)),
        Target::Gcs(Address { bucket, place: Place::Object(key), .. }) => Some((bucket, key)),
        Target::Gcs(Address { bucket, place: Place::Bucket, .. }) => Some((bucket, "")),
        _ => None,
    }
}

/// The key that a request is about, or the prefix where it lists.
pub(super) fn subject(call: &Call) -> &str {
    match place(call) {
        Some((_, "")) => call.parameter("prefix").unwrap_or_default(),
        Some((_, key)) => key,
        None => &call.path,
    }
}

/// What the call is for.
pub(super) fn operation(call: &Call) -> BucketOperation {
    match place(call) {
        None => BucketOperation::Other,
        Some((_, "")) => of_bucket(call),
        Some(_) => of_object(call),
    }
}

fn of_bucket(call: &Call) -> BucketOperation {
    let asks = |name: &str| call.parameter(name).is_some();
    let is_json = matches!(&call.target, Target::Gcs(Address { dialect: Dialect::Json, .. }));
    match call.method {
        Method::GET if is_json || ["versioning", "object-lock", "encryption"].into_iter().any(asks) => {
            BucketOperation::Policies
        }
        Method::GET if asks("uploads") => BucketOperation::ListUploads,
        Method::GET if asks("lifecycle") => BucketOperation::Lifecycle,
        Method::GET if call.parameter("list-type") == Some("2") => BucketOperation::List,
        Method::POST if asks("delete") => BucketOperation::DeleteMany,
        _ => BucketOperation::Other,
    }
}

fn of_object(call: &Call) -> BucketOperation {
    const SUBRESOURCES: [&str; 8] =
        ["acl", "attributes", "legal-hold", "retention", "tagging", "torrent", "versionId", "restore"];
    if SUBRESOURCES.iter().any(|name| call.parameter(name).is_some()) {
        return BucketOperation::Other;
    }
    let uploads = call.parameter("uploadId").is_some();
    let copies = call.header(&format!("{}copy-source", vendor(call.cloud))).is_some();
    match call.method {
        Method::PUT => match (uploads, copies) {
            (true, true) => BucketOperation::CopyPart,
            (true, false) => BucketOperation::UploadPart,
            (false, true) => BucketOperation::Copy,
            (false, false) => BucketOperation::Put,
        },
        Method::POST if uploads => BucketOperation::CompleteUpload,
        Method::POST if call.parameter("uploads").is_some() => BucketOperation::CreateUpload,
        Method::DELETE if uploads => BucketOperation::AbortUpload,
        Method::DELETE => BucketOperation::Delete,
        Method::GET if uploads => BucketOperation::ListParts,
        Method::GET => BucketOperation::Get,
        Method::HEAD => BucketOperation::Head,
        _ => BucketOperation::Other,
    }
}
