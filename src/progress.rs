//! What a run tells the outside: a closed set of events, and counters that are read on a tick.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::error::Error;
use crate::export::{Days, Partition, Strays, TypeName};
use crate::finding::{FindingKind, VerifiedState};
use crate::plan::Action;

/// Something that happened in a run.
#[derive(Debug)]
pub enum Event<'a> {
    /// The source is known and the run begins.
    RunStarted {
        /// The account.
        account_id: &'a str,
        /// Where the export lies, cloud by cloud: `s3://bucket/v1/account_id=ID/`.
        sources: &'a [String],
        /// How long the credentials live, where that is known.
        credentials_remaining: Option<Duration>,
    },
    /// Which partitions the run looks at is known.
    PartitionsSelected {
        /// Their number.
        partitions: u64,
        /// The days between which they lie.
        days: Option<Days>,
        /// What stands among the days of the selected types and is none.
        strays: &'a Strays,
        /// Selected types that are published and that the source does not list.
        vanished_types: &'a [TypeName],
    },
    /// It is decided what happens to a partition.
    PartitionPlanned {
        /// The partition.
        partition: &'a Partition,
        /// What happens to it.
        action: Action,
        /// Why, in words.
        reason: &'a str,
        /// The objects of the new set, and their bytes.
        objects: u64,
        /// The bytes of the new set.
        bytes: u64,
        /// The objects that need no transfer, and their bytes.
        objects_here: u64,
        /// The bytes that need no transfer.
        bytes_here: u64,
    },
    /// An object is transferred and verified.
    ObjectTransferred {
        /// Its partition.
        partition: &'a Partition,
        /// Its key below the partition.
        key: &'a str,
        /// Its size.
        size_bytes: u64,
        /// Its SHA-256 in hexadecimal.
        sha256: String,
        /// What it was compared with.
        verified_against: &'a str,
    },
    /// An object could not be transferred; the others go on.
    ObjectFailed {
        /// Its partition.
        partition: &'a Partition,
        /// Its key below the partition.
        key: &'a str,
        /// Why.
        error: &'a Error,
    },
    /// A request failed and is repeated after a pause.
    Retrying {
        /// Why.
        error: &'a Error,
        /// The pause.
        pause: Duration,
    },
    /// Fresh credentials are in use.
    CredentialsRenewed {
        /// How long they live, where that is known.
        remaining: Option<Duration>,
    },
    /// The credentials cannot be renewed for now; another attempt follows.
    CredentialsWaiting {
        /// Why.
        error: &'a Error,
        /// The pause before the next attempt.
        pause: Duration,
    },
    /// A partition is visible at the destination, whole and verified.
    PartitionPublished {
        /// The partition.
        partition: &'a Partition,
        /// Its objects.
        objects: u64,
        /// Their bytes.
        bytes: u64,
        /// Their rows, where all are Parquet.
        rows: Option<u64>,
        /// Whether readers may take the day as complete.
        is_complete: bool,
    },
    /// A partition was not published.
    PartitionFailed {
        /// The partition.
        partition: &'a Partition,
        /// Why.
        error: &'a Error,
    },
    /// A verification found something that differs from the manifest.
    Difference {
        /// Its partition.
        partition: &'a Partition,
        /// What kind of difference.
        kind: FindingKind,
        /// The object's key, or the path of what is no object's; `None` where it is the whole day.
        key: Option<&'a str>,
        /// In words.
        detail: &'a str,
    },
    /// A verification is done with a partition.
    PartitionVerified {
        /// The partition.
        partition: &'a Partition,
        /// What became of it.
        state: VerifiedState,
        /// The objects of its manifest that were looked at.
        objects: u64,
        /// Their bytes.
        bytes: u64,
        /// How many differences there are.
        differences: u64,
    },
    /// A repair is done with a partition.
    PartitionRepaired {
        /// The partition.
        partition: &'a Partition,
        /// Whether it is as its manifest says now.
        is_repaired: bool,
        /// What was done, or why not.
        reason: &'a str,
    },
    /// Something that a person must know, however little else is shown: it may concern the data.
    Warning {
        /// In words.
        message: &'a str,
    },
    /// Something that a person may like to know.
    Notice {
        /// In words.
        message: &'a str,
    },
}

/// Receives events. Called from many tasks; must return at once. A closure is an observer too.
///
/// ```
/// use e3sync::progress::{Event, Observer};
///
/// let observer = |event: &Event<'_>| {
///     if let Event::PartitionPublished { partition, objects, .. } = event {
///         println!("{partition}: {objects} objects");
///     }
/// };
/// observer.observe(&Event::Notice { message: "not printed by this one" });
/// ```
pub trait Observer: Send + Sync {
    /// Notes an event.
    fn observe(&self, event: &Event<'_>);
}

impl<F: Fn(&Event<'_>) + Send + Sync> Observer for F {
    fn observe(&self, event: &Event<'_>) {
        self(event);
    }
}

/// An observer that ignores everything.
#[derive(Debug, Default)]
pub struct Silent;

impl Observer for Silent {
    fn observe(&self, _event: &Event<'_>) {}
}

/// Numbers that grow during a run. Read them whenever they are wanted.
#[derive(Debug, Default)]
pub struct Counters {
    /// Partitions whose listing is known.
    pub partitions_planned: Counter,
    /// Objects of the partitions being brought up to date.
    pub objects_planned: Counter,
    /// Their bytes.
    pub bytes_planned: Counter,
    /// Objects that are at the destination, transferred or already there.
    pub objects_done: Counter,
    /// Their bytes, and those of unfinished objects so far.
    pub bytes_done: Counter,
    /// Bytes that came over the network.
    pub bytes_received: Counter,
    /// Objects in flight.
    pub in_flight: Counter,
    /// The number of objects that may be in flight.
    pub concurrency: Counter,
    /// Repeated requests.
    pub retries: Counter,
    /// Answers that asked for fewer requests.
    pub throttles: Counter,
    /// Credentials obtained after the first.
    pub renewals: Counter,
    /// Requests to the Authentication API.
    pub exchange_requests: Counter,
    /// Listing requests.
    pub list_requests: Counter,
    /// Requests for objects.
    pub get_requests: Counter,
    /// Requests that bring objects, or parts of them, to a destination bucket; repetitions not counted.
    pub put_requests: Counter,
    /// All requests to a destination bucket.
    pub destination_requests: Counter,
}

/// One number of [`Counters`].
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds to the number.
    pub fn add(&self, amount: u64) {
        self.0.fetch_add(amount, Ordering::Relaxed);
    }

    /// Takes from the number.
    pub fn subtract(&self, amount: u64) {
        self.0.fetch_sub(amount, Ordering::Relaxed);
    }

    /// Puts one part of the number in the place of another.
    pub fn replace(&self, before: u64, now: u64) {
        self.add(now);
        self.subtract(before);
    }

    /// Sets the number.
    pub fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// The number now.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
