//! The settings of the source, and how they become clouds that can be asked.

use std::sync::Arc;

use url::Url;

use super::bucket::BucketSource;
use super::gcs::{GcsProtocol, GcsSettings};
use super::s3::{S3Protocol, S3Settings};
use super::{AbsentCloud, Cloud, Clouds, Retrying, Source};
use crate::clock::Clock;
use crate::credentials::{
    AmbientAwsIssuer, AwsCredentials, AwsExchange, ExchangeSettings, GcpExchange, GcpToken, Grant, Issuer,
    RenewalSettings, Renewer, S3_BUCKET,
};
use crate::error::{Error, ErrorKind, Result};
use crate::export::{AccountId, ExportLocation};
use crate::net::{self, RawAnswer};
use crate::progress::{Counters, Observer};
use crate::retry::ATTEMPTS_MAX_DEFAULT;

/// How the right to read the export is obtained.
#[derive(Clone, Debug)]
pub enum Access {
    /// By the vendor's Authentication API.
    Exchange(ExchangeSettings),
    /// By AWS credentials that the vendor's support issued (domain.md section 1).
    Ambient {
        /// The profile that has them; `None` for the AWS libraries' default chain.
        profile: Option<String>,
        /// The account, which no exchange tells.
        account_id: AccountId,
        /// The bucket, where it is another than the documented one.
        bucket: Option<String>,
    },
}

/// Which cloud the export is read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloudChoice {
    /// Amazon S3.
    S3,
    /// Google Cloud Storage.
    Gcs,
    /// Whatever the account has.
    Auto,
}

/// All that is needed to reach the export.
#[derive(Clone, Debug)]
pub struct SourceSettings {
    /// Which cloud.
    pub cloud: CloudChoice,
    /// How the right to read is obtained.
    pub access: Access,
    /// How the bucket in S3 is reached.
    pub s3: S3Settings,
    /// How the bucket in Google Cloud Storage is reached.
    pub gcs: GcsSettings,
    /// When credentials are renewed.
    pub renewal: RenewalSettings,
    /// How often a failing request is repeated.
    pub attempts_max: u32,
}

impl SourceSettings {
    /// The export that this gives the right to read, in whatever cloud it is.
    pub fn new(access: Access) -> Self {
        Self {
            cloud: CloudChoice::Auto,
            access,
            s3: S3Settings::default(),
            gcs: GcsSettings::default(),
            renewal: RenewalSettings::default(),
            attempts_max: ATTEMPTS_MAX_DEFAULT,
        }
    }

    /// The same at another server than the vendor's, one that is the API and both clouds: a simulator.
    #[must_use]
    pub fn at_server(mut self, url: &Url) -> Self {
        if let Access::Exchange(exchange) = &mut self.access {
            exchange.api_url = url.clone();
        }
        (self.s3.endpoint_url, self.gcs.endpoint_url) = (Some(url.clone()), Some(url.clone()));
        self
    }
}

/// What watches over the connections of a run.
#[derive(Clone)]
pub struct Watch {
    /// The time.
    pub clock: Arc<Clock>,
    /// Receives events.
    pub observer: Arc<dyn Observer>,
    /// Are counted up.
    pub counters: Arc<Counters>,
}

impl SourceSettings {
    /// Fresh credentials for S3 by one request, for other tools.
    ///
    /// # Errors
    /// What the exchange answers.
    pub async fn issue_for_s3(&self, clock: &Arc<Clock>) -> Result<Grant<AwsCredentials>> {
        self.s3_issuer(clock, &Arc::new(Counters::default()), None).await?.issue().await
    }

    /// A fresh token for Google Cloud Storage by one request, for other tools.
    ///
    /// # Errors
    /// What the exchange answers.
    pub async fn issue_for_gcs(&self, clock: &Arc<Clock>) -> Result<Grant<GcpToken>> {
        self.gcs_issuer(clock, &Arc::new(Counters::default()))?.issue().await
    }

    /// The Authentication API's answer for a cloud as it came; `None` where no token is used.
    ///
    /// # Errors
    /// Why there is no answer.
    pub(crate) async fn raw_exchange(&self, cloud: CloudChoice, clock: &Arc<Clock>) -> Result<Option<RawAnswer>> {
        let Access::Exchange(exchange) = &self.access else { return Ok(None) };
        let counters = Arc::new(Counters::default());
        if cloud == CloudChoice::Gcs {
            let client = net::build_client(&self.gcs.net)?;
            return GcpExchange::new(exchange.clone(), client, clock.clone(), counters).raw().await.map(Some);
        }
        let client = net::build_client(&self.s3.net)?;
        AwsExchange::new(exchange.clone(), client, clock.clone(), counters).raw().await.map(Some)
    }

    /// The clouds that the account's export is in, each with credentials, the preferred one first:
    /// Google Cloud Storage, where the vendor moves the export (domain.md section 2).
    ///
    /// With [`CloudChoice::Auto`] a cloud that there are no credentials for takes no part, as long as
    /// there is another one; the observer is told so, and why.
    ///
    /// # Errors
    /// What the exchange answers.
    pub async fn connect(&self, watch: &Watch) -> Result<Clouds> {
        let clouds = match (self.cloud, &self.access) {
            (CloudChoice::Gcs, _) => Clouds::of(vec![open(self.gcs_source(watch)?).await?]),
            (CloudChoice::S3, _) | (CloudChoice::Auto, Access::Ambient { .. }) => {
                Clouds::of(vec![open(self.s3_source(watch).await?).await?])
            }
            (CloudChoice::Auto, Access::Exchange(_)) => self.connect_all(watch).await?,
        };
        clouds.absent.iter().for_each(|absent| absent.tell(watch.observer.as_ref()));
        Ok(clouds)
    }

    async fn connect_all(&self, watch: &Watch) -> Result<Clouds> {
        let (gcs, s3) = (self.gcs_source(watch)?, self.s3_source(watch).await?);
        match tokio::join!(open(gcs), open(s3)) {
            (Ok(gcs), Ok(s3)) if gcs.location.account_id == s3.location.account_id => Ok(Clouds::of(vec![gcs, s3])),
            (Ok(gcs), Ok(s3)) => Err(Error::new(
                ErrorKind::Protocol,
                format!("the clouds are of different accounts: {} and {}", gcs.location, s3.location),
            )
            .with_hint("name one cloud with --source; the vendor's support can tell which is right")),
            (Ok(gcs), Err(s3)) => Ok(Clouds { present: vec![gcs], absent: vec![AbsentCloud::by_exchange("s3", s3)] }),
            (Err(gcs), Ok(s3)) => Ok(Clouds { present: vec![s3], absent: vec![AbsentCloud::by_exchange("gs", gcs)] }),
            (Err(gcs), Err(s3)) => Err(more_telling(gcs, s3)),
        }
    }

    async fn s3_issuer(
        &self,
        clock: &Arc<Clock>,
        counters: &Arc<Counters>,
        observer: Option<&Arc<dyn Observer>>,
    ) -> Result<Box<dyn Issuer<Credentials = AwsCredentials>>> {
        let client = net::build_client(&self.s3.net)?;
        Ok(match &self.access {
            Access::Exchange(exchange) => {
                let exchange = AwsExchange::new(exchange.clone(), client, clock.clone(), counters.clone());
                match observer {
                    Some(observer) => Box::new(exchange.telling(observer.clone())),
                    None => Box::new(exchange),
                }
            }
            Access::Ambient { profile, account_id, bucket } => {
                let bucket = bucket.as_deref().unwrap_or(S3_BUCKET);
                let location = ExportLocation::of_account("s3", bucket, account_id.clone());
                Box::new(AmbientAwsIssuer::load(profile.as_deref(), location, &self.s3.net, clock.clone()).await?)
            }
        })
    }

    fn gcs_issuer(
        &self,
        clock: &Arc<Clock>,
        counters: &Arc<Counters>,
    ) -> Result<Box<dyn Issuer<Credentials = GcpToken>>> {
        let Access::Exchange(exchange) = &self.access else {
            return Err(Error::new(ErrorKind::Usage, "AWS credentials do not open Google Cloud Storage")
                .with_hint("use a token for --source gcs"));
        };
        let client = net::build_client(&self.gcs.net)?;
        Ok(Box::new(GcpExchange::new(exchange.clone(), client, clock.clone(), counters.clone())))
    }

    async fn s3_source(&self, watch: &Watch) -> Result<Arc<dyn Source>> {
        let renewer = self.renewer(self.s3_issuer(&watch.clock, &watch.counters, Some(&watch.observer)).await?, watch);
        let protocol = S3Protocol::new(self.s3.clone(), watch.clock.clone(), watch.counters.clone())?;
        Ok(self.retrying(BucketSource::new(protocol, renewer), watch))
    }

    fn gcs_source(&self, watch: &Watch) -> Result<Arc<dyn Source>> {
        let renewer = self.renewer(self.gcs_issuer(&watch.clock, &watch.counters)?, watch);
        let protocol = GcsProtocol::new(self.gcs.clone(), watch.counters.clone())?;
        Ok(self.retrying(BucketSource::new(protocol, renewer), watch))
    }

    fn renewer<C: Send + Sync + 'static>(&self, issuer: Box<dyn Issuer<Credentials = C>>, watch: &Watch) -> Renewer<C> {
        Renewer::new(issuer, self.renewal.clone(), watch.observer.clone(), watch.counters.clone())
    }

    fn retrying(&self, source: impl Source + 'static, watch: &Watch) -> Arc<dyn Source> {
        Arc::new(Retrying::new(source, self.attempts_max, watch.observer.clone(), watch.counters.clone()))
    }
}

/// Obtains the first credentials, which tell where the export lies.
async fn open(source: Arc<dyn Source>) -> Result<Arc<Cloud>> {
    let location = source.location().await?;
    Ok(Arc::new(Cloud { location, source }))
}

/// Of two failures, the one that says more: a cloud without an export says less than a refusal.
fn more_telling(gcs: Error, s3: Error) -> Error {
    if gcs.kind() == ErrorKind::AccessDenied { s3 } else { gcs }
}

#[cfg(all(test, feature = "simulator"))]
mod tests {
    use jiff::Timestamp;
    use secrecy::SecretString;

    use super::*;
    use crate::credentials::SecretSource;
    use crate::export::{Partition, TypeName};
    use crate::net::NetSettings;
    use crate::progress::Silent;
    use crate::simulator::{self, Operation, Simulator};
    use crate::source::ReadRequest;

    async fn connected(cloud: CloudChoice, simulator: &Simulator, now: Timestamp) -> Arc<Cloud> {
        let url: url::Url = simulator.url().parse().unwrap();
        let net = NetSettings::default();
        let settings = SourceSettings {
            cloud,
            access: Access::Exchange(ExchangeSettings {
                api_url: url.clone(),
                token: SecretSource::Value(SecretString::from(simulator.token())).into(),
                duration_minutes: None,
                account_id: None,
                bucket: None,
            }),
            s3: S3Settings { region: "us-east-1".into(), endpoint_url: Some(url.clone()), net: net.clone() },
            gcs: GcsSettings { endpoint_url: Some(url), user_project: None, net },
            renewal: RenewalSettings::default(),
            attempts_max: 1,
        };
        let watch = Watch {
            clock: Arc::new(Clock::starting_at(now)),
            observer: Arc::new(Silent),
            counters: Arc::new(Counters::default()),
        };
        settings.connect(&watch).await.unwrap().present.remove(0)
    }

    #[tokio::test]
    async fn a_read_is_pinned_to_the_listed_version_by_the_server_itself() {
        for (choice, cloud, refused_by) in
            [(CloudChoice::S3, simulator::Cloud::S3, 412), (CloudChoice::Gcs, simulator::Cloud::Gcs, 404)]
        {
            let now = "2026-11-21T12:00:00Z".parse().unwrap();
            let settings = simulator::Settings { days: 1, clouds: vec![cloud], ..simulator::Settings::new(now) };
            let simulator = Simulator::start(settings).await.unwrap();
            let connected = connected(choice, &simulator, now).await;
            let date = simulator.settings().dates().next().unwrap();
            let partition = Partition { type_name: TypeName::parse("events").unwrap(), date };
            let page = connected.source.list_page(&partition, "", None).await.unwrap();
            let object = page.objects.iter().find(|object| object.is_parquet()).unwrap();
            // Another content of the same size: nothing but the version tells them apart.
            let content = vec![7; usize::try_from(object.size_bytes).unwrap()];
            assert!(simulator.change().replace_object("events", date, &object.key, content));
            for range in [None, Some(1..9)] {
                let request = ReadRequest { range, on_new_connection: false };
                let error = connected.source.open(&partition, object, request).await.err().unwrap();
                assert_eq!(error.kind(), ErrorKind::SourceChanged, "{cloud:?}");
            }
            assert_eq!(simulator.requests().answered(Operation::Get, refused_by), 2, "{cloud:?}");
            simulator.stop().await;
        }
    }
}
