use std::sync::Arc;

use super::s3::{S3Settings, S3Source};
use super::{Retrying, Source};
use crate::clock::Clock;
use crate::credentials::{
    AmbientAwsIssuer, AwsCredentials, AwsExchange, ExchangeSettings, Grant, Issuer, RenewalSettings, Renewer, S3_BUCKET,
};
use crate::error::Result;
use crate::export::{AccountId, ExportLocation};
use crate::net;
use crate::progress::{Counters, Observer};

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

/// All that is needed to reach the export in S3.
#[derive(Clone, Debug)]
pub struct SourceSettings {
    /// How the right to read is obtained.
    pub access: Access,
    /// How the bucket is reached.
    pub s3: S3Settings,
    /// When credentials are renewed.
    pub renewal: RenewalSettings,
    /// How often a failing request is repeated.
    pub attempts_max: u32,
}

impl SourceSettings {
    /// Something that issues credentials as these settings say.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Usage`] when the ambient chain has no credentials.
    pub async fn issuer(
        &self,
        clock: &Arc<Clock>,
        counters: &Arc<Counters>,
    ) -> Result<Box<dyn Issuer<Credentials = AwsCredentials>>> {
        let client = net::build_client(&self.s3.net)?;
        Ok(match &self.access {
            Access::Exchange(exchange) => {
                Box::new(AwsExchange::new(exchange.clone(), client, clock.clone(), counters.clone()))
            }
            Access::Ambient { profile, account_id, bucket } => {
                let bucket = bucket.as_deref().unwrap_or(S3_BUCKET);
                let location = ExportLocation::of_account("s3", bucket, account_id.clone());
                Box::new(AmbientAwsIssuer::load(profile.as_deref(), location, client).await?)
            }
        })
    }

    /// Fresh credentials by one request, for other tools.
    ///
    /// # Errors
    /// What the exchange answers.
    pub async fn issue_once(&self, clock: &Arc<Clock>) -> Result<Grant<AwsCredentials>> {
        self.issuer(clock, &Arc::new(Counters::default())).await?.issue().await
    }

    /// The export as a source; credentials are obtained by its first request.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Usage`] for settings that cannot be used.
    pub async fn connect(
        &self,
        clock: Arc<Clock>,
        observer: Arc<dyn Observer>,
        counters: Arc<Counters>,
    ) -> Result<Arc<dyn Source>> {
        let issuer = self.issuer(&clock, &counters).await?;
        let renewer = Renewer::new(issuer, self.renewal.clone(), observer.clone(), counters.clone());
        let source = S3Source::new(self.s3.clone(), renewer, clock, counters.clone())?;
        Ok(Arc::new(Retrying::new(source, self.attempts_max, observer, counters)))
    }
}
