//! The floor: what is left of the job where nothing is planned, verified or made durable. Requests are
//! signed, bytes hashed and written, and files renamed; to a bucket the bytes are put as they came.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _};
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::{Request, Response, header};
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use super::ROLE_FLOOR;
use super::serve::Server;
use super::workload::{ACCESS_KEY_ID, EXPORT_BUCKET, Into, MIRROR_BUCKET, Object, REGION, SECRET_ACCESS_KEY, Workload};

/// Large objects come in ranges of this size, as many at once as `RANGES_MAX`.
const RANGE_BYTES: u64 = 8 << 20;
const RANGES_MAX: usize = 4;

type Sent = http_body_util::combinators::BoxBody<Bytes, std::io::Error>;

/// A process that copies the workload's objects into `folder`, or from bucket to bucket.
pub fn command(server: &Server, workload: &Workload, folder: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([ROLE_FLOOR, workload.id, &server.export_url, &server.mirror_url]).arg(folder);
    command
}

/// The loop's own process.
pub fn main(arguments: &[String]) {
    let [id, export_url, mirror_url, folder] = arguments else { panic!("{arguments:?}") };
    let workload = Workload::of(id);
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let floor = Arc::new(Floor {
        objects: workload.objects(),
        next: AtomicUsize::new(0),
        into: workload.into,
        // One connection is the cheapest, unless it is what makes it slow.
        has_ranges: workload.bytes_per_second_max > 0,
        export_url: format!("{export_url}/{EXPORT_BUCKET}"),
        mirror_url: format!("{mirror_url}/{MIRROR_BUCKET}"),
        folder: folder.into(),
        signer: Signer::new(),
        client: Client::builder(TokioExecutor::new()).build(connector),
    });
    std::fs::create_dir_all(&floor.folder).unwrap();
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let loops = (0..workload.floor_connections).map(|_| tokio::spawn(floor.clone().copy_all()));
        for ended in futures::future::join_all(loops).await {
            ended.unwrap();
        }
    });
}

struct Floor {
    objects: Vec<Object>,
    next: AtomicUsize,
    into: Into,
    has_ranges: bool,
    export_url: String,
    mirror_url: String,
    folder: PathBuf,
    signer: Signer,
    client: Client<HttpConnector, Sent>,
}

impl Floor {
    async fn copy_all(self: Arc<Self>) {
        loop {
            let index = self.next.fetch_add(1, Ordering::Relaxed);
            let Some(object) = self.objects.get(index) else { return };
            match (self.into, object.size_bytes > 2 * RANGE_BYTES && self.has_ranges) {
                (Into::Directory, false) => self.fetch(index, object).await,
                (Into::Directory, true) => self.fetch_ranges(index, object).await,
                (Into::Bucket, _) if object.size_bytes <= 2 * RANGE_BYTES => self.copy(object).await,
                (Into::Bucket, _) => self.copy_parts(object).await,
            }
        }
    }

    async fn send(&self, request: Request<Sent>) -> Response<Incoming> {
        let answer = self.client.request(request).await.unwrap();
        assert!(answer.status().is_success(), "{}", answer.status());
        answer
    }

    async fn get(&self, object: &Object, range: Option<(u64, u64)>) -> Response<Incoming> {
        let url = format!("{}/{}", self.export_url, object.key.replace('=', "%3D"));
        let mut request = self.signer.signed("GET", &url, Bytes::new());
        if let Some((from, until)) = range {
            request.headers_mut().insert(header::RANGE, format!("bytes={from}-{}", until - 1).parse().unwrap());
        }
        self.send(request).await
    }

    fn file(&self, index: usize) -> (File, PathBuf) {
        let unfinished = self.folder.join(format!("{index}.part"));
        (File::options().create(true).truncate(true).read(true).write(true).open(&unfinished).unwrap(), unfinished)
    }

    async fn fetch(&self, index: usize, object: &Object) {
        let mut answer = self.get(object, None).await;
        let (file, unfinished) = self.file(index);
        let (mut hasher, mut offset) = (Sha256::new(), 0);
        while let Some(frame) = answer.frame().await {
            let bytes = frame.unwrap().into_data().unwrap();
            file.write_all_at(&bytes, offset).unwrap();
            hasher.update(&bytes);
            offset += bytes.len() as u64;
        }
        assert_eq!(offset, object.size_bytes);
        std::hint::black_box(hasher.finalize());
        std::fs::rename(&unfinished, self.folder.join(index.to_string())).unwrap();
    }

    /// Ranges at once, each written where it belongs; what came out of order is read again to be hashed.
    async fn fetch_ranges(&self, index: usize, object: &Object) {
        let (file, unfinished) = self.file(index);
        let mut ranges = futures::stream::iter(ranges(object).map(|(from, until)| {
            let file = &file;
            async move {
                let (mut answer, mut offset) = (self.get(object, Some((from, until))).await, from);
                while let Some(frame) = answer.frame().await {
                    let bytes = frame.unwrap().into_data().unwrap();
                    file.write_all_at(&bytes, offset).unwrap();
                    offset += bytes.len() as u64;
                }
                assert_eq!(offset, until);
                (from, until)
            }
        }))
        .buffered(RANGES_MAX);
        let (mut hasher, mut buffer) = (Sha256::new(), vec![0; 256 << 10]);
        while let Some((from, until)) = ranges.next().await {
            for at in (from..until).step_by(buffer.len()) {
                let wanted = buffer.len().min((until - at) as usize);
                file.read_exact_at(&mut buffer[..wanted], at).unwrap();
                hasher.update(&buffer[..wanted]);
            }
        }
        std::hint::black_box(hasher.finalize());
        std::fs::rename(&unfinished, self.folder.join(index.to_string())).unwrap();
    }

    /// The bytes as they came, in the body of one PUT with their SHA-256.
    async fn copy(&self, object: &Object) {
        let bytes = self.chunks(self.get(object, None).await).await;
        let mut hasher = Sha256::new();
        bytes.iter().for_each(|chunk| hasher.update(chunk));
        let url = format!("{}/floor/{}", self.mirror_url, object.key.replace('=', "%3D"));
        let request = self.signer.put(&url, bytes, Some(hasher.finalize().into()));
        self.send(request).await.into_body().collect().await.unwrap();
    }

    async fn copy_parts(&self, object: &Object) {
        let url = format!("{}/floor/{}", self.mirror_url, object.key.replace('=', "%3D"));
        let answer = self.send(self.signer.signed("POST", &format!("{url}?uploads="), Bytes::new())).await;
        let answer = answer.into_body().collect().await.unwrap().to_bytes();
        let answer = std::str::from_utf8(&answer).unwrap();
        let id = answer.split_once("<UploadId>").unwrap().1.split_once('<').unwrap().0;
        let parts = ranges(object).zip(1..).map(|((from, until), number)| {
            let url = format!("{url}?partNumber={number}&uploadId={id}");
            async move {
                let chunks = self.chunks(self.get(object, Some((from, until))).await).await;
                let answer = self.send(self.signer.put(&url, chunks.clone(), None)).await;
                let etag = answer.headers()[header::ETAG].to_str().unwrap().to_owned();
                answer.into_body().collect().await.unwrap();
                (number, etag, chunks)
            }
        });
        let mut parts = futures::stream::iter(parts).buffered(RANGES_MAX);
        let (mut hasher, mut done) = (Sha256::new(), String::from("<CompleteMultipartUpload>"));
        while let Some((number, etag, chunks)) = parts.next().await {
            chunks.iter().for_each(|chunk| hasher.update(chunk));
            done += &format!("<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>");
        }
        std::hint::black_box(hasher.finalize());
        done += "</CompleteMultipartUpload>";
        let request = self.signer.signed("POST", &format!("{url}?uploadId={id}"), Bytes::from(done));
        self.send(request).await.into_body().collect().await.unwrap();
    }

    async fn chunks(&self, answer: Response<Incoming>) -> Vec<Bytes> {
        let data = answer.into_body().into_data_stream();
        data.try_collect().await.unwrap()
    }
}

fn ranges(object: &Object) -> impl Iterator<Item = (u64, u64)> + use<> {
    let size_bytes = object.size_bytes;
    (0..size_bytes).step_by(RANGE_BYTES as usize).map(move |from| (from, (from + RANGE_BYTES).min(size_bytes)))
}

/// Signs requests (AWS Signature Version 4) with the key of one day.
struct Signer {
    key: Vec<u8>,
    day: String,
}

fn hmac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Signer {
    fn new() -> Self {
        let day = Timestamp::now().strftime("%Y%m%d").to_string();
        let secret = format!("AWS4{SECRET_ACCESS_KEY}");
        let key = [day.as_str(), REGION, "s3", "aws4_request"]
            .into_iter()
            .fold(secret.into_bytes(), |key, text| hmac(&key, text));
        Self { key, day }
    }

    fn signed(&self, method: &str, url: &str, body: Bytes) -> Request<Sent> {
        self.request(method, url, None, Full::new(body).map_err(|never| match never {}).boxed())
    }

    fn put(&self, url: &str, chunks: Vec<Bytes>, sha256: Option<[u8; 32]>) -> Request<Sent> {
        let length: usize = chunks.iter().map(Bytes::len).sum();
        let chunks = chunks.into_iter().map(|chunk| Ok(http_body::Frame::data(chunk)));
        let body = http_body_util::BodyExt::boxed(StreamBody::new(futures::stream::iter(chunks)));
        let mut request = self.request("PUT", url, sha256, body);
        request.headers_mut().insert(header::CONTENT_LENGTH, length.into());
        request
    }

    fn request(&self, method: &str, url: &str, sha256: Option<[u8; 32]>, body: Sent) -> Request<Sent> {
        let (_, host_and_path) = url.split_once("://").unwrap();
        let (host, path) = host_and_path.split_once('/').unwrap();
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let time = Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string();
        let checksum = sha256.map(|sha256| {
            use base64::Engine as _;
            base64::engine::general_purpose::STANDARD.encode(sha256)
        });
        let (name, line) = match &checksum {
            Some(checksum) => ("x-amz-checksum-sha256;", format!("x-amz-checksum-sha256:{checksum}\n")),
            None => ("", String::new()),
        };
        let names = format!("host;{name}x-amz-content-sha256;x-amz-date");
        let canonical = format!(
            "{method}\n/{path}\n{query}\nhost:{host}\n{line}x-amz-content-sha256:UNSIGNED-PAYLOAD\nx-amz-date:{time}\n\n{names}\nUNSIGNED-PAYLOAD"
        );
        let scope = format!("{}/{REGION}/s3/aws4_request", self.day);
        let to_sign = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{}", hex(&Sha256::digest(canonical)));
        let signature = hex(&hmac(&self.key, &to_sign));
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={ACCESS_KEY_ID}/{scope}, SignedHeaders={names}, Signature={signature}"
        );
        let mut request = Request::builder()
            .method(method)
            .uri(url)
            .header("x-amz-date", time)
            .header("x-amz-content-sha256", "UNSIGNED-PAYLOAD")
            .header(header::AUTHORIZATION, authorization);
        if let Some(checksum) = checksum {
            request = request.header("x-amz-checksum-sha256", checksum);
        }
        request.body(body).unwrap()
    }
}
