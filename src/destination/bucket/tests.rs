//! A run is broken off before and after each single request to the bucket. At no moment does a reader
//! that waits for `_SUCCESS` see anything but a whole set; the next run ends with exactly the new set
//! and without anything left behind.

mod dead_runs;
mod identity;
mod long_manifest;
mod lost_manifest;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};

use super::memory::{BreakOff, MemoryStore, State};
use super::*;
use crate::destination::{Position, PublishTerms};
use crate::error::ErrorKind;
use crate::export::{Checksums, Object, Scope, TypeName};
use crate::hash::ObjectHasher;
use crate::manifest::{Completeness, ListingDigest, VerifiedContent};
use crate::plan::{Listing, ListingBuilder};
use crate::progress::Silent;

const PART_BYTES: u64 = 10;
const DATA: &str = "lake/type=events/date=2026-11-20/";
const SOURCE: &str = "s3://source/v1/account_id=1/";

fn partition() -> Partition {
    Partition { type_name: TypeName::parse("events").unwrap(), date: "2026-11-20".parse().unwrap() }
}

/// A set of objects at the source: keys with their contents.
type Set = BTreeMap<String, Vec<u8>>;

fn set(objects: &[(&str, &str)]) -> Set {
    objects.iter().map(|(key, content)| ((*key).to_owned(), content.as_bytes().to_vec())).collect()
}

/// The first set of a day: one object of it is large.
fn first() -> Set {
    set(&[
        ("event=a/1", "one"),
        ("event=a/2", "a large object, which comes in parts"),
        ("event=b/3", ""),
        ("event=c/4", "four"),
    ])
}

/// The rewritten day: objects are new, gone, the same, and other bytes under the same key.
fn second() -> Set {
    set(&[
        ("event=a/1", "one"),
        ("event=a/5", "another large object in several parts, rather more of them"),
        ("event=b/3", "no longer empty"),
        ("event=d/6", "six"),
    ])
}

fn object(key: &str, content: &[u8]) -> Object {
    let mut hasher = ObjectHasher::for_checksums(&Checksums::default());
    hasher.update(content);
    let etag = crate::manifest::to_hex(&hasher.sha256_so_far()[..8]);
    Object { key: key.into(), size_bytes: content.len() as u64, etag: Some(etag), ..Object::default() }
}

fn listing(set: &Set) -> Listing {
    let mut builder = ListingBuilder::new(&std::env::temp_dir());
    for (key, content) in set {
        builder.add(&object(key, content)).unwrap();
    }
    builder.finish()
}

fn settings() -> BucketSettings {
    BucketSettings {
        is_joined: false,
        damage: Arc::default(),
        prefix: "lake".into(),
        holder: "process 7".into(),
        keep_superseded: false,
        attempts_max: 0,
        spill_folder: std::env::temp_dir(),
        lease: LeaseSettings { duration: Duration::from_secs(30), interval: Duration::from_secs(3600) },
    }
}

struct Bucket {
    state: Arc<Mutex<State>>,
    sets: Vec<Set>,
}

impl Bucket {
    fn new(sets: &[Set]) -> Self {
        let state = State { now: "2026-11-21T00:00:00Z".parse().unwrap(), ..State::default() };
        Self { state: Arc::new(Mutex::new(state)), sets: sets.to_vec() }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn store(&self, break_off: BreakOff) -> Arc<MemoryStore> {
        let sets = self.sets.clone();
        let look = move |state: &mut State| {
            let data = data_of(state);
            assert!(
                !state.objects.contains_key(&format!("{DATA}_SUCCESS")) || sets.contains(&data),
                "a reader sees a mixture after {:?}: {:?}",
                state.log.last(),
                data.keys()
            );
        };
        Arc::new(MemoryStore::new(self.state.clone(), break_off, Some(Box::new(look))))
    }

    /// Lets so much time pass that a run which is away counts as dead.
    fn let_leases_end(&self) {
        self.state().now += SignedDuration::from_hours(1);
    }

    async fn open(&self, store: &Arc<MemoryStore>) -> Result<BucketDestination> {
        self.open_with(store, false).await
    }

    async fn open_with(&self, store: &Arc<MemoryStore>, keep_superseded: bool) -> Result<BucketDestination> {
        let settings = BucketSettings { keep_superseded, ..settings() };
        self.open_for("1", store, settings).await
    }

    async fn open_for(
        &self,
        account_id: &str,
        store: &Arc<MemoryStore>,
        settings: BucketSettings,
    ) -> Result<BucketDestination> {
        let account_id = AccountId::parse(account_id).unwrap();
        BucketDestination::open(store.clone(), settings, &account_id, Arc::new(Silent), Arc::default()).await
    }

    /// One whole run that brings the day to `set`.
    async fn run(&self, store: &Arc<MemoryStore>, set: &Set, keep_superseded: bool) -> Result<Transferred> {
        let destination = self.open_with(store, keep_superseded).await?;
        let transferred = transfer(&destination, set).await;
        destination.close().await;
        transferred
    }

    /// Sees that exactly this set is there, with its manifest and marker, and nothing left over.
    fn assert_published(&self, set: &Set, context: &str) {
        let state = self.state();
        assert_eq!(data_of(&state), *set, "{context}");
        let others: Vec<&str> = state.objects.keys().map(String::as_str).filter(|key| !key.starts_with(DATA)).collect();
        assert_eq!(
            others,
            [
                "lake/_e3sync/destination.json",
                "lake/_e3sync/manifests.index.jsonl",
                "lake/_e3sync/manifests/type=events/date=2026-11-20.jsonl"
            ],
            "{context}"
        );
        assert!(state.objects.contains_key(&format!("{DATA}_SUCCESS")), "{context}");
        let uploads: Vec<_> = state.uploads.values().collect();
        assert!(uploads.is_empty(), "{context}: {uploads:?}");
    }
}

fn data_of(state: &State) -> Set {
    let data = state.objects.iter().filter_map(|(key, object)| Some((key.strip_prefix(DATA)?, object)));
    data.filter(|(key, _)| *key != "_SUCCESS").map(|(key, object)| (key.to_owned(), object.bytes.clone())).collect()
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Transferred {
    keys: Vec<String>,
    bytes: u64,
}

/// What the engine does with one partition, one object after the other.
async fn transfer(destination: &BucketDestination, set: &Set) -> Result<Transferred> {
    let claim = destination.claim(&partition()).await?;
    claim.prepare(&mut listing(set), SOURCE).await?;
    let mut transferred = Transferred::default();
    let mut position = Position::default();
    while let Some((works, next)) = claim.work(position, 2).await? {
        for work in works {
            transferred.bytes += put(claim.as_ref(), &work, &set[&work.object.key]).await?;
            transferred.keys.push(work.object.key);
        }
        position = next;
    }
    claim.publish(terms(listing(set).summary.digest)).await?;
    Ok(transferred)
}

/// The terms of a set that may lack published objects: what is kept is not decided here.
fn terms(listing_digest: ListingDigest) -> PublishTerms {
    PublishTerms {
        source: SOURCE.into(),
        scope: Scope::All,
        listing_digest,
        only_marks: false,
        completeness: Completeness::Declared,
        now: Timestamp::UNIX_EPOCH,
        accept_shrink: true,
    }
}

/// Stores an object; gives the number of bytes that had to come.
async fn put(claim: &dyn Claim, work: &crate::destination::Work, content: &[u8]) -> Result<u64> {
    let part_size_bytes = (content.len() as u64 > PART_BYTES * 2).then_some(PART_BYTES);
    let hasher = ObjectHasher::for_checksums(&Checksums::default());
    let (writer, mut hasher) = claim.open(work, hasher, part_size_bytes).await?;
    let begins_at = hasher.length_bytes();
    let rest = &content[usize::try_from(begins_at).unwrap()..];
    let mut offset = begins_at;
    for part in rest.chunks(PART_BYTES as usize) {
        for piece in part.chunks(4) {
            writer.write(offset, &Bytes::copy_from_slice(piece)).await?;
            hasher.update(piece);
            offset += piece.len() as u64;
        }
        if part_size_bytes.is_some() {
            writer.end_part(offset - part.len() as u64..offset).await?;
            writer.checkpoint(&hasher).await?;
        }
    }
    let (sha256, computed) = hasher.finish();
    let content = VerifiedContent { sha256, checksums: Checksums::default(), rows: None };
    writer.finish(&content, &computed).await?;
    Ok(rest.len() as u64)
}

#[tokio::test]
async fn a_day_is_published_and_rewritten() {
    let bucket = Bucket::new(&[first(), second()]);
    let transferred = bucket.run(&bucket.store(BreakOff::Never), &first(), false).await.unwrap();
    assert_eq!(transferred.keys.len(), 4);
    bucket.assert_published(&first(), "published");
    let transferred = bucket.run(&bucket.store(BreakOff::Never), &second(), false).await.unwrap();
    assert_eq!(transferred.keys, ["event=a/5", "event=b/3", "event=d/6"], "what is the same stays");
    bucket.assert_published(&second(), "rewritten");
}

#[tokio::test]
async fn a_run_broken_off_at_any_request_is_ended_by_the_next_one() {
    for (before, set) in [(None, first()), (Some(first()), second())] {
        let requests = {
            let bucket = Bucket::new(&[first(), second()]);
            if let Some(before) = &before {
                bucket.run(&bucket.store(BreakOff::Never), before, false).await.unwrap();
            }
            let store = bucket.store(BreakOff::Never);
            bucket.run(&store, &set, false).await.unwrap();
            store.requests()
        };
        assert!(requests > 20, "{requests}");
        for number in 0..requests {
            for break_off in [BreakOff::Before(number), BreakOff::After(number)] {
                let bucket = Bucket::new(&[first(), second()]);
                if let Some(before) = &before {
                    bucket.run(&bucket.store(BreakOff::Never), before, false).await.unwrap();
                }
                let _ = bucket.run(&bucket.store(break_off), &set, false).await;
                bucket.let_leases_end();
                let context = format!("{break_off:?} of {requests}");
                let store = bucket.store(BreakOff::Never);
                let destination = bucket.open(&store).await.expect(&context);
                let published = destination.published(&partition()).await.expect(&context);
                let is_there = published.header.as_ref().is_some_and(|header| {
                    !published.is_unsettled && header.listing_digest == listing(&set).summary.digest
                });
                if is_there {
                    // Then the run was done but for telling.
                    destination.close().await;
                } else {
                    transfer(&destination, &set).await.expect(&context);
                    destination.close().await;
                }
                bucket.assert_published(&set, &context);
            }
        }
    }
}

#[tokio::test]
async fn a_begun_rewrite_that_the_source_takes_back_is_undone() {
    let second = {
        let mut second = second();
        second.insert("event=b/3".into(), first()["event=b/3"].clone());
        second
    };
    let requests = {
        let bucket = Bucket::new(&[first(), second.clone()]);
        bucket.run(&bucket.store(BreakOff::Never), &first(), false).await.unwrap();
        let store = bucket.store(BreakOff::Never);
        bucket.run(&store, &second, false).await.unwrap();
        store.requests()
    };
    for number in 0..requests {
        let bucket = Bucket::new(&[first(), second.clone()]);
        bucket.run(&bucket.store(BreakOff::Never), &first(), false).await.unwrap();
        let _ = bucket.run(&bucket.store(BreakOff::Before(number)), &second, false).await;
        bucket.let_leases_end();
        let store = bucket.store(BreakOff::Never);
        let destination = bucket.open(&store).await.unwrap();
        destination.discard_staged(&partition()).await.unwrap();
        destination.close().await;
        let data = data_of(&bucket.state());
        let expected = if data == second { second.clone() } else { first() };
        bucket.assert_published(&expected, &format!("before {number}"));
    }
}

#[tokio::test]
async fn what_a_killed_run_has_finished_is_not_fetched_again() {
    let bucket = Bucket::new(&[first()]);
    let store = bucket.store(BreakOff::Never);
    {
        let destination = bucket.open(&store).await.unwrap();
        let claim = destination.claim(&partition()).await.unwrap();
        claim.prepare(&mut listing(&first()), SOURCE).await.unwrap();
        let (works, _) = claim.work(Position::default(), 1).await.unwrap().unwrap();
        put(claim.as_ref(), &works[0], &first()["event=a/1"]).await.unwrap();
        destination.close().await;
    }
    let transferred = bucket.run(&bucket.store(BreakOff::Never), &first(), false).await.unwrap();
    assert_eq!(transferred.keys, ["event=a/2", "event=b/3", "event=c/4"]);
    bucket.assert_published(&first(), "continued");
}

#[tokio::test]
async fn what_is_stored_and_not_published_does_not_count_as_published() {
    let bucket = Bucket::new(&[first(), second()]);
    bucket.run(&bucket.store(BreakOff::Never), &first(), false).await.unwrap();
    {
        let destination = bucket.open(&bucket.store(BreakOff::Never)).await.unwrap();
        let claim = destination.claim(&partition()).await.unwrap();
        claim.prepare(&mut listing(&second()), SOURCE).await.unwrap();
        let (works, _) = claim.work(Position::default(), 10).await.unwrap().unwrap();
        for work in works {
            put(claim.as_ref(), &work, &second()[&work.object.key]).await.unwrap();
        }
        destination.close().await;
    }
    let destination = bucket.open(&bucket.store(BreakOff::Never)).await.unwrap();
    let claim = destination.claim(&partition()).await.unwrap();
    let inventory = claim.prepare(&mut listing(&second()), SOURCE).await.unwrap();
    assert_eq!((inventory.objects_here, inventory.objects_unchanged), (4, 1));
}

#[tokio::test]
async fn several_days_of_a_dead_run_are_claimed_at_once() {
    let bucket = Bucket::new(&[first()]);
    let days: Vec<Partition> =
        (1..=8).map(|day| Partition { date: jiff::civil::date(2026, 11, day), ..partition() }).collect();
    let dead = bucket.open(&bucket.store(BreakOff::Never)).await.unwrap();
    for day in &days {
        dead.claim(day).await.unwrap();
    }
    bucket.let_leases_end();
    let next = bucket.open(&bucket.store(BreakOff::Never)).await.unwrap();
    for claimed in futures::future::join_all(days.iter().map(|day| next.claim(day))).await {
        assert!(claimed.is_ok(), "{:?}", claimed.err());
    }
}

#[tokio::test]
async fn days_that_another_run_has_begun_are_named_at_the_end() {
    let bucket = Bucket::new(&[first()]);
    let _other = bucket.open(&bucket.store(BreakOff::Never)).await.unwrap().claim(&partition()).await.unwrap();
    let destination = bucket.open(&bucket.store(BreakOff::Never)).await.unwrap();
    let messages = destination.close().await;
    assert!(messages.iter().any(|message| message.contains("begun and not ended by another run")), "{messages:?}");
}

#[tokio::test]
async fn an_unfinished_upload_goes_on_behind_its_last_part() {
    let bucket = Bucket::new(&[first()]);
    let content = first()["event=a/2"].clone();
    {
        let destination = bucket.open(&bucket.store(BreakOff::Never)).await.unwrap();
        let claim = destination.claim(&partition()).await.unwrap();
        claim.prepare(&mut listing(&first()), SOURCE).await.unwrap();
        let (works, _) = claim.work(Position::default(), 2).await.unwrap().unwrap();
        let hasher = ObjectHasher::for_checksums(&Checksums::default());
        let (writer, mut hasher) = claim.open(&works[1], hasher, Some(PART_BYTES)).await.unwrap();
        for number in 0..2 {
            let range = number * PART_BYTES..(number + 1) * PART_BYTES;
            let piece = &content[usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap()];
            writer.write(range.start, &Bytes::copy_from_slice(piece)).await.unwrap();
            hasher.update(piece);
            writer.end_part(range).await.unwrap();
            writer.checkpoint(&hasher).await.unwrap();
        }
        let messages = destination.close().await;
        assert!(messages.iter().any(|message| message.contains("unfinished multipart")), "{messages:?}");
    }
    let transferred = bucket.run(&bucket.store(BreakOff::Never), &first(), false).await.unwrap();
    let rest: usize = first().values().map(Vec::len).sum::<usize>() - 2 * PART_BYTES as usize;
    assert_eq!(transferred.bytes, rest as u64);
    bucket.assert_published(&first(), "continued");
}

#[tokio::test]
async fn two_runs_on_one_partition_are_kept_apart_until_one_is_dead() {
    let bucket = Bucket::new(&[first()]);
    let (store, other_store) = (bucket.store(BreakOff::Never), bucket.store(BreakOff::Never));
    let (one, other) = (bucket.open(&store).await.unwrap(), bucket.open(&other_store).await.unwrap());
    let claim = one.claim(&partition()).await.unwrap();
    claim.prepare(&mut listing(&second()), SOURCE).await.unwrap();
    let (works, _) = claim.work(Position::default(), 1).await.unwrap().unwrap();
    let error = other.claim(&partition()).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Held);
    assert!(error.to_string().contains("process 7"), "{error}");
    bucket.let_leases_end();
    transfer(&other, &first()).await.unwrap();
    // The first run was only asleep: its next heartbeat is refused, and then so is all else.
    let error = one.0.lease.renew().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LeaseLost);
    let error = put(claim.as_ref(), &works[0], &second()[&works[0].object.key]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LeaseLost);
    assert_eq!(data_of(&bucket.state()), first());
}

#[tokio::test]
async fn objects_of_others_are_neither_overwritten_nor_deleted_nor_published() {
    let put_foreign = |bucket: &Bucket, key: &str| {
        let store = bucket.store(BreakOff::Never);
        let payload = Payload::from(b"mine".to_vec());
        let mut hasher = ObjectHasher::for_checksums(&Checksums::default());
        hasher.update(b"mine");
        let checksums = hasher.finish().1;
        let key = format!("{DATA}{key}");
        async move {
            let terms = PutTerms { checksums: &checksums, condition: Condition::None, origin: None, is_data: true };
            store.put(&key, &payload, &terms).await.unwrap()
        }
    };
    for key in ["event=a/1", "event=x/other", "_SUCCESS"] {
        let bucket = Bucket::new(&[first(), set(&[])]);
        put_foreign(&bucket, key).await;
        for _ in 0..2 {
            let error = bucket.run(&bucket.store(BreakOff::Never), &first(), false).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::DataForeign, "{key}");
            assert_eq!(bucket.state().objects[&format!("{DATA}{key}")].bytes, b"mine", "{key}");
            assert!(!bucket.state().objects.keys().any(|key| key.ends_with("claim.json")), "{key}");
        }
    }
    let mut with_other = first();
    with_other.insert("event=x/other".into(), b"mine".to_vec());
    let bucket = Bucket::new(&[first(), with_other.clone()]);
    bucket.run(&bucket.store(BreakOff::Never), &first(), false).await.unwrap();
    put_foreign(&bucket, "event=x/other").await;
    let error = bucket.run(&bucket.store(BreakOff::Never), &second(), false).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DataForeign);
    assert_eq!(data_of(&bucket.state()), with_other, "the published day is as it was");
    assert!(bucket.state().objects.contains_key(&format!("{DATA}_SUCCESS")));
}

#[tokio::test]
async fn an_upload_that_arrives_after_all_is_over_is_cleared_away_by_the_next_rewrite() {
    let bucket = Bucket::new(&[first(), second()]);
    bucket.run(&bucket.store(BreakOff::Never), &first(), false).await.unwrap();
    let key = format!("{DATA}event=z/late");
    let late = super::memory::MemoryObject {
        bytes: b"late".to_vec(),
        etag: "\"late\"".into(),
        origin: Some(layout::origin(&key, 5, 0)),
        modified_at: Timestamp::UNIX_EPOCH,
    };
    bucket.state().objects.remove(&format!("{DATA}_SUCCESS"));
    bucket.state().objects.insert(key, late);
    bucket.run(&bucket.store(BreakOff::Never), &second(), false).await.unwrap();
    bucket.assert_published(&second(), "rewritten");
}

#[tokio::test]
async fn replaced_objects_are_kept_aside_where_that_is_wanted() {
    let bucket = Bucket::new(&[first(), second()]);
    bucket.run(&bucket.store(BreakOff::Never), &first(), true).await.unwrap();
    bucket.run(&bucket.store(BreakOff::Never), &second(), true).await.unwrap();
    let state = bucket.state();
    let kept: Set = state
        .objects
        .iter()
        .filter_map(|(key, object)| {
            let key = key.strip_prefix("lake/_e3sync/superseded/type=events/date=2026-11-20.19700101T000000Z/")?;
            Some((key.strip_suffix(".superseded")?.to_owned(), object.bytes.clone()))
        })
        .collect();
    let mut replaced = first();
    replaced.remove("event=a/1");
    assert_eq!(kept, replaced);
}

#[tokio::test]
async fn a_kill_behind_the_manifest_does_not_cost_the_set_that_is_to_be_kept() {
    let requests = {
        let bucket = Bucket::new(&[first(), second()]);
        bucket.run(&bucket.store(BreakOff::Never), &first(), true).await.unwrap();
        let store = bucket.store(BreakOff::Never);
        bucket.run(&store, &second(), true).await.unwrap();
        store.requests()
    };
    for number in 0..requests {
        let bucket = Bucket::new(&[first(), second()]);
        bucket.run(&bucket.store(BreakOff::Never), &first(), true).await.unwrap();
        let _ = bucket.run(&bucket.store(BreakOff::Before(number)), &second(), true).await;
        bucket.let_leases_end();
        let store = bucket.store(BreakOff::Never);
        let destination = bucket.open_with(&store, true).await.unwrap();
        let published = destination.published(&partition()).await.unwrap();
        if published.is_unsettled || published.header.unwrap().listing_digest != listing(&second()).summary.digest {
            transfer(&destination, &second()).await.unwrap();
        }
        destination.close().await;
        let kept = bucket.state().objects.keys().filter(|key| key.ends_with(".superseded")).count();
        assert_eq!(kept, 3, "before request {number}");
    }
}

#[tokio::test]
async fn the_index_saves_reading_the_manifests_and_is_not_needed() {
    let bucket = Bucket::new(&[first()]);
    bucket.run(&bucket.store(BreakOff::Never), &first(), false).await.unwrap();
    let manifest = "lake/_e3sync/manifests/type=events/date=2026-11-20.jsonl";
    let reads =
        |bucket: &Bucket| bucket.state().log.iter().filter(|name| name.contains(&format!("GET {manifest}"))).count();
    let look = async |bucket: &Bucket| {
        let before = reads(bucket);
        let destination = bucket.open(&bucket.store(BreakOff::Never)).await.unwrap();
        let published = destination.published(&partition()).await.unwrap();
        assert_eq!(published.header.unwrap().objects, 4);
        assert_eq!(destination.published_days().await.unwrap(), [(partition().type_name, vec![partition().date])]);
        destination.close().await;
        reads(bucket) - before
    };
    assert_eq!(look(&bucket).await, 0, "the index knows the header");
    bucket.state().objects.remove("lake/_e3sync/manifests.index.jsonl");
    assert_eq!(look(&bucket).await, 1, "without it the manifest is read");
    assert_eq!(look(&bucket).await, 0, "and the index is there again");
}
