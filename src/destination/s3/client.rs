//! The SDK's clients for a bucket, and the login behind them.

use std::sync::Arc;
use std::time::Duration;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};
use aws_sdk_s3::Client;
use aws_sdk_s3::config::{Builder, Config, IdentityCache, RequestChecksumCalculation, ResponseChecksumValidation};
use aws_types::service_config::ServiceConfigKey;
use tokio::sync::Mutex;

use super::bytes::{Addressing, ByteSender};
use super::settings::S3StoreSettings;
use crate::clock::Clock;
use crate::credentials::{AwsCredentials, AwsSettings, CachedKeys, well_formed};
use crate::error::{Error, ErrorKind, Result};
use crate::net::{self, AnswerCheck, SdkTransport};

/// Copying, and making an object of its parts, takes S3 up to several minutes.
const SLOW_ANSWER_TIMEOUT: Duration = Duration::from_secs(600);

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
    /// For the bytes of objects and parts.
    pub bytes: ByteSender,
    /// Whether uploads carry S3's newer checksums; else the MD5 that every server verifies.
    pub sends_checksums: bool,
}

/// The login of the present, and how to get another one.
pub(super) struct Sessions {
    login: Login,
    current: Mutex<Arc<Session>>,
}

/// What all clients of a login have in common.
struct Base {
    config: Config,
    keys: Arc<CachedKeys>,
    addressing: Addressing,
    sends_checksums: bool,
}

/// AWS settings that name nobody who gives keys.
#[derive(Debug)]
struct NoKeys;

impl ProvideCredentials for NoKeys {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::ready(Err(CredentialsError::not_loaded_no_source()))
    }
}

/// What logins are made with.
struct Login {
    settings: S3StoreSettings,
    /// Given keys; else they come from the user's AWS settings.
    keys: Option<AwsCredentials>,
    aws: AwsSettings,
    region: Region,
    http_client: net::HttpClient,
    clock: Arc<Clock>,
}

impl Sessions {
    pub async fn open(settings: S3StoreSettings, keys: Option<AwsCredentials>, clock: Arc<Clock>) -> Result<Self> {
        let http_client = net::build_client(&settings.net)?;
        let aws = AwsSettings::new(settings.profile.clone(), "--dest-profile", &settings.net, clock.clone())?;
        let region = match &settings.region {
            None if keys.is_some() => Region::from_static(USUAL_REGION),
            _ => find_region(&settings, &aws).await?,
        };
        if let Some(keys) = &keys {
            well_formed::check_aws(keys, "the destination's settings")?;
        }
        let login = Login { settings, keys, aws, region, http_client, clock };
        let session = login.make(0).await?;
        Ok(Self { login, current: Mutex::new(Arc::new(session)) })
    }

    /// What to do where the AWS settings give no keys.
    pub fn hint(&self) -> std::borrow::Cow<'static, str> {
        self.login.aws.hint()
    }

    /// Whether uploads carry the newer checksums, which the AWS settings can forbid.
    pub async fn sends_checksums(&self) -> bool {
        self.current.lock().await.sends_checksums
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

/// The bucket's region: the one that is given, else what the AWS settings say.
async fn find_region(settings: &S3StoreSettings, aws: &AwsSettings) -> Result<Region> {
    if let Some(region) = &settings.region {
        well_formed::check("the region", "the destination's settings", region, well_formed::Syntax::HostPart)?;
        return Ok(Region::new(region.clone()));
    }
    aws.region(settings.endpoint_url.is_none()).await?.ok_or_else(|| {
        Error::new(ErrorKind::Usage, format!("no region is known for s3://{}", settings.bucket))
            .with_hint("name the bucket's region with --dest-region, AWS_REGION or in the profile")
    })
}

/// The server that the AWS settings name for S3 alone: `AWS_ENDPOINT_URL_S3`, or the profile's `services`.
fn endpoint_of_s3(loaded: &SdkConfig) -> Option<String> {
    let key = ServiceConfigKey::builder().service_id("S3").env("AWS_ENDPOINT_URL").profile("endpoint_url").build();
    loaded.service_config()?.load_config(key.ok()?)
}

impl Login {
    async fn make(&self, generation: u64) -> Result<Session> {
        let Base { config: base, keys, addressing, sends_checksums } = self.base().await?;
        let client = |check| self.client(&base, self.transport(check));
        let slow = self.transport(AnswerCheck::WholeXml).with_answer_timeout(SLOW_ANSWER_TIMEOUT);
        Ok(Session {
            generation,
            xml: client(AnswerCheck::WholeXml),
            slow_xml: self.client(&base, slow),
            plain: client(AnswerCheck::Any),
            streamed: client(AnswerCheck::Streamed),
            bytes: ByteSender::new(
                self.http_client.clone(),
                addressing,
                keys,
                self.clock.clone(),
                self.settings.net.stall_timeout,
            )
            .await,
            sends_checksums,
        })
    }

    fn client(&self, base: &Config, transport: SdkTransport) -> Client {
        Client::from_conf(base.to_builder().http_client(transport).build())
    }

    fn transport(&self, check: AnswerCheck) -> SdkTransport {
        SdkTransport::new(self.http_client.clone(), check).with_stall_timeout(self.settings.net.stall_timeout)
    }

    async fn base(&self) -> Result<Base> {
        let mut addressing = Addressing {
            bucket: self.settings.bucket.clone(),
            region: self.region.as_ref().to_owned(),
            endpoint_url: self.settings.endpoint_url.as_ref().map(ToString::to_string),
            uses_fips: false,
            uses_dual_stack: false,
        };
        let mut sends_checksums = true;
        let (builder, provider) = match &self.keys {
            Some(keys) => (self.with_keys(), SharedCredentialsProvider::new(keys.to_sdk())),
            None => {
                let loaded = self.aws.load(self.region.clone()).await;
                // The user's word for a server that refuses such headers.
                sends_checksums =
                    loaded.request_checksum_calculation() != Some(RequestChecksumCalculation::WhenRequired);
                addressing.endpoint_url = self.endpoint_url(&loaded)?;
                addressing.uses_fips = loaded.use_fips().unwrap_or(false);
                addressing.uses_dual_stack = loaded.use_dual_stack().unwrap_or(false);
                let provider = loaded.credentials_provider().unwrap_or_else(|| SharedCredentialsProvider::new(NoKeys));
                (Builder::from(&loaded), provider)
            }
        };
        addressing.endpoint_url = addressing.endpoint_url.map(|url| url.trim_end_matches('/').to_owned());
        let keys = Arc::new(CachedKeys::new(provider, self.clock.clone()));
        let mut builder = net::with_own_transport(builder, self.transport(AnswerCheck::Any), self.clock.clone())
            .credentials_provider(SharedCredentialsProvider::from(keys.clone() as Arc<dyn ProvideCredentials>))
            // The keys are kept already, for the SDK and for what is sent without it.
            .identity_cache(IdentityCache::no_cache())
            // Every upload brings the checksum that was computed on the way; nothing is hashed twice.
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
            .force_path_style(addressing.endpoint_url.is_some());
        builder.set_endpoint_url(addressing.endpoint_url.clone());
        Ok(Base { config: builder.build(), keys, addressing, sends_checksums })
    }

    fn with_keys(&self) -> Builder {
        Config::builder().behavior_version(BehaviorVersion::latest()).region(self.region.clone())
    }

    /// The server's address: the one that is set, else the one that the AWS settings have.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] where those would send the bucket's contents unencrypted to another machine.
    fn endpoint_url(&self, loaded: &SdkConfig) -> Result<Option<String>> {
        if let Some(url) = &self.settings.endpoint_url {
            return Ok(Some(url.to_string()));
        }
        let of_s3 = endpoint_of_s3(loaded);
        let (option, url) = match &of_s3 {
            Some(url) => ("AWS_ENDPOINT_URL_S3", Some(url.as_str())),
            None => ("AWS_ENDPOINT_URL", loaded.endpoint_url()),
        };
        url.map(|url| net::parse_endpoint(option, url).map(String::from)).transpose()
    }
}
