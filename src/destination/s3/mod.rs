//! A bucket of the user's own at S3, or at a server that speaks its protocol.

mod bytes;
mod client;
mod conditions;
mod copy;
mod delete;
mod failure;
mod list;
mod policies;
mod put;
mod read;
mod settings;
#[cfg(test)]
mod tests;
mod upload;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;

use self::client::Sessions;
use self::conditions::Conditions;
pub use self::settings::S3StoreSettings;
use crate::clock::Clock;
use crate::credentials::AwsCredentials;
use crate::destination::bucket::{
    Condition, Described, Fetched, Part, Payload, Policies, Put, PutTerms, Store, StoredPage, Upload,
};
use crate::error::Result;
use crate::export::{ChecksumAlgorithm, Checksums};
use crate::plan::listing_check::PageToken;

/// Said where the AWS settings ask for no checksums.
const VERIFIED_BY_MD5: &str = "the bucket verifies what it stores by MD5 only, since the AWS settings have request_checksum_calculation = when_required, and objects are deleted one by one";

/// Said of a server that does not know DeleteObjects.
const DELETED_SINGLY: &str =
    "the bucket's server does not delete many objects by one request, so they are deleted one by one";

/// The checksum that S3 computes of an object made of parts.
const CHECKSUM: ChecksumAlgorithm = ChecksumAlgorithm::Crc64Nvme;

/// A bucket at S3, with the credentials of the user's own AWS settings.
pub struct S3Store {
    settings: S3StoreSettings,
    url: String,
    sessions: Sessions,
    clock: Arc<Clock>,
    conditions: Conditions,
    /// Whether the server turned out not to know how to delete many objects by one request.
    deletes_singly: AtomicBool,
}

impl S3Store {
    /// Finds the user's region and credentials. Nothing is asked of the bucket yet; `clock` signs.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Usage`] where no region is known, or an address cannot be used.
    pub async fn connect(settings: S3StoreSettings, clock: Arc<Clock>) -> Result<Self> {
        let sessions = Sessions::open(settings.clone(), None, clock.clone()).await?;
        Ok(Self::with_sessions(sessions, settings, clock))
    }

    /// A bucket that is reached with the given keys. Nothing is looked up in the user's AWS settings.
    ///
    /// # Errors
    /// As [`S3Store::connect`].
    pub async fn connect_with_keys(settings: S3StoreSettings, keys: AwsCredentials, clock: Arc<Clock>) -> Result<Self> {
        let sessions = Sessions::open(settings.clone(), Some(keys), clock.clone()).await?;
        Ok(Self::with_sessions(sessions, settings, clock))
    }

    fn with_sessions(sessions: Sessions, settings: S3StoreSettings, clock: Arc<Clock>) -> Self {
        Self {
            url: format!("s3://{}", settings.bucket),
            settings,
            sessions,
            clock,
            conditions: Conditions::default(),
            deletes_singly: AtomicBool::new(false),
        }
    }
}

#[async_trait]
impl Store for S3Store {
    fn url(&self) -> &str {
        &self.url
    }

    fn checksum(&self) -> ChecksumAlgorithm {
        CHECKSUM
    }

    async fn list(&self, prefix: &str, from: Option<&PageToken>) -> Result<StoredPage> {
        self.list_objects(prefix, from).await
    }

    async fn get(&self, key: &str, bytes_max: Option<u64>) -> Result<Option<Fetched>> {
        self.get_object(key, bytes_max).await
    }

    async fn head(&self, key: &str) -> Result<Option<Described>> {
        self.describe(key).await
    }

    async fn put(&self, key: &str, payload: &Payload, terms: &PutTerms<'_>) -> Result<Put> {
        self.put_object(key, payload, terms).await
    }

    async fn copy(&self, from: &str, to: &str, size_bytes: u64) -> Result<()> {
        self.copy_object(from, to, size_bytes).await
    }

    async fn delete(&self, keys: &[String]) -> Result<()> {
        self.delete_objects(keys).await
    }

    async fn begin_upload(&self, key: &str, origin: &str) -> Result<String> {
        self.create_upload(key, &self.new_data_object(origin)).await
    }

    async fn upload_part(&self, upload: &Upload, number: u32, payload: &Payload) -> Result<String> {
        self.put_part(upload, number, payload).await
    }

    async fn complete_upload(
        &self,
        upload: &Upload,
        parts: &[Part],
        computed: &Checksums,
        condition: Condition<'_>,
    ) -> Result<Put> {
        self.finish_upload(upload, parts, Some(computed), condition).await
    }

    async fn abort_upload(&self, upload: &Upload) -> Result<()> {
        self.abandon_upload(upload).await
    }

    async fn uploads(&self, prefix: &str) -> Result<Option<Vec<Upload>>> {
        self.list_uploads(prefix).await
    }

    async fn removes_unfinished_uploads(&self, prefix: &str) -> Result<Option<bool>> {
        self.has_cleaning_rule(prefix).await
    }

    async fn habits(&self) -> Vec<&'static str> {
        let verifies_by_md5 = !self.sessions.sends_checksums().await;
        let deletes_singly = self.deletes_singly.load(Ordering::Relaxed);
        [(verifies_by_md5, VERIFIED_BY_MD5), (deletes_singly && !verifies_by_md5, DELETED_SINGLY)]
            .into_iter()
            .filter_map(|(is_so, habit)| is_so.then_some(habit))
            .collect()
    }

    async fn policies(&self) -> Result<Policies> {
        self.ask_policies().await
    }
}
