//! Temporary credentials at AWS.

use std::fmt;

use aws_credential_types::Credentials;
use secrecy::{ExposeSecret as _, SecretString};

/// A key pair for S3, temporary when it has a session token.
#[derive(Clone)]
pub struct AwsCredentials {
    /// The public half.
    pub access_key_id: String,
    /// The secret half.
    pub secret_access_key: SecretString,
    /// Present for temporary credentials.
    pub session_token: Option<SecretString>,
}

impl AwsCredentials {
    /// The credentials that the AWS libraries gave.
    pub(crate) fn of_sdk(credentials: &Credentials) -> Self {
        Self {
            access_key_id: credentials.access_key_id().to_owned(),
            secret_access_key: SecretString::from(credentials.secret_access_key()),
            session_token: credentials.session_token().map(SecretString::from),
        }
    }

    /// The same credentials as the AWS libraries want them; they print no secret either.
    pub(crate) fn to_sdk(&self) -> Credentials {
        let mut builder = Credentials::builder()
            .access_key_id(&self.access_key_id)
            .secret_access_key(self.secret_access_key.expose_secret())
            .provider_name("e3sync");
        if let Some(token) = &self.session_token {
            builder = builder.session_token(token.expose_secret());
        }
        builder.build()
    }
}

impl fmt::Debug for AwsCredentials {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("AwsCredentials(..)")
    }
}
