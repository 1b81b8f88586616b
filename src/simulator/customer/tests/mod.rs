//! The bucket over real sockets, driven by the clients that people use.

mod faults;
mod gcs;
mod multipart;
mod s3;

use super::*;
use crate::net::{AnswerCheck, NetSettings, SdkTransport, build_client_without_pool};
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::{BehaviorVersion, Config, Credentials, Region};
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};

const NAME: &str = "warehouse";

/// The settings that tests begin with: parts may be small.
fn settings() -> CustomerSettings {
    CustomerSettings { part_bytes_min: 8, ..CustomerSettings::new(NAME, Timestamp::now()) }
}

async fn bucket(change: impl FnOnce(&mut CustomerSettings)) -> CustomerBucket {
    let mut settings = settings();
    change(&mut settings);
    CustomerBucket::start(settings).await.unwrap()
}

/// The AWS SDK with the bucket's credentials, which tries once.
fn client(bucket: &CustomerBucket) -> aws_sdk_s3::Client {
    client_of(bucket, &bucket.settings().access_key.secret_access_key, "eu-central-1")
}

fn client_of(bucket: &CustomerBucket, secret: &str, region: &str) -> aws_sdk_s3::Client {
    let key = &bucket.settings().access_key;
    let token = bucket.settings().session_token.clone();
    let http = build_client_without_pool(&NetSettings::default()).unwrap();
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(region.to_owned()))
        .http_client(SdkTransport::new(http, AnswerCheck::Any))
        .retry_config(RetryConfig::disabled())
        .credentials_provider(Credentials::new(&key.access_key_id, secret, token, None, "test"))
        .endpoint_url(bucket.url())
        .force_path_style(true)
        .build();
    aws_sdk_s3::Client::from_conf(config)
}

/// The code of a refusal, or what else went wrong.
fn code<T, E: ProvideErrorMetadata, R>(result: Result<T, SdkError<E, R>>) -> String {
    match result {
        Ok(_) => "none".to_owned(),
        Err(SdkError::ServiceError(error)) => error.err().code().unwrap_or("no code").to_owned(),
        Err(_) => "no answer".to_owned(),
    }
}

#[tokio::test]
async fn impossible_settings_are_refused() {
    let refused = async |change: fn(&mut CustomerSettings)| {
        let mut settings = settings();
        change(&mut settings);
        CustomerBucket::start(settings).await.is_err()
    };
    assert!(refused(|settings| settings.bucket = "Ä".to_owned()).await);
    assert!(refused(|settings| settings.page_keys_max = 0).await);
    assert!(refused(|settings| settings.listen = "0.0.0.0:0".parse().unwrap()).await);
}
