//! Signs GETs of objects (AWS Signature Version 4).

use std::time::SystemTime;

use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings, UriPathNormalizationMode,
    sign as sign_request,
};
use aws_sigv4::sign::v4::SigningParams;
use jiff::Timestamp;

use super::S3Settings;
use crate::credentials::AwsCredentials;
use crate::error::{Error, ErrorKind, Result};
use crate::net;

/// The address of an object: in the bucket's own host at AWS, in path style elsewhere.
pub(super) fn object_url(settings: &S3Settings, bucket: &str, key: &str) -> String {
    let mut url = match &settings.endpoint_url {
        Some(endpoint) => format!("{}/{bucket}/", endpoint.as_str().trim_end_matches('/')),
        None => format!("https://{bucket}.s3.{}.amazonaws.com/", settings.region),
    };
    net::push_encoded(&mut url, key, b'/');
    url
}

/// Signs a GET without a body (AWS Signature Version 4).
pub(super) fn sign(
    request: &mut http::Request<&'static str>,
    credentials: &AwsCredentials,
    region: &str,
    now: Timestamp,
) -> Result<()> {
    let internal = |what: &str| Error::new(ErrorKind::Internal, format!("cannot sign a request: {what}"));
    let identity = credentials.to_sdk().into();
    let params = SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name("s3")
        .time(SystemTime::from(now))
        .settings(settings())
        .build()
        .map_err(|cause| internal("incomplete parameters").with_cause(cause))?
        .into();
    let uri = request.uri().to_string();
    let headers = request.headers().iter();
    let headers = headers.filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
    let signable = SignableRequest::new("GET", &uri, headers, SignableBody::Bytes(b""))
        .map_err(|cause| internal("it is not signable").with_cause(cause))?;
    let (instructions, _) =
        sign_request(signable, &params).map_err(|cause| internal("it is not signable").with_cause(cause))?.into_parts();
    instructions.apply_to_request_http1x(request);
    Ok(())
}

fn settings() -> SigningSettings {
    let mut settings = SigningSettings::default();
    settings.percent_encoding_mode = PercentEncodingMode::Single;
    settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
    settings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::NetSettings;

    fn settings_with(endpoint_url: Option<&str>) -> S3Settings {
        S3Settings {
            region: "us-east-1".into(),
            endpoint_url: endpoint_url.map(|url| url.parse().unwrap()),
            net: NetSettings::default(),
        }
    }

    #[test]
    fn a_key_is_escaped_once_and_never_decoded() {
        let key = "v1/account_id=1/type=events/event=a%3Ab c/größe+";
        let expected = "v1/account_id%3D1/type%3Devents/event%3Da%253Ab%20c/gr%C3%B6%C3%9Fe%2B";
        let url = object_url(&settings_with(None), "bucket-b", key);
        assert_eq!(url, format!("https://bucket-b.s3.us-east-1.amazonaws.com/{expected}"));
        let url = object_url(&settings_with(Some("http://127.0.0.1:9")), "bucket-b", key);
        assert_eq!(url, format!("http://127.0.0.1:9/bucket-b/{expected}"));
    }
}
