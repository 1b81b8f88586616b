//! The bare loop: what downloading, hashing and storing objects costs without a mirror around it.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings, UriPathNormalizationMode,
    sign,
};
use aws_sigv4::sign::v4::SigningParams;
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Empty};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use sha2::{Digest as _, Sha256};

use super::ROLE_BARE;
use super::serve::{ACCESS_KEY_ID, SECRET_ACCESS_KEY, Server};

const CONNECTIONS: usize = 32;

/// A process that fetches the objects of `paths` into `folder`.
pub fn command(server: &Server, paths: &Path, folder: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([ROLE_BARE, &server.url]).arg(paths).arg(folder);
    command
}

/// The loop's own process.
pub fn main(arguments: &[String]) {
    let [url, paths, folder] = arguments else { panic!("{arguments:?}") };
    let paths = std::fs::read_to_string(paths).unwrap();
    std::fs::create_dir(folder).unwrap();
    let work = Arc::new(Work {
        urls: paths.lines().map(|path| format!("{url}{path}")).collect(),
        next: AtomicUsize::new(0),
        folder: folder.into(),
        client: Client::builder(TokioExecutor::new()).pool_max_idle_per_host(CONNECTIONS).build_http(),
    });
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let tasks: Vec<_> = (0..CONNECTIONS).map(|_| tokio::spawn(work.clone().fetch_all())).collect();
        for task in tasks {
            task.await.unwrap();
        }
    });
}

struct Work {
    urls: Vec<String>,
    next: AtomicUsize,
    folder: std::path::PathBuf,
    client: Client<HttpConnector, Empty<Bytes>>,
}

impl Work {
    async fn fetch_all(self: Arc<Self>) {
        loop {
            let index = self.next.fetch_add(1, Ordering::Relaxed);
            let Some(url) = self.urls.get(index) else { return };
            self.fetch(index, url).await;
        }
    }

    async fn fetch(&self, index: usize, url: &str) {
        let mut response = self.client.request(signed_get(url)).await.unwrap();
        assert!(response.status().is_success(), "{url}: {}", response.status());
        let unfinished = self.folder.join(format!("{index}.part"));
        let mut file = File::create(&unfinished).unwrap();
        let mut hasher = Sha256::new();
        while let Some(frame) = response.frame().await {
            let bytes = frame.unwrap().into_data().unwrap();
            file.write_all(&bytes).unwrap();
            hasher.update(&bytes);
        }
        std::hint::black_box(hasher.finalize());
        std::fs::rename(&unfinished, self.folder.join(index.to_string())).unwrap();
    }
}

fn signed_get(url: &str) -> Request<Empty<Bytes>> {
    let mut settings = SigningSettings::default();
    settings.percent_encoding_mode = PercentEncodingMode::Single;
    settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
    let identity = Credentials::new(ACCESS_KEY_ID, SECRET_ACCESS_KEY, None, None, "bench").into();
    let params = SigningParams::builder()
        .identity(&identity)
        .region("us-east-1")
        .name("s3")
        .time(SystemTime::now())
        .settings(settings)
        .build()
        .unwrap()
        .into();
    let mut request = Request::get(url).body(Empty::new()).unwrap();
    let signable = SignableRequest::new("GET", url, std::iter::empty(), SignableBody::Bytes(b"")).unwrap();
    let (instructions, _) = sign(signable, &params).unwrap().into_parts();
    instructions.apply_to_request_http1x(&mut request);
    request
}
