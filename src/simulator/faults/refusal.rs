//! Error answers in a cloud's own words about what cannot be used as it is.

use super::super::call::{Call, Target};
use super::super::gcs::{Dialect, GcsError};
use super::super::reply::Reply;
use super::super::s3::S3Error;
use http::StatusCode;

/// Why an object or a bucket cannot be used as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The object is archived: S3's `InvalidObjectState`.
    Archived,
    /// The object's key at KMS is disabled.
    KmsDisabled,
    /// The object's key at KMS may not be used by the caller.
    KmsDenied,
    /// Whoever reads the bucket pays, and the request names no project for that; with one it takes its course.
    RequesterPays,
}

impl Refusal {
    /// Whether the call meets it at all.
    pub(super) fn concerns(self, call: &Call) -> bool {
        call.target != Target::Exchange && (self != Self::RequesterPays || call.user_project().is_none())
    }
}

/// The answer in the words of the cloud that is asked.
pub(crate) fn reply(refusal: Refusal, call: &Call) -> Reply {
    let Target::Gcs(address) = &call.target else { return s3(refusal).reply(call) };
    let error = gcs(refusal);
    let is_media = address.dialect == Dialect::Json && address.wants_media(&call.query);
    if is_media { error.plain().reply(call, address.dialect) } else { error.reply(call, address.dialect) }
}

fn s3(refusal: Refusal) -> S3Error {
    const KEY: &str = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
    match refusal {
        Refusal::Archived => {
            let message = "The operation is not valid for the object's storage class";
            S3Error::new(StatusCode::FORBIDDEN, "InvalidObjectState", message).with("StorageClass", "GLACIER")
        }
        Refusal::KmsDisabled => {
            S3Error::new(StatusCode::BAD_REQUEST, "KMS.DisabledException", &format!("{KEY} is disabled."))
        }
        Refusal::KmsDenied => {
            let message = format!(
                "User: arn:aws:sts::111122223333:assumed-role/e3-export/customer is not authorized to perform: \
                 kms:Decrypt on resource: {KEY} because no resource-based policy allows the kms:Decrypt action"
            );
            S3Error::new(StatusCode::FORBIDDEN, "AccessDenied", &message)
        }
        Refusal::RequesterPays => S3Error::access_denied(),
    }
}

fn gcs(refusal: Refusal) -> GcsError {
    match refusal {
        // Google reads archived objects like all others; only their key can be in the way.
        Refusal::Archived | Refusal::KmsDisabled => {
            let message = "The Cloud KMS key that protects the object is disabled or destroyed.";
            GcsError::new(StatusCode::BAD_REQUEST, message).because("cloudKmsDisabledKey")
        }
        Refusal::KmsDenied => {
            let message = "Permission denied on Cloud KMS key. Please ensure that your Cloud Storage service account \
                           has been authorized to use this key.";
            GcsError::new(StatusCode::FORBIDDEN, message)
        }
        Refusal::RequesterPays => {
            let message = "Bucket is a requester pays bucket but no user project provided.";
            GcsError::new(StatusCode::BAD_REQUEST, message).because("required")
        }
    }
}
