use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::ops::Range;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
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

/// A proxy for `CONNECT` that answers some of its requests with 503, as one that cannot reach a server just now.
pub struct FailingProxy {
    address: String,
    refused: Arc<AtomicUsize>,
}

impl FailingProxy {
    /// A proxy that fails the requests of these numbers, counted from 0.
    pub fn start(failing: Range<usize>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let refused = Arc::new(AtomicUsize::new(0));
        let count = refused.clone();
        std::thread::spawn(move || {
            for (number, client) in listener.incoming().enumerate() {
                let is_refused = failing.contains(&number);
                count.fetch_add(usize::from(is_refused), Ordering::SeqCst);
                std::thread::spawn(move || connect(client.unwrap(), is_refused));
            }
        });
        Self { address, refused }
    }

    /// Where it listens: `127.0.0.1:PORT`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The number of requests that it has failed.
    pub fn refused(&self) -> usize {
        self.refused.load(Ordering::SeqCst)
    }
}

/// Answers one `CONNECT HOST:PORT`, and hands bytes on in both directions.
fn connect(client: TcpStream, is_refused: bool) -> Option<()> {
    let mut head = BufReader::new(client.try_clone().ok()?);
    let mut request = String::new();
    head.read_line(&mut request).ok()?;
    let mut line = String::new();
    while line != "\r\n" {
        line.clear();
        head.read_line(&mut line).ok()?;
    }
    let mut answer = client.try_clone().ok()?;
    if is_refused {
        return answer.write_all(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n").ok();
    }
    let server = TcpStream::connect(request.split(' ').nth(1)?).ok()?;
    answer.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").ok()?;
    let (mut from_server, mut to_client) = (server.try_clone().ok()?, client);
    let back = std::thread::spawn(move || {
        let _ = std::io::copy(&mut from_server, &mut to_client);
        let _ = to_client.shutdown(Shutdown::Write);
    });
    let mut to_server = server;
    let _ = std::io::copy(&mut head, &mut to_server);
    let _ = to_server.shutdown(Shutdown::Write);
    back.join().ok()
}
