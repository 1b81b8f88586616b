//! A login: a person allows the application to act for them, and it gets a code (RFC 6749 section 4.1).

use std::path::PathBuf;

use oauth2::basic::BasicClient;
use oauth2::{AuthUrl, ClientId, CsrfToken, RedirectUrl, Scope};
use url::Url;

use super::Application;
use super::endpoint::TokenEndpoint;
use super::login_file::{Login, LoginFile, LoginLocation};
use crate::clock::Clock;
use crate::error::{Error, ErrorKind, Result};
use crate::export::printable;
use crate::net;

/// A login under way.
pub struct Authorization {
    application: Application,
    url: Url,
    redirect_url: Url,
    state: String,
}

impl Authorization {
    /// Begins a login at the authorization page; its answer comes to `redirect_url`.
    pub fn begin(application: Application, authorize_url: Url, redirect_url: Url) -> Self {
        let client = BasicClient::new(ClientId::new(application.client_id.clone()))
            .set_auth_uri(AuthUrl::from_url(authorize_url))
            .set_redirect_uri(RedirectUrl::from_url(redirect_url.clone()));
        let scope = application.scope.clone();
        let mut request = client.authorize_url(CsrfToken::new_random);
        if let Some(scope) = scope {
            // The vendor documents `scopes` (domain.md section 1), the standard `scope`.
            request = request.add_extra_param("scopes", scope.clone()).add_scope(Scope::new(scope));
        }
        let (url, state) = request.url();
        Self { application, url, redirect_url, state: state.secret().clone() }
    }

    /// The page that the person is to open.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// The code in the query of a redirect; `None` for a request that is none.
    ///
    /// # Errors
    /// [`ErrorKind::TokenRefused`] where the person or the server refused; [`ErrorKind::AccessDenied`] where the
    /// redirect does not belong to this login.
    pub fn code_in(&self, redirect: &Url) -> Result<Option<String>> {
        let parameter = |name: &str| redirect.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value);
        let (code, error) = (parameter("code"), parameter("error"));
        if code.is_none() && error.is_none() {
            return Ok(None);
        }
        if parameter("state").as_deref() != Some(self.state.as_str()) {
            return Err(Error::new(
                ErrorKind::AccessDenied,
                "the redirect does not belong to this login: its `state` is another one",
            )
            .with_hint("begin anew with `e3sync login`, and open only the address that it prints"));
        }
        match (code, error) {
            (_, Some(error)) => {
                let said = net::said(&error, &parameter("error_description").unwrap_or_default());
                let what = format!("the login was refused ({}){said}", printable(&error));
                Err(Error::new(ErrorKind::TokenRefused, what)
                    .with_hint("allow the application on the page that opens, as a user who may read the export"))
            }
            (code, None) => Ok(code.map(|code| code.into_owned())),
        }
    }

    /// Exchanges the code, and keeps the login in a file.
    ///
    /// # Errors
    /// What the token endpoint answers; [`ErrorKind::Usage`] where the login cannot be kept.
    pub async fn finish(&self, code: &str, path: PathBuf, clock: &Clock) -> Result<()> {
        let file = LoginFile::lock(LoginLocation::Login(path)).await?;
        let room = file.reserve()?;
        let endpoint = TokenEndpoint::new(&self.application).await?;
        let granted = endpoint.authorization_code(code, &self.redirect_url).await?;
        let refresh_token = granted.refresh_token.clone().ok_or_else(|| {
            Error::new(ErrorKind::Protocol, "the OAuth server gave no refresh token, without which nothing lasts")
                .with_hint("see whether the application may have one, and --oauth-scope")
        })?;
        let mut login = Login::new(&self.application, refresh_token, None);
        login.take(&granted, clock.now());
        room.keep(&login)
    }
}
