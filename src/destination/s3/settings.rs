//! How a bucket at S3 is reached and written.

use url::Url;

use crate::net::NetSettings;

/// How a bucket at S3 is reached and written.
#[derive(Clone, Debug)]
pub struct S3StoreSettings {
    /// The bucket's name.
    pub bucket: String,
    /// The bucket's region; `None` for the one that the user's AWS settings name.
    pub region: Option<String>,
    /// Another server than AWS; its buckets are addressed by path.
    pub endpoint_url: Option<Url>,
    /// The profile of the user's AWS files; `None` for the default chain of credentials.
    pub profile: Option<String>,
    /// The server-side encryption to ask for: `AES256`, `aws:kms` or `aws:kms:dsse`.
    pub sse: Option<String>,
    /// The KMS key to encrypt with.
    pub sse_kms_key_id: Option<String>,
    /// The storage class of data objects.
    pub storage_class: Option<String>,
    /// Tags of data objects.
    pub tags: Vec<(String, String)>,
    /// The canned access control list of every object, as in `bucket-owner-full-control`.
    pub acl: Option<String>,
    /// Whether these credentials' account pays for requests and traffic, where the bucket demands that.
    pub pays_requests: bool,
    /// How connections are made.
    pub net: NetSettings,
}
