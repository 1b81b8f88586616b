use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use serde_json::Value;

/// A request that arrived at a token server.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The path with its query.
    pub path: String,
    /// The headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body as text.
    pub body: String,
}

impl Asked {
    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The fields of a form, in their order.
    pub fn form(&self) -> Vec<(String, String)> {
        let url = url::Url::parse(&format!("http://form/?{}", self.body)).unwrap();
        url.query_pairs().into_owned().collect()
    }

    /// A field of a form.
    #[track_caller]
    pub fn field(&self, name: &str) -> String {
        self.form().into_iter().find(|(known, _)| known == name).unwrap_or_else(|| panic!("no {name}: {}", self.body)).1
    }
}

/// What a request is answered: a status and a document.
pub type Answer = Box<dyn Fn(&Asked) -> (u16, Value) + Send>;

/// As [`Answer`], with a text of any form.
type TextAnswer = Box<dyn Fn(&Asked) -> (u16, String) + Send>;

/// Servers that give tokens or keys out, all on one port: whatever a test makes of them.
pub struct TokenServer {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl TokenServer {
    /// Answers every request by `answer`.
    pub fn start(answer: Answer) -> Self {
        Self::of_texts(Box::new(move |asked| {
            let (status, document) = answer(asked);
            (status, document.to_string())
        }))
    }

    /// Answers every request by `answer`, whose texts need not be JSON.
    pub fn of_texts(answer: TextAnswer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (asked, is_over) = (Arc::<Mutex<Vec<Asked>>>::default(), Arc::new(AtomicBool::new(false)));
        let thread = std::thread::spawn({
            let (asked, is_over) = (asked.clone(), is_over.clone());
            move || {
                for stream in listener.incoming() {
                    if is_over.load(Ordering::SeqCst) {
                        return;
                    }
                    // A caller that went away is no failure of the test.
                    let _ = stream.and_then(|stream| serve(&stream, &answer, &asked));
                }
            }
        });
        Self { address, asked, is_over, thread: Some(thread) }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn host(&self) -> String {
        self.address.to_string()
    }

    /// The requests so far whose path begins so.
    pub fn asked(&self, path: &str) -> Vec<Asked> {
        let asked = self.asked.lock().unwrap();
        asked.iter().filter(|asked| asked.path.starts_with(path)).cloned().collect()
    }
}

impl Drop for TokenServer {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn serve(stream: &TcpStream, answer: &TextAnswer, log: &Mutex<Vec<Asked>>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut first = String::new();
    reader.read_line(&mut first)?;
    let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        headers.push((name.to_lowercase(), value.to_owned()));
    }
    let mut asked = Asked { path, headers, body: String::new() };
    let length = asked.header("content-length").map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    asked.body = String::from_utf8(body).unwrap();
    let (status, text) = answer(&asked);
    log.lock().unwrap().push(asked);
    let length = text.len();
    write!(
        &mut &*stream,
        "HTTP/1.1 {status} Said\r\nmetadata-flavor: Google\r\nx-aws-ec2-metadata-token-ttl-seconds: 21600\r\nlocation: http://127.0.0.1:9/\r\n\
         content-type: application/json\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{text}"
    )
}
