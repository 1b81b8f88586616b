//! The one error type of the crate.
//!
//! An [`Error`] says what failed (the object or request), what kind of failure it is, and what a
//! person can do about it. The kind alone decides the [`Retry`] and the [`ExitCode`], in two
//! exhaustive matches, so no caller ever inspects a message.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// The result of every fallible function of the crate.
pub type Result<T> = std::result::Result<T, Error>;

type Cause = Arc<dyn std::error::Error + Send + Sync>;

/// What kind of failure an [`Error`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Arguments or settings that cannot be used.
    Usage,
    /// The Authentication API refused the token: 401, or 403 in its own documented form (domain.md
    /// section 1).
    TokenRefused,
    /// The Authentication API cannot be reached or answers nonsense; it may come back.
    ExchangeUnavailable,
    /// The Authentication API's answer has fields of other types or values than documented.
    ExchangeMalformed,
    /// The temporary credentials were refused as expired or invalid (domain.md section 2).
    CredentialsRefused,
    /// The source or the destination forbids the request for good.
    AccessDenied,
    /// A listed object cannot be read as it is: archived, or its encryption key gives no access.
    Unreadable,
    /// The server asks for fewer requests: 429, 503, `SlowDown`.
    Throttled,
    /// A server error, a cut or stalled connection, or no connection at all.
    Unavailable,
    /// The proxy takes no connection. At the start of a run its address is taken for a wrong one.
    ProxyUnavailable,
    /// No connection, for a reason that no retry heals: a certificate that is not trusted, a proxy that
    /// refuses.
    NetworkRefused,
    /// The object is no longer the one that was listed: replaced, deleted, or of another size.
    SourceChanged,
    /// The bytes differ from a checksum that the source offers.
    ChecksumMismatch,
    /// An answer that does not prove to be the listing that was asked for.
    ListingUntrusted,
    /// A key that cannot be stored below the destination.
    KeyRefused,
    /// The server breaks its protocol in a way that a repetition will not mend.
    Protocol,
    /// The destination belongs to another account or to a newer version of the tool.
    DestinationForeign,
    /// A partition's place at the destination holds data that this tool did not publish.
    DataForeign,
    /// The destination has no room, or no more files may be open.
    DestinationFull,
    /// The destination as a whole cannot be read or written.
    DestinationUnusable,
    /// One partition's part of the destination cannot be read or written.
    PartitionUnusable,
    /// A place at the destination cannot be used or replaced: a link or a file stands where a folder must
    /// be, or the folder is another mount or in an overlay's lower layer.
    PlaceTaken,
    /// An unfinished multipart upload is gone from the destination bucket, aborted by somebody else.
    UploadLost,
    /// A manifest is torn or altered.
    ManifestDamaged,
    /// A published day has lost its manifest, and the source no longer has what stands there.
    ManifestMissing,
    /// A manifest was written by a newer version of the tool.
    ManifestNewer,
    /// A published object is damaged or missing here, and the source no longer has it.
    Unrecoverable,
    /// Another run holds the partition.
    Held,
    /// Another run took this run's place because its lease had expired.
    LeaseLost,
    /// The source has not declared the day complete.
    NotReady,
    /// A rewritten day is so much smaller than the published one that it is held back.
    Shrunk,
    /// The run reached its time limit.
    DeadlineReached,
    /// SIGINT stopped the run.
    Interrupted,
    /// SIGTERM or SIGHUP stopped the run.
    Terminated,
    /// A defect of this tool.
    Internal,
}

/// What the engine does after a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// The same request fails again: give up at once.
    Never,
    /// Wait with jitter, then repeat the request.
    BackOff,
    /// Renew the credentials once for all who wait, then repeat; costs no retry.
    Renew,
    /// Fetch the object again on another connection, a few times.
    Refetch,
    /// Take the partition's listing again and bring the plan up to date.
    Relist,
}

/// Whom a failure concerns: what else still goes on after it (design.md promise 11).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Concern {
    /// One object, or one request; the other objects of its partition go on.
    Object,
    /// One partition; the other partitions go on.
    Partition,
    /// Every partition: the token, the account, the destination as a whole, a full disk, a stop.
    Run,
}

/// The documented exit codes of the command (cli.md).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum ExitCode {
    /// Everything selected is published, or there was nothing to do.
    Success = 0,
    /// Failed, and will fail again.
    Failure = 1,
    /// Wrong usage or configuration.
    Usage = 2,
    /// Some objects failed or days stay incomplete; run again.
    Partial = 3,
    /// Authentication or authorisation was refused.
    Refused = 4,
    /// Verification found a difference.
    Difference = 5,
    /// The source is not ready.
    NotReady = 6,
    /// Another run holds the destination.
    Held = 7,
    /// Only for `plan --exit-code`: there are changes.
    Changes = 10,
    /// Temporary: run again later.
    Temporary = 75,
    /// Stopped by SIGINT.
    Interrupted = 130,
    /// Stopped by SIGTERM or SIGHUP.
    Terminated = 143,
}

impl ErrorKind {
    /// What the engine does after a failure of this kind.
    pub fn retry(self) -> Retry {
        match self {
            Self::ExchangeUnavailable
            | Self::Throttled
            | Self::Unavailable
            | Self::ProxyUnavailable
            | Self::ListingUntrusted => Retry::BackOff,
            Self::CredentialsRefused => Retry::Renew,
            Self::ChecksumMismatch | Self::UploadLost => Retry::Refetch,
            Self::SourceChanged => Retry::Relist,
            Self::Usage
            | Self::TokenRefused
            | Self::ExchangeMalformed
            | Self::AccessDenied
            | Self::NetworkRefused
            | Self::Unreadable
            | Self::KeyRefused
            | Self::Protocol
            | Self::DestinationForeign
            | Self::DataForeign
            | Self::DestinationFull
            | Self::DestinationUnusable
            | Self::PartitionUnusable
            | Self::PlaceTaken
            | Self::ManifestDamaged
            | Self::ManifestMissing
            | Self::ManifestNewer
            | Self::Unrecoverable
            | Self::Held
            | Self::LeaseLost
            | Self::NotReady
            | Self::Shrunk
            | Self::DeadlineReached
            | Self::Interrupted
            | Self::Terminated
            | Self::Internal => Retry::Never,
        }
    }

    /// The exit code of a command that ends with a failure of this kind.
    pub fn exit_code(self) -> ExitCode {
        match self {
            Self::Usage
            | Self::ProxyUnavailable
            | Self::NetworkRefused
            | Self::DestinationForeign
            | Self::ManifestNewer => ExitCode::Usage,
            Self::TokenRefused | Self::CredentialsRefused | Self::AccessDenied => ExitCode::Refused,
            Self::ExchangeUnavailable
            | Self::Throttled
            | Self::Unavailable
            | Self::LeaseLost
            | Self::DeadlineReached => ExitCode::Temporary,
            Self::SourceChanged | Self::KeyRefused | Self::DataForeign | Self::UploadLost | Self::Shrunk => {
                ExitCode::Partial
            }
            Self::ChecksumMismatch | Self::ManifestDamaged | Self::ManifestMissing | Self::Unrecoverable => {
                ExitCode::Difference
            }
            Self::NotReady => ExitCode::NotReady,
            Self::Held => ExitCode::Held,
            Self::Interrupted => ExitCode::Interrupted,
            Self::Terminated => ExitCode::Terminated,
            Self::ListingUntrusted
            | Self::ExchangeMalformed
            | Self::Unreadable
            | Self::Protocol
            | Self::DestinationFull
            | Self::DestinationUnusable
            | Self::PartitionUnusable
            | Self::PlaceTaken
            | Self::Internal => ExitCode::Failure,
        }
    }

    /// Whom a failure of this kind concerns (design.md promise 11).
    pub fn concern(self) -> Concern {
        match self {
            Self::TokenRefused
            | Self::ExchangeUnavailable
            | Self::ExchangeMalformed
            | Self::CredentialsRefused
            | Self::DestinationForeign
            | Self::DestinationFull
            | Self::DestinationUnusable
            | Self::LeaseLost
            | Self::DeadlineReached
            | Self::Interrupted
            | Self::Terminated
            | Self::Usage
            | Self::NetworkRefused
            | Self::Internal => Concern::Run,
            Self::SourceChanged
            | Self::ListingUntrusted
            | Self::KeyRefused
            | Self::DataForeign
            | Self::PartitionUnusable
            | Self::PlaceTaken
            | Self::ManifestDamaged
            | Self::ManifestMissing
            | Self::ManifestNewer
            | Self::Unrecoverable
            | Self::Held
            | Self::NotReady
            | Self::Shrunk => Concern::Partition,
            Self::AccessDenied
            | Self::Unreadable
            | Self::Throttled
            | Self::Unavailable
            | Self::ProxyUnavailable
            | Self::ChecksumMismatch
            | Self::Protocol
            | Self::UploadLost => Concern::Object,
        }
    }

    /// Whether a failure of this kind concerns the whole run, so that nothing new is begun.
    pub fn stops_the_run(self) -> bool {
        self.concern() == Concern::Run
    }

    /// The kind's name in JSON output: lower case, words joined by underscores.
    pub fn name(self) -> &'static str {
        match self {
            Self::Usage => "usage",
            Self::TokenRefused => "token_refused",
            Self::ExchangeUnavailable => "exchange_unavailable",
            Self::ExchangeMalformed => "exchange_malformed",
            Self::CredentialsRefused => "credentials_refused",
            Self::AccessDenied => "access_denied",
            Self::Unreadable => "unreadable",
            Self::Throttled => "throttled",
            Self::Unavailable => "unavailable",
            Self::ProxyUnavailable => "proxy_unavailable",
            Self::NetworkRefused => "network_refused",
            Self::SourceChanged => "source_changed",
            Self::ChecksumMismatch => "checksum_mismatch",
            Self::ListingUntrusted => "listing_untrusted",
            Self::KeyRefused => "key_refused",
            Self::Protocol => "protocol",
            Self::DestinationForeign => "destination_foreign",
            Self::DataForeign => "data_foreign",
            Self::DestinationFull => "destination_full",
            Self::DestinationUnusable => "destination_unusable",
            Self::PartitionUnusable => "partition_unusable",
            Self::PlaceTaken => "place_taken",
            Self::UploadLost => "upload_lost",
            Self::ManifestDamaged => "manifest_damaged",
            Self::ManifestMissing => "manifest_missing",
            Self::ManifestNewer => "manifest_newer",
            Self::Unrecoverable => "unrecoverable",
            Self::Held => "held",
            Self::LeaseLost => "lease_lost",
            Self::NotReady => "not_ready",
            Self::Shrunk => "shrunk",
            Self::DeadlineReached => "deadline_reached",
            Self::Interrupted => "interrupted",
            Self::Terminated => "terminated",
            Self::Internal => "internal",
        }
    }
}

/// A failure: its kind, what it happened to, what to do, and what caused it.
///
/// Displayed as one lower-case fragment without the hint; the hint stands apart ([`Error::hint`]).
/// No constructor takes a secret, and causes come from libraries that print none.
///
/// ```
/// use e3sync::error::{ErrorKind, Retry};
/// use e3sync::export::TypeName;
///
/// let error = TypeName::parse("../decisions").unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::Usage);
/// assert_eq!(error.retry(), Retry::Never);
/// eprintln!("{error}; {}", error.hint().unwrap_or_default());
/// ```
#[derive(Clone)]
pub struct Error(Box<Inner>);

#[derive(Clone)]
struct Inner {
    kind: ErrorKind,
    what: String,
    hint: Option<Cow<'static, str>>,
    retry_after: Option<Duration>,
    cause: Option<Cause>,
}

impl Error {
    /// A failure of `kind`; `what` names the object and the request in a lower-case fragment.
    pub fn new(kind: ErrorKind, what: impl Into<String>) -> Self {
        Self(Box::new(Inner { kind, what: what.into(), hint: None, retry_after: None, cause: None }))
    }

    /// The same failure with advice on what to do next.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<Cow<'static, str>>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// The same failure with the error that caused it.
    #[must_use]
    pub fn with_cause(mut self, cause: impl std::error::Error + Send + Sync + 'static) -> Self {
        self.0.cause = Some(Arc::new(cause));
        self
    }

    /// The same failure with the pause that the server asked for (`Retry-After`).
    #[must_use]
    pub fn with_retry_after(mut self, retry_after: Option<Duration>) -> Self {
        self.0.retry_after = retry_after;
        self
    }

    /// The same failure as another kind of outage, with advice where it has none; what is no outage stays as
    /// it is.
    #[must_use]
    pub fn as_outage(self, kind: ErrorKind, hint: impl Into<Cow<'static, str>>) -> Self {
        match (self.0.kind, &self.0.hint) {
            (ErrorKind::Unavailable, None) => self.with_kind(kind).with_hint(hint),
            (ErrorKind::Unavailable, Some(_)) => self.with_kind(kind),
            _ => self,
        }
    }

    /// The same failure seen from outside: `context: what`.
    #[must_use]
    pub fn within(mut self, context: impl fmt::Display) -> Self {
        self.0.what = format!("{context}: {}", self.0.what);
        self
    }

    /// The same failure as another kind, where the caller knows better what it means.
    #[must_use]
    pub fn with_kind(mut self, kind: ErrorKind) -> Self {
        self.0.kind = kind;
        self
    }

    /// What kind of failure it is.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// What a person can do about it, if anything is known.
    pub fn hint(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// How long the server asked to wait before the next request.
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// What the engine does after this failure.
    pub fn retry(&self) -> Retry {
        self.0.kind.retry()
    }

    /// The exit code of a command that ends with this failure.
    pub fn exit_code(&self) -> ExitCode {
        self.0.kind.exit_code()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0.what)?;
        let mut cause = self.0.cause.as_deref().map(|cause| cause as &dyn std::error::Error);
        let mut last = String::new();
        while let Some(error) = cause {
            let text = error.to_string();
            // Libraries often repeat their cause inside their own message.
            if !last.contains(&text) {
                write!(formatter, ": {text}")?;
                last = text;
            }
            cause = error.source();
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {self}", self.0.kind.name())
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_that_repeats_its_own_cause_is_printed_once() {
        let cause = std::io::Error::other("disk on fire");
        let error = Error::new(ErrorKind::DestinationUnusable, "cannot write a").with_cause(cause);
        assert_eq!(error.to_string(), "cannot write a: disk on fire");
    }

    #[test]
    fn retryable_kinds_end_as_temporary_or_are_named_otherwise() {
        assert_eq!(ErrorKind::Throttled.retry(), Retry::BackOff);
        assert_eq!(ErrorKind::Throttled.exit_code(), ExitCode::Temporary);
        assert_eq!(ErrorKind::TokenRefused.retry(), Retry::Never);
        assert_eq!(ErrorKind::TokenRefused.exit_code(), ExitCode::Refused);
    }
}
