//! Runs `auth`: exchanges the token and prints temporary credentials in the form of another tool.

use std::time::Duration;

use e3sync::credentials::{AwsCredentials, GcpToken, Grant};
use e3sync::error::{Error, ErrorKind, Result};
use jiff::{SignedDuration, Timestamp};
use secrecy::ExposeSecret as _;
use serde_json::json;

use super::{Outcome, success};
use crate::cli::args::{AuthArgs, AuthFormat, SourceArg};
use crate::cli::decide::{self, Present};
use crate::cli::output;
use crate::cli::render::text::{shell_quoted, shell_word};

/// Runs `e3sync auth`: the one command whose very purpose is to print secrets.
pub async fn run(arguments: AuthArgs) -> Outcome {
    let present = Present::read(None)?;
    let settings = decide::source(&arguments.source)?;
    if arguments.source.source == SourceArg::Gcs {
        let grant = settings.issue_for_gcs(&present.clock).await?;
        let ends = grant.lifetime.map(|lifetime| end(present.clock.now(), lifetime));
        output::line(google_text(&grant, ends, arguments.format)?);
    } else {
        let grant = settings.issue_for_s3(&present.clock).await?;
        let ends = grant.lifetime.map(|lifetime| end(present.clock.now(), lifetime));
        output::line(text(&grant, ends, arguments.format));
    }
    success()
}

/// A token for Google Cloud Storage in the forms that make sense for one.
fn google_text(grant: &Grant<GcpToken>, ends: Option<Timestamp>, format: AuthFormat) -> Result<String> {
    let token = grant.credentials.0.expose_secret();
    let path = grant.location.to_string();
    // The end is an estimate: the vendor's answer has none.
    let expiration = ends.map(|ends| format!("{ends:.0}"));
    match format {
        AuthFormat::Json => Ok(json!({ "token": token, "expiration": expiration, "uri": path }).to_string()),
        AuthFormat::Env => Ok(format!(
            "export CLOUDSDK_AUTH_ACCESS_TOKEN={}\nexport GCS_BASE_PATH={}",
            shell_quoted(token),
            shell_quoted(&path)
        )),
        AuthFormat::Dotenv => {
            Ok(format!("CLOUDSDK_AUTH_ACCESS_TOKEN={}\nGCS_BASE_PATH={}", shell_word(token), shell_word(&path)))
        }
        AuthFormat::CredentialProcess => {
            Err(Error::new(ErrorKind::Usage, "credential-process is a form of AWS tools only")
                .with_hint("for Google Cloud use --format env, dotenv or json"))
        }
    }
}

fn end(now: Timestamp, lifetime: Duration) -> Timestamp {
    let lifetime = SignedDuration::try_from(lifetime).unwrap_or(SignedDuration::ZERO);
    now.saturating_add(lifetime).unwrap_or(now)
}

fn text(grant: &Grant<AwsCredentials>, ends: Option<Timestamp>, format: AuthFormat) -> String {
    let credentials = &grant.credentials;
    let secret = credentials.secret_access_key.expose_secret();
    let token = credentials.session_token.as_ref().map(|token| token.expose_secret());
    let expiration = ends.map(|ends| format!("{ends:.0}"));
    match format {
        AuthFormat::Json => json!({
            "accessKeyId": credentials.access_key_id, "secretAccessKey": secret, "sessionToken": token,
            "expiration": expiration, "s3Path": grant.location.to_string(),
        })
        .to_string(),
        AuthFormat::CredentialProcess => json!({
            "Version": 1, "AccessKeyId": credentials.access_key_id, "SecretAccessKey": secret,
            "SessionToken": token, "Expiration": expiration,
        })
        .to_string(),
        AuthFormat::Env => variables(grant, secret, token, expiration)
            .map(|(name, value)| format!("export {name}={}", shell_quoted(&value)))
            .collect::<Vec<_>>()
            .join("\n"),
        AuthFormat::Dotenv => variables(grant, secret, token, expiration)
            // An ordinary value stands bare: `docker run --env-file` would take quotes for a part of it.
            .map(|(name, value)| format!("{name}={}", shell_word(&value)))
            .collect::<Vec<_>>()
            .join("\n"),
    }
}

/// The variables that AWS tools read, and the two that the vendor's own tool sets besides.
fn variables(
    grant: &Grant<AwsCredentials>,
    secret: &str,
    token: Option<&str>,
    expiration: Option<String>,
) -> impl Iterator<Item = (&'static str, String)> {
    [
        ("AWS_ACCESS_KEY_ID", Some(grant.credentials.access_key_id.clone())),
        ("AWS_SECRET_ACCESS_KEY", Some(secret.to_owned())),
        ("AWS_SESSION_TOKEN", token.map(str::to_owned)),
        ("AWS_SESSION_EXPIRATION", expiration),
        ("S3_BASE_PATH", Some(grant.location.to_string())),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name, value?)))
}
