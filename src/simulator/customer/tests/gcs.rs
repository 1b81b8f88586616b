//! Google's XML interface, driven by object_store over reqwest.

use super::super::super::account::Cloud;
use super::*;
use async_trait::async_trait;
use futures::TryStreamExt as _;
use http_body_util::BodyExt as _;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService,
};
use object_store::gcp::{GoogleCloudStorage, GoogleCloudStorageBuilder};
use object_store::path::Path;
use object_store::{
    Attribute, ClientOptions, CopyOptions, Error, GetOptions, ObjectStore, ObjectStoreExt as _, PutMode, PutOptions,
    PutPayload, RetryConfig, UpdateVersion,
};

#[derive(Debug)]
struct Reqwest(reqwest::Client);

impl HttpConnector for Reqwest {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(Self(self.0.clone())))
    }
}

#[async_trait]
impl HttpService for Reqwest {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await?.to_bytes();
        let fail = |error| HttpError::new(HttpErrorKind::Request, error);
        let request = reqwest::Request::try_from(http::Request::from_parts(parts, body)).map_err(fail)?;
        let response = http::Response::from(self.0.execute(request).await.map_err(fail)?);
        let (parts, body) = response.into_parts();
        let body = body.collect().await.map_err(fail)?.to_bytes();
        Ok(HttpResponse::from_parts(parts, body.into()))
    }
}

fn store(bucket: &CustomerBucket) -> GoogleCloudStorage {
    let retry = RetryConfig { max_retries: 0, ..RetryConfig::default() };
    GoogleCloudStorageBuilder::new()
        .with_bucket_name(NAME)
        .with_base_url(&bucket.url())
        .with_bearer_token(&bucket.settings().bearer)
        .with_http_connector(Reqwest(reqwest::Client::new()))
        .with_retry(retry)
        .build()
        .unwrap()
}

fn update(generation: &str) -> PutOptions {
    let version = UpdateVersion { e_tag: None, version: Some(generation.to_owned()) };
    PutOptions { mode: PutMode::Update(version), ..PutOptions::default() }
}

#[tokio::test]
async fn generations_decide_who_writes() {
    let bucket = bucket(|_| {}).await;
    let (store, path) = (store(&bucket), Path::parse("a/k ü").unwrap());
    let create = || PutOptions { mode: PutMode::Create, ..PutOptions::default() };
    let first = store.put_opts(&path, "one".into(), create()).await.unwrap();
    assert!(matches!(store.put_opts(&path, "two".into(), create()).await, Err(Error::AlreadyExists { .. })));
    let generation = first.version.unwrap();
    assert_eq!(bucket.object("a/k ü").unwrap().generation.to_string(), generation);
    store.put_opts(&path, "two".into(), update(&generation)).await.unwrap();
    let late = store.put_opts(&path, "three".into(), update(&generation)).await;
    assert!(matches!(late, Err(Error::Precondition { .. })));
    let got = store.get_range(&path, 1..3).await.unwrap();
    assert_eq!(&got[..], b"wo");
    assert_eq!(bucket.requests().log[0].protocol, Cloud::Gcs);
}

#[tokio::test]
async fn objects_are_listed_copied_and_deleted() {
    let bucket = bucket(|settings| settings.page_keys_max = 1).await;
    let store = store(&bucket);
    let mut options = PutOptions::default();
    options.attributes.insert(Attribute::Metadata("e3sync-origin".into()), "o".into());
    options.attributes.insert(Attribute::StorageClass, "NEARLINE".into());
    store.put_opts(&Path::from("p/1"), "x".into(), options).await.unwrap();
    let only = || CopyOptions { mode: object_store::CopyMode::Create, ..CopyOptions::default() };
    store.copy_opts(&Path::from("p/1"), &Path::from("p/2"), only()).await.unwrap();
    assert!(store.copy_opts(&Path::from("p/1"), &Path::from("p/2"), only()).await.is_err());
    let listed: Vec<_> = store.list(Some(&Path::from("p"))).try_collect().await.unwrap();
    assert_eq!(listed.iter().map(|meta| meta.location.as_ref()).collect::<Vec<_>>(), ["p/1", "p/2"]);
    let got = store.get_opts(&Path::from("p/2"), GetOptions { head: true, ..GetOptions::default() }).await.unwrap();
    assert_eq!(got.attributes.get(&Attribute::Metadata("e3sync-origin".into())).map(|value| value.as_ref()), Some("o"));
    assert_eq!(bucket.object("p/1").unwrap().storage_class, "NEARLINE");
    store.delete(&Path::from("p/1")).await.unwrap();
    assert!(matches!(store.head(&Path::from("p/1")).await, Err(Error::NotFound { .. })));
    assert_eq!(bucket.requests().answered(BucketOperation::Delete, 204), 1);
}

#[tokio::test]
async fn parts_become_an_object() {
    let bucket = bucket(|_| {}).await;
    let (store, path) = (store(&bucket), Path::from("large"));
    let mut upload = store.put_multipart(&path).await.unwrap();
    upload.put_part(PutPayload::from_static(b"12345678")).await.unwrap();
    upload.put_part(PutPayload::from_static(b"9")).await.unwrap();
    let result = upload.complete().await.unwrap();
    let copy = bucket.object("large").unwrap();
    assert_eq!(result.version.unwrap(), copy.generation.to_string());
    assert_eq!(copy.checksums["x-goog-hash"], "crc32c=4waSgw==", "of a composite object no MD5 is known");
    let mut given_up = store.put_multipart(&path).await.unwrap();
    given_up.put_part(PutPayload::from_static(b"x")).await.unwrap();
    assert_eq!(bucket.unfinished_uploads().len(), 1);
    given_up.abort().await.unwrap();
    assert!(bucket.unfinished_uploads().is_empty());
}

#[tokio::test]
async fn hashes_are_verified_and_told() {
    let bucket = bucket(|_| {}).await;
    let http = reqwest::Client::new();
    let put = async |hash: &str| {
        let request = http.put(format!("{}/{NAME}/k", bucket.url())).bearer_auth(&bucket.settings().bearer);
        request.header("x-goog-hash", hash).body("123456789").send().await.unwrap()
    };
    assert_eq!(put("crc32c=4waSgw==,md5=AAAA").await.status(), 400);
    let stored = put("crc32c=4waSgw==,md5=JfnnlDI7RTiF9RgfG2JNCw==").await;
    assert_eq!(stored.status(), 200);
    let told: Vec<_> = stored.headers().get_all("x-goog-hash").iter().map(|value| value.to_str().unwrap()).collect();
    assert_eq!(told, ["crc32c=4waSgw==", "md5=JfnnlDI7RTiF9RgfG2JNCw=="]);
}

#[tokio::test]
async fn tokens_that_are_wrong_or_over_are_refused() {
    let bucket = bucket(|_| {}).await;
    let http = reqwest::Client::new();
    let list = async |token: &str| {
        let request = http.get(format!("{}/{NAME}?list-type=2", bucket.url())).bearer_auth(token);
        request.send().await.unwrap().status().as_u16()
    };
    let token = bucket.settings().bearer.clone();
    assert_eq!((list(&token).await, list("ya29.wrong").await), (200, 401));
    bucket.expire_credentials();
    assert_eq!(list(&token).await, 401);
}
