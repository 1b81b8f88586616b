//! Tokens for the user's own bucket at Google: one file for each way to come by one.

mod aws_identity;
mod credentials_file;
mod federation;
mod impersonation;
mod metadata_server;
mod refresh_token;
mod service_account;
mod subject_token;
mod token;
mod token_server;

use std::sync::Arc;
use std::time::Instant;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use object_store::gcp::GcpCredential;
use secrecy::{ExposeSecret as _, SecretString};

use self::credentials_file::GoogleIdentity;
pub(super) use self::token::Token;
use self::token::{Asker, Bearer};
use super::settings::GcsAccess;
use crate::clock::Clock;
use crate::credentials::SecretSource;
use crate::credentials::well_formed::{self, Syntax};
use crate::error::{ErrorKind, Result};
use crate::net::{HttpClient, NetSettings};

/// Issues tokens to whom the settings name.
pub(super) struct TokenIssuer {
    origin: TokenOrigin,
    asker: Asker,
}

enum TokenOrigin {
    Fixed(SecretString),
    Command(SecretSource),
    Machine(metadata_server::MetadataServer),
    File(GoogleIdentity),
}

impl TokenIssuer {
    /// Issues tokens to whom `access` names; requests go through `client`.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] for a file that cannot be read or is of a kind that is not supported.
    pub fn new(access: &GcsAccess, client: HttpClient, net: &NetSettings, clock: Arc<Clock>) -> Result<Self> {
        let origin = match access {
            GcsAccess::Token(token) => TokenOrigin::Fixed(token.clone()),
            GcsAccess::Command(command) => TokenOrigin::Command(SecretSource::Command(command.clone())),
            GcsAccess::Machine { host } => TokenOrigin::Machine(metadata_server::MetadataServer::at(host.as_deref())?),
            GcsAccess::File { path, runs_programs } => {
                TokenOrigin::File(credentials_file::read(path, *runs_programs, &client)?)
            }
        };
        let token_url = refresh_token::GOOGLE_TOKEN_URL.to_owned();
        Ok(Self { origin, asker: Asker { client, net: net.clone(), clock, token_url } })
    }

    /// The same, with another server for the refresh tokens of Google's users.
    #[cfg(test)]
    pub fn with_token_url(mut self, token_url: &str) -> Self {
        token_url.clone_into(&mut self.asker.token_url);
        self
    }

    /// Whether a refused token can be replaced.
    pub fn is_renewable(&self) -> bool {
        !matches!(self.origin, TokenOrigin::Fixed(_))
    }

    /// A new token.
    pub async fn issue(&self) -> Result<Token> {
        let bearer = match &self.origin {
            TokenOrigin::Fixed(token) => Bearer { text: token.clone(), lifetime: None },
            // How long the token lives only a refusal tells.
            TokenOrigin::Command(command) => {
                let text = command.read().await.map_err(|error| error.within("--dest-token-command"))?;
                Bearer { text, lifetime: None }
            }
            TokenOrigin::Machine(server) => server.issue(&self.asker).await?,
            TokenOrigin::File(identity) => identity.issue(&self.asker).await?,
        };
        to_token(bearer)
    }
}

impl GoogleIdentity {
    /// A token for this identity; another one's may be needed to ask for it.
    fn issue<'a>(&'a self, asker: &'a Asker) -> BoxFuture<'a, Result<Bearer>> {
        async move {
            match self {
                Self::ServiceAccount(key) => service_account::sign(key, &asker.client).await,
                Self::Refreshed(login) => login.issue(asker).await,
                Self::Federated(federation) => federation.issue(asker).await,
                Self::Impersonated { caller, account } => {
                    let bearer = caller.issue(asker).await?;
                    account.issue(asker, &bearer).await
                }
            }
        }
        .boxed()
    }
}

fn to_token(bearer: Bearer) -> Result<Token> {
    let text = bearer.text.expose_secret().to_owned();
    // object_store would panic on a token that cannot stand in a header.
    well_formed::check("the token for the destination", "its issuer", &text, Syntax::Header)
        .map_err(|error| error.with_kind(ErrorKind::AccessDenied))?;
    let now = Instant::now();
    Ok(Token { credential: Arc::new(GcpCredential { bearer: text }), issued_at: now, lifetime: bearer.lifetime })
}
