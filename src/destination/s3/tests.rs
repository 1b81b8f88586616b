//! What no server at hand does, said by one that answers what it is told to.

use std::sync::Arc;
use std::time::Duration;

use futures::TryStreamExt as _;
use jiff::Timestamp;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Mutex;

use super::*;
use crate::destination::bucket::Version;
use crate::error::{Error, ErrorKind};
use crate::export::{Base64, Checksum, ChecksumAlgorithm};
use crate::net::NetSettings;

const SECRET: &str = "a/secret+that/nobody+may/see";

/// A server that gives its answers in turn, and keeps the requests.
struct Canned {
    store: S3Store,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Canned {
    async fn start(answers: &[String]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (kept, answers) = (requests.clone(), answers.to_vec());
        tokio::spawn(async move {
            for answer in answers {
                let (mut stream, _) = listener.accept().await.unwrap();
                kept.lock().await.push(read_request(&mut stream).await);
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        let settings = S3StoreSettings {
            bucket: "bucket".to_owned(),
            region: Some("us-east-1".to_owned()),
            endpoint_url: Some(format!("http://{address}").parse().unwrap()),
            profile: None,
            sse: Some("aws:kms".to_owned()),
            sse_kms_key_id: Some("key-1".to_owned()),
            storage_class: Some("GLACIER_IR".to_owned()),
            tags: vec![("team".to_owned(), "data".to_owned())],
            acl: None,
            pays_requests: false,
            net: NetSettings { stall_timeout: Duration::from_secs(5), ..NetSettings::default() },
        };
        let keys = AwsCredentials {
            access_key_id: "AKIA".to_owned(),
            secret_access_key: SECRET.into(),
            session_token: Some("session".into()),
        };
        let clock = Arc::new(Clock::starting_at(Timestamp::from_second(1_800_000_000).unwrap()));
        Self { store: S3Store::connect_with_keys(settings, keys, clock).await.unwrap(), requests }
    }

    async fn requests(&self) -> Vec<String> {
        self.requests.lock().await.clone()
    }
}

async fn read_request(stream: &mut TcpStream) -> String {
    let (mut text, mut piece) = (Vec::new(), [0; 4096]);
    loop {
        let length = stream.read(&mut piece).await.unwrap();
        text.extend_from_slice(&piece[..length]);
        let request = String::from_utf8_lossy(&text).to_lowercase();
        let Some((head, body)) = request.split_once("\r\n\r\n") else { continue };
        let wanted = head
            .split_once("content-length: ")
            .map_or(0, |(_, rest)| rest.split("\r\n").next().unwrap().parse::<usize>().unwrap());
        if length == 0 || body.len() >= wanted {
            return request;
        }
    }
}

fn answer(status: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n{headers}\r\n{body}")
}

fn refusal(status: &str, code: &str) -> String {
    let body = format!("<Error><Code>{code}</Code><Message>no</Message><RequestId>ID7</RequestId></Error>");
    answer(status, "x-amz-request-id: ID7\r\n", &body)
}

fn checksums() -> Checksums {
    Checksums::of(|algorithm| {
        let is_computed = matches!(algorithm, ChecksumAlgorithm::Sha256 | ChecksumAlgorithm::Crc64Nvme);
        Checksum::new(algorithm, &[7; 32][..algorithm.length_bytes()]).filter(|_| is_computed)
    })
}

async fn put(store: &S3Store, condition: Condition<'_>) -> Result<Put> {
    let (mut payload, checksums) = (Payload::default(), checksums());
    payload.push(b"first ".as_slice().into());
    payload.push(b"second".as_slice().into());
    let terms = PutTerms { checksums: &checksums, condition, origin: Some("origin-1"), is_data: true };
    store.put("a b", &payload, &terms).await
}

async fn refused_put(answers: &[String]) -> Error {
    let canned = Canned::start(answers).await;
    let error = put(&canned.store, Condition::None).await.unwrap_err();
    assert_eq!(canned.requests().await.len(), answers.len());
    assert!(!format!("{error:?} {:?}", error.hint()).contains(SECRET));
    error
}

async fn complete(answers: &[String]) -> Result<Put> {
    let canned = Canned::start(answers).await;
    let upload = Upload { key: "a".to_owned(), id: "upload-1".to_owned() };
    let part = Part { number: 1, size_bytes: 12, etag: "\"part\"".to_owned() };
    canned.store.complete_upload(&upload, &[part], &checksums(), Condition::None).await
}

#[tokio::test]
async fn a_put_says_all_that_was_asked_for_and_its_bytes_are_hashed_no_second_time() {
    let canned = Canned::start(&[answer("200 OK", "etag: \"e\"\r\n", "")]).await;
    let expected = Version { etag: "\"e\"".to_owned(), generation: None };
    assert_eq!(put(&canned.store, Condition::IfAbsent).await.unwrap(), Put::Stored(expected));
    let request = &canned.requests().await[0];
    let sha256 = Base64([7; 32]).to_string().to_lowercase();
    for part in [
        "put /bucket/a%20b",
        "content-length: 12\r\n",
        "x-amz-content-sha256: unsigned-payload\r\n",
        &format!("x-amz-checksum-sha256: {sha256}\r\n"),
        "if-none-match: *\r\n",
        "x-amz-meta-e3sync-origin: origin-1\r\n",
        "x-amz-server-side-encryption: aws:kms\r\n",
        "x-amz-server-side-encryption-aws-kms-key-id: key-1\r\n",
        "x-amz-storage-class: glacier_ir\r\n",
        "x-amz-tagging: team=data\r\n",
        "\r\n\r\nfirst second",
    ] {
        assert!(request.contains(part), "{part} is not in {request}");
    }
    for part in ["transfer-encoding", "aws-chunked", "x-amz-trailer", "checksum-crc", "checksum-algorithm"] {
        assert!(!request.contains(part), "{part} is in {request}");
    }
}

#[tokio::test]
async fn an_expired_token_costs_one_repetition_and_a_second_refusal_is_final() {
    let expired = refusal("400 Bad Request", "ExpiredToken");
    let canned = Canned::start(&[expired.clone(), answer("200 OK", "etag: \"e\"\r\n", "")]).await;
    assert!(put(&canned.store, Condition::None).await.is_ok());
    let error = refused_put(&[expired.clone(), expired]).await;
    assert_eq!(error.kind(), ErrorKind::AccessDenied);
    assert_eq!(error.to_string(), "PUT s3://bucket/a b failed (400 ExpiredToken, request ID7): no");
    assert!(error.hint().unwrap().contains("aws sso login"));
}

#[tokio::test]
async fn many_refusals_of_one_login_make_one_new_login() {
    let canned = Canned::start(&[]).await;
    let sessions = &canned.store.sessions;
    let logins = futures::future::join_all((0..8).map(|_| sessions.renewed_for_test(0))).await;
    assert!(logins.iter().all(|generation| *generation == 1), "{logins:?}");
}

#[tokio::test]
async fn refusals_say_what_to_do() {
    let error = refused_put(&[refusal("403 Forbidden", "AccessDenied")]).await;
    assert_eq!(error.kind(), ErrorKind::AccessDenied);
    assert!(error.hint().unwrap().contains("s3:PutObject") && error.hint().unwrap().contains("kms:GenerateDataKey"));
    let redirect = answer("301 Moved Permanently", "x-amz-bucket-region: eu-west-1\r\n", "");
    let error = refused_put(&[redirect]).await;
    assert_eq!((error.kind(), error.hint().unwrap().contains("eu-west-1")), (ErrorKind::Usage, true));
    let slow = refusal("503 Slow Down", "SlowDown").replacen("\r\n", "\r\nretry-after: 7\r\n", 1);
    let error = refused_put(&[slow]).await;
    assert_eq!((error.kind(), error.retry_after()), (ErrorKind::Throttled, Some(Duration::from_secs(7))));
    let error = refused_put(&[refusal("412 Precondition Failed", "PreconditionFailed")]).await;
    assert_eq!(error.kind(), ErrorKind::Protocol, "there was no condition");
}

#[tokio::test]
async fn a_wrong_clock_is_set_right() {
    let date = "date: Fri, 20 Nov 2026 10:00:00 GMT";
    let skewed = refusal("403 Forbidden", "RequestTimeTooSkewed").replacen("\r\n", &format!("\r\n{date}\r\n"), 1);
    let canned = Canned::start(&[skewed]).await;
    let error = put(&canned.store, Condition::None).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(canned.store.clock.now().to_string().get(..13), Some("2026-11-20T10"));
}

#[tokio::test]
async fn a_success_without_its_proof_is_none() {
    let error = refused_put(&[answer("200 OK", "", "<html>log in</html>")]).await;
    assert_eq!(error.kind(), ErrorKind::Protocol, "{error}");
    let other = Base64([9; 32]);
    let error =
        refused_put(&[answer("200 OK", &format!("etag: \"e\"\r\nx-amz-checksum-sha256: {other}\r\n"), "")]).await;
    assert_eq!(error.kind(), ErrorKind::ChecksumMismatch, "{error}");
    let canned = Canned::start(&[answer("200 OK", "", "<html>log in</html>"), answer("200 OK", "", "<html>")]).await;
    for _ in 0..2 {
        let error = canned.store.list("p/", None).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ListingUntrusted, "{error}");
    }
}

#[tokio::test]
async fn an_answer_to_a_completion_is_read_to_its_end() {
    let late = "   \n   <Error><Code>InternalError</Code><Message>no</Message></Error>";
    let error = complete(&[answer("200 OK", "", late)]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    let result = |value: &str, kind: &str| {
        let value = format!("<ChecksumCRC64NVME>{value}</ChecksumCRC64NVME><ChecksumType>{kind}</ChecksumType>");
        let body = format!("<CompleteMultipartUploadResult><ETag>\"e\"</ETag>{value}</CompleteMultipartUploadResult>");
        answer("200 OK", "", &body)
    };
    let (right, wrong) = (Base64([7; 8]).to_string(), Base64([9; 8]).to_string());
    assert!(complete(&[result(&right, "FULL_OBJECT")]).await.is_ok());
    assert!(complete(&[result(&wrong, "COMPOSITE")]).await.is_ok(), "a checksum of checksums");
    assert!(complete(&[result("AAAAAQ==", "FULL_OBJECT")]).await.is_ok(), "not a CRC-64 at all");
    let error = complete(&[result(&wrong, "FULL_OBJECT")]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ChecksumMismatch, "{error}");
    let error = complete(&[refusal("404 Not Found", "NoSuchUpload")]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UploadLost, "{error}");
}

#[tokio::test]
async fn a_copy_that_fails_late_is_a_failure_and_a_copy_keeps_its_class() {
    let head = answer("200 OK", "etag: \"e\"\r\nx-amz-storage-class: STANDARD_IA\r\n", "");
    let late = "<Error><Code>InternalError</Code><Message>no</Message></Error>";
    let canned = Canned::start(&[head, answer("200 OK", "", late)]).await;
    let error = canned.store.copy("a+b", "c", 10).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    let request = &canned.requests().await[1];
    for part in ["x-amz-copy-source: bucket/a%2bb\r\n", "x-amz-storage-class: standard_ia\r\n", "content-length: 0\r\n"]
    {
        assert!(request.contains(part), "{part} is not in {request}");
    }
}

#[tokio::test]
async fn a_large_object_is_copied_in_parts() {
    let gibibyte = 1024 * 1024 * 1024;
    let head = answer("200 OK", "etag: \"e\"\r\nx-amz-meta-e3sync-origin: origin-1\r\n", "");
    let created = "<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>";
    let mut answers = vec![head, answer("200 OK", "", created)];
    let part = "<CopyPartResult><ETag>\"p\"</ETag></CopyPartResult>";
    answers.extend((0..6).map(|_| answer("200 OK", "", part)));
    let completed = "<CompleteMultipartUploadResult><ETag>\"e-6\"</ETag></CompleteMultipartUploadResult>";
    answers.push(answer("200 OK", "", completed));
    let canned = Canned::start(&answers).await;
    canned.store.copy("a", "b", 5 * gibibyte + 1).await.unwrap();
    let requests = canned.requests().await;
    assert!(requests[1].contains("x-amz-meta-e3sync-origin: origin-1\r\n"), "{}", requests[1]);
    assert!(requests[2].contains("x-amz-copy-source-range: bytes=0-1073741823\r\n"), "{}", requests[2]);
    assert!(requests[7].contains("x-amz-copy-source-range: bytes=5368709120-5368709120\r\n"), "{}", requests[7]);
    assert!(requests[8].contains("<partnumber>6</partnumber>"), "{}", requests[8]);
}

#[tokio::test]
async fn each_deleted_key_is_answered_for() {
    let delete = async |body: &str| {
        let canned = Canned::start(&[answer("200 OK", "", &format!("<DeleteResult>{body}</DeleteResult>"))]).await;
        canned.store.delete(&["a".to_owned(), "b".to_owned()]).await
    };
    let (deleted_a, deleted_b) = ("<Deleted><Key>a</Key></Deleted>", "<Deleted><Key>b</Key></Deleted>");
    assert!(delete(&format!("{deleted_a}{deleted_b}")).await.is_ok());
    let denied = "<Error><Key>b</Key><Code>AccessDenied</Code><Message>no</Message></Error>";
    let error = delete(&format!("{deleted_a}{denied}")).await.unwrap_err();
    assert_eq!(error.to_string(), "DELETE s3://bucket/b failed (403 AccessDenied): no");
    assert!(error.hint().unwrap().contains("s3:DeleteObject"));
    let slow = "<Error><Key>a</Key><Code>SlowDown</Code></Error>";
    assert_eq!(delete(&format!("{slow}{deleted_b}")).await.unwrap_err().kind(), ErrorKind::Throttled);
    assert_eq!(delete(&format!("{slow}{denied}")).await.unwrap_err().kind(), ErrorKind::AccessDenied);
    assert_eq!(delete(deleted_a).await.unwrap_err().kind(), ErrorKind::Protocol);
}

#[tokio::test]
async fn an_object_that_ends_early_is_noticed_and_an_ignored_range_is_cut() {
    let whole = answer("200 OK", "etag: \"e\"\r\n", "0123456789");
    let canned = Canned::start(&[whole[..whole.len() - 4].to_owned(), whole]).await;
    let body = canned.store.get("a", None).await.unwrap().unwrap().body;
    let error = body.try_collect::<Vec<_>>().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    let body = canned.store.get("a", Some(4)).await.unwrap().unwrap().body;
    assert_eq!(body.try_collect::<Vec<_>>().await.unwrap().concat(), b"0123");
}
