//! The exchange of the token for an access token at Google Cloud Storage.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use secrecy::ExposeSecret as _;

use super::{Exchange, ExchangeSettings};
use crate::clock::Clock;
use crate::credentials::well_formed::{self, Syntax};
use crate::credentials::{GCS_BUCKET_PREFIX, GcpToken, Grant, Issuer};
use crate::error::{Error, ErrorKind, Result};
use crate::export::{AccountId, ExportLocation, printable};
use crate::net::{HttpClient, RawAnswer};
use crate::progress::Counters;

/// Google's tokens live one hour from the moment the request was sent; the answer does not say so.
/// It may be an older, cached one, which then is refused early (domain.md section 1).
const TOKEN_LIFETIME: Duration = Duration::from_secs(3600);

/// The exchange for Google Cloud: `GET /v2/export/credentials/gcp` (domain.md section 1).
pub struct GcpExchange(Exchange);

impl GcpExchange {
    /// An exchange that sets `clock` right by the API's own.
    pub fn new(settings: ExchangeSettings, client: HttpClient, clock: Arc<Clock>, counters: Arc<Counters>) -> Self {
        Self(Exchange { settings, path: "v2/export/credentials/gcp", client, clock, counters })
    }

    /// The API's answer as it came, for whoever looks at its form.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Usage`] for a token that is none; why there is no answer.
    pub(crate) async fn raw(&self) -> Result<RawAnswer> {
        self.0.raw().await
    }

    /// The location behind `gs://BUCKET`, as documented, or `gs://BUCKET/v1/account_id=ID`. Without a path the
    /// account's number is the end of the bucket's name, or the one that the user named.
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
        if bucket.contains('/') {
            return self.0.expect(ExportLocation::parse("gs", uri.trim_end_matches('/')).map_err(|_| refuse())?);
        }
        let is_known = bucket.starts_with(GCS_BUCKET_PREFIX) || self.0.settings.bucket.as_deref() == Some(bucket);
        let number = bucket.rsplit('-').next().and_then(|word| AccountId::parse(word).ok());
        let account_id = match (number, &self.0.settings.account_id) {
            (Some(number), _) if bucket.starts_with(GCS_BUCKET_PREFIX) => number,
            (_, Some(account_id)) if is_known => account_id.clone(),
            _ => return Err(refuse()),
        };
        let location = ExportLocation::of_account("gs", bucket, account_id);
        self.0.expect(ExportLocation::parse("gs", location.to_string().trim_end_matches('/')).map_err(|_| refuse())?)
    }
}

#[async_trait]
impl Issuer for GcpExchange {
    type Credentials = GcpToken;

    async fn issue(&self) -> Result<Grant<GcpToken>> {
        let (_, body) = self.0.ask(None).await?;
        let answer = self.0.document(&body)?;
        let token = self.0.secret(&answer, "/token")?;
        well_formed::check("the token", &self.0.origin(), token.expose_secret(), Syntax::Header)
            .map_err(well_formed::of_server)?;
        Ok(Grant {
            credentials: GcpToken(token),
            location: self.location(self.0.text(&answer, "/uri")?)?,
            lifetime: Some(TOKEN_LIFETIME),
        })
    }
}
