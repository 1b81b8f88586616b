//! What the bucket was asked.

use super::super::account::Cloud;
use super::super::observation::LOG_REQUESTS_MAX;
use super::operation::BucketOperation;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// One request to a customer's bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BucketRequest {
    /// From 1 on, in the order of arrival.
    pub number: u64,
    /// Whose protocol it spoke.
    pub protocol: Cloud,
    /// What it was for.
    pub operation: BucketOperation,
    /// The key, or the prefix where it lists.
    pub key: String,
    /// The bytes of its body.
    pub sent_bytes: u64,
    /// Who asked: the access key's id at S3, the access token at Google; none for nobody.
    pub credential: Option<String>,
    /// The session token sent along, at S3.
    pub session_token: Option<String>,
    /// The HTTP status answered; none where the connection ended without an answer.
    pub status: Option<u16>,
}

/// What a customer's bucket was asked so far.
#[derive(Debug, Clone, Default)]
pub struct BucketRequests {
    /// The last [`LOG_REQUESTS_MAX`] requests in the order in which they were answered.
    pub log: VecDeque<BucketRequest>,
    by_status: BTreeMap<(BucketOperation, Option<u16>), u64>,
}

impl BucketRequests {
    /// The number of requests for the operation.
    pub fn count(&self, operation: BucketOperation) -> u64 {
        let counts = self.by_status.iter().filter(|((counted, _), _)| *counted == operation);
        counts.map(|(_, count)| count).sum()
    }

    /// The number of requests for the operation that were answered by the status.
    pub fn answered(&self, operation: BucketOperation, status: u16) -> u64 {
        self.by_status.get(&(operation, Some(status))).copied().unwrap_or(0)
    }

    /// The number of requests that were left without an answer.
    pub fn unanswered(&self, operation: BucketOperation) -> u64 {
        self.by_status.get(&(operation, None)).copied().unwrap_or(0)
    }

    /// The number of all requests.
    pub fn total(&self) -> u64 {
        self.by_status.values().sum()
    }
}

/// Keeps the counts and the log.
#[derive(Debug, Default)]
pub(super) struct Journal(Mutex<BucketRequests>);

impl Journal {
    pub(super) fn record(&self, request: BucketRequest) {
        let mut requests = self.requests_mut();
        *requests.by_status.entry((request.operation, request.status)).or_default() += 1;
        if requests.log.len() == LOG_REQUESTS_MAX {
            requests.log.pop_front();
        }
        requests.log.push_back(request);
    }

    pub(super) fn requests(&self) -> BucketRequests {
        self.requests_mut().clone()
    }

    pub(super) fn forget(&self) {
        *self.requests_mut() = BucketRequests::default();
    }

    fn requests_mut(&self) -> MutexGuard<'_, BucketRequests> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
