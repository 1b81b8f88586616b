//! What goes wrong on purpose.

use super::*;
use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use std::time::Duration;

async fn put(client: &Client, key: &str) -> String {
    let put = client.put_object().bucket(NAME).key(key).if_none_match("*");
    code(put.body(ByteStream::from_static(b"x")).send().await)
}

#[tokio::test]
async fn errors_come_when_and_where_they_are_asked_for() {
    let bucket = bucket(|_| {}).await;
    let client = client(&bucket);
    let action = BucketAction::Status { status: 503, code: "SlowDown".to_owned(), retry_after_seconds: Some(2) };
    let injected = bucket.inject(BucketFault::new(BucketOperation::Put, action).on("b/").after(1).times(2));
    let mut codes = Vec::new();
    for key in ["b/1", "a/1", "b/2", "b/3", "b/4"] {
        codes.push(put(&client, key).await);
    }
    assert_eq!(codes, ["none", "none", "SlowDown", "SlowDown", "none"]);
    assert_eq!(injected.fired(), 2);
    assert_eq!(bucket.requests().answered(BucketOperation::Put, 503), 2);
    bucket.clear_faults();
    assert_eq!(put(&client, "b/2").await, "none");
}

#[tokio::test]
async fn a_cut_may_come_before_or_after_the_effect() {
    let bucket = bucket(|_| {}).await;
    let client = client(&bucket);
    bucket.inject(BucketFault::new(BucketOperation::Put, BucketAction::Cut(When::BeforeEffect)).on("before"));
    bucket.inject(BucketFault::new(BucketOperation::Put, BucketAction::Cut(When::AfterEffect)).on("after"));
    assert_eq!(put(&client, "before").await, "no answer");
    assert_eq!(put(&client, "after").await, "no answer");
    assert_eq!(bucket.objects().into_keys().collect::<Vec<_>>(), ["after"]);
    assert_eq!(bucket.requests().unanswered(BucketOperation::Put), 2);
    bucket.clear_faults();
    assert_eq!(put(&client, "after").await, "PreconditionFailed", "as a client finds its own object");
}

#[tokio::test]
async fn silence_ends_with_the_connection() {
    let bucket = bucket(|_| {}).await;
    let silence = BucketAction::Silence(When::AfterEffect, Duration::from_millis(1));
    bucket.inject(BucketFault::of_all(silence));
    assert_eq!(put(&client(&bucket), "k").await, "no answer");
    assert!(bucket.object("k").is_some());
}

#[tokio::test]
async fn answers_lie() {
    let bucket = bucket(|_| {}).await;
    let client = client(&bucket);
    bucket.put_object("from", "x");
    let copy = || client.copy_object().bucket(NAME).key("to").copy_source(format!("{NAME}/from"));
    let inside = BucketAction::ErrorInside { code: "InternalError".to_owned() };
    bucket.inject(BucketFault::new(BucketOperation::Copy, inside).times(1));
    assert_eq!(code(copy().send().await), "InternalError");
    bucket.inject(BucketFault::new(BucketOperation::Copy, BucketAction::HtmlPage).times(1));
    let page = copy().send().await;
    assert!(page.is_err() || page.unwrap().copy_object_result().is_none_or(|result| result.e_tag().is_none()));
    assert_eq!(bucket.object("to"), None);
    bucket.inject(BucketFault::of_all(BucketAction::WrongChecksum));
    bucket.inject(BucketFault::of_all(BucketAction::WrongEtag));
    let answer = copy().send().await.unwrap();
    let (told, kept) = (answer.copy_object_result().unwrap(), bucket.object("to").unwrap());
    assert_eq!((told.e_tag(), told.checksum_crc64_nvme()), (Some("\"0badc0de\""), Some("AAAAAAAAAAA=")));
    assert_eq!(told.checksum_type().unwrap().as_str(), "FULL_OBJECT");
    assert_ne!(told.e_tag(), Some(kept.etag.as_str()));
}

#[tokio::test]
async fn races_are_staged_at_a_gate() {
    let bucket = bucket(|_| {}).await;
    let gate = bucket.freeze(When::BeforeEffect, BucketOperation::Put, "lease");
    let slow = tokio::spawn({
        let client = client(&bucket);
        async move { put(&client, "lease").await }
    });
    gate.arrived().await;
    assert_eq!(put(&client(&bucket), "lease").await, "none", "the second overtakes the first");
    gate.open();
    assert_eq!(slow.await.unwrap(), "PreconditionFailed");
}

#[tokio::test]
async fn a_request_takes_effect_though_its_client_has_left() {
    let bucket = bucket(|_| {}).await;
    let gate = bucket.freeze(When::BeforeEffect, BucketOperation::Put, "late");
    let client = client(&bucket);
    tokio::select! {
        _ = put(&client, "late") => panic!("it waits at the gate"),
        () = gate.arrived() => {}
    }
    drop(client);
    assert_eq!(bucket.object("late"), None);
    gate.open();
    while bucket.object("late").is_none() {
        tokio::task::yield_now().await;
    }
    bucket.stop().await;
}
