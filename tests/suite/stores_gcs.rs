//! The port to a bucket at Google Cloud Storage against moto, which answers the XML API's requests
//! as far as S3 has the same. It knows no `x-goog-` header: no checksum is sent back, no condition
//! minded, no metadata kept and nothing copied, and there are no generations. Of an upload that is
//! gone it says 500, or 200 where it was completed. The store's own tests have all that.

use std::sync::Arc;

use bytes::Bytes;
use e3sync::clock::Clock;
use e3sync::destination::bucket::{Condition, Part, Payload, Put, PutTerms, Store, Upload};
use e3sync::destination::gcs::{GcsAccess, GcsStore, GcsStoreSettings};
use e3sync::error::ErrorKind;
use e3sync::export::{ChecksumAlgorithm, Checksums};
use e3sync::hash::ObjectHasher;
use e3sync::net::NetSettings;
use futures::{StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;

use super::harness::{OpenMoto, python};

/// Without a hyphen: object_store escapes it in addresses, and moto takes the escape for the name.
const BUCKET: &str = "customers";

/// S3 and Google refuse smaller parts but for the last.
const PART_BYTES_MIN: usize = 5 * 1024 * 1024;

/// One listing page holds so many keys.
const PAGE_KEYS_MAX: usize = 1000;

const ODD_KEYS: [&str; 8] = [
    "odd/a%3Ab c(0);/größe+",
    "odd/%",
    "odd/%2F%25",
    "odd/type=decisions/date=2026-11-20/part-00000.snappy.parquet",
    "odd/'\"<&>#?[]{}|^~`*$@!,",
    "odd/ blank ",
    "odd/日本語",
    "odd/.hidden/..a",
];

fn connect(moto: &OpenMoto, bucket: &str) -> GcsStore {
    connect_as(moto, bucket, GcsAccess::Token("ya29.any".into()))
}

fn connect_as(moto: &OpenMoto, bucket: &str, access: GcsAccess) -> GcsStore {
    let settings = GcsStoreSettings {
        bucket: bucket.to_owned(),
        endpoint_url: Some(moto.endpoint().parse().unwrap()),
        access,
        storage_class: None,
        net: NetSettings::default(),
    };
    GcsStore::connect(settings, Arc::new(Clock::starting_at(Timestamp::now()))).unwrap()
}

fn checksums_of(bytes: &[u8]) -> Checksums {
    let mut hasher = ObjectHasher::for_checksums(&Checksums::default()).with(ChecksumAlgorithm::Crc32c);
    hasher.update(bytes);
    hasher.finish().1
}

fn payload_of(bytes: &[u8]) -> Payload {
    let mut payload = Payload::default();
    bytes.chunks(100_000).for_each(|chunk| payload.push(Bytes::copy_from_slice(chunk)));
    payload
}

async fn put(store: &dyn Store, key: &str, bytes: &[u8]) -> Put {
    let checksums = checksums_of(bytes);
    let terms = PutTerms { checksums: &checksums, condition: Condition::None, origin: Some("origin"), is_data: true };
    store.put(key, &payload_of(bytes), &terms).await.unwrap()
}

async fn bytes_of(store: &dyn Store, key: &str, bytes_max: Option<u64>) -> Option<Vec<u8>> {
    let fetched = store.get(key, bytes_max).await.unwrap()?;
    let chunks: Vec<Bytes> = fetched.body.try_collect().await.unwrap();
    Some(chunks.concat())
}

async fn keys_below(store: &dyn Store, prefix: &str) -> Vec<String> {
    let (mut keys, mut from) = (Vec::new(), None);
    loop {
        let page = store.list(prefix, from.as_ref()).await.unwrap();
        keys.extend(page.objects.into_iter().map(|object| object.key));
        from = page.next;
        if from.is_none() {
            return keys;
        }
    }
}

#[tokio::test]
async fn objects_are_stored_read_listed_and_deleted_under_odd_keys_too() {
    let Some(moto) = OpenMoto::start(BUCKET) else { return };
    let store = connect(&moto, BUCKET);
    assert_eq!((store.url(), store.checksum()), ("gs://customers", ChecksumAlgorithm::Crc32c));
    for (index, key) in ODD_KEYS.iter().enumerate() {
        // The first has no bytes.
        let bytes = key.as_bytes().repeat(index * 5000);
        assert!(matches!(put(&store, key, &bytes).await, Put::Stored(version) if !version.etag.is_empty()));
        assert_eq!(bytes_of(&store, key, None).await.as_ref(), Some(&bytes), "{key}");
        assert_eq!(store.head(key).await.unwrap().unwrap().size_bytes, bytes.len() as u64, "{key}");
    }
    let mut sorted = ODD_KEYS.map(str::to_owned).to_vec();
    sorted.sort();
    assert_eq!(keys_below(&store, "odd/").await, sorted);
    let page = store.list("odd/type=", None).await.unwrap();
    let object = &page.objects[0];
    assert_eq!((object.key.as_str(), object.size_bytes), (ODD_KEYS[3], ODD_KEYS[3].len() as u64 * 15_000));
    assert!(object.modified_at.is_some() && object.etag.is_some(), "{object:?}");
    assert_eq!(keys_below(&store, "elsewhere/").await, [""; 0]);

    sorted.push("odd/never-there".to_owned());
    store.delete(&sorted).await.unwrap();
    assert_eq!(keys_below(&store, "").await, [""; 0]);
    assert!(bytes_of(&store, ODD_KEYS[0], None).await.is_none());
    assert!(store.head(ODD_KEYS[0]).await.unwrap().is_none());
}

#[tokio::test]
async fn only_the_beginning_is_read_where_that_is_asked() {
    let Some(moto) = OpenMoto::start(BUCKET) else { return };
    let store = connect(&moto, BUCKET);
    put(&store, "k", b"0123456789").await;
    put(&store, "empty", b"").await;
    for (bytes_max, expected) in [(0, ""), (4, "0123"), (10, "0123456789"), (1000, "0123456789")] {
        assert_eq!(bytes_of(&store, "k", Some(bytes_max)).await.unwrap(), expected.as_bytes(), "{bytes_max}");
    }
    assert_eq!(bytes_of(&store, "empty", Some(4)).await.unwrap(), b"");
    assert!(bytes_of(&store, "none", Some(4)).await.is_none());
}

#[tokio::test]
async fn a_listing_goes_on_where_the_page_before_ended() {
    let Some(moto) = OpenMoto::start(BUCKET) else { return };
    let store = connect(&moto, BUCKET);
    let keys: Vec<_> = (0..=PAGE_KEYS_MAX).map(|number| format!("pages/{number:04} +%/k")).collect();
    let puts = futures::stream::iter(&keys).map(|key| put(&store, key, b"")).buffer_unordered(8);
    assert_eq!(puts.count().await, keys.len());
    let first = store.list("pages/", None).await.unwrap();
    assert_eq!(first.objects.len(), PAGE_KEYS_MAX);
    assert_eq!(keys_below(&store, "pages/").await, keys);
}

#[tokio::test]
async fn a_large_object_is_stored_in_parts() {
    let Some(moto) = OpenMoto::start(BUCKET) else { return };
    let store = connect(&moto, BUCKET);
    let key = ODD_KEYS[0];
    let bytes: Vec<u8> = (0..PART_BYTES_MIN + 1234).map(|index| (index % 251) as u8).collect();
    let id = store.begin_upload(key, "origin").await.unwrap();
    let upload = Upload { key: key.to_owned(), id };
    assert_eq!(store.uploads("odd/").await.unwrap().unwrap(), std::slice::from_ref(&upload));
    assert_eq!(keys_below(&store, "").await, [""; 0]);
    let mut parts = Vec::new();
    for (number, bytes) in (1..).zip(bytes.chunks(PART_BYTES_MIN)) {
        let etag = store.upload_part(&upload, number, &payload_of(bytes)).await.unwrap();
        parts.push(Part { number, size_bytes: bytes.len() as u64, etag });
    }
    let computed = checksums_of(&bytes);
    let stored = store.complete_upload(&upload, &parts, &computed, Condition::None).await.unwrap();
    assert!(matches!(stored, Put::Stored(version) if !version.etag.is_empty()));
    assert_eq!(bytes_of(&store, key, None).await.unwrap(), bytes);
    assert_eq!(store.uploads("").await.unwrap().unwrap(), []);
}

#[tokio::test]
async fn an_upload_that_is_given_up_is_gone() {
    let Some(moto) = OpenMoto::start(BUCKET) else { return };
    let store = connect(&moto, BUCKET);
    let id = store.begin_upload("k", "origin").await.unwrap();
    let upload = Upload { key: "k".to_owned(), id };
    store.upload_part(&upload, 1, &payload_of(b"part")).await.unwrap();
    store.abort_upload(&upload).await.unwrap();
    store.abort_upload(&upload).await.unwrap();
    assert_eq!(store.uploads("").await.unwrap().unwrap(), []);
    assert!(store.head("k").await.unwrap().is_none());
}

#[tokio::test]
async fn a_bucket_that_is_not_there_and_a_copy_that_copies_nothing_are_told() {
    let Some(moto) = OpenMoto::start(BUCKET) else { return };
    let absent = connect(&moto, "nosuchbucket");
    let error = absent.list("", None).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Usage, "{error}");
    assert_eq!(
        error.to_string(),
        "LIST gs://nosuchbucket/ failed (404 NoSuchBucket): The specified bucket does not exist"
    );
    let store = connect(&moto, BUCKET);
    assert_eq!(store.removes_unfinished_uploads("").await.unwrap(), Some(false));
    put(&store, "from", b"bytes").await;
    // moto does not know Google's header and stores an empty object instead.
    assert_eq!(store.copy("from", "to", 5).await.unwrap_err().kind(), ErrorKind::Protocol);
}

#[tokio::test]
async fn a_service_accounts_key_signs_tokens() {
    let (Some(moto), Some(python)) = (OpenMoto::start(BUCKET), python()) else { return };
    let make = "import json, sys\nfrom cryptography.hazmat.primitives import serialization as s\nfrom cryptography.hazmat.primitives.asymmetric import rsa\n\
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)\n\
        pem = key.private_bytes(s.Encoding.PEM, s.PrivateFormat.PKCS8, s.NoEncryption()).decode()\n\
        json.dump({'type': 'service_account', 'private_key': pem, 'private_key_id': 'id', 'client_email': 'a@b'}, open(sys.argv[1], 'w'))";
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key.json");
    python.eval(make, [&file]);
    let store = connect_as(&moto, BUCKET, GcsAccess::File { path: file, runs_programs: false });
    put(&store, "k", b"bytes").await;
    assert_eq!(bytes_of(&store, "k", None).await.unwrap(), b"bytes");
}
