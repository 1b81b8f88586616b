//! How a bucket at S3 keeps what was to be replaced or deleted in it.

use std::time::Duration;

use aws_sdk_s3::error::ProvideErrorMetadata as _;
use aws_sdk_s3::types::{BucketVersioningStatus, DefaultRetention, ObjectLockRetentionMode};

use super::S3Store;
use super::failure::Operation;
use crate::destination::bucket::{Encryption, Keeping, Policies};
use crate::error::{Error, ErrorKind, Result};
use crate::export::printable;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// What is needed to see them.
const HIDDEN: Policies = Policies::Hidden("s3:GetBucketVersioning and s3:GetBucketObjectLockConfiguration");

impl S3Store {
    /// What the bucket tells of versions and of its lock. A server that knows neither is not asked further.
    pub(super) async fn ask_policies(&self) -> Result<Policies> {
        let asked = async { Ok::<_, Error>((self.keeps_versions().await?, self.default_retention().await?)) };
        match asked.await {
            Ok((keeps_versions, retention)) => {
                let is_retention_locked =
                    retention.as_ref().and_then(DefaultRetention::mode) == Some(&ObjectLockRetentionMode::Compliance);
                let retention = retention.as_ref().map(time_of).filter(|time| !time.is_zero());
                let encryption = self.default_encryption().await?;
                let keeping =
                    Keeping { retention, is_retention_locked, keeps_versions, encryption, ..Keeping::default() };
                Ok(Policies::Told(keeping))
            }
            Err(error) if error.kind() == ErrorKind::AccessDenied => Ok(HIDDEN),
            Err(error) if error.kind() == ErrorKind::Protocol => Ok(Policies::Unasked),
            Err(error) => Err(error),
        }
    }

    async fn keeps_versions(&self) -> Result<bool> {
        let answer = self.sessions.run(async |session| {
            let request = session.xml.get_bucket_versioning().bucket(&self.settings.bucket);
            request.send().await.map_err(|error| self.failure(Operation::GetPolicies, "", &error))
        });
        Ok(answer.await?.status() == Some(&BucketVersioningStatus::Enabled))
    }

    async fn default_encryption(&self) -> Result<Encryption> {
        let answer = self.sessions.run(async |session| {
            let request = session.xml.get_bucket_encryption().bucket(&self.settings.bucket);
            match request.send().await {
                Ok(answer) => Ok(Some(answer)),
                Err(error) if error.code() == Some("ServerSideEncryptionConfigurationNotFoundError") => Ok(None),
                Err(error) => Err(self.failure(Operation::GetPolicies, "", &error)),
            }
        });
        let answer = match answer.await {
            Ok(Some(answer)) => answer,
            Ok(None) => return Ok(Encryption::None),
            Err(error) if error.kind() == ErrorKind::AccessDenied => {
                return Ok(Encryption::Hidden("s3:GetEncryptionConfiguration"));
            }
            Err(error) if error.kind() == ErrorKind::Protocol => return Ok(Encryption::Unasked),
            Err(error) => return Err(error),
        };
        let configuration = answer.server_side_encryption_configuration;
        let rule = configuration.as_ref().and_then(|configuration| configuration.rules().first());
        let Some(rule) = rule.and_then(|rule| rule.apply_server_side_encryption_by_default()) else {
            return Ok(Encryption::None);
        };
        let key = rule.kms_master_key_id().map_or_else(String::new, |key| format!(" with the key {}", printable(key)));
        Ok(Encryption::By(format!("{}{key}", printable(rule.sse_algorithm().as_str()))))
    }

    async fn default_retention(&self) -> Result<Option<DefaultRetention>> {
        let answer = self.sessions.run(async |session| {
            let request = session.xml.get_object_lock_configuration().bucket(&self.settings.bucket);
            match request.send().await {
                Ok(answer) => Ok(Some(answer)),
                Err(error) if error.code() == Some("ObjectLockConfigurationNotFoundError") => Ok(None),
                Err(error) => Err(self.failure(Operation::GetPolicies, "", &error)),
            }
        });
        let lock = answer.await?.and_then(|answer| answer.object_lock_configuration);
        Ok(lock.and_then(|lock| lock.rule).and_then(|rule| rule.default_retention))
    }
}

/// S3 has a number of days or of years of 365 days.
fn time_of(retention: &DefaultRetention) -> Duration {
    let days = retention.days().unwrap_or(0).max(0).unsigned_abs();
    let years = retention.years().unwrap_or(0).max(0).unsigned_abs();
    DAY.saturating_mul(days.saturating_add(years.saturating_mul(365)))
}
