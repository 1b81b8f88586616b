//! The checks.

use e3sync::destination::{PublishTerms, Published};
use e3sync::error::ErrorKind;
use e3sync::export::{Filter, NamePattern, Scope};
use e3sync::manifest::{Completeness, Entry};

use super::driver::{
    DAY, PART_BYTES, SOURCE, Set, assert_seen, begin, counted, first, listing, open, partition, put, put_all, run,
    second, set, terms, transfer, works,
};
use super::kinds::Kind;
use crate::harness::sha256_hex;

/// What another run, and one that only looks, are told of the partition.
async fn published(kind: &dyn Kind) -> Published {
    let destination = open(kind).await;
    let published = destination.published(&partition()).await.unwrap();
    destination.close().await;
    let looked = kind.look().await.published(&partition()).await.unwrap();
    assert_eq!(looked.header, published.header);
    published
}

pub async fn a_published_set_is_read_back(kind: &dyn Kind) {
    let (header, keys) = run(kind, &first(), terms()).await.unwrap();
    assert_eq!(keys, first().into_keys().collect::<Vec<_>>(), "all of it was to do");
    assert_seen(kind, &first(), true);
    assert_eq!((header.objects, header.bytes), (4, first().values().map(|content| content.len() as u64).sum()));
    assert_eq!((header.source.as_str(), header.account_id.as_str()), (SOURCE, "1"));
    assert_eq!((&header.selection, header.completeness), (&Scope::All, Completeness::Declared));
    assert_eq!(header.listing_digest, listing(&first()).summary.digest);
    let found = published(kind).await;
    assert_eq!((found.header.as_ref(), found.is_unsettled), (Some(&header), false));

    let looking = kind.look().await;
    assert_eq!(looking.account_id(), Some("1"));
    assert_eq!(looking.days().await.unwrap(), [(partition().type_name, vec![partition().date])]);
    let entries: Vec<Entry> =
        looking.manifest(&partition()).await.unwrap().unwrap().entries().unwrap().collect::<Result<_, _>>().unwrap();
    let told: Set = entries.iter().map(|entry| (entry.key.clone(), entry.content().sha256.to_vec())).collect();
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    for (key, content) in first() {
        assert_eq!(hex(&told[&key]), sha256_hex(&content), "{key}");
    }
    assert_eq!(told.len(), 4);
    let destination = open(kind).await;
    assert_eq!(destination.published_days().await.unwrap(), looking.days().await.unwrap());
    destination.close().await;
}

pub async fn what_is_unchanged_is_not_work_again(kind: &dyn Kind) {
    run(kind, &first(), terms()).await.unwrap();
    let destination = open(kind).await;
    let claim = destination.claim(&partition()).await.unwrap();
    let mut grown = first();
    grown.insert("event=z/9".into(), b"late".to_vec());
    let inventory = claim.prepare(&mut listing(&grown), SOURCE).await.unwrap();
    assert_eq!((inventory.objects_here, inventory.objects_staged), (4, 0));
    assert_eq!(put_all(claim.as_ref(), &grown).await.unwrap(), ["event=z/9"]);
    claim.publish(terms()).await.unwrap();
    destination.close().await;
    assert_seen(kind, &grown, true);
}

pub async fn a_replaced_set_takes_the_old_one_away(kind: &dyn Kind) {
    run(kind, &first(), terms()).await.unwrap();
    let (header, keys) = run(kind, &second(), terms()).await.unwrap();
    assert_eq!(keys, ["event=a/5", "event=b/3", "event=d/6"], "what is the same stays");
    assert_seen(kind, &second(), true);
    assert_eq!(published(kind).await.header, Some(header));
}

pub async fn a_changed_listing_is_prepared_again_in_the_same_claim(kind: &dyn Kind) {
    let destination = open(kind).await;
    let claim = destination.claim(&partition()).await.unwrap();
    claim.prepare(&mut listing(&first()), SOURCE).await.unwrap();
    put_all(claim.as_ref(), &first()).await.unwrap();
    let inventory = claim.prepare(&mut listing(&second()), SOURCE).await.unwrap();
    assert_eq!(counted(inventory), 1, "what is in both is here");
    let keys = put_all(claim.as_ref(), &second()).await.unwrap();
    assert_eq!(keys, ["event=a/5", "event=b/3", "event=d/6"]);
    claim.publish(terms()).await.unwrap();
    destination.close().await;
    assert_seen(kind, &second(), true);
}

pub async fn a_narrower_selection_is_not_marked_and_can_grow(kind: &dyn Kind) {
    let events = vec![NamePattern::parse("b").unwrap()];
    let scope = Scope::of_filter(Filter { events, ..Filter::default() });
    let part = set(&[("event=b/3", "")]);
    let (header, _) = run(kind, &part, PublishTerms { scope: scope.clone(), ..terms() }).await.unwrap();
    assert_eq!(header.selection, scope);
    assert_seen(kind, &part, false);
    assert_eq!(published(kind).await.header.unwrap().selection, scope);
    let (_, keys) = run(kind, &first(), terms()).await.unwrap();
    assert_eq!(keys.len(), 3, "the part is here already");
    assert_seen(kind, &first(), true);
}

pub async fn a_set_that_is_not_complete_is_not_marked_until_it_is(kind: &dyn Kind) {
    let undeclared = PublishTerms { completeness: Completeness::Undeclared, ..terms() };
    run(kind, &first(), undeclared).await.unwrap();
    assert_seen(kind, &first(), false);
    let (header, keys) = run(kind, &first(), terms()).await.unwrap();
    assert_eq!(keys.len(), 0, "only the marker is new");
    assert_eq!(header.completeness, Completeness::Declared);
    assert_seen(kind, &first(), true);
    assert_eq!(published(kind).await.header, Some(header));
}

pub async fn a_shrunken_set_is_held_until_accepted(kind: &dyn Kind) {
    let (header, _) = run(kind, &first(), terms()).await.unwrap();
    let shrunken = set(&[("event=a/7", "little")]);
    for _ in 0..2 {
        let cautious = PublishTerms { accept_shrink: false, ..terms() };
        let error = run(kind, &shrunken, cautious).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Shrunk, "{error}");
        assert_seen(kind, &first(), true);
        assert_eq!(published(kind).await.header.as_ref(), Some(&header));
    }
    run(kind, &shrunken, PublishTerms { accept_shrink: true, ..terms() }).await.unwrap();
    assert_seen(kind, &shrunken, true);
}

pub async fn a_claimed_partition_is_held_against_others_only(kind: &dyn Kind) {
    let one = open(kind).await;
    let other = kind.open_for("1", "run 2").await.unwrap();
    let claim = one.claim(&partition()).await.unwrap();
    let error = other.claim(&partition()).await.err().expect("two runs have the same partition");
    assert_eq!(error.kind(), ErrorKind::Held);
    assert!(format!("{error} {:?}", error.hint()).contains("run 1"), "{error}: {:?}", error.hint());
    let mut another_day = partition();
    another_day.date = another_day.date.yesterday().unwrap();
    drop(other.claim(&another_day).await.unwrap());

    claim.prepare(&mut listing(&first()), SOURCE).await.unwrap();
    put_all(claim.as_ref(), &first()).await.unwrap();
    claim.publish(terms()).await.unwrap();
    drop(claim);
    one.close().await;
    transfer(other.as_ref(), &second(), terms()).await.unwrap();
    other.close().await;
    assert_seen(kind, &second(), true);
}

pub async fn staged_work_is_found_by_the_next_opening(kind: &dyn Kind) {
    {
        let destination = open(kind).await;
        let claim = destination.claim(&partition()).await.unwrap();
        claim.prepare(&mut listing(&first()), SOURCE).await.unwrap();
        for work in works(claim.as_ref()).await.into_iter().take(2) {
            put(claim.as_ref(), &work, &first()[&work.object.key]).await.unwrap();
        }
        drop(claim);
        destination.close().await;
    }
    let destination = open(kind).await;
    assert_eq!(destination.published(&partition()).await.unwrap().header, None);
    let claim = destination.claim(&partition()).await.unwrap();
    let inventory = claim.prepare(&mut listing(&first()), SOURCE).await.unwrap();
    assert_eq!(counted(inventory), 2);
    assert_eq!(put_all(claim.as_ref(), &first()).await.unwrap().len(), 2);
    claim.publish(terms()).await.unwrap();
    destination.close().await;
    assert_seen(kind, &first(), true);
}

pub async fn an_interrupted_object_goes_on(kind: &dyn Kind) {
    let large = |works: Vec<e3sync::destination::Work>| {
        works.into_iter().find(|work| work.object.key == "event=a/2").expect("the large object is to do")
    };
    let content = first()["event=a/2"].clone();
    {
        let destination = open(kind).await;
        let claim = destination.claim(&partition()).await.unwrap();
        claim.prepare(&mut listing(&first()), SOURCE).await.unwrap();
        let work = large(works(claim.as_ref()).await);
        drop(begin(claim.as_ref(), &work, &content, 2).await.unwrap());
        drop(claim);
        destination.close().await;
    }
    let destination = open(kind).await;
    let claim = destination.claim(&partition()).await.unwrap();
    claim.prepare(&mut listing(&first()), SOURCE).await.unwrap();
    let work = large(works(claim.as_ref()).await);
    let came = put(claim.as_ref(), &work, &content).await.unwrap();
    // A directory takes notes of objects only from a size on that is worth it.
    let kept = if destination.buffers_objects() { 2 * PART_BYTES } else { 0 };
    assert_eq!(came, content.len() - kept, "finished parts came again");
    put_all(claim.as_ref(), &first()).await.unwrap();
    claim.publish(terms()).await.unwrap();
    destination.close().await;
    assert_seen(kind, &first(), true);
}

pub async fn staged_work_that_is_discarded_leaves_the_published_set(kind: &dyn Kind) {
    // All under new keys: other bytes under an old one cannot be taken back in a bucket.
    let mut rewritten = second();
    rewritten.remove("event=b/3");
    let (header, _) = run(kind, &first(), terms()).await.unwrap();
    {
        let destination = open(kind).await;
        let claim = destination.claim(&partition()).await.unwrap();
        claim.prepare(&mut listing(&rewritten), SOURCE).await.unwrap();
        put_all(claim.as_ref(), &rewritten).await.unwrap();
        drop(claim);
        destination.close().await;
    }
    let destination = open(kind).await;
    destination.discard_staged(&partition()).await.unwrap();
    destination.discard_staged(&partition()).await.expect("there is nothing to discard any more");
    destination.close().await;
    assert_seen(kind, &first(), true);
    let found = published(kind).await;
    assert_eq!((found.header, found.is_unsettled), (Some(header), false));
    let (_, keys) = run(kind, &rewritten, terms()).await.unwrap();
    assert_eq!(keys, ["event=a/5", "event=d/6"], "what was discarded is to do again");
    assert_seen(kind, &rewritten, true);
}

pub async fn forgotten_objects_are_work_again(kind: &dyn Kind) {
    let destination = open(kind).await;
    let claim = destination.claim(&partition()).await.unwrap();
    claim.prepare(&mut listing(&first()), SOURCE).await.unwrap();
    for work in works(claim.as_ref()).await {
        let content = &first()[&work.object.key];
        // Their bytes turn out to be wrong when all have come.
        drop(begin(claim.as_ref(), &work, content, usize::MAX).await.unwrap());
        claim.forget(&work).await.unwrap();
        assert_eq!(put(claim.as_ref(), &work, content).await.unwrap(), content.len(), "nothing wrong is gone on with");
    }
    assert_eq!(works(claim.as_ref()).await.len(), 0);
    claim.publish(terms()).await.unwrap();
    destination.close().await;
    assert_seen(kind, &first(), true);
}

pub async fn foreign_data_is_refused_and_stays(kind: &dyn Kind) {
    let path = format!("{DAY}/event=x/other");
    kind.put(&path, b"mine");
    let error = run(kind, &first(), terms()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DataForeign, "{error}");
    assert_eq!(kind.data(), Set::from([(path, b"mine".to_vec())]));
}

pub async fn another_account_is_refused(kind: &dyn Kind) {
    run(kind, &first(), terms()).await.unwrap();
    let error = kind.open_for("12", "run 2").await.err().expect("two accounts have the same mirror");
    assert_eq!(error.kind(), ErrorKind::DestinationForeign, "{error}");
    assert_seen(kind, &first(), true);
}

pub async fn a_set_is_published_twice(kind: &dyn Kind) {
    let (one, _) = run(kind, &first(), terms()).await.unwrap();
    let (other, keys) = run(kind, &first(), terms()).await.unwrap();
    assert_eq!((one, keys.len()), (other, 0));
    assert_seen(kind, &first(), true);
    let destination = open(kind).await;
    for set in [second(), first(), second()] {
        transfer(destination.as_ref(), &set, terms()).await.unwrap();
        assert_seen(kind, &set, true);
    }
    destination.close().await;
}

pub async fn an_empty_day_is_a_day(kind: &dyn Kind) {
    let (header, keys) = run(kind, &Set::new(), terms()).await.unwrap();
    assert_eq!((header.objects, keys.len()), (0, 0));
    assert_seen(kind, &Set::new(), true);
    assert_eq!(published(kind).await.header, Some(header));
    run(kind, &first(), terms()).await.unwrap();
    assert_seen(kind, &first(), true);
}

pub async fn what_another_source_had_is_not_taken_for_the_same(kind: &dyn Kind) {
    run(kind, &first(), terms()).await.unwrap();
    let terms = PublishTerms { source: "gs://elsewhere/v1/account_id=1/".into(), ..terms() };
    let (header, keys) = run(kind, &first(), terms.clone()).await.unwrap();
    assert_eq!(keys.len(), 4, "identities of two clouds were compared");
    assert_eq!(header.source, terms.source);
    assert_seen(kind, &first(), true);
}

pub async fn whoever_publishes_first_binds_the_destination(kind: &dyn Kind) {
    // A run that publishes nothing binds nothing.
    let idle = kind.open_for("2", "run 0").await.unwrap();
    idle.close().await;
    let one = kind.open_for("1", "run 1").await.unwrap();
    let other = kind.open_for("2", "run 2").await.unwrap();
    transfer(one.as_ref(), &first(), terms()).await.unwrap();
    let error = transfer(other.as_ref(), &second(), terms()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DestinationForeign, "{error}");
    assert_seen(kind, &first(), true);
    let error = kind.open_for("2", "run 3").await.err().expect("a refusal");
    assert_eq!(error.kind(), ErrorKind::DestinationForeign, "{error}");
}
