//! What the engine does with one partition, one object after the other.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use e3sync::destination::{Claim, Destination, Inventory, Position, Publication, PublishTerms, Work};
use e3sync::error::{Error, ErrorKind, Result};
use e3sync::export::{Checksums, Object, Partition, Scope, TypeName};
use e3sync::hash::ObjectHasher;
use e3sync::manifest::{Completeness, Header, VerifiedContent};
use e3sync::plan::{Listing, ListingBuilder};
use jiff::Timestamp;

use super::kinds::Kind;
use crate::harness::sha256_hex;

pub const DAY: &str = "type=events/date=2026-11-20";
pub const SOURCE: &str = "s3://source/v1/account_id=1/";
pub const PART_BYTES: usize = 10;

/// A set of objects: keys with their contents.
pub type Set = BTreeMap<String, Vec<u8>>;

pub fn partition() -> Partition {
    Partition { type_name: TypeName::parse("events").unwrap(), date: "2026-11-20".parse().unwrap() }
}

pub fn set(objects: &[(&str, &str)]) -> Set {
    objects.iter().map(|(key, content)| ((*key).to_owned(), content.as_bytes().to_vec())).collect()
}

/// The first set of a day: one object of it is large, one has no bytes, some have odd names.
pub fn first() -> Set {
    set(&[
        ("event=a%3Ab (0);/1", "one"),
        ("event=a/2", "a large object, which comes in parts"),
        ("event=b/3", ""),
        ("event=g\u{f6}\u{df}e +/4", "four"),
    ])
}

/// The rewritten day: objects are new, gone, the same, and other bytes under the same key.
pub fn second() -> Set {
    set(&[
        ("event=a%3Ab (0);/1", "one"),
        ("event=a/5", "another large object in several parts, rather more of them"),
        ("event=b/3", "no longer empty"),
        ("event=d/6", "six"),
    ])
}

/// What the source says of the set; an object's ETag is of its content.
pub fn listing(set: &Set) -> Listing {
    let mut builder = ListingBuilder::new(&std::env::temp_dir());
    for (key, content) in set {
        let etag = Some(sha256_hex(content)[..16].to_owned());
        let size_bytes = content.len() as u64;
        builder.add(&Object { key: key.clone(), size_bytes, etag, ..Object::default() }).unwrap();
    }
    builder.finish()
}

/// What the set is published with, as a whole and complete day. It may lack published objects: what is
/// kept is not decided by a destination.
pub fn terms() -> PublishTerms {
    PublishTerms {
        source: SOURCE.into(),
        scope: Scope::All,
        listing_digest: listing(&Set::new()).summary.digest,
        only_marks: false,
        completeness: Completeness::Declared,
        now: "2026-11-21T06:00:00Z".parse::<Timestamp>().unwrap(),
        accept_shrink: true,
    }
}

/// Opens the destination for the account that all checks but one are about.
pub async fn open(kind: &dyn Kind) -> Arc<dyn Destination> {
    kind.open_for("1", "run 1").await.unwrap()
}

/// One whole run; gives the header and the keys that were transferred.
pub async fn run(kind: &dyn Kind, set: &Set, terms: PublishTerms) -> Result<(Header, Vec<String>)> {
    let destination = open(kind).await;
    let done = transfer(destination.as_ref(), set, terms).await;
    destination.close().await;
    done
}

pub async fn transfer(destination: &dyn Destination, set: &Set, terms: PublishTerms) -> Result<(Header, Vec<String>)> {
    let claim = destination.claim(&partition()).await?;
    let mut listing = listing(set);
    claim.prepare(&mut listing, &terms.source).await?;
    let keys = put_all(claim.as_ref(), set).await?;
    let terms = PublishTerms { listing_digest: listing.summary.digest, ..terms };
    match claim.publish(terms).await? {
        Publication::Published(header) => Ok((*header, keys)),
        Publication::Held => Err(Error::new(ErrorKind::Shrunk, "held back")),
    }
}

/// Transfers what is still to do; gives the keys.
pub async fn put_all(claim: &dyn Claim, set: &Set) -> Result<Vec<String>> {
    let (mut keys, mut position) = (Vec::new(), Position::default());
    // Fewer at once than there are, so that a position is used.
    while let Some((works, next)) = claim.work(position, 2).await? {
        for work in works {
            if work.is_staged && claim.recheck(&work).await? {
                continue;
            }
            put(claim, &work, &set[&work.object.key]).await?;
            keys.push(work.object.key);
        }
        position = next;
    }
    Ok(keys)
}

/// All that is to do.
pub async fn works(claim: &dyn Claim) -> Vec<Work> {
    claim.work(Position::default(), 100).await.unwrap().map_or_else(Vec::new, |(works, _)| works)
}

/// Stores an object; gives the number of bytes that had to come.
pub async fn put(claim: &dyn Claim, work: &Work, content: &[u8]) -> Result<usize> {
    let (begins_at, hasher, writer) = begin(claim, work, content, usize::MAX).await?;
    let (sha256, computed) = hasher.finish();
    writer.finish(&VerifiedContent { sha256, checksums: Checksums::default(), rows: None }, &computed).await?;
    Ok(content.len() - begins_at)
}

/// Stores the beginning of an object, up to so many parts of it.
pub async fn begin(
    claim: &dyn Claim,
    work: &Work,
    content: &[u8],
    parts_max: usize,
) -> Result<(usize, ObjectHasher, Box<dyn e3sync::destination::ObjectWriter>)> {
    let part_size_bytes = (content.len() > PART_BYTES * 2).then_some(PART_BYTES as u64);
    let hasher = ObjectHasher::for_checksums(&Checksums::default());
    let (writer, mut hasher) = claim.open(work, hasher, part_size_bytes).await?;
    let begins_at = usize::try_from(hasher.length_bytes()).unwrap();
    let mut offset = begins_at as u64;
    for part in content[begins_at..].chunks(PART_BYTES).take(parts_max) {
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
    Ok((begins_at, hasher, writer))
}

/// How much of a set is counted as being at the destination.
pub fn counted(inventory: Inventory) -> u64 {
    inventory.objects_here + inventory.objects_staged
}

/// Fails the test unless a reader sees exactly this set, marked as complete or not.
#[track_caller]
pub fn assert_seen(kind: &dyn Kind, set: &Set, is_marked: bool) {
    let mut expected: Set = set.iter().map(|(key, content)| (format!("{DAY}/{key}"), content.clone())).collect();
    if is_marked {
        expected.insert(format!("{DAY}/_SUCCESS"), Vec::new());
    }
    let found = kind.data();
    assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
    assert_eq!(found, expected);
}
