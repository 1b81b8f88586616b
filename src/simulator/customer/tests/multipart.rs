//! Multipart uploads in the S3 protocol.

use super::*;
use aws_sdk_s3::Client;
use aws_sdk_s3::operation::complete_multipart_upload::builders::CompleteMultipartUploadFluentBuilder;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{ChecksumAlgorithm, ChecksumType, CompletedMultipartUpload, CompletedPart};

const KEY: &str = "a/large file";

async fn begin(client: &Client) -> String {
    let create = client.create_multipart_upload().bucket(NAME).key(KEY).metadata("e3sync-origin", "o");
    let create = create.checksum_algorithm(ChecksumAlgorithm::Crc64Nvme).checksum_type(ChecksumType::FullObject);
    create.send().await.unwrap().upload_id.unwrap()
}

async fn part(client: &Client, id: &str, number: i32, text: &str) -> CompletedPart {
    let upload = client.upload_part().bucket(NAME).key(KEY).upload_id(id).part_number(number);
    let upload = upload.checksum_algorithm(ChecksumAlgorithm::Crc64Nvme);
    let answer = upload.body(ByteStream::from(text.as_bytes().to_vec())).send().await.unwrap();
    let sum = answer.checksum_crc64_nvme().unwrap().to_owned();
    CompletedPart::builder().part_number(number).e_tag(answer.e_tag.unwrap()).checksum_crc64_nvme(sum).build()
}

fn complete(client: &Client, id: &str, parts: Vec<CompletedPart>) -> CompleteMultipartUploadFluentBuilder {
    let parts = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
    client.complete_multipart_upload().bucket(NAME).key(KEY).upload_id(id).multipart_upload(parts)
}

#[tokio::test]
async fn parts_become_an_object_with_a_checksum_of_the_whole() {
    let bucket = bucket(|_| {}).await;
    let client = client(&bucket);
    let id = begin(&client).await;
    let parts = vec![part(&client, &id, 1, "12345678").await, part(&client, &id, 3, "9").await];
    assert_eq!(bucket.unfinished_uploads()[0].part_sizes, BTreeMap::from([(1, 8), (3, 1)]));
    let wrong = complete(&client, &id, parts.clone()).checksum_crc64_nvme("AAAAAAAAAAA=");
    assert_eq!(code(wrong.send().await), "BadDigest");
    let whole = complete(&client, &id, parts.clone()).checksum_type(ChecksumType::FullObject).mpu_object_size(9);
    let answer = whole.checksum_crc64_nvme("rosUhgp5mIg=").send().await.unwrap();
    assert_eq!(answer.checksum_crc64_nvme(), Some("rosUhgp5mIg="));
    assert_eq!(answer.checksum_type(), Some(&ChecksumType::FullObject));
    let copy = bucket.object(KEY).unwrap();
    assert_eq!((&copy.bytes[..], copy.parts), (&b"123456789"[..], 2));
    assert!(copy.etag.ends_with("-2\"") && answer.e_tag() == Some(&copy.etag));
    assert_eq!(copy.metadata["e3sync-origin"], "o");
    assert_eq!(code(complete(&client, &id, parts).send().await), "NoSuchUpload");
    assert!(bucket.unfinished_uploads().is_empty());
}

#[tokio::test]
async fn wrong_lists_of_parts_are_refused() {
    let bucket = bucket(|_| {}).await;
    let client = client(&bucket);
    let id = begin(&client).await;
    let (first, second) = (part(&client, &id, 1, "1234567").await, part(&client, &id, 2, "8").await);
    let try_parts = async |parts| code(complete(&client, &id, parts).send().await);
    assert_eq!(try_parts(vec![second.clone(), first.clone()]).await, "InvalidPartOrder");
    assert_eq!(try_parts(vec![first.clone(), second.clone()]).await, "EntityTooSmall");
    let missing = CompletedPart::builder().part_number(3).e_tag("\"x\"").build();
    assert_eq!(try_parts(vec![missing]).await, "InvalidPart");
    let other = CompletedPart::builder().part_number(1).e_tag(second.e_tag().unwrap()).build();
    assert_eq!(try_parts(vec![other]).await, "InvalidPart");
    assert_eq!(try_parts(vec![first]).await, "none");
}

#[tokio::test]
async fn a_completion_can_depend_on_the_key() {
    let bucket = bucket(|_| {}).await;
    let client = client(&bucket);
    let id = begin(&client).await;
    let parts = vec![part(&client, &id, 1, "x").await];
    bucket.put_object(KEY, "somebody else's");
    let refused = complete(&client, &id, parts.clone()).if_none_match("*").send().await;
    assert_eq!(code(refused), "PreconditionFailed");
    assert_eq!(bucket.unfinished_uploads().len(), 1, "the upload outlives the refusal");
    bucket.remove_object(KEY);
    complete(&client, &id, parts).if_none_match("*").send().await.unwrap();
}

#[tokio::test]
async fn uploads_and_parts_are_listed_and_aborted() {
    let bucket = bucket(|settings| settings.page_keys_max = 2).await;
    let client = client(&bucket);
    let ids = [begin(&client).await, begin(&client).await, begin(&client).await];
    for number in 1..=3 {
        part(&client, &ids[0], number, "x").await;
    }
    let page = client.list_multipart_uploads().bucket(NAME).prefix("a/").send().await.unwrap();
    assert_eq!((page.uploads().len(), page.is_truncated()), (2, Some(true)));
    let rest = client.list_multipart_uploads().bucket(NAME).prefix("a/");
    let rest = rest.set_key_marker(page.next_key_marker).set_upload_id_marker(page.next_upload_id_marker);
    let rest = rest.send().await.unwrap();
    assert_eq!((rest.uploads().len(), rest.uploads()[0].key()), (1, Some(KEY)));
    let none = client.list_multipart_uploads().bucket(NAME).prefix("b/").send().await.unwrap();
    assert!(none.uploads().is_empty());
    let parts = client.list_parts().bucket(NAME).key(KEY).upload_id(&ids[0]);
    assert_eq!(parts.clone().send().await.unwrap().parts().len(), 2);
    assert_eq!(parts.part_number_marker("2").send().await.unwrap().parts()[0].part_number(), Some(3));
    let abort = client.abort_multipart_upload().bucket(NAME).key(KEY).upload_id(&ids[0]);
    abort.clone().send().await.unwrap();
    assert_eq!(code(abort.send().await), "NoSuchUpload");
    bucket.abort_uploads();
    let late = client.upload_part().bucket(NAME).key(KEY).upload_id(&ids[1]).part_number(1);
    assert_eq!(code(late.body(ByteStream::from_static(b"x")).send().await), "NoSuchUpload");
}

#[tokio::test]
async fn parts_are_copied_from_objects() {
    let bucket = bucket(|_| {}).await;
    let client = client(&bucket);
    bucket.put_object("source", "123456789");
    let id = begin(&client).await;
    let mut parts = Vec::new();
    for (number, range) in [(1, "bytes=0-7"), (2, "bytes=8-8")] {
        let copy = client.upload_part_copy().bucket(NAME).key(KEY).upload_id(&id).part_number(number);
        let copy = copy.copy_source(format!("{NAME}/source")).copy_source_range(range).send().await.unwrap();
        let etag = copy.copy_part_result().unwrap().e_tag().unwrap().to_owned();
        parts.push(CompletedPart::builder().part_number(number).e_tag(etag).build());
    }
    complete(&client, &id, parts).send().await.unwrap();
    assert_eq!(&bucket.object(KEY).unwrap().bytes[..], b"123456789");
}

#[tokio::test]
async fn a_composite_checksum_needs_that_of_each_part() {
    let bucket = bucket(|_| {}).await;
    let client = client(&bucket);
    let create = client.create_multipart_upload().bucket(NAME).key(KEY).checksum_algorithm(ChecksumAlgorithm::Sha256);
    let id = create.send().await.unwrap().upload_id.unwrap();
    let upload = || client.upload_part().bucket(NAME).key(KEY).upload_id(&id).part_number(1);
    let mismatched = upload().checksum_algorithm(ChecksumAlgorithm::Crc32C);
    assert_eq!(code(mismatched.body(ByteStream::from_static(b"x")).send().await), "InvalidRequest");
    let upload = upload().checksum_algorithm(ChecksumAlgorithm::Sha256).body(ByteStream::from_static(b"x"));
    let answer = upload.send().await.unwrap();
    let bare = CompletedPart::builder().part_number(1).e_tag(answer.e_tag().unwrap());
    let whole = bare.clone().set_checksum_sha256(answer.checksum_sha256).build();
    assert_eq!(code(complete(&client, &id, vec![bare.build()]).send().await), "InvalidRequest");
    let other = complete(&client, &id, vec![whole.clone()]).checksum_type(ChecksumType::FullObject);
    assert_eq!(code(other.send().await), "InvalidRequest");
    let done = complete(&client, &id, vec![whole]).send().await.unwrap();
    assert!(done.checksum_sha256().unwrap().ends_with("-1"));
    assert_eq!(done.checksum_type(), Some(&ChecksumType::Composite));
}
