//! Temporary credentials: where the token comes from, the exchange, and renewal by one request no
//! matter how many transfers wait.

mod ambient;
mod aws;
mod aws_settings;
mod cached_keys;
mod exchange;
mod gcp;
pub mod oauth;
mod renewer;
mod secret;
mod signer;
mod token;
pub mod well_formed;

pub(crate) use ambient::AmbientAwsIssuer;
pub use aws::AwsCredentials;
pub(crate) use aws_settings::AwsSettings;
pub(crate) use cached_keys::CachedKeys;
pub use exchange::{API_URL, ExchangeSettings};
pub(crate) use exchange::{AwsExchange, GcpExchange};
pub use gcp::GcpToken;
pub use renewer::{Grant, Issued, Issuer, RenewalSettings, Renewer};
pub use secret::SecretSource;
pub(crate) use signer::{SignedPayload, Signer};
pub use token::TokenSource;

/// The vendor's bucket for AWS (domain.md section 2).
pub const S3_BUCKET: &str = "optimizely-events-data";

/// What the vendor's buckets at Google are called before the account's number (domain.md section 2).
pub const GCS_BUCKET_PREFIX: &str = "optimizely-e3-";

#[cfg(test)]
mod tests {
    use secrecy::SecretString;

    use super::*;

    #[test]
    fn what_is_written_for_debugging_holds_no_secret() {
        let aws = AwsCredentials {
            access_key_id: "AKIAEXAMPLE".into(),
            secret_access_key: SecretString::from("hidden-key"),
            session_token: Some(SecretString::from("hidden-session")),
        };
        let gcp = GcpToken(SecretString::from("hidden-bearer"));
        let token = TokenSource::Secret(SecretSource::Value(SecretString::from("hidden-token")));
        let written = format!("{aws:?} {:?} {gcp:?} {token:?}", aws.to_sdk());
        assert!(!written.contains("hidden"), "{written}");
    }
}
