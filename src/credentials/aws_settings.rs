//! The AWS identity and region that a user's own settings give: environment, profiles, single
//! sign-on, `aws login`, web identity, roles of a container or machine. One loader for source and
//! destination.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use aws_config::environment::EnvironmentVariableRegionProvider;
use aws_config::meta::region::{ProvideRegion as _, RegionProviderChain};
use aws_config::profile::{ProfileFileCredentialsProvider, ProfileFileRegionProvider};
use aws_config::provider_config::ProviderConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::credential_feature::AwsCredentialFeature;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{self, ProvideCredentials, SharedCredentialsProvider, future};
use secrecy::SecretString;

use super::{AwsCredentials, well_formed};
use crate::clock::Clock;
use crate::error::{Error, ErrorKind, Result};
use crate::export::printable;
use crate::net::{self, AnswerCheck, NetSettings, SdkTransport, SigningTime};

/// The region in which servers other than AWS usually say that they are, and the vendor's bucket is.
const USUAL_REGION: &str = "us-east-1";

/// Who gives credentials out is near, or is not there at all.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Where AWS keys are looked for.
#[derive(Clone, Debug)]
pub(crate) struct AwsSettings {
    /// The profile of the user's AWS files; `None` for the AWS libraries' default chain.
    profile: Option<String>,
    /// The option that names a profile.
    option: &'static str,
    transport: SdkTransport,
    clock: Arc<Clock>,
}

impl AwsSettings {
    /// Settings that are read anew whenever they are loaded; `net` reaches who gives keys out.
    ///
    /// # Errors
    /// As [`net::build_client`].
    pub fn new(profile: Option<String>, option: &'static str, net: &NetSettings, clock: Arc<Clock>) -> Result<Self> {
        let client = net::build_client(&NetSettings { connect_timeout: CONNECT_TIMEOUT, ..net.clone() })?;
        Ok(Self { profile, option, transport: SdkTransport::new(client, AnswerCheck::Any), clock })
    }

    /// The region of the profile, the environment, the machine. `is_at_aws` tells whether it is worth
    /// to ask the machine, which takes seconds where it is none of Amazon's.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] for one that cannot stand in a server's name.
    pub async fn region(&self, is_at_aws: bool) -> Result<Option<Region>> {
        let region = self.find_region(is_at_aws).await;
        if let Some(region) = &region {
            let origin = "AWS_REGION, AWS_DEFAULT_REGION or the AWS profile";
            well_formed::check("the region", origin, region.as_ref(), well_formed::Syntax::HostPart)?;
        }
        Ok(region)
    }

    async fn find_region(&self, is_at_aws: bool) -> Option<Region> {
        // Here as for the credentials, what is named wins over the environment.
        if let Some(region) = self.profile_region().await {
            return Some(region);
        }
        if is_at_aws {
            let loader = aws_config::defaults(BehaviorVersion::latest()).http_client(self.transport.clone());
            return loader.load().await.region().cloned();
        }
        let chain = RegionProviderChain::first_try(EnvironmentVariableRegionProvider::new());
        chain.or_else(ProfileFileRegionProvider::new()).or_else(USUAL_REGION).region().await
    }

    async fn profile_region(&self) -> Option<Region> {
        let profile = self.profile.as_ref()?;
        ProfileFileRegionProvider::builder().profile_name(profile).build().region().await
    }

    /// The region in which a role is asked for, where the bucket's own does not matter.
    pub async fn region_of_roles(&self) -> Result<Region> {
        Ok(self.region(false).await?.unwrap_or(Region::from_static(USUAL_REGION)))
    }

    /// What the settings say. Its keys are looked at before anything is signed with them.
    pub async fn load(&self, region: Region) -> SdkConfig {
        let (version, clock) = (BehaviorVersion::latest(), || SigningTime(self.clock.clone()));
        let mut loader = aws_config::defaults(version)
            .region(region.clone())
            .time_source(clock())
            .http_client(self.transport.clone());
        if let Some(profile) = &self.profile {
            // The profile's own provider takes nothing from the loader, and panics without a transport.
            let config = ProviderConfig::default()
                .with_behavior_version(Some(version))
                .with_region(Some(region))
                .with_time_source(clock())
                .with_http_client(self.transport.clone());
            let from_profile = ProfileFileCredentialsProvider::builder().configure(&config).profile_name(profile);
            // Otherwise keys in the environment would win over the profile that was named.
            loader = loader.profile_name(profile).credentials_provider(from_profile.build());
        }
        let loaded = loader.load().await;
        let Some(provider) = loaded.credentials_provider() else { return loaded };
        let checked = CheckedProvider { provider, settings: self.clone() };
        loaded.into_builder().credentials_provider(SharedCredentialsProvider::new(checked)).build()
    }

    /// What to do where the settings give no keys.
    pub fn hint(&self) -> Cow<'static, str> {
        let option = self.option;
        match &self.profile {
            Some(profile) => {
                let profile = printable(profile);
                format!("check the profile `{profile}` in ~/.aws/config and ~/.aws/credentials; a login is renewed with `aws sso login --profile {profile}` or `aws login --profile {profile}`").into()
            }
            None => format!("name a profile with {option}, set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, log in with `aws sso login` or `aws login`, or run where the machine has a role").into(),
        }
    }

    /// Where these keys come from.
    fn origins(&self, keys: &aws_credential_types::Credentials) -> [String; 3] {
        let features = keys.get_property::<Vec<AwsCredentialFeature>>();
        let came_by = |feature| features.is_some_and(|features| features.contains(&feature));
        if let Some(profile) = &self.profile {
            return std::array::from_fn(|_| format!("the AWS profile `{}`", printable(profile)));
        }
        if came_by(AwsCredentialFeature::CredentialsEnvVars) {
            return ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"].map(str::to_owned);
        }
        let place = if came_by(AwsCredentialFeature::CredentialsHttp) {
            "the container's credentials server"
        } else if came_by(AwsCredentialFeature::CredentialsImds) {
            "the machine's metadata server"
        } else {
            "the AWS profile that is the default"
        };
        std::array::from_fn(|_| place.to_owned())
    }

    fn check(&self, keys: &aws_credential_types::Credentials) -> Result<()> {
        let parts = AwsCredentials {
            access_key_id: keys.access_key_id().to_owned(),
            secret_access_key: SecretString::from(keys.secret_access_key()),
            session_token: keys.session_token().map(SecretString::from),
        };
        let origins = self.origins(keys);
        well_formed::check_aws_of(&parts, origins.each_ref().map(String::as_str))
    }

    /// What it means that no way led to keys.
    fn none_found(&self, error: CredentialsError) -> CredentialsError {
        if !matches!(error, CredentialsError::CredentialsNotLoaded(_)) || !self.transport.has_stalled() {
            return error;
        }
        let what =
            "no AWS credentials were found, and the machine's metadata server takes connections without an answer";
        let hint = format!(
            "in a container on EC2 raise the hop limit (aws ec2 modify-instance-metadata-options --http-put-response-hop-limit 2) or give it a role of its own; elsewhere name a profile with {}",
            self.option
        );
        CredentialsError::invalid_configuration(Error::new(ErrorKind::AccessDenied, what).with_hint(hint))
    }
}

/// Keys as they arrive, once they can be keys: the libraries would put anything into a header, and
/// end the process where it does not fit.
#[derive(Debug)]
struct CheckedProvider {
    provider: SharedCredentialsProvider,
    settings: AwsSettings,
}

impl CheckedProvider {
    async fn provide(&self) -> provider::Result {
        let keys = self.provider.provide_credentials().await.map_err(|error| self.settings.none_found(error))?;
        self.settings.check(&keys).map_err(CredentialsError::invalid_configuration)?;
        Ok(keys)
    }
}

impl ProvideCredentials for CheckedProvider {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.provide())
    }

    fn fallback_on_interrupt(&self) -> Option<aws_credential_types::Credentials> {
        self.provider.fallback_on_interrupt()
    }
}
