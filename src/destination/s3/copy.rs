//! Copies objects within a bucket, in parts where they are too large for one request.

use aws_sdk_s3::operation::head_object::HeadObjectOutput;

use super::S3Store;
use super::failure::Operation;
use super::put::ORIGIN;
use super::upload::{Properties, part_number};
use crate::destination::bucket::{Condition, Part, Put, Upload};
use crate::error::{Error, ErrorKind, Result};
use crate::net;

/// Maximum number of bytes that S3 copies by one request.
const COPY_BYTES_MAX: u64 = 5 * 1024 * 1024 * 1024;

/// Larger objects are copied in parts of this size: 5 TiB have 5,000 of at most 10,000.
const PART_BYTES: u64 = 1024 * 1024 * 1024;

impl S3Store {
    pub(super) async fn copy_object(&self, from: &str, to: &str, size_bytes: u64) -> Result<()> {
        // S3 stores a copy in the standard class, and one in parts without metadata, unless told.
        let Some(original) = self.head_object(from).await? else {
            let what = format!("{}: there is no such object", self.request(Operation::Copy, from));
            return Err(Error::new(ErrorKind::Protocol, what));
        };
        if size_bytes <= COPY_BYTES_MAX {
            return self.copy_at_once(from, to, &original).await;
        }
        let tagging = original.tag_count.is_some_and(|count| count > 0).then(|| self.tagging()).flatten();
        let properties = Properties {
            origin: original.metadata().and_then(|metadata| metadata.get(ORIGIN)).cloned(),
            storage_class: original.storage_class.clone(),
            tagging,
        };
        let upload = Upload { key: to.to_owned(), id: self.create_upload(to, &properties).await? };
        let copied = self.copy_in_parts(from, &upload, size_bytes, &original).await;
        if copied.is_err() {
            // The failure matters more than parts that are left behind, which the next run removes.
            let _ = self.abandon_upload(&upload).await;
        }
        copied
    }

    async fn copy_at_once(&self, from: &str, to: &str, original: &HeadObjectOutput) -> Result<()> {
        let copy_source = self.copy_source(from);
        let answer = self.sessions.run(async |session| {
            let request = session
                .slow_xml
                .copy_object()
                .bucket(&self.settings.bucket)
                .key(to)
                .copy_source(&copy_source)
                .set_copy_source_if_match(original.e_tag.clone())
                .set_storage_class(original.storage_class.clone())
                .set_server_side_encryption(self.encryption())
                .set_ssekms_key_id(self.settings.sse_kms_key_id.clone())
                .set_acl(self.acl())
                .set_request_payer(self.request_payer());
            request.send().await.map_err(|error| self.failure(Operation::Copy, from, &error))
        });
        let copied = answer.await?.copy_object_result;
        self.etag(Operation::Copy, from, copied.and_then(|copied| copied.e_tag)).map(drop)
    }

    async fn copy_in_parts(
        &self,
        from: &str,
        upload: &Upload,
        size_bytes: u64,
        original: &HeadObjectOutput,
    ) -> Result<()> {
        let mut parts = Vec::new();
        for (number, start) in (1..).zip((0..size_bytes).step_by(PART_BYTES as usize)) {
            let part_bytes = PART_BYTES.min(size_bytes - start);
            let range = format!("bytes={start}-{}", start + part_bytes - 1);
            let etag = self.copy_part(from, upload, number, &range, original).await?;
            parts.push(Part { number, size_bytes: part_bytes, etag });
        }
        match self.finish_upload(upload, &parts, None, Condition::None).await? {
            Put::Stored(_) => Ok(()),
            Put::Refused => Err(self.untrusted(Operation::Copy, from, "it refuses a condition that was not made")),
        }
    }

    async fn copy_part(
        &self,
        from: &str,
        upload: &Upload,
        number: u32,
        range: &str,
        original: &HeadObjectOutput,
    ) -> Result<String> {
        let (copy_source, number) = (self.copy_source(from), part_number(number)?);
        let answer = self.sessions.run(async |session| {
            let request = session
                .slow_xml
                .upload_part_copy()
                .bucket(&self.settings.bucket)
                .key(&upload.key)
                .upload_id(&upload.id)
                .part_number(number)
                .copy_source(&copy_source)
                .copy_source_range(range)
                .set_copy_source_if_match(original.e_tag.clone())
                .set_request_payer(self.request_payer());
            request.send().await.map_err(|error| self.failure(Operation::Copy, from, &error))
        });
        let copied = answer.await?.copy_part_result;
        self.etag(Operation::Copy, from, copied.and_then(|copied| copied.e_tag))
    }

    /// `bucket/key`, escaped: the SDK does not do it.
    fn copy_source(&self, key: &str) -> String {
        let mut source = format!("{}/", self.settings.bucket);
        net::push_encoded(&mut source, key, b'/');
        source
    }
}
