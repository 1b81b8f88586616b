use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::{BehaviorVersion, Region};
use aws_credential_types::provider::{ProvideCredentials as _, SharedCredentialsProvider};
use secrecy::SecretString;

use super::{AwsCredentials, Grant, Issuer};
use crate::error::{Error, ErrorKind, Result};
use crate::export::ExportLocation;
use crate::net::{AnswerCheck, SdkTransport};

/// Long-lived AWS keys that the vendor's support issued, from a profile or the ambient AWS
/// credentials: a run without the Authentication API (domain.md section 1).
#[derive(Debug)]
pub struct AmbientAwsIssuer {
    provider: SharedCredentialsProvider,
    location: ExportLocation,
}

impl AmbientAwsIssuer {
    /// Takes credentials from the named profile of the user's AWS files, or without a name from
    /// the AWS libraries' default chain.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] when that chain has no credentials at all.
    pub async fn load(profile: Option<&str>, location: ExportLocation, client: reqwest::Client) -> Result<Self> {
        let (version, region) = (BehaviorVersion::latest(), Region::from_static("us-east-1"));
        let transport = SdkTransport::new(client, AnswerCheck::Any);
        let mut loader = aws_config::defaults(version).region(region.clone()).http_client(transport.clone());
        if let Some(profile) = profile {
            // The profile's own provider takes nothing from the loader, and panics without a transport.
            let config = ProviderConfig::default()
                .with_behavior_version(Some(version))
                .with_region(Some(region))
                .with_http_client(transport);
            let from_profile = ProfileFileCredentialsProvider::builder().configure(&config).profile_name(profile);
            // Keys in the environment belong to the destination and would win over the profile.
            loader = loader.profile_name(profile).credentials_provider(from_profile.build());
        }
        let provider = loader.load().await.credentials_provider().ok_or_else(|| no_credentials("none were found"))?;
        Ok(Self { provider, location })
    }
}

fn no_credentials(reason: &str) -> Error {
    Error::new(ErrorKind::Usage, format!("no AWS credentials for the source: {reason}"))
        .with_hint("check the profile's name in ~/.aws/config and ~/.aws/credentials, or use a token instead")
}

#[async_trait]
impl Issuer for AmbientAwsIssuer {
    type Credentials = AwsCredentials;

    async fn issue(&self) -> Result<Grant<AwsCredentials>> {
        let credentials = self
            .provider
            .provide_credentials()
            .await
            .map_err(|cause| no_credentials("the profile gives none").with_cause(cause))?;
        let lifetime =
            credentials.expiry().map(|expiry| expiry.duration_since(SystemTime::now()).unwrap_or(Duration::ZERO));
        Ok(Grant {
            credentials: AwsCredentials {
                access_key_id: credentials.access_key_id().to_owned(),
                secret_access_key: SecretString::from(credentials.secret_access_key()),
                session_token: credentials.session_token().map(SecretString::from),
            },
            location: self.location.clone(),
            lifetime,
        })
    }
}
