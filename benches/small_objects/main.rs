//! What mirroring many small objects costs, as ratios to a bare download loop run just before.
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

use measure::{Usage, median, run};
use serve::{DAYS, Export, PARTITIONS, Requests, Server};

/// The role of this program's further processes: its first argument.
const ROLE_SERVE: &str = "--role-serve";
const ROLE_BARE: &str = "--role-bare";

/// Names a folder to write to instead of Cargo's. A file system in memory, as `/dev/shm`, gives far
/// steadier numbers than a disk on which others work too; five gigabytes are needed.
const FOLDER_VARIABLE: &str = "E3SYNC_BENCH_FOLDER";

/// What issue 2 asks for.
const TARGET_CPU_RATIO: f64 = 2.0;
const TARGET_MEMORY_MIB: f64 = 64.0;
const TARGET_NO_OP_CPU_SECONDS: f64 = 0.3;

/// 20,000 objects of the usual sizes.
const USUAL: Export = Export { objects_per_partition: 1_000, size_bytes_min: 16 << 10, size_bytes_max: 64 << 10 };

/// The same number of smaller objects, and ten times as many: only the number differs.
const SMALL: Export = Export { objects_per_partition: 1_000, size_bytes_min: 1 << 10, size_bytes_max: 4 << 10 };
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
    let mut are_requests_right = true;
    let usual = compare(&USUAL, repetitions, &mut are_requests_right);
    usual.print();
    if !is_quick {
        let small = compare(&SMALL, 1, &mut are_requests_right).first;
        let tenfold = compare(&TENFOLD, 1, &mut are_requests_right).first;
        println!("{} and {} objects of 1 to 4 KiB:", SMALL.objects(), TENFOLD.objects());
        row("memory, 20,000 objects", small.memory_mib(), "MiB", format!("below {TARGET_MEMORY_MIB}"));
        row("memory, 200,000 objects", tenfold.memory_mib(), "MiB", "the same, within noise".to_owned());
        row("CPU of ten times as many", tenfold.cpu_seconds / small.cpu_seconds, "x", "about 10".to_owned());
    }
    if are_requests_right { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The medians over all repetitions.
struct Comparison {
    bare: Usage,
    first: Usage,
    no_op: Usage,
    /// The CPU time of each first run by that of the bare loop just before it.
    cpu_ratio: f64,
    requests: Requests,
}

impl Comparison {
    fn print(&self) {
        row("CPU, bare loop", self.bare.cpu_seconds, "s", String::new());
        row("CPU, first run", self.first.cpu_seconds, "s", String::new());
        row("CPU, first run by bare loop", self.cpu_ratio, "x", format!("at most {TARGET_CPU_RATIO}"));
        row("CPU, no-op run", self.no_op.cpu_seconds, "s", format!("below {TARGET_NO_OP_CPU_SECONDS}"));
        row("time, bare loop", self.bare.elapsed_seconds, "s", String::new());
        row("time, first run", self.first.elapsed_seconds, "s", String::new());
        row("memory, bare loop", self.bare.memory_mib(), "MiB", String::new());
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

/// Mirrors an export with the bare loop, with `e3sync sync`, and once more with nothing to do.
fn compare(export: &Export, repetitions: usize, are_requests_right: &mut bool) -> Comparison {
    let parent = std::env::var_os(FOLDER_VARIABLE).unwrap_or_else(|| env!("CARGO_TARGET_TMPDIR").into());
    let folder = tempfile::tempdir_in(parent).unwrap();
    let mut server = Server::start(export, &folder.path().join("paths"));
    let mut check = |what: &str, seen: &Requests, expected: Requests| {
        if *seen != expected {
            println!("  WRONG, {what}: {seen:?} instead of {expected:?}");
            *are_requests_right = false;
        }
    };
    let (mut bare, mut first, mut no_op, mut ratios) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut requests = Requests::default();
    for number in 0..repetitions {
        // What was written stays to the end: for some seconds after a deletion, ext4 looks through
        // all deleted inodes before it makes a new one, which costs several times the rest.
        let (copy, mirror) =
            (folder.path().join(format!("copy{number}")), folder.path().join(format!("mirror{number}")));
        bare.push(run(bare::command(&server, &folder.path().join("paths"), &copy)));
        server.take_requests();
        first.push(run(sync(&server, &mirror)));
        requests = server.take_requests();
        check("first run", &requests, Requests { gets: export.objects(), lists: export.lists(2), exchanges: 1 });
        no_op.push(run(sync(&server, &mirror)));
        let seen = server.take_requests();
        check("no-op run", &seen, Requests { gets: 0, lists: export.lists(1), exchanges: 1 });
        ratios.push(first[first.len() - 1].cpu_seconds / bare[bare.len() - 1].cpu_seconds);
    }
    Comparison {
        bare: Usage::median(&bare),
        first: Usage::median(&first),
        no_op: Usage::median(&no_op),
        cpu_ratio: median(ratios),
        requests,
    }
}

/// A run that lists every partition, whether published or not.
fn sync(server: &Server, mirror: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_e3sync"));
    let days = format!("{DAYS}d");
    command.arg("sync").arg(mirror).args(["--quiet", "--last", &days, "--lookback", &days]);
    command
        .env_clear()
        .env("OPTIMIZELY_API_TOKEN", &server.token)
        .env("E3SYNC_API_URL", &server.url)
        .env("E3SYNC_SOURCE_ENDPOINT_URL", &server.url);
    command
}
