//! A service account that others may act as: Google's IAM credentials give its tokens to them.

use http::header;
use jiff::Timestamp;
use secrecy::ExposeSecret as _;
use serde::Deserialize;
use serde_json::json;
use url::Url;

use super::token::{Asker, Bearer, SCOPE};
use super::token_server::{ask, post, secret_url};
use crate::error::{Error, ErrorKind, Result};
use crate::net;

/// The life that is asked for where the file does not say; more needs a policy of the organisation.
const LIFETIME_SECONDS: u64 = 3600;

const SERVER: &str = "the IAM credentials server";

const HINT: &str = "give the caller roles/iam.serviceAccountTokenCreator (for federation also roles/iam.workloadIdentityUser) on the service account, and see that the IAM Credentials API is enabled";

/// The service account, and how it is reached.
pub(super) struct ImpersonatedAccount {
    url: Url,
    delegates: Vec<String>,
    lifetime_seconds: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AccessTokenResponse {
    access_token: String,
    expire_time: String,
}

impl ImpersonatedAccount {
    /// The account behind the `service_account_impersonation_url` of a credentials file.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] for an address that must not get a token.
    pub fn new(url: &str, delegates: Vec<String>, lifetime_seconds: Option<u64>) -> Result<Self> {
        let url = secret_url("service_account_impersonation_url", url)?;
        Ok(Self { url, delegates, lifetime_seconds: lifetime_seconds.unwrap_or(LIFETIME_SECONDS) })
    }

    /// A token of the account, given to whom `caller` belongs.
    pub async fn issue(&self, asker: &Asker, caller: &Bearer) -> Result<Bearer> {
        let document = json!({
            "delegates": self.delegates,
            "scope": [SCOPE],
            "lifetime": format!("{}s", self.lifetime_seconds),
        });
        let mut request = post(&self.url, "application/json", document.to_string())?;
        request.headers_mut().insert(header::AUTHORIZATION, net::bearer(caller.text.expose_secret())?);
        let answer: AccessTokenResponse = ask(&asker.client, request, SERVER, HINT).await?;
        let expires_at: Timestamp = answer.expire_time.parse().map_err(|_| {
            Error::new(ErrorKind::Protocol, format!("the answer of {SERVER} has no usable `expireTime`"))
        })?;
        let lifetime_seconds = u64::try_from(expires_at.duration_since(asker.clock.now()).as_secs()).unwrap_or(0);
        Ok(Bearer::new(answer.access_token, lifetime_seconds))
    }
}
