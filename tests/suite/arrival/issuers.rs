//! Who gives AWS keys out, on loopback: STS, a container's and a machine's server, single sign-on.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use serde_json::json;

/// When the keys end: long after every test.
pub const ENDS: &str = "2099-01-01T00:00:00Z";

/// Keys that are given out.
#[derive(Clone)]
pub struct Keys {
    pub id: String,
    pub secret: String,
    pub session: String,
}

/// A server that answers as each of AWS's issuers does, with the same keys.
pub struct Issuers {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Issuers {
    pub fn start(keys: Keys) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (asked, is_over) = (Arc::<Mutex<Vec<String>>>::default(), Arc::new(AtomicBool::new(false)));
        let thread = std::thread::spawn({
            let (asked, is_over) = (asked.clone(), is_over.clone());
            move || {
                for stream in listener.incoming() {
                    if is_over.load(Ordering::SeqCst) {
                        return;
                    }
                    // A caller that went away is no failure of the test.
                    let _ = stream.and_then(|stream| serve(&stream, &keys, &asked));
                }
            }
        });
        Self { address, asked, is_over, thread: Some(thread) }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The request lines and bodies so far.
    pub fn asked(&self) -> String {
        self.asked.lock().unwrap().join("\n")
    }
}

fn serve(mut stream: &TcpStream, keys: &Keys, asked: &Mutex<Vec<String>>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let head: Vec<String> = reader.by_ref().lines().map_while(Result::ok).take_while(|line| !line.is_empty()).collect();
    let length = head.iter().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body)?;
    let request = format!("{} {}", head.first().cloned().unwrap_or_default(), String::from_utf8_lossy(&body));
    asked.lock().unwrap().push(request.clone());
    let (status, body) = match answer(&request, keys) {
        Some(body) => ("200 OK", body),
        None => ("404 Not Found", String::new()),
    };
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 {status}\r\ncontent-length: {length}\r\nx-aws-ec2-metadata-token-ttl-seconds: 21600\r\nconnection: close\r\n\r\n{body}"
    )
}

fn answer(request: &str, keys: &Keys) -> Option<String> {
    let Keys { id, secret, session } = keys;
    let of_machine = json!({
        "Code": "Success", "Type": "AWS-HMAC", "LastUpdated": "2026-01-01T00:00:00Z",
        "AccessKeyId": id, "SecretAccessKey": secret, "Token": session, "Expiration": ENDS,
    });
    let action = ["AssumeRoleWithWebIdentity", "AssumeRole"]
        .into_iter()
        .find(|action| request.contains(&format!("Action={action}&")));
    if let Some(action) = action {
        return Some(format!(
            "<{action}Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><{action}Result>\
             <AssumedRoleUser><Arn>arn:aws:sts::123456789012:assumed-role/lake/s</Arn><AssumedRoleId>A:s</AssumedRoleId></AssumedRoleUser>\
             <Credentials><AccessKeyId>{id}</AccessKeyId><SecretAccessKey>{secret}</SecretAccessKey>\
             <SessionToken>{session}</SessionToken><Expiration>{ENDS}</Expiration></Credentials>\
             </{action}Result></{action}Response>"
        ));
    }
    let path = request.split(' ').nth(1)?;
    match path.split('?').next()? {
        "/container" | "/latest/meta-data/iam/security-credentials/lake-role" => Some(of_machine.to_string()),
        "/latest/api/token" => Some("metadata-token".to_owned()),
        "/latest/meta-data/iam/security-credentials/" => Some("lake-role".to_owned()),
        "/latest/meta-data/placement/region" => Some("eu-central-1".to_owned()),
        "/federation/credentials" => Some(
            json!({ "roleCredentials": {
                "accessKeyId": id, "secretAccessKey": secret, "sessionToken": session, "expiration": 4_070_908_800_000_u64,
            }})
            .to_string(),
        ),
        _ => None,
    }
}

impl Drop for Issuers {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::SeqCst);
        // A last connection, so that the thread looks.
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
