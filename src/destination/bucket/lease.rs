//! Keeping two runs on one bucket apart (design.md promise 9). Each run has an object that it writes
//! again and again, its sign of life; each partition that it works on has an object that names the
//! run. A run whose sign of life is old has died, and its partitions are free. Ages are told by the
//! bucket's own clock, and every step is a conditional write, so that clocks of machines do not matter.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::TryStreamExt as _;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use tokio::task::JoinHandle;

use super::layout::Layout;
use super::requests::Requests;
use super::store::{Condition, Put, Version};
use crate::error::{Error, ErrorKind, Result};
use crate::export::{Partition, printable};

/// A contested claim is tried so often: each time somebody else was faster by a moment.
const CLAIM_ATTEMPTS_MAX: u32 = 5;

/// What is left of a run that was killed is cleared away after so long: longer than any lease.
const LONG_DEAD: Duration = Duration::from_secs(100 * 3600);

/// How long a run that shows no sign of life still counts as alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseSettings {
    /// After so long without a sign of life a run counts as dead; whole seconds.
    pub duration: Duration,
    /// A sign of life is given so often.
    pub interval: Duration,
}

impl LeaseSettings {
    /// A lease of this duration, with several signs of life within it.
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
#[derive(Serialize, Deserialize)]
struct SignOfLife {
    holder: String,
    lease_seconds: u64,
    /// Makes every sign of life another object.
    count: u64,
    /// Set by the run that found this one dead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ended_by: Option<String>,
}

/// The content of a partition's claim.
#[derive(Serialize, Deserialize)]
struct ClaimRecord {
    run: String,
    holder: String,
}

/// This run's lease on whatever it claims.
pub(super) struct Lease {
    requests: Arc<Requests>,
    layout: Layout,
    run: u64,
    holder: String,
    settings: LeaseSettings,
    renewal: tokio::sync::Mutex<Renewal>,
    renewed_at: Mutex<Uptime>,
    /// The partitions that this run has claimed.
    claimed: Mutex<HashSet<Partition>>,
    /// Why the lease has ended, once it has.
    lost: Mutex<Option<Error>>,
    heartbeat: Mutex<Option<JoinHandle<()>>>,
    /// Held while a dead run is ended.
    ending: tokio::sync::Mutex<()>,
}

struct Renewal {
    version: Version,
    count: u64,
}

impl Lease {
    /// Gives the first sign of life, and others from then on.
    pub async fn begin(
        requests: Arc<Requests>,
        layout: Layout,
        run: u64,
        holder: String,
        settings: LeaseSettings,
    ) -> Result<Arc<Self>> {
        let first = sign_of_life(&holder, settings, 0, None);
        let Put::Stored(version) = requests.put_sign(&layout.run(run), first, Condition::IfAbsent).await? else {
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
            claimed: Mutex::new(HashSet::new()),
            lost: Mutex::new(None),
            heartbeat: Mutex::new(None),
            ending: tokio::sync::Mutex::new(()),
        });
        let watched = Arc::downgrade(&lease);
        let _ = lease.requests.lease.set(watched.clone());
        let heartbeat = tokio::spawn(async move {
            loop {
                tokio::time::sleep(settings.interval).await;
                let Some(lease) = watched.upgrade() else { return };
                // A failure is repeated at the next beat; a loss is noted where writes look for it.
                let _ = lease.renew().await;
                if lease.loss().is_some() {
                    return;
                }
            }
        });
        *lock(&lease.heartbeat) = Some(heartbeat);
        lease.sweep().await?;
        Ok(lease)
    }

    /// Gives a sign of life.
    ///
    /// # Errors
    /// [`ErrorKind::LeaseLost`] when another run has found this one dead and gone on in its place.
    async fn renew(&self) -> Result<Version> {
        let mut renewal = self.renewal.lock().await;
        let count = renewal.count + 1;
        let sign = sign_of_life(&self.holder, self.settings, count, None);
        let begun_at = Uptime::now();
        let put =
            self.requests.put_sign(&self.layout.run(self.run), sign, Condition::IfMatch(&renewal.version)).await?;
        match put {
            Put::Stored(version) => {
                *renewal = Renewal { version: version.clone(), count };
                *lock(&self.renewed_at) = begun_at;
                Ok(version)
            }
            Put::Refused => {
                let error = Error::new(
                    ErrorKind::LeaseLost,
                    "another run has gone on in place of this one, which gave no sign of life for too long",
                )
                .with_hint("this machine or its network was away; nothing is lost, the other run ends the work");
                lock(&self.lost).get_or_insert(error.clone());
                Err(error)
            }
        }
    }

    #[cfg(test)]
    pub async fn renew_for_test(&self) -> Result<Version> {
        self.renew().await
    }

    /// Sees, before anything is written, that the lease still holds.
    ///
    /// # Errors
    /// As [`Lease::renew`].
    pub async fn assure(&self) -> Result<()> {
        // Well before its end: the bucket tells times in whole seconds, and requests take some.
        self.assure_within(self.settings.duration * 2 / 3).await
    }

    /// As [`Lease::assure`], and a sign of life was given within the usual interval.
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

    fn loss(&self) -> Option<Error> {
        lock(&self.lost).clone()
    }

    /// Claims a partition; says whether an earlier claim was found, whose work may lie about.
    ///
    /// # Errors
    /// [`ErrorKind::Held`] with the holder's name while another run that lives has it.
    pub async fn claim(&self, partition: &Partition) -> Result<bool> {
        self.assure().await?;
        let is_inherited = lock(&self.claimed).contains(partition) || self.write_claim(partition).await?;
        lock(&self.claimed).insert(partition.clone());
        Ok(is_inherited)
    }

    /// Whether this run has claimed a partition.
    pub fn has(&self, partition: &Partition) -> bool {
        lock(&self.claimed).contains(partition)
    }

    /// Gives a partition up, whose claim was deleted.
    pub fn release(&self, partition: &Partition) {
        lock(&self.claimed).remove(partition);
    }

    async fn write_claim(&self, partition: &Partition) -> Result<bool> {
        let key = self.layout.claim(partition);
        let record = ClaimRecord { run: run_name(self.run), holder: self.holder.clone() };
        let record = serde_json::to_vec(&record).unwrap_or_default();
        for _ in 0..CLAIM_ATTEMPTS_MAX {
            if let Put::Stored(_) = self.requests.put_small(&key, record.clone(), Condition::IfAbsent).await? {
                return Ok(false);
            }
            let Some((found, version)) = self.requests.get_json::<ClaimRecord>(&key).await? else { continue };
            if let Some(found) = found {
                self.end_if_dead(&found, partition).await?;
            }
            if let Put::Stored(_) = self.requests.put_small(&key, record.clone(), Condition::IfMatch(&version)).await? {
                return Ok(true);
            }
        }
        Err(held(partition, "other runs that begin just now", self.settings.duration))
    }

    /// Makes sure that the run which holds a claim never writes again. One after the other: several
    /// partitions of the same dead run may be claimed at once.
    async fn end_if_dead(&self, claim: &ClaimRecord, partition: &Partition) -> Result<()> {
        let _alone = self.ending.lock().await;
        let Ok(run) = u64::from_str_radix(&claim.run, 16) else { return Ok(()) };
        let key = self.layout.run(run);
        let Some((sign, version)) = self.requests.get_json::<SignOfLife>(&key).await? else { return Ok(()) };
        let duration = sign.as_ref().map_or(self.settings.duration, |sign| Duration::from_secs(sign.lease_seconds));
        let age = self.age_of(&key).await?;
        if age.is_none() && self.requests.get_json::<SignOfLife>(&key).await?.is_none() {
            // It has ended by itself, or another run has found it dead.
            return Ok(());
        }
        if age.is_none_or(|age| age < duration) {
            return Err(held(partition, &claim.holder, duration.saturating_sub(age.unwrap_or_default())));
        }
        // Were it only asleep, its next sign of life would find this one and be refused.
        let holder = sign.map_or_else(String::new, |sign| sign.holder);
        let last = sign_of_life(&holder, self.settings, 0, Some(&self.holder));
        match self.requests.put_small(&key, last, Condition::IfMatch(&version)).await? {
            Put::Stored(_) => self.requests.delete(&[key]).await,
            Put::Refused if self.requests.get_json::<SignOfLife>(&key).await?.is_none() => Ok(()),
            Put::Refused => Err(held(partition, &claim.holder, duration)),
        }
    }

    /// How long ago an object of another run was written, by the bucket's clock: compared with one
    /// that is written now.
    async fn age_of(&self, key: &str) -> Result<Option<Duration>> {
        self.renew().await?;
        let ages = self.ages().await?;
        Ok(ages.into_iter().find(|(other, _)| other == key).map(|(_, age)| age))
    }

    /// The other runs' objects, and how long before this run's last sign of life each was written.
    async fn ages(&self) -> Result<Vec<(String, Duration)>> {
        let own = self.layout.run(self.run);
        let prefix = self.layout.runs();
        let signs = self.requests.objects(&prefix);
        let timed = signs.try_filter_map(|object| async move { Ok(object.modified_at.map(|time| (object.key, time))) });
        let listed: Vec<(String, Timestamp)> = timed.try_collect().await?;
        let Some(now) = listed.iter().find(|(key, _)| *key == own).map(|(_, time)| *time) else {
            return Ok(Vec::new());
        };
        Ok(listed.into_iter().filter(|(key, _)| *key != own).map(|(key, then)| (key, age(now, then))).collect())
    }

    /// Deletes the signs of life of runs that are long dead: they hold nothing, they only lie about.
    /// What such a run tried the bucket out with can go sooner.
    async fn sweep(&self) -> Result<()> {
        let ages = self.ages().await?.into_iter();
        let is_dead =
            |key: &str, age: Duration| age > if self.layout.is_probe(key) { self.settings.duration } else { LONG_DEAD };
        let dead: Vec<String> = ages.filter(|(key, age)| is_dead(key, *age)).map(|(key, _)| key).collect();
        self.requests.delete(&dead).await
    }

    /// Ends the lease: whatever it holds is free at once, and nothing more is written under it.
    pub async fn end(&self) -> Result<()> {
        if let Some(heartbeat) = lock(&self.heartbeat).take() {
            heartbeat.abort();
        }
        if self.loss().is_some() {
            return Ok(());
        }
        *lock(&self.lost) = Some(Error::new(ErrorKind::LeaseLost, "this run has given its lease back"));
        self.requests.delete_own(&self.layout.run(self.run)).await
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(heartbeat) = lock(&self.heartbeat).take() {
            heartbeat.abort();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn run_name(run: u64) -> String {
    format!("{run:016x}")
}

fn age(now: Timestamp, then: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(then).max(SignedDuration::ZERO)).unwrap_or_default()
}

fn sign_of_life(holder: &str, settings: LeaseSettings, count: u64, ended_by: Option<&str>) -> Vec<u8> {
    let sign = SignOfLife {
        holder: holder.to_owned(),
        lease_seconds: settings.duration.as_secs(),
        count,
        ended_by: ended_by.map(str::to_owned),
    };
    serde_json::to_vec(&sign).unwrap_or_default()
}

fn held(partition: &Partition, holder: &str, left: Duration) -> Error {
    Error::new(ErrorKind::Held, format!("{partition} is held by {}", printable(holder))).with_hint(format!(
        "wait for that run to end; should it have been killed, its lease ends by itself within {} s",
        left.as_secs().max(1)
    ))
}

/// Time that goes on while the machine sleeps.
#[derive(Clone, Copy)]
struct Uptime(Duration);

impl Uptime {
    #[cfg(target_os = "linux")]
    fn now() -> Self {
        // The ordinary monotonic clock stands still while a laptop is shut.
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        let seconds = u64::try_from(now.tv_sec).unwrap_or_default();
        Self(Duration::new(seconds, u32::try_from(now.tv_nsec).unwrap_or_default()))
    }

    #[cfg(not(target_os = "linux"))]
    fn now() -> Self {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        let seconds = u64::try_from(now.tv_sec).unwrap_or_default();
        Self(Duration::new(seconds, u32::try_from(now.tv_nsec).unwrap_or_default()))
    }

    fn elapsed(self) -> Duration {
        Self::now().0.saturating_sub(self.0)
    }
}
