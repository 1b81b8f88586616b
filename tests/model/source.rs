//! The export in memory: two clouds behind the port `Source`, changed by the model between requests.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use e3sync::error::{Error, ErrorKind, Result};
use e3sync::export::{AccountId, Checksums, ExportLocation, Object as Listed, Partition, SUCCESS_MARKER, TypeName};
use e3sync::source::{Cloud, OpenObject, Page, PageToken, ReadRequest, Source, TypeDays};
use futures::StreamExt as _;
use jiff::civil::Date;
use sha2::{Digest as _, Sha256};

use crate::reference::{CLOUDS, DayAtSource, Listing, Object};
use crate::script::Script;

/// The days of the model, oldest first.
pub const DAYS: [Date; 3] =
    [jiff::civil::date(2026, 11, 15), jiff::civil::date(2026, 11, 18), jiff::civil::date(2026, 11, 20)];

/// The days before this one are past their grace period at the model's present time.
pub const FIRST_DAY_WITHIN_GRACE: usize = 2;

/// The only type of the model.
pub const TYPE: &str = "events";

/// Listings come in pages of this many objects, so that days have several.
const PAGE_OBJECTS: usize = 4;

/// In what way the source refuses one day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Its listing is answered with 403.
    Listing,
    /// Its objects are answered with 403.
    Objects,
    /// It has a key that leads out of the destination.
    Key,
}

/// Both clouds.
#[derive(Clone, Default)]
pub struct Export {
    /// By cloud and day.
    pub days: BTreeMap<(usize, usize), Listing>,
    /// Clouds that do not serve the export for now.
    pub silent: [bool; CLOUDS],
    pub refusals: BTreeMap<usize, Refusal>,
    /// All contents that each key ever had, in any cloud.
    pub written: BTreeMap<String, Vec<Bytes>>,
    /// Counts names and versions.
    pub count: u64,
    /// Whether objects are Parquet with a number of rows.
    pub is_parquet: bool,
}

impl Export {
    /// A new object of about this many bytes, with as many rows where it is Parquet.
    pub fn object(&mut self, size_bytes: usize, rows: u64) -> Object {
        self.count += 1;
        let mut bytes = format!("PAR1{:04}", self.count).into_bytes();
        bytes.resize(bytes.len() + size_bytes, b'.');
        if self.is_parquet {
            bytes.extend(footer(rows));
        }
        let sha256 = Sha256::digest(&bytes).into();
        Object { bytes: bytes.into(), sha256, version: self.count, rows: self.is_parquet.then_some(rows) }
    }

    /// Writes an object.
    pub fn insert(&mut self, place: (usize, usize), key: String, object: Object) {
        self.written.entry(key.clone()).or_default().push(object.bytes.clone());
        self.days.entry(place).or_default().objects.insert(key, object);
    }

    /// A name that was not there before. The same day has other names in another cloud.
    pub fn fresh_key(&mut self, cloud: usize, letter: &str) -> String {
        self.count += 1;
        let ending = if self.is_parquet { "parquet" } else { "bin" };
        format!("event={letter}/part-{cloud}-{:04}.{ending}", self.count)
    }

    fn has_day(&self, cloud: usize, day: usize) -> bool {
        let listing = self.days.get(&(cloud, day));
        !self.silent[cloud] && listing.is_some_and(|listing| listing.has_marker || !listing.objects.is_empty())
    }

    /// A day as the reference sees it.
    pub fn at(&self, day: usize) -> DayAtSource {
        let cloud_at = |cloud| self.has_day(cloud, day).then(|| self.days[&(cloud, day)].clone());
        let has_markers = |cloud| {
            (0..FIRST_DAY_WITHIN_GRACE).any(|day| self.has_day(cloud, day) && self.days[&(cloud, day)].has_marker)
        };
        DayAtSource {
            day,
            clouds: [cloud_at(0), cloud_at(1)],
            has_markers: [has_markers(0), has_markers(1)],
            is_grace_over: day < FIRST_DAY_WITHIN_GRACE,
        }
    }
}

/// The smallest end of a Parquet file that names a number of rows: version, no schema, rows.
fn footer(mut rows: u64) -> Vec<u8> {
    let mut metadata = vec![0x15, 0x02, 0x19, 0x0c, 0x16];
    rows *= 2;
    while rows >= 0x80 {
        metadata.push(u8::try_from(rows & 0x7f).unwrap() | 0x80);
        rows >>= 7;
    }
    metadata.extend([u8::try_from(rows).unwrap(), 0]);
    let length = u32::try_from(metadata.len()).unwrap().to_le_bytes();
    [metadata.as_slice(), &length, b"PAR1"].concat()
}

/// One cloud of the export, as one run sees it.
pub struct MemorySource {
    cloud: usize,
    export: Arc<Mutex<Export>>,
    script: Arc<Script>,
}

/// Where the export lies in a cloud.
pub fn location(cloud: usize) -> ExportLocation {
    let account = AccountId::parse("1").unwrap();
    let (scheme, bucket) = [("gs", "optimizely-e3-1"), ("s3", "optimizely-events-data")][cloud];
    ExportLocation::of_account(scheme, bucket, account)
}

/// The clouds for a run, the preferred one first.
pub fn clouds(export: &Arc<Mutex<Export>>, script: &Arc<Script>, order: &[usize]) -> Vec<Arc<Cloud>> {
    let source = |cloud| MemorySource { cloud, export: export.clone(), script: script.clone() };
    let cloud = |cloud: &usize| Arc::new(Cloud { location: location(*cloud), source: Arc::new(source(*cloud)) });
    order.iter().map(cloud).collect()
}

/// The partition of a day.
pub fn partition(day: usize) -> Partition {
    Partition { type_name: TypeName::parse(TYPE).unwrap(), date: DAYS[day] }
}

/// The number of a day of the model.
pub fn day_of(partition: &Partition) -> usize {
    DAYS.iter().position(|date| *date == partition.date).unwrap()
}

impl MemorySource {
    /// Waits for the request's turn, and gives the export as it is then.
    async fn request<T>(&self, answer: impl FnOnce(&Export) -> T) -> T {
        self.script.source_request(&self.export).await;
        answer(&self.export.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn listed(&self, key: &str, object: &Object) -> Listed {
        Listed {
            key: key.to_owned(),
            size_bytes: object.bytes.len() as u64,
            generation: (self.cloud == 0).then_some(object.version),
            etag: (self.cloud == 1).then(|| format!("\"{}\"", object.version)),
            ..Listed::default()
        }
    }

    fn page(&self, export: &Export, day: usize, prefix: &str, from: Option<&PageToken>) -> Page {
        let mut objects = BTreeMap::new();
        if export.has_day(self.cloud, day) {
            let listing = &export.days[&(self.cloud, day)];
            objects.extend(listing.objects.iter().map(|(key, object)| (key.clone(), self.listed(key, object))));
            if listing.has_marker {
                let marker = Listed { key: SUCCESS_MARKER.into(), ..Listed::default() };
                objects.insert(SUCCESS_MARKER.to_owned(), marker);
            }
            if export.refusals.get(&day) == Some(&Refusal::Key) {
                let key = "event=a/../../stray".to_owned();
                objects.insert(key.clone(), Listed { key, size_bytes: 1, ..Listed::default() });
            }
        }
        let begin = from.map_or(Bound::Unbounded, |token| Bound::Excluded(token.last_key.clone()));
        let of_prefix = objects.range((begin, Bound::Unbounded)).filter(|(key, _)| key.starts_with(prefix));
        let mut objects: Vec<Listed> = of_prefix.map(|(_, object)| object.clone()).collect();
        let is_last = objects.len() <= PAGE_OBJECTS;
        objects.truncate(PAGE_OBJECTS);
        let last_key = objects.last().map_or_else(String::new, |object| object.key.clone());
        let next = (!is_last).then(|| PageToken { token: last_key.clone(), last_key, empty_pages: 0 });
        Page { objects, next }
    }

    fn bytes_of(&self, export: &Export, partition: &Partition, object: &Listed) -> Result<Bytes> {
        let day = day_of(partition);
        if export.refusals.get(&day) == Some(&Refusal::Objects) {
            return Err(Error::new(ErrorKind::AccessDenied, format!("403 for {} of {partition}", object.key)));
        }
        let found = export.days.get(&(self.cloud, day)).and_then(|listing| listing.objects.get(&object.key));
        let found = found.filter(|found| export.has_day(self.cloud, day) && self.listed(&object.key, found) == *object);
        found.map(|found| found.bytes.clone()).ok_or_else(|| {
            Error::new(ErrorKind::SourceChanged, format!("{} of {partition} is no longer what was listed", object.key))
        })
    }
}

#[async_trait]
impl Source for MemorySource {
    async fn location(&self) -> Result<ExportLocation> {
        Ok(location(self.cloud))
    }

    async fn list_types(&self) -> Result<Vec<TypeName>> {
        let has_any = |export: &Export| (0..DAYS.len()).any(|day| export.has_day(self.cloud, day));
        Ok(if self.request(has_any).await { vec![TypeName::parse(TYPE).unwrap()] } else { Vec::new() })
    }

    async fn list_days(&self, _type_name: &TypeName) -> Result<TypeDays> {
        let days = |export: &Export| (0..DAYS.len()).filter(|day| export.has_day(self.cloud, *day)).collect();
        let days: Vec<usize> = self.request(days).await;
        Ok(TypeDays { days: days.into_iter().map(|day| DAYS[day]).collect(), ..TypeDays::default() })
    }

    async fn list_page(&self, partition: &Partition, prefix: &str, from: Option<&PageToken>) -> Result<Page> {
        let day = day_of(partition);
        self.request(|export| match export.refusals.get(&day) {
            Some(Refusal::Listing) => {
                Err(Error::new(ErrorKind::AccessDenied, format!("403 for the listing of {partition}")))
            }
            _ => Ok(self.page(export, day, prefix, from)),
        })
        .await
    }

    async fn open(&self, partition: &Partition, object: &Listed, request: ReadRequest) -> Result<OpenObject> {
        let bytes = self.request(|export| self.bytes_of(export, partition, object)).await?;
        let bytes = match request.range {
            Some(range) => bytes.slice(usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap()),
            None => bytes,
        };
        Ok(OpenObject { checksums: Checksums::default(), body: futures::stream::iter([Ok(bytes)]).boxed() })
    }

    async fn keep_fresh(&self) -> Error {
        std::future::pending().await
    }

    fn credentials_remaining(&self) -> Option<std::time::Duration> {
        None
    }
}
