//! What the user wants of the objects in the bucket: encryption, storage class, tags.

use e3sync::simulator::{BucketOperation, Cloud, Content, StoredCopy};

use crate::harness::{CustomerLake, Export};

/// One object in parts and some small ones, which are stored by other requests.
fn export() -> Export {
    let export = Export::with(|settings| {
        settings.days = 1;
        settings.types = vec!["events".into()];
        settings.objects_per_day = 3;
        settings.odd_names = false;
        settings.content = Content::Noise { size_bytes: 1000..=2000 };
    });
    let date = export.dates()[0];
    export.simulator().change().add_noise("events", date, "event=large/part-0.parquet", 22_000_000);
    export
}

fn data_of(lake: &CustomerLake) -> Vec<(String, StoredCopy)> {
    let data: Vec<_> = lake.stored().into_iter().filter(|(path, _)| path.ends_with(".parquet")).collect();
    assert_eq!(data.len(), 4);
    assert_eq!(data.iter().filter(|(_, copy)| copy.parts > 1).count(), 1);
    data
}

#[test]
fn s3_is_asked_for_encryption_class_and_tags() {
    let (export, lake) = (export(), CustomerLake::new(Cloud::S3));
    let key = "arn:aws:kms:eu-central-1:111122223333:key/1234";
    let terms = ["--sse", "aws:kms", "--sse-kms-key-id", key, "--storage-class", "STANDARD_IA"];
    let tags = ["--tag", "team=data & more", "--tag", "cost+center=42"];
    lake.sync(&export).args(terms).args(tags).args(["--part-size", "5MiB"]).run().expect(0);
    lake.assert_is(&export);
    for (path, copy) in data_of(&lake) {
        assert_eq!((copy.sse.as_deref(), copy.sse_kms_key_id.as_deref()), (Some("aws:kms"), Some(key)), "{path}");
        assert_eq!(copy.storage_class, "STANDARD_IA", "{path}");
        assert_eq!(copy.tags.as_deref(), Some("team=data%20%26%20more&cost%2Bcenter=42"), "{path}");
    }
    for (path, copy) in lake.stored().into_iter().filter(|(path, _)| !path.ends_with(".parquet")) {
        assert_eq!(copy.sse.as_deref(), Some("aws:kms"), "{path} tells of the data, and is encrypted as it is");
        assert_eq!(copy.storage_class, "STANDARD", "{path} is small and read at every run");
        assert_eq!(copy.tags, None, "{path}: tags are of data");
    }
}

#[test]
fn google_is_asked_for_a_storage_class() {
    let (export, lake) = (export(), CustomerLake::new(Cloud::Gcs));
    lake.sync(&export).args(["--storage-class", "NEARLINE", "--part-size", "5MiB"]).run().expect(0);
    lake.assert_is(&export);
    for (path, copy) in data_of(&lake) {
        assert_eq!(copy.storage_class, "NEARLINE", "{path}");
    }
    let manifests = lake.stored().into_iter().filter(|(path, _)| path.contains("manifests/"));
    for (path, copy) in manifests {
        assert_eq!(copy.storage_class, "STANDARD", "{path} is small and read at every run");
    }
}

#[test]
fn each_part_and_each_object_is_verified_by_the_bucket() {
    let (export, lake) = (export(), CustomerLake::new(Cloud::S3));
    lake.sync(&export).args(["--part-size", "5MiB"]).run().expect(0);
    for (path, copy) in data_of(&lake) {
        let wanted = if copy.parts > 1 { "x-amz-checksum-crc64nvme" } else { "x-amz-checksum-sha256" };
        assert!(copy.checksums.contains_key(wanted), "{path}: {:?}", copy.checksums);
        assert!(copy.metadata.contains_key("e3sync-origin"), "{path}: {:?}", copy.metadata);
    }
    let lake = CustomerLake::new(Cloud::Gcs);
    lake.sync(&export).args(["--part-size", "5MiB"]).run().expect(0);
    for (path, copy) in data_of(&lake) {
        assert!(copy.checksums["x-goog-hash"].contains("crc32c="), "{path}: {:?}", copy.checksums);
        assert!(copy.metadata.contains_key("e3sync-origin"), "{path}: {:?}", copy.metadata);
    }
    assert_eq!(lake.data_requests(BucketOperation::Head), 0, "what the bucket says at the end is enough");
}

#[test]
fn a_bucket_with_object_lock_and_one_with_versions_are_mirrored_into() {
    for cloud in Cloud::ALL {
        let export = Export::of_noise(2, 4);
        let lake = CustomerLake::with(cloud, "lake", |settings| {
            settings.is_versioned = true;
            settings.is_object_locked = true;
        });
        lake.sync(&export).run().expect(0);
        lake.assert_is(&export);
        export.simulator().change().rewrite_day("events", export.dates()[0], 100);
        lake.sync(&export).run().expect(0);
        lake.assert_is(&export);
    }
}
