//! The destination: a real directory, or a bucket in memory. What stands there is read and harmed
//! past the library.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use e3sync::clock::Clock;
use e3sync::destination::bucket::{BucketDestination, BucketSettings, LeaseSettings};
use e3sync::destination::directory::{DirectoryDestination, DirectorySettings};
use e3sync::destination::{Damage, Destination, NothingPublished, PublishedFiles};
use e3sync::error::Result;
use e3sync::export::AccountId;
use e3sync::progress::Counters;
use jiff::SignedDuration;
use tempfile::TempDir;

use crate::script::Script;
use crate::store::{Bucket, MemoryStore};

/// What all files of the destination have, by their paths.
pub type Files = BTreeMap<String, Vec<u8>>;

/// In what way a published file is harmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Harm {
    /// Other bytes of the same length.
    Rot,
    /// Shorter.
    Cut,
    /// Gone.
    Delete,
}

/// Where the mirror is.
pub enum Place {
    Directory { folder: TempDir, copies: usize },
    Bucket(Arc<Mutex<Bucket>>),
}

/// Where directories are made: in memory where there is such a place.
pub fn base() -> PathBuf {
    let shared_memory = Path::new("/dev/shm");
    match std::env::var_os("E3SYNC_MODEL_DIR") {
        Some(named) => named.into(),
        None if tempfile::tempfile_in(shared_memory).is_ok() => shared_memory.to_owned(),
        None => std::env::temp_dir(),
    }
}

fn lock(bucket: &Mutex<Bucket>) -> MutexGuard<'_, Bucket> {
    bucket.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Place {
    /// An empty directory.
    pub fn directory() -> Self {
        let folder = tempfile::Builder::new().prefix("e3sync-model-").tempdir_in(base()).unwrap();
        Self::Directory { folder, copies: 0 }
    }

    /// An empty bucket.
    pub fn bucket() -> Self {
        Self::Bucket(Arc::new(Mutex::new(Bucket::at(crate::run::now()))))
    }

    pub fn is_bucket(&self) -> bool {
        matches!(self, Self::Bucket(_))
    }

    fn path(&self) -> PathBuf {
        match self {
            Self::Directory { folder, copies } => folder.path().join(copies.to_string()),
            Self::Bucket(_) => PathBuf::new(),
        }
    }

    fn bucket_settings(damage: Damage, is_joined: bool) -> BucketSettings {
        BucketSettings {
            prefix: String::new(),
            holder: "the model".into(),
            keep_superseded: false,
            attempts_max: 1,
            spill_folder: base(),
            lease: LeaseSettings { duration: Duration::from_secs(30), interval: Duration::from_secs(3600) },
            is_joined,
            damage: Arc::new(damage),
        }
    }

    /// Opens the destination for a run.
    pub async fn open(&self, damage: Damage, script: &Arc<Script>) -> Result<Arc<dyn Destination>> {
        let account = AccountId::parse("1").unwrap();
        match self {
            Self::Directory { .. } => {
                let settings = DirectorySettings {
                    path: self.path(),
                    holder: "the model".into(),
                    keep_superseded: false,
                    keep_replaced: Duration::ZERO,
                    damage: Arc::new(damage),
                    locks: true,
                };
                let clock = Arc::new(Clock::starting_at(crate::run::now()));
                Ok(Arc::new(DirectoryDestination::open(settings, &account, script.clone(), clock)?))
            }
            Self::Bucket(bucket) => {
                let store = Arc::new(MemoryStore { bucket: bucket.clone(), script: script.clone() });
                let settings = Self::bucket_settings(damage, script.is_joined());
                let counters = Arc::new(Counters::default());
                Ok(Arc::new(BucketDestination::open(store, settings, &account, script.clone(), counters).await?))
            }
        }
    }

    /// Opens the destination to look at it.
    pub async fn look(&self, script: &Arc<Script>) -> Result<Arc<dyn PublishedFiles>> {
        match self {
            Self::Directory { .. } => match DirectoryDestination::read_only(&self.path())? {
                Some(directory) => Ok(Arc::new(directory)),
                None => Ok(Arc::new(NothingPublished)),
            },
            Self::Bucket(bucket) => {
                let store = Arc::new(MemoryStore { bucket: bucket.clone(), script: script.clone() });
                let (settings, counters) =
                    (Self::bucket_settings(Damage::default(), false), Arc::new(Counters::default()));
                Ok(Arc::new(BucketDestination::read_only(store, &settings, script.clone(), counters).await?))
            }
        }
    }

    /// Everything that stands there.
    pub fn files(&self) -> Files {
        let mut files = Files::new();
        match self {
            Self::Directory { .. } => read_tree(&self.path(), "", &mut files),
            Self::Bucket(bucket) => {
                files.extend(lock(bucket).objects.iter().map(|(key, object)| (key.clone(), object.bytes.clone())));
            }
        }
        files
    }

    /// Puts a file of somebody else there.
    pub fn put(&self, path: &str, bytes: &[u8]) {
        match self {
            Self::Directory { .. } => {
                let path = self.path().join(path);
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(path, bytes).unwrap();
            }
            Self::Bucket(bucket) => drop(lock(bucket).put(path, bytes.to_vec(), None)),
        }
    }

    /// Removes a file, and the folders that are empty then, as a person would.
    pub fn remove(&self, path: &str) {
        match self {
            Self::Directory { .. } => {
                let (root, path) = (self.path(), self.path().join(path));
                std::fs::remove_file(&path).unwrap();
                let folders = path.ancestors().skip(1).take_while(|folder| **folder != *root);
                folders.take_while(|folder| std::fs::remove_dir(folder).is_ok()).for_each(drop);
            }
            Self::Bucket(bucket) => drop(lock(bucket).objects.remove(path)),
        }
    }

    /// Harms a file that stands there with these bytes.
    pub fn harm(&self, path: &str, bytes: &[u8], harm: Harm) {
        match harm {
            Harm::Rot => self.put(path, &bytes.iter().map(|byte| byte ^ 1).collect::<Vec<_>>()),
            Harm::Cut => self.put(path, &bytes[..bytes.len() / 2]),
            Harm::Delete => match self {
                Self::Directory { .. } => std::fs::remove_file(self.path().join(path)).unwrap(),
                Self::Bucket(_) => self.remove(path),
            },
        }
    }

    /// Copies the whole mirror file by file and goes on with the copy: every inode is another one and
    /// no hard link is left. A bucket has nothing of this.
    pub fn copy(&mut self) {
        let before = self.path();
        if let Self::Directory { copies, .. } = self {
            *copies += 1;
            if before.exists() {
                copy_tree(&before, &self.path());
                std::fs::remove_dir_all(&before).unwrap();
            }
        }
    }

    /// Lets time pass at the bucket's server, so that a killed run's lease ends.
    pub fn let_time_pass(&self) {
        if let Self::Bucket(bucket) = self {
            lock(bucket).now += SignedDuration::from_hours(1);
        }
    }
}

fn read_tree(folder: &Path, prefix: &str, files: &mut Files) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries {
        let entry = entry.unwrap();
        let path = format!("{prefix}{}", entry.file_name().to_str().unwrap());
        if entry.file_type().unwrap().is_dir() {
            read_tree(&entry.path(), &format!("{path}/"), files);
        } else {
            files.insert(path, std::fs::read(entry.path()).unwrap());
        }
    }
}

fn copy_tree(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_tree(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}
