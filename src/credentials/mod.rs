//! Temporary credentials: where the token comes from, the exchange, and renewal by one request no
//! matter how many transfers wait.

mod ambient;
mod aws;
mod exchange;
mod gcp;
mod renewer;
mod token;

pub use ambient::AmbientAwsIssuer;
pub use aws::AwsCredentials;
pub use exchange::{AwsExchange, ExchangeSettings, GcpExchange};
pub use gcp::GcpToken;
pub use renewer::{Grant, Issued, Issuer, RenewalSettings, Renewer};
pub use token::TokenSource;

/// The vendor's bucket for AWS (domain.md section 2).
pub const S3_BUCKET: &str = "optimizely-events-data";

/// What the vendor's buckets at Google are called before the account's number (domain.md section 2).
pub const GCS_BUCKET_PREFIX: &str = "optimizely-e3-";
