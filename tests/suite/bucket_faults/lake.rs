use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use e3sync::simulator::{
    BucketFault, BucketOperation, Cloud, Content, CustomerBucket, CustomerSettings, Gate, InjectedBucketFault,
};
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};
use tokio::runtime::Runtime;

use crate::harness::{E3sync, Export, Finished, TODAY};

/// The bucket's name at both clouds.
pub const NAME: &str = "my-lake";

/// The prefix of the mirror.
pub const PREFIX: &str = "lake/";

/// The one day of most tests.
pub const DAY: &str = "2026-11-20";

/// That day's keys begin with this.
pub const DATA: &str = "lake/type=events/date=2026-11-20/";

/// A part of an upload: the least size that both clouds take.
pub const PART_BYTES: u64 = 5 * 1024 * 1024;

/// From this size on objects are uploaded in parts.
pub const LARGE_BYTES: u64 = 4 * PART_BYTES;

/// The objects of a set: keys with SHA-256.
pub type Set = BTreeMap<String, String>;

/// A simulated export, and a bucket on loopback into which it is mirrored.
pub struct Lake {
    pub export: Export,
    /// Whose protocol is spoken to the bucket.
    pub cloud: Cloud,
    runtime: Runtime,
    bucket: Option<CustomerBucket>,
}

impl Lake {
    /// One day of a few small objects.
    pub fn small(cloud: Cloud) -> Self {
        Self::of(cloud, export_of(4, 1_000..=4_000))
    }

    /// One day of one object that comes in parts.
    pub fn large(cloud: Cloud) -> Self {
        Self::of(cloud, export_of(1, LARGE_BYTES + 1..=LARGE_BYTES + 1))
    }

    pub fn of(cloud: Cloud, export: Export) -> Self {
        Self::with(cloud, export, |_| {})
    }

    /// A bucket whose settings are changed before it starts.
    pub fn with(cloud: Cloud, export: Export, change: impl FnOnce(&mut CustomerSettings)) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        // The clock must be the real one: signatures are checked against it.
        let mut settings = CustomerSettings::new(NAME, Timestamp::now());
        change(&mut settings);
        let bucket = runtime.block_on(CustomerBucket::start(settings)).unwrap();
        Self { export, cloud, runtime, bucket: Some(bucket) }
    }

    pub fn bucket(&self) -> &CustomerBucket {
        self.bucket.as_ref().unwrap()
    }

    pub fn address(&self) -> String {
        format!("{}://{NAME}/lake", if self.cloud == Cloud::S3 { "s3" } else { "gs" })
    }

    /// A command that may use the bucket, and in whose output no secret of either side may stand.
    pub fn command(&self, verb: &str) -> E3sync {
        self.without_credentials(verb)
            .env("AWS_ACCESS_KEY_ID", &self.bucket().settings().access_key.access_key_id)
            .env("AWS_SECRET_ACCESS_KEY", &self.bucket().settings().access_key.secret_access_key)
            .env("GOOGLE_OAUTH_ACCESS_TOKEN", &self.bucket().settings().bearer)
    }

    /// As [`Lake::command`], for a user who has no credentials for any bucket.
    pub fn without_credentials(&self, verb: &str) -> E3sync {
        let settings = self.bucket().settings();
        let command = self
            .export
            .command(verb)
            .env("E3SYNC_DEST_ENDPOINT_URL", &self.bucket().url())
            .env("E3SYNC_DEST_LEASE", "2")
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .secret(&settings.access_key.secret_access_key)
            .secret(&settings.bearer);
        if self.cloud == Cloud::S3 { command.env("E3SYNC_DEST_REGION", &settings.region) } else { command }
    }

    /// The rest of a call of `sync`.
    pub fn all_days(&self, command: E3sync) -> E3sync {
        let first = self.export.dates()[0].to_string();
        command.arg(self.address()).args(["--from", &first, "--today", TODAY, "--part-size", "5MiB"])
    }

    /// `sync` of all simulated days into the bucket.
    pub fn sync(&self) -> E3sync {
        self.all_days(self.command("sync"))
    }

    /// Publishes everything, writes the day anew at the source, and forgets the requests so far.
    pub fn publish_and_rewrite(&self) {
        self.sync().run().expect(0);
        self.rewrite();
        self.bucket().forget_requests();
        self.export.simulator().forget_requests();
    }

    /// Writes the one day anew at the source.
    pub fn rewrite(&self) {
        self.export.simulator().change().rewrite_day("events", DAY.parse().unwrap(), 100);
    }

    pub fn inject(&self, fault: BucketFault) -> InjectedBucketFault {
        self.bucket().inject(fault)
    }

    /// What the bucket has below a prefix.
    pub fn set_below(&self, prefix: &str) -> Set {
        let objects = self.bucket().objects().into_iter();
        let below = objects.filter(|(key, _)| key.starts_with(prefix));
        below.map(|(key, copy)| (key, sha256_of(&copy.bytes))).collect()
    }

    /// The whole mirror's data.
    pub fn data(&self) -> Set {
        self.set_below(&format!("{PREFIX}type="))
    }

    /// The export's objects under the keys that they are to have in the bucket.
    pub fn source(&self) -> Set {
        self.export.objects().into_iter().map(|(path, sha256)| (format!("{PREFIX}{path}"), sha256)).collect()
    }

    /// Fails the test unless the bucket has exactly the export's objects, with nothing left over.
    #[track_caller]
    pub fn assert_mirrored(&self, context: &str) {
        let (found, expected) = (self.data(), self.source());
        let missing: Vec<_> = expected.iter().filter(|(key, sum)| found.get(*key) != Some(*sum)).collect();
        assert!(missing.is_empty(), "{context}: missing or different: {missing:?}");
        let extra: Vec<_> = found.keys().filter(|key| !expected.contains_key(*key)).collect();
        assert!(extra.is_empty(), "{context}: the export does not have {extra:?}");
        self.assert_nothing_left(context);
    }

    /// Fails the test if staging or uploads are left.
    #[track_caller]
    pub fn assert_nothing_left(&self, context: &str) {
        let objects = self.bucket().objects();
        let left: Vec<_> = objects.keys().filter(|key| key.contains("/staging/")).collect();
        assert!(left.is_empty(), "{context}: left over: {left:?}");
        let uploads = self.bucket().unfinished_uploads();
        assert!(uploads.is_empty(), "{context}: unfinished uploads: {uploads:?}");
    }

    /// The day's set, if a reader that waits for `_SUCCESS` would take it.
    pub fn readable_day(&self) -> Option<Set> {
        let set = self.set_below(DATA);
        set.contains_key(&format!("{DATA}_SUCCESS")).then_some(set)
    }

    /// Waits until a request waits at the gate; the test fails if none ever comes.
    #[track_caller]
    pub fn wait_at(&self, gate: &Gate) {
        let arrived =
            self.runtime.block_on(async { tokio::time::timeout(Duration::from_secs(60), gate.arrived()).await });
        assert!(arrived.is_ok(), "no request came to the gate");
    }

    /// Waits for something that the bucket can tell; the test fails if it never comes.
    #[track_caller]
    pub fn wait_until(&self, what: &str, is_so: impl Fn(&CustomerBucket) -> bool) {
        let began = Instant::now();
        while !is_so(self.bucket()) {
            assert!(began.elapsed() < Duration::from_secs(60), "waited in vain until {what}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Runs until no dead run's lease holds it up any more, and gives the last run.
    #[track_caller]
    pub fn run_after_leases(&self, sync: impl Fn() -> E3sync) -> Finished {
        let began = Instant::now();
        loop {
            let finished = sync().run();
            if finished.code != Some(7) {
                return finished;
            }
            assert!(began.elapsed() < Duration::from_secs(60), "the lease never ends: {}", finished.stderr);
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// Runs until something is so; the test fails if it never is.
    #[track_caller]
    pub fn run_until(&self, what: &str, is_so: impl Fn() -> bool) {
        let began = Instant::now();
        while !is_so() {
            assert!(began.elapsed() < Duration::from_secs(60), "ran in vain until {what}");
            self.sync().run().expect(0);
        }
    }

    /// How often an operation on a key was asked for.
    pub fn asked(&self, operation: BucketOperation, key_part: &str) -> usize {
        let requests = self.bucket().requests();
        requests.log.iter().filter(|one| one.operation == operation && one.key.contains(key_part)).count()
    }
}

impl Drop for Lake {
    fn drop(&mut self) {
        if let Some(bucket) = self.bucket.take() {
            self.runtime.block_on(bucket.stop());
        }
    }
}

/// One day of events with so many objects of these sizes.
pub fn export_of(objects: u32, sizes: std::ops::RangeInclusive<u64>) -> Export {
    Export::with(|settings| {
        settings.days = 1;
        settings.types = vec!["events".into()];
        settings.objects_per_day = objects;
        settings.content = Content::Noise { size_bytes: sizes };
        settings.odd_names = false;
    })
}

fn sha256_of(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
