//! The store against a server that says whatever a test wants.

mod access;
mod server;

use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::TryStreamExt as _;

use self::server::{Reply, Server};
use super::*;
use crate::destination::bucket::{Condition, Part, Payload, Put, PutTerms, Store as _, Upload, Version};
use crate::export::{Checksum, ChecksumAlgorithm, Checksums};
use crate::net::NetSettings;
use crate::plan::listing_check::PageToken;

const TOKEN: &str = "ya29.secret-of-the-tests";

/// The CRC-32C of `123456789` by the catalogue of parametrised CRC algorithms.
const CHECK: &str = "4waSgw==";

fn settings(server: &Server, access: GcsAccess) -> GcsStoreSettings {
    let net = NetSettings { stall_timeout: Duration::from_millis(300), ..NetSettings::default() };
    let (endpoint_url, storage_class) = (Some(server.url.parse().unwrap()), Some("NEARLINE".to_owned()));
    GcsStoreSettings { bucket: "my-bucket".to_owned(), endpoint_url, access, storage_class, net }
}

fn store(server: &Server) -> GcsStore {
    GcsStore::connect(settings(server, GcsAccess::Token(TOKEN.into())), access::clock()).unwrap()
}

fn payload(chunks: &[&'static str]) -> Payload {
    let mut payload = Payload::default();
    chunks.iter().for_each(|chunk| payload.push(Bytes::from_static(chunk.as_bytes())));
    payload
}

fn checksums() -> Checksums {
    Checksums::default().with(ChecksumAlgorithm::Crc32c, Checksum::parse(ChecksumAlgorithm::Crc32c, CHECK))
}

fn terms<'a>(checksums: &'a Checksums, condition: Condition<'a>) -> PutTerms<'a> {
    PutTerms { checksums, condition, origin: Some("export-1"), is_data: true }
}

fn upload() -> Upload {
    Upload { key: "a/b".to_owned(), id: "upload+1".to_owned() }
}

fn part() -> Part {
    Part { number: 1, size_bytes: 9, etag: "\"p\"".to_owned() }
}

const STORED: &str = "etag: \"e\"\r\nx-goog-generation: 7\r\nx-goog-hash: crc32c=4waSgw==\r\nx-goog-hash: md5=JfnnlDI7RTiF9RgfG2JNCw==\r\n";

#[tokio::test]
async fn an_upload_carries_its_checksum_and_its_terms() {
    let server = Server::start([Reply::With(200, STORED, "")]).await;
    let (checksums, condition) = (checksums(), Version { etag: String::new(), generation: Some(5) });
    let stored = store(&server)
        .put("a%3Ab c(0);/größe+", &payload(&["1234", "", "56789"]), &terms(&checksums, Condition::IfMatch(&condition)))
        .await
        .unwrap();
    assert_eq!(stored, Put::Stored(Version { etag: "\"e\"".to_owned(), generation: Some(7) }));
    let seen = &server.seen()[0];
    let path = "PUT /my%2Dbucket/a%253Ab%20c%280%29%3B%2Fgr%C3%B6%C3%9Fe%2B HTTP/1.1";
    assert_eq!(seen.head.lines().next(), Some(path));
    assert_eq!(seen.body, b"123456789");
    for (name, value) in [
        ("content-length", "9"),
        ("x-goog-hash", "crc32c=4waSgw=="),
        ("x-goog-if-generation-match", "5"),
        ("x-goog-meta-e3sync-origin", "export-1"),
        ("x-goog-storage-class", "NEARLINE"),
        ("authorization", "Bearer ya29.secret-of-the-tests"),
    ] {
        assert_eq!(seen.header(name), Some(value), "{name}");
    }
}

#[tokio::test]
async fn what_is_no_data_gets_no_storage_class_and_a_missing_checksum_is_computed() {
    let server = Server::start([Reply::With(200, STORED, "")]).await;
    let (none, mut bytes) = (Checksums::default(), Payload::default());
    bytes.push("123456789".into());
    let terms = PutTerms { checksums: &none, condition: Condition::IfAbsent, origin: None, is_data: false };
    store(&server).put("k", &bytes, &terms).await.unwrap();
    let seen = &server.seen()[0];
    assert_eq!(seen.header("x-goog-hash"), Some("crc32c=4waSgw=="));
    assert_eq!(seen.header("x-goog-if-generation-match"), Some("0"));
    assert_eq!((seen.header("x-goog-storage-class"), seen.header("x-goog-meta-e3sync-origin")), (None, None));
}

#[tokio::test]
async fn bytes_that_arrive_changed_are_noticed() {
    let other = "etag: \"e\"\r\nx-goog-hash: crc32c=AAAAAA==\r\n";
    let digest = "<Error><Code>BadDigest</Code></Error>";
    let server =
        Server::start([Reply::With(200, other, ""), Reply::With(400, "", digest), Reply::With(200, other, "")]).await;
    let (store, checksums, bytes) = (store(&server), checksums(), payload(&["123456789"]));
    for _ in 0..2 {
        let error = store.put("k", &bytes, &terms(&checksums, Condition::None)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ChecksumMismatch, "{error}");
    }
    let error = store.upload_part(&upload(), 3, &bytes).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ChecksumMismatch, "{error}");
    let seen = &server.seen()[2];
    assert!(seen.head.starts_with("PUT /my%2Dbucket/a%2Fb?partNumber=3&uploadId=upload%2B1 "), "{}", seen.head);
    assert_eq!(seen.header("x-goog-hash"), Some("crc32c=4waSgw=="));
}

#[tokio::test]
async fn a_condition_that_does_not_hold_is_an_answer() {
    let server = Server::start([Reply::With(412, "", ""), Reply::With(412, "", "")]).await;
    let (store, checksums, bytes) = (store(&server), checksums(), payload(&["123456789"]));
    assert_eq!(store.put("k", &bytes, &terms(&checksums, Condition::IfAbsent)).await.unwrap(), Put::Refused);
    let error = store.put("k", &bytes, &terms(&checksums, Condition::None)).await.unwrap_err();
    assert_eq!(error.to_string(), "PUT gs://my-bucket/k failed (412)");
}

const COMPLETED: &str = "<CompleteMultipartUploadResult><ETag>&quot;c-1&quot;</ETag></CompleteMultipartUploadResult>";
const DESCRIBED: &str = "etag: \"c-1\"\r\nlast-modified: Fri, 20 Nov 2026 10:00:00 GMT\r\ncontent-length: 9\r\nx-goog-generation: 8\r\nx-goog-meta-e3sync-origin: export-1\r\nx-goog-hash: crc32c=4waSgw==\r\n";

#[tokio::test]
async fn a_completed_object_is_compared_by_its_own_description() {
    let wrong = "etag: \"c-1\"\r\nlast-modified: Fri, 20 Nov 2026 10:00:00 GMT\r\ncontent-length: 9\r\nx-goog-hash: crc32c=AAAAAA==\r\n";
    let server = Server::start([
        Reply::With(200, "", COMPLETED),
        Reply::With(200, DESCRIBED, ""),
        Reply::With(200, "", COMPLETED),
        Reply::With(200, wrong, ""),
        Reply::With(200, "x-goog-generation: 9\r\nx-goog-hash: crc32c=4waSgw==\r\n", COMPLETED),
        Reply::With(404, "", "<Error><Code>NoSuchUpload</Code></Error>"),
        Reply::With(200, "", "<Error><Code>InternalError</Code></Error>"),
    ])
    .await;
    let store = store(&server);
    let complete = async || store.complete_upload(&upload(), &[part()], &checksums(), Condition::None).await;
    let version = Version { etag: "\"c-1\"".to_owned(), generation: Some(8) };
    assert_eq!(complete().await.unwrap(), Put::Stored(version.clone()));
    assert_eq!(complete().await.unwrap_err().kind(), ErrorKind::ChecksumMismatch);
    assert_eq!(complete().await.unwrap(), Put::Stored(Version { generation: Some(9), ..version }));
    assert_eq!(complete().await.unwrap_err().kind(), ErrorKind::UploadLost);
    assert_eq!(complete().await.unwrap_err().kind(), ErrorKind::Unavailable);
    let methods: Vec<_> = server.seen().iter().map(|seen| seen.head.split(' ').next().unwrap().to_owned()).collect();
    assert_eq!(methods, ["POST", "HEAD", "POST", "HEAD", "POST", "POST", "POST"]);
}

#[tokio::test]
async fn completion_takes_no_condition_that_google_would_not_mind() {
    let server = Server::start([]).await;
    let store = store(&server);
    let old = Version { etag: String::new(), generation: Some(7) };
    for condition in [Condition::IfAbsent, Condition::IfMatch(&old)] {
        let error = store.complete_upload(&upload(), &[part()], &checksums(), condition).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Internal, "{condition:?}");
    }
    let misnumbered = [Part { number: 2, ..part() }];
    for parts in [&misnumbered[..], &[]] {
        let error = store.complete_upload(&upload(), parts, &checksums(), Condition::None).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Internal);
    }
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn a_copy_under_a_condition_names_both_generations() {
    let other = DESCRIBED.replace(CHECK, "AAAAAA==");
    let other: &'static str = other.leak();
    let server = Server::start([
        Reply::With(200, "", "<CopyObjectResult/>"),
        Reply::With(200, DESCRIBED, ""),
        // The first answer was lost: what stands there is the copy, or another writer's.
        Reply::With(412, "", ""),
        Reply::With(200, DESCRIBED, ""),
        Reply::With(412, "", ""),
        Reply::With(200, other, ""),
        Reply::With(412, "", ""),
        Reply::With(404, "", "<Error><Code>NoSuchKey</Code></Error>"),
        Reply::With(200, "", "<CopyObjectResult/>"),
        Reply::With(200, other, ""),
    ])
    .await;
    let store = store(&server);
    let (source, old) = (Version { etag: String::new(), generation: Some(6) }, Version::default());
    let old = Version { generation: Some(7), ..old };
    let copy = async |condition: Condition<'_>| store.copy_if(("m/x y", &source), "m/x", &checksums(), condition).await;
    let stored = Put::Stored(Version { etag: "\"c-1\"".to_owned(), generation: Some(8) });
    assert_eq!(copy(Condition::IfMatch(&old)).await.unwrap(), stored);
    assert_eq!(copy(Condition::IfAbsent).await.unwrap(), stored);
    assert_eq!(copy(Condition::IfAbsent).await.unwrap(), Put::Refused);
    assert_eq!(copy(Condition::IfMatch(&old)).await.unwrap(), Put::Refused);
    assert_eq!(copy(Condition::IfAbsent).await.unwrap_err().kind(), ErrorKind::ChecksumMismatch);
    let seen = server.seen();
    assert!(seen[0].head.starts_with("PUT /my-bucket/m/x "), "{}", seen[0].head);
    for (request, name, value) in [
        (0, "x-goog-copy-source", "my-bucket/m/x%20y"),
        (0, "x-goog-copy-source-if-generation-match", "6"),
        (0, "x-goog-if-generation-match", "7"),
        (2, "x-goog-if-generation-match", "0"),
        (0, "content-length", "0"),
        (0, "authorization", "Bearer ya29.secret-of-the-tests"),
    ] {
        assert_eq!(seen[request].header(name), Some(value), "{name}");
    }
}

#[tokio::test]
async fn a_page_of_html_is_no_empty_listing() {
    let html = "<!DOCTYPE html><html><body>Please sign in</body></html>";
    let empty = "<ListBucketResult><Name>my-bucket</Name><Prefix>p/ +</Prefix></ListBucketResult>";
    let server = Server::start([Reply::With(200, "", html), Reply::With(200, "", empty)]).await;
    let store = store(&server);
    assert_eq!(store.list("p/ +", None).await.unwrap_err().kind(), ErrorKind::ListingUntrusted);
    let from = PageToken { token: "token=".into(), last_key: "p/ +a".into(), empty_pages: 0 };
    assert!(store.list("p/ +", Some(&from)).await.unwrap().objects.is_empty());
    let expected = "GET /my-bucket?list-type=2&max-keys=1000&prefix=p%2F+%2B&continuation-token=token%3D HTTP/1.1";
    assert_eq!(server.seen()[1].head.lines().next(), Some(expected));
}

#[tokio::test]
async fn what_stalls_is_given_up() {
    let server = Server::start([Reply::Nothing, Reply::Partly("beginning")]).await;
    let (store, begun) = (store(&server), Instant::now());
    let checksums = checksums();
    let error = store.put("k", &payload(&["123456789"]), &terms(&checksums, Condition::None)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    let fetched = store.get("k", None).await.unwrap().unwrap();
    let mut body = fetched.body;
    assert_eq!(body.try_next().await.unwrap().unwrap(), "beginning");
    let error = body.try_next().await.unwrap_err();
    assert_eq!(error.to_string(), "the transfer of gs://my-bucket/k was cut: no bytes were transferred for 300ms");
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn the_beginning_of_an_object_is_a_range_even_of_an_empty_one() {
    let part = "etag: \"e\"\r\nx-goog-generation: 3\r\nlast-modified: Fri, 20 Nov 2026 10:00:00 GMT\r\ncontent-range: bytes 0-3/9\r\n";
    let whole = "etag: \"e\"\r\nlast-modified: Fri, 20 Nov 2026 10:00:00 GMT\r\n";
    let server = Server::start([
        Reply::With(206, part, "1234"),
        Reply::With(416, "", "<Error><Code>InvalidRange</Code></Error>"),
        Reply::With(200, whole, ""),
        Reply::With(404, "", "<Error><Code>NoSuchKey</Code></Error>"),
        Reply::With(404, "", "<Error><Code>NoSuchBucket</Code></Error>"),
    ])
    .await;
    let store = store(&server);
    let fetched = store.get("k", Some(4)).await.unwrap().unwrap();
    assert_eq!(fetched.version.generation, Some(3));
    let bytes: Vec<Bytes> = fetched.body.try_collect().await.unwrap();
    assert_eq!(bytes.concat(), b"1234");
    assert_eq!(server.seen()[0].header("range"), Some("bytes=0-3"));
    let bytes: Vec<Bytes> = store.get("k", Some(4)).await.unwrap().unwrap().body.try_collect().await.unwrap();
    assert!(bytes.concat().is_empty());
    assert!(store.get("k", None).await.unwrap().is_none());
    assert_eq!(store.get("k", None).await.err().unwrap().kind(), ErrorKind::Usage);
}

#[tokio::test]
async fn a_copy_that_copies_nothing_is_noticed() {
    let copied = "<?xml version='1.0'?><CopyObjectResult><ETag>\"e\"</ETag></CopyObjectResult>";
    let server = Server::start([Reply::With(200, "", ""), Reply::With(200, "", copied)]).await;
    let store = store(&server);
    assert_eq!(store.copy("a/1", "b/2", 9).await.unwrap_err().kind(), ErrorKind::Protocol);
    store.copy("a/1", "b/2", 9).await.unwrap();
    let seen = &server.seen()[1];
    assert!(seen.head.starts_with("PUT /my%2Dbucket/b%2F2 "), "{}", seen.head);
    assert_eq!(seen.header("x-goog-copy-source"), Some("my%2Dbucket/a%2F1"));
    assert_eq!(seen.header("x-goog-hash"), None);
}

#[tokio::test]
async fn what_is_gone_counts_as_deleted_and_given_up() {
    let server = Server::start([
        Reply::With(404, "", "<Error><Code>NoSuchKey</Code></Error>"),
        Reply::With(404, "", "<Error><Code>NoSuchUpload</Code></Error>"),
        Reply::With(404, "", "<Error><Code>NoSuchBucket</Code></Error>"),
        Reply::With(403, "", "<Error><Code>AccessDenied</Code></Error>"),
        Reply::With(403, "", "<Error><Code>AccessDenied</Code></Error>"),
        Reply::With(503, "retry-after: 3\r\n", ""),
    ])
    .await;
    let store = store(&server);
    store.delete(&["k".to_owned()]).await.unwrap();
    store.abort_upload(&upload()).await.unwrap();
    assert_eq!(store.delete(&["k".to_owned()]).await.unwrap_err().kind(), ErrorKind::Usage);
    assert_eq!(store.uploads("p/").await.unwrap(), None);
    assert_eq!(store.removes_unfinished_uploads("p/").await.unwrap(), None);
    let error = store.uploads("p/").await.unwrap_err();
    assert_eq!((error.kind(), error.retry_after()), (ErrorKind::Throttled, Some(Duration::from_secs(3))));
    let seen: Vec<_> = server.seen().iter().map(|seen| seen.head.split(' ').nth(1).unwrap().to_owned()).collect();
    assert_eq!(seen[3..5], ["/my-bucket?uploads&max-uploads=1000&prefix=p%2F", "/my-bucket?lifecycle"]);
}

#[tokio::test]
async fn keys_that_object_store_would_change_are_refused() {
    let server = Server::start([]).await;
    let store = store(&server);
    for key in ["", "/a", "a/", "a//b", "a/../b", "./a", "a\u{1}b"] {
        let error = store.head(key).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::KeyRefused, "{key:?}");
    }
    assert!(server.seen().is_empty());
}
