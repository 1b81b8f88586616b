//! What is published in the bucket: the headers of all manifests, known without reading each of them
//! at every run. An index keeps them with the ETags of the manifests that they are of; a manifest with
//! another ETag is read.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::held::HeldRequests;
use super::layout::Layout;
use super::requests::Requests;
use super::spool::Spool;
use super::store::{Condition, StoredObject, Version};
use crate::destination::{Published, PublishedDays};
use crate::error::Result;
use crate::export::{Partition, TypeName};
use crate::manifest::{self, Header};

/// Maximum number of manifests read concurrently.
const READ_AT_ONCE: usize = 32;

/// A header is no longer than this; see the manifest's own bound on lines.
const HEADER_BYTES_MAX: u64 = 64 * 1024;

/// A line of the index.
#[derive(Serialize, Deserialize)]
struct IndexLine {
    key: String,
    etag: String,
    header: Header,
}

/// What is published, and what is begun.
#[derive(Default)]
pub(super) struct Catalog(Mutex<CatalogState>);

#[derive(Default)]
struct CatalogState {
    published: HashMap<Partition, KnownManifest>,
    /// Partitions that are claimed, by any run.
    claimed: HashSet<Partition>,
    /// Partitions that another run was found at work on, so that what is known of them is out of date.
    /// With the ETag of the manifest where that was seen.
    outdated: HashMap<Partition, String>,
    /// Whether the index in the bucket says something else.
    is_changed: bool,
    /// Number of partitions that this run has published since the index was written.
    unwritten: usize,
}

struct KnownManifest {
    etag: String,
    /// A manifest that cannot be read is an error wherever it is asked for.
    header: Result<Header>,
}

impl Catalog {
    /// Reads what is published in the bucket.
    pub async fn load(requests: &Requests, layout: &Layout) -> Result<Self> {
        let listed = list_manifests(requests, layout).await?;
        let mut indexed = read_index(requests, layout).await?;
        let indexed_before = indexed.len();
        let (mut known, mut unknown) = (CatalogState::default(), Vec::new());
        for (partition, object) in listed {
            let etag = object.etag.unwrap_or_default();
            match indexed.remove(&object.key).filter(|line| line.etag == etag && !etag.is_empty()) {
                Some(line) => {
                    known.published.insert(partition, KnownManifest { etag, header: Ok(line.header) });
                }
                None => unknown.push((partition, object.key)),
            }
        }
        known.is_changed = known.published.len() != indexed_before || !unknown.is_empty();
        let read = unknown.into_iter().map(|(partition, key)| async move {
            let manifest = read_header(requests, &partition, &key).await?;
            Ok::<_, crate::error::Error>((partition, manifest))
        });
        let mut read = stream::iter(read).buffer_unordered(READ_AT_ONCE);
        while let Some((partition, manifest)) = read.try_next().await? {
            if let Some(manifest) = manifest {
                known.published.insert(partition, manifest);
            }
        }
        drop(read);
        known.claimed = list_claims(requests, layout).await?;
        Ok(Self(Mutex::new(known)))
    }

    /// What is published of a partition.
    pub fn published(&self, partition: &Partition) -> Result<Published> {
        let known = self.known();
        let header = known.published.get(partition).map(|manifest| manifest.header.clone()).transpose()?;
        Ok(Published { header, is_unsettled: known.claimed.contains(partition), is_damaged: false })
    }

    /// The days that are published.
    pub fn days(&self) -> PublishedDays {
        let mut types: BTreeMap<TypeName, Vec<Date>> = BTreeMap::new();
        for partition in self.known().published.keys() {
            types.entry(partition.type_name.clone()).or_default().push(partition.date);
        }
        let sorted = types.into_iter().map(|(type_name, mut days)| {
            days.sort();
            (type_name, days)
        });
        sorted.collect()
    }

    /// The claimed partitions, ascending by day.
    pub fn claimed(&self) -> Vec<Partition> {
        let mut claimed: Vec<Partition> = self.known().claimed.iter().cloned().collect();
        claimed.sort_by(|one, other| (one.date, &one.type_name).cmp(&(other.date, &other.type_name)));
        claimed
    }

    /// Whether a partition is claimed, by any run.
    pub fn is_claimed(&self, partition: &Partition) -> bool {
        self.known().claimed.contains(partition)
    }

    /// Notes that a partition is being worked on.
    pub fn note_claimed(&self, partition: &Partition) {
        self.known().claimed.insert(partition.clone());
    }

    /// Notes that nobody works on a partition any more.
    pub fn note_settled(&self, partition: &Partition) {
        self.known().claimed.remove(partition);
    }

    /// Notes that another run is at work on a partition.
    pub fn note_held(&self, partition: &Partition) {
        self.known().outdated.insert(partition.clone(), String::new());
    }

    /// Reads again what is known of a partition, if another run was at work on it.
    pub async fn refresh(&self, requests: &Requests, layout: &Layout, partition: &Partition) -> Result<()> {
        if !self.known().outdated.contains_key(partition) {
            return Ok(());
        }
        self.refresh_header(requests, layout, partition).await?;
        let is_claimed = requests.head(&layout.claim(partition)).await?.is_some();
        let mut known = self.known();
        if is_claimed {
            known.claimed.insert(partition.clone());
        } else {
            known.claimed.remove(partition);
        }
        Ok(())
    }

    /// Reads again which partitions are claimed.
    pub async fn read_claims_again(
        &self,
        requests: &Requests,
        layout: &Layout,
        is_own: impl Fn(&Partition) -> bool,
    ) -> Result<()> {
        let claimed = list_claims(requests, layout).await?;
        let mut known = self.known();
        // What this run claims meanwhile may be missing in the listing.
        known.claimed.retain(is_own);
        known.claimed.extend(claimed);
        Ok(())
    }

    /// Finds out which partitions were published by other runs since, and gives their number; their headers are
    /// read when they are asked for.
    pub async fn read_manifests_again(&self, requests: &Requests, layout: &Layout) -> Result<usize> {
        let listed = list_manifests(requests, layout).await?;
        let mut known = self.known();
        for (partition, object) in listed {
            let is_known =
                known.published.get(&partition).is_some_and(|known| Some(&known.etag) == object.etag.as_ref());
            if !is_known {
                known.outdated.insert(partition, object.etag.unwrap_or_default());
            }
        }
        Ok(known.outdated.len())
    }

    /// Takes the headers of such partitions from the index, as far as other runs have written it since.
    pub async fn read_index_again(&self, requests: &Requests, layout: &Layout) -> Result<()> {
        let mut indexed = read_index(requests, layout).await?;
        let mut known = self.known();
        let CatalogState { published, outdated, .. } = &mut *known;
        outdated.retain(|partition, etag| {
            let line = indexed.remove(&layout.manifest(partition));
            let Some(line) = line.filter(|line| line.etag == *etag && !etag.is_empty()) else { return true };
            published.insert(partition.clone(), KnownManifest { etag: line.etag, header: Ok(line.header) });
            false
        });
        Ok(())
    }

    /// Number of partitions that this run has published and the index does not have.
    pub fn unwritten(&self) -> usize {
        self.known().unwritten
    }

    /// Reads again what is published of a partition, if another run has published it.
    pub async fn refresh_header(&self, requests: &Requests, layout: &Layout, partition: &Partition) -> Result<()> {
        if self.known().outdated.remove(partition).is_none() {
            return Ok(());
        }
        let manifest = read_header(requests, partition, &layout.manifest(partition)).await?;
        let mut known = self.known();
        known.is_changed = true;
        match manifest {
            Some(manifest) => known.published.insert(partition.clone(), manifest),
            None => known.published.remove(partition),
        };
        Ok(())
    }

    /// Notes what is published of a partition.
    pub fn note_published(&self, partition: &Partition, manifest: Option<(&Header, &Version)>) {
        let mut known = self.known();
        let before = known.published.remove(partition);
        let Some((header, version)) = manifest else {
            known.is_changed |= before.is_some();
            return;
        };
        let is_new = before.is_none_or(|before| before.etag != version.etag);
        known.is_changed |= is_new;
        known.unwritten += usize::from(is_new);
        known.outdated.remove(partition);
        let manifest = KnownManifest { etag: version.etag.clone(), header: Ok(header.clone()) };
        known.published.insert(partition.clone(), manifest);
    }

    /// Writes the index, if it would say something new. It is never relied upon: a lost one costs
    /// the next run some requests.
    pub async fn save(&self, requests: &HeldRequests, layout: &Layout) -> Result<()> {
        let spool = Spool::new(&requests.spill_folder);
        {
            let mut known = self.known();
            if !std::mem::take(&mut known.is_changed) {
                return Ok(());
            }
            known.unwritten = 0;
            spool
                .with(|file| write_index(file, layout, &known.published))
                .map_err(|cause| crate::destination::failure::failed("write below", &requests.spill_folder, cause))?;
        }
        requests.put_spooled(&layout.index(), &spool, Condition::None).await.map(drop)
    }

    fn known(&self) -> std::sync::MutexGuard<'_, CatalogState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn write_index(
    output: &mut impl std::io::Write,
    layout: &Layout,
    published: &HashMap<Partition, KnownManifest>,
) -> std::io::Result<()> {
    for (partition, manifest) in published {
        let Ok(header) = &manifest.header else { continue };
        let line = IndexLine { key: layout.manifest(partition), etag: manifest.etag.clone(), header: header.clone() };
        serde_json::to_writer(&mut *output, &line)?;
        output.write_all(b"\n")?;
    }
    Ok(())
}

async fn list_manifests(requests: &Requests, layout: &Layout) -> Result<Vec<(Partition, StoredObject)>> {
    let prefix = layout.manifests();
    let manifests = requests.objects(&prefix).try_filter_map(|object| async move {
        let partition = layout.partition_of_manifest(&object.key);
        Ok(partition.map(|partition| (partition, object)))
    });
    manifests.try_collect().await
}

async fn list_claims(requests: &Requests, layout: &Layout) -> Result<HashSet<Partition>> {
    let prefix = layout.staging();
    let claims = requests.objects(&prefix);
    claims.try_filter_map(|object| async move { Ok(layout.partition_of_claim(&object.key)) }).try_collect().await
}

async fn read_index(requests: &Requests, layout: &Layout) -> Result<HashMap<String, IndexLine>> {
    use std::io::BufRead as _;
    let Some((spool, _)) = requests.get_spooled(&layout.index()).await? else { return Ok(HashMap::new()) };
    let lines = spool.reader().split(b'\n').map_while(std::result::Result::ok);
    let lines = lines.filter_map(|line| serde_json::from_slice::<IndexLine>(&line).ok());
    Ok(lines.map(|line| (line.key.clone(), line)).collect())
}

async fn read_header(requests: &Requests, partition: &Partition, key: &str) -> Result<Option<KnownManifest>> {
    let Some((bytes, version)) = requests.get_start(key, HEADER_BYTES_MAX).await? else { return Ok(None) };
    let header = manifest::read_first_line(&bytes).map_err(|error| error.within(partition));
    Ok(Some(KnownManifest { etag: version.etag, header }))
}
