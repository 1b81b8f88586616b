//! A bucket opened to read what is published.

use async_trait::async_trait;
use futures::stream::{self, BoxStream, StreamExt as _, TryStreamExt as _};
use tokio::sync::Mutex;

use super::catalog::Catalog;
use super::layout::Layout;
use super::requests::{NoLease, Requests};
use super::store::{Condition, Put, Version};
use crate::destination::reports::newest_first;
use crate::destination::{
    ByteTaker, Manifests, Published, PublishedDays, PublishedFiles, PublishedManifest, PublishedSets, StandingFile,
    VerificationChange, VerificationRecord,
};
use crate::error::{Error, ErrorKind, Result};
use crate::export::{Partition, is_folder_marker};
use crate::manifest;

/// Maximum number of reports read concurrently.
const READ_AT_ONCE: usize = 16;

/// Maximum number of attempts to change a document that another process changed meanwhile.
const CHANGES_MAX: u32 = 20;

/// What is published in a bucket, for commands that change nothing.
pub struct ReadOnlyBucket {
    pub(super) requests: Requests,
    pub(super) layout: Layout,
    pub(super) catalog: Catalog,
    pub(super) account_id: Option<String>,
}

/// A partition's whole manifest and its version, checked against its last line.
pub(super) async fn read_manifest(
    requests: &Requests,
    layout: &Layout,
    partition: &Partition,
) -> Result<Option<(PublishedManifest, Version)>> {
    let Some((spool, version)) = requests.get_spooled(&layout.manifest(partition)).await? else { return Ok(None) };
    let header = manifest::verify(spool.reader()).map_err(|error| error.within(partition))?;
    header.check_is_of(partition)?;
    Ok(Some((PublishedManifest::new(header, spool), version)))
}

#[async_trait]
impl Manifests for ReadOnlyBucket {
    async fn published(&self, partition: &Partition) -> Result<Published> {
        self.catalog.published(partition)
    }

    async fn manifest(&self, partition: &Partition) -> Result<Option<PublishedManifest>> {
        let found = read_manifest(&self.requests, &self.layout, partition).await?;
        Ok(found.map(|(manifest, _)| manifest))
    }
}

#[async_trait]
impl PublishedSets for ReadOnlyBucket {
    fn account_id(&self) -> Option<&str> {
        self.account_id.as_deref()
    }

    async fn days(&self) -> Result<PublishedDays> {
        Ok(self.catalog.days())
    }

    async fn staged(&self) -> Result<Vec<Partition>> {
        let mut staged = self.catalog.claimed();
        staged.sort_by(|one, other| (&one.type_name, one.date).cmp(&(&other.type_name, other.date)));
        Ok(staged)
    }

    async fn reports(&self, count_max: usize) -> Result<Vec<Option<Vec<u8>>>> {
        let prefix = self.layout.reports();
        let keys = self.requests.objects(&prefix).map_ok(|object| object.key).try_collect().await?;
        let read = newest_first(keys, count_max)
            .into_iter()
            .map(|key| async move { Ok(self.requests.get_start(&key, u64::MAX).await?.map(|(bytes, _)| Some(bytes))) });
        let reports = stream::iter(read).buffered(READ_AT_ONCE);
        reports.try_filter_map(|report| async move { Ok(report) }).try_collect().await
    }

    async fn verification(&self) -> Result<VerificationRecord> {
        let found = self.requests.get_start(&self.layout.verification(), u64::MAX).await?;
        VerificationRecord::parse(found.as_ref().map(|(bytes, _)| bytes.as_slice()))
    }
}

#[async_trait]
impl PublishedFiles for ReadOnlyBucket {
    /// To find days without a manifest, the whole bucket would have to be listed.
    async fn days_with_data(&self) -> Result<PublishedDays> {
        Ok(self.catalog.days())
    }

    async fn is_being_replaced(&self, partition: &Partition) -> Result<bool> {
        Ok(self.requests.head(&self.layout.claim(partition)).await?.is_some())
    }

    fn standing<'a>(&'a self, partition: &'a Partition) -> BoxStream<'a, Result<StandingFile>> {
        let prefix = self.layout.partition(partition);
        let listed = self.requests.objects(&prefix).map_ok(move |object| StandingFile {
            path: object.key.strip_prefix(&prefix).unwrap_or(&object.key).to_owned(),
            size_bytes: Some(object.size_bytes),
            etag: object.etag,
        });
        // Folders that a console or EMR made are no data and do readers no harm.
        let is_folder =
            |file: &StandingFile| file.size_bytes.is_some_and(|size_bytes| is_folder_marker(&file.path, size_bytes));
        listed.try_filter(move |file| std::future::ready(!is_folder(file))).boxed()
    }

    async fn read(&self, partition: &Partition, path: &str, taker: &mut dyn ByteTaker) -> Result<bool> {
        let key = format!("{}{path}", self.layout.partition(partition));
        let taker = Mutex::new(taker);
        self.requests.read(&key, &taker).await
    }

    async fn change_verification(&self, change: &VerificationChange<'_>) -> Result<()> {
        let key = self.layout.verification();
        for _ in 0..CHANGES_MAX {
            let found = self.requests.get_start(&key, u64::MAX).await?;
            let mut record = VerificationRecord::parse(found.as_ref().map(|(bytes, _)| bytes.as_slice()))?;
            change(&mut record);
            let condition = found.as_ref().map_or(Condition::IfAbsent, |(_, version)| Condition::IfMatch(version));
            if let Put::Stored(_) = self.requests.put_with(&NoLease, &key, record.to_bytes(), condition).await? {
                return Ok(());
            }
        }
        Err(Error::new(ErrorKind::Held, format!("others keep writing {}", self.requests.address(&key)))
            .with_hint("verify again when no other verification of this destination ends"))
    }

    fn address(&self, partition: &Partition, path: &str) -> String {
        format!("{}/{}{path}", self.requests.store.url(), self.layout.partition(partition))
    }
}
