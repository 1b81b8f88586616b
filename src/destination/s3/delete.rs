//! Deleting objects: many by one request, or one by one where the server knows nothing else.

use std::collections::HashSet;
use std::sync::atomic::Ordering;

use aws_sdk_s3::operation::RequestId as _;
use aws_sdk_s3::types::{Delete, ObjectIdentifier};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use http::{HeaderMap, StatusCode};
use md5::{Digest as _, Md5};

use super::S3Store;
use super::failure::{Operation, is_no_such_key, is_unknown_request};
use crate::destination::bucket::DELETES_MAX;
use crate::error::{Error, ErrorKind, Result, Retry};
use crate::export::Base64;
use crate::net::Refusal;

/// Maximum number of objects that are deleted concurrently where each takes a request of its own.
const SINGLE_DELETES: usize = 16;

/// Servers that are older than S3's newer checksums demand this one.
fn add_content_md5(request: &mut HttpRequest) {
    let digest = request.body().bytes().map(|body| Base64::<16>(Md5::digest(body).into()).to_string());
    if let Some(digest) = digest {
        request.headers_mut().insert("content-md5", digest);
    }
}

impl S3Store {
    pub(super) async fn delete_objects(&self, keys: &[String]) -> Result<()> {
        let Some(first) = keys.first() else { return Ok(()) };
        if keys.len() > DELETES_MAX {
            return Err(Error::new(ErrorKind::Internal, format!("{} objects to delete at once", keys.len())));
        }
        if self.deletes_singly.load(Ordering::Relaxed) {
            return self.delete_singly(keys).await;
        }
        let invalid = |cause| Error::new(ErrorKind::Internal, "cannot ask to delete objects").with_cause(cause);
        let objects = keys.iter().map(|key| ObjectIdentifier::builder().key(key).build());
        let objects = objects.collect::<std::result::Result<Vec<_>, _>>().map_err(invalid)?;
        let delete = Delete::builder().set_objects(Some(objects)).quiet(false).build().map_err(invalid)?;
        let answer = self.sessions.run(async |session| {
            if !session.sends_checksums {
                // The SDK puts one of the newer checksums into this request, whatever the settings say.
                return Ok(false);
            }
            let request = session.xml.delete_objects().bucket(&self.settings.bucket).delete(delete.clone());
            let request = request.set_request_payer(self.request_payer());
            match request.customize().mutate_request(add_content_md5).send().await {
                Ok(answer) => self.check_each(keys, &answer).map(|()| true),
                Err(error) if is_unknown_request(&error) => Ok(false),
                Err(error) => Err(self.failure(Operation::Delete, first, &error)),
            }
        });
        if answer.await? {
            return Ok(());
        }
        self.deletes_singly.store(true, Ordering::Relaxed);
        self.delete_singly(keys).await
    }

    /// Deletes object by object, at a server that knows no other way.
    async fn delete_singly(&self, keys: &[String]) -> Result<()> {
        let deletions = stream::iter(keys.to_vec()).map(|key| async move {
            let key = key.as_str();
            self.sessions
                .run(async |session| {
                    let request = session.plain.delete_object().bucket(&self.settings.bucket).key(key);
                    match request.set_request_payer(self.request_payer()).send().await {
                        Err(error) if !is_no_such_key(&error) => Err(self.failure(Operation::Delete, key, &error)),
                        _ => Ok(()),
                    }
                })
                .await
        });
        deletions.buffer_unordered(SINGLE_DELETES).try_collect().await
    }

    /// A success may hold failures: each key must be answered for.
    fn check_each(
        &self,
        keys: &[String],
        answer: &aws_sdk_s3::operation::delete_objects::DeleteObjectsOutput,
    ) -> Result<()> {
        let errors = answer.errors().iter().filter(|error| error.code() != Some("NoSuchKey"));
        let failures = errors.map(|error| {
            let key = error.key().unwrap_or_default();
            self.refused(Operation::Delete, self.refusal_of(key, error, answer.request_id().unwrap_or_default()))
        });
        // What will fail again is worth more to know than what may be repeated.
        if let Some(failure) = failures.min_by_key(|failure| failure.retry() != Retry::Never) {
            return Err(failure);
        }
        let missing = answer.errors().iter().filter_map(|error| error.key());
        let answered: HashSet<_> = answer.deleted().iter().filter_map(|deleted| deleted.key()).chain(missing).collect();
        match keys.iter().find(|key| !answered.contains(key.as_str())) {
            Some(key) => Err(self.untrusted(Operation::Delete, key, "it does not say what became of the object")),
            None => Ok(()),
        }
    }

    /// One object's failure in the form of a whole answer's; S3 gives it no status of its own.
    fn refusal_of(&self, key: &str, error: &aws_sdk_s3::types::Error, request_id: &str) -> Refusal {
        let code = error.code().unwrap_or("no code");
        let status = match code {
            "AccessDenied" => StatusCode::FORBIDDEN,
            "SlowDown" | "ServiceUnavailable" => StatusCode::SERVICE_UNAVAILABLE,
            "InternalError" => StatusCode::INTERNAL_SERVER_ERROR,
            _ => StatusCode::OK,
        };
        Refusal {
            request: self.request(Operation::Delete, key),
            status,
            code: code.to_owned(),
            message: error.message().unwrap_or_default().to_owned(),
            request_id: request_id.to_owned(),
            headers: HeaderMap::new(),
        }
    }
}
