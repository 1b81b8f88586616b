//! Holds an access token and renews it, once for all who wait.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use object_store::CredentialProvider;
use object_store::gcp::GcpCredential;
use tokio::sync::Mutex;

use super::call::Call;
use super::credentials::{Token, TokenIssuer};
use super::transport::Noted;
use crate::error::{Error, Result};

/// The token of the moment, renewed by one request no matter how many calls wait for it.
///
/// object_store has such providers too. They read the environment and the home folder, and keep a
/// token that the bucket has refused.
pub(super) struct Tokens {
    issuer: TokenIssuer,
    held: Mutex<HeldToken>,
}

#[derive(Default)]
struct HeldToken {
    token: Option<Token>,
    generation: u64,
    failed: Option<(Instant, Error)>,
}

impl Tokens {
    /// No token yet; the first call asks `issuer` for one.
    pub fn new(issuer: TokenIssuer) -> Self {
        Self { issuer, held: Mutex::default() }
    }

    async fn current(&self) -> Result<(Arc<GcpCredential>, u64)> {
        let asked_at = Instant::now();
        let mut held = self.held.lock().await;
        if let Some(token) = &held.token
            && token.is_fresh()
        {
            return Ok((token.credential.clone(), held.generation));
        }
        if let Some((failed_at, error)) = &held.failed
            && *failed_at >= asked_at
        {
            return Err(error.clone());
        }
        // The lock is kept meanwhile: whoever waits finds the new token, or shares the failure.
        let token = match self.issuer.issue().await {
            Ok(token) => token,
            Err(error) => {
                held.failed = Some((Instant::now(), error.clone()));
                return Err(error);
            }
        };
        let credential = token.credential.clone();
        held.token = Some(token);
        held.generation += 1;
        Ok((credential, held.generation))
    }

    /// Gives the token of this generation up, because it was refused. Tells whether there may be
    /// another one.
    pub async fn forget(&self, generation: Option<u64>) -> bool {
        let mut held = self.held.lock().await;
        if Some(held.generation) == generation {
            held.token = None;
        }
        generation.is_some() && self.issuer.is_renewable()
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Tokens(..)")
    }
}

#[async_trait]
impl CredentialProvider for Tokens {
    type Credential = GcpCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<GcpCredential>> {
        let call = Call::current();
        match (self.current().await, call) {
            (Ok((credential, generation)), call) => {
                if let Some(call) = call {
                    call.note_token_generation(generation);
                }
                Ok(credential)
            }
            (Err(error), call) => {
                if let Some(call) = call {
                    call.note_failure(error.into());
                }
                Err(object_store::Error::Generic { store: "GCS", source: Box::new(Noted) })
            }
        }
    }
}
