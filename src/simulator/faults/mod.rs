//! What can be made to go wrong, and when.

mod apply;
mod depth;
mod grammar;
mod refusal;
mod rules;
mod units;

pub(crate) use apply::{distort, distort_listing, instead};
pub use depth::Depth;
pub use grammar::{FAULT_GRAMMAR, ParseFaultError};
pub use refusal::Refusal;
pub(crate) use refusal::reply as refusal_reply;
pub use rules::Injected;
pub(crate) use rules::{Fired, Moment, Rules};

use super::account::Cloud;
use super::observation::Operation;
use std::time::Duration;

/// The requests that a fault is meant for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// Every request.
    Any,
    /// Requests of one operation.
    Only(Operation),
}

/// What goes wrong.
///
/// Byte counts are of the body as sent, so of the part that a ranged request asked for. Faults of the body and of a
/// listing wait for a sound answer that they fit; the others take the next request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// An error answer in the words of the service asked.
    Status {
        /// The HTTP status, 400 to 599.
        status: u16,
        /// The error code in the body; none takes the usual one of the status.
        code: Option<String>,
        /// The `Retry-After` header.
        retry_after_seconds: Option<u64>,
    },
    /// An error answer with a cloud's own words about an object or a bucket that cannot be used as it is.
    Refusal(Refusal),
    /// A page of HTML with this error status, as gateways and firewalls send it.
    Page(u16),
    /// Ends the life of all credentials issued so far; the request then takes its course.
    ExpireAll,
    /// Revokes the token for good; the request then takes its course.
    RevokeToken,
    /// Waits before the request takes its course.
    Delay(Duration),
    /// Waits until [`Injected::release`] before the request takes its course.
    Hold,
    /// A page of HTML with status 200, as captive portals and proxies send it.
    Html200,
    /// Status 200 and nothing.
    EmptyBody,
    /// Status 200 and bytes without any meaning.
    Garbage,
    /// Status 307 to this URL.
    Redirect(String),
    /// Sends this number of bytes, then nothing more, and keeps the connection open.
    Stall(u64),
    /// Sends this number of bytes, then closes the connection in order, before `Content-Length` is reached.
    Cut(u64),
    /// Sends at most this number of bytes, then resets the connection.
    Reset(u64),
    /// Flips the lowest bit of this byte, counted from 0. Length and checksum header stay those of the true bytes.
    FlipBit(u64),
    /// Sends this number of bytes in chunked coding, without a length, and ends it in order.
    ShortChunked(u64),
    /// Declares this number of bytes more than follow, or fewer if negative.
    LyingLength(i64),
    /// A `Content-Range` one byte further than what was asked and is sent.
    WrongContentRange,
    /// Another `ETag` than the object has, and on Google another generation.
    WrongETag,
    /// The token of the next page is the one that this page was asked for with.
    RepeatToken,
    /// The listing names another bucket: S3 at its head, Google in every item.
    WrongBucketName,
    /// The listing is one of another prefix: S3 names it, Google shows it in the keys only.
    WrongPrefix,
    /// The listing holds keys of another account.
    ForeignKeys,
    /// The keys of the listing descend.
    Unsorted,
    /// The next page begins with the last key of this one, as Ceph's did for buckets with versions.
    RepeatKey,
    /// The next page begins with the first key of this one: each page ascends, and both together do not.
    StepBack,
    /// The listing is sound but empty, and the last page.
    EmptyListing,
    /// The listing repeats one key for this number of bytes.
    HugePage(u64),
    /// The XML or JSON ends in the middle, in accordance with its `Content-Length`.
    TruncatedXml,
}

impl Action {
    /// Status 503 `SlowDown`, S3's request to slow down.
    pub fn slow_down() -> Self {
        Self::status(503)
    }

    /// Status 429, the exchange's request to slow down.
    pub fn too_many_requests() -> Self {
        Self::status(429)
    }

    /// Status 500.
    pub fn internal_error() -> Self {
        Self::status(500)
    }

    /// Status 400 `ExpiredToken` although the credentials live; on Google status 401 (domain.md section 2).
    pub fn expired_token() -> Self {
        Self::Status { status: 400, code: Some("ExpiredToken".to_owned()), retry_after_seconds: None }
    }

    /// An error answer with the usual code of the status.
    pub fn status(status: u16) -> Self {
        Self::Status { status, code: None, retry_after_seconds: None }
    }
}

/// A fault: which requests, what, and how often. Without further ado it fires once, at the next fitting request.
///
/// The compact text form of the command line is described by [`FAULT_GRAMMAR`]; `Display` writes it, and `FromStr`
/// reads it.
#[derive(Debug, Clone, PartialEq)]
pub struct Fault {
    pub(crate) target: Target,
    pub(crate) cloud: Option<Cloud>,
    pub(crate) action: Action,
    pub(crate) key: Option<String>,
    pub(crate) depth: Option<Depth>,
    pub(crate) after: u64,
    pub(crate) times: Option<u64>,
    pub(crate) chance_percent: Option<f64>,
    pub(crate) lasting: Option<Duration>,
    pub(crate) busier_than: Option<u64>,
}

impl Fault {
    /// The action at the next request of any operation.
    pub fn any(action: Action) -> Self {
        Self::new(Target::Any, action)
    }

    /// The action at the next request of the operation.
    pub fn at(operation: Operation, action: Action) -> Self {
        Self::new(Target::Only(operation), action)
    }

    fn new(target: Target, action: Action) -> Self {
        Self {
            target,
            cloud: None,
            action,
            key: None,
            depth: None,
            after: 0,
            times: None,
            chance_percent: None,
            lasting: None,
            busier_than: None,
        }
    }

    /// Only requests to this cloud; an exchange belongs to the cloud that it is for.
    pub fn on(mut self, cloud: Cloud) -> Self {
        self.cloud = Some(cloud);
        self
    }

    /// Only requests whose key, prefix or path contains the text.
    pub fn key(mut self, part: &str) -> Self {
        self.key = Some(part.to_owned());
        self
    }

    /// Only listings of this depth.
    pub fn depth(mut self, depth: Depth) -> Self {
        self.depth = Some(depth);
        self
    }

    /// Fires this number of times.
    pub fn times(mut self, times: u64) -> Self {
        self.times = Some(times);
        self
    }

    /// Fires every time.
    pub fn always(self) -> Self {
        self.times(u64::MAX)
    }

    /// Lets this number of fitting requests pass first.
    pub fn after(mut self, passed: u64) -> Self {
        self.after = passed;
        self
    }

    /// Fires at the fitting request of this number only, the first being 1.
    pub fn nth(self, number: u64) -> Self {
        self.after(number.saturating_sub(1)).times(1)
    }

    /// Fires with this probability, 0 to 100, thrown with the simulator's seed; every time it hits if no number of
    /// times is given.
    pub fn chance_percent(mut self, percent: f64) -> Self {
        self.chance_percent = Some(percent);
        self
    }

    /// Fires only during this time after the injection; as often as it can if no number of times is given.
    pub fn lasting(mut self, duration: Duration) -> Self {
        self.lasting = Some(duration);
        self
    }

    /// Fires only at requests that come while more than this number are being answered, themselves among them; as
    /// often as it can if no number of times is given.
    pub fn busier_than(mut self, requests: u64) -> Self {
        self.busier_than = Some(requests);
        self
    }

    pub(crate) fn times_max(&self) -> u64 {
        let once = self.chance_percent.is_none() && self.lasting.is_none() && self.busier_than.is_none();
        self.times.unwrap_or(if once { 1 } else { u64::MAX })
    }
}
