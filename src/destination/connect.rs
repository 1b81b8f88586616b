//! A destination's address and settings, and how they become a destination.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::bucket::{BucketDestination, BucketSettings, LeaseSettings, Store};
use super::directory::{DirectoryDestination, DirectorySettings};
use super::gcs::{GcsAccess, GcsStore, GcsStoreSettings};
use super::s3::{S3Store, S3StoreSettings};
use super::{Damage, Destination, NothingPublished, PublishedFiles, directory};
use crate::error::Result;
use crate::export::AccountId;
use crate::progress::Event;
use crate::retry::ATTEMPTS_MAX_DEFAULT;
use crate::source::Watch;

/// What a run without locks is told each time.
const WITHOUT_LOCKS: &str =
    "no lock is taken (--no-lock): nothing keeps a second run on this directory apart from this one";

/// What a run with a token of the user's is told each time.
const WITH_A_FIXED_TOKEN: &str = "the token in GOOGLE_OAUTH_ACCESS_TOKEN ends within an hour or so and is not renewed; for longer runs use --dest-token-command or a credentials file";

/// Where a mirror is.
#[derive(Clone, Debug)]
pub enum Address {
    /// In a local directory.
    Directory(PathBuf),
    /// In a bucket at S3, its keys below a prefix.
    S3 {
        /// The bucket.
        store: S3StoreSettings,
        /// What its keys begin with.
        prefix: String,
    },
    /// In a bucket at Google Cloud Storage, its keys below a prefix.
    Gcs {
        /// The bucket.
        store: GcsStoreSettings,
        /// What its keys begin with.
        prefix: String,
    },
}

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, bucket, prefix) = match self {
            Self::Directory(path) => return fmt::Display::fmt(&path.display(), formatter),
            Self::S3 { store, prefix } => ("s3", &store.bucket, prefix),
            Self::Gcs { store, prefix } => ("gs", &store.bucket, prefix),
        };
        let separator = if prefix.is_empty() { "" } else { "/" };
        write!(formatter, "{scheme}://{bucket}{separator}{prefix}")
    }
}

/// Maximum number of objects of a bucket read concurrently: each waits for the network.
const BUCKET_READERS: usize = 32;

impl Address {
    /// Number of files that are best read at once to verify them.
    pub fn readers_max(&self) -> usize {
        match self {
            Self::Directory(_) => std::thread::available_parallelism().map_or(2, usize::from),
            Self::S3 { .. } | Self::Gcs { .. } => BUCKET_READERS,
        }
    }
}

/// How a destination is used.
#[derive(Clone, Debug)]
pub struct DestinationSettings {
    /// Where it is.
    pub address: Address,
    /// Who this run is, for another run that finds it at work.
    pub holder: String,
    /// Whether replaced sets are kept aside instead of deleted.
    pub keep_superseded: bool,
    /// How long replaced sets of a directory stay where they are for readers that have them open.
    pub keep_replaced: Duration,
    /// How often a failing request to a bucket is repeated.
    pub attempts_max: u32,
    /// A folder for long listings, where the destination is a bucket; `/tmp` by default.
    pub temporary_folder: PathBuf,
    /// When another run on a bucket counts as dead.
    pub lease: LeaseSettings,
    /// Whether the run works together with others on the same destination, so that it asks again and again what
    /// they have done.
    pub is_joined: bool,
    /// What is to be fetched anew though it is published.
    pub damage: Arc<Damage>,
    /// Whether a directory's partitions are locked ([`DirectorySettings::locks`]); a bucket's always are.
    pub locks: bool,
}

/// How long replaced sets of a directory stay for readers, unless the settings say otherwise.
pub const KEEP_REPLACED_DEFAULT: Duration = Duration::from_secs(3600);

impl DestinationSettings {
    /// A destination that is used as usual.
    pub fn new(address: Address) -> Self {
        Self {
            address,
            holder: format!("process {}", std::process::id()),
            keep_superseded: false,
            keep_replaced: KEEP_REPLACED_DEFAULT,
            attempts_max: ATTEMPTS_MAX_DEFAULT,
            temporary_folder: PathBuf::from("/tmp"),
            lease: LeaseSettings::default(),
            is_joined: false,
            damage: Arc::default(),
            locks: true,
        }
    }

    /// Where long listings are kept while they are needed.
    pub fn spill_folder(&self) -> PathBuf {
        match &self.address {
            Address::Directory(path) => path.join(directory::SIDE_FOLDER).join("staging"),
            Address::S3 { .. } | Address::Gcs { .. } => self.temporary_folder.clone(),
        }
    }

    /// Opens the destination for an account's mirror.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::DestinationForeign`] for another account's mirror; what keeps it from being used.
    pub async fn open(&self, account_id: &AccountId, watch: &Watch) -> Result<Arc<dyn Destination>> {
        let (store, prefix) = match self.backend(watch).await? {
            Backend::Bucket(store, prefix) => (store, prefix),
            Backend::Directory(path) => {
                let settings = DirectorySettings {
                    path: path.clone(),
                    holder: self.holder.clone(),
                    keep_superseded: self.keep_superseded,
                    keep_replaced: self.keep_replaced,
                    damage: self.damage.clone(),
                    locks: self.locks,
                };
                if !self.locks {
                    watch.observer.observe(&Event::Warning { message: WITHOUT_LOCKS });
                }
                let (observer, clock) = (watch.observer.clone(), watch.clock.clone());
                return Ok(Arc::new(DirectoryDestination::open(settings, account_id, observer, clock)?));
            }
        };
        if matches!(&self.address, Address::Gcs { store, .. } if matches!(store.access, GcsAccess::Token(_))) {
            watch.observer.observe(&Event::Warning { message: WITH_A_FIXED_TOKEN });
        }
        let (observer, counters) = (watch.observer.clone(), watch.counters.clone());
        let settings = self.bucket_settings(prefix);
        Ok(Arc::new(BucketDestination::open(store, settings, account_id, observer, counters).await?))
    }

    /// Opens the destination to see what is published there; nothing is written.
    ///
    /// # Errors
    /// What keeps it from being read.
    pub async fn look(&self, watch: &Watch) -> Result<Arc<dyn PublishedFiles>> {
        let (store, prefix) = match self.backend(watch).await? {
            Backend::Bucket(store, prefix) => (store, prefix),
            Backend::Directory(path) => return look_at_directory(path, self.locks),
        };
        let (observer, counters) = (watch.observer.clone(), watch.counters.clone());
        let settings = self.bucket_settings(prefix);
        Ok(Arc::new(BucketDestination::read_only(store, &settings, observer, counters).await?))
    }

    pub(super) async fn backend(&self, watch: &Watch) -> Result<Backend<'_>> {
        Ok(match &self.address {
            Address::Directory(path) => Backend::Directory(path),
            Address::S3 { store, prefix } => {
                let store = S3Store::connect(store.clone(), watch.clock.clone()).await?;
                Backend::Bucket(Arc::new(store), prefix)
            }
            Address::Gcs { store, prefix } => {
                let store = GcsStore::connect(store.clone(), watch.clock.clone())?;
                Backend::Bucket(Arc::new(store), prefix)
            }
        })
    }

    pub(super) fn bucket_settings(&self, prefix: &str) -> BucketSettings {
        BucketSettings {
            prefix: prefix.to_owned(),
            holder: self.holder.clone(),
            keep_superseded: self.keep_superseded,
            attempts_max: self.attempts_max,
            spill_folder: self.temporary_folder.clone(),
            lease: self.lease,
            is_joined: self.is_joined,
            damage: self.damage.clone(),
        }
    }
}

/// What a mirror is kept in.
pub(super) enum Backend<'a> {
    Directory(&'a PathBuf),
    /// A bucket, and the prefix of its keys.
    Bucket(Arc<dyn Store>, &'a str),
}

fn look_at_directory(path: &Path, locks: bool) -> Result<Arc<dyn PublishedFiles>> {
    Ok(match DirectoryDestination::read_only(path)? {
        Some(directory) if locks => Arc::new(directory),
        Some(directory) => Arc::new(directory.without_locks()),
        None => Arc::new(NothingPublished),
    })
}
