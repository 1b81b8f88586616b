//! What killed runs leave among the heartbeats goes when their own lease has expired.

use super::*;

fn heartbeats(bucket: &Bucket) -> usize {
    bucket.state().objects.keys().filter(|key| key.contains("/locks/")).count()
}

fn settings_with_lease(seconds: u64) -> BucketSettings {
    let interval = Duration::from_secs(3600);
    BucketSettings { lease: LeaseSettings { duration: Duration::from_secs(seconds), interval }, ..settings() }
}

async fn open(bucket: &Bucket, lease_seconds: u64) -> BucketDestination {
    let store = bucket.store(BreakOff::Never);
    bucket.open_for("1", &store, settings_with_lease(lease_seconds)).await.unwrap()
}

fn listings_of_heartbeats(bucket: &Bucket) -> usize {
    bucket.state().log.iter().filter(|name| *name == "LIST lake/_e3sync/locks/").count()
}

#[tokio::test]
async fn a_killed_run_is_cleared_away_by_the_next_and_finds_out_if_it_only_slept() {
    let bucket = Bucket::new(&[first()]);
    let asleep = open(&bucket, 30).await;
    // A dropped run is as good as killed: it does not end its lease.
    drop(open(&bucket, 30).await);
    assert_eq!(heartbeats(&bucket), 2);
    bucket.let_leases_end();
    let next = open(&bucket, 30).await;
    assert_eq!(heartbeats(&bucket), 1, "its own");
    assert_eq!(asleep.0.lease.renew().await.unwrap_err().kind(), ErrorKind::LeaseLost);
    assert!(asleep.claim(&partition()).await.is_err());
    assert!(next.close().await.is_empty());
    assert_eq!(heartbeats(&bucket), 0);
}

#[tokio::test]
async fn each_run_counts_as_alive_for_as_long_as_its_own_lease_says() {
    let bucket = Bucket::new(&[first()]);
    let long = open(&bucket, 2 * 3600).await;
    drop(open(&bucket, 600).await);
    bucket.let_leases_end();
    drop(open(&bucket, 30).await);
    assert_eq!(heartbeats(&bucket), 2, "the one with the long lease, and the newest");
    assert!(long.0.lease.renew().await.is_ok());
}

#[tokio::test]
async fn a_run_that_saw_a_fresh_heartbeat_looks_again_at_its_end() {
    let bucket = Bucket::new(&[first()]);
    drop(open(&bucket, 30).await);
    let next = open(&bucket, 30).await;
    assert_eq!(heartbeats(&bucket), 2, "it may be alive");
    bucket.let_leases_end();
    assert!(next.close().await.is_empty());
    assert_eq!(heartbeats(&bucket), 0);
}

#[tokio::test]
async fn a_run_that_was_ended_and_not_deleted_goes_at_once() {
    let bucket = Bucket::new(&[first()]);
    drop(open(&bucket, 30).await);
    bucket.let_leases_end();
    let requests = {
        let store = bucket.store(BreakOff::Never);
        let next = bucket.open_for("1", &store, settings()).await.unwrap();
        let requests = store.requests();
        next.close().await;
        requests
    };
    // The run that ends another one is killed at any moment itself; the one after it leaves nothing.
    for number in 0..requests {
        let bucket = Bucket::new(&[first()]);
        drop(open(&bucket, 30).await);
        bucket.let_leases_end();
        let store = bucket.store(BreakOff::After(number));
        drop(bucket.open_for("1", &store, settings()).await);
        bucket.let_leases_end();
        open(&bucket, 30).await.close().await;
        assert_eq!(heartbeats(&bucket), 0, "after request {number}");
    }
}

#[tokio::test]
async fn a_run_alone_asks_for_nothing_more() {
    let bucket = Bucket::new(&[first()]);
    open(&bucket, 30).await.close().await;
    assert_eq!(listings_of_heartbeats(&bucket), 1);
    let is_read = |name: &String| name.starts_with("GET lake/_e3sync/locks/") && name.ends_with(".json");
    assert!(!bucket.state().log.iter().any(is_read));
}

/// A heartbeat that comes after another run looked how old the last one was saves its run.
#[tokio::test]
async fn a_run_that_wakes_while_it_is_being_ended_goes_on() {
    let bucket = Bucket::new(&[first()]);
    let asleep = open(&bucket, 30).await;
    let key = asleep.0.layout.run(asleep.0.run);
    bucket.let_leases_end();
    let wake = {
        let (key, listings) = (key.clone(), std::sync::atomic::AtomicU32::new(0));
        move |state: &mut State| {
            if state.log.last().is_none_or(|name| name != "LIST lake/_e3sync/locks/") {
                return;
            }
            // The second listing is the one that ages are taken from.
            if listings.fetch_add(1, std::sync::atomic::Ordering::Relaxed) == 1 {
                let heartbeat = state.objects[&key].bytes.clone();
                state.put(&key, heartbeat, None);
            }
        }
    };
    let store = Arc::new(MemoryStore::new(bucket.state.clone(), BreakOff::Never, Some(Box::new(wake))));
    let _next = bucket.open_for("1", &store, settings()).await.unwrap();
    let state = bucket.state();
    let heartbeat = String::from_utf8(state.objects[&key].bytes.clone()).unwrap();
    assert!(!heartbeat.contains("ended_by"), "{heartbeat}");
}
