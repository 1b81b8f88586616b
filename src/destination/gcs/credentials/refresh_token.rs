//! A person's login, kept as a refresh token: a Google user's, or one of a workforce pool.

use http::header;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use tokio::sync::Mutex;
use url::Url;

use super::token::{Asker, Bearer};
use super::token_server::{TokenAnswer, ask, basic, post_form, secret_url};
use crate::error::{Error, ErrorKind, Result};

/// Where Google exchanges a user's refresh token.
pub(super) const GOOGLE_TOKEN_URL: &str = "https://oauth2.googleapis.com/token";

const HINT: &str = "sign in again: gcloud auth application-default login";

/// The file that `gcloud auth application-default login` writes, for either kind of login.
#[derive(Deserialize)]
pub(super) struct LoginFile {
    client_id: String,
    client_secret: SecretString,
    refresh_token: SecretString,
    token_url: Option<String>,
}

/// A login that gives tokens.
pub(super) struct UserCredentials {
    client_id: String,
    client_secret: SecretString,
    /// A server may replace the token when it is used; the new one is kept for this run.
    refresh_token: Mutex<SecretString>,
    /// A workforce pool's own server; `None` for Google's.
    pool_url: Option<Url>,
}

impl UserCredentials {
    /// The login of a Google user.
    pub fn of_user(file: LoginFile) -> Self {
        Self::new(file, None)
    }

    /// The login of somebody of a workforce pool.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] for a file without a usable `token_url`.
    pub fn of_workforce(file: LoginFile) -> Result<Self> {
        let url = secret_url("token_url", file.token_url.as_deref().unwrap_or_default())?;
        Ok(Self::new(file, Some(url)))
    }

    fn new(file: LoginFile, pool_url: Option<Url>) -> Self {
        let LoginFile { client_id, client_secret, refresh_token, .. } = file;
        Self { client_id, client_secret, refresh_token: Mutex::new(refresh_token), pool_url }
    }

    /// A token for the one who is logged in.
    pub async fn issue(&self, asker: &Asker) -> Result<Bearer> {
        let mut refresh_token = self.refresh_token.lock().await;
        let fields = [("grant_type", "refresh_token"), ("refresh_token", refresh_token.expose_secret())];
        let (request, server) = match &self.pool_url {
            Some(url) => {
                let mut request = post_form(url, &fields)?;
                let login = basic(&self.client_id, self.client_secret.expose_secret())?;
                request.headers_mut().insert(header::AUTHORIZATION, login);
                (request, "the workforce pool's token server")
            }
            None => {
                let url = Url::parse(&asker.token_url)
                    .map_err(|_| Error::new(ErrorKind::Internal, "Google's token server has no address"))?;
                let client = [("client_id", &*self.client_id), ("client_secret", self.client_secret.expose_secret())];
                let fields = [fields[0], client[0], client[1], fields[1]];
                (post_form(&url, &fields)?, "Google's token server")
            }
        };
        let mut answer: TokenAnswer = ask(&asker.client, request, server, HINT).await?;
        if let Some(next) = answer.refresh_token.take() {
            *refresh_token = next.into();
        }
        Ok(answer.into_bearer())
    }
}
