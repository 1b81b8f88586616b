//! The Authentication API: a token becomes temporary credentials (domain.md section 1).

use super::account::Cloud;
use super::call::Call;
use super::credentials::Issuer;
use super::front::Front;
use super::reply::Reply;
use super::seed::derive_uuid;
use super::settings::{S3Path, Settings};
use http::{Method, StatusCode};
use serde_json::json;
use std::time::Duration;

const JSON: &str = "application/json; charset=utf-8";
const HOUR: Duration = Duration::from_secs(3600);

/// The answer to a call below `/v2/`.
pub(crate) fn answer(front: &Front<'_>, call: &Call) -> Reply {
    let refused = |status: StatusCode, message| error(front.settings, call.number, status, code(status), message);
    if !["/v2/export/credentials", "/v2/export/credentials/gcp"].contains(&call.path.as_str()) {
        return refused(StatusCode::NOT_FOUND, "no such resource");
    }
    if call.method != Method::GET {
        return refused(StatusCode::METHOD_NOT_ALLOWED, "only GET");
    }
    if !authorised(front, call) {
        return refused(StatusCode::UNAUTHORIZED, "The supplied credentials are invalid or expired.");
    }
    if !front.serves(call.cloud) {
        let status = StatusCode::from_u16(front.settings.unserved_status).unwrap_or(StatusCode::NOT_FOUND);
        return refused(status, "The export is not available for this account in the requested cloud.");
    }
    match (call.cloud, duration(call.parameter("duration"))) {
        (Cloud::Gcs, _) => bearer(front.settings, front.issuer),
        (Cloud::S3, Some(asked)) => credentials(front.settings, front.issuer, asked),
        (Cloud::S3, None) => refused(StatusCode::BAD_REQUEST, "duration must be between 15m and 60m, or 1h"),
    }
}

fn code(status: StatusCode) -> &'static str {
    match status.as_u16() {
        400 => "bad_request",
        401 => "unauthorized",
        403 => "forbidden",
        404 => "not_found",
        405 => "not_allowed",
        _ => "unexpected",
    }
}

/// The documented error body. `uuid` is the vendor's support reference.
pub(crate) fn error(settings: &Settings, number: u64, status: StatusCode, code: &str, message: &str) -> Reply {
    let uuid = derive_uuid(settings.seed, &["exchange error", &number.to_string()]);
    let body = json!({"code": code, "message": message, "messages": {}, "uuid": uuid});
    Reply::text(status, JSON, body.to_string())
}

/// By the personal token, or by an access token of the OAuth server.
fn authorised(front: &Front<'_>, call: &Call) -> bool {
    let sent = call.header("authorization").and_then(|value| value.strip_prefix("Bearer "));
    sent.is_some_and(|sent| front.issuer.token().as_deref() == Some(sent) || front.oauth.knows(sent))
}

fn credentials(settings: &Settings, issuer: &Issuer, asked: Duration) -> Reply {
    let issued = issuer.issue(asked);
    let body = json!({
        "credentials": {
            "accessKeyId": issued.key.access_key_id,
            "secretAccessKey": issued.key.secret_access_key,
            "sessionToken": issued.session_token,
            "expiration": settings.expiration_form.write(issued.expiration),
        },
        "s3Path": s3_path(settings),
    });
    Reply::text(StatusCode::OK, JSON, body.to_string())
}

/// The answer for Google Cloud has no expiry (domain.md section 1).
fn bearer(settings: &Settings, issuer: &Issuer) -> Reply {
    let bucket = settings.bucket_name(Cloud::Gcs);
    let uri = settings.gcp_uri.clone().unwrap_or_else(|| format!("gs://{bucket}"));
    let body = json!({"token": issuer.issue_bearer(), "uri": uri});
    Reply::text(StatusCode::OK, JSON, body.to_string())
}

fn s3_path(settings: &Settings) -> String {
    let (bucket, account) = (settings.bucket_name(Cloud::S3), &settings.account_id);
    match &settings.s3_path {
        S3Path::Plain => format!("s3://{bucket}/v1/account_id={account}"),
        S3Path::TrailingSlash => format!("s3://{bucket}/v1/account_id={account}/"),
        S3Path::Verbatim(path) => path.clone(),
    }
}

/// `15m` to `60m` or `1h`, the letter in either case; one hour if there is none.
fn duration(asked: Option<&str>) -> Option<Duration> {
    let Some(asked) = asked else {
        return Some(HOUR);
    };
    let (digits, unit) = asked.split_at_checked(asked.len().checked_sub(1)?)?;
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number: u64 = digits.parse().ok()?;
    match (number, unit) {
        (15..=60, "m" | "M") => Some(Duration::from_secs(60 * number)),
        (1, "h" | "H") => Some(HOUR),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_those_documented() {
        let minutes = |text| duration(Some(text)).map(|duration| duration.as_secs() / 60);
        for (text, expected) in [("15m", 15), ("60M", 60), ("1h", 60), ("1H", 60), ("45m", 45)] {
            assert_eq!(minutes(text), Some(expected), "{text}");
        }
        for text in ["", "m", "14m", "61m", "2h", "+15m", "15", "15s", "1½", "h"] {
            assert_eq!(minutes(text), None, "{text}");
        }
        assert_eq!(duration(None), Some(HOUR));
    }
}
