use std::collections::BTreeMap;
use std::time::Duration;

use e3sync::simulator::{BucketOperation, Cloud, CustomerBucket, CustomerSettings, Gate, StoredCopy};
use jiff::Timestamp;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::{E3sync, Export, TODAY};

/// Nothing that a test waits for takes so long.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// The requests that change something in a bucket.
pub const WRITES: [BucketOperation; 9] = [
    BucketOperation::Put,
    BucketOperation::Copy,
    BucketOperation::CreateUpload,
    BucketOperation::UploadPart,
    BucketOperation::CopyPart,
    BucketOperation::CompleteUpload,
    BucketOperation::AbortUpload,
    BucketOperation::Delete,
    BucketOperation::DeleteMany,
];

/// Runs each check with an empty bucket at each cloud, as a test of its own.
macro_rules! for_each_lake {
    ($($check:ident)*) => {
        mod s3 {
            $(#[test]
            fn $check() {
                super::$check(&$crate::harness::CustomerLake::new(e3sync::simulator::Cloud::S3));
            })*
        }
        mod gcs {
            $(#[test]
            fn $check() {
                super::$check(&$crate::harness::CustomerLake::new(e3sync::simulator::Cloud::Gcs));
            })*
        }
    };
}
pub(crate) use for_each_lake;

/// A bucket of the user's own, as the binary is pointed at it: by the environment alone.
pub struct Lake {
    /// What the user types.
    pub address: String,
    environment: Vec<(&'static str, String)>,
    secret: (&'static str, String),
    home: TempDir,
}

impl Lake {
    /// A bucket at an endpoint, with the variables that let a run in, one of them secret.
    pub fn new(
        address: String,
        endpoint: &str,
        mut environment: Vec<(&'static str, String)>,
        secret: (&'static str, String),
    ) -> Self {
        environment.push(("E3SYNC_DEST_ENDPOINT_URL", endpoint.to_owned()));
        Self { address, environment, secret, home: tempfile::tempdir().unwrap() }
    }

    /// Points a call at the bucket.
    pub fn point(&self, command: E3sync) -> E3sync {
        let command = command.env("HOME", self.home.path().to_str().unwrap()).env("E3SYNC_DEST", &self.address);
        let command = self.environment.iter().fold(command, |command, (name, value)| command.env(name, value));
        command.secret_env(self.secret.0, &self.secret.1)
    }

    /// A call that mirrors from the export into the bucket.
    pub fn command(&self, export: &Export, verb: &str) -> E3sync {
        self.point(export.command(verb))
    }

    /// `sync` of all simulated days into the bucket.
    pub fn sync(&self, export: &Export) -> E3sync {
        let first = export.dates()[0].to_string();
        self.command(export, "sync").args(["--from", &first, "--today", TODAY])
    }
}

/// A bucket of the user's own on loopback that runs beside the test until dropped.
pub struct CustomerLake {
    lake: Lake,
    prefix: String,
    bucket: Option<CustomerBucket>,
    runtime: Runtime,
}

impl std::ops::Deref for CustomerLake {
    type Target = Lake;

    fn deref(&self) -> &Lake {
        &self.lake
    }
}

impl CustomerLake {
    /// A mirror below a prefix of an empty bucket.
    pub fn new(cloud: Cloud) -> Self {
        Self::below(cloud, "optimizely")
    }

    /// A mirror below a prefix as it is typed, which may be empty or end in a slash.
    pub fn below(cloud: Cloud, typed_prefix: &str) -> Self {
        Self::with(cloud, typed_prefix, |_| {})
    }

    /// A mirror in a bucket whose settings are changed before it starts.
    pub fn with(cloud: Cloud, typed_prefix: &str, change: impl FnOnce(&mut CustomerSettings)) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        // The clock must be the real one: signatures are checked against it.
        let mut settings = CustomerSettings::new("my-lake", Timestamp::now());
        change(&mut settings);
        let bucket = runtime.block_on(CustomerBucket::start(settings)).unwrap();
        let separator = if typed_prefix.is_empty() { "" } else { "/" };
        let address = format!("{}://my-lake{separator}{typed_prefix}", cloud.scheme());
        let settings = bucket.settings();
        let (environment, secret) = match cloud {
            Cloud::S3 => (
                vec![
                    ("AWS_ACCESS_KEY_ID", settings.access_key.access_key_id.clone()),
                    ("AWS_REGION", settings.region.clone()),
                ],
                ("AWS_SECRET_ACCESS_KEY", settings.access_key.secret_access_key.clone()),
            ),
            Cloud::Gcs => (Vec::new(), ("GOOGLE_OAUTH_ACCESS_TOKEN", settings.bearer.clone())),
        };
        let lake = Lake::new(address, &bucket.url(), environment, secret);
        let trimmed = typed_prefix.trim_matches('/');
        let prefix = if trimmed.is_empty() { String::new() } else { format!("{trimmed}/") };
        Self { lake, prefix, bucket: Some(bucket), runtime }
    }

    pub fn bucket(&self) -> &CustomerBucket {
        self.bucket.as_ref().unwrap()
    }

    /// What the bucket has below the mirror's prefix, by the rest of the key; without the reports, to
    /// which every run adds one.
    pub fn stored(&self) -> BTreeMap<String, StoredCopy> {
        let objects = self.bucket().objects().into_iter();
        objects
            .filter(|(key, _)| !key[self.prefix.len()..].starts_with("_e3sync/runs/"))
            .map(|(key, copy)| (key.strip_prefix(&self.prefix).expect("below the prefix").to_owned(), copy))
            .collect()
    }

    /// What readers take for data: the SHA-256 of each object by its path.
    pub fn data(&self) -> BTreeMap<String, String> {
        let stored = self.stored().into_iter().filter(|(path, _)| !path.starts_with("_e3sync/"));
        stored.map(|(path, copy)| (path, sha256_hex(&copy.bytes))).collect()
    }

    /// Where a reader that waits for `_SUCCESS` looks.
    pub fn has_success_marker(&self, partition: &str) -> bool {
        self.stored().contains_key(&format!("{partition}/_SUCCESS"))
    }

    /// The lines of a day's manifest.
    #[track_caller]
    pub fn manifest_lines(&self, partition: &str) -> Vec<Value> {
        let copy = self.stored().remove(&format!("_e3sync/manifests/{partition}.jsonl")).expect("a manifest");
        let text = std::str::from_utf8(&copy.bytes).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Fails the test unless the bucket has exactly the export's objects under their own keys, byte
    /// for byte, and nothing begun is left.
    #[track_caller]
    pub fn assert_is(&self, export: &Export) {
        self.assert_data_is(&export.objects().into_iter().collect());
    }

    /// Fails the test unless the bucket has exactly these objects, and nothing begun is left.
    #[track_caller]
    pub fn assert_data_is(&self, expected: &BTreeMap<String, String>) {
        assert!(!expected.is_empty(), "there is nothing to compare with");
        let found = self.data();
        for (path, sha256) in expected {
            assert_eq!(found.get(path), Some(sha256), "{path} is missing or differs");
        }
        let extra: Vec<_> = found.keys().filter(|path| !expected.contains_key(*path)).collect();
        assert!(extra.is_empty(), "objects that the export does not have: {extra:?}");
        self.assert_settled();
    }

    /// Fails the test if a run has left anything but manifests and what belongs to them.
    #[track_caller]
    pub fn assert_settled(&self) {
        let stored = self.stored();
        let side = stored.keys().filter_map(|path| path.strip_prefix("_e3sync/"));
        let is_kept = |name: &str| {
            let is_kept_aside = name.starts_with("superseded/") && name.ends_with(".superseded");
            let is_manifest = name.starts_with("manifests/") && name.ends_with(".jsonl");
            is_kept_aside
                || is_manifest
                || ["destination.json", "manifests.index.jsonl", "verification.json"].contains(&name)
        };
        let left: Vec<_> = side.filter(|name| !is_kept(name)).collect();
        assert!(left.is_empty(), "left in the side folder: {left:?}");
        let uploads = self.bucket().unfinished_uploads();
        assert!(uploads.is_empty(), "left unfinished: {uploads:?}");
    }

    /// The requests of an operation whose key is one of the data.
    pub fn data_requests(&self, operation: BucketOperation) -> usize {
        let log = self.bucket().requests().log;
        log.iter().filter(|request| request.operation == operation && is_data(&request.key)).count()
    }

    /// All requests that change something in the bucket.
    pub fn writes(&self) -> u64 {
        let requests = self.bucket().requests();
        WRITES.into_iter().map(|operation| requests.count(operation)).sum()
    }

    /// Waits until a request stands at the gate.
    pub fn wait_at(&self, gate: &Gate) {
        let arrived = self.runtime.block_on(async { tokio::time::timeout(WAIT_MAX, gate.arrived()).await });
        arrived.expect("no request came to the gate");
    }
}

impl Drop for CustomerLake {
    fn drop(&mut self) {
        if let Some(bucket) = self.bucket.take() {
            self.runtime.block_on(bucket.stop());
        }
    }
}

/// Whether a key is one of the source's objects, not of the side folder and not a marker.
fn is_data(key: &str) -> bool {
    !key.is_empty() && !key.contains("_e3sync/") && !key.ends_with("/_SUCCESS")
}

/// SHA-256 in hexadecimal.
pub fn sha256_hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
