use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use serde_json::Value;

/// Where credentials for S3 are asked for.
pub const AWS: &str = "/v2/export/credentials";

/// Where a token for Google Cloud Storage is asked for.
pub const GCP: &str = "/v2/export/credentials/gcp";

/// A stand-in for the Authentication API that hands out the credentials it is given.
pub struct Exchange {
    address: SocketAddr,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Exchange {
    /// Answers every call of a path that has the token with the same document.
    pub fn start(path: &str, token: &str, answer: &Value) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let is_over = Arc::new(AtomicBool::new(false));
        let request = format!("GET {path} HTTP/1.1");
        let (authorization, answer) = (format!("authorization: bearer {token}"), answer.to_string());
        let thread = std::thread::spawn({
            let is_over = is_over.clone();
            move || {
                for stream in listener.incoming() {
                    if is_over.load(Ordering::SeqCst) {
                        return;
                    }
                    // A caller that went away is no failure of the test.
                    let _ = stream.and_then(|stream| serve(stream, &request, &authorization, &answer));
                }
            }
        });
        Self { address, is_over, thread: Some(thread) }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

fn serve(stream: TcpStream, request: &str, authorization: &str, answer: &str) -> std::io::Result<()> {
    let head: Vec<String> =
        BufReader::new(&stream).lines().map_while(Result::ok).take_while(|line| !line.is_empty()).collect();
    let is_known = head.iter().any(|line| line.eq_ignore_ascii_case(authorization));
    let is_asked = head.first().is_some_and(|line| line == request);
    let (status, body) = match (is_asked, is_known) {
        (true, true) => ("200 OK", answer),
        (true, false) => ("401 Unauthorized", "{}"),
        (false, _) => ("404 Not Found", "{}"),
    };
    let length = body.len();
    write!(&stream, "HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}")
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::SeqCst);
        // A last connection, so that the thread looks.
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
