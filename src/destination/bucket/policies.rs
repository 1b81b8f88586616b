//! How a bucket keeps what was to be replaced or deleted in it, and what that means for runs.

use std::time::Duration;

use crate::error::{Error, ErrorKind};

/// What to do about a bucket that does not let its objects be replaced or deleted.
pub const RETENTION_HINT: &str = "runs replace and delete objects: take a bucket without retention policy and holds, and guard what is in it by soft delete or by versions";

/// What is known of a bucket's policies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Policies {
    /// Buckets of this kind are not asked for them.
    Unasked,
    /// They may not be seen with these credentials, which lack this right.
    Hidden(&'static str),
    /// As the bucket tells them.
    Told(Keeping),
}

/// How a bucket keeps what was to be replaced or deleted in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keeping {
    /// Time after its writing during which no object can be replaced or deleted.
    pub retention: Option<Duration>,
    /// Whether that time can never be made shorter.
    pub is_retention_locked: bool,
    /// Whether new objects are held: they can be neither replaced nor deleted until somebody ends that.
    pub holds_new_objects: bool,
    /// Time during which what is replaced or deleted can be restored, and is paid for.
    pub soft_delete: Option<Duration>,
    /// Whether what is replaced or deleted stays as an old version.
    pub keeps_versions: bool,
    /// How new objects are encrypted.
    pub encryption: Encryption,
}

/// How a bucket encrypts new objects of which a request says nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Encryption {
    /// The server does not know the question.
    #[default]
    Unasked,
    /// It may not be seen with these credentials, which lack this right.
    Hidden(&'static str),
    /// The bucket names none.
    None,
    /// In this way, by the cloud's own name, with the key where it is the user's.
    By(String),
}

impl Policies {
    /// Why no run can use the bucket: it replaces and deletes objects. Old versions let both pass.
    pub(in crate::destination) fn keeps_runs_out(&self, address: &str) -> Option<Error> {
        let Self::Told(keeping) = self else { return None };
        let what = match keeping.retention {
            _ if keeping.keeps_versions => return None,
            Some(time) => format!("{} after its writing by its retention policy", in_words(time)),
            None if keeping.holds_new_objects => "for as long as it is held, as each new object is".to_owned(),
            None => return None,
        };
        let what = format!("{address} keeps each object as it is {what}");
        Some(Error::new(ErrorKind::DestinationUnusable, what).with_hint(RETENTION_HINT))
    }
}

/// A time as policies have them, in days where they are whole.
pub(in crate::destination) fn in_words(time: Duration) -> String {
    const DAY_SECONDS: u64 = 24 * 60 * 60;
    match time.as_secs() {
        DAY_SECONDS => "1 day".to_owned(),
        seconds if seconds > 0 && seconds.is_multiple_of(DAY_SECONDS) => format!("{} days", seconds / DAY_SECONDS),
        seconds => format!("{seconds} s"),
    }
}
