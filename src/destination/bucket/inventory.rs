//! What of a listing is in the bucket already, and what stands there besides: found by one walk over
//! the bucket's own listing of the partition.

use std::iter::Peekable;
use std::path::Path;

use futures::TryStreamExt as _;

use super::held::HeldRequests;
use super::layout::{self, Layout};
use super::spool::{ObjectList, Spool};
use super::store::StoredObject;
use crate::destination::ledger::Ledger;
use crate::destination::record::{Place, Record, StoredEtag};
use crate::destination::{Damage, Entries, Position, PublishedManifest};
use crate::error::{Error, ErrorKind, Result};
use crate::export::{Object, Partition, SUCCESS_MARKER, is_folder_marker};
use crate::manifest::Entry;

/// What stands at the destination under a partition's prefix.
pub(super) struct Found {
    /// Published objects that the new set does not have.
    pub replaced: ObjectList,
    /// Objects that a run stored and that no set has.
    pub leftover: ObjectList,
    /// Published objects that the new set has under the same key with other content.
    pub overwritten: ObjectList,
    /// Whether the marker of a complete day is there.
    pub has_success_marker: bool,
}

/// What a walk compares the bucket with.
pub(super) struct BucketWalk<'a> {
    pub requests: &'a HeldRequests,
    pub layout: &'a Layout,
    pub partition: &'a Partition,
    pub ledger: &'a Ledger<Spool>,
    /// The ledger of an earlier listing in the same run.
    pub previous: Option<&'a Ledger<Spool>>,
    /// The published manifest.
    pub manifest: Option<&'a PublishedManifest>,
    /// Whether the published set is of the same source as the new one.
    pub is_same_source: bool,
    pub run: u64,
    /// The dead runs whose unfinished work may stand in the partition.
    pub former_runs: &'a [u64],
    pub spill_folder: &'a Path,
    /// What is not to be kept though it is published.
    pub damage: &'a Damage,
}

/// The number by which objects are marked that a former run says it stored, until the bucket says so.
pub(super) const UNCONFIRMED: u64 = 0;

impl BucketWalk<'_> {
    /// Marks in the ledger what is there, and finds what is there besides.
    ///
    /// # Errors
    /// [`ErrorKind::DataForeign`] for an object that this tool did not store: it would be read
    /// as part of the day, or be overwritten. [`ErrorKind::ManifestMissing`] for one that may be all
    /// that is left of a published day whose manifest is gone.
    pub async fn go(self) -> Result<Found> {
        self.ledger.forget_published()?;
        let mut found = Found {
            replaced: ObjectList::new(self.spill_folder),
            leftover: ObjectList::new(self.spill_folder),
            overwritten: ObjectList::new(self.spill_folder),
            has_success_marker: false,
        };
        let entries: Entries = match self.manifest {
            Some(manifest) => manifest.entries()?,
            None => Box::new(std::iter::empty()),
        };
        let previous: Box<dyn Iterator<Item = Result<Object>> + Send> = match self.previous {
            Some(ledger) => Box::new(ledger.objects(Position::default())),
            None => Box::new(std::iter::empty()),
        };
        let listed = self.ledger.objects(Position::default()).zip(self.ledger.records(0));
        let mut known = Expected {
            listed: Ascending::new(Box::new(listed.map(|(object, record)| Ok((object?, record?))))),
            entries: Ascending::new(entries),
            previous: Ascending::new(previous),
            objects_seen: 0,
        };
        let prefix = self.layout.partition(self.partition);
        let mut objects = self.requests.objects(&prefix);
        while let Some(object) = objects.try_next().await? {
            self.take(&object, &prefix, &mut known, &mut found).await?;
        }
        // A marker says of itself nothing; the objects beside it tell whose the day is.
        let is_ours = self.manifest.is_some() || known.objects_seen > 0;
        if found.has_success_marker && !is_ours {
            return Err(self.foreign(&self.layout.success_marker(self.partition)).await);
        }
        Ok(found)
    }

    async fn take(
        &self,
        stored: &StoredObject,
        prefix: &str,
        known: &mut Expected<'_>,
        found: &mut Found,
    ) -> Result<()> {
        let key = stored.key.strip_prefix(prefix).unwrap_or(&stored.key);
        // Folders that a console or EMR made are no data and do readers no harm.
        if is_folder_marker(key, stored.size_bytes) {
            return Ok(());
        }
        let entry = known.entries.find(key, |entry| &entry.key)?;
        let was_listed = known.previous.find(key, |object| &object.key)?.is_some();
        if key == SUCCESS_MARKER {
            found.has_success_marker = true;
            return Ok(());
        }
        known.objects_seen += 1;
        let Some((index, (object, record))) = known.listed.find(key, |(object, _)| &object.key)? else {
            if entry.is_some() {
                return found.replaced.push(key, stored.size_bytes);
            }
            // Without a manifest, what was listed before may still be what stood there all along.
            if !was_listed || self.manifest.is_none() {
                self.check_is_ours(stored, None).await?;
            }
            return found.leftover.push(key, stored.size_bytes);
        };
        let entry = entry.map(|(_, entry)| entry);
        self.mark(index, &object, record, entry.as_ref(), stored)?;
        let is_known = entry.is_some() || was_listed || record.place != Place::Missing;
        let is_replaced_unseen =
            self.manifest.is_none() && record.place == Place::Missing && stored.size_bytes != object.size_bytes;
        if !is_known || is_replaced_unseen {
            self.check_is_ours(stored, Some(object.size_bytes)).await?;
        }
        let is_replaced =
            entry.is_some_and(|entry| is_still(&entry, stored)) && self.ledger.record(index)?.place != Place::Published;
        if is_replaced { found.overwritten.push(key, stored.size_bytes) } else { Ok(()) }
    }

    /// Notes that an object of the listing is there, if it is the very object.
    fn mark(
        &self,
        index: u64,
        object: &Object,
        record: Record,
        entry: Option<&Entry>,
        stored: &StoredObject,
    ) -> Result<()> {
        let is_it = |known_etag: Option<&str>| is_version(stored, object.size_bytes, known_etag);
        let stored_etag = stored.etag.as_deref().and_then(StoredEtag::new);
        match record.place {
            Place::Staged { run } => {
                let is_there = is_it(record.stored_etag.as_ref().map(StoredEtag::as_str));
                if run == UNCONFIRMED && is_there {
                    let place = Place::Staged { run: self.run };
                    return self.ledger.set_record(index, Record { place, ..record });
                }
                if run == self.run {
                    return Ok(());
                }
            }
            Place::Missing | Place::Published => {}
        }
        let is_sound = !self.damage.has_object(self.partition, &object.key);
        let published = entry.filter(|entry| is_sound && self.is_same_source && entry.is_of(object));
        match published.filter(|entry| is_it(entry.stored_etag.as_deref())) {
            Some(entry) => {
                let record = Record { place: Place::Published, content: Some(entry.content()), stored_etag };
                self.ledger.set_record(index, record)
            }
            None => Ok(()),
        }
    }

    /// Sees that an object of which no manifest tells may be overwritten or deleted: a run stored it,
    /// as it says itself, and it is no part of a published day. `listed_bytes` is its size in the new
    /// listing, where it has one.
    async fn check_is_ours(&self, stored: &StoredObject, listed_bytes: Option<u64>) -> Result<()> {
        let described = self.requests.head(&stored.key).await?;
        let origin = described.and_then(|described| described.origin);
        let Some(run) = origin.and_then(|origin| layout::run_of_origin(&origin, &stored.key)) else {
            return Err(self.foreign(&stored.key).await);
        };
        let is_unfinished_work = run == self.run || self.former_runs.contains(&run);
        let is_at_source = listed_bytes == Some(stored.size_bytes);
        if self.manifest.is_some() || is_unfinished_work || is_at_source {
            return Ok(());
        }
        Err(self.without_manifest(&stored.key).await)
    }

    /// What stands there was stored by a run that is not known to have left the day unfinished: the
    /// day was published, and its manifest is gone.
    async fn without_manifest(&self, key: &str) -> Error {
        if let Some(error) = self.lease_loss().await {
            return error;
        }
        let what = format!(
            "the day has no manifest, and the source does not have {} as it stands there",
            self.requests.address(key)
        );
        let manifest = self.requests.address(&self.layout.manifest(self.partition));
        Error::new(ErrorKind::ManifestMissing, what)
            .with_hint(format!(
                "e3sync stored it, so that it may be all that is left of a published day: bring {manifest} back, for example from the bucket's versions, or move what stands there away. Nothing was touched"
            ))
            .within(self.partition)
    }

    /// Why this run's lease has ended, if another run has gone on in place of this one.
    async fn lease_loss(&self) -> Option<Error> {
        self.requests.assure().await.err().filter(|error| error.kind() == ErrorKind::LeaseLost)
    }

    /// What stands there is somebody else's: another run's, if one has gone on in place of this one.
    async fn foreign(&self, key: &str) -> Error {
        if let Some(error) = self.lease_loss().await {
            return error;
        }
        Error::new(
            ErrorKind::DataForeign,
            format!("{} was not stored by e3sync", self.requests.address(key)),
        )
        .with_hint(
            "readers would take it for a part of the day; move it away, or choose another prefix. Nothing was touched",
        )
        .within(self.partition)
    }
}

/// Whether a published object stands where its manifest says, untouched.
fn is_still(entry: &Entry, stored: &StoredObject) -> bool {
    is_version(stored, entry.size_bytes, entry.stored_etag.as_deref())
}

fn is_version(stored: &StoredObject, size_bytes: u64, known_etag: Option<&str>) -> bool {
    let has_etag = known_etag.zip(stored.etag.as_deref()).is_none_or(|(known, found)| known == found);
    stored.size_bytes == size_bytes && has_etag
}

/// The ascending lists that a walk goes along.
struct Expected<'a> {
    listed: Ascending<'a, (Object, Record)>,
    entries: Ascending<'a, Entry>,
    previous: Ascending<'a, Object>,
    /// How many objects stand in the bucket.
    objects_seen: u64,
}

/// An ascending list in which ascending keys are looked up.
struct Ascending<'a, T> {
    items: Peekable<Box<dyn Iterator<Item = Result<T>> + Send + 'a>>,
    index: u64,
}

impl<'a, T> Ascending<'a, T> {
    fn new(items: Box<dyn Iterator<Item = Result<T>> + Send + 'a>) -> Self {
        Self { items: items.peekable(), index: 0 }
    }

    /// The item of this key with its number, where there is one.
    fn find(&mut self, key: &str, key_of: impl Fn(&T) -> &str) -> Result<Option<(u64, T)>> {
        loop {
            let found = match self.items.peek() {
                None => return Ok(None),
                Some(Ok(item)) if key_of(item) > key => return Ok(None),
                Some(Ok(item)) => key_of(item) == key,
                Some(Err(error)) => return Err(error.clone()),
            };
            let item = self.items.next().transpose()?;
            self.index += 1;
            if found {
                return Ok(item.map(|item| (self.index - 1, item)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ascending_keys_are_found_in_an_ascending_list() {
        let items = ["a", "c", "d", "f"].map(|key| Ok(key.to_owned()));
        let mut list = Ascending::new(Box::new(items.into_iter()));
        let mut find = |key: &str| list.find(key, |item| item).unwrap().map(|(index, _)| index);
        assert_eq!(
            [find("b"), find("c"), find("d"), find("e"), find("f"), find("g")],
            [None, Some(1), Some(2), None, Some(3), None]
        );
    }
}
