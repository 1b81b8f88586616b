use std::collections::HashSet;

use aws_sdk_s3::operation::RequestId as _;
use aws_sdk_s3::types::{Delete, ObjectIdentifier};
use http::{HeaderMap, StatusCode};

use super::S3Store;
use super::failure::Operation;
use crate::destination::bucket::DELETES_MAX;
use crate::error::{Error, ErrorKind, Result, Retry};
use crate::net::Refusal;

impl S3Store {
    pub(super) async fn delete_objects(&self, keys: &[String]) -> Result<()> {
        let Some(first) = keys.first() else { return Ok(()) };
        if keys.len() > DELETES_MAX {
            return Err(Error::new(ErrorKind::Internal, format!("{} objects to delete at once", keys.len())));
        }
        let invalid = |cause| Error::new(ErrorKind::Internal, "cannot ask to delete objects").with_cause(cause);
        let objects = keys.iter().map(|key| ObjectIdentifier::builder().key(key).build());
        let objects = objects.collect::<std::result::Result<Vec<_>, _>>().map_err(invalid)?;
        let delete = Delete::builder().set_objects(Some(objects)).quiet(false).build().map_err(invalid)?;
        self.sessions
            .run(async |session| {
                let request = session.xml.delete_objects().bucket(&self.settings.bucket).delete(delete.clone());
                let answer = request.send().await.map_err(|error| self.failure(Operation::Delete, first, &error))?;
                self.check_each(keys, &answer)
            })
            .await
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
