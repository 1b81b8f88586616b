//! What mirroring from bucket to bucket costs: many small objects, as a ratio to rclone run just
//! after over the same servers, and few large ones.
//!
//! `cargo bench --features simulator --bench bucket_copy`, with `-- quick` for one repetition. Wrong
//! numbers of requests or bytes make it fail; slowness never does, since the numbers depend on the
//! machine. rclone is installed with pip, or named by `E3SYNC_BENCH_RCLONE`; without it there is no
//! ratio.
//!
//! The simulated export and the customer's bucket are served by another process, so that neither
//! their CPU time nor their memory is counted. Every measured thing is a process of its own, and the
//! kernel says what it took.

#[path = "../small_objects/measure.rs"]
mod measure;
mod serve;
mod tools;

use std::path::Path;
use std::process::{Command, ExitCode};

use measure::{Usage, median, run};
use serve::{Export, Seen, Servers};

/// The role of this program's further process: its first argument.
const ROLE_SERVE: &str = "--role-serve";

/// Half of what the fastest general tool takes.
const TARGET_CPU_RATIO: f64 = 0.5;
const TARGET_MEMORY_MIB: f64 = 256.0;

/// Besides the data, a run has so many requests to the bucket of each partition, and as a whole:
/// manifests, markers, notes of what is finished, the lease, the trial before the first object.
const OTHERS_PER_PARTITION: u64 = 20;
const OTHERS: u64 = 50;

/// 5,000 objects in 10 partitions.
const SMALL: Export =
    Export { days: 5, objects_per_partition: 500, size_bytes_min: 16 << 10, size_bytes_max: 64 << 10 };

/// 2 GiB in 4 objects, each in a partition of its own.
const LARGE: Export =
    Export { days: 2, objects_per_partition: 1, size_bytes_min: 512 << 20, size_bytes_max: 512 << 20 };

/// The size of a part where the user does not choose another.
const PART_BYTES: u64 = 16 << 20;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|role| role == ROLE_SERVE) {
        serve::main(&arguments[1..]);
        return ExitCode::SUCCESS;
    }
    let repetitions = if arguments.iter().any(|argument| argument == "quick") { 1 } else { 3 };
    let is_right = [small_objects(repetitions), large_objects(repetitions)];
    if is_right == [true; 2] { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// What several runs of one tool took.
#[derive(Default)]
struct Runs {
    usages: Vec<Usage>,
    seen: Seen,
}

impl Runs {
    fn add(&mut self, servers: &mut Servers, command: impl Fn(&Servers) -> Command) {
        self.usages.push(run(command(servers)));
        self.seen = servers.take_seen();
    }

    fn print(&self, memory_target: &str) -> Usage {
        let usage = Usage::median(&self.usages);
        row("CPU", usage.cpu_seconds, "s", "");
        row("time", usage.elapsed_seconds, "s", "");
        row("memory", usage.memory_mib(), "MiB", memory_target);
        for (side, requests) in [("source", &self.seen.source), ("bucket", &self.seen.destination)] {
            let counts = requests.iter().filter(|(_, count)| **count > 0);
            let counts: Vec<_> = counts.map(|(kind, count)| format!("{count} {kind}")).collect();
            println!("  {:<30} {}", format!("requests, {side}"), counts.join(", "));
        }
        usage
    }
}

fn small_objects(repetitions: usize) -> bool {
    let objects = SMALL.objects();
    println!("{objects} objects of 16 to 64 KiB in {} partitions, median of {repetitions}:", SMALL.partitions());
    let rclone = tools::find_rclone();
    let mut servers = Servers::start(&SMALL);
    warm_up(&mut servers);
    let (mut ours, mut theirs, mut unchecked) = (Runs::default(), Runs::default(), Runs::default());
    let mut is_right = true;
    for _ in 0..repetitions {
        ours.add(&mut servers, |servers| tools::e3sync(servers, &SMALL));
        is_right &= check(&ours.seen, &SMALL, |seen| {
            let others = seen.destination.values().sum::<u64>() - objects;
            seen.data_puts == objects && others <= OTHERS + OTHERS_PER_PARTITION * SMALL.partitions()
        });
        if let Ok(program) = &rclone {
            theirs.add(&mut servers, |servers| tools::rclone(program, servers, &[]));
            unchecked.add(&mut servers, |servers| tools::rclone(program, servers, &tools::UNCHECKED));
            is_right &= theirs.seen.objects == objects && unchecked.seen.objects == objects;
        }
    }
    println!("  -- e3sync");
    ours.print("");
    row("data PUT", ours.seen.data_puts as f64, "", &objects.to_string());
    match rclone {
        Ok(program) => {
            print_ratio(&program, "", &ours, &theirs, &format!("at most {TARGET_CPU_RATIO}"));
            print_ratio(&program, &tools::UNCHECKED.join(" "), &ours, &unchecked, "");
        }
        Err(reason) => println!("  -- rclone is missing, there is no ratio: {reason}"),
    }
    is_right
}

fn print_ratio(program: &Path, options: &str, ours: &Runs, theirs: &Runs, target: &str) {
    println!("  -- {} {options}", program.display());
    theirs.print("");
    let pairs = ours.usages.iter().zip(&theirs.usages);
    let ratios = pairs.map(|(ours, theirs)| ours.cpu_seconds / theirs.cpu_seconds).collect();
    row("CPU, e3sync by rclone", median(ratios), "x", target);
}

fn large_objects(repetitions: usize) -> bool {
    let gib = (LARGE.objects() * LARGE.size_bytes_max) as f64 / f64::from(1 << 30);
    println!("{gib} GiB in {} objects, median of {repetitions}:", LARGE.objects());
    let mut servers = Servers::start(&LARGE);
    let mut runs = Runs::default();
    let mut is_right = true;
    let parts = LARGE.objects() * LARGE.size_bytes_max.div_ceil(PART_BYTES);
    for _ in 0..repetitions {
        runs.add(&mut servers, |servers| tools::e3sync(servers, &LARGE));
        is_right &= check(&runs.seen, &LARGE, |seen| {
            seen.destination["UploadPart"] == parts && seen.bytes == LARGE.objects() * LARGE.size_bytes_max
        });
    }
    let usage = runs.print(&format!("below {TARGET_MEMORY_MIB}"));
    row("CPU of a GiB", usage.cpu_seconds / gib, "s", "");
    is_right
}

/// The servers make checksums and caches when first asked; that is not to hold a measured run up.
fn warm_up(servers: &mut Servers) {
    run(tools::e3sync(servers, &SMALL));
    servers.take_seen();
}

/// Whether a run copied everything, with the requests that it needs.
fn check(seen: &Seen, export: &Export, is_right: impl Fn(&Seen) -> bool) -> bool {
    // The answer to the first GET serves the first part too.
    let parts = export.objects() * export.size_bytes_max.div_ceil(PART_BYTES);
    let is_right = seen.source["Get"] == parts && seen.objects == export.objects() && is_right(seen);
    if !is_right {
        println!("  WRONG: {seen:?}");
    }
    is_right
}

fn row(what: &str, measured: f64, unit: &str, target: &str) {
    let digits = if measured.fract() == 0.0 { 0 } else { 2 };
    println!("  {what:<30} {measured:>10.digits$} {unit:<4} {target}");
}
