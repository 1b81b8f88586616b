//! Google's credentials files: their kinds, and what each must have.

use std::path::Path;

use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::federation::{Federation, FederationFile};
use super::impersonation::ImpersonatedAccount;
use super::refresh_token::UserCredentials;
use super::service_account;
use crate::error::{Error, ErrorKind, Result};
use crate::export::printable;
use crate::net::HttpClient;

/// Credentials that lie in others lie in others at most so deep.
const NESTED_MAX: usize = 3;

/// Who a credentials file says that the user is.
pub(super) enum GoogleIdentity {
    /// A service account by its own key.
    ServiceAccount(SecretString),
    /// A person who is logged in.
    Refreshed(UserCredentials),
    /// Somebody whom another provider knows.
    Federated(Box<Federation>),
    /// A service account that somebody else acts as.
    Impersonated {
        /// Who acts.
        caller: Box<GoogleIdentity>,
        /// As whom.
        account: ImpersonatedAccount,
    },
}

/// The parts of every credentials file.
#[derive(Deserialize)]
struct Common {
    r#type: String,
    universe_domain: Option<String>,
}

#[derive(Deserialize)]
struct ImpersonatedFile {
    service_account_impersonation_url: String,
    #[serde(default)]
    delegates: Vec<String>,
    source_credentials: Value,
}

/// Reads a credentials file. One that runs a program for its token is usable only where `runs_programs`.
///
/// # Errors
/// [`ErrorKind::Usage`] for a file that cannot be read, lacks something, or is of an unknown kind.
pub(super) fn read(path: &Path, runs_programs: bool, client: &HttpClient) -> Result<GoogleIdentity> {
    let name = format!("the credentials file {}", printable(&path.to_string_lossy()));
    let text = std::fs::read_to_string(path).map_err(|cause| refused(&name, "cannot be read").with_cause(cause))?;
    Reader { name: &name, runs_programs, client }.identity(&SecretString::from(text), NESTED_MAX)
}

struct Reader<'a> {
    name: &'a str,
    runs_programs: bool,
    client: &'a HttpClient,
}

impl Reader<'_> {
    fn identity(&self, text: &SecretString, nested_max: usize) -> Result<GoogleIdentity> {
        let common: Common = serde_json::from_str(text.expose_secret())
            .map_err(|_| refused(self.name, "is not one of Google's credentials files"))?;
        if let Some(domain) = common.universe_domain.filter(|domain| domain != "googleapis.com") {
            return Err(refused(self.name, &format!("is for the universe {}, not googleapis.com", printable(&domain))));
        }
        match common.r#type.as_str() {
            "service_account" => {
                service_account::signer(text, self.client)
                    .map_err(|_| refused(self.name, "holds no usable key of a service account"))?;
                Ok(GoogleIdentity::ServiceAccount(text.clone()))
            }
            "authorized_user" => {
                Ok(GoogleIdentity::Refreshed(UserCredentials::of_user(self.parts(text, "a user's credentials")?)))
            }
            "external_account_authorized_user" => {
                Ok(GoogleIdentity::Refreshed(UserCredentials::of_workforce(self.parts(text, "a workforce login")?)?))
            }
            "external_account" => {
                let file: FederationFile = self.parts(text, "a federated identity")?;
                Ok(GoogleIdentity::Federated(Box::new(Federation::new(file, self.runs_programs)?)))
            }
            "impersonated_service_account" if nested_max > 0 => {
                let file: ImpersonatedFile = self.parts(text, "an impersonated service account")?;
                let caller = SecretString::from(file.source_credentials.to_string());
                Ok(GoogleIdentity::Impersonated {
                    caller: Box::new(self.identity(&caller, nested_max - 1)?),
                    account: ImpersonatedAccount::new(&file.service_account_impersonation_url, file.delegates, None)?,
                })
            }
            other => Err(refused(self.name, &format!("is of the kind `{}`, which is not supported", printable(other)))),
        }
    }

    /// Causes of the JSON reader are left out: they quote what stands in the file.
    fn parts<T: DeserializeOwned>(&self, text: &SecretString, whose: &str) -> Result<T> {
        serde_json::from_str(text.expose_secret()).map_err(|_| refused(self.name, &format!("lacks a part of {whose}")))
    }
}

fn refused(name: &str, reason: &str) -> Error {
    Error::new(ErrorKind::Usage, format!("{name} {reason}")).with_hint(
        "use a service account's key, a file that `gcloud auth application-default login` writes, or one of workload identity federation",
    )
}
