//! Whose mirror a bucket is, and from when on.

use super::*;

const IDENTITY: &str = "lake/_e3sync/destination.json";

async fn open(bucket: &Bucket, account_id: &str) -> Result<BucketDestination> {
    bucket.open_for(account_id, &bucket.store(BreakOff::Never), settings()).await
}

fn is_bound(bucket: &Bucket) -> bool {
    bucket.state().objects.contains_key(IDENTITY)
}

#[tokio::test]
async fn another_accounts_mirror_is_refused_before_anything_is_written() {
    let bucket = Bucket::new(&[first()]);
    bucket.run(&bucket.store(BreakOff::Never), &first(), false).await.unwrap();
    let before = bucket.state().objects.clone();
    assert_eq!(open(&bucket, "12").await.err().unwrap().kind(), ErrorKind::DestinationForeign);
    assert_eq!(bucket.state().objects, before);
}

#[tokio::test]
async fn a_run_that_published_nothing_binds_the_bucket_to_no_account() {
    let bucket = Bucket::new(&[first()]);
    let one = open(&bucket, "1").await.unwrap();
    let claim = one.claim(&partition()).await.unwrap();
    claim.prepare(&mut listing(&first()), SOURCE).await.unwrap();
    one.close().await;
    assert!(!is_bound(&bucket));
    bucket.let_leases_end();
    let other = open(&bucket, "12").await.unwrap();
    transfer(&other, &first()).await.unwrap();
    assert!(is_bound(&bucket));
    assert_eq!(open(&bucket, "1").await.err().unwrap().kind(), ErrorKind::DestinationForeign);
}

#[tokio::test]
async fn a_mirror_that_became_another_accounts_meanwhile_is_not_published_into() {
    let bucket = Bucket::new(&[first()]);
    let (one, other) = (open(&bucket, "1").await.unwrap(), open(&bucket, "12").await.unwrap());
    transfer(&one, &first()).await.unwrap();
    let other_day = Partition { date: jiff::civil::date(2026, 11, 21), ..partition() };
    let claim = other.claim(&other_day).await.unwrap();
    claim.prepare(&mut listing(&set(&[])), SOURCE).await.unwrap();
    assert_eq!(
        claim.publish(terms(listing(&set(&[])).summary.digest)).await.unwrap_err().kind(),
        ErrorKind::DestinationForeign
    );
    let state = bucket.state();
    assert!(!state.objects.keys().any(|key| key.contains("manifests/") && key.contains("2026-11-21")));
    assert!(!state.objects.contains_key("lake/type=events/date=2026-11-21/_SUCCESS"));
}
