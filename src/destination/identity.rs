//! Whose mirror a destination is: the content of `destination.json`.

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};
use crate::export::AccountId;

/// The content of `destination.json`.
#[derive(Serialize, Deserialize)]
pub(super) struct MirrorIdentity {
    format: String,
    version: String,
    pub account_id: String,
}

impl MirrorIdentity {
    const FORMAT: &str = "e3sync-destination";
    const MAJOR_VERSION: &str = "1";

    /// The identity of an account's mirror.
    pub fn of_account(account_id: &AccountId) -> Self {
        Self { format: Self::FORMAT.into(), version: "1.0".into(), account_id: account_id.as_str().into() }
    }

    /// Whether the destination is this account's, in a format that is known.
    ///
    /// # Errors
    /// [`ErrorKind::DestinationForeign`] where it is not.
    pub fn check(&self, account_id: &AccountId) -> Result<()> {
        let foreign = |what: String| Error::new(ErrorKind::DestinationForeign, what);
        if self.format != Self::FORMAT || self.version.split('.').next() != Some(Self::MAJOR_VERSION) {
            return Err(foreign(format!(
                "the destination has format version {}, which this tool does not know",
                self.version
            ))
            .with_hint("a newer e3sync wrote it; update this one"));
        }
        check_account(&self.account_id, account_id)
    }
}

/// Whether a mirror of the account `held` may take this account's export.
///
/// # Errors
/// [`ErrorKind::DestinationForeign`] for another account's mirror.
pub fn check_account(held: &str, account_id: &AccountId) -> Result<()> {
    if held == account_id.as_str() {
        return Ok(());
    }
    let what = format!("the destination holds account {held}, not {account_id}");
    Err(Error::new(ErrorKind::DestinationForeign, what)
        .with_hint("one destination holds one account; give each its own"))
}
