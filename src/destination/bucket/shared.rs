//! What a bucket and its claimed partitions share.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OnceCell;

use super::catalog::Catalog;
use super::held::HeldRequests;
use super::journal::Journal;
use super::layout::Layout;
use super::lease::{Lease, LeaseSettings};
use super::peers::Peers;
use super::probe;
use super::requests::Permit as _;
use super::store::Upload;
use crate::destination::Damage;
use crate::error::Result;
use crate::export::{AccountId, Partition};

/// How a bucket is used as a destination.
#[derive(Clone, Debug)]
pub struct BucketSettings {
    /// What all keys of the mirror begin with; its data begins at `type=` below.
    pub prefix: String,
    /// Who this run is, for another run's message.
    pub holder: String,
    /// Whether replaced sets are kept aside instead of deleted.
    pub keep_superseded: bool,
    /// How often a failing request is repeated.
    pub attempts_max: u32,
    /// Where long listings are kept while they are needed; bytes of objects never are.
    pub spill_folder: PathBuf,
    /// When another run without a heartbeat counts as dead.
    pub lease: LeaseSettings,
    /// Whether the run works together with others on the same bucket.
    pub is_joined: bool,
    /// What is to be stored anew though it is published.
    pub damage: Arc<Damage>,
}

/// What a destination and its claimed partitions share.
pub(super) struct Shared {
    pub requests: Arc<HeldRequests>,
    pub layout: Layout,
    pub account_id: AccountId,
    pub settings: BucketSettings,
    /// This run's random number, by which it knows its own objects.
    pub run: u64,
    pub catalog: Catalog,
    pub lease: Arc<Lease>,
    /// What was finished of each partition that is claimed and not ended, to be written down at the
    /// end: a claim is gone by then where its partition failed.
    pub journals: Mutex<HashMap<Partition, Arc<Journal>>>,
    /// The multipart uploads that this run has begun and not completed, by key.
    pub uploads: Mutex<HashMap<String, Upload>>,
    /// Whether the destination was seen to be this account's, before the first publication.
    pub bound: OnceCell<()>,
    /// What other runs do, where this one works together with them.
    pub peers: Peers,
}

impl Shared {
    /// Makes the destination the account's, once for the run: one that published nothing leaves it to
    /// any account.
    ///
    /// # Errors
    /// [`ErrorKind::DestinationForeign`] where it has become another account's since the run began.
    pub async fn bind_to_account(&self) -> Result<()> {
        let bound = self.bound.get_or_try_init(|| probe::bind(&self.requests, &self.layout, &self.account_id));
        bound.await.copied()
    }

    /// The whole key of an object of a partition.
    pub fn key_of(&self, partition: &Partition, key: &str) -> String {
        format!("{}{key}", self.layout.partition(partition))
    }

    /// The partition's journal; one that is claimed again goes on with the one that it had.
    pub fn journal_of(&self, partition: &Partition) -> Arc<Journal> {
        let mut journals = self.journals.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || Journal::new(self.requests.clone(), self.layout.clone(), partition.clone(), self.run);
        journals.entry(partition.clone()).or_insert_with(|| Arc::new(new())).clone()
    }

    pub fn forget_journal(&self, partition: &Partition) {
        self.journals.lock().unwrap_or_else(PoisonError::into_inner).remove(partition);
    }

    /// Writes down what was finished, for the run that goes on with it.
    pub async fn flush_journals(&self) -> Result<()> {
        let journals: Vec<Arc<Journal>> =
            self.journals.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect();
        if !journals.is_empty() {
            // Another run that goes on in place of this one may have ended the work already.
            self.lease.assure().await?;
        }
        for journal in journals {
            journal.flush().await?;
        }
        Ok(())
    }

    /// Notes an upload; gives the one that was noted of the same object, which nobody ends any more.
    pub fn note_upload(&self, upload: &Upload) -> Option<Upload> {
        let mut uploads = self.uploads.lock().unwrap_or_else(PoisonError::into_inner);
        uploads.insert(upload.key.clone(), upload.clone()).filter(|other| other.id != upload.id)
    }

    /// The noted uploads of objects below a prefix, which are then noted no more.
    pub fn take_uploads_below(&self, prefix: &str) -> Vec<Upload> {
        let mut uploads = self.uploads.lock().unwrap_or_else(PoisonError::into_inner);
        uploads.extract_if(|key, _| key.starts_with(prefix)).map(|(_, upload)| upload).collect()
    }

    pub fn forget_upload_note(&self, key: &str) -> Option<Upload> {
        self.uploads.lock().unwrap_or_else(PoisonError::into_inner).remove(key)
    }

    /// Gives the upload of an object up, if one was begun.
    pub async fn forget_upload(&self, key: &str) -> Result<()> {
        match self.forget_upload_note(key) {
            Some(upload) => self.requests.abort_upload(&upload).await,
            None => Ok(()),
        }
    }
}
