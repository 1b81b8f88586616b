//! Multipart uploads, and what is known of unfinished ones.

use aws_sdk_s3::error::ProvideErrorMetadata as _;
use aws_sdk_s3::types::{
    ChecksumAlgorithm, ChecksumType, CompletedMultipartUpload, CompletedPart, ExpirationStatus, LifecycleRule,
    StorageClass,
};
use crc_fast::{CrcAlgorithm, Digest};
use http::{HeaderMap, HeaderValue};

use super::failure::{Operation, is_refused_condition};
use super::put::{PAYER, if_match, if_none_match, insert_checksum, missing_checksum, origin_metadata, signed, text_of};
use super::{CHECKSUM, S3Store};
use crate::destination::bucket::{Condition, Part, Payload, Put, Upload};
use crate::error::{Error, ErrorKind, Result};
use crate::export::{Base64, Checksum, Checksums};
use crate::net;

/// S3's own limit on the unfinished uploads of one answer.
const UPLOADS_MAX: i32 = 1000;

/// The checksum of a part.
const CRC64_NVME: &str = "x-amz-checksum-crc64nvme";

/// What an object that is made of parts will have besides its bytes.
pub(super) struct Properties {
    pub origin: Option<String>,
    pub storage_class: Option<StorageClass>,
    pub tagging: Option<String>,
}

impl S3Store {
    /// What the user wants of data objects; of this tool's own, which have no origin, nothing.
    pub(super) fn new_data_object(&self, origin: &str) -> Properties {
        if origin.is_empty() {
            return Properties { origin: None, storage_class: None, tagging: None };
        }
        Properties { origin: Some(origin.to_owned()), storage_class: self.storage_class(), tagging: self.tagging() }
    }

    pub(super) async fn create_upload(&self, key: &str, properties: &Properties) -> Result<String> {
        let answer = self.sessions.run(async |session| {
            let request = session
                .xml
                .create_multipart_upload()
                .bucket(&self.settings.bucket)
                .key(key)
                // The one kind of checksum that the bucket works out for the whole object.
                .set_checksum_algorithm(session.sends_checksums.then_some(ChecksumAlgorithm::Crc64Nvme))
                .set_checksum_type(session.sends_checksums.then_some(ChecksumType::FullObject))
                .set_metadata(properties.origin.as_deref().map(origin_metadata))
                .set_server_side_encryption(self.encryption())
                .set_ssekms_key_id(self.settings.sse_kms_key_id.clone())
                .set_storage_class(properties.storage_class.clone())
                .set_tagging(properties.tagging.clone())
                .set_acl(self.acl())
                .set_request_payer(self.request_payer());
            request.send().await.map_err(|error| self.failure(Operation::CreateUpload, key, &error))
        });
        let id = answer.await?.upload_id.filter(|id| !id.is_empty());
        id.ok_or_else(|| self.untrusted(Operation::CreateUpload, key, "it names no upload"))
    }

    pub(super) async fn put_part(&self, upload: &Upload, number: u32, payload: &Payload) -> Result<String> {
        let mut digest = Digest::new(CrcAlgorithm::Crc64Nvme);
        payload.chunks().iter().for_each(|chunk| digest.update(chunk));
        let checksum = Base64(digest.finalize().to_be_bytes()).to_string();
        let mut query = format!("?partNumber={number}&uploadId=");
        net::push_encoded(&mut query, &upload.id, b'.');
        let answer = self.sessions.run(async |session| {
            let mut headers = HeaderMap::new();
            insert_checksum(&mut headers, session.sends_checksums, (CRC64_NVME, &checksum), payload)?;
            if self.settings.pays_requests {
                headers.insert(PAYER, HeaderValue::from_static("requester"));
            }
            let answer =
                self.send_bytes(&session.bytes, Operation::UploadPart, (&upload.key, &query), headers, payload);
            answer.await?.map_err(|refusal| self.refused(Operation::UploadPart, *refusal))
        });
        let headers = answer.await?;
        if headers.get(CRC64_NVME).is_some_and(|stored| stored.as_bytes() != checksum.as_bytes()) {
            return Err(self.altered(Operation::UploadPart, &upload.key, "CRC-64/NVME"));
        }
        self.etag(Operation::UploadPart, &upload.key, text_of(&headers, "etag"))
    }

    /// Makes an object of its parts. Only a copy goes without `computed`: its bytes never were here.
    pub(super) async fn finish_upload(
        &self,
        upload: &Upload,
        parts: &[Part],
        computed: Option<&Checksums>,
        condition: Condition<'_>,
    ) -> Result<Put> {
        let (key, condition) = (&upload.key, self.known_condition(condition));
        let checksum = match computed {
            Some(computed) => Some(computed.get(CHECKSUM).ok_or_else(|| missing_checksum("CRC-64/NVME"))?),
            None => None,
        };
        let size_bytes = signed(parts.iter().map(|part| part.size_bytes).sum())?;
        let parts = parts.iter().map(completed_part).collect::<Result<Vec<_>>>()?;
        let parts = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
        let answer = self.sessions.run(async |session| {
            let request = session
                .slow_xml
                .complete_multipart_upload()
                .bucket(&self.settings.bucket)
                .key(key)
                .upload_id(&upload.id)
                .multipart_upload(parts.clone())
                .set_checksum_type(session.sends_checksums.then_some(ChecksumType::FullObject))
                .set_checksum_crc64_nvme(
                    checksum.filter(|_| session.sends_checksums).map(|checksum| checksum.to_string()),
                )
                .set_mpu_object_size(session.sends_checksums.then_some(size_bytes))
                .set_if_none_match(if_none_match(condition))
                .set_if_match(if_match(condition))
                .set_request_payer(self.request_payer());
            match request.send().await {
                Err(error) if is_refused_condition(&error, condition) => Ok(None),
                Err(error) => Err(self.failure(Operation::CompleteUpload, key, &error)),
                Ok(answer) => Ok(Some(answer)),
            }
        });
        let Some(answer) = answer.await? else { return Ok(Put::Refused) };
        // A server that does not say what its value is about may mean a checksum of checksums, and
        // one that lacks the algorithm may put another one's value there, of four bytes.
        let is_of_the_whole = answer.checksum_type == Some(ChecksumType::FullObject);
        let stored = answer.checksum_crc64_nvme.filter(|_| is_of_the_whole);
        if let (Some(stored), Some(sent)) =
            (stored.as_deref().and_then(|text| Checksum::parse(CHECKSUM, text)), checksum)
            && stored != sent
        {
            return Err(self.altered(Operation::CompleteUpload, key, "CRC-64/NVME"));
        }
        self.stored(Operation::CompleteUpload, key, answer.e_tag)
    }

    pub(super) async fn abandon_upload(&self, upload: &Upload) -> Result<()> {
        let answer = self.sessions.run(async |session| {
            let request = session
                .plain
                .abort_multipart_upload()
                .bucket(&self.settings.bucket)
                .key(&upload.key)
                .upload_id(&upload.id)
                .set_request_payer(self.request_payer());
            let answer = request.send().await;
            answer.map(drop).map_err(|error| self.failure(Operation::AbortUpload, &upload.key, &error))
        });
        match answer.await {
            Err(error) if error.kind() == ErrorKind::UploadLost => Ok(()),
            answered => answered,
        }
    }

    pub(super) async fn list_uploads(&self, prefix: &str) -> Result<Option<Vec<Upload>>> {
        let operation = Operation::ListUploads;
        let answer = self.sessions.run(async |session| {
            let request = session
                .xml
                .list_multipart_uploads()
                .bucket(&self.settings.bucket)
                .prefix(prefix)
                .max_uploads(UPLOADS_MAX)
                .set_request_payer(self.request_payer());
            match request.send().await {
                Err(error) if cannot_be_known(error.raw_response().map(|raw| raw.status().as_u16()), error.code()) => {
                    Ok(None)
                }
                Err(error) => Err(self.failure(operation, prefix, &error)),
                Ok(answer) => Ok(Some(answer)),
            }
        });
        let Some(answer) = answer.await? else { return Ok(None) };
        if answer.bucket() != Some(self.settings.bucket.as_str()) {
            return Err(self.untrusted(operation, prefix, "it does not say that it lists this bucket"));
        }
        let uploads =
            answer.uploads.unwrap_or_default().into_iter().map(|upload| match (upload.key, upload.upload_id) {
                (Some(key), Some(id)) if key.starts_with(prefix) => Ok(Upload { key, id }),
                _ => Err(self.untrusted(operation, prefix, "it has uploads from elsewhere")),
            });
        uploads.collect::<Result<_>>().map(Some)
    }

    pub(super) async fn has_cleaning_rule(&self, prefix: &str) -> Result<Option<bool>> {
        let answer = self.sessions.run(async |session| {
            let request = session.xml.get_bucket_lifecycle_configuration().bucket(&self.settings.bucket);
            match request.send().await {
                Ok(answer) => Ok(Some(answer.rules().iter().any(|rule| removes_uploads(rule, prefix)))),
                Err(error) if error.code() == Some("NoSuchLifecycleConfiguration") => Ok(Some(false)),
                Err(error) if cannot_be_known(error.raw_response().map(|raw| raw.status().as_u16()), error.code()) => {
                    Ok(None)
                }
                Err(error) => Err(self.failure(Operation::GetLifecycle, "", &error)),
            }
        });
        answer.await
    }
}

/// Whether a refusal says that the question is not for these credentials, or not for this server.
fn cannot_be_known(status: Option<u16>, code: Option<&str>) -> bool {
    code == Some("AccessDenied") || matches!(status, Some(405 | 501))
}

fn completed_part(part: &Part) -> Result<CompletedPart> {
    Ok(CompletedPart::builder().part_number(part_number(part.number)?).e_tag(&part.etag).build())
}

pub(super) fn part_number(number: u32) -> Result<i32> {
    i32::try_from(number).map_err(|cause| Error::new(ErrorKind::Internal, "an impossible part").with_cause(cause))
}

/// Whether a rule of the bucket removes every unfinished upload below a prefix in time.
fn removes_uploads(rule: &LifecycleRule, prefix: &str) -> bool {
    let is_of_part = rule.filter().is_some_and(|filter| {
        let and = filter.and();
        let has_sizes = filter.object_size_greater_than().or(filter.object_size_less_than()).is_some();
        filter.tag().is_some() || has_sizes || and.is_some_and(|and| !and.tags().is_empty())
    });
    let and_prefix = rule.filter().and_then(|filter| filter.and()).and_then(|and| and.prefix());
    #[expect(deprecated, reason = "old rules have their prefix outside of the filter")]
    let below = rule.filter().and_then(|filter| filter.prefix()).or(and_prefix).or(rule.prefix()).unwrap_or_default();
    let is_enabled = *rule.status() == ExpirationStatus::Enabled;
    is_enabled && !is_of_part && prefix.starts_with(below) && rule.abort_incomplete_multipart_upload().is_some()
}

#[cfg(test)]
mod tests {
    use aws_sdk_s3::types::{AbortIncompleteMultipartUpload, LifecycleRuleFilter, Tag};

    use super::*;

    fn rule(filter: LifecycleRuleFilter, status: ExpirationStatus) -> LifecycleRule {
        let abort = AbortIncompleteMultipartUpload::builder().days_after_initiation(7).build();
        let rule = LifecycleRule::builder().filter(filter).status(status);
        rule.abort_incomplete_multipart_upload(abort).build().unwrap()
    }

    #[test]
    fn only_a_rule_for_all_below_the_prefix_counts() {
        let below = |prefix: &str| LifecycleRuleFilter::builder().prefix(prefix).build();
        let enabled = ExpirationStatus::Enabled;
        assert!(removes_uploads(&rule(below(""), enabled.clone()), "mirror/"));
        assert!(removes_uploads(&rule(below("mirror/"), enabled.clone()), "mirror/"));
        assert!(!removes_uploads(&rule(below("mirror/type=a/"), enabled.clone()), "mirror/"));
        assert!(!removes_uploads(&rule(below(""), ExpirationStatus::Disabled), "mirror/"));
        let tag = Tag::builder().key("a").value("b").build().unwrap();
        let tagged = LifecycleRuleFilter::builder().tag(tag).build();
        assert!(!removes_uploads(&rule(tagged, enabled), "mirror/"));
    }
}
