//! Temporary credentials: where the token comes from, the exchange, and renewal by one request no
//! matter how many transfers wait.

mod ambient;
mod aws;
mod exchange;
mod renewer;
mod token;

pub use ambient::AmbientAwsIssuer;
pub use aws::AwsCredentials;
pub use exchange::{AwsExchange, ExchangeSettings};
pub use renewer::{Grant, Issued, Issuer, RenewalSettings, Renewer};
pub use token::TokenSource;

/// The vendor's bucket for AWS (domain.md section 2).
pub const S3_BUCKET: &str = "optimizely-events-data";
