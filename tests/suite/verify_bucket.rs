//! The same for a mirror in a bucket: by listing alone, and by reading every object.

use e3sync::simulator::{BucketOperation, CustomerBucket, CustomerSettings, Operation};
use jiff::Timestamp;
use tokio::runtime::Runtime;

use crate::harness::{E3sync, Export, TODAY};

const DAY: &str = "lake/type=events/date=2026-11-20/";

/// A customer's bucket with a mirror of an export.
struct Mirror {
    export: Export,
    bucket: CustomerBucket,
    _runtime: Runtime,
}

impl Mirror {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let settings = CustomerSettings::new("warehouse", Timestamp::now());
        let bucket = runtime.block_on(CustomerBucket::start(settings)).unwrap();
        let mirror = Self { export: Export::of_noise(2, 4), bucket, _runtime: runtime };
        let days = ["--from", "2026-11-19", "--today", TODAY];
        mirror.pointed(mirror.export.command("sync")).args(days).run().expect(0);
        mirror
    }

    fn pointed(&self, command: E3sync) -> E3sync {
        let settings = self.bucket.settings();
        command
            .arg("s3://warehouse/lake")
            .env("AWS_ACCESS_KEY_ID", &settings.access_key.access_key_id)
            .env("AWS_SECRET_ACCESS_KEY", &settings.access_key.secret_access_key)
            .env("E3SYNC_DEST_REGION", &settings.region)
            .env("E3SYNC_DEST_ENDPOINT_URL", &self.bucket.url())
    }

    fn verify(&self) -> E3sync {
        self.pointed(E3sync::new("verify")).args(["--today", TODAY])
    }

    /// The keys of the day that the tests harm, without the marker.
    fn keys(&self) -> Vec<String> {
        self.bucket.objects().into_keys().filter(|key| key.starts_with(DAY) && !key.ends_with("_SUCCESS")).collect()
    }
}

#[test]
fn a_bucket_is_verified_by_listing_and_by_reading() {
    let mirror = Mirror::new();
    mirror.bucket.forget_requests();
    mirror.verify().arg("--quick").run().expect(0);
    let gets = mirror.bucket.requests().count(BucketOperation::Get);
    assert!(gets < 16, "only manifests are read: {gets}");
    mirror.verify().run().expect(0);

    let keys = mirror.keys();
    let mut bytes = mirror.bucket.object(&keys[0]).unwrap().bytes.to_vec();
    bytes[7] ^= 1;
    mirror.bucket.put_object(&keys[0], bytes);
    assert!(mirror.bucket.remove_object(&keys[1]));
    mirror.bucket.put_object(&keys[2], "short");
    for arguments in [vec![], vec!["--quick"]] {
        let found = mirror.verify().args(&arguments).run().expect(5).stdout;
        assert!(found.contains("3 differ: 1 missing, 2 changed"), "{arguments:?}: {found}");
    }
    mirror.bucket.put_object(&format!("{DAY}notes.txt"), "mine");
    assert!(mirror.verify().arg("--quick").run().expect(5).stdout.contains("1 extra"));
}

#[test]
fn markers_of_folders_in_the_bucket_are_harmless_and_a_committers_work_is_foreign() {
    let mirror = Mirror::new();
    mirror.bucket.put_object(&format!("{DAY}event=a_$folder$"), "");
    mirror.bucket.put_object(&format!("{DAY}event=b/"), "");
    mirror.verify().run().expect(0);
    let day = "2026-11-20".parse().unwrap();
    let sync = || mirror.pointed(mirror.export.command("sync")).args(["--from", "2026-11-19", "--today", TODAY]).run();
    mirror.export.simulator().change().rewrite_day("events", day, 100);
    sync().expect(0);
    assert!(mirror.bucket.object(&format!("{DAY}event=a_$folder$")).is_some());
    mirror.bucket.put_object(&format!("{DAY}_temporary/0/part-0.parquet"), "somebody's");
    assert!(mirror.verify().arg("--quick").run().expect(5).stdout.contains("1 extra"));
    mirror.export.simulator().change().rewrite_day("events", day, 100);
    sync().expect(3).says("_temporary/0/part-0.parquet was not stored by e3sync");
    assert!(mirror.bucket.object(&format!("{DAY}_temporary/0/part-0.parquet")).is_some());
}

#[test]
fn a_bucket_is_repaired_with_what_differs() {
    let mirror = Mirror::new();
    let keys = mirror.keys();
    let before = mirror.bucket.objects();
    let mut bytes = mirror.bucket.object(&keys[0]).unwrap().bytes.to_vec();
    bytes[7] ^= 1;
    mirror.bucket.put_object(&keys[0], bytes);
    assert!(mirror.bucket.remove_object(&keys[1]));
    mirror.export.simulator().forget_requests();
    let repair = || mirror.pointed(mirror.export.command("verify")).args(["--today", TODAY, "--repair"]).run();
    repair().expect(0);
    assert_eq!(mirror.export.simulator().requests().of(Operation::Get), 2);
    for key in &keys {
        assert_eq!(mirror.bucket.object(key).unwrap().bytes, before[key].bytes, "{key}");
    }
    assert!(mirror.bucket.object(&format!("{DAY}_SUCCESS")).is_some());
    mirror.verify().run().expect(0);

    mirror.bucket.put_object(&format!("{DAY}notes.txt"), "mine");
    let refused = repair().expect(5);
    assert!(refused.stdout.contains("it has objects that e3sync did not store"), "{}", refused.stdout);
    assert!(mirror.bucket.object(&format!("{DAY}notes.txt")).is_some());
}

#[test]
fn a_buckets_manifests_are_exported_with_whole_addresses() {
    let mirror = Mirror::new();
    let exported =
        |form: &str| mirror.pointed(E3sync::new("export-manifest")).args(["--format", form]).run().expect(0).stdout;
    let uris = exported("uris");
    assert_eq!(uris.lines().count(), 16);
    assert!(uris.lines().all(|uri| mirror.bucket.object(uri.strip_prefix("s3://warehouse/").unwrap()).is_some()));
    let redshift: serde_json::Value = serde_json::from_str(&exported("redshift")).unwrap();
    let entries = redshift["entries"].as_array().unwrap();
    assert_eq!(entries.len(), 16);
    for entry in entries {
        let key = entry["url"].as_str().unwrap().strip_prefix("s3://warehouse/").unwrap();
        assert_eq!(entry["meta"]["content_length"], mirror.bucket.object(key).unwrap().bytes.len());
    }
    assert!(exported("snowflake").contains("'type=events/date=2026-11-20/event="), "relative to the stage");
}
