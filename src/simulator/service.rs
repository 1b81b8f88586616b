//! Takes each request to its front end and its answer back, and lets the faults happen on the way.

use super::account::Account;
use super::call::Call;
use super::clock::{Clock, http_date};
use super::credentials::Issuer;
use super::delivery::{Pace, Sending, send};
use super::faults::{self, Action, Fired, Moment, Rules};
use super::front::{self, Answer, Front};
use super::oauth::OAuthServer;
use super::observation::{Logged, Observation};
use super::reply::Reply;
use super::server::{Cut, Serve};
use super::settings::Settings;
use super::wire::Fuse;
use bytes::Bytes;
use http::header::{CONTENT_RANGE, ETAG};
use http::request::Parts;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, RwLock};
use tokio::time::sleep;

/// The longest form that is read, in bytes.
const FORM_BYTES_MAX: usize = 64 * 1024;

/// Everything that the connections share.
pub(crate) struct Service {
    pub(crate) settings: Settings,
    pub(crate) clock: Clock,
    pub(crate) account: RwLock<Account>,
    pub(crate) issuer: Issuer,
    pub(crate) oauth: OAuthServer,
    pub(crate) faults: Rules,
    pub(crate) observation: Observation,
    pub(crate) pace: Arc<Pace>,
    arrived: AtomicU64,
    at_once: AtomicU64,
}

/// A request that is being answered.
struct Answering<'a>(&'a AtomicU64);

impl Drop for Answering<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Service {
    pub(crate) fn new(settings: Settings) -> Self {
        let clock = Clock::new(settings.start, settings.clock_skew);
        Self {
            account: RwLock::new(Account::new(&settings, clock.clone())),
            issuer: Issuer::new(&settings, clock.clone()),
            oauth: OAuthServer::new(&settings, clock.clone()),
            faults: Rules::new(settings.seed),
            observation: Observation::default(),
            pace: Arc::new(Pace::new(settings.bandwidth_bytes_per_second)),
            arrived: AtomicU64::new(0),
            at_once: AtomicU64::new(0),
            clock,
            settings,
        }
    }

    async fn respond(&self, request: Parts, form: &[u8], fuse: Fuse) -> Response<Sending> {
        let number = self.arrived.fetch_add(1, Ordering::Relaxed) + 1;
        let at_once = self.at_once.fetch_add(1, Ordering::Relaxed) + 1;
        let _answering = Answering(&self.at_once);
        let call = Call::new(number, request).with_form(form).among(at_once);
        if let Some(latency) = self.settings.latency {
            sleep(latency).await;
        }
        let mut met = Met { rules: &self.faults, call: &call, texts: Vec::new() };
        let reply = self.answer(&call, &mut met).await;
        let faults = met.texts;
        self.record(&call, &reply, faults);
        send(self.sign_off(&call, reply), fuse, self.pace.clone())
    }

    async fn answer(&self, call: &Call, met: &mut Met<'_>) -> Reply {
        if let Some(fired) = met.fault(Moment::Arrival)
            && let Some(reply) = self.arrive(call, &fired).await
        {
            return reply;
        }
        let mut reply = self.ask_front_end(call, met).await;
        if reply.status.is_success() {
            let moment = Moment::Answer {
                length_bytes: reply.body.length(),
                partial: reply.headers.contains_key(CONTENT_RANGE),
                tagged: reply.headers.contains_key(ETAG),
            };
            if let Some(fired) = met.fault(moment) {
                faults::distort(&fired.action, &mut reply);
            }
        }
        reply
    }

    /// Lets a fault of the arrival happen; gives the answer if the fault is one.
    async fn arrive(&self, call: &Call, fired: &Fired) -> Option<Reply> {
        match &fired.action {
            Action::Delay(delay) => sleep(*delay).await,
            Action::Hold => fired.released().await,
            Action::ExpireAll => self.issuer.expire_all(),
            Action::RevokeToken => self.issuer.set_token(None),
            Action::Status { status, code, retry_after_seconds } => {
                let reply = front::error(&self.front(), call, *status, code.as_deref());
                return Some(match retry_after_seconds {
                    Some(seconds) => reply.header("retry-after", &seconds.to_string()),
                    None => reply,
                });
            }
            Action::Refusal(refusal) => return Some(faults::refusal_reply(*refusal, call)),
            action => return faults::instead(action, self.settings.seed),
        }
        None
    }

    async fn ask_front_end(&self, call: &Call, met: &mut Met<'_>) -> Reply {
        match front::answer(&self.front(), call).await {
            Answer::Listing(listing, form) => match met.fault(Moment::Listing) {
                Some(fired) => faults::distort_listing(&fired.action, listing, &form),
                None => form.reply(&listing),
            },
            Answer::Reply(reply) => reply,
        }
    }

    fn front(&self) -> Front<'_> {
        Front {
            settings: &self.settings,
            account: &self.account,
            issuer: &self.issuer,
            oauth: &self.oauth,
            clock: &self.clock,
        }
    }

    fn sign_off(&self, call: &Call, reply: Reply) -> Reply {
        front::sign_off(&self.settings, call, reply.header("date", &http_date(self.clock.now())))
    }

    fn record(&self, call: &Call, reply: &Reply, faults: Vec<String>) {
        self.observation.record(Logged {
            number: call.number,
            cloud: call.cloud,
            operation: call.operation,
            subject: call.subject().to_owned(),
            range: call.header("range").map(str::to_owned),
            user_project: call.user_project().map(str::to_owned),
            access_key_id: super::s3::access_key_id(call).map(str::to_owned),
            status: reply.status.as_u16(),
            faults,
        });
    }
}

impl Serve for Service {
    /// The export is only read: bodies of requests are left unread, but for the forms of the OAuth server.
    async fn serve(self: Arc<Self>, request: Request<Incoming>, fuse: Fuse) -> Result<Response<Sending>, Cut> {
        let (parts, body) = request.into_parts();
        let form = if parts.uri.path().starts_with("/oauth2/") {
            let form = Limited::new(body, FORM_BYTES_MAX).collect().await.map_err(|_| Cut)?;
            form.to_bytes()
        } else {
            Bytes::new()
        };
        Ok(self.respond(parts, &form, fuse).await)
    }
}

/// The faults that a request met on its way.
struct Met<'a> {
    rules: &'a Rules,
    call: &'a Call,
    texts: Vec<String>,
}

impl Met<'_> {
    fn fault(&mut self, moment: Moment) -> Option<Fired> {
        let fired = self.rules.fire(self.call, moment)?;
        self.texts.push(fired.text());
        Some(fired)
    }
}
