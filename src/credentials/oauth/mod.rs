//! Access tokens of an OAuth 2.0 application (domain.md section 1): obtained by a login or by the
//! application's own secret, renewed by the life that the answer tells.

mod access;
mod application;
mod authorization;
mod endpoint;
mod login_file;
mod redirect;

use std::fmt;
use std::path::PathBuf;

use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::Mutex;

pub use application::{Application, ClientAuthentication};
pub use authorization::Authorization;
pub use login_file::Login;
pub use redirect::RedirectListener;

use self::access::Access;
use self::endpoint::{Granted, TokenEndpoint};
use self::login_file::{LoginFile, LoginLocation};
use crate::clock::Clock;
use crate::error::{Error, ErrorKind, Result};

/// By what right the application gets access tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Grant {
    /// The login that `Authorization` left in this file.
    Login(PathBuf),
    /// A refresh token that somebody else obtained.
    RefreshToken {
        /// The file that holds it and nothing else.
        path: PathBuf,
        /// Where what the server gives in its place is kept: the file itself may be read-only.
        kept_in: PathBuf,
    },
    /// The application's own secret.
    ClientCredentials,
}

/// The access token of the moment, renewed by one request no matter how many wait for it.
pub struct OAuthTokens {
    application: Application,
    grant: Grant,
    held: Mutex<HeldAccess>,
}

#[derive(Default)]
struct HeldAccess {
    access: Option<Access>,
    /// The token that the API refused although it should live.
    refused: Option<String>,
    /// Why there will be no further token.
    ended_by: Option<Error>,
}

impl OAuthTokens {
    /// No token yet; the first call asks for one.
    pub fn new(application: Application, grant: Grant) -> Self {
        Self { application, grant, held: Mutex::default() }
    }

    /// The application's id.
    pub fn client_id(&self) -> &str {
        &self.application.client_id
    }

    /// By what right it gets tokens.
    pub fn grant(&self) -> &Grant {
        &self.grant
    }

    /// A token that lives; a new one where the last has ended or was refused.
    ///
    /// # Errors
    /// [`ErrorKind::TokenRefused`] for a grant that was revoked, which is final;
    /// [`ErrorKind::ExchangeUnavailable`] where the token endpoint is away; [`ErrorKind::Usage`] for files
    /// that cannot be used.
    pub async fn current(&self, clock: &Clock) -> Result<SecretString> {
        let mut held = self.held.lock().await;
        if let Some(error) = &held.ended_by {
            return Err(error.clone());
        }
        if let Some(access) = held.access.as_ref().filter(|access| access.is_fresh(clock.now())) {
            return Ok(access.token.clone());
        }
        // The lock is kept meanwhile: whoever waits finds the new token.
        let renewed = self.renew(held.refused.as_deref(), clock).await;
        match renewed {
            Ok(access) => {
                let token = access.token.clone();
                held.access = Some(access);
                Ok(token)
            }
            Err(error) => {
                if error.kind() == ErrorKind::TokenRefused {
                    held.ended_by = Some(error.clone());
                }
                Err(error)
            }
        }
    }

    /// Gives a token up that the API refused. Says whether another one may be had.
    pub async fn refuse(&self, token: &SecretString) -> bool {
        let mut held = self.held.lock().await;
        let is_current = |access: &Access| access.token.expose_secret() == token.expose_secret();
        if held.access.as_ref().is_some_and(is_current) {
            held.access = None;
            held.refused = Some(token.expose_secret().to_owned());
        }
        held.ended_by.is_none()
    }

    async fn renew(&self, refused: Option<&str>, clock: &Clock) -> Result<Access> {
        let endpoint = TokenEndpoint::new(&self.application).await?;
        let place = match &self.grant {
            Grant::ClientCredentials => {
                let granted = endpoint.client_credentials(self.application.scope.as_deref()).await?;
                return Ok(access_of(&granted, clock.now()));
            }
            Grant::Login(path) => LoginLocation::Login(path.clone()),
            Grant::RefreshToken { path, kept_in } => {
                LoginLocation::Seeded { seed: path.clone(), kept_in: kept_in.clone() }
            }
        };
        // Another process may renew by the same refresh token, which may serve once only.
        let file = LoginFile::lock(place).await?;
        let mut login = file.read(&self.application)?;
        if let Some(access) = login.access(refused, clock.now()) {
            return Ok(access);
        }
        let room = file.reserve()?;
        let granted = endpoint.refresh(&login.refresh_token).await?;
        login.take(&granted, clock.now());
        // Before the token is used: a refresh token that took the place of the last one would be lost.
        room.keep(&login)?;
        Ok(access_of(&granted, clock.now()))
    }
}

fn access_of(granted: &Granted, now: Timestamp) -> Access {
    Access::new(&granted.access_token, granted.expires_at(now), granted.lifetime)
}

impl fmt::Debug for OAuthTokens {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("OAuthTokens").field("client_id", &self.application.client_id).finish_non_exhaustive()
    }
}
