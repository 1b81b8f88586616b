//! Workload and workforce identity federation: another provider's token is exchanged for one of
//! Google's (RFC 8693).

use http::header;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::json;
use url::Url;

use super::impersonation::ImpersonatedAccount;
use super::subject_token::{SubjectSource, SubjectTokenSource};
use super::token::{Asker, Bearer, SCOPE};
use super::token_server::{TokenAnswer, ask, basic, post_form, secret_url};
use crate::error::Result;

/// What the token is for that is only shown to act as a service account.
const ACTING_SCOPE: &str = "https://www.googleapis.com/auth/iam";

const SERVER: &str = "Google's Security Token Service";

const HINT: &str = "check the pool's provider: its issuer, its allowed audiences and its attribute condition, and that the provider's own token is fresh";

/// The file of the kind `external_account`.
#[derive(Deserialize)]
pub(super) struct FederationFile {
    audience: String,
    subject_token_type: String,
    token_url: String,
    credential_source: SubjectSource,
    service_account_impersonation_url: Option<String>,
    #[serde(default)]
    service_account_impersonation: ImpersonationOptions,
    workforce_pool_user_project: Option<String>,
    client_id: Option<String>,
    client_secret: Option<SecretString>,
}

#[derive(Default, Deserialize)]
struct ImpersonationOptions {
    token_lifetime_seconds: Option<u64>,
}

/// An identity of another provider's that Google trusts.
pub(super) struct Federation {
    audience: String,
    subject_token_type: String,
    token_url: Url,
    source: SubjectTokenSource,
    account: Option<ImpersonatedAccount>,
    user_project: Option<String>,
    client: Option<(String, SecretString)>,
}

impl Federation {
    /// The identity that a file describes; it may run a program only where `runs_programs`.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Usage`] for addresses that must not get a token, and for sources that are not supported.
    pub fn new(file: FederationFile, runs_programs: bool) -> Result<Self> {
        let lifetime_seconds = file.service_account_impersonation.token_lifetime_seconds;
        let account = file.service_account_impersonation_url;
        let account = account.map(|url| ImpersonatedAccount::new(&url, Vec::new(), lifetime_seconds)).transpose()?;
        Ok(Self {
            token_url: secret_url("token_url", &file.token_url)?,
            source: SubjectTokenSource::new(
                file.credential_source,
                &file.audience,
                &file.subject_token_type,
                runs_programs,
            )?,
            audience: file.audience,
            subject_token_type: file.subject_token_type,
            account,
            user_project: file.workforce_pool_user_project,
            client: file.client_id.zip(file.client_secret),
        })
    }

    /// A token for the identity, or of the service account that it acts as.
    pub async fn issue(&self, asker: &Asker) -> Result<Bearer> {
        let subject_token = self.source.read(asker).await?;
        let options = self.user_project.as_ref().map(|project| json!({ "userProject": project }).to_string());
        let mut fields = vec![
            ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
            ("audience", &*self.audience),
            ("scope", if self.account.is_some() { ACTING_SCOPE } else { SCOPE }),
            ("requested_token_type", "urn:ietf:params:oauth:token-type:access_token"),
            ("subject_token", subject_token.expose_secret()),
            ("subject_token_type", &*self.subject_token_type),
        ];
        // A client that says who it is has a project of its own.
        fields.extend(options.as_deref().filter(|_| self.client.is_none()).map(|options| ("options", options)));
        let mut request = post_form(&self.token_url, &fields)?;
        if let Some((id, secret)) = &self.client {
            request.headers_mut().insert(header::AUTHORIZATION, basic(id, secret.expose_secret())?);
        }
        let answer: TokenAnswer = ask(&asker.client, request, SERVER, HINT).await?;
        let bearer = answer.into_bearer();
        match &self.account {
            Some(account) => account.issue(asker, &bearer).await,
            None => Ok(bearer),
        }
    }
}
