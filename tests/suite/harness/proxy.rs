use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::tools::python;

/// A proxy that we did not write, which ends with the test.
pub struct Proxy {
    child: Child,
    port: u16,
    _folder: tempfile::TempDir,
}

impl Proxy {
    /// A proxy for `CONNECT`; `options` are those of proxy.py. `None` where it cannot be had.
    pub fn of_http(options: &[&str]) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("port");
        let mut command = python()?.command("proxy");
        command.args(["--hostname", "127.0.0.1", "--port", "0", "--num-workers", "1", "--num-acceptors", "1"]);
        command.arg("--port-file").arg(&file).args(options).env("HOME", folder.path());
        let child = quiet(&mut command).spawn().unwrap();
        let mut proxy = Self { child, port: 0, _folder: folder };
        let began = Instant::now();
        while proxy.port == 0 {
            assert!(began.elapsed() < Duration::from_secs(60), "the proxy does not start");
            assert!(proxy.child.try_wait().unwrap().is_none(), "the proxy has ended");
            std::thread::sleep(Duration::from_millis(20));
            let text = std::fs::read_to_string(&file).unwrap_or_default();
            proxy.port = text.lines().next().and_then(|port| port.trim().parse().ok()).unwrap_or(0);
        }
        Some(proxy)
    }

    /// A SOCKS5 proxy for anybody. `None` where it cannot be had.
    pub fn of_socks() -> Option<Self> {
        let mut command = python()?.command("pproxy");
        command.args(["-l", "socks5://127.0.0.1:0/"]).env("PYTHONUNBUFFERED", "1");
        let mut child = quiet(&mut command).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let port = line.split_once("127.0.0.1:").and_then(|(_, rest)| rest.split(' ').next()?.parse().ok());
        Some(Self { child, port: port.expect(&line), _folder: tempfile::tempdir().unwrap() })
    }

    /// Where it listens: `127.0.0.1:PORT`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }
}

fn quiet(command: &mut Command) -> &mut Command {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null())
}

impl Drop for Proxy {
    /// Asks it to end: its own processes would outlive a kill.
    fn drop(&mut self) {
        if let Some(pid) = rustix::process::Pid::from_raw(self.child.id().cast_signed()) {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        let _ = self.child.wait();
    }
}
