//! The server over real sockets, seen by a client that notices how a connection ends.

use super::call::Call;
use super::s3::Authorization;
use super::*;
use bytes::Bytes;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

pub(super) const DAY: Date = jiff::civil::date(2026, 11, 20);
pub(super) const LONG: Duration = Duration::from_secs(20);
const EMPTY_SHA256: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

pub(super) fn settings() -> Settings {
    let access_key = AccessKey { access_key_id: "AKIALONGLIVED".to_owned(), secret_access_key: "secret".to_owned() };
    let start = "2026-11-21T13:00:00Z".parse().unwrap();
    Settings { days: 1, access_key: Some(access_key), ..Settings::new(start) }
}

/// How an exchange of bytes ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Closed,
    Reset,
    Silence,
}

pub(super) struct Raw {
    head: String,
    pub(super) body: Vec<u8>,
    pub(super) end: End,
}

impl Raw {
    pub(super) fn status(&self) -> u16 {
        self.head.split(' ').nth(1).unwrap().parse().unwrap()
    }

    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

/// Sends the request on a connection of its own and reads all there is.
pub(super) async fn raw(simulator: &Simulator, uri: &str, headers: &[(&str, String)], patience: Duration) -> Raw {
    let mut stream = TcpStream::connect(simulator.server.address()).await.unwrap();
    let mut request = format!("GET {uri} HTTP/1.1\r\nconnection: close\r\n");
    headers.iter().for_each(|(name, value)| request += &format!("{name}: {value}\r\n"));
    stream.write_all(format!("{request}\r\n").as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let end = match tokio::time::timeout(patience, stream.read_to_end(&mut answer)).await {
        Ok(Ok(_)) => End::Closed,
        Ok(Err(_)) => End::Reset,
        Err(_) => End::Silence,
    };
    let split = answer.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
    let body = answer.split_off(split + 4);
    Raw { head: String::from_utf8(answer).unwrap(), body, end }
}

/// Headers of a request signed with a key at a time.
fn signed(
    uri: &str,
    key: &AccessKey,
    session_token: Option<&str>,
    now: Timestamp,
    more: &[(&'static str, &str)],
) -> Vec<(&'static str, String)> {
    let time = now.strftime("%Y%m%dT%H%M%SZ").to_string();
    let mut headers = vec![
        ("host", "127.0.0.1".to_owned()),
        ("x-amz-content-sha256", EMPTY_SHA256.to_owned()),
        ("x-amz-date", time.clone()),
    ];
    headers.extend(session_token.map(|token| ("x-amz-security-token", token.to_owned())));
    headers.extend(more.iter().map(|(name, value)| (*name, (*value).to_owned())));
    let names: Vec<_> = headers.iter().map(|(name, _)| *name).collect();
    let mut request = http::Request::get(uri);
    for (name, value) in &headers {
        request = request.header(*name, value);
    }
    let call = Call::new(1, request.body(()).unwrap().into_parts().0);
    let header = format!(
        "AWS4-HMAC-SHA256 Credential={}/{}/us-east-1/s3/aws4_request, SignedHeaders={}, Signature=",
        key.access_key_id,
        &time[..8],
        names.join(";")
    );
    let signature = Authorization::parse(&header).unwrap().expected(&call, &key.secret_access_key, &time);
    headers.push(("authorization", header + &signature));
    headers
}

/// A GET with the long-lived key.
async fn get(simulator: &Simulator, uri: &str, more: &[(&'static str, &str)]) -> Raw {
    let key = simulator.settings().access_key.clone().unwrap();
    raw(simulator, uri, &signed(uri, &key, None, simulator.now(), more), LONG).await
}

async fn list(simulator: &Simulator, more: &str) -> Raw {
    let prefix = simulator.account().prefix();
    get(simulator, &format!("/optimizely-events-data?list-type=2&prefix={prefix}{more}"), &[]).await
}

/// An object of 1000 known bytes and its URI.
fn known_object(simulator: &Simulator) -> (Vec<u8>, String) {
    let bytes: Vec<u8> = (0..1000_u32).map(|number| number as u8).collect();
    simulator.change().add_object("events", DAY, "known", Bytes::from(bytes.clone()));
    let key = simulator.account().key("events", DAY, "known");
    (bytes, format!("/optimizely-events-data/{key}"))
}

#[tokio::test]
async fn what_is_listed_is_served_as_the_manifest_says() {
    let simulator = Simulator::start(settings()).await.unwrap();
    let listed = list(&simulator, "&delimiter=/").await;
    assert!(listed.text().contains("<CommonPrefixes><Prefix>v1/account_id=21468570738/type=events/</Prefix>"));
    for entry in simulator.manifest(Cloud::S3, "events", DAY) {
        let answer = get(&simulator, &format!("/optimizely-events-data/{}", uri::encode(&entry.key, b"/")), &[]).await;
        assert_eq!((answer.status(), answer.body.len() as u64), (200, entry.size_bytes), "{}", entry.key);
        assert_eq!(simulator.gets(&entry.key), 1);
    }
    assert_eq!(simulator.requests().answered(Operation::Get, 200), 13);
    simulator.stop().await;
}

#[tokio::test]
async fn a_body_ends_as_the_fault_says() {
    let simulator = Simulator::start(settings()).await.unwrap();
    let (bytes, uri) = known_object(&simulator);
    let cases = [
        ("get:cut@100", 100, End::Closed),
        ("get:cut@0", 0, End::Closed),
        ("get:reset@100", 100, End::Reset),
        ("get:length=+5", 1000, End::Closed),
        ("get:length=-5", 1000, End::Closed),
    ];
    for (fault, length, end) in cases {
        let injected = simulator.inject(fault.parse().unwrap());
        let answer = get(&simulator, &uri, &[]).await;
        assert_eq!((answer.body.as_slice(), answer.end), (&bytes[..length], end), "{fault}");
        assert_eq!(injected.fired(), 1);
    }
    assert_eq!(get(&simulator, &uri, &[]).await.body, bytes);
}

#[tokio::test]
async fn lengths_lie_in_the_head_only() {
    let simulator = Simulator::start(settings()).await.unwrap();
    let (_, uri) = known_object(&simulator);
    for (fault, declared) in [("get:length=+5", "1005"), ("get:length=-5", "995"), ("get:cut@7", "1000")] {
        simulator.inject(fault.parse().unwrap());
        assert_eq!(get(&simulator, &uri, &[]).await.header("content-length"), Some(declared));
    }
}

#[tokio::test]
async fn a_stall_is_silence() {
    let simulator = Simulator::start(settings()).await.unwrap();
    let (bytes, uri) = known_object(&simulator);
    simulator.inject("get:stall@100".parse().unwrap());
    let key = simulator.settings().access_key.clone().unwrap();
    let headers = signed(&uri, &key, None, simulator.now(), &[]);
    let answer = raw(&simulator, &uri, &headers, Duration::from_millis(300)).await;
    assert_eq!((answer.body.as_slice(), answer.end), (&bytes[..100], End::Silence));
    simulator.stop().await;
}

#[tokio::test]
async fn a_short_chunked_body_ends_in_order() {
    let simulator = Simulator::start(settings()).await.unwrap();
    let (bytes, uri) = known_object(&simulator);
    simulator.inject("get:short@10".parse().unwrap());
    let answer = get(&simulator, &uri, &[]).await;
    assert_eq!(answer.header("content-length"), None);
    let expected = [b"A\r\n", &bytes[..10], b"\r\n0\r\n\r\n"].concat();
    assert_eq!((answer.body, answer.end), (expected, End::Closed));
}

#[tokio::test]
async fn a_flipped_bit_leaves_length_and_checksum() {
    let simulator = Simulator::start(settings()).await.unwrap();
    let (mut bytes, uri) = known_object(&simulator);
    let checksum = ("x-amz-checksum-mode", "ENABLED");
    let sound = get(&simulator, &uri, &[checksum]).await;
    simulator.inject("get:flip@500".parse().unwrap());
    let flipped = get(&simulator, &uri, &[checksum]).await;
    bytes[500] ^= 1;
    assert_eq!(flipped.body, bytes);
    let header = "x-amz-checksum-crc64nvme";
    assert!(sound.header(header).is_some());
    assert_eq!(flipped.header(header), sound.header(header));
    assert_eq!(get(&simulator, &uri, &[("range", "bytes=0-9"), checksum]).await.header(header), None);
}

#[tokio::test]
async fn heads_can_be_wrong_about_the_range_and_the_version() {
    let simulator = Simulator::start(settings()).await.unwrap();
    let (bytes, uri) = known_object(&simulator);
    let range = ("range", "bytes=10-19");
    let sound = get(&simulator, &uri, &[range]).await;
    assert_eq!((sound.status(), sound.header("content-range")), (206, Some("bytes 10-19/1000")));
    assert_eq!(sound.body, bytes[10..20]);
    simulator.inject("get:content-range".parse().unwrap());
    assert_eq!(get(&simulator, &uri, &[range]).await.header("content-range"), Some("bytes 11-20/1000"));
    simulator.inject("get:etag".parse().unwrap());
    assert_ne!(get(&simulator, &uri, &[]).await.header("etag"), sound.header("etag"));
}

#[tokio::test]
async fn answers_can_be_something_else_altogether() {
    let simulator = Simulator::start(settings()).await.unwrap();
    let (_, uri) = known_object(&simulator);
    let cases = [
        ("get:slowdown retry-after=7", 503, "<Code>SlowDown</Code>"),
        ("get:expired", 400, "<Code>ExpiredToken</Code>"),
        ("get:status=403 code=InvalidAccessKeyId", 403, "<Code>InvalidAccessKeyId</Code>"),
        ("get:html", 200, "<!DOCTYPE html>"),
        ("get:empty", 200, ""),
        ("get:redirect=http://127.0.0.1:1/", 307, ""),
    ];
    for (fault, status, text) in cases {
        simulator.inject(fault.parse().unwrap());
        let answer = get(&simulator, &uri, &[]).await;
        assert_eq!(answer.status(), status, "{fault}");
        assert!(answer.text().contains(text), "{fault}: {}", answer.text());
        assert_eq!(answer.header("retry-after").is_some(), status == 503);
    }
    assert_eq!(simulator.log().last().unwrap().faults, ["get:redirect=http://127.0.0.1:1/"]);
}

#[tokio::test]
async fn listings_lie_as_told() {
    let simulator = Simulator::start(settings()).await.unwrap();
    let cases = [
        ("list:bucket", "<Name>optimizely-events-data-other</Name>"),
        ("list:prefix", "<Prefix>v1/account_id=1/</Prefix>"),
        ("list:foreign", "<Key>v1/account_id=21468570738~foreign/"),
        ("list:no-keys", "<KeyCount>0</KeyCount>"),
        ("list:truncated", "<ListBucketResult"),
    ];
    for (fault, text) in cases {
        simulator.inject(fault.parse().unwrap());
        let answer = list(&simulator, "").await;
        assert_eq!(answer.status(), 200);
        assert!(answer.text().contains(text), "{fault}");
        assert_eq!(answer.text().ends_with("</ListBucketResult>"), fault != "list:truncated");
    }
    simulator.inject("list:bomb=5MiB".parse().unwrap());
    let bomb = list(&simulator, "").await;
    assert!(bomb.body.len() > 4 << 20 && bomb.text().ends_with("</ListBucketResult>"));
}

#[tokio::test]
async fn a_repeated_token_leads_in_a_circle() {
    let simulator = Simulator::start(settings()).await.unwrap();
    simulator.inject("list:repeat-token times=always".parse().unwrap());
    let next = |answer: &Raw| {
        let text = answer.text();
        let token = text.split("<NextContinuationToken>").nth(1).unwrap();
        token.split('<').next().unwrap().to_owned()
    };
    let first = next(&list(&simulator, "&max-keys=3").await);
    let second = next(&list(&simulator, &format!("&max-keys=3&continuation-token={first}")).await);
    assert_eq!(first, second);
}

#[tokio::test]
async fn credentials_end_and_tokens_are_revoked() {
    let simulator = Simulator::start(settings()).await.unwrap();
    let exchange = |token: String| {
        let headers = [("host", "x".to_owned()), ("authorization", format!("Bearer {token}"))];
        let simulator = &simulator;
        async move { raw(simulator, "/v2/export/credentials?duration=15m", &headers, LONG).await }
    };
    let answer = exchange(simulator.token()).await;
    let body: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
    let text = |name: &str| body["credentials"][name].as_str().unwrap().to_owned();
    let key = AccessKey { access_key_id: text("accessKeyId"), secret_access_key: text("secretAccessKey") };
    let expiration = body["credentials"]["expiration"].as_i64().unwrap();
    let life = expiration - simulator.now().as_millisecond();
    assert!((880_000..=900_000).contains(&life), "{life} ms");

    let (_, uri) = known_object(&simulator);
    let session = text("sessionToken");
    let ask = async |session: Option<&str>, now: Timestamp| {
        let answer = raw(&simulator, &uri, &signed(&uri, &key, session, now, &[]), LONG).await;
        let code = answer.text().split("<Code>").nth(1).map(|rest| rest.split('<').next().unwrap().to_owned());
        (answer.status(), code.unwrap_or_default())
    };
    let now = simulator.now();
    assert_eq!(ask(Some(&session), now).await.0, 200);
    assert_eq!(ask(None, now).await, (400, "InvalidToken".to_owned()));
    let late = now - jiff::SignedDuration::from_mins(16);
    assert_eq!(ask(Some(&session), late).await, (403, "RequestTimeTooSkewed".to_owned()));
    simulator.inject("get:expire-all".parse().unwrap());
    assert_eq!(ask(Some(&session), now).await, (400, "ExpiredToken".to_owned()));

    simulator.revoke_token();
    assert_eq!(exchange("2:anything".to_owned()).await.status(), 401);
    simulator.set_token("renewed");
    assert_eq!(exchange("renewed".to_owned()).await.status(), 200);
    assert_eq!(simulator.requests().credentials_issued, 2);
}

#[tokio::test]
async fn hostile_keys_are_served_verbatim() {
    let simulator = Simulator::start(settings()).await.unwrap();
    for (number, key) in ["../up", "a//b", "/root", "nul\u{0}\u{1}", &"x".repeat(300)].into_iter().enumerate() {
        simulator.change().add_object("events", DAY, key, format!("hostile {number}"));
        let full = simulator.account().key("events", DAY, key);
        let answer = get(&simulator, &format!("/optimizely-events-data/{}", uri::encode(&full, b"./")), &[]).await;
        assert_eq!(answer.text(), format!("hostile {number}"));
        assert_eq!(simulator.gets(&full), 1);
    }
}

#[tokio::test]
async fn large_noise_is_served_in_ranges_within_a_bandwidth() {
    let settings = Settings { bandwidth_bytes_per_second: Some(10_000_000), ..settings() };
    let simulator = Simulator::start(settings).await.unwrap();
    simulator.change().add_noise("events", DAY, "large", 300 << 20);
    let key = simulator.account().key("events", DAY, "large");
    let begun = std::time::Instant::now();
    let range = ("range", "bytes=209715200-210715199");
    let answer = get(&simulator, &format!("/optimizely-events-data/{key}"), &[range]).await;
    assert_eq!((answer.status(), answer.body.len()), (206, 1_000_000));
    assert!(begun.elapsed() >= Duration::from_millis(95));
    assert_eq!(simulator.requests().sent_bytes, 1_000_000);
}

#[tokio::test]
async fn a_stopped_server_leaves_nothing_behind() {
    let simulator = Simulator::start(settings()).await.unwrap();
    let address = simulator.server.address();
    let mut waiting = TcpStream::connect(address).await.unwrap();
    waiting.write_all(b"GET /half HTTP/1.1\r\n").await.unwrap();
    simulator.stop().await;
    assert!(TcpStream::connect(address).await.is_err());
    assert!(!matches!(waiting.read(&mut [0; 1]).await, Ok(1..)));
}

#[tokio::test]
async fn settings_that_make_no_sense_are_refused() {
    let open = Settings { listen: "0.0.0.0:0".parse().unwrap(), ..settings() };
    let error = Simulator::start(open).await.map(|_| ()).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
}
