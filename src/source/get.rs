use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt as _};
use http::{HeaderMap, StatusCode, header};
use reqwest::Response;

use crate::error::{Error, ErrorKind, Result};
use crate::export::{Base64, Checksums, Object, printable};
use crate::net;

/// Compares an answer's headers with what was asked for, before a byte of the body is used.
///
/// # Errors
/// [`ErrorKind::SourceChanged`] where the object is not the one listed,
/// [`ErrorKind::Protocol`] where the server ignores the range.
pub(super) fn check_answer(response: &Response, object: &Object, range: Option<&Range<u64>>) -> Result<()> {
    let headers = response.headers();
    let changed = |what: &str| {
        Error::new(ErrorKind::SourceChanged, format!("object {} changed at the source: {what}", printable(&object.key)))
    };
    if let (Some(listed), Some(sent)) = (&object.etag, text(headers, header::ETAG.as_str()))
        && listed.trim_matches('"') != sent.trim_matches('"')
    {
        return Err(changed("it has another ETag than listed"));
    }
    let wanted = range.map_or(object.size_bytes, |range| range.end - range.start);
    if response.content_length().is_some_and(|length| length != wanted) {
        return Err(changed("it has another size than listed"));
    }
    match range {
        None if response.status() == StatusCode::OK => Ok(()),
        Some(range) if response.status() == StatusCode::PARTIAL_CONTENT => {
            let expected = format!("bytes {}-{}/{}", range.start, range.end - 1, object.size_bytes);
            match text(headers, header::CONTENT_RANGE.as_str()) {
                Some(sent) if sent == expected => Ok(()),
                _ => Err(changed("the answer is for other bytes than asked")),
            }
        }
        _ => Err(Error::new(
            ErrorKind::Protocol,
            format!("the server ignores ranges ({} for object {})", response.status().as_u16(), printable(&object.key)),
        )
        .with_hint("something between this machine and the cloud changes requests; reach the cloud without it")),
    }
}

/// The bytes of an answer: exactly `wanted_bytes` of them, each within the stall timeout after the
/// one before. Time that the receiver takes does not count.
pub(super) fn body(
    response: Response,
    wanted_bytes: u64,
    stall_timeout: Duration,
    key: &str,
) -> BoxStream<'static, Result<Bytes>> {
    let state = BodyState { response, received_bytes: 0, wanted_bytes, stall_timeout, key: key.to_owned() };
    stream::try_unfold(state, |mut state| async move {
        let chunk = state.next_chunk().await?;
        Ok(chunk.map(|chunk| (chunk, state)))
    })
    .boxed()
}

struct BodyState {
    response: Response,
    received_bytes: u64,
    wanted_bytes: u64,
    stall_timeout: Duration,
    key: String,
}

impl BodyState {
    async fn next_chunk(&mut self) -> Result<Option<Bytes>> {
        let chunk = match tokio::time::timeout(self.stall_timeout, self.response.chunk()).await {
            Err(_) => return Err(self.broken("stalled", None)),
            Ok(Err(cause)) => return Err(self.broken("was cut", Some(cause))),
            Ok(Ok(chunk)) => chunk,
        };
        self.received_bytes += chunk.as_ref().map_or(0, |chunk| chunk.len() as u64);
        match chunk {
            Some(_) if self.received_bytes > self.wanted_bytes => Err(self.broken("brought too much", None)),
            None if self.received_bytes < self.wanted_bytes => Err(self.broken("ended early", None)),
            chunk => Ok(chunk),
        }
    }

    fn broken(&self, how: &str, cause: Option<reqwest::Error>) -> Error {
        let what = format!(
            "the transfer of {} {how} after {} of {} bytes",
            printable(&self.key),
            self.received_bytes,
            self.wanted_bytes
        );
        match cause {
            Some(cause) => net::connection_error(what, cause),
            None => Error::new(ErrorKind::Unavailable, what),
        }
    }
}

/// The checksums of the whole object among the answer's headers.
pub(super) fn checksums(headers: &HeaderMap) -> Checksums {
    fn read<const N: usize>(headers: &HeaderMap, name: &str) -> Option<Base64<N>> {
        Base64::parse(text(headers, name)?)
    }
    if text(headers, "x-amz-checksum-type") == Some("COMPOSITE") {
        return Checksums::default();
    }
    Checksums {
        crc64nvme: read(headers, "x-amz-checksum-crc64nvme"),
        crc32c: read(headers, "x-amz-checksum-crc32c"),
        crc32: read(headers, "x-amz-checksum-crc32"),
        sha256: read(headers, "x-amz-checksum-sha256"),
        sha1: read(headers, "x-amz-checksum-sha1"),
        md5: read(headers, "x-amz-checksum-md5"),
    }
}

/// A header's text, where it is text.
pub(super) fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// Reads at most `limit` bytes of a failed request's answer.
pub(super) async fn error_body(mut response: Response, limit: usize) -> Vec<u8> {
    let mut body = Vec::new();
    let reading = async {
        while let Ok(Some(chunk)) = response.chunk().await {
            body.extend_from_slice(&chunk);
            if body.len() >= limit {
                break;
            }
        }
    };
    // Without its body the answer's status still tells the most.
    let _ = tokio::time::timeout(Duration::from_secs(5), reading).await;
    body.truncate(limit);
    body
}
