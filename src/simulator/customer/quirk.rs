//! Habits of servers that speak S3's protocol and are not S3.

use super::super::account::Cloud;
use super::super::call::Call;
use super::super::s3::S3Error;
use super::digest::refuse;
use super::front::not_implemented;
use super::operation::BucketOperation;
use http::StatusCode;
use std::fmt;
use std::str::FromStr;

/// A habit of a customer's bucket at S3's protocol, as bug reports of other tools tell of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quirk {
    /// `DeleteObjects` is answered 501: s3proxy, older gateways.
    NoDeleteMany,
    /// `DeleteObjects` needs a `Content-MD5`, whatever other checksum it has: older Ceph, MinIO and ECS.
    Md5OnDeleteMany,
    /// A write under a condition is answered 501: B2, older gateways.
    RefusesConditions,
    /// A write needs `x-amz-acl: bucket-owner-full-control`: AWS's recipe for a bucket of another account.
    OwnerAcl,
    /// Newer checksums are unknown headers, which are refused: B2 once, older gateways.
    RefusesChecksums,
    /// Every request needs `x-amz-request-payer: requester`.
    RequesterPays,
    /// All parts of an upload but the last one have the same size: R2.
    EqualParts,
}

const NAMES: [(&str, Quirk); 7] = [
    ("no-delete-many", Quirk::NoDeleteMany),
    ("md5-on-delete-many", Quirk::Md5OnDeleteMany),
    ("refuses-conditions", Quirk::RefusesConditions),
    ("owner-acl", Quirk::OwnerAcl),
    ("refuses-checksums", Quirk::RefusesChecksums),
    ("requester-pays", Quirk::RequesterPays),
    ("equal-parts", Quirk::EqualParts),
];

impl Quirk {
    /// The names of all, for the help of the command line.
    pub fn names() -> impl Iterator<Item = &'static str> {
        NAMES.into_iter().map(|(name, _)| name)
    }

    /// Refuses the request if it is against the habit.
    pub(super) fn check(self, operation: BucketOperation, call: &Call) -> Result<(), S3Error> {
        if call.cloud != Cloud::S3 {
            return Ok(());
        }
        let denied = |message| S3Error::new(StatusCode::FORBIDDEN, "AccessDenied", message);
        let is_delete_many = operation == BucketOperation::DeleteMany;
        let has_condition = ["if-match", "if-none-match"].iter().any(|name| call.header(name).is_some());
        let makes_object =
            matches!(operation, BucketOperation::Put | BucketOperation::Copy | BucketOperation::CreateUpload);
        let writes = makes_object || operation == BucketOperation::CompleteUpload;
        let broken = match self {
            Self::NoDeleteMany if is_delete_many => not_implemented(),
            Self::Md5OnDeleteMany if is_delete_many && call.header("content-md5").is_none() => {
                refuse("MissingContentMD5", "Missing required header for this request: Content-MD5.")
            }
            Self::RefusesConditions if writes && has_condition => not_implemented(),
            Self::OwnerAcl if makes_object && call.header("x-amz-acl") != Some("bucket-owner-full-control") => {
                denied("Access Denied")
            }
            Self::RefusesChecksums => {
                match call.headers.keys().map(http::HeaderName::as_str).find(|name| is_of_checksum(name)) {
                    Some(name) => {
                        refuse("InvalidArgument", &format!("Unsupported header '{name}' received for this API call."))
                    }
                    None => return Ok(()),
                }
            }
            // Lifecycle rules belong to the owner, whoever pays.
            Self::RequesterPays
                if operation != BucketOperation::Lifecycle
                    && call.header("x-amz-request-payer") != Some("requester") =>
            {
                denied("Access Denied")
            }
            _ => return Ok(()),
        };
        Err(broken)
    }
}

fn is_of_checksum(name: &str) -> bool {
    ["x-amz-checksum-", "x-amz-sdk-checksum-", "x-amz-mp-object-size"]
        .iter()
        .any(|beginning| name.starts_with(beginning))
}

impl FromStr for Quirk {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = NAMES.iter().find(|(name, _)| *name == text).map(|(_, quirk)| *quirk);
        known.ok_or_else(|| {
            format!("no quirk is called {text:?}; there are {}", Self::names().collect::<Vec<_>>().join(", "))
        })
    }
}

impl fmt::Display for Quirk {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = NAMES.iter().find(|(_, quirk)| quirk == self);
        formatter.write_str(known.map_or("", |(name, _)| name))
    }
}
