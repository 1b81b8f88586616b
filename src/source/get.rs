//! Reads pages of listings and objects of the source: an object's head proves to be the listed object, its body
//! to be whole.

use std::ops::Range;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt as _};
use http::{HeaderMap, Request, Response, StatusCode, header};
use http_body::Body;
use tokio::time::Instant;

use crate::error::{Error, ErrorKind, Result};
use crate::export::{Checksum, Checksums, Object, printable};
use crate::net::{
    self, Answer, HttpClient, HttpError, NetSettings, PAGE_BYTES_MAX, RateWatch, ReceivedBody, SentBody, Timeouts,
};
use crate::progress::Counters;
use crate::source::OpenObject;
use crate::source::page::untrusted;

/// How long the body of a refusal may take.
const ERROR_BODY_TIMEOUT: Duration = Duration::from_secs(5);

/// Sends the lean GETs of both clouds and sees to their answers.
pub(super) struct Getter {
    client: HttpClient,
    /// Keeps no connection, for bytes that arrived wrong over a pooled one. Made when first needed:
    /// it reads all trusted certificates again.
    client_without_pool: OnceLock<HttpClient>,
    net: NetSettings,
    counters: Arc<Counters>,
}

impl Getter {
    /// A getter over `client`'s connections.
    pub fn new(client: HttpClient, net: NetSettings, counters: Arc<Counters>) -> Self {
        Self { client, client_without_pool: OnceLock::new(), net, counters }
    }

    fn client_without_pool(&self) -> Result<&HttpClient> {
        if let Some(client) = self.client_without_pool.get() {
            return Ok(client);
        }
        let client = net::build_client_without_pool(&self.net)?;
        Ok(self.client_without_pool.get_or_init(|| client))
    }

    /// Sends a request for the object with this full key; gives the answer's head.
    pub async fn send(&self, request: Request<SentBody>, key: &str, on_new_connection: bool) -> Result<Answer> {
        let client = if on_new_connection { self.client_without_pool()? } else { &self.client };
        self.counters.get_requests.add(1);
        let answer = client.send(request, Timeouts::all(self.net.stall_timeout)).await;
        answer.map_err(|cause| net::connection_error(format!("no answer to GET {}", printable(key)), cause))
    }

    /// Sends a request for a page of the listing of `prefix`; gives the answer's head.
    pub async fn ask_for_page(&self, request: Request<SentBody>, prefix: &str) -> Result<Answer> {
        self.counters.list_requests.add(1);
        let answer = self.client.send(request, Timeouts::all(self.net.stall_timeout)).await;
        answer.map_err(|cause| no_page(prefix, cause))
    }

    /// The object behind a successful answer, once its head proves to be what was asked for.
    pub fn opened(&self, response: Answer, object: &Object, range: Option<&Range<u64>>) -> Result<OpenObject> {
        check_answer(&response, object, range)?;
        let wanted_bytes = wanted_bytes(object, range);
        // Some servers repeat the whole object's checksum on a part; it says nothing of the part.
        let checksums = if range.is_none() { checksums(response.headers()) } else { Checksums::default() };
        Ok(OpenObject { checksums, body: body(response.into_body(), wanted_bytes, &self.net, &object.key) })
    }
}

/// The bytes of a page.
///
/// # Errors
/// [`ErrorKind::ListingUntrusted`] for more than any page has.
pub(super) async fn page(answer: Answer, prefix: &str) -> Result<Bytes> {
    let body = answer.into_body().bytes(PAGE_BYTES_MAX).await.map_err(|cause| no_page(prefix, cause))?;
    body.ok_or_else(|| untrusted(prefix, "the answer is far too long"))
}

fn no_page(prefix: &str, cause: HttpError) -> Error {
    net::connection_error(format!("no answer to LIST {}", printable(prefix)), cause)
}

/// A request for an object, with the range where one is wanted.
pub(super) fn request(url: &str, key: &str, range: Option<&Range<u64>>) -> Result<Request<SentBody>> {
    let mut request = Request::builder().uri(url);
    if let Some(range) = range {
        request = request.header(header::RANGE, format!("bytes={}-{}", range.start, range.end - 1));
    }
    request.body(SentBody::empty()).map_err(|_| unaddressable(key))
}

fn unaddressable(key: &str) -> Error {
    Error::new(ErrorKind::KeyRefused, format!("key `{}` gives no address", printable(key)))
}

/// Compares an answer's headers with what was asked for, before a byte of the body is used.
///
/// # Errors
/// [`ErrorKind::SourceChanged`] where the answer is not the object as it was listed,
/// [`ErrorKind::Protocol`] where the server ignores the range or encodes the bytes.
fn check_answer<B: Body>(response: &Response<B>, object: &Object, range: Option<&Range<u64>>) -> Result<()> {
    let headers = response.headers();
    let length_bytes = response.body().size_hint().exact();
    let get = || format!("GET {}", printable(&object.key));
    let differs = |what: String| {
        Error::new(ErrorKind::SourceChanged, format!("{}: {what}", get())).with_hint(
            "the object was replaced, or the server answers something else than it lists; what was transferred is kept",
        )
    };
    if let (Some(listed), Some(sent)) = (&object.etag, text(headers, header::ETAG.as_str()))
        && listed.trim_matches('"') != sent.trim_matches('"')
    {
        return Err(differs(format!(
            "the answer has the ETag {}, and {} is listed",
            printable(sent),
            printable(listed)
        )));
    }
    if let (Some(listed), Some(sent)) = (object.generation, text(headers, "x-goog-generation"))
        && sent.parse() != Ok(listed)
    {
        return Err(differs(format!("the answer has the generation {}, and {listed} is listed", printable(sent))));
    }
    if let Some(encoding) = text(headers, header::CONTENT_ENCODING.as_str())
        && !is_plain(encoding)
        && length_bytes != Some(wanted_bytes(object, range))
    {
        let what = format!("{}: the answer is encoded ({}) and not the bytes as stored", get(), printable(encoding));
        return Err(Error::new(ErrorKind::Protocol, what)
            .with_hint("something between this machine and the cloud changes answers; reach the cloud without it"));
    }
    let wanted_bytes = wanted_bytes(object, range);
    if let Some(length) = length_bytes.filter(|length| *length != wanted_bytes) {
        return Err(differs(format!("the answer has {length} bytes, and {wanted_bytes} were asked for")));
    }
    match range {
        None if response.status() == StatusCode::OK => Ok(()),
        Some(range) if response.status() == StatusCode::PARTIAL_CONTENT => {
            let expected = format!("bytes {}-{}/{}", range.start, range.end - 1, object.size_bytes);
            match text(headers, header::CONTENT_RANGE.as_str()) {
                Some(sent) if sent == expected => Ok(()),
                sent => {
                    let sent = sent.map_or_else(|| "no range".to_owned(), |sent| format!("`{}`", printable(sent)));
                    Err(differs(format!("the answer is for {sent}, and `{expected}` was asked for")))
                }
            }
        }
        _ => {
            let status = response.status().as_u16();
            let asked = if range.is_some() { "a range" } else { "the whole object" };
            Err(Error::new(ErrorKind::Protocol, format!("{}: status {status} in answer to {asked}", get()))
                .with_hint("something between this machine and the cloud changes requests; reach the cloud without it"))
        }
    }
}

fn wanted_bytes(object: &Object, range: Option<&Range<u64>>) -> u64 {
    range.map_or(object.size_bytes, |range| range.end - range.start)
}

/// Whether an encoding leaves the bytes as they are stored.
fn is_plain(encoding: &str) -> bool {
    encoding.eq_ignore_ascii_case("identity") || encoding.eq_ignore_ascii_case("aws-chunked")
}

/// The bytes of an answer: exactly `wanted_bytes` of them, each within the stall timeout after the
/// one before, and not too slowly on the whole. Time that the receiver takes does not count.
fn body<B>(body: ReceivedBody<B>, wanted_bytes: u64, net: &NetSettings, key: &str) -> BoxStream<'static, Result<Bytes>>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<HttpError>,
{
    let state = BodyState {
        body,
        received_bytes: 0,
        wanted_bytes,
        rate: RateWatch::new(net.min_bytes_per_second),
        key: key.to_owned(),
    };
    stream::try_unfold(state, |mut state| async move {
        let chunk = state.next_chunk().await?;
        Ok(chunk.map(|chunk| (chunk, state)))
    })
    .boxed()
}

struct BodyState<B> {
    body: ReceivedBody<B>,
    received_bytes: u64,
    wanted_bytes: u64,
    rate: RateWatch,
    key: String,
}

impl<B> BodyState<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<HttpError>,
{
    async fn next_chunk(&mut self) -> Result<Option<Bytes>> {
        let began = Instant::now();
        let chunk = match self.body.chunk().await {
            Err(HttpError::Stalled(_)) => return Err(self.broken("stalled", None)),
            Err(cause) => return Err(self.broken("was cut", Some(cause))),
            Ok(chunk) => chunk,
        };
        let chunk_bytes = chunk.as_ref().map_or(0, |chunk| chunk.len() as u64);
        self.received_bytes += chunk_bytes;
        if chunk.is_some() && self.rate.is_undercut(began.elapsed(), chunk_bytes) {
            return Err(self.broken("was too slow", None));
        }
        match chunk {
            Some(_) if self.received_bytes > self.wanted_bytes => Err(self.broken("brought too much", None)),
            None if self.received_bytes < self.wanted_bytes => Err(self.broken("ended early", None)),
            chunk => Ok(chunk),
        }
    }

    fn broken(&self, how: &str, cause: Option<HttpError>) -> Error {
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
fn checksums(headers: &HeaderMap) -> Checksums {
    if text(headers, "x-amz-checksum-type") == Some("COMPOSITE") {
        return Checksums::default();
    }
    Checksums::of(|algorithm| Checksum::parse(algorithm, text(headers, algorithm.s3_header())?))
}

/// A header's text, where it is text.
pub(super) fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// Reads at most `limit` bytes of a failed request's answer.
pub(super) async fn error_body(response: Answer, limit: usize) -> Bytes {
    let mut body = response.into_body();
    // Without its body the answer's status still tells the most.
    match tokio::time::timeout(ERROR_BODY_TIMEOUT, body.first_bytes(limit)).await {
        Ok(Ok(body)) => body,
        Ok(Err(_)) | Err(_) => Bytes::new(),
    }
}

#[cfg(test)]
mod tests {
    use futures::TryStreamExt as _;
    use http_body::Frame;
    use http_body_util::{Full, StreamBody};

    use super::*;

    const ETAG: &str = "\"listed\"";

    fn object() -> Object {
        Object {
            key: "event=a/part-0.parquet".into(),
            size_bytes: 10,
            etag: Some(ETAG.into()),
            generation: Some(7),
            ..Object::default()
        }
    }

    fn answer(status: u16, headers: &[(&str, &str)], body: &'static str) -> Response<Full<Bytes>> {
        let mut answer = http::Response::builder().status(status);
        for (name, value) in headers {
            answer = answer.header(*name, *value);
        }
        answer.body(Full::from(body)).unwrap()
    }

    fn refusal(answer: &Response<Full<Bytes>>, range: Option<&Range<u64>>) -> Option<ErrorKind> {
        check_answer(answer, &object(), range).err().map(|error| error.kind())
    }

    #[test]
    fn an_answer_about_another_object_than_listed_is_refused_by_its_head() {
        let whole = "0123456789";
        let listed = [("etag", ETAG), ("x-goog-generation", "7")];
        assert_eq!(refusal(&answer(200, &listed, whole), None), None);
        assert_eq!(refusal(&answer(200, &[], whole), None), None, "what the server does not tell");
        for (headers, body) in [
            (&[("etag", "\"other\"")][..], whole),
            (&[("x-goog-generation", "8")], whole),
            (&[("x-goog-generation", "x")], whole),
            (&listed, "012345678"),
            (&listed, "0123456789a"),
        ] {
            let refused = refusal(&answer(200, headers, body), None);
            assert_eq!(refused, Some(ErrorKind::SourceChanged), "{headers:?} {body}");
        }
    }

    #[test]
    fn a_part_is_taken_only_if_the_answer_says_that_it_is_that_part() {
        let range = Some(&(2..6));
        assert_eq!(refusal(&answer(206, &[("content-range", "bytes 2-5/10")], "2345"), range), None);
        for headers in [&[("content-range", "bytes 3-6/10")][..], &[("content-range", "bytes 2-5/11")], &[]] {
            assert_eq!(refusal(&answer(206, headers, "2345"), range), Some(ErrorKind::SourceChanged), "{headers:?}");
        }
        assert_eq!(refusal(&answer(200, &[], "2345"), range), Some(ErrorKind::Protocol));
        assert_eq!(refusal(&answer(206, &[], "0123456789"), None), Some(ErrorKind::Protocol));
    }

    #[tokio::test]
    async fn a_body_is_exactly_as_long_as_wanted_or_fails() {
        let read = |sent: &'static str| async move {
            // Without a length ahead, as a chunked answer has none.
            let chunk = Ok::<_, HttpError>(Frame::data(Bytes::from_static(sent.as_bytes())));
            let sent = ReceivedBody::new(StreamBody::new(stream::iter([chunk])), Duration::from_secs(20));
            body(sent, 4, &NetSettings::default(), "key").try_collect::<Vec<_>>().await
        };
        assert_eq!(read("0123").await.unwrap().concat(), b"0123");
        assert_eq!(read("012").await.unwrap_err().kind(), ErrorKind::Unavailable);
        assert_eq!(read("01234").await.unwrap_err().kind(), ErrorKind::Unavailable);
    }
    #[tokio::test(start_paused = true)]
    async fn a_body_that_trickles_is_given_up_unless_any_rate_is_taken() {
        let read = |min_bytes_per_second| async move {
            let trickle = stream::iter(0..100).then(|_| async {
                tokio::time::sleep(Duration::from_secs(10)).await;
                Ok::<_, HttpError>(Frame::data(Bytes::from_static(b"0123456789")))
            });
            let sent = ReceivedBody::new(StreamBody::new(trickle.boxed()), Duration::from_secs(20));
            let net = NetSettings { min_bytes_per_second, ..NetSettings::default() };
            body(sent, 1_000, &net, "key").try_collect::<Vec<_>>().await
        };
        assert_eq!(read(0).await.unwrap().concat().len(), 1_000);
        assert_eq!(read(1).await.unwrap().concat().len(), 1_000);
        let error = read(2).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert_eq!(error.to_string(), "the transfer of key was too slow after 60 of 1000 bytes");
    }
}
