//! What several processes that share the days of an export take, as ratios to one that works alone.
//!
//! `cargo bench --features simulator --bench together`, with `-- quick` for one repetition. Every request takes 40 ms
//! and each process has four objects in flight, so that a process waits, as one far from its source does, and does not
//! compute. Objects that are fetched twice, or far too many requests, make it fail; slowness never does.
//!
//! The export and the bucket are served by another process. Runs of different numbers of processes alternate.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Instant;

use serde_json::Value;

const BINARY: &str = env!("CARGO_BIN_EXE_e3sync");

/// Days of two types each.
const DAYS: u32 = 40;
const OBJECTS_PER_PARTITION: u32 = 20;
const OBJECTS: u64 = 2 * DAYS as u64 * OBJECTS_PER_PARTITION as u64;

const PROCESSES: [u32; 4] = [1, 2, 4, 8];

/// What eight processes are to be faster by than one.
const TARGET_SPEEDUP: f64 = 4.0;

/// Maximum number of requests of several processes, as a ratio to one.
const REQUESTS_RATIO_MAX: f64 = 1.5;

/// A simulated export and a bucket of the user's own; it ends with this program.
struct Server {
    process: Child,
    variables: BTreeMap<String, String>,
}

impl Server {
    fn start() -> Self {
        let mut process = Command::new(BINARY)
            .args(["simulate", "--days", &DAYS.to_string(), "--latency", "40ms", "--noise", "1KiB..4KiB"])
            .args(["--objects-per-day", &OBJECTS_PER_PARTITION.to_string(), "--customer-bucket", "lake"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines().map_while(Result::ok);
        let mut variables = BTreeMap::new();
        for line in lines {
            let (name, value) = line.strip_prefix("export ").and_then(|line| line.split_once('=')).unwrap();
            variables.insert(name.to_owned(), value.trim_matches('\'').to_owned());
            if name == "E3SYNC_DEST_ENDPOINT_URL" {
                break;
            }
        }
        Self { process, variables }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What some processes took together.
#[derive(Clone, Copy, Debug, Default)]
struct Taken {
    seconds: f64,
    objects: u64,
    /// Objects, listings, and all that the bucket was asked.
    gets: u64,
    lists: u64,
    bucket: u64,
}

/// Runs so many processes at once into a destination that does not exist yet.
fn share(server: &Server, processes: u32, destination: &str, reports: &Path) -> Taken {
    let began = Instant::now();
    let start = |number: u32| {
        let mut call = Command::new(BINARY);
        call.args([
            "sync",
            destination,
            "--last",
            &format!("{DAYS}d"),
            "--concurrency",
            "4",
            "--quiet",
            "--source",
            "s3",
        ]);
        call.arg("--report").arg(reports.join(format!("{number}.json"))).envs(&server.variables);
        if processes > 1 {
            call.args(["--shard", &format!("{number}/{processes}")]);
        }
        call.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap()
    };
    let running: Vec<Child> = (1..=processes).map(start).collect();
    for mut process in running {
        assert!(process.wait().unwrap().success(), "a run failed");
    }
    let mut taken = Taken { seconds: began.elapsed().as_secs_f64(), ..Taken::default() };
    for number in 1..=processes {
        let report = std::fs::read(reports.join(format!("{number}.json"))).unwrap();
        let report: Value = serde_json::from_slice(&report).unwrap();
        let count = |path: &str| report.pointer(path).and_then(Value::as_u64).unwrap();
        taken.objects += count("/objects/transferred");
        taken.gets += count("/requests/get");
        taken.lists += count("/requests/list");
        taken.bucket += count("/requests/destination");
    }
    taken
}

/// The middle one, or the upper of two.
fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}

/// Several repetitions into a kind of destination; says whether all was as it should be.
fn compare(server: &Server, kind: &str, repetitions: u32, destination: impl Fn(u32, u32) -> String) -> bool {
    let reports = tempfile::tempdir().unwrap();
    let mut runs: BTreeMap<u32, Vec<Taken>> = BTreeMap::new();
    for repetition in 0..repetitions {
        for processes in PROCESSES {
            let taken = share(server, processes, &destination(processes, repetition), reports.path());
            runs.entry(processes).or_default().push(taken);
        }
    }
    println!("into {kind}: {OBJECTS} objects of {} partitions, 40 ms a request, 4 in flight", 2 * DAYS);
    let seconds = |taken: &[Taken]| median(taken.iter().map(|taken| taken.seconds).collect());
    let requests = |taken: &[Taken]| median(taken.iter().map(|taken| (taken.lists + taken.bucket) as f64).collect());
    let alone = &runs[&1];
    let mut is_right = true;
    for (processes, taken) in &runs {
        let speedup = seconds(alone) / seconds(taken);
        let ratio = requests(taken) / requests(alone);
        let target = if *processes == 8 { format!(" (wanted {TARGET_SPEEDUP:.1})") } else { String::new() };
        println!(
            "  {processes} processes: {:>6.2} s, {speedup:.2} times as fast{target}, {ratio:.2} times the listings and requests to the bucket",
            seconds(taken)
        );
        for run in taken {
            is_right &= run.objects == OBJECTS && run.gets == OBJECTS && ratio <= REQUESTS_RATIO_MAX;
        }
    }
    is_right
}

fn main() -> ExitCode {
    let repetitions = if std::env::args().any(|argument| argument == "quick") { 1 } else { 3 };
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    let directory =
        |processes, repetition| folder.path().join(format!("{processes}-{repetition}")).display().to_string();
    let bucket = |processes, repetition| format!("s3://lake/{processes}-{repetition}");
    let is_right =
        [compare(&server, "a directory", repetitions, directory), compare(&server, "a bucket", repetitions, bucket)];
    if is_right == [true; 2] {
        return ExitCode::SUCCESS;
    }
    println!("objects were fetched twice, or there were far too many requests");
    ExitCode::FAILURE
}
