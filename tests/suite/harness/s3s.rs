use std::convert::Infallible;
use std::net::SocketAddr;

use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s_fs::FileSystem;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

use super::E3sync;
use super::peer::{ACCOUNT_ID, Answers, Server, Writer, aws_environment, prefix};
use super::tools::python;

/// The server keeps a file named after each key in Base64, so the bucket's name must be short.
const BUCKET: &str = "export";
const ACCESS_KEY_ID: &str = "AKIA5TANDALONEKEY000";
const SECRET_ACCESS_KEY: &str = "s3s/long-lived+secret/0123456789abcdefgh";

/// The s3s server over a folder, which knows one pair of long-lived keys and checks signatures.
pub struct S3s {
    writer: Writer,
    answers: Answers,
    _runtime: Runtime,
    folder: TempDir,
}

impl S3s {
    /// Starts a server of the test's own; `None` where Python, which fills it, is missing.
    pub fn start() -> Option<Self> {
        let python = python()?;
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join(BUCKET)).unwrap();
        let mut builder = S3ServiceBuilder::new(FileSystem::new(folder.path()).unwrap());
        builder.set_auth(SimpleAuth::from_single(ACCESS_KEY_ID, SECRET_ACCESS_KEY));
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let answers = Answers::default();
        let address = runtime.block_on(listen(builder.build(), answers.clone()));
        let writer = Writer {
            python,
            script: "bucket.py",
            scheme: "s3",
            endpoint: format!("http://{address}"),
            bucket: BUCKET.to_owned(),
            environment: aws_environment(ACCESS_KEY_ID, SECRET_ACCESS_KEY),
        };
        Some(Self { writer, answers, _runtime: runtime, folder })
    }

    /// Changes an object's first byte behind the server's back: it goes on to tell the old checksum.
    pub fn damage(&self, path: &str) {
        let file = self.folder.path().join(BUCKET).join(prefix() + path);
        let mut bytes = std::fs::read(&file).unwrap();
        bytes[0] ^= 1;
        std::fs::write(file, bytes).unwrap();
    }

    /// A call without any right to read.
    fn bare_command(&self, verb: &str) -> E3sync {
        E3sync::new(verb)
            .env("E3SYNC_SOURCE_ENDPOINT_URL", &self.writer.endpoint)
            .env("E3SYNC_SOURCE_BUCKET", BUCKET)
            .env("E3SYNC_ACCOUNT_ID", ACCOUNT_ID)
            .secret(SECRET_ACCESS_KEY)
    }

    /// A call with a secret key that is not the access key's.
    pub fn command_with_wrong_secret(&self, verb: &str) -> E3sync {
        self.command_with_secret(verb, "0123456789012345678901234567890123456789")
    }

    fn command_with_secret(&self, verb: &str, secret: &str) -> E3sync {
        self.bare_command(verb)
            .arg("--source-ambient")
            .env("AWS_ACCESS_KEY_ID", ACCESS_KEY_ID)
            .secret_env("AWS_SECRET_ACCESS_KEY", secret)
    }

    /// A call that takes the keys from a profile, while the environment has others.
    pub fn command_with_profile(&self, verb: &str, folder: &std::path::Path) -> E3sync {
        let keys = format!("aws_access_key_id = {ACCESS_KEY_ID}\naws_secret_access_key = {SECRET_ACCESS_KEY}\n");
        let credentials = folder.join("credentials");
        std::fs::write(&credentials, format!("[optimizely]\n{keys}")).unwrap();
        let config = folder.join("config");
        std::fs::write(&config, "[profile optimizely]\nregion = us-east-1\n").unwrap();
        self.bare_command(verb)
            .args(["--source-profile", "optimizely"])
            .env("AWS_CONFIG_FILE", config.to_str().unwrap())
            .env("AWS_SHARED_CREDENTIALS_FILE", credentials.to_str().unwrap())
            .env("AWS_ACCESS_KEY_ID", "AKIAOFTHEDESTINATION")
            .env("AWS_SECRET_ACCESS_KEY", "the-destination-has-other-keys")
    }
}

impl Server for S3s {
    fn command(&self, verb: &str) -> E3sync {
        self.command_with_secret(verb, SECRET_ACCESS_KEY)
    }

    fn refusal_of_old_versions(&self) -> Option<u16> {
        None
    }

    fn checksum(&self) -> &'static str {
        "crc32"
    }

    fn writer(&self) -> &Writer {
        &self.writer
    }

    fn answers(&self) -> Vec<u16> {
        self.answers.lock().unwrap().clone()
    }
}

async fn listen(service: S3Service, answers: Answers) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    // Ends with the runtime.
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (service, answers) = (service.clone(), answers.clone());
            let counted = service_fn(move |request| answer(service.clone(), answers.clone(), request));
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), counted));
        }
    });
    address
}

async fn answer(
    service: S3Service,
    answers: Answers,
    request: Request<Incoming>,
) -> Result<hyper::Response<s3s::Body>, Infallible> {
    let is_listing = request.uri().query().is_some_and(|query| query.contains("list-type=2"));
    let is_object = request.method() == hyper::Method::GET && !is_listing;
    let response = service.call(request.map(s3s::Body::from)).await.expect("an answer, if only of an error");
    if is_object {
        answers.lock().unwrap().push(response.status().as_u16());
    }
    Ok(response)
}
