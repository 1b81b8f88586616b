use std::ffi::OsStr;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;

use serde_json::Value;

/// One call of the real binary, in an environment that has nothing but what the test gives it.
pub struct E3sync {
    command: Command,
    secrets: Vec<String>,
    input: Option<String>,
}

impl E3sync {
    /// A call of a verb.
    pub fn new(verb: &str) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_e3sync"));
        command.arg(verb).env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.current_dir(empty_folder());
        // Failures without a backtrace, as users see them; no configuration of the machine's owner.
        command.env("HOME", "/nonexistent");
        // The servers that we did not write know one cloud each.
        command.env("E3SYNC_SOURCE", super::CLOUD.name());
        Self { command, secrets: Vec::new(), input: None }
    }

    /// Where the call works; else it is a folder with nothing in it.
    pub fn folder(mut self, folder: &Path) -> Self {
        self.command.current_dir(folder);
        self
    }

    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.command.arg(argument);
        self
    }

    pub fn args<S: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = S>) -> Self {
        self.command.args(arguments);
        self
    }

    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    pub fn env_remove(mut self, name: &str) -> Self {
        self.command.env_remove(name);
        self
    }

    /// A variable whose value must appear in no output.
    pub fn secret_env(mut self, name: &str, value: &str) -> Self {
        self.secrets.push(value.to_owned());
        self.env(name, value)
    }

    /// Text that must appear in no output.
    pub fn secret(mut self, text: &str) -> Self {
        self.secrets.push(text.to_owned());
        self
    }

    /// Runs the call in another folder than the tests'.
    pub fn current_dir(mut self, folder: &std::path::Path) -> Self {
        self.command.current_dir(folder);
        self
    }

    /// What the call reads from standard input.
    pub fn input(mut self, text: &str) -> Self {
        self.input = Some(text.to_owned());
        self
    }

    /// Another program that runs the call, as `strace` or `sh -c 'ulimit ...'` do.
    pub fn under(self, wrapper: &[&str]) -> Self {
        let mut command = Command::new(wrapper[0]);
        command.args(&wrapper[1..]).arg(self.command.get_program()).args(self.command.get_args());
        self.replaced_by(command)
    }

    /// The call with its results on a terminal of so many columns; messages are left out.
    pub fn on_a_terminal(self, columns: u32) -> Self {
        let words = std::iter::once(self.command.get_program()).chain(self.command.get_args());
        let words: Vec<_> = words.map(|word| format!("'{}'", word.to_str().unwrap().replace('\'', r"'\''"))).collect();
        let call = format!("stty cols {columns}; exec {} 2> /dev/null", words.join(" "));
        let mut command = Command::new("script");
        command.args(["-qec", &call, "/dev/null"]);
        self.replaced_by(command).env("TERM", "xterm")
    }

    fn replaced_by(mut self, mut command: Command) -> Self {
        command.env_clear();
        for (name, value) in self.command.get_envs() {
            if let Some(value) = value {
                command.env(name, value);
            }
        }
        if let Some(folder) = self.command.get_current_dir() {
            command.current_dir(folder);
        }
        self.command = command;
        self
    }

    /// Starts the call and lets it run.
    pub fn start(mut self) -> Running {
        self.command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let shown = format!("{:?}", self.command.get_args().collect::<Vec<_>>());
        let mut child = self.command.spawn().unwrap();
        if let Some(input) = &self.input {
            child.stdin.as_mut().unwrap().write_all(input.as_bytes()).unwrap();
        }
        drop(child.stdin.take());
        let stdout = drain(child.stdout.take().unwrap());
        let stderr = drain(child.stderr.take().unwrap());
        Running { child, stdout, stderr, secrets: self.secrets, shown }
    }

    /// Runs the call to its end.
    pub fn run(self) -> Finished {
        self.start().wait()
    }
}

/// A folder without settings, whatever lies where the tests were started.
pub fn empty_folder() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("empty");
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

fn drain(mut stream: impl std::io::Read + Send + 'static) -> JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes);
        bytes
    })
}

/// A call that runs.
pub struct Running {
    child: Child,
    stdout: JoinHandle<Vec<u8>>,
    stderr: JoinHandle<Vec<u8>>,
    secrets: Vec<String>,
    shown: String,
}

impl Running {
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal, by its number.
    pub fn signal(&self, signal: rustix::process::Signal) {
        let id = rustix::process::Pid::from_child(&self.child);
        // A process that has ended by itself just now is no failure of the test.
        let _ = rustix::process::kill_process(id, signal);
    }

    /// Kills the process at once, as a power switch would.
    pub fn kill(mut self) -> Finished {
        let _ = self.child.kill();
        self.wait()
    }

    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Waits for the end, and checks that no secret was printed.
    pub fn wait(mut self) -> Finished {
        let status = self.child.wait().unwrap();
        let stdout = String::from_utf8_lossy(&self.stdout.join().unwrap()).into_owned();
        let stderr = String::from_utf8_lossy(&self.stderr.join().unwrap()).into_owned();
        for secret in &self.secrets {
            assert!(!stdout.contains(secret.as_str()), "a secret on standard output of {}", self.shown);
            assert!(!stderr.contains(secret.as_str()), "a secret on standard error of {}", self.shown);
        }
        assert!(!stderr.contains("panicked"), "{} panicked:\n{stderr}", self.shown);
        Finished { code: status.code(), stdout, stderr, shown: self.shown }
    }
}

/// A call that has ended.
#[derive(Debug)]
pub struct Finished {
    /// The exit code; `None` after a signal that was not caught.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
    shown: String,
}

impl Finished {
    /// Fails the test unless the call ended with this code.
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(
            self.code,
            Some(code),
            "{} ended with {:?}\n-- stdout\n{}\n-- stderr\n{}",
            self.shown,
            self.code,
            self.stdout,
            self.stderr
        );
        self
    }

    /// Fails the test unless the messages contain this text.
    #[track_caller]
    pub fn says(self, text: &str) -> Self {
        assert!(
            self.stderr.contains(text),
            "`{text}` is missing from the messages of {}:\n{}",
            self.shown,
            self.stderr
        );
        self
    }

    /// The documents of `--json`.
    pub fn json(&self) -> Vec<Value> {
        self.stdout
            .lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("not JSON: {line}")))
            .collect()
    }

    /// The last document of `--json`.
    pub fn summary(&self) -> Value {
        self.json().into_iter().rfind(|value| value["event"] == "summary").expect("a summary")
    }
}
