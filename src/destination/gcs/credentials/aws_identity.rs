//! An identity at AWS as proof for Google: the signed request that asks AWS who its caller is.

use std::time::SystemTime;

use aws_credential_types::provider::ProvideCredentials as _;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4::SigningParams;
use secrecy::SecretString;
use serde_json::json;
use url::Url;

use super::token::Asker;
use crate::credentials::AwsSettings;
use crate::error::{Error, ErrorKind, Result};

/// The header that binds the request to one provider of one pool.
const TARGET_HEADER: &str = "x-goog-cloud-target-resource";

/// The request `GetCallerIdentity`, signed by the machine's or the environment's AWS credentials and
/// written down in the form that Google's Security Token Service takes as a token.
pub(super) async fn signed_request(verification_url: &str, audience: &str, asker: &Asker) -> Result<SecretString> {
    let settings = AwsSettings::new(None, "AWS_PROFILE", &asker.net, asker.clock.clone())?;
    let region = settings.region(true).await?.ok_or_else(|| lacking("no region is known: set AWS_REGION"))?;
    let loaded = settings.load(region.clone()).await;
    let provider = loaded.credentials_provider().ok_or_else(|| lacking("no AWS credentials were found"))?;
    let credentials = provider.provide_credentials().await;
    let credentials = credentials.map_err(|cause| lacking("the AWS credentials cannot be had").with_cause(cause))?;
    let url = verification_url.replace("{region}", region.as_ref());
    let host = Url::parse(&url).ok().and_then(|url| url.host_str().map(str::to_owned));
    let host = host.ok_or_else(|| lacking("`regional_cred_verification_url` is no address"))?;
    let identity = credentials.into();
    let params = SigningParams::builder()
        .identity(&identity)
        .region(region.as_ref())
        .name("sts")
        .time(SystemTime::from(asker.clock.now()))
        .settings(SigningSettings::default())
        .build()
        .map_err(|cause| lacking("the request cannot be signed").with_cause(cause))?
        .into();
    let given = [("host", host.as_str()), (TARGET_HEADER, audience)];
    let signable = SignableRequest::new("POST", &url, given.into_iter(), SignableBody::Bytes(b""));
    let signed = signable.and_then(|signable| sign(signable, &params));
    let signed = signed.map_err(|cause| lacking("the request cannot be signed").with_cause(cause))?;
    let (instructions, _) = signed.into_parts();
    let headers = given.into_iter().chain(instructions.headers());
    let headers: Vec<_> = headers.map(|(name, value)| json!({ "key": name, "value": value })).collect();
    let document = json!({ "url": url, "method": "POST", "headers": headers, "body": "" }).to_string();
    let mut escaped = String::new();
    crate::net::push_encoded(&mut escaped, &document, b'~');
    Ok(SecretString::from(escaped))
}

fn lacking(reason: &str) -> Error {
    Error::new(ErrorKind::AccessDenied, format!("the AWS identity of the credentials file: {reason}"))
        .with_hint("give the machine a role, or set AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_REGION")
}
