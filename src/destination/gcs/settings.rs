//! How a bucket at Google Cloud Storage is reached and written.

use std::path::PathBuf;

use secrecy::SecretString;
use url::Url;

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
    /// A bearer token that somebody else obtained. It ends, and nothing takes its place.
    Token(SecretString),
    /// A command line for the system's shell that prints a bearer token; it is run again when the
    /// bucket refuses the last one.
    Command(String),
    /// A JSON file of any of Google's kinds: a service account's key, a login, federation with another
    /// provider, impersonation.
    File {
        /// The file.
        path: PathBuf,
        /// Whether a file that names a program for its token may have it run.
        runs_programs: bool,
    },
    /// The metadata server of the machine that this runs on.
    Machine {
        /// Another `HOST[:PORT]` than Google's.
        host: Option<String>,
    },
}
