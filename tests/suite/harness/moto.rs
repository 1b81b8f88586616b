use serde_json::{Value, json};

use super::E3sync;
use super::exchange::{AWS, Exchange};
use super::peer::{ACCOUNT_ID, Answers, Server, Writer, aws_environment, prefix};
use super::process::Process;
use super::tools::{Python, output_of, python};

const BUCKET: &str = "optimizely-events-data";
const TOKEN: &str = "2:moto-knows-nothing-of-this-token-but-the-exchange-does";

/// moto's server behind an exchange that hands out its temporary credentials. It checks signatures,
/// session tokens and permissions.
pub struct Moto {
    writer: Writer,
    reader: Value,
    exchange: Exchange,
    wrong_exchange: Exchange,
    answers: Answers,
    // Last, so that the server outlives what talks to it.
    _process: Process,
}

impl Moto {
    /// Starts a server of the test's own; `None` where Python or its packages are missing.
    pub fn start() -> Option<Self> {
        let python = python()?;
        let answers = Answers::default();
        let (process, endpoint) = launch(python, answers.clone());
        let setup = output_of(python.script("moto_setup.py").args([&endpoint, BUCKET, ACCOUNT_ID]));
        let setup: Value = serde_json::from_str(&setup).unwrap();
        let (reader, text) = (setup["reader"].clone(), |value: &Value| value.as_str().unwrap().to_owned());
        let mut wrong_reader = reader.clone();
        wrong_reader["secretAccessKey"] = json!("0123456789012345678901234567890123456789");
        Some(Self {
            writer: Writer {
                python,
                script: "bucket.py",
                scheme: "s3",
                endpoint,
                bucket: BUCKET.to_owned(),
                environment: aws_environment(
                    &text(&setup["writer"]["accessKeyId"]),
                    &text(&setup["writer"]["secretAccessKey"]),
                ),
            },
            exchange: exchange_of(&reader),
            wrong_exchange: exchange_of(&wrong_reader),
            reader,
            answers,
            _process: process,
        })
    }

    /// A call with a secret key that is not the access key's.
    pub fn command_with_wrong_secret(&self, verb: &str) -> E3sync {
        self.command_by(&self.wrong_exchange, verb)
    }

    /// A call with a session token that was never issued.
    pub fn command_with_wrong_session(&self, verb: &str) -> (Exchange, E3sync) {
        let mut reader = self.reader.clone();
        reader["sessionToken"] = json!("never-issued");
        let exchange = exchange_of(&reader);
        let command = self.command_by(&exchange, verb);
        (exchange, command)
    }

    fn command_by(&self, exchange: &Exchange, verb: &str) -> E3sync {
        E3sync::new(verb)
            .env("E3SYNC_API_URL", &exchange.url())
            .env("E3SYNC_SOURCE_ENDPOINT_URL", &self.writer.endpoint)
            .secret_env("OPTIMIZELY_API_TOKEN", TOKEN)
            .secret(self.reader["secretAccessKey"].as_str().unwrap())
            .secret(self.reader["sessionToken"].as_str().unwrap())
    }
}

impl Server for Moto {
    fn command(&self, verb: &str) -> E3sync {
        self.command_by(&self.exchange, verb)
    }

    fn refusal_of_old_versions(&self) -> Option<u16> {
        Some(412)
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

/// moto's server as it starts: it takes any credentials, a bearer token too.
pub struct OpenMoto {
    endpoint: String,
    // Last, so that the server outlives what talks to it.
    _process: Process,
}

impl OpenMoto {
    /// Starts a server of the test's own with one bucket; `None` where Python or its packages are
    /// missing.
    pub fn start(bucket: &str) -> Option<Self> {
        let python = python()?;
        let (process, endpoint) = launch(python, Answers::default());
        let create = "import boto3, sys; boto3.client('s3', endpoint_url=sys.argv[1], region_name='us-east-1', \
            aws_access_key_id='any', aws_secret_access_key='any').create_bucket(Bucket=sys.argv[2])";
        python.eval(create, [&endpoint, bucket]);
        Some(Self { endpoint, _process: process })
    }

    /// The server's address.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }
}

fn exchange_of(credentials: &Value) -> Exchange {
    let s3_path = format!("s3://{BUCKET}/{}", prefix());
    Exchange::start(AWS, TOKEN, &json!({ "credentials": credentials, "s3Path": s3_path }))
}

/// Starts the server on a port that the system picks, and learns the port from its first lines.
fn launch(python: &Python, answers: Answers) -> (Process, String) {
    let mut command = python.command("moto_server");
    command.args(["-H", "127.0.0.1", "-p", "0"]);
    let watch = move |line: &str| answers.lock().unwrap().extend(object_status(line));
    let started = Process::start(&mut command, address, watch);
    started.unwrap_or_else(|said| panic!("moto's server does not start:\n{said}"))
}

/// The address in a line such as ` * Running on http://127.0.0.1:5000`.
fn address(line: &str) -> Option<String> {
    let (_, rest) = line.split_once("Running on ")?;
    rest.split_whitespace().next().map(str::to_owned)
}

/// The status in a line such as `127.0.0.1 - - [...] "GET /bucket/key HTTP/1.1" 206 -`; colours come between.
fn object_status(line: &str) -> Option<u16> {
    let (_, request) = line.split_once("GET /")?;
    let (path, rest) = request.rsplit_once(" HTTP/1.1")?;
    let (_, status) = rest.split_once("\" ")?;
    let is_listing = path.contains("list-type=2");
    status.split(' ').next()?.parse().ok().filter(|_| !is_listing)
}
