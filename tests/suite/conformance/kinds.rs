//! The kinds of destinations.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use e3sync::clock::Clock;
use e3sync::credentials::AwsCredentials;
use e3sync::destination::bucket::{BucketDestination, BucketSettings, LeaseSettings, Store};
use e3sync::destination::directory::{DirectoryDestination, DirectorySettings};
use e3sync::destination::gcs::{GcsAccess, GcsStore, GcsStoreSettings};
use e3sync::destination::s3::{S3Store, S3StoreSettings};
use e3sync::destination::{Destination, PublishedSets};
use e3sync::error::Result;
use e3sync::export::AccountId;
use e3sync::net::NetSettings;
use e3sync::progress::Silent;
use e3sync::simulator::{Cloud, CustomerBucket, CustomerSettings};
use jiff::Timestamp;
use tempfile::TempDir;

/// A destination of a kind, empty at first.
#[async_trait]
pub trait Kind: Sync {
    async fn open_for(&self, account_id: &str, holder: &str) -> Result<Arc<dyn Destination>>;

    async fn look(&self) -> Box<dyn PublishedSets>;

    /// Everything outside the side folder, by its path.
    fn data(&self) -> BTreeMap<String, Vec<u8>>;

    /// Puts something where data is, as somebody else.
    fn put(&self, path: &str, content: &[u8]);
}

pub struct Directory(TempDir);

impl Directory {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }
}

#[async_trait]
impl Kind for Directory {
    async fn open_for(&self, account_id: &str, holder: &str) -> Result<Arc<dyn Destination>> {
        let path = self.0.path().to_owned();
        let settings = DirectorySettings {
            path,
            holder: holder.into(),
            keep_superseded: false,
            keep_replaced: Duration::ZERO,
            damage: Arc::default(),
            locks: true,
        };
        let clock = Arc::new(Clock::starting_at(Timestamp::now()));
        let account_id = AccountId::parse(account_id).unwrap();
        Ok(Arc::new(DirectoryDestination::open(settings, &account_id, Arc::new(Silent), clock)?))
    }

    async fn look(&self) -> Box<dyn PublishedSets> {
        Box::new(DirectoryDestination::read_only(self.0.path()).unwrap().expect("a mirror"))
    }

    fn data(&self) -> BTreeMap<String, Vec<u8>> {
        let paths = crate::harness::files_below(self.0.path()).into_keys();
        paths.map(|path| (path.clone(), std::fs::read(self.0.path().join(path)).unwrap())).collect()
    }

    fn put(&self, path: &str, content: &[u8]) {
        let path = self.0.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
}

pub struct Bucket {
    cloud: Cloud,
    bucket: CustomerBucket,
}

impl Bucket {
    pub async fn start(cloud: Cloud) -> Self {
        // Parts may be as small as the checks have them.
        let settings = CustomerSettings { part_bytes_min: 1, ..CustomerSettings::new("my-lake", Timestamp::now()) };
        Self { cloud, bucket: CustomerBucket::start(settings).await.unwrap() }
    }

    async fn store(&self) -> Arc<dyn Store> {
        let settings = self.bucket.settings();
        let (bucket, endpoint_url) = (settings.bucket.clone(), Some(self.bucket.url().parse().unwrap()));
        let (storage_class, net) = (None, NetSettings::default());
        if self.cloud == Cloud::Gcs {
            let access = GcsAccess::Token(settings.bearer.clone().into());
            let settings = GcsStoreSettings { bucket, endpoint_url, access, storage_class, net };
            return Arc::new(GcsStore::connect(settings, Arc::new(Clock::starting_at(Timestamp::now()))).unwrap());
        }
        let keys = AwsCredentials {
            access_key_id: settings.access_key.access_key_id.clone(),
            secret_access_key: settings.access_key.secret_access_key.clone().into(),
            session_token: None,
        };
        let settings = S3StoreSettings {
            bucket,
            region: Some(settings.region.clone()),
            endpoint_url,
            profile: None,
            sse: None,
            sse_kms_key_id: None,
            storage_class,
            tags: Vec::new(),
            acl: None,
            pays_requests: false,
            net,
        };
        let clock = Arc::new(Clock::starting_at(Timestamp::now()));
        Arc::new(S3Store::connect_with_keys(settings, keys, clock).await.unwrap())
    }

    fn settings(holder: &str) -> BucketSettings {
        BucketSettings {
            is_joined: false,
            damage: Arc::default(),
            prefix: "lake".into(),
            holder: holder.into(),
            keep_superseded: false,
            attempts_max: 2,
            spill_folder: std::env::temp_dir(),
            lease: LeaseSettings::default(),
        }
    }
}

#[async_trait]
impl Kind for Bucket {
    async fn open_for(&self, account_id: &str, holder: &str) -> Result<Arc<dyn Destination>> {
        let account_id = AccountId::parse(account_id).unwrap();
        let (store, settings) = (self.store().await, Self::settings(holder));
        let opened = BucketDestination::open(store, settings, &account_id, Arc::new(Silent), Arc::default());
        Ok(Arc::new(opened.await?))
    }

    async fn look(&self) -> Box<dyn PublishedSets> {
        let (store, settings) = (self.store().await, Self::settings(""));
        Box::new(BucketDestination::read_only(store, &settings, Arc::new(Silent), Arc::default()).await.unwrap())
    }

    fn data(&self) -> BTreeMap<String, Vec<u8>> {
        let objects = self.bucket.objects().into_iter();
        let below = objects.map(|(key, copy)| (key["lake/".len()..].to_owned(), copy.bytes.to_vec()));
        below.filter(|(path, _)| !path.starts_with("_e3sync/")).collect()
    }

    fn put(&self, path: &str, content: &[u8]) {
        self.bucket.put_object(&format!("lake/{path}"), content.to_vec());
    }
}
