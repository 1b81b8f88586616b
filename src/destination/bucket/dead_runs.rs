//! Runs that have died: told by the age of their heartbeats, fenced before anything of theirs is
//! touched, and cleared away.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use jiff::{SignedDuration, Timestamp};

use super::lease::{ClaimRecord, Heartbeat, Lease, Uptime, held, lock};
use super::store::{Condition, Put, Version};
use crate::error::Result;
use crate::export::Partition;

/// Maximum number of heartbeats that are read concurrently.
const READ_AT_ONCE: usize = 16;

/// Another run's heartbeat as it was read, and which version of it that was.
struct Found {
    key: String,
    heartbeat: Heartbeat,
    version: Version,
}

impl Lease {
    /// Makes sure that the run which holds a claim never writes again. One after the other: several
    /// partitions of the same dead run may be claimed at once.
    pub(super) async fn end_if_dead(&self, claim: &ClaimRecord, partition: &Partition) -> Result<()> {
        let _alone = self.ending.lock().await;
        let Ok(run) = u64::from_str_radix(&claim.run, 16) else { return Ok(()) };
        let key = self.layout.run(run);
        if let Some(left) = self.lives_at_least(&key) {
            return Err(held(partition, &claim.holder, left));
        }
        let Some((heartbeat, version)) = self.requests.get_json::<Heartbeat>(&key).await? else { return Ok(()) };
        let duration = heartbeat.as_ref().map_or(self.settings.duration, Heartbeat::lease);
        let age = self.ages_now().await?.remove(&key);
        if age.is_none() && self.requests.get_json::<Heartbeat>(&key).await?.is_none() {
            // It has ended by itself, or another run has found it dead.
            return Ok(());
        }
        if age.is_none_or(|age| age < duration) {
            return Err(held(partition, &claim.holder, duration.saturating_sub(age.unwrap_or_default())));
        }
        let heartbeat = heartbeat.unwrap_or_default();
        match self.fence(&Found { key, heartbeat, version }).await? {
            true => Ok(()),
            false => Err(held(partition, &claim.holder, duration)),
        }
    }

    /// Ends a dead run; `false` if it turns out to live. Were it only asleep, its next heartbeat would
    /// find this one in its place and be refused.
    async fn fence(&self, found: &Found) -> Result<bool> {
        let last = Heartbeat::new(&found.heartbeat.holder, self.settings, 0, Some(&self.holder)).to_bytes();
        match self.requests.put_with(self, &found.key, last, Condition::IfMatch(&found.version)).await? {
            Put::Stored(_) => {
                self.requests.delete_with(self, std::slice::from_ref(&found.key)).await?;
                Ok(true)
            }
            // Another run has ended it in the meantime.
            Put::Refused => Ok(self.requests.get_json::<Heartbeat>(&found.key).await?.is_none()),
        }
    }

    /// Clears away what killed runs left among the heartbeats: each one whose own lease has expired,
    /// and what such a run tried the bucket out with. Costs no request more than a listing where there
    /// is no other run.
    ///
    /// # Errors
    /// What the bucket answers.
    pub(super) async fn clear_dead_runs(&self) -> Result<()> {
        let (probes, heartbeats): (Vec<_>, Vec<_>) =
            self.ages().await?.into_iter().partition(|(key, _)| self.layout.is_probe(key));
        let is_over = |(key, age): (String, Duration)| (age > self.settings.duration).then_some(key);
        self.requests.delete_with(self, &probes.into_iter().filter_map(is_over).collect::<Vec<_>>()).await?;
        // Among runs that work together, whoever has just written one lives.
        let is_young = |age: Duration| self.is_joined && age < self.settings.interval;
        let (young, old): (Vec<_>, Vec<_>) = heartbeats.into_iter().partition(|(_, age)| is_young(*age));
        self.has_seen_living.store(!young.is_empty(), Ordering::Relaxed);
        if old.is_empty() {
            return Ok(());
        }
        let _alone = self.ending.lock().await;
        let found = self.read_heartbeats(old.into_iter().map(|(key, _)| key)).await?;
        // Ages are looked at after the versions were read: a heartbeat that came in between has
        // another version, so that its run is not fenced by the write that rests on the old one.
        let ages = self.ages_now().await?;
        let mut has_living = !young.is_empty();
        for found in found {
            let is_dead = ages.get(&found.key).is_some_and(|age| *age >= found.heartbeat.lease());
            if found.heartbeat.is_ended() {
                self.requests.delete_with(self, &[found.key]).await?;
            } else if !is_dead || !self.fence(&found).await? {
                has_living = true;
            }
        }
        self.has_seen_living.store(has_living, Ordering::Relaxed);
        Ok(())
    }

    /// As [`Lease::clear_dead_runs`], at the end of a run that saw another one whose lease had not
    /// expired: by now it may have.
    pub async fn clear_dead_runs_again(&self) -> Result<()> {
        if self.loss().is_none() && self.has_seen_living.load(Ordering::Relaxed) {
            self.clear_dead_runs().await?;
        }
        Ok(())
    }

    /// Notes which other runs have heartbeats now: one listing for all days that are asked for next.
    pub(super) async fn look_at_others(&self) -> Result<()> {
        let is_recent = |looked_at: Uptime| looked_at.elapsed() < self.settings.interval / 2;
        if lock(&self.others).as_ref().is_none_or(|(_, looked_at)| !is_recent(*looked_at)) {
            self.ages().await?;
        }
        Ok(())
    }

    /// How long a run's lease lasts at least, by what was seen last of its heartbeats; `None` where that does
    /// not tell.
    fn lives_at_least(&self, key: &str) -> Option<Duration> {
        if !self.is_joined {
            // Whoever asks once or twice asks the bucket.
            return None;
        }
        let others = lock(&self.others);
        let (ages, looked_at) = others.as_ref()?;
        // Its own lease may be shorter than this run's: only a heartbeat that was just written says that it lives.
        let age = ages.get(key)?.saturating_add(looked_at.elapsed());
        (age < self.settings.interval).then(|| self.settings.duration.saturating_sub(age))
    }

    /// The heartbeats with these keys that are still there and can be read.
    async fn read_heartbeats(&self, keys: impl Iterator<Item = String>) -> Result<Vec<Found>> {
        let read = keys.map(|key| async move {
            let found = self.requests.get_json::<Heartbeat>(&key).await?;
            Ok(found.and_then(|(heartbeat, version)| Some(Found { key, heartbeat: heartbeat?, version })))
        });
        let read = stream::iter(read).buffer_unordered(READ_AT_ONCE);
        read.try_filter_map(|found| async move { Ok(found) }).try_collect().await
    }

    /// As [`Lease::ages`], compared with a heartbeat that is written now.
    async fn ages_now(&self) -> Result<HashMap<String, Duration>> {
        self.renew().await?;
        self.ages().await
    }

    /// The other runs' objects, and how long before this run's last heartbeat each was written, by the
    /// bucket's clock.
    async fn ages(&self) -> Result<HashMap<String, Duration>> {
        let own = self.layout.run(self.run);
        let prefix = self.layout.runs();
        let looked_at = Uptime::now();
        let objects = self.requests.objects(&prefix);
        let timed =
            objects.try_filter_map(|object| async move { Ok(object.modified_at.map(|time| (object.key, time))) });
        let mut written: HashMap<String, Timestamp> = timed.try_collect().await?;
        let Some(now) = written.remove(&own) else { return Ok(HashMap::new()) };
        let ages: HashMap<String, Duration> = written.into_iter().map(|(key, then)| (key, age(now, then))).collect();
        *lock(&self.others) = Some((ages.clone(), looked_at));
        Ok(ages)
    }
}

fn age(now: Timestamp, then: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(then).max(SignedDuration::ZERO)).unwrap_or_default()
}
