//! What refusals of S3 mean, and what to do about them.

use std::borrow::Cow;

use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

use super::S3Store;
use crate::destination::bucket::Condition;
use crate::error::{Error, ErrorKind};
use crate::export::printable;
use crate::net::{self, Refusal, SdkFailure};

/// What is asked of the bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    List,
    Get,
    Head,
    Put,
    Copy,
    Delete,
    CreateUpload,
    UploadPart,
    CompleteUpload,
    AbortUpload,
    ListUploads,
    GetLifecycle,
    GetPolicies,
}

impl Operation {
    /// The operation's name in messages: the method where that says it all, else S3's own name.
    fn name(self) -> &'static str {
        match self {
            Self::List => "LIST",
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Put => "PUT",
            Self::Copy => "COPY",
            Self::Delete => "DELETE",
            Self::CreateUpload => "CreateMultipartUpload",
            Self::UploadPart => "UploadPart",
            Self::CompleteUpload => "CompleteMultipartUpload",
            Self::AbortUpload => "AbortMultipartUpload",
            Self::ListUploads => "ListMultipartUploads",
            Self::GetLifecycle => "GetBucketLifecycleConfiguration",
            Self::GetPolicies => "read policies of",
        }
    }

    /// The rights on the bucket that the operation needs, by AWS's names.
    pub(super) fn permissions(self) -> &'static [&'static str] {
        match self {
            Self::List => &["s3:ListBucket"],
            // Without the second one, an object that is not there is a forbidden one.
            Self::Get | Self::Head => &["s3:GetObject", "s3:ListBucket"],
            Self::Put | Self::CreateUpload | Self::UploadPart | Self::CompleteUpload => &["s3:PutObject"],
            Self::Copy => &["s3:GetObject", "s3:PutObject"],
            Self::Delete => &["s3:DeleteObject"],
            Self::AbortUpload => &["s3:AbortMultipartUpload"],
            Self::ListUploads => &["s3:ListBucketMultipartUploads"],
            Self::GetLifecycle => &["s3:GetLifecycleConfiguration"],
            Self::GetPolicies => &["s3:GetBucketVersioning", "s3:GetBucketObjectLockConfiguration"],
        }
    }

    /// The further rights where the request writes tags.
    fn tag_permissions(self) -> &'static [&'static str] {
        match self {
            Self::Put | Self::CreateUpload => &["s3:PutObjectTagging"],
            Self::Copy => &["s3:GetObjectTagging", "s3:PutObjectTagging"],
            _ => &[],
        }
    }

    /// The rights on the key where objects are encrypted by KMS. A multipart upload reads its own parts.
    fn key_permissions(self) -> &'static [&'static str] {
        match self {
            Self::Get | Self::Head => &["kms:Decrypt"],
            Self::Put => &["kms:GenerateDataKey"],
            Self::Copy | Self::CreateUpload | Self::UploadPart | Self::CompleteUpload => {
                &["kms:GenerateDataKey", "kms:Decrypt"]
            }
            _ => &[],
        }
    }
}

/// What refusals are told apart by: the answer's status and the error's code, which may be empty.
#[derive(Clone, Copy, Debug)]
pub(super) struct StatusAndCode<'a> {
    status: Option<u16>,
    code: &'a str,
}

impl<'a, E: ProvideErrorMetadata> From<&'a SdkError<E, HttpResponse>> for StatusAndCode<'a> {
    fn from(error: &'a SdkError<E, HttpResponse>) -> Self {
        let status = error.raw_response().map(|raw| raw.status().as_u16());
        Self { status, code: error.code().unwrap_or_default() }
    }
}

impl<'a> From<&'a Refusal> for StatusAndCode<'a> {
    fn from(refusal: &'a Refusal) -> Self {
        Self { status: Some(refusal.status.as_u16()), code: &refusal.code }
    }
}

/// Whether an answer says only that the condition does not hold.
pub(super) fn is_refused_condition<'a>(answer: impl Into<StatusAndCode<'a>>, condition: Condition<'_>) -> bool {
    let StatusAndCode { status, code } = answer.into();
    match condition {
        Condition::None => false,
        Condition::IfAbsent => status == Some(412),
        Condition::IfMatch(_) => status == Some(412) || status == Some(404) && code == "NoSuchKey",
    }
}

/// Whether an answer says that the server does not know the request, or what it demands.
pub(super) fn is_unknown_request<'a>(answer: impl Into<StatusAndCode<'a>>) -> bool {
    let StatusAndCode { status, code } = answer.into();
    matches!(status, Some(405 | 501)) || matches!(code, "NotImplemented" | "MethodNotAllowed")
}

/// Whether an answer says that there is no such object.
pub(super) fn is_no_such_key<'a>(answer: impl Into<StatusAndCode<'a>>) -> bool {
    let StatusAndCode { status, code } = answer.into();
    // An answer to a HEAD has no code.
    status == Some(404) && matches!(code, "" | "NoSuchKey" | "NotFound")
}

impl S3Store {
    /// `PUT s3://bucket/key`.
    pub(super) fn request(&self, operation: Operation, key: &str) -> String {
        format!("{} {}/{}", operation.name(), self.url, printable(key))
    }

    /// The failure behind a request that has no result.
    pub(super) fn failure<E>(&self, operation: Operation, key: &str, error: &SdkError<E, HttpResponse>) -> Error
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        match SdkFailure::of(error, &self.request(operation, key)) {
            SdkFailure::Refused(refusal) => self.refused(operation, *refusal),
            SdkFailure::Untrusted(reason) => self.untrusted(operation, key, &reason),
            SdkFailure::NoCredentials(error) => self.no_credentials(error),
            SdkFailure::Unanswered(error) => error,
        }
    }

    /// The failure of a request that nobody gave keys for, with what to do about it.
    pub(super) fn no_credentials(&self, error: Error) -> Error {
        if error.kind() == ErrorKind::Unavailable || error.hint().is_some() {
            return error;
        }
        error.with_hint(self.sessions.hint())
    }

    /// The failure of an answer that arrived and is not one of S3's.
    pub(super) fn untrusted(&self, operation: Operation, key: &str, reason: &str) -> Error {
        if matches!(operation, Operation::List | Operation::ListUploads) {
            return net::untrusted_listing(&format!("{}/{key}", self.url), reason);
        }
        Error::new(
            ErrorKind::Protocol,
            format!("the answer to {} is not believed: {reason}", self.request(operation, key)),
        )
        .with_hint("check --dest-endpoint-url, and whether a proxy answers instead of the bucket")
    }

    /// The failure of bytes that arrived in the bucket as others.
    pub(super) fn altered(&self, operation: Operation, key: &str, checksum: &str) -> Error {
        let what = format!(
            "{}: the bucket has another {checksum} than the bytes that were sent",
            self.request(operation, key)
        );
        Error::new(ErrorKind::ChecksumMismatch, what)
            .with_hint("the network or a machine on the way changes bytes; run again")
    }

    pub(super) fn refused(&self, operation: Operation, refusal: Refusal) -> Error {
        let kind = kind(operation, &refusal, self.sessions.region());
        let hint = self.hint(operation, kind, &refusal);
        let error = refusal.into_error(kind, &self.clock);
        match hint {
            Some(hint) => error.with_hint(hint),
            None => error,
        }
    }

    /// What the refused request needs. AWS names the one right that is missing, other servers do not.
    fn missing_right(&self, operation: Operation, refusal: &Refusal) -> String {
        if let Some(right) = named_right(&refusal.message) {
            let place = if right.starts_with("kms:") { "key" } else { "bucket" };
            return format!("the credentials need {right} on the {place}");
        }
        let settings = &self.settings;
        let tags = if settings.tags.is_empty() { &[] } else { operation.tag_permissions() };
        let rights = [operation.permissions(), tags].concat();
        let is_encrypted = settings.sse.as_deref().is_some_and(|sse| sse.starts_with("aws:kms"));
        let of_key = if is_encrypted || settings.sse_kms_key_id.is_some() { operation.key_permissions() } else { &[] };
        let needed = format!("the credentials need {} on the bucket", rights.join(" and "));
        if of_key.is_empty() { needed } else { format!("{needed}, and {} on the key", of_key.join(" and ")) }
    }

    fn hint(&self, operation: Operation, kind: ErrorKind, refusal: &Refusal) -> Option<Cow<'static, str>> {
        let code = refusal.code.as_str();
        if is_other_region(refusal, self.sessions.region()) {
            return Some(match true_region(refusal) {
                Some(region) => format!("the bucket lies in {}; name it with --dest-region", printable(&region)).into(),
                None => "the bucket lies in another region; name it with --dest-region".into(),
            });
        }
        match kind {
            ErrorKind::Usage if matches!(code, "NoSuchBucket" | "InvalidBucketName") => {
                Some("check the bucket's name and --dest-endpoint-url".into())
            }
            ErrorKind::Usage if code.starts_with("KMS.") => {
                Some("check --sse-kms-key-id, and that the key is enabled in the bucket's region".into())
            }
            ErrorKind::Usage if code == "InvalidTag" => Some("S3 refuses the tags that data objects are to get".into()),
            ErrorKind::Usage => Some("check --storage-class".into()),
            ErrorKind::CredentialsRefused => Some(
                "renew the login (`aws sso login`, a new session token), or name another profile with --dest-profile"
                    .into(),
            ),
            ErrorKind::AccessDenied if code == "SignatureDoesNotMatch" => {
                Some("the secret key does not fit its access key, or a proxy changes requests".into())
            }
            // Rights do not help against it; its words name the kind of the policy.
            ErrorKind::AccessDenied if refusal.message.contains("explicit deny") => Some(
                "a policy forbids it whatever rights the credentials have; who keeps the policy can tell what it demands, \
                 such as a certain encryption (--sse), storage class or network"
                    .into(),
            ),
            ErrorKind::AccessDenied => Some(self.missing_right(operation, refusal).into()),
            ErrorKind::Unreadable if code == "InvalidObjectState" && refusal.request.contains(SIDE_FOLDER) => Some(
                "what runs need of the mirror is archived: restore everything below _e3sync/, and leave it out of the lifecycle rule"
                    .into(),
            ),
            ErrorKind::Unreadable if code == "InvalidObjectState" => {
                Some("the object is archived: restore it, and keep the mirror's data in a class that can be read at once".into())
            }
            ErrorKind::Unreadable => Some("the credentials need kms:Decrypt on the key, which must be enabled".into()),
            ErrorKind::DestinationFull => Some("make room in the bucket, or have its quota raised".into()),
            ErrorKind::Protocol if refuses_checksum(&refusal.message) => Some(
                "the server knows none of S3's newer checksums: with AWS_REQUEST_CHECKSUM_CALCULATION=when_required, or \
                 request_checksum_calculation in the profile, uploads are verified by their MD5"
                    .into(),
            ),
            ErrorKind::Protocol => Some("check --dest-endpoint-url".into()),
            _ => None,
        }
    }
}

/// What stands in the keys of this tool's own objects.
const SIDE_FOLDER: &str = "/_e3sync/";

/// Whether a server's words are about a header of the newer checksums.
fn refuses_checksum(message: &str) -> bool {
    ["x-amz-checksum-", "x-amz-sdk-checksum-"].iter().any(|header| message.contains(header))
}

/// The meaning of S3's documented codes; the status decides where there is no code.
fn kind(operation: Operation, refusal: &Refusal, region: &str) -> ErrorKind {
    if is_other_region(refusal, region) {
        return ErrorKind::Usage;
    }
    if let Some(kind) = refusal.kind_by_code() {
        return kind;
    }
    if operation == Operation::Get && refusal.is_of_unreadable() {
        return ErrorKind::Unreadable;
    }
    match (refusal.code.as_str(), refusal.status.as_u16()) {
        ("NoSuchBucket" | "InvalidBucketName" | "InvalidStorageClass" | "InvalidTag", _) => ErrorKind::Usage,
        (code, _) if code.starts_with("KMS.") => ErrorKind::Usage,
        // Parts that are gone leave an upload as useless as if it were gone itself.
        ("NoSuchUpload" | "InvalidPart", _) => ErrorKind::UploadLost,
        ("BadDigest" | "InvalidDigest" | "XAmzContentSHA256Mismatch" | "XAmzContentChecksumMismatch", _) => {
            ErrorKind::ChecksumMismatch
        }
        // Two writers at once: neither has won yet.
        ("ConditionalRequestConflict" | "OperationAborted", _) => ErrorKind::Unavailable,
        ("IncompleteBody", _) => ErrorKind::Unavailable,
        (code, _) if code.contains("Quota") || code.contains("StorageFull") => ErrorKind::DestinationFull,
        (_, 507) => ErrorKind::DestinationFull,
        // The server lacks the operation; no repetition mends that.
        ("NotImplemented", _) | (_, 501) => ErrorKind::Protocol,
        // The answer to a HEAD has no body to say that a token is expired.
        ("" | "BadRequest", 400) if operation == Operation::Head => ErrorKind::CredentialsRefused,
        _ => refusal.kind_by_status(),
    }
}

/// Whether the bucket answers from another region than the one that the request was for.
fn is_other_region(refusal: &Refusal, region: &str) -> bool {
    match refusal.code.as_str() {
        "PermanentRedirect"
        | "TemporaryRedirect"
        | "AuthorizationHeaderMalformed"
        | "IllegalLocationConstraintException" => true,
        "" | "BadRequest" => {
            let has_other = named_region(refusal).is_some_and(|named| named != region);
            matches!(refusal.status.as_u16(), 301 | 307) || refusal.status.as_u16() == 400 && has_other
        }
        _ => false,
    }
}

/// The region that the server names: in a header, or at the end of `expecting 'eu-west-1'`.
fn true_region(refusal: &Refusal) -> Option<String> {
    if let Some(named) = named_region(refusal) {
        return Some(named.to_owned());
    }
    let (_, rest) = refusal.message.split_once("expecting '")?;
    rest.split_once('\'').map(|(region, _)| region.to_owned())
}

/// The right in `User: ... is not authorized to perform: s3:PutObject on resource: ...`.
fn named_right(message: &str) -> Option<&str> {
    let (_, rest) = message.split_once("not authorized to perform: ")?;
    let right = rest.split([' ', ',']).next()?;
    let is_right = right.len() <= 100 && right.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b':');
    (is_right && right.contains(':')).then_some(right)
}

fn named_region(refusal: &Refusal) -> Option<&str> {
    refusal.headers.get("x-amz-bucket-region")?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, StatusCode};

    use super::*;

    fn refusal(status: u16, code: &str) -> Refusal {
        Refusal {
            request: "PUT s3://bucket/key".to_owned(),
            status: StatusCode::from_u16(status).unwrap(),
            code: code.to_owned(),
            message: String::new(),
            request_id: String::new(),
            headers: HeaderMap::new(),
        }
    }

    #[test]
    fn codes_and_statuses_mean_what_s3_documents() {
        for (status, code, expected) in [
            (404, "NoSuchBucket", ErrorKind::Usage),
            (301, "PermanentRedirect", ErrorKind::Usage),
            (307, "TemporaryRedirect", ErrorKind::Usage),
            (400, "AuthorizationHeaderMalformed", ErrorKind::Usage),
            (400, "IllegalLocationConstraintException", ErrorKind::Usage),
            (400, "InvalidStorageClass", ErrorKind::Usage),
            (400, "KMS.DisabledException", ErrorKind::Usage),
            (301, "", ErrorKind::Usage),
            (403, "AccessDenied", ErrorKind::AccessDenied),
            (403, "SignatureDoesNotMatch", ErrorKind::AccessDenied),
            (403, "", ErrorKind::AccessDenied),
            (400, "ExpiredToken", ErrorKind::CredentialsRefused),
            (403, "InvalidAccessKeyId", ErrorKind::CredentialsRefused),
            (503, "SlowDown", ErrorKind::Throttled),
            (503, "", ErrorKind::Throttled),
            (429, "", ErrorKind::Throttled),
            (500, "InternalError", ErrorKind::Unavailable),
            (200, "InternalError", ErrorKind::Unavailable),
            (502, "", ErrorKind::Unavailable),
            (409, "ConditionalRequestConflict", ErrorKind::Unavailable),
            (403, "RequestTimeTooSkewed", ErrorKind::Unavailable),
            (400, "RequestTimeout", ErrorKind::Unavailable),
            (400, "BadDigest", ErrorKind::ChecksumMismatch),
            (400, "XAmzContentSHA256Mismatch", ErrorKind::ChecksumMismatch),
            (400, "XAmzContentChecksumMismatch", ErrorKind::ChecksumMismatch),
            (507, "", ErrorKind::DestinationFull),
            (400, "XMinioAdminBucketQuotaExceeded", ErrorKind::DestinationFull),
            (507, "XMinioStorageFull", ErrorKind::DestinationFull),
            (404, "NoSuchUpload", ErrorKind::UploadLost),
            (400, "InvalidPart", ErrorKind::UploadLost),
            (501, "NotImplemented", ErrorKind::Protocol),
            (400, "InvalidArgument", ErrorKind::Protocol),
            (418, "", ErrorKind::Protocol),
        ] {
            assert_eq!(kind(Operation::Put, &refusal(status, code), "us-east-1"), expected, "{status} {code}");
        }
    }

    #[test]
    fn a_refusal_without_a_body_is_told_by_what_its_headers_have() {
        let mut bare = refusal(400, "");
        assert_eq!(kind(Operation::Head, &bare, "us-east-1"), ErrorKind::CredentialsRefused);
        assert_eq!(kind(Operation::Put, &bare, "us-east-1"), ErrorKind::Protocol);
        bare.headers.insert("x-amz-bucket-region", "eu-west-1".parse().unwrap());
        assert_eq!(kind(Operation::Head, &bare, "us-east-1"), ErrorKind::Usage);
        assert_eq!(kind(Operation::Head, &bare, "eu-west-1"), ErrorKind::CredentialsRefused);
    }

    #[test]
    fn the_right_that_aws_names_is_read_out_of_its_message() {
        let said = "User: arn:aws:iam::1:user/a is not authorized to perform: kms:GenerateDataKey on resource: x";
        assert_eq!(named_right(said), Some("kms:GenerateDataKey"));
        for other in ["Access Denied", "not authorized to perform: ", "not authorized to perform: \u{1b}[31m:x y"] {
            assert_eq!(named_right(other), None, "{other}");
        }
    }

    #[test]
    fn the_bucket_s_region_is_read_from_the_header_or_the_message() {
        let mut told = refusal(400, "AuthorizationHeaderMalformed");
        assert_eq!(true_region(&told), None);
        told.message = "the region 'us-east-1' is wrong; expecting 'eu-west-1'".to_owned();
        assert_eq!(true_region(&told).as_deref(), Some("eu-west-1"));
        told.headers.insert("x-amz-bucket-region", "eu-north-1".parse().unwrap());
        assert_eq!(true_region(&told).as_deref(), Some("eu-north-1"));
    }
}
