//! What the server saw, for tests to compare with what should have happened.

use super::account::Cloud;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Number of requests that the log keeps, the last ones.
pub const LOG_REQUESTS_MAX: usize = 10_000;

/// What a request is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Operation {
    /// Credentials from the Authentication API.
    Exchange,
    /// A token of the OAuth server, or its authorization page.
    OAuth,
    /// A listing.
    List,
    /// The bytes of an object.
    Get,
    /// The head of an object, or its metadata alone.
    Head,
    /// Anything else; all of it is refused.
    Other,
}

/// Numbers of requests since the start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Requests {
    /// By what they were for.
    pub by_operation: BTreeMap<Operation, u64>,
    /// By what they were for and the HTTP status answered.
    pub by_status: BTreeMap<(Operation, u16), u64>,
    /// By the cloud whose side was asked, what they were for and the HTTP status answered.
    pub by_cloud: BTreeMap<(Cloud, Operation, u16), u64>,
    /// Body bytes sent.
    pub sent_bytes: u64,
    /// Credentials issued.
    pub credentials_issued: u64,
}

impl Requests {
    /// The number of requests of the operation.
    pub fn of(&self, operation: Operation) -> u64 {
        self.by_operation.get(&operation).copied().unwrap_or(0)
    }

    /// The number of requests of the operation that were answered with the status.
    pub fn answered(&self, operation: Operation, status: u16) -> u64 {
        self.by_status.get(&(operation, status)).copied().unwrap_or(0)
    }

    /// The number of requests of the operation to one cloud; an exchange belongs to the cloud that it is for.
    pub fn of_cloud(&self, cloud: Cloud, operation: Operation) -> u64 {
        let of = |key: &(Cloud, Operation, u16)| key.0 == cloud && key.1 == operation;
        self.by_cloud.iter().filter(|(key, _)| of(key)).map(|(_, number)| number).sum()
    }

    /// The number of requests of the operation to one cloud that were answered with the status.
    pub fn answered_on(&self, cloud: Cloud, operation: Operation, status: u16) -> u64 {
        self.by_cloud.get(&(cloud, operation, status)).copied().unwrap_or(0)
    }

    /// The number of all requests.
    pub fn total(&self) -> u64 {
        self.by_operation.values().sum()
    }
}

/// One request. Neither token nor signature is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Logged {
    /// Its number, from 1 on, in the order of arrival.
    pub number: u64,
    /// The cloud whose side of the account was asked; that of an exchange is the one it gives credentials for.
    pub cloud: Cloud,
    /// What it was for.
    pub operation: Operation,
    /// The key of an object, or the prefix of a listing; otherwise the path.
    pub subject: String,
    /// The `Range` header as sent.
    pub range: Option<String>,
    /// The project to be billed, as Google's clients name it.
    pub user_project: Option<String>,
    /// The access key of a request to S3, by its public id.
    pub access_key_id: Option<String>,
    /// The HTTP status answered.
    pub status: u16,
    /// The faults that fired, in their compact text form.
    pub faults: Vec<String>,
}

/// Keeps the counts and the log.
#[derive(Debug, Default)]
pub(crate) struct Observation(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    requests: Requests,
    gets: HashMap<(Cloud, String), u64>,
    log: VecDeque<Logged>,
}

impl Observation {
    pub(crate) fn record(&self, logged: Logged) {
        let mut state = self.state();
        *state.requests.by_operation.entry(logged.operation).or_default() += 1;
        *state.requests.by_status.entry((logged.operation, logged.status)).or_default() += 1;
        *state.requests.by_cloud.entry((logged.cloud, logged.operation, logged.status)).or_default() += 1;
        if logged.operation == Operation::Get {
            *state.gets.entry((logged.cloud, logged.subject.clone())).or_default() += 1;
        }
        if state.log.len() == LOG_REQUESTS_MAX {
            state.log.pop_front();
        }
        state.log.push_back(logged);
    }

    /// The counts of requests; the other numbers are for the caller to fill in.
    pub(crate) fn requests(&self) -> Requests {
        self.state().requests.clone()
    }

    pub(crate) fn gets(&self, cloud: Cloud, key: &str) -> u64 {
        self.state().gets.get(&(cloud, key.to_owned())).copied().unwrap_or(0)
    }

    pub(crate) fn log(&self) -> Vec<Logged> {
        self.state().log.iter().cloned().collect()
    }

    pub(crate) fn reset(&self) {
        *self.state() = State::default();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_is_bounded_and_the_counts_are_not() {
        let observation = Observation::default();
        for number in 0..LOG_REQUESTS_MAX as u64 + 5 {
            observation.record(Logged {
                number,
                cloud: Cloud::Gcs,
                operation: Operation::Get,
                subject: "key".to_owned(),
                range: None,
                user_project: None,
                access_key_id: None,
                status: 200,
                faults: Vec::new(),
            });
        }
        assert_eq!(observation.log().len(), LOG_REQUESTS_MAX);
        assert_eq!(observation.log()[0].number, 5);
        assert_eq!(observation.gets(Cloud::Gcs, "key"), LOG_REQUESTS_MAX as u64 + 5);
        assert_eq!(observation.gets(Cloud::S3, "key"), 0);
        let requests = observation.requests();
        assert_eq!(requests.answered(Operation::Get, 200), requests.total());
        assert_eq!(requests.of_cloud(Cloud::Gcs, Operation::Get), requests.total());
        assert_eq!(requests.answered_on(Cloud::S3, Operation::Get, 200), 0);
    }
}
