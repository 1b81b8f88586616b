//! An access token at Google Cloud Storage.

use std::fmt;

use secrecy::SecretString;

/// A temporary bearer token for Google Cloud Storage.
#[derive(Clone)]
pub struct GcpToken(pub SecretString);

impl fmt::Debug for GcpToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("GcpToken(..)")
    }
}
