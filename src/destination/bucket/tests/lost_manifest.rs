//! A day whose manifest is gone: what stands there may be all that is left of it.

use super::*;

const MANIFEST: &str = "lake/_e3sync/manifests/type=events/date=2026-11-20.jsonl";

/// A bucket with the first set published and its manifest deleted.
async fn without_manifest() -> Bucket {
    let bucket = Bucket::new(&[first(), second()]);
    bucket.run(&bucket.store(BreakOff::Never), &first(), false).await.unwrap();
    bucket.state().objects.remove(MANIFEST);
    bucket
}

/// What stands in the day, with its marker.
fn day(bucket: &Bucket) -> BTreeMap<String, Vec<u8>> {
    let state = bucket.state();
    let day = state.objects.iter().filter(|(key, _)| key.starts_with(DATA));
    day.map(|(key, object)| (key.clone(), object.bytes.clone())).collect()
}

fn has_claim(bucket: &Bucket) -> bool {
    bucket.state().objects.keys().any(|key| key.ends_with("claim.json"))
}

#[tokio::test]
async fn a_day_whose_manifest_was_lost_is_stored_anew() {
    let bucket = without_manifest().await;
    let mut grown = first();
    grown.insert("event=e/7".into(), b"late".to_vec());
    let bucket = Bucket { sets: vec![first(), grown.clone()], ..bucket };
    let transferred = bucket.run(&bucket.store(BreakOff::Never), &grown, false).await.unwrap();
    assert_eq!(transferred.keys.len(), grown.len(), "nothing is believed without a manifest");
    bucket.assert_published(&grown, "anew");
}

#[tokio::test]
async fn what_the_source_no_longer_has_is_kept_though_its_manifest_was_lost() {
    let mut smaller = first();
    smaller.remove("event=c/4");
    let mut other_size = first();
    other_size.insert("event=c/4".into(), b"of another size".to_vec());
    for set in [second(), smaller, other_size] {
        let bucket = without_manifest().await;
        let before = day(&bucket);
        for _ in 0..2 {
            let error = bucket.run(&bucket.store(BreakOff::Never), &set, false).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ManifestMissing);
            assert!(error.hint().unwrap().contains(MANIFEST), "{error}");
            assert_eq!(day(&bucket), before);
            assert!(!has_claim(&bucket), "nothing was begun, and no later run is to think so");
        }
    }
}

/// A claim alone is no proof that what stands there is unfinished work.
#[tokio::test]
async fn a_run_that_was_killed_behind_its_claim_does_not_cost_the_day() {
    let requests = {
        let bucket = without_manifest().await;
        let store = bucket.store(BreakOff::Never);
        bucket.run(&store, &second(), false).await.unwrap_err();
        store.requests()
    };
    for number in 0..requests {
        let bucket = without_manifest().await;
        let before = day(&bucket);
        let _ = bucket.run(&bucket.store(BreakOff::After(number)), &second(), false).await;
        bucket.let_leases_end();
        for _ in 0..2 {
            let error = bucket.run(&bucket.store(BreakOff::Never), &second(), false).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ManifestMissing, "after {number}: {error}");
            bucket.let_leases_end();
        }
        let destination = bucket.open(&bucket.store(BreakOff::Never)).await.unwrap();
        let _ = destination.discard_staged(&partition()).await;
        destination.close().await;
        assert_eq!(day(&bucket), before, "after {number}");
    }
}

/// The listing changes while a day without a manifest is being stored anew.
#[tokio::test]
async fn what_leaves_the_listing_in_the_middle_is_kept() {
    let bucket = without_manifest().await;
    let before = day(&bucket);
    let destination = bucket.open(&bucket.store(BreakOff::Never)).await.unwrap();
    let claim = destination.claim(&partition()).await.unwrap();
    claim.prepare(&mut listing(&first()), SOURCE).await.unwrap();
    let mut smaller = first();
    smaller.remove("event=c/4");
    let error = claim.prepare(&mut listing(&smaller), SOURCE).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ManifestMissing);
    assert_eq!(day(&bucket), before);
}

/// Work of dead runs is told from published objects, also where several died one after the other.
#[tokio::test]
async fn what_several_killed_runs_left_of_a_new_day_is_no_published_day() {
    let third = set(&[("event=z/9", "nine")]);
    let bucket = Bucket::new(std::slice::from_ref(&third));
    for (count, set) in [(1, first()), (2, second())] {
        let destination = bucket.open(&bucket.store(BreakOff::Never)).await.unwrap();
        let claim = destination.claim(&partition()).await.unwrap();
        claim.prepare(&mut listing(&set), SOURCE).await.unwrap();
        let (works, _) = claim.work(Position::default(), count).await.unwrap().unwrap();
        for work in &works {
            put(claim.as_ref(), work, &set[&work.object.key]).await.unwrap();
        }
        bucket.let_leases_end();
    }
    bucket.run(&bucket.store(BreakOff::Never), &third, false).await.unwrap();
    bucket.assert_published(&third, "their work is cleared away");
}
