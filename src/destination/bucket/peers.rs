//! What other runs on the same bucket have done by now, for a run that works together with them: asked seldom,
//! and for all days at once.

use std::collections::HashSet;
use std::sync::PoisonError;
use std::time::Duration;

use tokio::time::Instant;

use super::catalog::Catalog;
use super::held::HeldRequests;
use super::layout::Layout;
use super::lease::{Lease, held};
use crate::error::Result;
use crate::export::Partition;

/// What is known of other runs' work is asked for again after this time.
const AGE_MAX: Duration = Duration::from_secs(5);

/// The same once it has turned out to be out of date.
const AGE_MAX_IF_OUTDATED: Duration = Duration::from_millis(300);

/// Number of manifests whose headers are worth a request for the index, to write it or to read it.
const INDEX_WORTH: usize = 4;

/// What a run knows of others that work together with it.
pub(super) struct Peers {
    looked: tokio::sync::Mutex<Looked>,
    /// Claimed days that were passed over once without a look at the claim.
    passed_over: std::sync::Mutex<HashSet<Partition>>,
}

struct Looked {
    at: Instant,
    is_outdated: bool,
}

impl Peers {
    /// Nothing is known but what the catalog and the lease have just read.
    pub fn new() -> Self {
        let looked = Looked { at: Instant::now(), is_outdated: false };
        Self { looked: tokio::sync::Mutex::new(looked), passed_over: std::sync::Mutex::default() }
    }

    /// Reads again which days are published and claimed, and which runs live, where that is due: three listings, and the index where that tells
    /// other runs or this one enough.
    ///
    /// # Errors
    /// What the bucket answers.
    pub async fn look(&self, requests: &HeldRequests, layout: &Layout, catalog: &Catalog, lease: &Lease) -> Result<()> {
        let mut looked = self.looked.lock().await;
        let age_max = if looked.is_outdated { AGE_MAX_IF_OUTDATED } else { AGE_MAX };
        if looked.at.elapsed() < age_max {
            return Ok(());
        }
        // Claims first: whoever ends one has published before.
        catalog.read_claims_again(requests, layout, |partition| lease.has(partition)).await?;
        if catalog.read_manifests_again(requests, layout).await? >= INDEX_WORTH {
            catalog.read_index_again(requests, layout).await?;
        }
        if catalog.unwritten() >= INDEX_WORTH {
            catalog.save(requests, layout).await?;
        }
        lease.look_at_others().await?;
        *looked = Looked { at: Instant::now(), is_outdated: false };
        Ok(())
    }

    /// Notes that a day turned out to be taken that seemed free.
    pub async fn note_outdated(&self) {
        self.looked.lock().await.is_outdated = true;
    }

    /// Passes a claimed day over, the first time that it is asked for: most likely its holder lives.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Held`].
    pub fn pass_over(&self, partition: &Partition, lease: &Lease) -> Result<()> {
        let mut passed_over = self.passed_over.lock().unwrap_or_else(PoisonError::into_inner);
        if lease.has(partition) || !passed_over.insert(partition.clone()) {
            return Ok(());
        }
        Err(held(partition, "another run", lease.settings.duration))
    }
}
