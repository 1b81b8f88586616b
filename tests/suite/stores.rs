//! One list of checks for every kind of bucket, over servers that we did not write.

use std::collections::BTreeSet;
use std::process::Command;
use std::sync::Arc;

use e3sync::clock::Clock;
use e3sync::credentials::AwsCredentials;
use e3sync::destination::bucket::{Condition, DELETES_MAX, Part, Payload, Put, PutTerms, Store, Upload, Version};
use e3sync::destination::gcs::{GcsAccess, GcsStore, GcsStoreSettings};
use e3sync::destination::s3::{S3Store, S3StoreSettings};
use e3sync::error::{ErrorKind, Result};
use e3sync::export::{ChecksumAlgorithm, Checksums};
use e3sync::hash::ObjectHasher;
use e3sync::net::NetSettings;
use e3sync::simulator::{CustomerBucket, CustomerSettings};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use jiff::Timestamp;
use secrecy::ExposeSecret as _;

use crate::harness::{Moto, S3s, Server, output_of};

/// The smallest part that S3 takes, but for the last.
const PART_BYTES: usize = 5 * 1024 * 1024;

/// Names that clients and servers are known to spoil.
const ODD_KEYS: [&str; 8] = [
    "odd/a%3Ab c(0);/größe+",
    "odd/a%2Fb",
    "odd/=&?#$,@",
    "odd/100%",
    "odd/'single' \"double\"",
    "odd/<tag>&amp;",
    "odd/snow-\u{2603}-\u{1f600}",
    "odd/type=decisions/date=2026-11-20/experiment=1/part-0.c000.snappy.parquet",
];

/// What a server does otherwise than the cloud that it stands for.
#[derive(Clone, Copy)]
struct Gaps {
    /// It stores bytes that differ from the checksum which was sent along.
    ignores_wrong_checksums: bool,
    /// It makes an object of parts whatever its checksum, as long as nothing else is wrong.
    ignores_wrong_checksums_of_parts: bool,
    /// It cannot say which uploads are unfinished.
    hides_uploads: bool,
    /// Whether it knows that a bucket without rules has none.
    cleaning_rule: Option<bool>,
    /// Its listings tell no ETag.
    lists_no_etag: bool,
    /// It refuses bytes of another checksum, but only after it has put them in their place.
    keeps_refused_bytes: bool,
    /// It takes an object for a bucket that there is not.
    makes_buckets: bool,
    /// What becomes of requests about an upload that is gone.
    lost_upload: ErrorKind,
}

#[test]
fn moto_passes() {
    let Some(moto) = Moto::start() else { return };
    check(
        &moto,
        Gaps {
            ignores_wrong_checksums: true,
            ignores_wrong_checksums_of_parts: true,
            hides_uploads: false,
            cleaning_rule: Some(false),
            lists_no_etag: false,
            keeps_refused_bytes: false,
            makes_buckets: false,
            // Status 500: it looks the upload up without a check.
            lost_upload: ErrorKind::Unavailable,
        },
    );
}

#[test]
fn s3s_passes() {
    let Some(s3s) = S3s::start() else { return };
    check(
        &s3s,
        Gaps {
            ignores_wrong_checksums: false,
            ignores_wrong_checksums_of_parts: true,
            hides_uploads: true,
            cleaning_rule: None,
            lists_no_etag: true,
            keeps_refused_bytes: true,
            makes_buckets: true,
            // An upload that is gone is nobody's.
            lost_upload: ErrorKind::AccessDenied,
        },
    );
}

/// Whose keys a store uses, with what the user's AWS settings are in a process of their own.
#[test]
fn credentials_come_from_the_named_profile_else_from_the_default_chain() {
    let Some(s3s) = S3s::start() else { return };
    let folder = tempfile::tempdir().unwrap();
    let (config, credentials) = (folder.path().join("config"), folder.path().join("credentials"));
    let keys = keys_of(&s3s);
    let (id, secret) = (&keys.access_key_id, keys.secret_access_key.expose_secret());
    std::fs::write(&credentials, format!("[good]\naws_access_key_id = {id}\naws_secret_access_key = {secret}\n"))
        .unwrap();
    let printed = format!(r#"{{"Version": 1, "AccessKeyId": "{id}", "SecretAccessKey": "{secret}"}}"#);
    let printing = folder.path().join("print.json");
    std::fs::write(&printing, printed).unwrap();
    let process = format!("[profile process]\ncredential_process = cat {}\n", printing.display());
    std::fs::write(&config, format!("[profile good]\nregion = eu-west-1\n{process}")).unwrap();
    let ask = |profile: &str, keys: Option<(&str, &str)>, endpoint: &str| {
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args(["--exact", "stores::a_store_of_this_process", "--ignored", "--nocapture"]).env_clear();
        child.env("AWS_CONFIG_FILE", &config).env("AWS_SHARED_CREDENTIALS_FILE", &credentials);
        child.env("AWS_EC2_METADATA_DISABLED", "true").env("PATH", std::env::var_os("PATH").unwrap_or_default());
        child.env("E3SYNC_TEST_STORE", format!("{profile} {} {endpoint}", s3s.writer().bucket));
        if let Some((id, secret)) = keys {
            child.env("AWS_ACCESS_KEY_ID", id).env("AWS_SECRET_ACCESS_KEY", secret);
        }
        let said = output_of(&mut child);
        assert!(!said.contains(secret), "{said}");
        said
    };
    let (server, wrong) = (s3s.writer().endpoint.as_str(), Some(("AKIAOFANOTHER", "another-secret")));
    assert!(ask("-", Some((id, secret)), server).contains("listed"));
    assert!(ask("good", wrong, server).contains("listed"), "the environment wins over the profile");
    assert!(ask("process", wrong, server).contains("listed"));
    let none = ask("-", None, server);
    assert!(
        none.contains("usage: LIST s3://export/: no AWS credentials were found") && none.contains("--dest-profile"),
        "{none}"
    );
    let unknown = ask("unknown", Some((id, secret)), server);
    assert!(unknown.contains("usage: ") && unknown.contains("`unknown`"), "{unknown}");
    let lost = ask("-", Some((id, secret)), "-");
    assert!(lost.contains("usage: no region is known for s3://") && lost.contains("--dest-region"), "{lost}");
}

#[test]
#[ignore = "the test above runs it in a process of its own, whose environment it makes"]
fn a_store_of_this_process() {
    let Ok(asked) = std::env::var("E3SYNC_TEST_STORE") else { return };
    let [profile, bucket, endpoint] = asked.split(' ').collect::<Vec<_>>()[..] else { panic!("{asked}") };
    let settings = S3StoreSettings {
        bucket: bucket.to_owned(),
        endpoint_url: (endpoint != "-").then(|| endpoint.parse().unwrap()),
        profile: (profile != "-").then(|| profile.to_owned()),
        ..settings_for("http://127.0.0.1:1", bucket)
    };
    let listed = runtime().block_on(async { S3Store::connect(settings, clock()).await?.list("", None).await });
    match listed {
        Ok(page) => println!("listed {} objects", page.objects.len()),
        Err(error) => println!("{error:?}\nhint: {}", error.hint().unwrap_or_default()),
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

fn check(server: &dyn Server, gaps: Gaps) {
    runtime().block_on(async {
        let store = s3_store(server, |_| {}).await;
        check_store(&store, gaps).await;
        check_refusals(server, gaps).await;
    });
}

/// All that the bucket logic relies on.
async fn check_store(store: &dyn Store, gaps: Gaps) {
    check_objects(store).await;
    check_conditions(store).await;
    check_listing(store, gaps).await;
    check_checksums(store, gaps).await;
    check_uploads(store, gaps).await;
    check_lost_uploads(store, gaps).await;
    check_copies(store).await;
    assert_eq!(store.removes_unfinished_uploads("mirror/").await.unwrap(), gaps.cleaning_rule);
}

async fn check_objects(store: &dyn Store) {
    for (number, key) in ODD_KEYS.into_iter().enumerate() {
        let bytes = bytes_of(number * 1000, number as u8);
        let put = put(store, key, &bytes, Condition::None).await.unwrap();
        assert!(matches!(&put, Put::Stored(version) if !version.etag.is_empty()), "{key}: {put:?}");
        assert_eq!(get(store, key, None).await, Some(bytes.clone()), "{key}");
        let described = store.head(key).await.unwrap().unwrap();
        assert_eq!((described.size_bytes, described.origin.as_deref()), (bytes.len() as u64, Some("test/1")), "{key}");
    }
    let empty = ODD_KEYS[0];
    assert_eq!(get(store, empty, Some(10)).await.unwrap(), b"");
    let key = ODD_KEYS[1];
    assert_eq!(get(store, key, Some(7)).await.unwrap(), bytes_of(7, 1));
    assert_eq!(get(store, key, Some(5000)).await.unwrap(), bytes_of(1000, 1));
    assert_eq!(get(store, "odd/missing", None).await, None);
    assert_eq!(get(store, "odd/missing", Some(1)).await, None);
    assert_eq!(store.head("odd/missing").await.unwrap(), None);
    let listed: BTreeSet<_> = store.list("odd/", None).await.unwrap().objects.into_iter().map(|o| o.key).collect();
    assert_eq!(listed, ODD_KEYS.into_iter().map(str::to_owned).collect());
    let keys = ODD_KEYS.map(str::to_owned);
    store.delete(&keys).await.unwrap();
    store.delete(&keys).await.expect("what is not there counts as deleted");
    store.delete(&[]).await.unwrap();
    assert!(store.list("odd/", None).await.unwrap().objects.is_empty());
}

async fn check_conditions(store: &dyn Store) {
    let first = stored(put(store, "conditions", b"first", Condition::IfAbsent).await);
    assert_eq!(put(store, "conditions", b"other", Condition::IfAbsent).await.unwrap(), Put::Refused);
    let second = stored(put(store, "conditions", b"second", Condition::IfMatch(&first)).await);
    assert_eq!(put(store, "conditions", b"third", Condition::IfMatch(&first)).await.unwrap(), Put::Refused);
    assert_eq!(get(store, "conditions", None).await.unwrap(), b"second");
    assert_eq!(store.get("conditions", None).await.unwrap().unwrap().version, second);
    assert_eq!(put(store, "nothing-here", b"x", Condition::IfMatch(&first)).await.unwrap(), Put::Refused);
}

/// More than one page: begins, goes on, ends; in order, nothing twice.
async fn check_listing(store: &dyn Store, gaps: Gaps) {
    let keys: Vec<_> = (0..DELETES_MAX + 3).map(|number| format!("pages/{number:04}")).collect();
    let puts = stream::iter(&keys).map(async |key| put(store, key, b"x", Condition::None).await);
    puts.buffer_unordered(16).try_collect::<Vec<_>>().await.unwrap();
    let (mut listed, mut from) = (Vec::new(), None);
    loop {
        let page = store.list("pages/", from.as_ref()).await.unwrap();
        listed.extend(page.objects);
        let Some(next) = page.next else { break };
        from = Some(next);
    }
    assert!(from.is_some(), "it was all on one page");
    assert_eq!(listed.iter().map(|object| object.key.clone()).collect::<Vec<_>>(), keys);
    let object = &listed[0];
    assert_eq!((object.size_bytes, object.etag.is_none()), (1, gaps.lists_no_etag));
    let age = jiff::Timestamp::now().duration_since(object.modified_at.unwrap());
    assert!(age.abs() < jiff::SignedDuration::from_mins(10), "{age}");
    for keys in keys.chunks(DELETES_MAX) {
        store.delete(keys).await.unwrap();
    }
    assert!(store.list("pages/", None).await.unwrap().objects.is_empty());
    assert!(store.list("no such prefix/", None).await.unwrap().objects.is_empty());
}

async fn check_checksums(store: &dyn Store, gaps: Gaps) {
    let checksums = checksums_of(b"the bytes that were read");
    let terms = PutTerms { checksums: &checksums, condition: Condition::None, origin: None, is_data: true };
    let answer = store.put("altered", &payload_of(b"the bytes that were sent"), &terms).await;
    if gaps.ignores_wrong_checksums {
        return;
    }
    assert_eq!(answer.unwrap_err().kind(), ErrorKind::ChecksumMismatch);
    assert_eq!(store.head("altered").await.unwrap().is_some(), gaps.keeps_refused_bytes);
}

async fn check_uploads(store: &dyn Store, gaps: Gaps) {
    let key = "parts/a b+c";
    let parts = [bytes_of(PART_BYTES, 1), bytes_of(PART_BYTES, 2), bytes_of(1000, 3)];
    let computed = checksums_of(&parts.concat());
    let (upload, uploaded) = upload(store, key, &parts).await;
    match store.uploads("parts/").await.unwrap() {
        Some(uploads) => assert_eq!(uploads, std::slice::from_ref(&upload)),
        None => assert!(gaps.hides_uploads),
    }
    let complete = store.complete_upload(&upload, &uploaded, &computed, Condition::IfAbsent);
    let version = stored(complete.await);
    assert!(get(store, key, None).await.unwrap() == parts.concat(), "the contents differ");
    let described = store.head(key).await.unwrap().unwrap();
    assert_eq!(described.size_bytes, 2 * PART_BYTES as u64 + 1000);
    assert_eq!(described.origin.as_deref(), Some("test/2"));
    assert_eq!(store.get(key, Some(1)).await.unwrap().unwrap().version, version);
    assert_eq!(get(store, key, Some(PART_BYTES as u64 + 1)).await.unwrap().len(), PART_BYTES + 1);

    let (upload, uploaded) = self::upload(store, key, &parts[2..]).await;
    let computed = checksums_of(&parts[2]);
    let refused = store.complete_upload(&upload, &uploaded, &computed, Condition::IfAbsent).await.unwrap();
    assert_eq!(refused, Put::Refused);
    store.abort_upload(&upload).await.unwrap();

    let (upload, uploaded) = self::upload(store, key, &parts[2..]).await;
    let other = checksums_of(b"other bytes");
    let answer = store.complete_upload(&upload, &uploaded, &other, Condition::None).await;
    if gaps.ignores_wrong_checksums_of_parts {
        return;
    }
    assert_eq!(answer.unwrap_err().kind(), ErrorKind::ChecksumMismatch);
}

async fn check_lost_uploads(store: &dyn Store, gaps: Gaps) {
    let bytes = bytes_of(1000, 4);
    let (upload, uploaded) = upload(store, "lost/a", std::slice::from_ref(&bytes)).await;
    store.abort_upload(&upload).await.unwrap();
    if gaps.lost_upload != ErrorKind::AccessDenied {
        store.abort_upload(&upload).await.expect("an upload that is gone counts as given up");
    }
    let computed = checksums_of(&bytes);
    let error = store.complete_upload(&upload, &uploaded, &computed, Condition::None).await.unwrap_err();
    assert_eq!(error.kind(), gaps.lost_upload, "{error}");
    let error = store.upload_part(&upload, 2, &payload_of(&bytes)).await.unwrap_err();
    assert_eq!(error.kind(), gaps.lost_upload, "{error}");
    assert_eq!(store.head("lost/a").await.unwrap(), None);
}

async fn check_copies(store: &dyn Store) {
    let bytes = bytes_of(3000, 5);
    for key in ODD_KEYS {
        put(store, key, &bytes, Condition::None).await.unwrap();
        let to = format!("copies/{key}");
        store.copy(key, &to, bytes.len() as u64).await.unwrap();
        assert_eq!(get(store, &to, None).await.as_ref(), Some(&bytes), "{key}");
        assert_eq!(store.head(&to).await.unwrap().unwrap().origin.as_deref(), Some("test/1"), "{key}");
    }
    assert!(store.copy("odd/missing", "copies/missing", 1).await.is_err());
    assert_eq!(store.head("copies/missing").await.unwrap(), None);
}

/// Google's uploads in parts end whatever is there; what they made is copied into its place under the condition.
#[tokio::test(flavor = "multi_thread")]
async fn a_copy_at_google_minds_what_it_copies_and_what_it_replaces() {
    let settings = CustomerSettings { part_bytes_min: 1, ..CustomerSettings::new("my-lake", Timestamp::now()) };
    let bucket = CustomerBucket::start(settings).await.unwrap();
    let (access, endpoint_url) = (bucket.settings().bearer.clone().into(), Some(bucket.url().parse().unwrap()));
    let (name, access, net) = ("my-lake".to_owned(), GcsAccess::Token(access), NetSettings::default());
    let settings = GcsStoreSettings { bucket: name, endpoint_url, access, storage_class: None, net };
    let store = GcsStore::connect(settings, clock()).unwrap();
    for key in ODD_KEYS {
        let beside = store.place_before_copy(key).expect("Google's completion knows no conditions");
        let place = async |bytes: &[u8]| {
            let (upload, parts) = upload(&store, &beside, &[bytes.to_vec(), bytes.to_vec()]).await;
            let whole = [bytes, bytes].concat();
            let computed = checksums_of(&whole);
            let made = stored(store.complete_upload(&upload, &parts, &computed, Condition::None).await);
            (made, computed, whole)
        };
        let (first, computed, whole) = place(b"first").await;
        let copied = stored(store.copy_if((&beside, &first), key, &computed, Condition::IfAbsent).await);
        assert_eq!(store.get(key, None).await.unwrap().unwrap().version, copied, "{key}");
        assert_eq!(get(&store, key, None).await.unwrap(), whole, "{key}");

        let (second, computed, whole) = place(b"second").await;
        let copy = |from, condition| store.copy_if((&beside, from), key, &computed, condition);
        assert_eq!(copy(&second, Condition::IfAbsent).await.unwrap(), Put::Refused, "{key}");
        assert_eq!(copy(&second, Condition::IfMatch(&second)).await.unwrap(), Put::Refused, "{key}");
        assert_eq!(copy(&first, Condition::IfMatch(&copied)).await.unwrap(), Put::Refused, "{key}");
        assert_eq!(store.head(key).await.unwrap().unwrap().version, copied, "{key}");
        stored(copy(&second, Condition::IfMatch(&copied)).await);
        assert_eq!(get(&store, key, None).await.unwrap(), whole, "{key}");
    }
    bucket.stop().await;
}

/// Who may not write is told so, and no message holds a secret.
async fn check_refusals(server: &dyn Server, gaps: Gaps) {
    if !gaps.makes_buckets {
        let store = s3_store(server, |settings| settings.bucket = "no-such-bucket".to_owned()).await;
        let error = put(&store, "a\u{1b}b", b"x", Condition::None).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Usage, "{error}");
        let text = error.to_string();
        assert!(text.starts_with("PUT s3://no-such-bucket/a\\u{1b}b failed (404 NoSuchBucket"), "{text}");
    }
    let (keys, secret) = (keys_of(server), "0123456789012345678901234567890123456789");
    let wrong = AwsCredentials { secret_access_key: secret.to_owned().into(), ..keys };
    let settings = settings_of(server);
    let store = S3Store::connect_with_keys(settings, wrong, clock()).await.unwrap();
    for error in [
        put(&store, "a", b"x", Condition::None).await.unwrap_err(),
        store.list("", None).await.unwrap_err(),
        store.head("a").await.unwrap_err(),
        store.delete(&["a".to_owned()]).await.unwrap_err(),
        store.begin_upload("a", "test/3").await.unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::AccessDenied, "{error}");
        assert!(error.hint().is_some());
        assert!(!error.to_string().contains(secret));
    }
}

async fn s3_store(server: &dyn Server, change: impl FnOnce(&mut S3StoreSettings)) -> S3Store {
    let mut settings = settings_of(server);
    change(&mut settings);
    S3Store::connect_with_keys(settings, keys_of(server), clock()).await.unwrap()
}

fn clock() -> Arc<Clock> {
    Arc::new(Clock::starting_at(jiff::Timestamp::now()))
}

fn settings_of(server: &dyn Server) -> S3StoreSettings {
    settings_for(&server.writer().endpoint, &server.writer().bucket)
}

fn settings_for(endpoint: &str, bucket: &str) -> S3StoreSettings {
    S3StoreSettings {
        bucket: bucket.to_owned(),
        region: None,
        endpoint_url: Some(endpoint.parse().unwrap()),
        profile: None,
        sse: None,
        sse_kms_key_id: None,
        storage_class: None,
        tags: Vec::new(),
        acl: None,
        pays_requests: false,
        net: NetSettings::default(),
    }
}

fn keys_of(server: &dyn Server) -> AwsCredentials {
    let environment = &server.writer().environment;
    let value = |name: &str| environment.iter().find(|(known, _)| *known == name).unwrap().1.clone();
    AwsCredentials {
        access_key_id: value("AWS_ACCESS_KEY_ID"),
        secret_access_key: value("AWS_SECRET_ACCESS_KEY").into(),
        session_token: None,
    }
}

async fn put(store: &dyn Store, key: &str, bytes: &[u8], condition: Condition<'_>) -> Result<Put> {
    let checksums = checksums_of(bytes);
    let terms = PutTerms { checksums: &checksums, condition, origin: Some("test/1"), is_data: false };
    store.put(key, &payload_of(bytes), &terms).await
}

fn stored(put: Result<Put>) -> Version {
    match put.unwrap() {
        Put::Stored(version) => version,
        Put::Refused => panic!("the write was refused"),
    }
}

async fn get(store: &dyn Store, key: &str, bytes_max: Option<u64>) -> Option<Vec<u8>> {
    let fetched = store.get(key, bytes_max).await.unwrap()?;
    Some(fetched.body.try_collect::<Vec<_>>().await.unwrap().concat())
}

async fn upload(store: &dyn Store, key: &str, parts: &[Vec<u8>]) -> (Upload, Vec<Part>) {
    let upload = Upload { key: key.to_owned(), id: store.begin_upload(key, "test/2").await.unwrap() };
    let mut uploaded = Vec::new();
    for (number, bytes) in (1..).zip(parts) {
        let etag = store.upload_part(&upload, number, &payload_of(bytes)).await.unwrap();
        uploaded.push(Part { number, size_bytes: bytes.len() as u64, etag });
    }
    (upload, uploaded)
}

/// The bytes in several pieces, as they come from a source.
fn payload_of(bytes: &[u8]) -> Payload {
    let mut payload = Payload::default();
    for piece in bytes.chunks(300_001) {
        payload.push(piece.to_vec().into());
    }
    payload
}

fn checksums_of(bytes: &[u8]) -> Checksums {
    let hasher = ObjectHasher::for_checksums(&Checksums::default());
    let mut hasher = hasher.with(ChecksumAlgorithm::Crc64Nvme).with(ChecksumAlgorithm::Crc32c);
    hasher.update(bytes);
    hasher.finish().1
}

/// Bytes that differ from place to place, and with the seed.
fn bytes_of(length: usize, seed: u8) -> Vec<u8> {
    (0..length).map(|index| (index / 7) as u8 ^ (index as u8).wrapping_mul(31) ^ seed).collect()
}
