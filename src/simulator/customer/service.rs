//! Takes each request to the bucket and its answer back, and lets the faults happen on the way.

use super::super::account::Cloud;
use super::super::call::Call;
use super::super::clock::{Clock, http_date};
use super::super::credentials::Known;
use super::super::delivery::{Pace, Sending, send};
use super::super::reply::{Body, Reply};
use super::super::s3::{S3Error, access_key_id, sign_off as sign_off_s3};
use super::super::server::{Cut, Serve};
use super::super::settings::AccessKey;
use super::super::wire::Fuse;
use super::super::{clock, gcs, xml};
use super::faults::{BucketAction, Rules, When};
use super::front;
use super::operation::{operation, subject};
use super::requests::{BucketRequest, Journal};
use super::settings::CustomerSettings;
use super::store::Store;
use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use jiff::{SignedDuration, Timestamp};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::sleep;

/// The longest body that is taken into memory.
const BODY_BYTES_MAX: usize = 1024 * 1024 * 1024;

/// Who may use the bucket.
#[derive(Debug, Clone)]
pub(super) struct Credentials {
    pub(super) access_key: AccessKey,
    pub(super) session_token: Option<String>,
    pub(super) bearer: String,
    pub(super) are_expired: bool,
}

impl Credentials {
    /// What the S3 side knows of an access key.
    pub(super) fn find(&self, access_key_id: &str, now: Timestamp) -> Option<Known> {
        (self.access_key.access_key_id == access_key_id).then(|| Known {
            secret_access_key: self.access_key.secret_access_key.clone(),
            session_token: self.session_token.clone(),
            expiration: self.are_expired.then(|| clock::later(now, SignedDuration::from_secs(-1))),
        })
    }
}

/// Everything that the connections share.
pub(super) struct Service {
    pub(super) settings: CustomerSettings,
    pub(super) clock: Clock,
    pub(super) store: Store,
    pub(super) faults: Rules,
    pub(super) journal: Journal,
    credentials: Mutex<Credentials>,
    pace: Arc<Pace>,
    arrived: AtomicU64,
    uploads: AtomicU64,
    running: Mutex<JoinSet<()>>,
}

impl Service {
    pub(super) fn new(settings: CustomerSettings) -> Self {
        let credentials = Credentials {
            access_key: settings.access_key.clone(),
            session_token: settings.session_token.clone(),
            bearer: settings.bearer.clone(),
            are_expired: false,
        };
        Self {
            clock: Clock::new(settings.start, SignedDuration::ZERO),
            store: Store::new(settings.keeps_versions(), settings.retention_seconds.is_some()),
            faults: Rules::default(),
            journal: Journal::default(),
            credentials: Mutex::new(credentials),
            pace: Arc::new(Pace::new(None)),
            arrived: AtomicU64::new(0),
            uploads: AtomicU64::new(0),
            running: Mutex::new(JoinSet::new()),
            settings,
        }
    }

    /// Who may use the bucket, to look at or to change.
    pub(super) fn credentials(&self) -> MutexGuard<'_, Credentials> {
        self.credentials.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A number for the id of a new upload.
    pub(super) fn next_upload(&self) -> u64 {
        self.uploads.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// The requests that are still being worked on, also those whose client has left.
    pub(super) fn take_running(&self) -> JoinSet<()> {
        std::mem::take(&mut *self.running.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Works on a request in a task of its own: a server goes on when its client gives up, and what it then does late
    /// is what a client must be safe against.
    async fn work(self: Arc<Self>, call: Call, body: Bytes) -> Option<Reply> {
        let (sender, receiver) = oneshot::channel();
        let service = self.clone();
        {
            let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
            while running.try_join_next().is_some() {}
            running.spawn(async move {
                let reply = service.answer(&call, &body).await;
                service.record(&call, &body, reply.as_ref());
                // The client may have left.
                let _ = sender.send(reply.map(|reply| service.sign_off(&call, reply)));
            });
        }
        receiver.await.ok().flatten()
    }

    /// The answer; none if the connection is to end without one.
    async fn answer(&self, call: &Call, body: &Bytes) -> Option<Reply> {
        let operation = operation(call);
        let actions = self.faults.meet(operation, call);
        for action in &actions {
            match instead(action, call) {
                Some(reply) => return Some(reply),
                None => pause(action, When::BeforeEffect).await?,
            }
        }
        let mut reply = front::answer(self, operation, call, body, &actions).await;
        for action in &actions {
            pause(action, When::AfterEffect).await?;
            match action {
                BucketAction::WrongChecksum => distort(&mut reply, is_checksum, "<Checksum", "AAAAAAAAAAA="),
                BucketAction::WrongEtag => distort(&mut reply, |name| name == "etag", "<ETag", "\"0badc0de\""),
                _ => {}
            }
        }
        Some(reply)
    }

    fn sign_off(&self, call: &Call, reply: Reply) -> Reply {
        let reply = reply.header("date", &http_date(self.clock.now()));
        match call.cloud {
            Cloud::S3 => {
                sign_off_s3(self.settings.seed, call, reply).header("x-amz-bucket-region", &self.settings.region)
            }
            Cloud::Gcs => gcs::sign_off(call, reply),
        }
    }

    fn record(&self, call: &Call, body: &Bytes, reply: Option<&Reply>) {
        self.journal.record(BucketRequest {
            number: call.number,
            protocol: call.cloud,
            operation: operation(call),
            key: subject(call).to_owned(),
            sent_bytes: body.len() as u64,
            credential: credential(call).map(str::to_owned),
            session_token: call.header("x-amz-security-token").map(str::to_owned),
            status: reply.map(|reply| reply.status.as_u16()),
        });
    }
}

impl Serve for Service {
    async fn serve(self: Arc<Self>, request: Request<Incoming>, fuse: Fuse) -> Result<Response<Sending>, Cut> {
        let (parts, body) = request.into_parts();
        let call = Call::new(self.arrived.fetch_add(1, Ordering::Relaxed) + 1, parts);
        let body = Limited::new(body, BODY_BYTES_MAX).collect().await.map_err(|_| Cut)?.to_bytes();
        let pace = self.pace.clone();
        let reply = self.work(call, body).await.ok_or(Cut)?;
        Ok(send(reply, fuse, pace))
    }
}

/// Who a call says that it is from.
fn credential(call: &Call) -> Option<&str> {
    match call.cloud {
        Cloud::S3 => access_key_id(call),
        Cloud::Gcs => call.header("authorization")?.strip_prefix("Bearer "),
    }
}

/// The answer that a fault gives in place of the true one.
fn instead(action: &BucketAction, call: &Call) -> Option<Reply> {
    match action {
        BucketAction::Status { status, code, retry_after_seconds } => {
            let status = StatusCode::from_u16(*status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            let reply = S3Error::new(status, code, "This was asked for by a fault.").reply(call);
            Some(match retry_after_seconds {
                Some(seconds) => reply.header("retry-after", &seconds.to_string()),
                None => reply,
            })
        }
        BucketAction::Denied { message } => {
            Some(S3Error::new(StatusCode::FORBIDDEN, "AccessDenied", message).reply(call))
        }
        BucketAction::ErrorInside { code } => {
            Some(S3Error::new(StatusCode::OK, code, "This was asked for by a fault.").reply(call))
        }
        BucketAction::HtmlPage => {
            let page = "<!DOCTYPE html><html><body><h1>Welcome to the guest network</h1></body></html>";
            Some(Reply::text(StatusCode::OK, "text/html", page.to_owned()))
        }
        _ => None,
    }
}

/// Lets the fault hold the request up, if this is its moment; none if it ends the connection.
async fn pause(action: &BucketAction, now: When) -> Option<()> {
    match action {
        BucketAction::Cut(when) if *when == now => None,
        BucketAction::Silence(when, duration) if *when == now => {
            sleep(*duration).await;
            None
        }
        BucketAction::Freeze(when, gate) if *when == now => {
            gate.pass().await;
            Some(())
        }
        _ => Some(()),
    }
}

fn is_checksum(name: &str) -> bool {
    name == "x-goog-hash" || name.starts_with("x-amz-checksum-") && name != "x-amz-checksum-type"
}

/// Puts a wrong value into the headers and into the elements whose tag begins so.
fn distort(reply: &mut Reply, is_meant: impl Fn(&str) -> bool, tag: &str, wrong: &str) {
    for (name, value) in &mut reply.headers {
        if is_meant(name.as_str()) {
            let wrong = if name == "x-goog-hash" { "crc32c=AAAAAA==" } else { wrong };
            *value = HeaderValue::from_str(wrong).unwrap_or(HeaderValue::from_static("x"));
        }
    }
    let is_xml = reply.headers.get("content-type").is_some_and(|kind| kind.as_bytes().starts_with(b"application/xml"));
    if let (true, Body::Bytes(bytes)) = (is_xml, &reply.body) {
        let text = replace_elements(&String::from_utf8_lossy(bytes), tag, &xml::escape(wrong));
        reply.body = Body::Bytes(text.into());
    }
}

/// Replaces the texts of all elements whose tag begins so; `ChecksumType` and `ChecksumAlgorithm` stay.
fn replace_elements(text: &str, tag: &str, wrong: &str) -> String {
    let mut pieces = text.split(tag);
    let mut replaced = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        replaced.push_str(tag);
        let stays = piece.starts_with("Type>") || piece.starts_with("Algorithm>");
        match (piece.find('>'), piece.find('<')) {
            (Some(open), Some(close)) if open < close && !stays => {
                replaced.push_str(&piece[..=open]);
                replaced.push_str(wrong);
                replaced.push_str(&piece[close..]);
            }
            _ => replaced.push_str(piece),
        }
    }
    replaced
}
