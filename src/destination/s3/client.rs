use std::sync::Arc;
use std::time::Duration;

use aws_config::environment::EnvironmentVariableRegionProvider;
use aws_config::meta::region::{ProvideRegion as _, RegionProviderChain};
use aws_config::profile::{ProfileFileCredentialsProvider, ProfileFileRegionProvider};
use aws_config::provider_config::ProviderConfig;
use aws_config::{BehaviorVersion, ConfigLoader, Region, SdkConfig};
use aws_sdk_s3::Client;
use aws_sdk_s3::config::{Builder, Config, IdentityCache, RequestChecksumCalculation, ResponseChecksumValidation};
use tokio::sync::Mutex;

use super::S3StoreSettings;
use crate::clock::Clock;
use crate::credentials::AwsCredentials;
use crate::error::{Error, ErrorKind, Result};
use crate::net::{self, AnswerCheck, SdkTransport, SigningTime};

/// Copying, and making an object of its parts, takes S3 up to several minutes.
const SLOW_ANSWER_TIMEOUT: Duration = Duration::from_secs(600);

/// A login may ask a second server, or run a program that asks a person.
const CREDENTIALS_TIMEOUT: Duration = Duration::from_secs(60);

/// The region in which servers other than AWS usually say that they are.
const USUAL_REGION: &str = "us-east-1";

/// The clients of one login, one for each way to take an answer. They share their credentials.
pub(super) struct Session {
    /// Counts the logins, so that a refusal can say which one it is about.
    generation: u64,
    /// For answers that are a document.
    pub xml: Client,
    /// For answers that are a document and may take minutes.
    pub slow_xml: Client,
    /// For answers that are all in their headers.
    pub plain: Client,
    /// For objects.
    pub streamed: Client,
}

/// The login of the present, and how to get another one.
pub(super) struct Sessions {
    login: Login,
    current: Mutex<Arc<Session>>,
}

/// What logins are made with.
struct Login {
    settings: S3StoreSettings,
    /// Given keys; else they come from the user's AWS settings.
    keys: Option<AwsCredentials>,
    region: Region,
    http_client: reqwest::Client,
    clock: Arc<Clock>,
}

impl Sessions {
    pub async fn open(settings: S3StoreSettings, keys: Option<AwsCredentials>, clock: Arc<Clock>) -> Result<Self> {
        let http_client = net::build_client(&settings.net)?;
        let region = match &settings.region {
            Some(region) => Region::new(region.clone()),
            None if keys.is_some() => Region::from_static(USUAL_REGION),
            None => find_region(&settings, &http_client).await?,
        };
        let login = Login { settings, keys, region, http_client, clock };
        let session = login.make(0).await?;
        Ok(Self { login, current: Mutex::new(Arc::new(session)) })
    }

    /// The region that requests are signed for.
    pub fn region(&self) -> &str {
        self.login.region.as_ref()
    }

    /// Makes a request, and makes it again with a fresh login where the credentials were refused:
    /// the AWS libraries keep a rejected token until its time is over.
    ///
    /// # Errors
    /// The request's; a second refusal is [`ErrorKind::AccessDenied`].
    pub async fn run<T, Answering>(&self, request: impl Fn(Arc<Session>) -> Answering) -> Result<T>
    where
        Answering: Future<Output = Result<T>>,
    {
        let session = self.current.lock().await.clone();
        let generation = session.generation;
        match request(session).await {
            Err(error) if error.kind() == ErrorKind::CredentialsRefused => {}
            answered => return answered,
        }
        request(self.renewed(generation).await?).await.map_err(|error| match error.kind() {
            ErrorKind::CredentialsRefused => error.with_kind(ErrorKind::AccessDenied),
            _ => error,
        })
    }

    /// The login after the one that was refused. Whoever comes first makes it, the others wait.
    async fn renewed(&self, refused: u64) -> Result<Arc<Session>> {
        let mut current = self.current.lock().await;
        if current.generation == refused {
            *current = Arc::new(self.login.make(refused + 1).await?);
        }
        Ok(current.clone())
    }

    /// The generation of the login after the one that was refused.
    #[cfg(test)]
    pub async fn renewed_for_test(&self, refused: u64) -> u64 {
        self.renewed(refused).await.unwrap().generation
    }
}

/// The region of the profile, the environment, the machine.
async fn find_region(settings: &S3StoreSettings, http_client: &reqwest::Client) -> Result<Region> {
    if let Some(profile) = &settings.profile
        // Here as for the credentials, what is named wins over the environment.
        && let Some(region) = ProfileFileRegionProvider::builder().profile_name(profile).build().region().await
    {
        return Ok(region);
    }
    let found = if settings.endpoint_url.is_some() {
        // Without asking whether this is a machine at AWS, which takes seconds elsewhere.
        let chain = RegionProviderChain::first_try(EnvironmentVariableRegionProvider::new());
        chain.or_else(ProfileFileRegionProvider::new()).or_else(USUAL_REGION).region().await
    } else {
        loader(http_client).load().await.region().cloned()
    };
    found.ok_or_else(|| {
        Error::new(ErrorKind::Usage, format!("no region is known for s3://{}", settings.bucket))
            .with_hint("name the bucket's region with --dest-region, AWS_REGION or in the profile")
    })
}

fn loader(http_client: &reqwest::Client) -> ConfigLoader {
    let transport = SdkTransport::new(http_client.clone(), AnswerCheck::Any);
    aws_config::defaults(BehaviorVersion::latest()).http_client(transport)
}

impl Login {
    async fn make(&self, generation: u64) -> Result<Session> {
        let base = self.base_config().await?;
        let client = |check| self.client(&base, self.transport(check));
        let slow = self.transport(AnswerCheck::WholeXml).with_answer_timeout(SLOW_ANSWER_TIMEOUT);
        Ok(Session {
            generation,
            xml: client(AnswerCheck::WholeXml),
            slow_xml: self.client(&base, slow),
            plain: client(AnswerCheck::Any),
            streamed: client(AnswerCheck::Streamed),
        })
    }

    fn client(&self, base: &Config, transport: SdkTransport) -> Client {
        Client::from_conf(base.to_builder().http_client(transport).build())
    }

    fn transport(&self, check: AnswerCheck) -> SdkTransport {
        SdkTransport::new(self.http_client.clone(), check).with_stall_timeout(self.settings.net.stall_timeout)
    }

    async fn base_config(&self) -> Result<Config> {
        let (builder, endpoint_url) = match &self.keys {
            Some(keys) => (self.with_keys(keys), self.settings.endpoint_url.as_ref().map(ToString::to_string)),
            None => {
                let loaded = self.load().await;
                (Builder::from(&loaded), self.endpoint_url(&loaded)?)
            }
        };
        let mut builder = net::with_own_transport(builder, self.transport(AnswerCheck::Any), self.clock.clone())
            .identity_cache(IdentityCache::lazy().load_timeout(CREDENTIALS_TIMEOUT).build())
            // Every upload brings the checksum that was computed on the way; nothing is hashed twice.
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
            .force_path_style(endpoint_url.is_some());
        builder.set_endpoint_url(endpoint_url.map(|url| url.trim_end_matches('/').to_owned()));
        Ok(builder.build())
    }

    fn with_keys(&self, keys: &AwsCredentials) -> Builder {
        Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(self.region.clone())
            .credentials_provider(keys.to_sdk())
    }

    /// What the user's AWS files and environment say: environment, profile, single sign-on, web
    /// identity, a role of the machine.
    async fn load(&self) -> SdkConfig {
        let clock = || SigningTime(self.clock.clone());
        let mut loader = loader(&self.http_client).region(self.region.clone()).time_source(clock());
        if let Some(profile) = &self.settings.profile {
            // The profile's own provider takes nothing from the loader, and panics without a transport.
            let config = ProviderConfig::default()
                .with_behavior_version(Some(BehaviorVersion::latest()))
                .with_region(Some(self.region.clone()))
                .with_time_source(clock())
                .with_http_client(self.transport(AnswerCheck::Any));
            let from_profile = ProfileFileCredentialsProvider::builder().configure(&config).profile_name(profile);
            // Otherwise keys in the environment would win over the profile that was named.
            loader = loader.profile_name(profile).credentials_provider(from_profile.build());
        }
        loader.load().await
    }

    /// The server's address: the one that is set, else the one that the AWS settings have.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] where those would send the bucket's contents unencrypted to another machine.
    fn endpoint_url(&self, loaded: &SdkConfig) -> Result<Option<String>> {
        if let Some(url) = &self.settings.endpoint_url {
            return Ok(Some(url.to_string()));
        }
        loaded.endpoint_url().map(|url| net::parse_endpoint("AWS_ENDPOINT_URL", url).map(String::from)).transpose()
    }
}
