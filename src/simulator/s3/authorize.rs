//! Who asks, and whether they may: the checks of S3 in the order of S3.

use super::super::account::Cloud;
use super::super::call::Call;
use super::super::credentials::Known;
use super::super::front::Front;
use super::super::observation::Operation;
use super::S3Error;
use super::signature::{Authorization, same};
use http::StatusCode;
use jiff::{SignedDuration, Timestamp, civil::DateTime, tz::TimeZone};

/// The region of the bucket (domain.md section 2).
const REGION: &str = "us-east-1";

/// How far the clocks of client and server may be apart.
const SKEW_MAX: SignedDuration = SignedDuration::from_mins(15);

/// Query parameters that make a read another operation than the plain one.
const SUBRESOURCES: [&str; 9] =
    ["acl", "attributes", "legal-hold", "partNumber", "retention", "tagging", "torrent", "uploadId", "versionId"];

/// Checks the signature and the credentials behind it (domain.md section 2 for the expired ones).
pub(crate) fn identify(front: &Front<'_>, call: &Call) -> Result<(), S3Error> {
    verify(call, REGION, front.clock.now(), |access_key_id| front.issuer.find(access_key_id))
}

/// Checks the signature of a call to a bucket of the region; `find` tells what is known of an access key.
pub(crate) fn verify(
    call: &Call,
    region: &str,
    now: Timestamp,
    find: impl FnOnce(&str) -> Option<Known>,
) -> Result<(), S3Error> {
    let header = call.header("authorization").ok_or_else(S3Error::access_denied)?;
    let authorization = Authorization::parse(header).ok_or_else(|| {
        S3Error::new(StatusCode::BAD_REQUEST, "AuthorizationHeaderMalformed", "The authorization header is malformed.")
    })?;
    check_scope(&authorization, region)?;
    check_signed_headers(&authorization, call)?;
    let known = find(authorization.access_key_id).ok_or_else(|| {
        let message = "The AWS Access Key Id you provided does not exist in our records.";
        S3Error::new(StatusCode::FORBIDDEN, "InvalidAccessKeyId", message)
            .with("AWSAccessKeyId", authorization.access_key_id)
    })?;
    check_session(&known, call, now)?;
    check_signature(&authorization, &known, call, now)
}

/// The access key that a call says it is signed with.
pub(crate) fn access_key_id(call: &Call) -> Option<&str> {
    Authorization::parse(call.header("authorization")?).map(|authorization| authorization.access_key_id)
}

fn check_scope(authorization: &Authorization<'_>, region: &str) -> Result<(), S3Error> {
    if authorization.region == region && authorization.service == "s3" {
        return Ok(());
    }
    let message = format!(
        "The authorization header is malformed; the region '{}' is wrong; expecting '{region}'",
        authorization.region
    );
    let error = S3Error::new(StatusCode::BAD_REQUEST, "AuthorizationHeaderMalformed", &message);
    Err(error.with("Region", region))
}

/// S3 refuses a request that has a header of its own which the signature does not cover.
fn check_signed_headers(authorization: &Authorization<'_>, call: &Call) -> Result<(), S3Error> {
    let signed = |name: &str| authorization.signed_headers.contains(&name);
    let mut unsigned = call
        .headers
        .keys()
        .map(http::HeaderName::as_str)
        .filter(|name| (name.starts_with("x-amz-") || *name == "host") && !signed(name));
    if let Some(name) = unsigned.next() {
        let message = "There were headers present in the request which were not signed";
        return Err(S3Error::new(StatusCode::FORBIDDEN, "AccessDenied", message).with("HeadersNotSigned", name));
    }
    if call.header("x-amz-content-sha256").is_none() {
        let message = "Missing required header for this request: x-amz-content-sha256";
        return Err(S3Error::new(StatusCode::BAD_REQUEST, "InvalidRequest", message));
    }
    Ok(())
}

fn check_session(known: &Known, call: &Call, now: Timestamp) -> Result<(), S3Error> {
    if call.header("x-amz-security-token") != known.session_token.as_deref() {
        let message = "The provided token is malformed or otherwise invalid.";
        return Err(S3Error::new(StatusCode::BAD_REQUEST, "InvalidToken", message));
    }
    if known.expiration.is_some_and(|expiration| expiration <= now) {
        return Err(expired_token());
    }
    Ok(())
}

/// The answer to credentials whose time is over: status 400, not 403.
pub(crate) fn expired_token() -> S3Error {
    S3Error::new(StatusCode::BAD_REQUEST, "ExpiredToken", "The provided token has expired.")
}

fn check_signature(
    authorization: &Authorization<'_>,
    known: &Known,
    call: &Call,
    now: Timestamp,
) -> Result<(), S3Error> {
    let time = call.header("x-amz-date").unwrap_or_default();
    let sent = timestamp(time).ok_or_else(|| {
        let message = "AWS authentication requires a valid Date or x-amz-date header";
        S3Error::new(StatusCode::FORBIDDEN, "AccessDenied", message)
    })?;
    if now.duration_since(sent).abs() > SKEW_MAX {
        let message = "The difference between the request time and the current time is too large.";
        return Err(S3Error::new(StatusCode::FORBIDDEN, "RequestTimeTooSkewed", message)
            .with("RequestTime", time)
            .with("ServerTime", &now.to_string())
            .with("MaxAllowedSkewMilliseconds", &SKEW_MAX.as_millis().to_string()));
    }
    let expected = authorization.expected(call, &known.secret_access_key, time);
    if time.starts_with(authorization.date) && same(&expected, authorization.signature) {
        return Ok(());
    }
    let message = "The request signature we calculated does not match the signature you provided. \
                   Check your key and signing method.";
    Err(S3Error::new(StatusCode::FORBIDDEN, "SignatureDoesNotMatch", message)
        .with("AWSAccessKeyId", authorization.access_key_id))
}

/// Reads `YYYYMMDDTHHMMSSZ`.
fn timestamp(text: &str) -> Option<Timestamp> {
    let moment = DateTime::strptime("%Y%m%dT%H%M%SZ", text).ok()?;
    moment.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
}

/// Allows listings and reads below the account's folder, and nothing else.
pub(crate) fn permit(front: &Front<'_>, call: &Call, bucket: &str) -> Result<(), S3Error> {
    let folder = format!("v1/account_id={}/", front.settings.account_id);
    let plain = !SUBRESOURCES.iter().any(|name| call.parameter(name).is_some());
    let reads = matches!(call.operation, Operation::List | Operation::Get | Operation::Head);
    if front.serves(Cloud::S3)
        && reads
        && plain
        && bucket == front.bucket_name(Cloud::S3)
        && call.subject().starts_with(&folder)
    {
        Ok(())
    } else {
        Err(S3Error::access_denied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_times_are_read() {
        assert_eq!(timestamp("20261121T130509Z").unwrap().to_string(), "2026-11-21T13:05:09Z");
        assert_eq!(timestamp("2026-11-21T13:05:09Z"), None);
        assert_eq!(timestamp(""), None);
    }

    #[test]
    fn headers_of_amazon_must_be_signed() {
        let header = "AWS4-HMAC-SHA256 Credential=A/20261121/us-east-1/s3/aws4_request, \
                      SignedHeaders=host;x-amz-content-sha256, Signature=x";
        let authorization = Authorization::parse(header).unwrap();
        let check = |name: &str| {
            let request = http::Request::get("/b/k").header("x-amz-content-sha256", "x").header(name, "x");
            let call = Call::new(1, request.body(()).unwrap().into_parts().0);
            check_signed_headers(&authorization, &call).map_err(|error| error.details)
        };
        assert_eq!(check("user-agent"), Ok(()));
        let unsigned = vec![("HeadersNotSigned", "x-amz-security-token".to_owned())];
        assert_eq!(check("x-amz-security-token"), Err(unsigned));
    }
}
