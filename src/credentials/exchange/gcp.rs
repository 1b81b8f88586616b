use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use reqwest::Client;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;

use super::{Exchange, ExchangeSettings};
use crate::clock::Clock;
use crate::credentials::well_formed::{self, Form};
use crate::credentials::{GCS_BUCKET_PREFIX, GcpToken, Grant, Issuer};
use crate::error::{Error, ErrorKind, Result};
use crate::export::{AccountId, ExportLocation, printable};
use crate::net::RawAnswer;
use crate::progress::Counters;

/// Google's tokens live one hour from the moment the request was sent; the answer does not say so.
/// It may be an older, cached one, which then is refused early (domain.md section 1).
const TOKEN_LIFETIME: Duration = Duration::from_secs(3600);

/// The exchange for Google Cloud: `GET /v2/export/credentials/gcp` (domain.md section 1).
pub struct GcpExchange(Exchange);

#[derive(Deserialize)]
struct Answer {
    token: SecretString,
    uri: String,
}

impl GcpExchange {
    /// An exchange that sets `clock` right by the API's own.
    pub fn new(settings: ExchangeSettings, client: Client, clock: Arc<Clock>, counters: Arc<Counters>) -> Self {
        Self(Exchange { settings, path: "v2/export/credentials/gcp", client, clock, counters })
    }

    /// The API's answer as it came, for whoever looks at its form.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Usage`] for a token that is none; why there is no answer.
    pub(crate) async fn raw(&self) -> Result<RawAnswer> {
        self.0.raw().await
    }

    /// The location behind `gs://optimizely-e3-ID`: the account's number is the end of the
    /// bucket's name, or the one that the user named together with another bucket.
    fn location(&self, uri: &str) -> Result<ExportLocation> {
        let refuse = || {
            Error::new(
                ErrorKind::Protocol,
                format!("the answer of /{}: `{}` is not the bucket of an export", self.0.path, printable(uri)),
            )
            .with_hint(
                "expected the form gs://optimizely-e3-DIGITS; name another with --source-bucket and --account-id",
            )
        };
        let bucket = uri.strip_prefix("gs://").map(|rest| rest.trim_end_matches('/')).ok_or_else(refuse)?;
        let settings = &self.0.settings;
        let account_id = match (bucket.strip_prefix(GCS_BUCKET_PREFIX), &settings.bucket, &settings.account_id) {
            (Some(digits), _, _) => AccountId::parse(digits).map_err(|_| refuse())?,
            (None, Some(named), Some(account_id)) if named == bucket => account_id.clone(),
            _ => return Err(refuse()),
        };
        let expected = format!("{GCS_BUCKET_PREFIX}{account_id}");
        self.0.expect(ExportLocation::of_account("gs", bucket, account_id), &expected)
    }
}

#[async_trait]
impl Issuer for GcpExchange {
    type Credentials = GcpToken;

    async fn issue(&self) -> Result<Grant<GcpToken>> {
        let (_, body) = self.0.ask(None).await?;
        let answer: Answer =
            serde_json::from_slice(&body).map_err(|_| self.0.unusable("it is not the documented JSON"))?;
        well_formed::check("the token", &self.0.origin(), answer.token.expose_secret(), Form::Header)
            .map_err(well_formed::of_server)?;
        Ok(Grant {
            location: self.location(&answer.uri)?,
            credentials: GcpToken(answer.token),
            lifetime: Some(TOKEN_LIFETIME),
        })
    }
}
