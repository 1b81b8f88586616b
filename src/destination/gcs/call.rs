//! One try of one request: what it is for, and what its answer told.

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::tried::Failure;
use crate::export::{Base64, printable};

tokio::task_local! {
    /// The call of the port that the current task is in. object_store hands extensions through for
    /// some requests only, and never an answer's status or headers; it runs a request in the task
    /// that asks for it, so both sides meet here.
    static CURRENT: Arc<Call>;
}

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    /// Lists objects.
    List,
    /// Reads an object.
    Get,
    /// Asks what an object says about itself.
    Head,
    /// Stores an object.
    Put,
    /// Copies an object.
    Copy,
    /// Deletes an object.
    Delete,
    /// Begins a multipart upload.
    Begin,
    /// Uploads a part.
    Part,
    /// Makes an object of parts.
    Complete,
    /// Gives an upload up.
    Abort,
    /// Lists unfinished uploads.
    Uploads,
    /// Asks for the bucket's lifecycle rules.
    Lifecycle,
    /// Asks for the bucket's policies.
    Policies,
}

impl Operation {
    /// The name in messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::List => "LIST",
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Put => "PUT",
            Self::Copy => "COPY to",
            Self::Delete => "DELETE",
            Self::Begin => "begin upload of",
            Self::Part => "upload part of",
            Self::Complete => "complete upload of",
            Self::Abort => "abort upload of",
            Self::Uploads => "list uploads of",
            Self::Lifecycle => "read lifecycle of",
            Self::Policies => "read policies of",
        }
    }

    /// The permissions that it needs, by Google's names.
    pub fn permissions(self) -> &'static str {
        match self {
            Self::List => "storage.objects.list",
            Self::Get | Self::Head => "storage.objects.get",
            Self::Put => "storage.objects.create, and storage.objects.delete to replace an object",
            Self::Copy => "storage.objects.get and storage.objects.create",
            Self::Delete => "storage.objects.delete",
            Self::Begin | Self::Part => "storage.multipartUploads.create and storage.objects.create",
            Self::Complete => {
                "storage.multipartUploads.create and storage.objects.create, and storage.objects.delete to replace an object"
            }
            Self::Abort => "storage.multipartUploads.abort",
            Self::Uploads => "storage.multipartUploads.list",
            Self::Lifecycle | Self::Policies => "storage.buckets.get",
        }
    }

    /// Whether the answer's body is handed on while it arrives; others are short.
    pub fn is_streamed(self) -> bool {
        self == Self::Get
    }

    /// Whether the server works on it for minutes before it answers (Google says so of completion).
    pub fn is_slow(self) -> bool {
        matches!(self, Self::Complete | Self::Copy)
    }

    /// Whether it sends an object's bytes.
    pub fn sends_bytes(self) -> bool {
        matches!(self, Self::Put | Self::Part)
    }

    /// Whether a 404 means that the upload is gone.
    pub fn needs_upload(self) -> bool {
        matches!(self, Self::Part | Self::Complete | Self::Abort)
    }
}

/// One try of one call: what it adds to its request, and what was learned from the answer.
pub(super) struct Call {
    /// What it is for.
    pub operation: Operation,
    /// The bucket's or the object's address.
    pub address: String,
    /// The checksum of the bytes that are sent, for the bucket to verify.
    pub crc32c: Option<Base64<4>>,
    learned: Mutex<Learned>,
}

#[derive(Default)]
struct Learned {
    failure: Option<Failure>,
    crc32c: Option<Base64<4>>,
    token_generation: Option<u64>,
}

impl Call {
    /// A call about `address`.
    pub fn new(operation: Operation, address: &str, crc32c: Option<Base64<4>>) -> Self {
        Self { operation, address: address.to_owned(), crc32c, learned: Mutex::default() }
    }

    /// The call that the current task is in.
    pub fn current() -> Option<Arc<Self>> {
        CURRENT.try_with(Arc::clone).ok()
    }

    /// Runs a future in this call.
    pub async fn run<F: Future>(self: &Arc<Self>, future: F) -> F::Output {
        CURRENT.scope(self.clone(), future).await
    }

    /// `PUT gs://bucket/key`.
    pub fn what(&self) -> String {
        format!("{} {}", self.operation.name(), printable(&self.address))
    }

    fn learned(&self) -> MutexGuard<'_, Learned> {
        self.learned.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes why the call fails.
    pub fn note_failure(&self, failure: Failure) {
        self.learned().failure = Some(failure);
    }

    /// Notes the bucket's checksum of the object or part.
    pub fn note_crc32c(&self, crc32c: Option<Base64<4>>) {
        self.learned().crc32c = crc32c;
    }

    /// Notes which token is used.
    pub fn note_token_generation(&self, generation: u64) {
        self.learned().token_generation = Some(generation);
    }

    /// Why the call failed, where that was noted.
    pub fn take_failure(&self) -> Option<Failure> {
        self.learned().failure.take()
    }

    /// The bucket's checksum of the object or part, where it told one.
    pub fn received_crc32c(&self) -> Option<Base64<4>> {
        self.learned().crc32c
    }

    /// Which token was used, if any.
    pub fn token_generation(&self) -> Option<u64> {
        self.learned().token_generation
    }
}
