//! What goes wrong with requests to the bucket, as values that a test makes.

use super::super::account::Cloud;
use super::super::call::Call;
use super::operation::{BucketOperation, subject};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Semaphore, watch};

/// When something goes wrong: before or after what the request asks for is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// Nothing is done yet.
    BeforeEffect,
    /// It is done, and only the answer is still to come.
    AfterEffect,
}

/// What goes wrong with a request.
#[derive(Debug, Clone)]
pub enum BucketAction {
    /// It is not done; the answer is this error.
    Status {
        /// The HTTP status, such as 503.
        status: u16,
        /// The code in the body, such as `SlowDown`.
        code: String,
        /// The value of `Retry-After`.
        retry_after_seconds: Option<u64>,
    },
    /// It is not done; the answer is 403 `AccessDenied` with this message, as policies word it.
    Denied {
        /// The server's own words.
        message: String,
    },
    /// It is not done; the answer has status 200 and an `<Error>` of this code as its body, as S3 answers late failures
    /// of copies and completions.
    ErrorInside {
        /// The code in the body.
        code: String,
    },
    /// It is not done; the answer is an HTML page with status 200, as some proxies send it.
    HtmlPage,
    /// The connection ends without an answer.
    Cut(When),
    /// No answer comes for this time, then the connection ends.
    Silence(When, Duration),
    /// The request waits until the test opens the gate.
    Freeze(When, Gate),
    /// A page of a listing says that it goes on at its own last key, so that the next page repeats it, as Ceph's did
    /// for buckets with versions.
    RepeatKey,
    /// A page of a listing says that it goes on at its own first key: each page ascends, and both together do not.
    StepBack,
    /// It is done; the checksums in the answer are wrong.
    WrongChecksum,
    /// It is done; the entity tag in the answer is wrong.
    WrongEtag,
}

impl BucketAction {
    /// An error of the status and code without `Retry-After`.
    pub fn status(status: u16, code: &str) -> Self {
        Self::Status { status, code: code.to_owned(), retry_after_seconds: None }
    }
}

/// A rule by which requests to a customer's bucket fail.
#[derive(Debug, Clone)]
pub struct BucketFault {
    /// The operation that it meets; none for all.
    pub operation: Option<BucketOperation>,
    /// The protocol that it meets; none for both.
    pub protocol: Option<Cloud>,
    /// Keys that it meets contain this.
    pub key_part: String,
    /// Number of matching requests that pass before it begins.
    pub skipped: u64,
    /// Number of requests that it affects.
    pub times: u64,
    /// What goes wrong.
    pub action: BucketAction,
}

impl BucketFault {
    /// Something that goes wrong with every request of the operation.
    pub fn new(operation: BucketOperation, action: BucketAction) -> Self {
        let key_part = String::new();
        Self { operation: Some(operation), protocol: None, key_part, skipped: 0, times: u64::MAX, action }
    }

    /// Something that goes wrong with every request.
    pub fn of_all(action: BucketAction) -> Self {
        Self { operation: None, ..Self::new(BucketOperation::Other, action) }
    }

    /// Only for keys that contain the text.
    pub fn on(self, key_part: &str) -> Self {
        Self { key_part: key_part.to_owned(), ..self }
    }

    /// Only after this number of matching requests.
    pub fn after(self, skipped: u64) -> Self {
        Self { skipped, ..self }
    }

    /// Only this number of times.
    pub fn times(self, times: u64) -> Self {
        Self { times, ..self }
    }

    fn matches(&self, operation: BucketOperation, protocol: Cloud, key: &str) -> bool {
        self.operation.is_none_or(|wanted| wanted == operation)
            && self.protocol.is_none_or(|wanted| wanted == protocol)
            && key.contains(&self.key_part)
    }
}

/// An injected fault, from which can be told how often it fired.
#[derive(Debug, Clone)]
pub struct InjectedBucketFault(Arc<Rule>);

impl InjectedBucketFault {
    /// How many requests it met so far.
    pub fn fired(&self) -> u64 {
        let matched = self.0.matched.load(Ordering::SeqCst);
        matched.saturating_sub(self.0.fault.skipped).min(self.0.fault.times)
    }
}

#[derive(Debug)]
struct Rule {
    fault: BucketFault,
    matched: AtomicU64,
}

/// The injected faults in the order of their injection.
#[derive(Debug, Default)]
pub(super) struct Rules(Mutex<Vec<Arc<Rule>>>);

impl Rules {
    pub(super) fn inject(&self, fault: BucketFault) -> InjectedBucketFault {
        let rule = Arc::new(Rule { fault, matched: AtomicU64::new(0) });
        self.rules().push(rule.clone());
        InjectedBucketFault(rule)
    }

    pub(super) fn clear(&self) {
        self.rules().clear();
    }

    /// What goes wrong with the call. Every matching rule counts it, and every rule whose turn it is acts.
    pub(super) fn meet(&self, operation: BucketOperation, call: &Call) -> Vec<BucketAction> {
        self.meet_key(operation, call.cloud, subject(call))
    }

    /// What goes wrong with one key of several.
    pub(super) fn meet_key(&self, operation: BucketOperation, protocol: Cloud, key: &str) -> Vec<BucketAction> {
        let rules = self.rules();
        let matching = rules.iter().filter(|rule| rule.fault.matches(operation, protocol, key));
        let due = matching.filter(|rule| {
            let before = rule.matched.fetch_add(1, Ordering::SeqCst);
            before.checked_sub(rule.fault.skipped).is_some_and(|turn| turn < rule.fault.times)
        });
        due.map(|rule| rule.fault.action.clone()).collect()
    }

    fn rules(&self) -> MutexGuard<'_, Vec<Arc<Rule>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where requests wait for the test: a race is staged by it and not by pauses.
#[derive(Debug, Clone)]
pub struct Gate(Arc<GateState>);

#[derive(Debug)]
struct GateState {
    arrived: Semaphore,
    open: watch::Sender<bool>,
}

impl Default for Gate {
    fn default() -> Self {
        Self::new()
    }
}

impl Gate {
    /// A closed gate.
    pub fn new() -> Self {
        Self(Arc::new(GateState { arrived: Semaphore::new(0), open: watch::Sender::new(false) }))
    }

    /// Waits until a request waits at the gate; each call is for one request more.
    pub async fn arrived(&self) {
        // The semaphore is never closed.
        if let Ok(permit) = self.0.arrived.acquire().await {
            permit.forget();
        }
    }

    /// Lets all waiting and all later requests pass.
    pub fn open(&self) {
        self.0.open.send_replace(true);
    }

    pub(super) async fn pass(&self) {
        self.0.arrived.add_permits(1);
        // The sender lives as long as this gate.
        let _ = self.0.open.subscribe().wait_for(|is_open| *is_open).await;
    }
}
