//! A bucket of the user's own at Google Cloud Storage.

use std::path::PathBuf;

use reqwest::Url;
use secrecy::SecretString;

use crate::net::NetSettings;

/// How a bucket at Google Cloud Storage is reached and written.
#[derive(Clone, Debug)]
pub struct GcsStoreSettings {
    /// The bucket's name.
    pub bucket: String,
    /// Another server than Google's.
    pub endpoint_url: Option<Url>,
    /// Who the user is.
    pub access: GcsAccess,
    /// The storage class of data objects.
    pub storage_class: Option<String>,
    /// How connections are made.
    pub net: NetSettings,
}

/// Where the credentials for the user's own bucket come from.
#[derive(Clone, Debug)]
pub enum GcsAccess {
    /// A JSON file: a service account's key, or the application default credentials of a user.
    File(PathBuf),
    /// The metadata server of the machine that this runs on.
    Machine,
    /// A bearer token, for servers on this machine.
    Token(SecretString),
}
