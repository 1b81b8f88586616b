//! Keeping two runs on one bucket apart (design.md promise 9). Each run has an object that it writes
//! again and again, its heartbeat; each partition that it works on has an object that names the run. A
//! run whose heartbeat is old has died, and its partitions are free. Ages are told by the bucket's own
//! clock, and every step is a conditional write, so that clocks of machines do not matter.

use std::collections::HashMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::task::JoinHandle;

use super::layout::Layout;
use super::requests::{NoLease, Permit, Requests};
use super::store::{Condition, Put, Version};
use crate::error::{Error, ErrorKind, Result};
use crate::export::{Partition, printable};

/// Maximum attempts to acquire a contended claim.
const CLAIM_ATTEMPTS_MAX: u32 = 5;

/// Maximum number of former runs that a claim names, the newest ones.
const FORMER_RUNS_MAX: usize = 100;

/// How long a run without a heartbeat still counts as alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseSettings {
    /// Time without a heartbeat after which a run counts as dead, in whole seconds.
    pub duration: Duration,
    /// The time between two heartbeats.
    pub interval: Duration,
}

impl LeaseSettings {
    /// A lease of this duration, with several heartbeats within it.
    pub fn of_duration(duration: Duration) -> Self {
        Self { duration, interval: duration / 4 }
    }
}

impl Default for LeaseSettings {
    fn default() -> Self {
        Self { duration: Duration::from_secs(30), interval: Duration::from_secs(7) }
    }
}

/// The content of a run's object.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct Heartbeat {
    pub holder: String,
    lease_seconds: u64,
    /// Makes every heartbeat another object.
    count: u64,
    /// Set by the run that found this one dead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ended_by: Option<String>,
}

impl Heartbeat {
    pub fn new(holder: &str, settings: LeaseSettings, count: u64, ended_by: Option<&str>) -> Self {
        Self {
            holder: holder.to_owned(),
            lease_seconds: settings.duration.as_secs(),
            count,
            ended_by: ended_by.map(str::to_owned),
        }
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// How long its run counts as alive after it.
    pub fn lease(&self) -> Duration {
        Duration::from_secs(self.lease_seconds)
    }

    /// Whether another run has ended its run already, and was killed before it could delete it.
    pub fn is_ended(&self) -> bool {
        self.ended_by.is_some()
    }
}

/// The content of a partition's claim.
#[derive(Serialize, Deserialize)]
pub(super) struct ClaimRecord {
    pub run: String,
    pub holder: String,
    /// The dead runs whose work the claim's run took over.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    former_runs: Vec<String>,
    /// Whether its run has left the partition to others; what it staged is still there.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    is_released: bool,
}

impl ClaimRecord {
    fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }
}

/// What is known about a partition once it is claimed.
#[derive(Clone, Debug, Default)]
pub(super) struct Inheritance {
    /// Whether an earlier claim was found, this run's own or a dead run's, whose work may lie about.
    pub is_inherited: bool,
    /// The dead runs that may have stored something in the partition.
    pub former_runs: Vec<u64>,
}

impl Inheritance {
    /// What a claim leaves that is taken over; `None` for one that cannot be read.
    fn of(found: Option<ClaimRecord>) -> Self {
        let runs = found.into_iter().flat_map(|found| found.former_runs.into_iter().chain([found.run]));
        let mut former_runs: Vec<u64> = runs.filter_map(|run| u64::from_str_radix(&run, 16).ok()).collect();
        former_runs.drain(..former_runs.len().saturating_sub(FORMER_RUNS_MAX));
        Self { is_inherited: true, former_runs }
    }
}

/// This run's lease on whatever it claims.
pub(super) struct Lease {
    pub(super) requests: Arc<Requests>,
    pub(super) layout: Layout,
    pub(super) run: u64,
    pub(super) holder: String,
    pub(super) settings: LeaseSettings,
    renewal: tokio::sync::Mutex<Renewal>,
    renewed_at: Mutex<Uptime>,
    /// The partitions that this run has claimed.
    claimed: Mutex<HashMap<Partition, OwnClaim>>,
    /// Why the lease has ended, once it has.
    lost: Mutex<Option<Error>>,
    renewing: Mutex<Option<JoinHandle<()>>>,
    /// Held while dead runs are ended.
    pub(super) ending: tokio::sync::Mutex<()>,
    /// Whether another run was seen whose lease had not expired.
    pub(super) has_seen_living: AtomicBool,
    /// Whether the run works together with others.
    pub(super) is_joined: bool,
    /// How old the other runs' heartbeats were when they were last looked at, and when that was.
    pub(super) others: Mutex<Option<(HashMap<String, Duration>, Uptime)>>,
}

/// A claim of this run.
#[derive(Clone)]
struct OwnClaim {
    /// The dead runs that had the partition before.
    former_runs: Vec<u64>,
    /// Which version of its object this run has written.
    version: Version,
}

struct Renewal {
    version: Version,
    count: u64,
}

impl Lease {
    /// Writes the first heartbeat, and others from then on.
    pub async fn begin(
        requests: Arc<Requests>,
        layout: Layout,
        run: u64,
        holder: String,
        settings: LeaseSettings,
        is_joined: bool,
    ) -> Result<Arc<Self>> {
        let first = Heartbeat::new(&holder, settings, 0, None).to_bytes();
        let Put::Stored(version) = requests.put_with(&NoLease, &layout.run(run), first, Condition::IfAbsent).await?
        else {
            return Err(Error::new(ErrorKind::Internal, "two runs have the same random number"));
        };
        let lease = Arc::new(Self {
            requests,
            layout,
            run,
            holder,
            settings,
            renewal: tokio::sync::Mutex::new(Renewal { version, count: 0 }),
            renewed_at: Mutex::new(Uptime::now()),
            claimed: Mutex::new(HashMap::new()),
            lost: Mutex::new(None),
            renewing: Mutex::new(None),
            ending: tokio::sync::Mutex::new(()),
            has_seen_living: AtomicBool::new(false),
            is_joined,
            others: Mutex::new(None),
        });
        let watched = Arc::downgrade(&lease);
        let renewing = tokio::spawn(async move {
            loop {
                tokio::time::sleep(settings.interval).await;
                let Some(lease) = watched.upgrade() else { return };
                // A failure is repeated at the next heartbeat; a loss is noted where writes look for it.
                let _ = lease.renew().await;
                if lease.loss().is_some() {
                    return;
                }
            }
        });
        *lock(&lease.renewing) = Some(renewing);
        lease.clear_dead_runs().await?;
        Ok(lease)
    }

    /// Writes a heartbeat.
    ///
    /// # Errors
    /// [`ErrorKind::LeaseLost`] when another run has found this one dead and gone on in its place.
    pub(super) async fn renew(&self) -> Result<Version> {
        let mut renewal = self.renewal.lock().await;
        let count = renewal.count + 1;
        let heartbeat = Heartbeat::new(&self.holder, self.settings, count, None).to_bytes();
        let begun_at = Uptime::now();
        let put = self
            .requests
            .put_with(&NoLease, &self.layout.run(self.run), heartbeat, Condition::IfMatch(&renewal.version))
            .await?;
        match put {
            Put::Stored(version) => {
                *renewal = Renewal { version: version.clone(), count };
                *lock(&self.renewed_at) = begun_at;
                Ok(version)
            }
            Put::Refused => {
                let error = Error::new(
                    ErrorKind::LeaseLost,
                    "another run has gone on in place of this one, which wrote no heartbeat for too long",
                )
                .with_hint("this machine or its network was away; nothing is lost, the other run ends the work");
                lock(&self.lost).get_or_insert(error.clone());
                Err(error)
            }
        }
    }

    /// As [`Permit::assure`], and a heartbeat was written within the usual interval.
    pub async fn assure_fresh(&self) -> Result<()> {
        self.assure_within(self.settings.interval * 3 / 2).await
    }

    async fn assure_within(&self, age_max: Duration) -> Result<()> {
        if let Some(error) = self.loss() {
            return Err(error);
        }
        let age = lock(&self.renewed_at).elapsed();
        if age < age_max { Ok(()) } else { self.renew().await.map(drop) }
    }

    pub(super) fn loss(&self) -> Option<Error> {
        lock(&self.lost).clone()
    }

    /// Claims a partition; says what an earlier claim leaves, if one was found.
    ///
    /// # Errors
    /// [`ErrorKind::Held`] with the holder's name while another run that lives has it.
    pub async fn claim(&self, partition: &Partition) -> Result<Inheritance> {
        self.assure().await?;
        if let Some(own) = lock(&self.claimed).get(partition).cloned() {
            return Ok(Inheritance { is_inherited: true, former_runs: own.former_runs });
        }
        let (inheritance, version) = self.write_claim(partition).await?;
        let own = OwnClaim { former_runs: inheritance.former_runs.clone(), version };
        lock(&self.claimed).insert(partition.clone(), own);
        Ok(inheritance)
    }

    /// Whether this run has claimed a partition.
    pub fn has(&self, partition: &Partition) -> bool {
        lock(&self.claimed).contains_key(partition)
    }

    /// Whether this run has claimed a partition that nobody had before it.
    pub fn has_afresh(&self, partition: &Partition) -> bool {
        lock(&self.claimed).get(partition).is_some_and(|own| own.former_runs.is_empty())
    }

    /// Gives a partition up, whose claim was deleted.
    pub fn release(&self, partition: &Partition) {
        lock(&self.claimed).remove(partition);
    }

    async fn write_claim(&self, partition: &Partition) -> Result<(Inheritance, Version)> {
        let key = self.layout.claim(partition);
        for _ in 0..CLAIM_ATTEMPTS_MAX {
            let first = self.claim_record(&[]).to_bytes();
            let (put, standing) = self.requests.put_or_read(self, &key, first, Condition::IfAbsent).await?;
            if let Put::Stored(version) = put {
                return Ok((Inheritance::default(), version));
            }
            let Some((bytes, version)) = standing else { continue };
            let found: Option<ClaimRecord> = serde_json::from_slice(&bytes).ok();
            if let Some(found) = found.as_ref().filter(|found| !found.is_released) {
                self.end_if_dead(found, partition).await?;
            }
            let inheritance = Inheritance::of(found);
            let record = self.claim_record(&inheritance.former_runs).to_bytes();
            let put = self.requests.put_with(self, &key, record, Condition::IfMatch(&version)).await?;
            if let Put::Stored(version) = put {
                return Ok((inheritance, version));
            }
        }
        Err(held(partition, "other runs that begin just now", self.settings.duration))
    }

    /// Leaves a partition to any other run, which takes over what this one staged of it.
    ///
    /// # Errors
    /// What the bucket answers; [`ErrorKind::LeaseLost`].
    pub async fn release_claim(&self, partition: &Partition) -> Result<()> {
        let Some(own) = lock(&self.claimed).remove(partition) else { return Ok(()) };
        let record = ClaimRecord { is_released: true, ..self.claim_record(&own.former_runs) };
        // Where an answer got lost, another run may have taken the partition before this is written once more.
        let condition = Condition::IfMatch(&own.version);
        self.requests.put_with(self, &self.layout.claim(partition), record.to_bytes(), condition).await.map(drop)
    }

    fn claim_record(&self, former_runs: &[u64]) -> ClaimRecord {
        let former_runs = former_runs.iter().copied().map(run_name).collect();
        ClaimRecord { run: run_name(self.run), holder: self.holder.clone(), former_runs, is_released: false }
    }

    /// Ends the lease: whatever it holds is free at once, and nothing more is written under it.
    pub async fn end(&self) -> Result<()> {
        if let Some(renewing) = lock(&self.renewing).take() {
            renewing.abort();
        }
        if self.loss().is_some() {
            return Ok(());
        }
        *lock(&self.lost) = Some(Error::new(ErrorKind::LeaseLost, "this run has given its lease back"));
        self.requests.delete_with(&NoLease, &[self.layout.run(self.run)]).await
    }
}

impl Permit for Lease {
    async fn assure(&self) -> Result<()> {
        // Well before its end: the bucket tells times in whole seconds, and requests take some.
        self.assure_within(self.settings.duration * 2 / 3).await
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(renewing) = lock(&self.renewing).take() {
            renewing.abort();
        }
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn run_name(run: u64) -> String {
    format!("{run:016x}")
}

pub(super) fn held(partition: &Partition, holder: &str, left: Duration) -> Error {
    Error::new(ErrorKind::Held, format!("{partition} is held by {}", printable(holder))).with_hint(format!(
        "wait for that run to end; should it have been killed, its lease ends by itself within {} s",
        left.as_secs().max(1)
    ))
}

/// Time that goes on while the machine sleeps.
#[derive(Clone, Copy)]
pub(super) struct Uptime(Duration);

impl Uptime {
    #[cfg(target_os = "linux")]
    pub(super) fn now() -> Self {
        // The ordinary monotonic clock stands still while a laptop is shut.
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        let seconds = u64::try_from(now.tv_sec).unwrap_or_default();
        Self(Duration::new(seconds, u32::try_from(now.tv_nsec).unwrap_or_default()))
    }

    #[cfg(not(target_os = "linux"))]
    pub(super) fn now() -> Self {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        let seconds = u64::try_from(now.tv_sec).unwrap_or_default();
        Self(Duration::new(seconds, u32::try_from(now.tv_nsec).unwrap_or_default()))
    }

    pub(super) fn elapsed(self) -> Duration {
        Self::now().0.saturating_sub(self.0)
    }
}
