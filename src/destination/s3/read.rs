//! Reads objects and what they say about themselves.

use std::time::Duration;

use aws_sdk_s3::error::ProvideErrorMetadata as _;
use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::operation::head_object::HeadObjectOutput;
use aws_sdk_s3::primitives::ByteStream;
use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream;

use super::S3Store;
use super::failure::{Operation, is_no_such_key};
use super::put::ORIGIN;
use crate::destination::bucket::{Described, Fetched, Version};
use crate::error::{Error, ErrorKind, Result};

impl S3Store {
    pub(super) async fn get_object(&self, key: &str, bytes_max: Option<u64>) -> Result<Option<Fetched>> {
        let fetched = match self.get_beginning(key, bytes_max).await? {
            // An empty object has no first byte to ask for.
            Beginning::Unsatisfiable => self.get_beginning(key, None).await?,
            found => found,
        };
        let Beginning::Found(answer) = fetched else { return Ok(None) };
        let etag = self.etag(Operation::Get, key, answer.e_tag)?;
        let incoming = Incoming {
            request: self.request(Operation::Get, key),
            body: answer.body,
            expected_bytes: answer.content_length.and_then(|length| u64::try_from(length).ok()),
            received_bytes: 0,
            // A server may ignore the range.
            wanted_bytes: bytes_max.unwrap_or(u64::MAX),
            stall_timeout: self.settings.net.stall_timeout,
        };
        let body = stream::try_unfold(incoming, Incoming::next).boxed();
        Ok(Some(Fetched { version: Version { etag, generation: None }, body }))
    }

    async fn get_beginning(&self, key: &str, bytes_max: Option<u64>) -> Result<Beginning> {
        let range = bytes_max.map(|bytes_max| format!("bytes=0-{}", bytes_max.saturating_sub(1)));
        let answer = self.sessions.run(async |session| {
            let request = session.streamed.get_object().bucket(&self.settings.bucket).key(key);
            match request.set_range(range.clone()).set_request_payer(self.request_payer()).send().await {
                Ok(answer) => Ok(Beginning::Found(Box::new(answer))),
                Err(error) if is_no_such_key(&error) => Ok(Beginning::Missing),
                Err(error) if range.is_some() && error.code() == Some("InvalidRange") => Ok(Beginning::Unsatisfiable),
                Err(error) => Err(self.failure(Operation::Get, key, &error)),
            }
        });
        answer.await
    }

    pub(super) async fn describe(&self, key: &str) -> Result<Option<Described>> {
        let Some(answer) = self.head_object(key).await? else { return Ok(None) };
        let etag = self.etag(Operation::Head, key, answer.e_tag)?;
        let size_bytes = answer
            .content_length
            .and_then(|length| u64::try_from(length).ok())
            .ok_or_else(|| self.untrusted(Operation::Head, key, "it has no length"))?;
        let origin = answer.metadata.and_then(|mut metadata| metadata.remove(ORIGIN));
        Ok(Some(Described { size_bytes, version: Version { etag, generation: None }, origin }))
    }

    pub(super) async fn head_object(&self, key: &str) -> Result<Option<HeadObjectOutput>> {
        let answer = self.sessions.run(async |session| {
            let request = session.plain.head_object().bucket(&self.settings.bucket).key(key);
            match request.set_request_payer(self.request_payer()).send().await {
                Ok(answer) => Ok(Some(answer)),
                Err(error) if is_no_such_key(&error) => Ok(None),
                Err(error) => Err(self.failure(Operation::Head, key, &error)),
            }
        });
        answer.await
    }
}

/// What a request for an object's beginning brings.
enum Beginning {
    Found(Box<GetObjectOutput>),
    Missing,
    /// The object is shorter than where the range begins.
    Unsatisfiable,
}

/// An object's bytes on their way.
struct Incoming {
    request: String,
    body: ByteStream,
    expected_bytes: Option<u64>,
    received_bytes: u64,
    wanted_bytes: u64,
    stall_timeout: Duration,
}

impl Incoming {
    async fn next(mut self) -> Result<Option<(Bytes, Self)>> {
        if self.received_bytes >= self.wanted_bytes {
            return Ok(None);
        }
        let arriving = tokio::time::timeout(self.stall_timeout, self.body.next());
        let Ok(arrived) = arriving.await else { return Err(self.cut("it stands still")) };
        match arrived {
            Some(Ok(mut chunk)) => {
                let left_bytes = self.wanted_bytes - self.received_bytes;
                chunk.truncate(usize::try_from(left_bytes).unwrap_or(usize::MAX));
                self.received_bytes += chunk.len() as u64;
                Ok(Some((chunk, self)))
            }
            Some(Err(cause)) => Err(self.cut("the connection failed").with_cause(cause)),
            None if self.expected_bytes.is_some_and(|expected| expected != self.received_bytes) => {
                Err(self.cut("it ended early"))
            }
            None => Ok(None),
        }
    }

    fn cut(&self, reason: &str) -> Error {
        let what = format!("{} was cut after {} bytes: {reason}", self.request, self.received_bytes);
        Error::new(ErrorKind::Unavailable, what)
    }
}
