//! A server that gives prepared answers and keeps what it was asked.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// What the server does to a request.
pub enum Reply {
    /// Answers with a status, headers and a body.
    With(u16, &'static str, &'static str),
    /// Announces more bytes than it sends, and keeps the connection open.
    Partly(&'static str),
    /// Says nothing, and keeps the connection open.
    Nothing,
}

/// A server that answers the next request with the next reply, one request per connection.
pub struct Server {
    pub url: String,
    seen: Arc<Mutex<Vec<Seen>>>,
}

/// A request that arrived.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The first line and the headers, in lower case but for the first line.
    pub head: String,
    pub body: Vec<u8>,
}

impl Seen {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

impl Server {
    pub async fn start(replies: impl IntoIterator<Item = Reply>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::<Mutex<Vec<Seen>>>::default();
        let mut replies: VecDeque<_> = replies.into_iter().collect();
        let noted = seen.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let reply = replies.pop_front().unwrap_or(Reply::With(418, "", ""));
                tokio::spawn(answer(stream, reply, noted.clone()));
            }
        });
        Self { url, seen }
    }

    /// The requests so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

async fn answer(mut stream: TcpStream, reply: Reply, noted: Arc<Mutex<Vec<Seen>>>) {
    let Some(seen) = receive(&mut stream).await else { return };
    let is_head = seen.head.starts_with("HEAD ");
    noted.lock().unwrap().push(seen);
    let text = match reply {
        Reply::With(status, headers, body) => {
            // An answer to HEAD tells the length of what it does not send.
            let length = if headers.contains("content-length") {
                String::new()
            } else {
                format!("content-length: {}\r\n", body.len())
            };
            let body = if is_head { "" } else { body };
            format!("HTTP/1.1 {status} Said\r\nconnection: close\r\n{length}{headers}\r\n{body}")
        }
        Reply::Partly(body) => format!(
            "HTTP/1.1 200 OK\r\netag: \"e\"\r\nlast-modified: Fri, 20 Nov 2026 10:00:00 GMT\r\ncontent-length: 1000\r\n\r\n{body}"
        ),
        Reply::Nothing => String::new(),
    };
    let _ = stream.write_all(text.as_bytes()).await;
    if matches!(reply, Reply::Partly(_) | Reply::Nothing) {
        tokio::time::sleep(Duration::from_secs(60)).await;
    }
}

async fn receive(stream: &mut TcpStream) -> Option<Seen> {
    let (mut bytes, mut buffer) = (Vec::new(), [0; 65536]);
    let head_end = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
        let count = stream.read(&mut buffer).await.ok().filter(|count| *count > 0)?;
        bytes.extend_from_slice(&buffer[..count]);
    };
    let head = String::from_utf8(bytes[..head_end].to_vec()).ok()?;
    let mut seen = Seen { head, body: bytes[head_end..].to_vec() };
    let length = seen.header("content-length").map_or(0, |length| length.parse().unwrap());
    while seen.body.len() < length {
        let count = stream.read(&mut buffer).await.ok().filter(|count| *count > 0)?;
        seen.body.extend_from_slice(&buffer[..count]);
    }
    Some(seen)
}
