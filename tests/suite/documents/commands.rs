use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::text::{Block, all, read};
use crate::harness::{E3sync, Export, TODAY, empty_folder, output_of, python};

/// What no test runs: it installs something, builds this project, never ends by itself, or needs what
/// only the reader has, such as an old tree.
const NOT_RUN: [&str; 30] = [
    "sudo install ~/.cargo/bin/e3sync /usr/local/bin/",
    "sudo useradd -r -s /usr/sbin/nologin e3sync",
    "sudo install -d -o e3sync -g e3sync /data/events /var/lib/e3sync",
    "sudo install -d /etc/e3sync",
    "sudo install -o e3sync -g e3sync -m 600 token /etc/e3sync/token",
    "sudo -u e3sync env -i E3SYNC_TOKEN_FILE=/etc/e3sync/token /usr/local/bin/e3sync sync /data/events --last 30d",
    "e3sync sync ./mirror --from 2025-12-01",
    "diff -rq old mirror",
    "sudo apt-get install build-essential chromium python3-venv strace default-jre-headless",
    "cargo run --features simulator -- demo",
    "cargo test --all-features",
    "cargo test --all-features --test suite -- network::",
    "UPDATE_SNAPSHOTS=1 cargo test --all-features --test suite -- documents::",
    "cargo bench --features simulator --bench compare",
    "cargo bench --features simulator --bench compare -- a e 1",
    "cargo bench --features simulator --bench scale -- quick",
    "perf record -g target/release/e3sync sync ./mirror",
    "strace -f -c target/release/e3sync sync ./mirror",
    "cargo install --locked --path .",
    "pip install .",
    "e3sync simulate",
    "e3sync simulate --listen 127.0.0.1:9000 > simulated.env & sleep 1; . ./simulated.env",
    "e3sync simulate --credential-lifetime 30s --fault 'get:cut@1000 times=20' --unfinished-days 1",
    "30 13,17 * * * E3SYNC_TOKEN_FILE=/etc/e3sync/token /usr/local/bin/e3sync sync /data/events --quiet",
    "SHELL=/bin/sh",
    "E3SYNC_TOKEN_FILE=/etc/e3sync/token",
    "30 13,17 * * * /usr/local/bin/e3sync sync /data/events --quiet --report /var/lib/e3sync/report.json",
    "AWS_PROFILE=lake",
    "AWS_REGION=eu-central-1",
    "30 13,17 * * * /usr/local/bin/e3sync sync s3://my-lake/optimizely --quiet",
];

/// `e3sync simulate` as its users start it, and the variables that it prints.
struct Simulation {
    process: Child,
    variables: Vec<(String, String)>,
}

impl Simulation {
    fn start() -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_e3sync"))
            .args(["simulate", "--days", "5", "--customer-bucket", "my-lake"])
            .current_dir(empty_folder())
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let variables = lines.take(11).map(|line| variable(&line.unwrap()));
        // What the documents show names its destination.
        let variables = variables.filter(|(name, _)| name != "E3SYNC_DEST").collect();
        Self { process, variables }
    }

    fn stop(mut self) {
        let id = rustix::process::Pid::from_child(&self.process);
        rustix::process::kill_process(id, rustix::process::Signal::INT).unwrap();
        assert!(self.process.wait().unwrap().success(), "the simulator ends well");
    }
}

/// The name and the value of a line `export NAME='VALUE'`.
fn variable(line: &str) -> (String, String) {
    let (name, value) = line.strip_prefix("export ").and_then(|rest| rest.split_once('=')).expect(line);
    (name.to_owned(), value.trim_matches('\'').to_owned())
}

/// Runs a block as a script that ends at the first failure.
fn run(block: &Block, simulation: &Simulation, folder: &Path, today: &str) {
    let programs = folder.join("programs");
    let others = std::env::var("PATH").unwrap_or_default();
    let finished = Command::new("bash")
        .args(["-euo", "pipefail", "-c", &block.text])
        .current_dir(folder)
        .env_clear()
        .envs(simulation.variables.iter().map(|(name, value)| (name, value)))
        .env("PATH", format!("{}:{others}", programs.display()))
        .env("HOME", folder)
        .env("E3SYNC_TODAY", today)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(
        finished.status.success(),
        "{}\nended with {}\n{}{}",
        block.text,
        finished.status,
        String::from_utf8_lossy(&finished.stdout),
        String::from_utf8_lossy(&finished.stderr)
    );
}

#[test]
fn every_command_shown_runs() {
    let today = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date().to_string();
    let simulation = Simulation::start();
    for document in all() {
        let folder = tempfile::tempdir().unwrap();
        let programs = folder.path().join("programs");
        std::fs::create_dir(&programs).unwrap();
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_e3sync"), programs.join("e3sync")).unwrap();
        for block in document.blocks().iter().filter(|block| block.language == "sh") {
            run(block, &simulation, folder.path(), &today);
        }
    }
    simulation.stop();
}

/// What schedulers read is at least what they can read, and does with exit codes and files what the
/// page says.
#[test]
fn examples_for_schedulers_are_well_formed() {
    let Some(python) = python() else { return };
    let mut looked_at = 0;
    for document in all() {
        let blocks = document.blocks().into_iter();
        for block in blocks.filter(|block| ["yaml", "ini", "python"].contains(&block.language.as_str())) {
            let mut check = python.script("schedulers.py");
            output_of(check.args([&block.language, &block.text, &document.text]));
            looked_at += 1;
        }
    }
    assert!(looked_at > 0);
}

/// In perfect health the newest day began 61.5 hours ago, just before the next one comes.
#[test]
fn the_alert_on_a_day_that_did_not_come_is_the_same_everywhere() {
    for path in ["docs/SCHEDULING.md", "docs/SCRIPTING.md"] {
        let document = read(path);
        let spans = document.code_spans().into_iter();
        let alerts: Vec<&str> = spans.filter(|span| span.contains("_day_timestamp_seconds >")).collect();
        assert_eq!(alerts, ["time() - e3sync_newest_complete_day_timestamp_seconds > 3 * 86400"], "{path}");
    }
}

#[test]
fn the_demo_ends_well_and_shows_a_calendar() {
    let demo = E3sync::new("demo").args(["--days", "2", "--objects-per-day", "3"]).run().expect(0);
    assert!(demo.stdout.contains("4 days published"), "{}", demo.stdout);
}

/// The crontab lines of a document, each as cron runs it: without a shell's variables, after those that
/// stand above it. The places of a machine become places below `folder`.
fn cron_jobs(document: &str, folder: &std::path::Path) -> Vec<String> {
    let below = folder.display();
    let mut variables = String::new();
    let mut jobs = Vec::new();
    let document = read(document);
    let consoles = document.blocks().into_iter().filter(|block| block.language == "console");
    for line in consoles.flat_map(|block| block.text.lines().map(str::to_owned).collect::<Vec<_>>()) {
        let line = line.replace("/usr/local/bin/e3sync", env!("CARGO_BIN_EXE_e3sync"));
        let line = ["/etc/e3sync", "/data/events", "/var/lib/e3sync"]
            .iter()
            .fold(line, |line, place| line.replace(place, &format!("{below}{place}")));
        if let Some(job) = line.strip_prefix("30 13,17 * * * ") {
            jobs.push(format!("{variables}{job}"));
        } else if line.split_once('=').is_some_and(|(name, _)| {
            name.chars().all(|letter| letter.is_ascii_uppercase() || letter == '_' || letter == '3')
        }) {
            variables += &format!("{line} ");
        }
    }
    jobs
}

#[test]
fn crontab_lines_run_as_cron_runs_them() {
    let export = Export::of_noise(2, 2);
    for document in ["README.md", "docs/SCHEDULING.md"] {
        let folder = tempfile::tempdir().unwrap();
        let at = |place: &str| folder.path().join(place);
        for place in ["etc/e3sync", "data/events", "var/lib/e3sync", "home/.config/e3sync"] {
            std::fs::create_dir_all(at(place)).unwrap();
        }
        std::fs::write(at("etc/e3sync/token"), export.simulator().token()).unwrap();
        let url = export.simulator().url();
        let settings = format!("api-url = \"{url}\"\nsource-endpoint-url = \"{url}\"\n");
        std::fs::write(at("home/.config/e3sync/config.toml"), settings).unwrap();
        export.sync(&at("data/events")).run().expect(0);
        let jobs = cron_jobs(document, folder.path());
        let into_directory: Vec<_> = jobs.iter().filter(|job| !job.contains("s3://")).collect();
        assert_eq!(into_directory.len(), 1, "{document}: {jobs:?}");
        for _ in 0..2 {
            let mut cron = Command::new("/bin/sh");
            cron.args(["-c", into_directory[0]]).env_clear().env("HOME", at("home")).env("PATH", "/usr/bin:/bin");
            cron.env("E3SYNC_TODAY", TODAY).current_dir(at("home"));
            let output = cron.output().unwrap();
            assert_eq!(output.status.code(), Some(0), "{document}: {output:?}");
            assert!(output.stdout.is_empty() && output.stderr.is_empty(), "cron mails nothing: {output:?}");
        }
    }
}

#[test]
fn what_is_not_run_is_on_a_short_list() {
    let mut left = NOT_RUN.to_vec();
    for document in all() {
        for block in document.blocks() {
            match block.language.as_str() {
                // Looked at by other tests.
                "sh" | "yaml" | "ini" | "python" | "json" => {}
                language if super::statements::is_checked(language) => {}
                "console" => {
                    for line in block.text.lines() {
                        assert!(NOT_RUN.contains(&line), "{}: `{line}` is run by no test", document.path);
                        left.retain(|listed| *listed != line);
                    }
                }
                "text" => {
                    let is_command =
                        |line: &str| ["e3sync ", "cargo ", "sudo ", "$ "].map(|word| line.starts_with(word));
                    let commands = block.text.lines().filter(|line| is_command(line).contains(&true));
                    assert_eq!(commands.count(), 0, "{}: commands in a block of text", document.path);
                }
                other => panic!("{}: a block of `{other}`", document.path),
            }
        }
    }
    assert!(left.is_empty(), "no longer in the documents: {left:?}");
}
