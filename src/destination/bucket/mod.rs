//! A mirror in a bucket of the user's own: the objects of the export under their own keys, streamed
//! through memory, each partition published by its manifest and its `_SUCCESS` marker.

mod catalog;
mod claim;
mod claimed;
mod dead_runs;
mod fragment;
mod held;
mod inventory;
mod journal;
mod layout;
mod lease;
#[cfg(test)]
mod memory;
mod peers;
mod policies;
mod probe;
mod publish;
mod read_only;
mod requests;
mod shared;
mod spool;
mod store;
#[cfg(test)]
mod tests;
mod writer;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures::TryStreamExt as _;
use tokio::sync::OnceCell;

use self::catalog::Catalog;
use self::claim::BucketClaim;
use self::claimed::Claimed;
use self::held::HeldRequests;
use self::layout::Layout;
use self::lease::Lease;
use self::peers::Peers;
use self::requests::Requests;
pub use self::shared::BucketSettings;
use self::shared::Shared;
use super::reports;
use super::{Claim, Destination, Manifests, Published, PublishedDays, PublishedManifest};
use crate::error::{Error, ErrorKind, Result};
use crate::export::{AccountId, Partition};
use crate::progress::{Counters, Event, Observer};

pub use lease::LeaseSettings;
pub use policies::{Encryption, Keeping, Policies};
pub(in crate::destination) use policies::{RETENTION_HINT, in_words};
pub use read_only::ReadOnlyBucket;
pub use store::{
    Condition, DELETES_MAX, Described, Fetched, Part, Payload, Put, PutTerms, Store, StoredObject, StoredPage, Upload,
    Version,
};

/// The end of a run does not wait longer for the bucket: it may be the bucket that has gone.
const CLOSE_MAX: Duration = Duration::from_secs(30);

/// A mirror in a bucket.
pub struct BucketDestination(Arc<Shared>);

impl BucketDestination {
    /// Opens a bucket for an account's mirror, after trying what a run will do there.
    ///
    /// # Errors
    /// [`ErrorKind::DestinationForeign`] for another account's mirror,
    /// [`ErrorKind::AccessDenied`] with the permission that is missing, [`ErrorKind::Usage`] for a
    /// bucket that is not there.
    pub async fn open(
        store: Arc<dyn Store>,
        settings: BucketSettings,
        account_id: &AccountId,
        observer: Arc<dyn Observer>,
        counters: Arc<Counters>,
    ) -> Result<Self> {
        let layout = Layout::new(&settings.prefix);
        let requests = Arc::new(requests(store, &settings, observer, counters));
        let run = rand::random_range(1..=u64::MAX);
        probe::check_identity(&requests, &layout, account_id).await?;
        let minds_conditions = probe::try_out(&requests, &layout, run).await?;
        if !minds_conditions && settings.is_joined {
            return Err(without_conditions(&requests, &layout));
        }
        if !minds_conditions {
            requests.observer.observe(&Event::Warning {
                message: "this server takes no notice of conditional writes: two runs at once would not be kept apart",
            });
        }
        for habit in requests.store.habits().await {
            requests.observer.observe(&Event::Notice { message: habit });
        }
        let catalog = Catalog::load(&requests, &layout).await?;
        let holder = settings.holder.clone();
        let lease =
            Lease::begin(requests.clone(), layout.clone(), run, holder, settings.lease, settings.is_joined).await?;
        let shared = Shared {
            requests: Arc::new(HeldRequests::new(requests, lease.clone())),
            layout,
            account_id: account_id.clone(),
            settings,
            run,
            catalog,
            lease,
            journals: Mutex::new(HashMap::new()),
            uploads: Mutex::new(HashMap::new()),
            bound: OnceCell::new(),
            peers: Peers::new(),
        };
        Ok(Self(Arc::new(shared)))
    }

    /// Opens a bucket only to read what is published; nothing is written.
    ///
    /// # Errors
    /// As [`BucketDestination::open`].
    pub async fn read_only(
        store: Arc<dyn Store>,
        settings: &BucketSettings,
        observer: Arc<dyn Observer>,
        counters: Arc<Counters>,
    ) -> Result<ReadOnlyBucket> {
        let layout = Layout::new(&settings.prefix);
        let requests = requests(store, settings, observer, counters);
        let account_id = probe::read_identity(&requests, &layout).await?.map(|identity| identity.account_id);
        let catalog = Catalog::load(&requests, &layout).await?;
        Ok(ReadOnlyBucket { requests, layout, catalog, account_id })
    }

    /// Tries what a run does to the bucket, and looks for what earlier runs left. Nothing stays.
    ///
    /// # Errors
    /// As [`BucketDestination::open`].
    pub async fn examine(
        store: Arc<dyn Store>,
        settings: &BucketSettings,
        observer: Arc<dyn Observer>,
        counters: Arc<Counters>,
    ) -> Result<Examined> {
        let layout = Layout::new(&settings.prefix);
        let requests = requests(store, settings, observer, counters);
        let account_id = probe::read_identity(&requests, &layout).await?.map(|identity| identity.account_id);
        let minds_conditions = probe::try_out(&requests, &layout, rand::random_range(1..=u64::MAX)).await?;
        let catalog = Catalog::load(&requests, &layout).await?;
        let uploads = requests.uploads(layout.prefix()).await.unwrap_or(None);
        let removes_unfinished_uploads =
            requests.store.removes_unfinished_uploads(layout.prefix()).await.unwrap_or(None);
        let habits = requests.store.habits().await;
        Ok(Examined {
            habits,
            account_id,
            days: catalog.days(),
            claimed: catalog.claimed(),
            minds_conditions,
            uploads,
            removes_unfinished_uploads,
        })
    }

    /// Days that another run has begun and that this one did not look at, told in words.
    fn tell_begun(&self) -> Option<String> {
        let mut others = self.0.catalog.claimed();
        others.retain(|partition| !self.0.lease.has(partition));
        let first = others.first()?;
        Some(format!(
            "{} days are begun and not ended by another run, among them {first}; if none is at work, a run that selects them ends them",
            others.len()
        ))
    }

    /// Unfinished multipart uploads that stay behind, told in words.
    async fn tell_uploads(&self) -> Result<Option<String>> {
        let shared = &self.0;
        let prefix = shared.layout.prefix();
        let uploads = match shared.requests.uploads(prefix).await? {
            Some(uploads) => uploads,
            None => shared.uploads.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect(),
        };
        let Some(first) = uploads.first() else { return Ok(None) };
        let rule = match shared.requests.store.removes_unfinished_uploads(prefix).await {
            Ok(Some(true)) => "the bucket has a lifecycle rule that removes it in time",
            Ok(Some(false)) => {
                "the bucket has no lifecycle rule that would remove it; add one (AbortIncompleteMultipartUpload)"
            }
            Ok(None) | Err(_) => "whether the bucket has a lifecycle rule for such uploads cannot be seen",
        };
        Ok(Some(format!(
            "{} unfinished multipart uploads are left, among them {}; the next run goes on with what is this tool's; {rule}",
            uploads.len(),
            shared.requests.address(&first.key)
        )))
    }

    /// Writes down what is finished and frees what is held.
    async fn release(&self) -> Vec<String> {
        let shared = &self.0;
        let mut messages = Vec::new();
        let mut note = |what: &str, done: Result<()>| {
            if let Err(error) = done {
                messages.push(format!("{what}: {error}"));
            }
        };
        note("what is finished could not be written down", shared.flush_journals().await);
        note("the index could not be written", shared.catalog.save(&shared.requests, &shared.layout).await);
        if !shared.settings.is_joined {
            // Together, it is for whoever is at work on them.
            messages.extend(self.tell_begun());
        }
        // A user who may not list uploads is no less served.
        if let Ok(told) = self.tell_uploads().await {
            messages.extend(told);
        }
        if let Err(error) = shared.lease.clear_dead_runs_again().await {
            messages.push(format!("what killed runs left could not be cleared away: {error}"));
        }
        if let Err(error) = shared.lease.end().await {
            messages.push(format!("this run's lease could not be ended, it ends by itself: {error}"));
        }
        messages
    }
}

/// The refusal of a bucket that gives several runs no means to share the days.
fn without_conditions(requests: &Requests, layout: &Layout) -> Error {
    let address = requests.address(layout.prefix());
    Error::new(ErrorKind::Usage, format!("the server of {address} takes no notice of conditional writes"))
        .with_hint("runs cannot share the days of an export there; run one alone, without --join and --shard")
}

fn requests(
    store: Arc<dyn Store>,
    settings: &BucketSettings,
    observer: Arc<dyn Observer>,
    counters: Arc<Counters>,
) -> Requests {
    let (attempts_max, spill_folder) = (settings.attempts_max, settings.spill_folder.clone());
    Requests { store, attempts_max, observer, counters, spill_folder }
}

#[async_trait]
impl Manifests for BucketDestination {
    async fn published(&self, partition: &Partition) -> Result<Published> {
        let Shared { requests, layout, catalog, lease, peers, .. } = self.0.as_ref();
        if self.0.settings.is_joined {
            peers.look(partition, requests, layout, catalog, lease).await?;
            catalog.refresh_header(requests, layout, partition).await?;
        } else {
            catalog.refresh(requests, layout, partition).await?;
        }
        let is_damaged = self.0.settings.damage.is_in(partition);
        let published = catalog.published(partition)?;
        // A claim of this run's own says nothing about another one's work.
        let is_unsettled = published.is_unsettled && !(self.0.settings.is_joined && lease.has_afresh(partition));
        Ok(Published { is_damaged, is_unsettled, ..published })
    }

    async fn manifest(&self, partition: &Partition) -> Result<Option<PublishedManifest>> {
        let found = read_only::read_manifest(&self.0.requests, &self.0.layout, partition).await?;
        if let Some((manifest, version)) = &found {
            self.0.catalog.note_published(partition, Some((&manifest.header, version)));
        }
        Ok(found.map(|(manifest, _)| manifest))
    }
}

#[async_trait]
impl Destination for BucketDestination {
    async fn published_days(&self) -> Result<PublishedDays> {
        Ok(self.0.catalog.days())
    }

    async fn claim(&self, partition: &Partition) -> Result<Arc<dyn Claim>> {
        let is_joined = self.0.settings.is_joined;
        if is_joined && self.0.catalog.is_claimed(partition) {
            self.0.peers.pass_over(partition, &self.0.lease)?;
        }
        let claimed = Claimed::take(&self.0, partition).await;
        if claimed.as_ref().is_err_and(|error| error.kind() == ErrorKind::Held) {
            match is_joined {
                true => self.0.peers.note_outdated().await,
                false => self.0.catalog.note_held(partition),
            }
        }
        Ok(Arc::new(BucketClaim(claimed?)))
    }

    async fn discard_staged(&self, partition: &Partition) -> Result<()> {
        if !self.0.catalog.is_claimed(partition) {
            return Ok(());
        }
        match Claimed::take(&self.0, partition).await {
            // Then it is not left over, but another run's work.
            Err(error) if error.kind() == ErrorKind::Held => Ok(()),
            Err(error) => Err(error),
            Ok(claimed) => publish::undo(&claimed).await,
        }
    }

    async fn keep_report(&self, id: &str, report: &[u8]) -> Result<()> {
        let Shared { requests, layout, .. } = self.0.as_ref();
        requests.put_small(&layout.report(id), report.to_vec(), Condition::None).await?;
        let prefix = layout.reports();
        let names = requests.objects(&prefix).map_ok(|object| object.key[prefix.len()..].to_owned());
        let superfluous = reports::superfluous(names.try_collect().await?);
        let keys: Vec<String> = superfluous.iter().map(|name| format!("{prefix}{name}")).collect();
        requests.delete(&keys).await
    }

    fn buffers_objects(&self) -> bool {
        true
    }

    async fn habits(&self) -> Vec<&'static str> {
        self.0.requests.store.habits().await
    }

    async fn close(&self) -> Vec<String> {
        tokio::time::timeout(CLOSE_MAX, self.release()).await.unwrap_or_else(|_| {
            vec!["the bucket did not answer at the end; this run's lease ends by itself".to_owned()]
        })
    }
}

/// What is found out about a bucket without changing it.
#[derive(Clone, Debug)]
pub struct Examined {
    /// The account whose mirror it is; `None` where there is none yet.
    pub account_id: Option<String>,
    /// The published days.
    pub days: PublishedDays,
    /// The partitions that a run has begun and not ended, ascending by day.
    pub claimed: Vec<Partition>,
    /// Whether the server minds conditional writes.
    pub minds_conditions: bool,
    /// What the server does otherwise than its cloud.
    pub habits: Vec<&'static str>,
    /// The unfinished multipart uploads; `None` where they cannot be listed.
    pub uploads: Option<Vec<Upload>>,
    /// Whether a lifecycle rule removes such uploads; `None` where that cannot be seen.
    pub removes_unfinished_uploads: Option<bool>,
}
