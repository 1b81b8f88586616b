//! How costs grow with the number of objects: CPU time for each of them, and memory, which is not to grow.
//!
//! `cargo bench --features simulator --bench scale`; behind `--`, `quick` leaves out what takes minutes: a
//! million objects mirrored, and ten million listed. Slowness never makes it fail.

#[expect(dead_code, reason = "shared with benches/compare")]
#[path = "../compare/measure.rs"]
mod measure;
#[path = "../compare/serve.rs"]
mod serve;
#[expect(dead_code, reason = "shared with benches/compare")]
#[path = "../compare/tools.rs"]
mod tools;
#[expect(dead_code, reason = "shared with benches/compare")]
#[path = "../compare/workload.rs"]
mod workload;

use std::path::Path;
use std::process::{Command, ExitCode};

use measure::{Usage, run};
use serve::Server;
use workload::{DAYS, SCALES, Workload};

/// The role of this program's further process: its first argument.
const ROLE_SERVE: &str = "--role-serve";

/// Names a folder to write to instead of Cargo's; eight gigabytes are needed.
const FOLDER_VARIABLE: &str = "E3SYNC_BENCH_FOLDER";

/// More objects are listed, and not mirrored.
const MIRRORED_MAX: u64 = 1_000_000;
const QUICK_MAX: u64 = 100_000;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    if arguments.first().is_some_and(|role| role == ROLE_SERVE) {
        serve::main(&arguments[1..]);
        return ExitCode::SUCCESS;
    }
    let is_quick = arguments.iter().any(|argument| argument == "quick");
    println!("{:>20} {:>22} {:>10} {:>14} {:>8}", "", "", "CPU s", "ms an object", "MiB");
    for workload in SCALES.iter().filter(|workload| !is_quick || workload.small_objects <= QUICK_MAX) {
        measure_one(workload);
    }
    ExitCode::SUCCESS
}

fn measure_one(workload: &Workload) {
    let parent = std::env::var_os(FOLDER_VARIABLE).unwrap_or_else(|| env!("CARGO_TARGET_TMPDIR").into());
    let folder = tempfile::tempdir_in(parent).unwrap();
    let (mirror, ca) = (folder.path().join("mirror"), folder.path().join("ca.pem"));
    let mut server = Server::start(workload, &ca);
    let sync = |server: &Server, more: &[&str]| {
        let mut command = tools::e3sync(Path::new(env!("CARGO_BIN_EXE_e3sync")), server, workload, &mirror, &ca);
        command.args(more);
        command
    };
    if workload.small_objects > MIRRORED_MAX {
        row(workload, "listed", run(sync(&server, &["--dry-run"])));
        return;
    }
    row(workload, "first run", run(sync(&server, &[])));
    let seen = server.take_seen();
    assert_eq!(seen.gets, workload.small_objects, "one GET for each object");
    row(workload, "nothing to do", run(sync(&server, &[])));
    row(workload, "listed again", run(sync(&server, &["--lookback", &days_since_first()])));
    assert_eq!(server.take_seen().gets, 0, "nothing is fetched twice");
    let mut verify = Command::new(env!("CARGO_BIN_EXE_e3sync"));
    verify.args(["verify", "--quick", "--quiet"]).arg(&mirror).env_clear();
    row(workload, "verify --quick", run(verify));
}

/// The days from the export's first one to today, as `--lookback` wants them.
fn days_since_first() -> String {
    let first: jiff::civil::Date = DAYS[0].parse().unwrap();
    let today = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date();
    format!("{}d", first.until(today).unwrap().get_days() + 1)
}

fn row(workload: &Workload, what: &str, usage: Usage) {
    println!(
        "{:>20} {what:>22} {:>10.2} {:>14.4} {:>8.0}",
        workload.what,
        usage.cpu_seconds,
        usage.cpu_seconds * 1000.0 / workload.small_objects as f64,
        usage.memory_mib()
    );
}
