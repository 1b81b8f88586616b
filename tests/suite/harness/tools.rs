use std::ffi::OsStr;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use sha2::{Digest as _, Sha256};

const REQUIREMENTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/requirements.txt");
/// The oldest Java that Spark 4 runs on.
const JAVA_VERSION_MIN: u32 = 17;
const SCRIPTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/suite/python");

/// A Python environment with the packages of `tests/requirements.txt`.
pub struct Python {
    folder: PathBuf,
}

/// The Python environment, made by the first test that asks. Where it cannot be made, the test is
/// to end: `None`, said aloud, or a failure with `E3SYNC_REQUIRE_PEERS=1`.
pub fn python() -> Option<&'static Python> {
    static PYTHON: OnceLock<Result<Python, String>> = OnceLock::new();
    match PYTHON.get_or_init(Python::prepare) {
        Ok(python) => Some(python),
        Err(reason) => {
            miss(reason);
            None
        }
    }
}

/// Says that a test is left out for want of something, or fails it with `E3SYNC_REQUIRE_PEERS=1`.
pub fn miss(reason: &str) {
    assert!(!are_peers_required(), "{reason}");
    skip(reason);
}

/// Whether there is a Java that Spark runs on. Where there is none, the test is to end, as with
/// [`python`].
pub fn java() -> bool {
    let output = Command::new("java").arg("-version").output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stderr).into_owned()).unwrap_or_default();
    let version = text.split('"').nth(1).and_then(|version| version.split('.').next()?.parse::<u32>().ok());
    let is_there = version.is_some_and(|version| version >= JAVA_VERSION_MIN);
    if !is_there {
        let reason = "Spark needs Java 17 or newer (on Debian and Ubuntu: openjdk-17-jre-headless)";
        miss(reason);
    }
    is_there
}

/// Whether strace is there and may trace. Where it is not, the test is to end, as with [`python`].
pub fn has_strace() -> bool {
    let works =
        Command::new("strace").args(["-qq", "-o", "/dev/null", "true"]).status().is_ok_and(|status| status.success());
    if !works {
        miss("strace is not installed or may not trace");
    }
    works
}

fn are_peers_required() -> bool {
    std::env::var_os("E3SYNC_REQUIRE_PEERS").is_some_and(|value| value == "1")
}

/// Says that a test is left out.
pub fn skip(reason: &str) {
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    // Straight to the stream: `eprintln!` is swallowed for tests that pass.
    let _ = std::io::stderr().write_all(format!("skipped: {test}: {reason}\n").as_bytes());
}

impl Python {
    fn prepare() -> Result<Self, String> {
        let below = Path::new(env!("CARGO_TARGET_TMPDIR"));
        std::fs::create_dir_all(below).unwrap();
        // Other processes may run the same tests; the lock ends with the file.
        let lock = File::create(below.join("python.lock")).unwrap();
        lock.lock().unwrap();
        let python = Self { folder: below.join("python") };
        let requirements = std::fs::read(REQUIREMENTS).unwrap();
        let stamp = format!("{:x?}", Sha256::digest(&requirements));
        if !python.has_stamp(&stamp) {
            python.make()?;
            std::fs::write(python.stamp_path(), stamp).unwrap();
        }
        Ok(python)
    }

    fn stamp_path(&self) -> PathBuf {
        self.folder.join("e3sync-requirements")
    }

    fn has_stamp(&self, stamp: &str) -> bool {
        self.program("python").exists() && std::fs::read_to_string(self.stamp_path()).is_ok_and(|found| found == stamp)
    }

    fn make(&self) -> Result<(), String> {
        let _ = std::fs::remove_dir_all(&self.folder);
        let hint = "install python3 and its venv module (on Debian and Ubuntu: python3-venv)";
        try_run(Command::new("python3").args(["-m", "venv"]).arg(&self.folder), hint)?;
        let hint = "the packages of tests/requirements.txt must be installable with pip";
        let mut pip = Command::new(self.program("python"));
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--retries", "2", "-r"]);
        try_run(pip.arg(REQUIREMENTS), hint)
    }

    /// A program of the environment, `python` or one that a package brings.
    pub fn program(&self, name: &str) -> PathBuf {
        self.folder.join("bin").join(name)
    }

    /// A call of such a program, in an environment that has nothing of the machine's owner.
    pub fn command(&self, name: &str) -> Command {
        let mut command = Command::new(self.program(name));
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("HOME", "/nonexistent").env("AWS_EC2_METADATA_DISABLED", "true");
        command
    }

    /// A call of one of the scripts beside the tests.
    pub fn script(&self, name: &str) -> Command {
        let mut command = self.command("python");
        command.arg(Path::new(SCRIPTS).join(name));
        command
    }

    /// Runs a few lines of Python and gives what they print.
    #[track_caller]
    pub fn eval(&self, code: &str, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> String {
        output_of(self.command("python").args(["-c", code]).args(arguments))
    }
}

/// Runs a call that must succeed and gives what it prints.
#[track_caller]
pub fn output_of(command: &mut Command) -> String {
    let Output { status, stdout, stderr } = command.output().unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert!(status.success(), "{} failed\n-- stdout\n{stdout}\n-- stderr\n{stderr}", shown(command));
    stdout.trim_end().to_owned()
}

fn try_run(command: &mut Command, hint: &str) -> Result<(), String> {
    let shown = shown(command);
    match command.output() {
        Err(error) => Err(format!("{shown}: {error}; {hint}")),
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(format!("{shown}: {}; {hint}", String::from_utf8_lossy(&output.stderr).trim())),
    }
}

fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or_default().to_string_lossy().into_owned();
    let arguments = command.get_args().take(2).map(|argument| argument.to_string_lossy().into_owned());
    std::iter::once(program).chain(arguments).collect::<Vec<_>>().join(" ")
}
