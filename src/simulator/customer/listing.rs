//! Listings of objects and of unfinished uploads, and what a bucket tells of itself.

use super::super::account::Cloud;
use super::super::checksum::Checksum;
use super::super::clock::iso_date;
use super::super::listing::{End, Listing, Query, back_to};
use super::super::reply::Reply;
use super::super::s3::{Entry, Limits, S3Error, form, marker, token};
use super::super::xml::element;
use super::copy::StoredCopy;
use super::digest::Algorithm;
use super::faults::BucketAction;
use super::front::{Asked, document};
use http::StatusCode;
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// ListObjectsV2.
pub(super) fn list(asked: &Asked<'_>) -> Result<Reply, S3Error> {
    let limits = Limits { page_keys: asked.service.settings.page_keys_max, checksum: Checksum::None };
    let form = form(asked.call, &limits)?;
    let prefix = asked.call.parameter("prefix").unwrap_or_default().to_owned();
    let query = Query { prefix, marker: marker(asked.call)?, ..form.query() };
    let mut page = asked.service.store.page(&query);
    if let Some(end) = asked.actions.iter().find_map(leads_back)
        && page.next.is_some()
    {
        page.next = back_to(end, &page.objects, &page.prefixes);
    }
    let listing = Listing {
        bucket: asked.service.settings.bucket.clone(),
        prefix: query.prefix,
        objects: page.objects,
        prefixes: page.prefixes,
        token: asked.call.parameter("continuation-token").map(str::to_owned),
        next_token: page.next.as_ref().map(token),
    };
    Ok(form.write(&listing, |key, copy: &Arc<StoredCopy>| {
        form.contents(
            key,
            &Entry {
                modified: copy.modified_at,
                etag: &copy.etag,
                more: &more(asked.call.cloud, copy),
                size_bytes: copy.bytes.len() as u64,
                storage_class: &copy.storage_class,
            },
        )
    }))
}

/// To which of its own keys a page says that it goes on, where it lies about that.
fn leads_back(action: &BucketAction) -> Option<End> {
    match action {
        BucketAction::RepeatKey => Some(End::Last),
        BucketAction::StepBack => Some(End::First),
        _ => None,
    }
}

/// What only one cloud tells about an object.
fn more(cloud: Cloud, copy: &StoredCopy) -> String {
    if cloud == Cloud::Gcs {
        return element("Generation", &copy.generation.to_string()) + &element("MetaGeneration", "1");
    }
    let found = Algorithm::all().iter().find(|algorithm| copy.checksums.contains_key(algorithm.header));
    let name = found.map(|algorithm| algorithm.name).unwrap_or_default();
    let kind = copy.checksums.get("x-amz-checksum-type").map(String::as_str).unwrap_or_default();
    element("ChecksumAlgorithm", name) + &element("ChecksumType", kind)
}

/// ListMultipartUploads.
pub(super) fn list_uploads(asked: &Asked<'_>) -> Result<Reply, S3Error> {
    let parameter = |name: &str| asked.call.parameter(name).unwrap_or_default();
    let limits = Limits { page_keys: asked.service.settings.page_keys_max, checksum: Checksum::None };
    let form = form(asked.call, &limits)?;
    let limit = parameter("max-uploads").parse().unwrap_or(usize::MAX).min(limits.page_keys).max(1);
    let uploads = asked.service.store.uploads();
    let mut rest = uploads.iter().filter(|((key, id), _)| {
        let (key, id) = (key.as_str(), id.as_str());
        let (key_marker, id_marker) = (parameter("key-marker"), parameter("upload-id-marker"));
        let is_behind = key > key_marker || key == key_marker && !id_marker.is_empty() && id > id_marker;
        key.starts_with(parameter("prefix")) && (is_behind || key_marker.is_empty())
    });
    let page: Vec<_> = rest.by_ref().take(limit).collect();
    let is_truncated = rest.next().is_some();
    let mut inner = element("Bucket", &asked.service.settings.bucket);
    inner += &(element("Prefix", &form.encoded(parameter("prefix"))) + &element("KeyMarker", parameter("key-marker")));
    if let Some(((key, id), _)) = page.last().filter(|_| is_truncated) {
        inner += &(element("NextKeyMarker", &form.encoded(key)) + &element("NextUploadIdMarker", id));
    }
    inner += &(element("MaxUploads", &limit.to_string()) + &element("IsTruncated", &is_truncated.to_string()));
    if asked.call.parameter("encoding-type").is_some() {
        inner += &element("EncodingType", "url");
    }
    for ((key, id), upload) in page {
        let initiated = element("Initiated", &iso_date(upload.begun_at));
        let fields = element("Key", &form.encoded(key)) + &element("UploadId", id) + &initiated;
        inner += &format!("<Upload>{fields}</Upload>");
    }
    Ok(document("ListMultipartUploadsResult", &inner))
}

/// GetBucketLifecycleConfiguration.
pub(super) fn lifecycle(asked: &Asked<'_>) -> Result<Reply, S3Error> {
    let has_rule = asked.service.settings.lifecycle_aborts_uploads;
    let inner = match (asked.call.cloud, has_rule) {
        (Cloud::S3, true) => {
            "<Rule><ID>unfinished</ID><Filter><Prefix></Prefix></Filter><Status>Enabled</Status>\
             <AbortIncompleteMultipartUpload><DaysAfterInitiation>7</DaysAfterInitiation>\
             </AbortIncompleteMultipartUpload></Rule>"
        }
        (Cloud::S3, false) => {
            let message = "The lifecycle configuration does not exist";
            return Err(S3Error::new(StatusCode::NOT_FOUND, "NoSuchLifecycleConfiguration", message));
        }
        (Cloud::Gcs, true) => {
            "<Rule><Action><AbortIncompleteMultipartUpload/></Action><Condition><Age>7</Age></Condition></Rule>"
        }
        (Cloud::Gcs, false) => "",
    };
    Ok(document("LifecycleConfiguration", inner))
}

/// Whether the bucket keeps versions, how it locks objects, or how it encrypts them.
pub(super) fn s3_policies(asked: &Asked<'_>) -> Result<Reply, S3Error> {
    let settings = &asked.service.settings;
    if asked.call.parameter("versioning").is_some() {
        let status = if settings.keeps_versions() { element("Status", "Enabled") } else { String::new() };
        return Ok(document("VersioningConfiguration", &status));
    }
    if asked.call.parameter("encryption").is_some() {
        let Some(key) = &settings.encryption_key else {
            let message = "The server side encryption configuration was not found";
            return Err(S3Error::new(StatusCode::NOT_FOUND, "ServerSideEncryptionConfigurationNotFoundError", message));
        };
        let default = element("SSEAlgorithm", "aws:kms") + &element("KMSMasterKeyID", key);
        let rule =
            format!("<Rule><ApplyServerSideEncryptionByDefault>{default}</ApplyServerSideEncryptionByDefault></Rule>");
        return Ok(document("ServerSideEncryptionConfiguration", &rule));
    }
    if !settings.is_object_locked {
        let message = "Object Lock configuration does not exist for this bucket";
        return Err(S3Error::new(StatusCode::NOT_FOUND, "ObjectLockConfigurationNotFoundError", message));
    }
    let days = settings.retention_seconds.map(|seconds| element("Days", &(seconds / 86_400).to_string()));
    let rule = days.map(|days| {
        let retention = format!("<DefaultRetention>{}{days}</DefaultRetention>", element("Mode", "COMPLIANCE"));
        format!("<Rule>{retention}</Rule>")
    });
    let enabled = element("ObjectLockEnabled", "Enabled");
    Ok(document("ObjectLockConfiguration", &(enabled + &rule.unwrap_or_default())))
}

/// What Google's JSON interface tells of a bucket, as far as it is asked for.
pub(super) fn policies(asked: &Asked<'_>) -> Reply {
    let settings = &asked.service.settings;
    let described = [
        (
            "retentionPolicy",
            settings.retention_seconds.map(|seconds| json!({ "retentionPeriod": seconds.to_string() })),
        ),
        (
            "softDeletePolicy",
            settings.soft_delete_seconds.map(|seconds| json!({ "retentionDurationSeconds": seconds.to_string() })),
        ),
        ("versioning", settings.keeps_versions().then(|| json!({ "enabled": true }))),
        ("encryption", settings.encryption_key.as_ref().map(|key| json!({ "defaultKmsKeyName": key }))),
    ];
    let fields = asked.call.parameter("fields").map(|fields| fields.split(',').collect::<Vec<_>>());
    let is_asked_for = |name: &str| fields.as_ref().is_none_or(|fields| fields.contains(&name));
    let told = described.into_iter().filter(|(name, _)| is_asked_for(name));
    let told: Map<String, Value> = told.filter_map(|(name, value)| Some((name.to_owned(), value?))).collect();
    Reply::text(StatusCode::OK, "application/json; charset=UTF-8", Value::Object(told).to_string())
}
