//! A cheap server for the export, in a process of its own: it makes no object but hands out slices of
//! one piece of noise, and verifies no signature. Mirrors in a bucket are written to the simulator's.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Write as _};
use std::ops::Range;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use base64::Engine as _;
use bytes::Bytes;
use crc_fast::{CrcAlgorithm, Digest};
use e3sync::simulator::{AccessKey, CustomerBucket, CustomerSettings};
use futures::StreamExt as _;
use futures::stream::{self, BoxStream};
use http::{Method, Request, Response, StatusCode, header};
use http_body::Frame;
use http_body_util::StreamBody;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use rand::{Rng as _, SeedableRng as _};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::ROLE_SERVE;
use super::workload::{
    ACCESS_KEY_ID, EXPORT_BUCKET, MIRROR_BUCKET, Object, REGION, SECRET_ACCESS_KEY, Workload, partitions, prefix,
    scattered,
};

/// The token that the server takes as well as any other.
pub const TOKEN: &str = "2:bench-token-of-the-compared-tools-0000000000";

const NOISE_BYTES: usize = 64 << 20;
const CHUNK_BYTES: u64 = 256 << 10;
const PAGE_KEYS_MAX: usize = 1_000;

type Body = StreamBody<BoxStream<'static, Result<Frame<Bytes>, Infallible>>>;

/// What the server of the export has seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    pub gets: u64,
    pub lists: u64,
    pub others: u64,
    pub connections: u64,
    /// The requests to the bucket of mirrors.
    pub bucket_requests: u64,
}

/// The running servers; they end with their standard input.
pub struct Server {
    pub export_url: String,
    pub mirror_url: String,
    _process: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Server {
    /// Starts the servers of a workload; `ca_file` gets their certificate authority.
    pub fn start(workload: &Workload, ca_file: &Path) -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args([ROLE_SERVE, workload.id])
            .arg(ca_file)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let input = process.stdin.take().unwrap();
        let mut output = BufReader::new(process.stdout.take().unwrap());
        let (export_url, mirror_url) = (line(&mut output), line(&mut output));
        Self { export_url, mirror_url, _process: process, input, output }
    }

    /// What was seen since the last call. The bucket of mirrors is empty afterwards.
    pub fn take_seen(&mut self) -> Seen {
        writeln!(self.input).unwrap();
        let numbers: Vec<u64> = line(&mut self.output).split(' ').map(|number| number.parse().unwrap()).collect();
        let [gets, lists, others, connections, bucket_requests] = numbers[..] else { panic!("{numbers:?}") };
        Seen { gets, lists, others, connections, bucket_requests }
    }
}

fn line(output: &mut BufReader<ChildStdout>) -> String {
    let mut line = String::new();
    output.read_line(&mut line).unwrap();
    line.trim_end().to_owned()
}

/// The servers' own process.
pub fn main(arguments: &[String]) {
    let [id, ca_file] = arguments else { panic!("{arguments:?}") };
    let workload = Workload::of(id);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let export = Arc::new(Export::of(workload));
    let tls = workload.is_tls.then(|| acceptor(Path::new(ca_file)));
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let scheme = if workload.is_tls { "https" } else { "http" };
    let port = listener.local_addr().unwrap().port();
    let access_key = AccessKey { access_key_id: ACCESS_KEY_ID.into(), secret_access_key: SECRET_ACCESS_KEY.into() };
    let settings = CustomerSettings {
        access_key,
        region: REGION.to_owned(),
        ..CustomerSettings::new(MIRROR_BUCKET, Timestamp::now())
    };
    let mirrors = runtime.block_on(CustomerBucket::start(settings)).unwrap();
    println!("{scheme}://localhost:{port}\n{}", mirrors.url());
    runtime.spawn(accept(listener, tls, export.clone()));
    for _ in std::io::stdin().lines() {
        let counts = [&export.gets, &export.lists, &export.others, &export.connections];
        let [gets, lists, others, connections] = counts.map(|count| count.swap(0, Ordering::Relaxed));
        println!("{gets} {lists} {others} {connections} {}", mirrors.requests().log.len());
        mirrors.forget_requests();
        mirrors.abort_uploads();
        for key in mirrors.objects().keys() {
            mirrors.remove_object(key);
        }
    }
}

/// A certificate for `localhost`, whose authority is written to a file.
fn acceptor(ca_file: &Path) -> TlsAcceptor {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(ca_file, made.cert.pem()).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

async fn accept(listener: TcpListener, tls: Option<TlsAcceptor>, export: Arc<Export>) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        export.connections.fetch_add(1, Ordering::Relaxed);
        let (export, tls) = (export.clone(), tls.clone());
        tokio::spawn(async move { secured(stream, tls, export).await });
    }
}

async fn secured(stream: TcpStream, tls: Option<TlsAcceptor>, export: Arc<Export>) {
    match tls {
        None => serve(stream, export).await,
        Some(tls) => {
            if let Ok(stream) = tls.accept(stream).await {
                serve(stream, export).await;
            }
        }
    }
}

async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, export: Arc<Export>) {
    let service = service_fn(move |request| {
        let export = export.clone();
        async move { Ok::<_, Infallible>(export.answer(&request).await) }
    });
    // A client that goes away in the middle of an answer is its own affair.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

/// The export: names and sizes, and what all bytes are taken from.
struct Export {
    objects: BTreeMap<String, Stored>,
    noise: Bytes,
    latency: Duration,
    bytes_per_second_max: u64,
    gets: AtomicU64,
    lists: AtomicU64,
    others: AtomicU64,
    connections: AtomicU64,
}

struct Stored {
    size_bytes: u64,
    /// Where it begins in the noise, which it goes through again and again.
    begins_at: u64,
    crc64: String,
}

impl Export {
    fn of(workload: &Workload) -> Self {
        let mut noise = vec![0; NOISE_BYTES];
        rand::rngs::StdRng::seed_from_u64(15).fill_bytes(&mut noise);
        let noise = Bytes::from(noise);
        let markers = partitions().map(|folder| Object { key: format!("{folder}_SUCCESS"), size_bytes: 0 });
        let objects = workload.objects().into_iter().chain(markers);
        let objects = objects.zip(0..).map(|(object, number)| (object.key, stored(&noise, number, object.size_bytes)));
        Self {
            objects: objects.collect(),
            noise,
            latency: Duration::from_millis(workload.latency_ms),
            bytes_per_second_max: workload.bytes_per_second_max,
            gets: AtomicU64::new(0),
            lists: AtomicU64::new(0),
            others: AtomicU64::new(0),
            connections: AtomicU64::new(0),
        }
    }

    async fn answer(&self, request: &Request<Incoming>) -> Response<Body> {
        if !self.latency.is_zero() {
            tokio::time::sleep(self.latency).await;
        }
        let (path, query) = (request.uri().path(), request.uri().query().unwrap_or_default());
        let in_bucket = path.strip_prefix('/').and_then(|path| path.strip_prefix(EXPORT_BUCKET));
        match in_bucket.map(|path| path.trim_start_matches('/')) {
            Some("") if query.contains("list-type=2") => {
                self.lists.fetch_add(1, Ordering::Relaxed);
                self.list(query)
            }
            Some(key) if request.method() == Method::GET && !key.is_empty() => {
                self.gets.fetch_add(1, Ordering::Relaxed);
                self.get(&unescaped(key), request.headers().get(header::RANGE).and_then(|range| range.to_str().ok()))
            }
            _ => {
                self.others.fetch_add(1, Ordering::Relaxed);
                match path {
                    "/v2/export/credentials" => credentials(),
                    _ => text(StatusCode::NOT_FOUND, "<Error><Code>NoSuchKey</Code></Error>".to_owned()),
                }
            }
        }
    }

    fn get(&self, key: &str, range: Option<&str>) -> Response<Body> {
        let Some(object) = self.objects.get(key) else {
            return text(StatusCode::NOT_FOUND, "<Error><Code>NoSuchKey</Code></Error>".to_owned());
        };
        let mut answer = Response::builder()
            .header(header::ETAG, object.etag())
            .header(header::LAST_MODIFIED, "Sun, 11 Jan 2026 06:00:00 GMT");
        let part = match range.and_then(|range| range.strip_prefix("bytes=")).and_then(|range| range.split_once('-')) {
            Some((first, last)) => {
                let last = last.parse().unwrap_or(u64::MAX).min(object.size_bytes - 1);
                let first: u64 = first.parse().unwrap();
                let range = format!("bytes {first}-{last}/{}", object.size_bytes);
                answer = answer.status(StatusCode::PARTIAL_CONTENT).header(header::CONTENT_RANGE, range);
                first..last + 1
            }
            None => {
                answer = answer
                    .header("x-amz-checksum-crc64nvme", &object.crc64)
                    .header("x-amz-checksum-type", "FULL_OBJECT");
                0..object.size_bytes
            }
        };
        answer = answer.header(header::CONTENT_LENGTH, part.end - part.start);
        answer.body(self.body(object, part)).unwrap()
    }

    fn body(&self, object: &Stored, range: Range<u64>) -> Body {
        let pieces = pieces(self.noise.clone(), object.begins_at + range.start, range.end - range.start);
        let per_second = self.bytes_per_second_max;
        if per_second == 0 {
            return StreamBody::new(stream::iter(pieces.map(|piece| Ok(Frame::data(piece)))).boxed());
        }
        let paced = stream::unfold((pieces, tokio::time::Instant::now()), move |(mut pieces, due)| async move {
            let piece = pieces.next()?;
            let due = due + Duration::from_secs_f64(piece.len() as f64 / per_second as f64);
            tokio::time::sleep_until(due).await;
            Some((Ok(Frame::data(piece)), (pieces, due)))
        });
        StreamBody::new(paced.boxed())
    }

    fn list(&self, query: &str) -> Response<Body> {
        let parameter = |name: &str| {
            let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
            pairs.filter(|(key, _)| *key == name).map(|(_, value)| unescaped(value)).next()
        };
        let (prefix, delimiter) = (parameter("prefix").unwrap_or_default(), parameter("delimiter"));
        let from = parameter("continuation-token").or(parameter("start-after")).unwrap_or_default();
        let (mut keys, mut count, mut last, mut is_truncated) = (String::new(), 0, String::new(), false);
        for (key, object) in self.objects.range(prefix.clone()..).take_while(|(key, _)| key.starts_with(&prefix)) {
            let below = &key[prefix.len()..];
            let folder = delimiter.as_deref().and_then(|delimiter| below.split_once(delimiter));
            let name = folder.map_or(key.clone(), |(folder, _)| format!("{prefix}{folder}/"));
            if name <= from || name == last {
                continue;
            }
            if count == PAGE_KEYS_MAX {
                is_truncated = true;
                break;
            }
            let _ = match folder {
                Some(_) => write!(keys, "<CommonPrefixes><Prefix>{name}</Prefix></CommonPrefixes>"),
                None => write!(
                    keys,
                    "<Contents><Key>{name}</Key><LastModified>2026-01-11T06:00:00.000Z</LastModified><ETag>{}</ETag><ChecksumAlgorithm>CRC64NVME</ChecksumAlgorithm><ChecksumType>FULL_OBJECT</ChecksumType><Size>{}</Size><StorageClass>STANDARD</StorageClass></Contents>",
                    object.etag().replace('"', "&quot;"),
                    object.size_bytes
                ),
            };
            (count, last) = (count + 1, name);
        }
        let next =
            if is_truncated { format!("<NextContinuationToken>{last}</NextContinuationToken>") } else { String::new() };
        let page = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Name>{EXPORT_BUCKET}</Name><Prefix>{prefix}</Prefix><KeyCount>{count}</KeyCount><MaxKeys>1000</MaxKeys><IsTruncated>{is_truncated}</IsTruncated>{keys}{next}</ListBucketResult>"
        );
        text(StatusCode::OK, page)
    }
}

impl Stored {
    /// In the form of an object that was uploaded in parts, so that no tool takes it for an MD5.
    fn etag(&self) -> String {
        format!("\"{:016x}{:016x}-1\"", self.begins_at, self.size_bytes)
    }
}

fn stored(noise: &Bytes, number: u64, size_bytes: u64) -> Stored {
    let begins_at = scattered(number) % NOISE_BYTES as u64;
    let mut crc = Digest::new(CrcAlgorithm::Crc64Nvme);
    pieces(noise.clone(), begins_at, size_bytes).for_each(|piece| crc.update(&piece));
    let crc64 = base64::engine::general_purpose::STANDARD.encode(crc.finalize().to_be_bytes());
    Stored { size_bytes, begins_at, crc64 }
}

/// So many bytes of the noise from a place on, which goes on at its beginning.
fn pieces(noise: Bytes, from: u64, length: u64) -> impl Iterator<Item = Bytes> {
    let mut done = 0;
    std::iter::from_fn(move || {
        let at = ((from + done) % NOISE_BYTES as u64) as usize;
        let piece = (length - done).min(CHUNK_BYTES).min((NOISE_BYTES - at) as u64);
        done += piece;
        (piece > 0).then(|| noise.slice(at..at + piece as usize))
    })
}

fn credentials() -> Response<Body> {
    let ends_at = Timestamp::now() + jiff::SignedDuration::from_hours(1);
    let body = serde_json::json!({
        "credentials": {
            "accessKeyId": ACCESS_KEY_ID, "secretAccessKey": SECRET_ACCESS_KEY, "sessionToken": "bench-session",
            "expiration": ends_at.as_millisecond(),
        },
        "s3Path": format!("s3://{EXPORT_BUCKET}/{}", prefix()),
    });
    text(StatusCode::OK, body.to_string())
}

fn text(status: StatusCode, text: String) -> Response<Body> {
    let answer = Response::builder().status(status).header(header::CONTENT_LENGTH, text.len());
    answer.body(StreamBody::new(stream::iter([Ok(Frame::data(Bytes::from(text)))]).boxed())).unwrap()
}

fn unescaped(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let mut digit = || char::from(rest.next().unwrap()).to_digit(16).unwrap() as u8;
        bytes.push(if byte == b'%' { digit() * 16 + digit() } else { byte });
    }
    String::from_utf8(bytes).unwrap()
}
