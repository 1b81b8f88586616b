//! What other runs on the same bucket have done by now, for a run that works together with them: asked seldom,
//! and for all days at once.

use std::collections::HashMap;
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

/// The same for a day that was passed over before: its holder may have ended it.
const AGE_MAX_IF_WAITED_FOR: Duration = Duration::from_millis(500);

/// How long a claim is left alone that was just found.
const FIRST_PASS: Duration = Duration::from_millis(500);

/// Number of manifests whose headers are worth a request for the index, to write it or to read it.
const INDEX_WORTH: usize = 4;

/// What a run knows of others that work together with it.
pub(super) struct Peers {
    looked: tokio::sync::Mutex<Looked>,
    /// Claimed days, and until when each is passed over without a look at its claim.
    passed_over: std::sync::Mutex<HashMap<Partition, Instant>>,
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

    /// Reads again which days are published and claimed, and which runs live, where that is due: three listings,
    /// and the index where that tells this run or the others enough.
    ///
    /// # Errors
    /// What the bucket answers.
    pub async fn look(
        &self,
        partition: &Partition,
        requests: &HeldRequests,
        layout: &Layout,
        catalog: &Catalog,
        lease: &Lease,
    ) -> Result<()> {
        let is_waited_for = self.passed_over.lock().unwrap_or_else(PoisonError::into_inner).contains_key(partition);
        let mut looked = self.looked.lock().await;
        let age_max = match (looked.is_outdated, is_waited_for) {
            (true, _) => AGE_MAX_IF_OUTDATED,
            (false, true) => AGE_MAX_IF_WAITED_FOR,
            (false, false) => AGE_MAX,
        };
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

    /// Passes over a day that was claimed at the last look, for most likely its holder lives: the claim itself is
    /// looked at for the first time a moment later, for it may be a dead run's, and then once in the time of a lease.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Held`].
    pub fn pass_over(&self, partition: &Partition, lease: &Lease) -> Result<()> {
        if lease.has(partition) {
            return Ok(());
        }
        let mut passed_over = self.passed_over.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        match passed_over.get_mut(partition) {
            Some(until) if *until <= now => {
                *until = now + lease.settings.duration;
                Ok(())
            }
            Some(_) => Err(held(partition, "another run", lease.settings.duration)),
            None => {
                passed_over.insert(partition.clone(), now + FIRST_PASS);
                Err(held(partition, "another run", lease.settings.duration))
            }
        }
    }
}
