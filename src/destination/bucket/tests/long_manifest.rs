//! A manifest that is too long for one request replaces only what it was made from.

use super::*;
use crate::destination::bucket::spool::Spool;
use crate::destination::ledger::RandomAccess as _;

const KEY: &str = "lake/_e3sync/manifests/long";
const LENGTH_BYTES: u64 = 17 * 1024 * 1024;

/// Bytes of which each test has others.
fn spool(content: u8) -> Spool {
    let spool = Spool::new(&std::env::temp_dir());
    spool.write_all_at(&[content], LENGTH_BYTES - 1).unwrap();
    spool
}

/// The requests of a run that holds its lease.
async fn over(store: MemoryStore) -> HeldRequests {
    let requests = Arc::new(requests(Arc::new(store), &settings(), Arc::new(Silent), Arc::default()));
    let layout = Layout::new("lake/");
    let lease =
        Lease::begin(requests.clone(), layout, 1, "test".to_owned(), LeaseSettings::default(), false).await.unwrap();
    HeldRequests::new(requests, lease)
}

/// Whether a key is one of the lease's own.
fn is_heartbeat(key: &str) -> bool {
    key.starts_with(&Layout::new("lake/").runs())
}

fn stands_alone(bucket: &Bucket, content: u8) {
    let state = bucket.state();
    let found: Vec<_> = state
        .objects
        .iter()
        .filter(|(key, _)| !is_heartbeat(key))
        .map(|(key, object)| (key.as_str(), *object.bytes.last().unwrap()))
        .collect();
    assert_eq!(found, [(KEY, content)], "{:?}", state.log);
    assert!(state.uploads.is_empty(), "{:?}", state.uploads);
}

#[tokio::test]
async fn it_minds_its_condition_however_the_bucket_knows_conditions() {
    for copies_into_place in [false, true] {
        let bucket = Bucket::new(&[]);
        let store = MemoryStore::new(bucket.state.clone(), BreakOff::Never, None);
        let requests = over(store.copying_into_place(copies_into_place)).await;
        let put = async |content: u8, condition: Condition<'_>| {
            requests.put_spooled(KEY, &spool(content), condition).await.unwrap()
        };
        let Put::Stored(first) = put(1, Condition::IfAbsent).await else { panic!("nothing stood there") };
        assert_eq!(put(2, Condition::IfAbsent).await, Put::Refused);
        stands_alone(&bucket, 1);
        let Put::Stored(second) = put(3, Condition::IfMatch(&first)).await else { panic!("it was the first") };
        assert_eq!(put(4, Condition::IfMatch(&first)).await, Put::Refused);
        stands_alone(&bucket, 3);
        assert!(matches!(put(5, Condition::IfMatch(&second)).await, Put::Stored(_)));
        stands_alone(&bucket, 5);
    }
}

#[tokio::test]
async fn it_is_no_manifest_of_another_writer_that_takes_the_same_place_first() {
    let bucket = Bucket::new(&[]);
    let look = |state: &mut State| {
        // The other writer ends its upload behind ours.
        if state.log.last().is_some_and(|request| request.starts_with("COMPLETE")) {
            state.put(&format!("{KEY}.beside"), vec![9], None);
        }
    };
    let store = MemoryStore::new(bucket.state.clone(), BreakOff::Never, Some(Box::new(look)));
    let requests = over(store.copying_into_place(true)).await;
    assert_eq!(requests.put_spooled(KEY, &spool(1), Condition::IfAbsent).await.unwrap(), Put::Refused);
    assert!(bucket.state().objects.keys().all(|key| is_heartbeat(key)), "{:?}", bucket.state().log);
}
