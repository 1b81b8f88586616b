//! An OAuth application: who asks for access tokens, and where.

use url::Url;

use crate::credentials::SecretSource;
use crate::net::NetSettings;

/// How the application says who it is to the token endpoint (RFC 6749 section 2.3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientAuthentication {
    /// Fields of the form, as the vendor documents it.
    Body,
    /// Basic authentication.
    Basic,
}

/// An OAuth application, and where it gets tokens.
#[derive(Clone, Debug)]
pub struct Application {
    /// Its id.
    pub client_id: String,
    /// Where its secret comes from; `None` for one that has none.
    pub client_secret: Option<SecretSource>,
    /// How it says who it is.
    pub authentication: ClientAuthentication,
    /// The token endpoint: HTTPS, or plain HTTP on this machine.
    pub token_url: Url,
    /// What is asked for; `None` for what the server gives by itself.
    pub scope: Option<String>,
    /// How connections are made.
    pub net: NetSettings,
}
