//! e3sync beside other tools, and beside the floor: a bare loop that does the part of the job that
//! nobody can leave out.
//!
//! `cargo bench --features simulator --bench compare`; behind `--`, letters of workloads choose some of
//! them, and a number the repetitions. `write` writes the table and the chart of docs/PERFORMANCE.md.
//! Wrong numbers of requests make it fail; slowness never does, since the numbers depend on the machine.
//!
//! All tools run in turn, against one server in a process of its own, so that what else the machine does
//! meets all of them. Every measured thing is a process, and the kernel says what it took.

mod floor;
mod measure;
mod report;
mod serve;
mod tools;
mod workload;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use measure::{Usage, run};
use report::Row;
use serve::{Seen, Server};
use tools::PEERS;
use workload::{Into, WORKLOADS, Workload};

/// The roles of this program's further processes: their first argument.
const ROLE_SERVE: &str = "--role-serve";
const ROLE_FLOOR: &str = "--role-floor";

/// Names a folder to write to instead of Cargo's. A file system in memory, as `/dev/shm`, gives far
/// steadier numbers than a disk on which others work too; eight gigabytes are needed.
const FOLDER_VARIABLE: &str = "E3SYNC_BENCH_FOLDER";

/// Names a second e3sync, which is measured in the same minutes.
const OTHER_VARIABLE: &str = "E3SYNC_BENCH_OTHER";

const FLOOR: &str = "floor";
const OURS: &str = "e3sync";
const OTHER: &str = "other e3sync";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    match arguments.first().map(String::as_str) {
        Some(ROLE_SERVE) => serve::main(&arguments[1..]),
        Some(ROLE_FLOOR) => floor::main(&arguments[1..]),
        _ => return bench(&arguments),
    }
    ExitCode::SUCCESS
}

fn bench(arguments: &[String]) -> ExitCode {
    let repetitions = arguments.iter().find_map(|argument| argument.parse().ok()).unwrap_or(3);
    let is_chosen = |workload: &&Workload| arguments.iter().any(|argument| argument == workload.id);
    let mut chosen: Vec<_> = WORKLOADS.iter().filter(is_chosen).collect();
    if chosen.is_empty() {
        chosen = WORKLOADS.iter().collect();
    }
    let tools = all_tools();
    let (mut rows, mut is_right) = (Vec::new(), true);
    for workload in chosen {
        let compared = Comparison::new(workload).run(&tools, repetitions);
        is_right &= compared.iter().all(|row| row.is_right);
        report::print(workload, &compared);
        rows.push((workload, compared));
    }
    if arguments.iter().any(|argument| argument == "write") {
        report::write(&rows, repetitions);
    }
    if is_right { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// A tool and its program.
struct Tool {
    name: &'static str,
    program: PathBuf,
}

fn all_tools() -> Vec<Tool> {
    let mut tools = vec![
        Tool { name: FLOOR, program: PathBuf::new() },
        Tool { name: OURS, program: env!("CARGO_BIN_EXE_e3sync").into() },
    ];
    if let Some(program) = std::env::var_os(OTHER_VARIABLE) {
        tools.push(Tool { name: OTHER, program: program.into() });
    }
    for peer in &PEERS {
        match peer.find() {
            Ok(program) => tools.push(Tool { name: peer.name, program }),
            Err(reason) => println!("{} is not compared: {reason}", peer.name),
        }
    }
    tools
}

struct Comparison<'a> {
    workload: &'a Workload,
    folder: tempfile::TempDir,
    server: Server,
}

impl<'a> Comparison<'a> {
    fn new(workload: &'a Workload) -> Self {
        let parent = std::env::var_os(FOLDER_VARIABLE).unwrap_or_else(|| env!("CARGO_TARGET_TMPDIR").into());
        let folder = tempfile::tempdir_in(parent).unwrap();
        let server = Server::start(workload, &folder.path().join("ca.pem"));
        Self { workload, folder, server }
    }

    fn run(mut self, tools: &[Tool], repetitions: usize) -> Vec<Row> {
        let takes = |tool: &&Tool| match tool.name {
            // Nothing here speaks TLS but the server and the tools themselves.
            FLOOR => !self.workload.is_tls,
            OURS | OTHER => true,
            name => PEERS.iter().any(|peer| peer.name == name && peer.takes(self.workload)),
        };
        let tools: Vec<&Tool> = tools.iter().filter(takes).collect();
        let mut runs: Vec<Vec<(Usage, Seen)>> = tools.iter().map(|_| Vec::new()).collect();
        for _ in 0..repetitions {
            for (tool, runs) in tools.iter().zip(&mut runs) {
                runs.push(self.measured(tool));
            }
        }
        let calls: Vec<_> = tools.iter().map(|tool| self.system_calls(tool)).collect();
        tools
            .iter()
            .zip(runs)
            .zip(calls)
            .map(|((tool, runs), calls)| Row::new(tool.name, &runs, calls, self.is_right(tool, &runs)))
            .collect()
    }

    fn measured(&mut self, tool: &Tool) -> (Usage, Seen) {
        let copy = self.folder.path().join("copy");
        let usage = run(self.command(tool, &copy));
        let _ = std::fs::remove_dir_all(&copy);
        (usage, self.server.take_seen())
    }

    fn command(&self, tool: &Tool, copy: &Path) -> Command {
        let ca = self.folder.path().join("ca.pem");
        match tool.name {
            FLOOR => floor::command(&self.server, self.workload, copy),
            OURS | OTHER => tools::e3sync(&tool.program, &self.server, self.workload, copy, &ca),
            name => {
                let peer = PEERS.iter().find(|peer| peer.name == name).unwrap();
                peer.command(&tool.program, &self.server, self.workload, copy, &ca)
            }
        }
    }

    /// The system calls of one more run, where `strace` can count them.
    fn system_calls(&mut self, tool: &Tool) -> Option<u64> {
        let copy = self.folder.path().join("copy");
        let counts = self.folder.path().join("strace");
        let inner = self.command(tool, &copy);
        let mut command = Command::new("strace");
        command.args(["-f", "-c", "-o"]).arg(&counts).arg(inner.get_program()).args(inner.get_args());
        for (name, value) in inner.get_envs() {
            value.map(|value| command.env(name, value));
        }
        let ended = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
        let _ = std::fs::remove_dir_all(&copy);
        self.server.take_seen();
        ended.ok().filter(std::process::ExitStatus::success)?;
        let text = std::fs::read_to_string(counts).ok()?;
        let total = text.lines().find(|line| line.ends_with(" total"))?;
        total.split_whitespace().nth(3)?.parse().ok()
    }

    /// Whether e3sync made the requests that the job needs, and no others.
    fn is_right(&self, tool: &Tool, runs: &[(Usage, Seen)]) -> bool {
        const PAGES_MAX: u64 = 1_000;
        const PART_BYTES: u64 = 8 << 20;
        let objects = self.workload.objects();
        let parts = |size_bytes: u64| if size_bytes < 4 * PART_BYTES { 1 } else { size_bytes.div_ceil(PART_BYTES) };
        let gets: u64 = objects.iter().map(|object| parts(object.size_bytes)).sum();
        tool.name != OURS
            || runs.iter().all(|(_, seen)| {
                let is_stored = self.workload.into == Into::Directory || seen.bucket_requests >= gets;
                seen.gets == gets && seen.others == 1 && seen.lists <= PAGES_MAX && is_stored
            })
    }
}
