//! Whole objects in the S3 protocol.

use super::*;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{ChecksumMode, Delete, ObjectIdentifier, ServerSideEncryption, StorageClass};

fn body(text: &'static str) -> ByteStream {
    ByteStream::from_static(text.as_bytes())
}

#[tokio::test]
async fn an_object_comes_back_with_all_that_was_said_about_it() {
    let bucket = bucket(|_| {}).await;
    let client = client(&bucket);
    let put = client.put_object().bucket(NAME).key("a/b c+ü").metadata("e3sync-origin", "run 1");
    let put = put.storage_class(StorageClass::StandardIa).server_side_encryption(ServerSideEncryption::AwsKms);
    let put = put.ssekms_key_id("key-1").tagging("team=data").checksum_crc64_nvme("rosUhgp5mIg=");
    let stored = put.body(body("123456789")).send().await.unwrap();
    assert_eq!(stored.checksum_crc64_nvme(), Some("rosUhgp5mIg="));
    let copy = bucket.object("a/b c+ü").unwrap();
    assert_eq!((copy.etag.as_str(), &copy.bytes[..]), (stored.e_tag().unwrap(), &b"123456789"[..]));
    assert_ne!(copy.etag, "\"25f9e794323b453885f5181f1b624d0b\"", "with KMS it is no MD5");
    assert_eq!(copy.tags.as_deref(), Some("team=data"));
    let head = client.head_object().bucket(NAME).key("a/b c+ü").checksum_mode(ChecksumMode::Enabled);
    let head = head.send().await.unwrap();
    assert_eq!(head.metadata().unwrap()["e3sync-origin"], "run 1");
    assert_eq!((head.content_length(), head.ssekms_key_id()), (Some(9), Some("key-1")));
    assert_eq!(head.storage_class(), Some(&StorageClass::StandardIa));
    assert_eq!(head.checksum_crc64_nvme(), Some("rosUhgp5mIg="));
    let got = client.get_object().bucket(NAME).key("a/b c+ü").range("bytes=2-4").send().await.unwrap();
    assert_eq!(&got.body.collect().await.unwrap().into_bytes()[..], b"345");
}

#[tokio::test]
async fn bytes_that_are_not_those_promised_are_refused() {
    let bucket = bucket(|_| {}).await;
    let put = || client(&bucket).put_object().bucket(NAME).key("k").body(body("x"));
    assert_eq!(code(put().checksum_crc64_nvme("rosUhgp5mIg=").send().await), "BadDigest");
    assert_eq!(code(put().checksum_sha256("AAAA").send().await), "BadDigest");
    assert_eq!(code(put().content_md5("AAAA").send().await), "BadDigest");
    let two = put().checksum_crc32_c("AAAA").checksum_sha256("AAAA");
    assert_eq!(code(two.send().await), "InvalidRequest");
    assert!(bucket.objects().is_empty());
}

#[tokio::test]
async fn conditions_decide_who_writes() {
    let bucket = bucket(|_| {}).await;
    let put = || client(&bucket).put_object().bucket(NAME).key("k").body(body("x"));
    let first = put().if_none_match("*").send().await.unwrap();
    assert_eq!(code(put().if_none_match("*").send().await), "PreconditionFailed");
    put().if_match(first.e_tag().unwrap()).send().await.unwrap();
    assert_eq!(code(put().if_match("\"other\"").send().await), "PreconditionFailed");
    assert!(bucket.remove_object("k"));
    assert_eq!(code(put().if_match("\"other\"").send().await), "NoSuchKey");
    assert_eq!(bucket.requests().answered(BucketOperation::Put, 412), 2);
}

#[tokio::test]
async fn a_server_without_conditions_writes_regardless() {
    let bucket = bucket(|settings| settings.honours_conditions = false).await;
    bucket.put_object("k", "old");
    client(&bucket).put_object().bucket(NAME).key("k").if_none_match("*").body(body("new")).send().await.unwrap();
    assert_eq!(&bucket.object("k").unwrap().bytes[..], b"new");
}

#[tokio::test]
async fn strangers_are_turned_away() {
    let bucket = bucket(|settings| settings.session_token = Some("session".to_owned())).await;
    let list = async |client: aws_sdk_s3::Client, name: &str| code(client.list_objects_v2().bucket(name).send().await);
    assert_eq!(list(client(&bucket), NAME).await, "none");
    assert_eq!(list(client(&bucket), "elsewhere").await, "NoSuchBucket");
    assert_eq!(list(client_of(&bucket, "wrong", "eu-central-1"), NAME).await, "SignatureDoesNotMatch");
    let secret = &bucket.settings().access_key.secret_access_key;
    assert_eq!(list(client_of(&bucket, secret, "us-east-1"), NAME).await, "AuthorizationHeaderMalformed");
    bucket.expire_credentials();
    assert_eq!(list(client(&bucket), NAME).await, "ExpiredToken");
    let key = AccessKey { access_key_id: "AKIAOTHER".to_owned(), secret_access_key: "other".to_owned() };
    bucket.renew_credentials(key, None, "ya29.other");
    assert_eq!(list(client(&bucket), NAME).await, "InvalidAccessKeyId");
}

#[tokio::test]
async fn listings_come_in_pages_with_any_key() {
    let bucket = bucket(|settings| settings.page_keys_max = 2).await;
    for key in ["p/a b+", "p/c&<d>", "p/e/1", "p/e/2", "q"] {
        bucket.put_object(key, "x");
    }
    let mut pages = client(&bucket).list_objects_v2().bucket(NAME).prefix("p/").into_paginator().send();
    let mut keys = Vec::new();
    while let Some(page) = pages.next().await {
        let page = page.unwrap();
        assert!(page.contents().len() <= 2);
        keys.extend(page.contents().iter().map(|object| object.key().unwrap().to_owned()));
    }
    assert_eq!(keys, ["p/a b+", "p/c&<d>", "p/e/1", "p/e/2"]);
    let rolled = client(&bucket).list_objects_v2().bucket(NAME).prefix("p/e").delimiter("/").send().await.unwrap();
    assert_eq!(rolled.common_prefixes()[0].prefix(), Some("p/e/"));
}

#[tokio::test]
async fn copies_and_deletes_act_within_the_bucket() {
    let bucket = bucket(|_| {}).await;
    let client = client(&bucket);
    bucket.put_object("from ü", "text");
    let source = format!("{NAME}/from%20%C3%BC");
    client.copy_object().bucket(NAME).key("to").copy_source(&source).send().await.unwrap();
    assert_eq!(&bucket.object("to").unwrap().bytes[..], b"text");
    let copy = client.copy_object().bucket(NAME).key("to").copy_source(format!("{NAME}/none"));
    assert_eq!(code(copy.send().await), "NoSuchKey");
    let status = BucketAction::status(403, "AccessDenied");
    bucket.inject(BucketFault::new(BucketOperation::Delete, status).on("kept"));
    bucket.put_object("kept&<", "x");
    let keys =
        ["from ü", "to", "never there", "kept&<"].map(|key| ObjectIdentifier::builder().key(key).build().unwrap());
    let delete = Delete::builder().set_objects(Some(keys.to_vec())).build().unwrap();
    let answer = client.delete_objects().bucket(NAME).delete(delete).send().await.unwrap();
    assert_eq!(answer.deleted().len(), 3);
    assert_eq!((answer.errors()[0].key(), answer.errors()[0].code()), (Some("kept&<"), Some("AccessDenied")));
    assert_eq!(bucket.objects().into_keys().collect::<Vec<_>>(), ["kept&<"]);
    bucket.clear_faults();
    client.delete_object().bucket(NAME).key("kept&<").send().await.unwrap();
    assert!(bucket.objects().is_empty());
}

#[tokio::test]
async fn a_copy_source_that_is_too_large_is_refused() {
    let bucket = bucket(|settings| settings.copy_bytes_max = 3).await;
    bucket.put_object("large", "text");
    let copy = client(&bucket).copy_object().bucket(NAME).key("to").copy_source(format!("{NAME}/large"));
    assert_eq!(code(copy.send().await), "InvalidRequest");
}

#[tokio::test]
async fn versions_stay_countable() {
    let bucket = bucket(|settings| settings.is_object_locked = true).await;
    let put = || client(&bucket).put_object().bucket(NAME).key("k").body(body("x"));
    put().send().await.unwrap();
    put().send().await.unwrap();
    client(&bucket).delete_object().bucket(NAME).key("k").send().await.unwrap();
    let versions = bucket.versions("k");
    assert_eq!(versions.len(), 3);
    assert_eq!(versions[2], StoredVersion::DeleteMarker);
    assert_eq!(bucket.object("k"), None);
    let bare = put().customize().config_override(
        Config::builder().request_checksum_calculation(aws_sdk_s3::config::RequestChecksumCalculation::WhenRequired),
    );
    assert_eq!(code(bare.send().await), "InvalidRequest", "a locked bucket wants a checksum");
}

#[tokio::test]
async fn the_lifecycle_is_told() {
    let rules = async |has_rule| {
        let bucket = bucket(|settings| settings.lifecycle_aborts_uploads = has_rule).await;
        client(&bucket).get_bucket_lifecycle_configuration().bucket(NAME).send().await
    };
    assert_eq!(code(rules(false).await), "NoSuchLifecycleConfiguration");
    let told = rules(true).await.unwrap();
    assert_eq!(told.rules()[0].abort_incomplete_multipart_upload().unwrap().days_after_initiation(), Some(7));
}
