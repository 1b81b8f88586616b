//! Where the account's token comes from.

use std::sync::Arc;

use secrecy::SecretString;

use super::oauth::OAuthTokens;
use super::secret::SecretSource;
use crate::clock::Clock;
use crate::error::Result;

/// Where the vendor's token comes from. Read again at every exchange, which serves OAuth users
/// whose access tokens change (domain.md section 1).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum TokenSource {
    /// A Personal Access Token, or an access token that somebody else obtains.
    Secret(SecretSource),
    /// The access tokens of an OAuth application.
    OAuth(Arc<OAuthTokens>),
}

impl TokenSource {
    /// Obtains the token. `clock` tells whether an access token still lives.
    ///
    /// # Errors
    /// As [`SecretSource::read`]; what the OAuth server answers.
    pub async fn read(&self, clock: &Clock) -> Result<SecretString> {
        match self {
            Self::OAuth(tokens) => tokens.current(clock).await,
            Self::Secret(secret) => secret.read().await,
        }
    }

    /// Gives up a token that the API refused; says whether another one may be had at once.
    pub async fn refuse(&self, token: &SecretString) -> bool {
        match self {
            Self::OAuth(tokens) => tokens.refuse(token).await,
            Self::Secret(_) => false,
        }
    }
}

impl From<SecretSource> for TokenSource {
    fn from(secret: SecretSource) -> Self {
        Self::Secret(secret)
    }
}
