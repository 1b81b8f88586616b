//! The simulated export in a process of its own.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use e3sync::simulator::{AccessKey, Cloud, Content, Operation, PAGE_KEYS_MAX, Settings, Simulator};
use jiff::Timestamp;

use super::ROLE_SERVE;

/// The days of the export.
pub const DAYS: u32 = 10;

/// The partitions: two types each day.
pub const PARTITIONS: u64 = 2 * DAYS as u64;

/// A long-lived key for the bare loop, which knows no exchange.
pub const ACCESS_KEY_ID: &str = "AKIABENCHBENCHBENCH0";
pub const SECRET_ACCESS_KEY: &str = "bench-bench-bench-bench-bench-bench-0000";

/// What the export has.
pub struct Export {
    pub objects_per_partition: u32,
    pub size_bytes_min: u64,
    pub size_bytes_max: u64,
    /// How many requests a run sends at a time, where it is not to decide by itself.
    pub concurrency: Option<&'static str>,
}

impl Export {
    pub fn objects(&self) -> u64 {
        PARTITIONS * u64::from(self.objects_per_partition)
    }

    /// The listing requests of a run that lists each partition so many times: a page for 1,000 keys,
    /// `_SUCCESS` among them, and before that one for the types and one for each type's days.
    pub fn lists(&self, times: u64) -> u64 {
        let keys = u64::from(self.objects_per_partition) + 1;
        3 + PARTITIONS * times * keys.div_ceil(PAGE_KEYS_MAX as u64)
    }
}

/// The requests that the server has seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Requests {
    pub gets: u64,
    pub lists: u64,
    pub exchanges: u64,
}

/// A running server; it ends with its standard input.
pub struct Server {
    pub url: String,
    pub token: String,
    _process: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Server {
    /// Starts a server, which writes the paths of all objects on S3 to a file.
    pub fn start(export: &Export, clouds: &[Cloud], paths: &Path) -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .arg(ROLE_SERVE)
            .args(
                [u64::from(export.objects_per_partition), export.size_bytes_min, export.size_bytes_max]
                    .map(|n| n.to_string()),
            )
            .arg(paths)
            .args(clouds.iter().map(|cloud| cloud.name()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let input = process.stdin.take().unwrap();
        let mut output = BufReader::new(process.stdout.take().unwrap());
        let (url, token) = (line(&mut output), line(&mut output));
        Self { url, token, _process: process, input, output }
    }

    /// The requests since the last call.
    pub fn take_requests(&mut self) -> Requests {
        writeln!(self.input).unwrap();
        let mut count = || line(&mut self.output).parse().unwrap();
        Requests { gets: count(), lists: count(), exchanges: count() }
    }
}

fn line(output: &mut BufReader<ChildStdout>) -> String {
    let mut line = String::new();
    output.read_line(&mut line).unwrap();
    line.trim_end().to_owned()
}

/// The server's own process.
pub fn main(arguments: &[String]) {
    let [objects_per_day, size_bytes_min, size_bytes_max, paths, clouds @ ..] = arguments else {
        panic!("{arguments:?}")
    };
    let is_named = |cloud: &Cloud| clouds.iter().any(|name| name == cloud.name());
    let clouds: Vec<_> = Cloud::ALL.into_iter().filter(is_named).collect();
    let key = AccessKey { access_key_id: ACCESS_KEY_ID.to_owned(), secret_access_key: SECRET_ACCESS_KEY.to_owned() };
    let settings = Settings {
        days: DAYS,
        objects_per_day: objects_per_day.parse().unwrap(),
        odd_names: false,
        content: Content::Noise { size_bytes: size_bytes_min.parse().unwrap()..=size_bytes_max.parse().unwrap() },
        access_key: Some(key),
        clouds: clouds.clone(),
        success_on: clouds,
        ..Settings::new(Timestamp::now())
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let simulator = runtime.block_on(Simulator::start(settings)).unwrap();
    std::fs::write(paths, object_paths(&simulator)).unwrap();
    println!("{}\n{}", simulator.url(), simulator.token());
    for _ in std::io::stdin().lines() {
        let requests = simulator.requests();
        simulator.forget_requests();
        for operation in [Operation::Get, Operation::List, Operation::Exchange] {
            println!("{}", requests.of(operation));
        }
    }
}

/// The path of each object's address on a line of its own, `_SUCCESS` left out.
fn object_paths(simulator: &Simulator) -> String {
    let account = simulator.account();
    let bucket = Cloud::S3.bucket_name(account.id());
    let keys = account.bucket(Cloud::S3).into_iter().flat_map(|objects| objects.keys());
    let data = keys.filter(|key| key.ends_with(".parquet"));
    data.map(|key| format!("/{bucket}/{}\n", key.replace('%', "%25").replace('=', "%3D"))).collect()
}
