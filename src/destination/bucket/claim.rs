//! A claimed partition of a bucket, as the engine sees it.

use std::sync::Arc;

use async_trait::async_trait;

use super::claimed::{Claimed, RECHECKS};
use super::publish;
use super::writer::BucketWriter;
use crate::destination::{Claim, Inventory, ObjectWriter, Position, Publication, PublishTerms, Work, staging};
use crate::error::{ErrorKind, Result};
use crate::hash::ObjectHasher;
use crate::plan::Listing;

/// A partition of a bucket that belongs to this run.
pub(super) struct BucketClaim(pub Arc<Claimed>);

#[async_trait]
impl Claim for BucketClaim {
    async fn prepare(&self, listing: &mut Listing, source: &str) -> Result<Inventory> {
        let staged = self.0.stage(listing, source).await;
        let is_refused = staged
            .as_ref()
            .is_err_and(|error| matches!(error.kind(), ErrorKind::DataForeign | ErrorKind::ManifestMissing));
        if is_refused && !self.0.inheritance.is_inherited && !self.0.has_begun() {
            // Nothing was begun, and no later run is to think so.
            self.0.end().await?;
        }
        staged
    }

    async fn work(&self, position: Position, count_max: usize) -> Result<Option<(Vec<Work>, Position)>> {
        staging::pending(&self.0.staged()?.ledger, self.0.shared.run, position, count_max, RECHECKS)
    }

    /// Nothing is taken for staged here that the bucket did not confirm.
    async fn recheck(&self, _work: &Work) -> Result<bool> {
        Ok(false)
    }

    async fn open(
        &self,
        work: &Work,
        hasher: ObjectHasher,
        part_size_bytes: Option<u64>,
    ) -> Result<(Box<dyn ObjectWriter>, ObjectHasher)> {
        let (writer, hasher) = BucketWriter::open(&self.0, work, hasher, part_size_bytes).await?;
        Ok((Box::new(writer), hasher))
    }

    async fn forget(&self, work: &Work) -> Result<()> {
        self.0.shared.forget_upload(&self.0.shared.key_of(&self.0.partition, &work.object.key)).await
    }

    async fn publish(&self, terms: PublishTerms) -> Result<Publication> {
        publish::publish(&self.0, &terms).await
    }

    async fn discard(&self) -> Result<()> {
        let is_untouched = !self.0.inheritance.is_inherited && !self.0.has_begun();
        if is_untouched && self.0.shared.settings.is_joined {
            // Another run has just published the day, and whatever stands there is its own.
            self.0.shared.peers.note_outdated().await;
            return self.0.end().await;
        }
        publish::undo(&self.0).await
    }

    async fn release(&self) -> Result<()> {
        self.0.release().await
    }
}
