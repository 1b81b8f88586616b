//! What looking after a mirror costs: `verify` as ratios to programs that only hash the same files,
//! and `status` over three years.
//!
//! `cargo bench --features simulator --bench daily_look`, with `-- quick` for one repetition.
//! Slowness never makes it fail, since the numbers depend on the machine; a file that is not hashed
//! does. Every measured thing is a process of its own, and the kernel says what it took.

#[path = "../compare/measure.rs"]
mod measure;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use e3sync::simulator::{Content, Settings, Simulator};
use jiff::Timestamp;
use measure::{Usage, median, run};
use tokio::runtime::Runtime;

/// The role of this program's further process: its first argument.
const ROLE_MIRROR: &str = "--role-mirror";

/// What issue 5 asks for.
const TARGET_CPU_RATIO: f64 = 1.3;
const TARGET_STATUS_CPU_SECONDS: f64 = 0.2;

/// Programs that do nothing but hash: coreutils', and one that uses the processor's own instructions
/// as `verify` does.
const HASHERS: [(&str, &[&str]); 2] = [("sha256sum", &[]), ("openssl", &["dgst", "-sha256"])];

/// Names a folder to write to instead of Cargo's; three gigabytes are needed.
const FOLDER_VARIABLE: &str = "E3SYNC_BENCH_FOLDER";

struct Export {
    name: &'static str,
    days: u32,
    objects_per_day: u32,
    size_bytes: u64,
}

const LARGE: Export = Export { name: "4 objects of 512 MiB", days: 2, objects_per_day: 1, size_bytes: 512 << 20 };
const SMALL: Export =
    Export { name: "10,000 objects of 40 KiB", days: 5, objects_per_day: 1_000, size_bytes: 40 << 10 };
const THREE_YEARS: Export =
    Export { name: "3 years of 2 types", days: 3 * 365, objects_per_day: 1, size_bytes: 1 << 10 };

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [ROLE_MIRROR, folder] = arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        mirror_all(Path::new(folder));
        return ExitCode::SUCCESS;
    }
    let repetitions = if arguments.iter().any(|argument| argument == "quick") { 1 } else { 3 };
    let parent = std::env::var_os(FOLDER_VARIABLE).unwrap_or_else(|| env!("CARGO_TARGET_TMPDIR").into());
    let folder = tempfile::tempdir_in(parent).unwrap();
    // The kernel counts this process's memory as that of its children, so it is to stay small.
    let mut mirrors = Command::new(std::env::current_exe().unwrap());
    mirrors.arg(ROLE_MIRROR).arg(folder.path());
    run(mirrors);
    let are_hashed = [&LARGE, &SMALL].map(|export| compare(export, &export.folder(folder.path()), repetitions));
    look(&THREE_YEARS.folder(folder.path()), repetitions);
    if are_hashed == [true; 2] { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn mirror_all(folder: &Path) {
    let runtime = Runtime::new().unwrap();
    [&LARGE, &SMALL, &THREE_YEARS].iter().for_each(|export| export.mirror(&runtime, folder));
}

impl Export {
    /// Serves the export and mirrors it.
    fn mirror(&self, runtime: &Runtime, folder: &Path) {
        let settings = Settings {
            days: self.days,
            objects_per_day: self.objects_per_day,
            odd_names: false,
            content: Content::Noise { size_bytes: self.size_bytes..=self.size_bytes },
            ..Settings::new(Timestamp::now())
        };
        let simulator = runtime.block_on(Simulator::start(settings)).unwrap();
        let mut sync = e3sync("sync", &self.folder(folder));
        sync.args(["--quiet", "--last", &format!("{}d", self.days)])
            .env("OPTIMIZELY_API_TOKEN", simulator.token())
            .env("E3SYNC_API_URL", simulator.url())
            .env("E3SYNC_SOURCE_ENDPOINT_URL", simulator.url());
        run(sync);
    }

    /// Where its mirror is.
    fn folder(&self, parent: &Path) -> PathBuf {
        parent.join(self.name.replace(' ', "-"))
    }
}

fn e3sync(verb: &str, mirror: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_e3sync"));
    command.arg(verb).arg(mirror).env_clear();
    command
}

/// Verifies, with each program that only hashes run just before. Says whether every byte was hashed.
fn compare(export: &Export, mirror: &Path, repetitions: usize) -> bool {
    println!("verify, {}, median of {repetitions}:", export.name);
    let (mut verified, mut hashed) = (Vec::new(), HASHERS.map(|_| Vec::new()));
    for _ in 0..repetitions {
        for ((program, arguments), usages) in HASHERS.iter().zip(&mut hashed) {
            usages.extend(is_there(program).then(|| run(hashing(program, arguments, mirror))));
        }
        verified.push(run(e3sync("verify", mirror)));
    }
    for ((program, _), usages) in HASHERS.iter().zip(&hashed).filter(|(_, usages)| !usages.is_empty()) {
        let ratio = |of: fn(&Usage) -> f64| {
            let ratios = verified.iter().zip(usages).map(|(one, other)| of(one) / of(other));
            median(ratios.collect())
        };
        row(
            &format!("CPU by {program}"),
            ratio(|usage| usage.cpu_seconds),
            "x",
            &format!("at most {TARGET_CPU_RATIO}"),
        );
        row(&format!("time by {program}"), ratio(|usage| usage.elapsed_seconds), "x", "one by all processors");
    }
    let usage = Usage::median(&verified);
    row("CPU", usage.cpu_seconds, "s", "");
    row("time", usage.elapsed_seconds, "s", "");
    row("memory", usage.memory_mib(), "MiB", "");
    let (bytes, expected) =
        (bytes_verified(mirror), 2 * u64::from(export.days * export.objects_per_day) * export.size_bytes);
    if bytes != expected {
        println!("  WRONG: {bytes} bytes hashed instead of {expected}");
    }
    bytes == expected
}

fn is_there(program: &str) -> bool {
    Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
}

/// One process after the other over all files, as long as arguments may be; the shell waits for them,
/// so that they are counted.
fn hashing(program: &str, arguments: &[&str], mirror: &Path) -> Command {
    let script = r#"find "$0" -name '*.parquet' -print0 | xargs -0 "$@""#;
    let mut command = Command::new("sh");
    command.args(["-c", script]).arg(mirror).arg(program).args(arguments);
    command
}

/// How many bytes a verification says that it compared.
fn bytes_verified(mirror: &Path) -> u64 {
    let output = e3sync("verify", mirror).arg("--json").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let summary: serde_json::Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    summary["bytes"].as_u64().unwrap()
}

/// Looks at the calendar in each of its forms.
fn look(mirror: &Path, repetitions: usize) {
    println!("status, {}, median of {repetitions}:", THREE_YEARS.name);
    let forms: [(&str, &[&str]); 3] = [("calendar", &[]), ("page", &["--html", "-"]), ("JSON", &["--json"])];
    for (name, arguments) in forms {
        let usages: Vec<_> = (0..repetitions)
            .map(|_| {
                let mut command = e3sync("status", mirror);
                command.args(arguments);
                run(command)
            })
            .collect();
        let usage = Usage::median(&usages);
        let target = format!("below {TARGET_STATUS_CPU_SECONDS}");
        row(&format!("CPU, {name}"), usage.cpu_seconds, "s", &target);
        row(&format!("memory, {name}"), usage.memory_mib(), "MiB", "");
    }
}

fn row(what: &str, measured: f64, unit: &str, target: &str) {
    println!("  {what:<30} {measured:>10.2} {unit:<4} {target}");
}
