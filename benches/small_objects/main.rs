//! What mirroring many small objects costs: from S3 as ratios to a bare download loop run just
//! before, from Google Cloud Storage as ratios to the run from S3 just before.
//!
//! `cargo bench --features simulator --bench small_objects`, with `-- quick` for one repetition and
//! no tenfold run. Wrong numbers of requests make it fail; slowness never does, since the numbers
//! depend on the machine.
//!
//! The simulated export is served by another process, so that its CPU time is not counted. Every
//! measured thing is a process of its own, and the kernel says what it took.

mod bare;
mod measure;
mod serve;

use std::path::Path;
use std::process::{Command, ExitCode};

use e3sync::simulator::Cloud;
use measure::{Usage, median, run};
use serve::{DAYS, Export, PARTITIONS, Requests, Server};

/// The role of this program's further processes: its first argument.
const ROLE_SERVE: &str = "--role-serve";
const ROLE_BARE: &str = "--role-bare";

/// Names a folder to write to instead of Cargo's. A file system in memory, as `/dev/shm`, gives far
/// steadier numbers than a disk on which others work too; eight gigabytes are needed.
const FOLDER_VARIABLE: &str = "E3SYNC_BENCH_FOLDER";

/// What issues 2 and 3 ask for.
const TARGET_CPU_RATIO: f64 = 2.0;
const TARGET_CPU_RATIO_OF_CLOUDS: f64 = 1.1;
const TARGET_MEMORY_MIB: f64 = 64.0;
const TARGET_NO_OP_CPU_SECONDS: f64 = 0.3;

/// 20,000 objects of the usual sizes.
const USUAL: Export =
    Export { objects_per_partition: 1_000, size_bytes_min: 16 << 10, size_bytes_max: 64 << 10, concurrency: None };

/// The number of requests at a time where memory is compared: a longer run would else find its way
/// to more of them, and each has its buffers.
const CONCURRENCY_MAX: &str = "64";

/// The same number of smaller objects, and ten times as many: only the number differs.
const SMALL: Export = Export {
    objects_per_partition: 1_000,
    size_bytes_min: 1 << 10,
    size_bytes_max: 4 << 10,
    concurrency: Some(CONCURRENCY_MAX),
};
const TENFOLD: Export = Export { objects_per_partition: 10_000, ..SMALL };

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.first().map(String::as_str) {
        Some(ROLE_SERVE) => serve::main(&arguments[1..]),
        Some(ROLE_BARE) => bare::main(&arguments[1..]),
        _ => return bench(arguments.iter().any(|argument| argument == "quick")),
    }
    ExitCode::SUCCESS
}

fn bench(is_quick: bool) -> ExitCode {
    let repetitions = if is_quick { 1 } else { 3 };
    println!("bare loop: hyper with 32 connections; signs, hashes (SHA-256), writes and renames each object");
    println!("{} objects of 16 to 64 KiB in {PARTITIONS} partitions, median of {repetitions}:", USUAL.objects());
    let usual = compare(&USUAL, &Cloud::ALL, repetitions);
    usual.print();
    let mut are_requests_right = usual.are_requests_right;
    if !is_quick {
        let [small, tenfold] = [&SMALL, &TENFOLD].map(|export| compare(export, &[Cloud::S3], 1));
        are_requests_right &= small.are_requests_right && tenfold.are_requests_right;
        let [small, tenfold] = [small, tenfold].map(|comparison| comparison.mirrors[0].first);
        println!("{} and {} objects of 1 to 4 KiB, {} at a time:", SMALL.objects(), TENFOLD.objects(), CONCURRENCY_MAX);
        row("memory, 20,000 objects", small.memory_mib(), "MiB", format!("below {TARGET_MEMORY_MIB}"));
        row("memory, 200,000 objects", tenfold.memory_mib(), "MiB", "the same, within noise".to_owned());
        row("CPU of ten times as many", tenfold.cpu_seconds / small.cpu_seconds, "x", "about 10".to_owned());
    }
    if are_requests_right { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The medians over all repetitions.
struct Comparison {
    bare: Usage,
    mirrors: Vec<Mirrored>,
    are_requests_right: bool,
}

/// What mirroring from one cloud took.
struct Mirrored {
    cloud: Cloud,
    first: Usage,
    no_op: Usage,
    /// The CPU time of each first run by that of what was measured just before it: the bare loop,
    /// then the first run from the cloud before.
    cpu_ratio: f64,
    requests: Requests,
}

impl Comparison {
    fn print(&self) {
        row("CPU, bare loop", self.bare.cpu_seconds, "s", String::new());
        row("time, bare loop", self.bare.elapsed_seconds, "s", String::new());
        row("memory, bare loop", self.bare.memory_mib(), "MiB", String::new());
        for mirrored in &self.mirrors {
            mirrored.print();
        }
    }
}

impl Mirrored {
    fn print(&self) {
        let (reference, target) = match self.cloud {
            Cloud::S3 => ("bare loop", TARGET_CPU_RATIO),
            Cloud::Gcs => ("S3", TARGET_CPU_RATIO_OF_CLOUDS),
        };
        println!("  -- {}", self.cloud.name());
        row("CPU, first run", self.first.cpu_seconds, "s", String::new());
        row(&format!("CPU, first run by {reference}"), self.cpu_ratio, "x", format!("at most {target}"));
        row("CPU, no-op run", self.no_op.cpu_seconds, "s", format!("below {TARGET_NO_OP_CPU_SECONDS}"));
        row("time, first run", self.first.elapsed_seconds, "s", String::new());
        row("memory, first run", self.first.memory_mib(), "MiB", format!("below {TARGET_MEMORY_MIB}"));
        row("memory, no-op run", self.no_op.memory_mib(), "MiB", format!("below {TARGET_MEMORY_MIB}"));
        row("GET, first run", self.requests.gets as f64, "", USUAL.objects().to_string());
        row("LIST, first run", self.requests.lists as f64, "", USUAL.lists(2).to_string());
        row("exchanges, first run", self.requests.exchanges as f64, "", "1".to_owned());
    }
}

fn row(what: &str, measured: f64, unit: &str, target: String) {
    let digits = if measured.fract() == 0.0 { 0 } else { 2 };
    println!("  {what:<30} {measured:>10.digits$} {unit:<4} {target}");
}

/// Copies an export with the bare loop, then mirrors it from each cloud, and once more with nothing to do.
fn compare(export: &Export, clouds: &[Cloud], repetitions: usize) -> Comparison {
    let parent = std::env::var_os(FOLDER_VARIABLE).unwrap_or_else(|| env!("CARGO_TARGET_TMPDIR").into());
    let folder = tempfile::tempdir_in(parent).unwrap();
    let paths = folder.path().join("paths");
    let mut bench = Bench { export, server: Server::start(export, clouds, &paths), are_requests_right: true };
    for cloud in clouds {
        // The server makes the checksums of a listing when first asked; its work is not to hold us up.
        run(bench.listing(*cloud));
    }
    let mut bare = Vec::new();
    let mut mirrored: Vec<Vec<Pair>> = clouds.iter().map(|_| Vec::new()).collect();
    for number in 0..repetitions {
        // What was written stays to the end: for some seconds after a deletion, ext4 looks through
        // all deleted inodes before it makes a new one, which costs several times the rest.
        bare.push(run(bare::command(&bench.server, &paths, &folder.path().join(format!("copy{number}")))));
        for (cloud, pairs) in clouds.iter().zip(&mut mirrored) {
            let mirror = folder.path().join(format!("mirror-{}-{number}", cloud.name()));
            pairs.push(bench.mirror(*cloud, &mirror));
        }
    }
    let before = std::iter::once(bare.clone()).chain(mirrored.iter().map(|pairs| firsts(pairs)));
    let mirrors =
        clouds.iter().zip(&mirrored).zip(before).map(|((cloud, pairs), before)| sum_up(*cloud, pairs, &before));
    Comparison { bare: Usage::median(&bare), mirrors: mirrors.collect(), are_requests_right: bench.are_requests_right }
}

/// A first run and the one after it.
struct Pair {
    first: Usage,
    no_op: Usage,
    requests: Requests,
}

fn firsts(pairs: &[Pair]) -> Vec<Usage> {
    pairs.iter().map(|pair| pair.first).collect()
}

fn sum_up(cloud: Cloud, pairs: &[Pair], before: &[Usage]) -> Mirrored {
    let ratios = pairs.iter().zip(before).map(|(pair, before)| pair.first.cpu_seconds / before.cpu_seconds);
    Mirrored {
        cloud,
        first: Usage::median(&firsts(pairs)),
        no_op: Usage::median(&pairs.iter().map(|pair| pair.no_op).collect::<Vec<_>>()),
        cpu_ratio: median(ratios.collect()),
        requests: pairs.last().map(|pair| pair.requests).unwrap_or_default(),
    }
}

/// A served export and what its server saw.
struct Bench<'a> {
    export: &'a Export,
    server: Server,
    are_requests_right: bool,
}

impl Bench<'_> {
    fn mirror(&mut self, cloud: Cloud, mirror: &Path) -> Pair {
        let (gets, lists) = (self.export.objects(), [self.export.lists(1), self.export.lists(2)]);
        self.server.take_requests();
        let first = run(self.sync(cloud, mirror));
        let requests = self.check("first run", Requests { gets, lists: lists[1], exchanges: 1 });
        let no_op = run(self.sync(cloud, mirror));
        self.check("no-op run", Requests { gets: 0, lists: lists[0], exchanges: 1 });
        Pair { first, no_op, requests }
    }

    fn check(&mut self, what: &str, expected: Requests) -> Requests {
        let seen = self.server.take_requests();
        if seen != expected {
            println!("  WRONG, {what}: {seen:?} instead of {expected:?}");
            self.are_requests_right = false;
        }
        seen
    }

    /// A run that lists every partition, whether published or not.
    fn sync(&self, cloud: Cloud, mirror: &Path) -> Command {
        let mut command = self.command("sync", cloud);
        let days = format!("{DAYS}d");
        command.arg(mirror).args(["--quiet", "--last", &days, "--lookback", &days]);
        if let Some(concurrency) = self.export.concurrency {
            command.args(["--concurrency", concurrency]);
        }
        command
    }

    /// A call that lists every object.
    fn listing(&self, cloud: Cloud) -> Command {
        let mut command = self.command("ls", cloud);
        command.args(["--paths", "--last", &format!("{DAYS}d")]);
        command
    }

    fn command(&self, verb: &str, cloud: Cloud) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_e3sync"));
        command.args([verb, "--source", cloud.name()]);
        command
            .env_clear()
            .env("OPTIMIZELY_API_TOKEN", &self.server.token)
            .env("E3SYNC_API_URL", &self.server.url)
            .env("E3SYNC_SOURCE_ENDPOINT_URL", &self.server.url);
        command
    }
}
