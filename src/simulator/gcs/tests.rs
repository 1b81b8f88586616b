//! The Google side over real sockets.

use super::super::account::Cloud;
use super::super::observation::Operation;
use super::super::settings::Settings;
use super::super::tests::{DAY, End, LONG, Raw, raw, settings};
use super::super::uri::encode;
use super::super::{Account, Simulator};
use jiff::civil::date;
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;

const FOLDER: &str = "v1/account_id=21468570738/";
const OBJECTS: &str = "/storage/v1/b/optimizely-e3-21468570738/o";

async fn start(change: impl FnOnce(&mut Settings)) -> Simulator {
    let mut settings = Settings { clouds: Cloud::ALL.to_vec(), ..settings() };
    change(&mut settings);
    Simulator::start(settings).await.unwrap()
}

/// A request with a bearer token; an empty one is left out.
async fn ask(simulator: &Simulator, token: &str, uri: &str, more: &[(&str, &str)]) -> Raw {
    let mut headers = vec![("host", "127.0.0.1".to_owned())];
    headers.extend(Some(("authorization", format!("Bearer {token}"))).filter(|_| !token.is_empty()));
    headers.extend(more.iter().map(|(name, value)| (*name, (*value).to_owned())));
    raw(simulator, uri, &headers, LONG).await
}

fn json(answer: &Raw) -> Value {
    serde_json::from_slice(&answer.body).unwrap()
}

async fn exchange(simulator: &Simulator) -> Raw {
    ask(simulator, &simulator.token(), "/v2/export/credentials/gcp", &[]).await
}

async fn bearer(simulator: &Simulator) -> String {
    json(&exchange(simulator).await)["token"].as_str().unwrap().to_owned()
}

async fn list(simulator: &Simulator, token: &str, more: &str) -> Raw {
    ask(simulator, token, &format!("{OBJECTS}?prefix={FOLDER}{more}"), &[]).await
}

/// The JSON path of a key, which is one segment.
fn path(key: &str) -> String {
    format!("{OBJECTS}/{}", encode(key, b"-._~"))
}

/// An object of 1000 known bytes, with its key and generation.
fn known_object(simulator: &Simulator) -> (Vec<u8>, String, u64) {
    let bytes: Vec<u8> = (0..1000_u32).map(|number| number as u8).collect();
    let mut account = simulator.change();
    account.add_object("events", DAY, "known", bytes.clone());
    let key = account.key("events", DAY, "known");
    let generation = account.bucket(Cloud::Gcs).unwrap()[&key].generation();
    (bytes, key, generation)
}

#[tokio::test]
async fn the_exchange_gives_a_token_and_the_bucket_and_no_expiry() {
    let simulator = start(|_| ()).await;
    let answer = json(&exchange(&simulator).await);
    assert_eq!(answer["uri"], "gs://optimizely-e3-21468570738");
    assert!(answer["token"].as_str().unwrap().starts_with("ya29."));
    assert_eq!(answer.as_object().unwrap().len(), 2);
    let refused = ask(&simulator, "2:other", "/v2/export/credentials/gcp", &[]).await;
    assert_eq!((refused.status(), json(&refused)["code"].as_str()), (401, Some("unauthorized")));
    assert_eq!(simulator.requests().of_cloud(Cloud::Gcs, Operation::Exchange), 2);
    assert_eq!(simulator.requests().of_cloud(Cloud::S3, Operation::Exchange), 0);
    assert_eq!(simulator.log()[0].cloud, Cloud::Gcs);
}

#[tokio::test]
async fn what_is_listed_is_served_as_the_manifest_says() {
    let simulator = start(|settings| settings.page_keys = 5).await;
    let token = bearer(&simulator).await;
    let types = json(&list(&simulator, &token, "&delimiter=/").await);
    assert_eq!(types["prefixes"][1], format!("{FOLDER}type=events/"));
    assert_eq!(types.get("items"), None);
    let mut listed = BTreeMap::new();
    let mut next = String::new();
    loop {
        let page = json(&list(&simulator, &token, &format!("type=events/&pageToken={next}")).await);
        for item in page["items"].as_array().unwrap() {
            listed.insert(item["name"].as_str().unwrap().to_owned(), item.clone());
        }
        match page["nextPageToken"].as_str() {
            Some(token) => next = encode(token, b""),
            None => break,
        }
    }
    let manifest: Vec<_> = simulator.manifest(Cloud::Gcs, "events", DAY).collect();
    assert_eq!(listed.len(), manifest.len());
    for entry in manifest {
        let item = &listed[&entry.key];
        assert_eq!(item["size"], entry.size_bytes.to_string());
        let media = ask(&simulator, &token, &format!("{}?alt=media", path(&entry.key)), &[]).await;
        assert_eq!((media.status(), media.body.len() as u64), (200, entry.size_bytes), "{}", entry.key);
        let [crc32c, md5] = ["crc32c", "md5Hash"].map(|name| item[name].as_str().unwrap());
        assert_eq!(media.header("x-goog-hash"), Some(format!("crc32c={crc32c},md5={md5}").as_str()));
        assert_eq!(media.header("x-goog-generation"), item["generation"].as_str());
        assert_eq!(media.header("etag"), item["etag"].as_str());
        assert_eq!((simulator.gets_on(Cloud::Gcs, &entry.key), simulator.gets_on(Cloud::S3, &entry.key)), (1, 0));
        let metadata = ask(&simulator, &token, &path(&entry.key), &[]).await;
        assert_eq!(json(&metadata), *item);
    }
    assert_eq!(simulator.requests().of_cloud(Cloud::S3, Operation::Get), 0);
}

#[tokio::test]
async fn versions_and_ranges_are_minded_in_both_interfaces() {
    let simulator = start(|_| ()).await;
    let (bytes, key, generation) = known_object(&simulator);
    let token = bearer(&simulator).await;
    let download = format!("/download{}", path(&key));
    let json_uris = [path(&key), download].map(|path| (path, "?alt=media&"));
    let xml_uri = (format!("/optimizely-e3-21468570738/{key}"), "?");
    for (path, question) in json_uris.into_iter().chain([xml_uri]) {
        let get = async |parameters: String, more: &[(&str, &str)]| {
            ask(&simulator, &token, &format!("{path}{question}{parameters}"), more).await
        };
        let part = get(format!("generation={generation}"), &[("range", "bytes=10-19")]).await;
        assert_eq!((part.status(), part.body.as_slice()), (206, &bytes[10..20]), "{path}");
        assert_eq!(part.header("content-range"), Some("bytes 10-19/1000"));
        assert_eq!(part.header("x-goog-stored-content-length"), Some("1000"));
        assert_eq!(get("generation=1".to_owned(), &[]).await.status(), 404);
        assert_eq!(get(format!("ifGenerationMatch={generation}"), &[]).await.body, bytes);
        assert_eq!(get("ifGenerationMatch=1".to_owned(), &[]).await.status(), 412);
        assert_eq!(get(String::new(), &[("x-goog-if-generation-match", "1")]).await.status(), 412);
        assert_eq!(get("generation=x".to_owned(), &[]).await.status(), 400);
        let beyond = get(String::new(), &[("range", "bytes=1000-")]).await;
        assert_eq!((beyond.status(), beyond.header("content-range")), (416, Some("bytes */1000")));
    }
    let replaced = simulator.change().replace_object("events", DAY, "known", "new");
    assert!(replaced);
    let gone = ask(&simulator, &token, &format!("{}?alt=media&generation={generation}", path(&key)), &[]).await;
    assert_eq!((gone.status(), gone.text().starts_with("No such object")), (404, true));
}

#[tokio::test]
async fn only_the_own_folder_is_open() {
    let simulator = start(|_| ()).await;
    let token = bearer(&simulator).await;
    let other = format!("/storage/v1/b/other/o?prefix={FOLDER}");
    let cases = [
        ("/storage/v1/b/optimizely-e3-21468570738", 403),
        (OBJECTS, 403),
        ("/storage/v1/b/optimizely-e3-21468570738/o?prefix=v1/account_id=214", 403),
        (&other, 403),
        (&path("v1/account_id=1/x"), 403),
        (&format!("{OBJECTS}/{FOLDER}x"), 404),
        (&path(&format!("{FOLDER}x")), 404),
        ("/optimizely-e3-21468570738/v1/account_id=1/x", 403),
        ("/optimizely-events-data/v1/account_id=21468570738/x", 403),
        (&format!("{OBJECTS}?prefix={FOLDER}&fields=items(nam)"), 400),
        (&format!("{OBJECTS}?prefix={FOLDER}&maxResults=0"), 400),
        (&format!("{OBJECTS}?prefix={FOLDER}&pageToken=%3F"), 400),
        (&format!("{OBJECTS}?prefix={FOLDER}&matchGlob=x"), 400),
    ];
    for (uri, status) in cases {
        assert_eq!(ask(&simulator, &token, uri, &[]).await.status(), status, "{uri}");
    }
}

#[tokio::test]
async fn tokens_end() {
    let simulator = start(|settings| settings.gcp_token_age = Duration::from_secs(3598)).await;
    let refused = async |token: &str| {
        let answer = list(&simulator, token, "").await;
        assert_eq!(answer.status(), 401);
        assert_eq!(json(&answer)["error"]["code"], 401);
        answer.header("www-authenticate").unwrap().to_owned()
    };
    assert!(!refused("").await.contains("invalid_token"));
    assert!(refused("ya29.other").await.contains("invalid_token"));
    let token = bearer(&simulator).await;
    assert_eq!(list(&simulator, &token, "").await.status(), 200);
    tokio::time::sleep(Duration::from_millis(2100)).await;
    refused(&token).await;
    let token = bearer(&simulator).await;
    simulator.inject("list:expire-all cloud=gcs".parse().unwrap());
    refused(&token).await;
    simulator.inject("get:expired".parse().unwrap());
    let media = format!("{}?alt=media", path(FOLDER));
    assert_eq!(ask(&simulator, &bearer(&simulator).await, &media, &[]).await.status(), 401);
}

#[tokio::test]
async fn a_cloud_that_is_not_served_is_closed_by_itself() {
    let simulator = start(|settings| settings.unserved_status = 403).await;
    let token = bearer(&simulator).await;
    simulator.change().set_serving(Cloud::Gcs, false);
    let refused = exchange(&simulator).await;
    assert_eq!((refused.status(), json(&refused)["code"].as_str()), (403, Some("forbidden")));
    assert_eq!(list(&simulator, &token, "").await.status(), 401);
    let aws = ask(&simulator, &simulator.token(), "/v2/export/credentials", &[]).await;
    assert_eq!(aws.status(), 200);
    simulator.change().set_serving(Cloud::Gcs, true);
    assert_eq!(list(&simulator, &token, "").await.status(), 200);
    let only_gcs = start(|settings| settings.clouds = vec![Cloud::Gcs]).await;
    let aws = ask(&only_gcs, &only_gcs.token(), "/v2/export/credentials", &[]).await;
    assert_eq!((aws.status(), json(&aws)["code"].as_str()), (404, Some("not_found")));
}

#[tokio::test]
async fn each_cloud_has_days_of_its_own() {
    let (split, last) = (date(2026, 11, 19), jiff::civil::Date::MAX);
    let simulator = start(|settings| {
        settings.days = 3;
        settings.days_on = [(Cloud::S3, jiff::civil::Date::MIN..=split), (Cloud::Gcs, split..=last)].into();
    })
    .await;
    let number = |account: &Account, cloud| {
        let days = [18, 19, 20].map(|day| account.objects(cloud, "events", date(2026, 11, day)).len());
        days.map(|number| number > 0)
    };
    assert_eq!(number(&simulator.account(), Cloud::S3), [true, true, false]);
    assert_eq!(number(&simulator.account(), Cloud::Gcs), [false, true, true]);
    simulator.change().rewrite_day("events", DAY, 100);
    assert_eq!(number(&simulator.account(), Cloud::S3), [true, true, false]);
}

#[tokio::test]
async fn hostile_keys_are_served_verbatim() {
    let simulator = start(|_| ()).await;
    let token = bearer(&simulator).await;
    for (number, key) in
        ["../up", "a//b", "/root", "nul\u{0}\u{1}", "a%2Fb+c d?#", &"x".repeat(300)].into_iter().enumerate()
    {
        simulator.change().add_object_on(Cloud::Gcs, "events", DAY, key, format!("hostile {number}"));
        let full = simulator.account().key("events", DAY, key);
        let answer = ask(&simulator, &token, &format!("{}?alt=media", path(&full)), &[]).await;
        assert_eq!(answer.text(), format!("hostile {number}"));
        let xml = format!("/optimizely-e3-21468570738/{}", encode(&full, b"./"));
        assert_eq!(ask(&simulator, &token, &xml, &[]).await.text(), format!("hostile {number}"));
        let page = json(&list(&simulator, &token, &format!("&startOffset={}&maxResults=1", encode(&full, b""))).await);
        assert_eq!(page["items"][0]["name"], full);
        assert_eq!(simulator.gets(&full), 2);
    }
}

#[tokio::test]
async fn bodies_and_heads_go_wrong_as_told() {
    let simulator = start(|_| ()).await;
    let (bytes, key, generation) = known_object(&simulator);
    let token = bearer(&simulator).await;
    let uri = format!("{}?alt=media", path(&key));
    for (fault, length, end) in [("cut@100", 100, End::Closed), ("reset@100", 100, End::Reset)] {
        simulator.inject(format!("get:{fault} cloud=gcs").parse().unwrap());
        let answer = ask(&simulator, &token, &uri, &[]).await;
        assert_eq!((answer.body.as_slice(), answer.end), (&bytes[..length], end), "{fault}");
    }
    simulator.inject("get:flip@500".parse().unwrap());
    let flipped = ask(&simulator, &token, &uri, &[]).await;
    assert_eq!((flipped.body[500], flipped.body.len()), (bytes[500] ^ 1, 1000));
    simulator.inject("get:etag".parse().unwrap());
    let other = ask(&simulator, &token, &uri, &[]).await;
    assert_eq!(other.header("x-goog-generation"), Some((generation + 1).to_string().as_str()));
    let cases = [
        ("get:slowdown retry-after=7", 503, "\"reason\":\"backendError\""),
        ("get:throttled", 429, "\"reason\":\"rateLimitExceeded\""),
        ("get:html", 200, "<!DOCTYPE html>"),
        ("get:empty", 200, ""),
    ];
    for (fault, status, text) in cases {
        simulator.inject(fault.parse().unwrap());
        let answer = ask(&simulator, &token, &uri, &[]).await;
        assert_eq!((answer.status(), answer.text().contains(text)), (status, true), "{fault}");
    }
    let elsewhere = simulator.inject("any:error cloud=s3".parse().unwrap());
    assert_eq!(ask(&simulator, &token, &uri, &[]).await.status(), 200);
    assert_eq!(elsewhere.fired(), 0);
}

#[tokio::test]
async fn listings_lie_as_told() {
    let simulator = start(|_| ()).await;
    let token = bearer(&simulator).await;
    let lie = async |fault: &str| {
        simulator.inject(fault.parse().unwrap());
        list(&simulator, &token, "&maxResults=3").await
    };
    let other = json(&lie("list:bucket").await);
    assert_eq!(other["items"][0]["bucket"], "optimizely-e3-21468570738-other");
    let moved = json(&lie("list:prefix").await);
    assert!(moved["items"][2]["name"].as_str().unwrap().starts_with("v1/account_id=1/type="));
    let foreign = json(&lie("list:foreign").await);
    assert!(foreign["items"][3]["name"].as_str().unwrap().starts_with("v1/account_id=21468570738~foreign/"));
    let unsorted = json(&lie("list:unsorted").await);
    assert!(unsorted["items"][0]["name"].as_str() > unsorted["items"][2]["name"].as_str());
    assert_eq!(json(&lie("list:no-keys").await), serde_json::json!({"kind": "storage#objects"}));
    assert!(serde_json::from_slice::<Value>(&lie("list:truncated").await.body).is_err());
    let bomb = lie("list:bomb=5MiB").await;
    assert!(bomb.body.len() > 4 << 20 && json(&bomb)["items"].as_array().unwrap().len() > 10_000);
    let first = json(&lie("list:repeat-token times=always").await);
    let next = encode(first["nextPageToken"].as_str().unwrap(), b"");
    let second = json(&list(&simulator, &token, &format!("&maxResults=3&pageToken={next}")).await);
    assert_eq!(first["nextPageToken"], second["nextPageToken"]);
}

#[tokio::test]
async fn composite_objects_have_no_md5() {
    let simulator = start(|settings| settings.gcs_composite = true).await;
    let (_, key, _) = known_object(&simulator);
    let token = bearer(&simulator).await;
    let page = json(&list(&simulator, &token, "&fields=items(name,md5Hash,crc32c)").await);
    assert_eq!(page["items"][0].as_object().unwrap().len(), 2);
    let media = ask(&simulator, &token, &format!("{}?alt=media&userProject=mine", path(&key)), &[]).await;
    assert!(!media.header("x-goog-hash").unwrap().contains("md5"));
    assert_eq!(simulator.log().last().unwrap().user_project.as_deref(), Some("mine"));
}
