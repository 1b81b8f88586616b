//! A mirror in a local directory: each partition is swapped in by one atomic rename.

mod assemble;
mod beneath;
mod claim;
mod durable;
mod evidence;
mod file_system;

mod folder;
mod layout;
mod ledger;
mod lock;
mod names;
mod place;
mod publication_record;

mod publish;
mod read_only;
mod recover;
mod removal;
mod replaced;
mod replaced_name;
mod replaced_sets;
mod set_manifest;
mod settle;
mod walk;
mod writer;

use std::collections::HashSet;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use jiff::civil::Date;

use self::claim::DirectoryClaim;
use self::folder::Folder;
use self::lock::Locks;
use self::names::Names;
use super::failure::failed;
use super::identity::Identity;
use super::reports;
use super::{Claim, Damage, Destination, Manifests, Published, PublishedDays, PublishedManifest, VerificationRecord};

pub(super) use self::layout::SIDE_FOLDER;
pub use self::read_only::ReadOnlyDirectory;
pub(super) use self::replaced_sets::ReplacedSets;
use crate::clock::Clock;
use crate::error::{Error, ErrorKind, Result};
use crate::export::{AccountId, FilePath, Partition, TypeName};
use crate::manifest::{self, Header};
use crate::progress::{Event, Observer};

/// How a directory is used as a destination.
#[derive(Clone, Debug)]
pub struct DirectorySettings {
    /// The directory; its data begins at `type=`.
    pub path: PathBuf,
    /// What to write into locks: who holds them, for another run's message.
    pub holder: String,
    /// Whether replaced sets are kept aside instead of deleted.
    pub keep_superseded: bool,
    /// How long replaced sets stay where they are for readers that have them open.
    pub keep_replaced: Duration,
    /// What is to be fetched anew though it is published.
    pub damage: Arc<Damage>,
    /// Whether partitions are locked. Without locks nothing keeps two runs on one directory apart; it is
    /// for mounts that have no locks.
    pub locks: bool,
}

/// A mirror in a local directory.
pub struct DirectoryDestination(Arc<Shared>);

/// What a destination and its claimed partitions share.
struct Shared {
    root: Folder,
    side: Folder,
    manifests: Folder,
    staging: Folder,
    locks: Locks,
    account_id: AccountId,
    settings: DirectorySettings,
    observer: Arc<dyn Observer>,
    /// The run's time, by which replaced sets are named and grow old.
    clock: Arc<Clock>,
    /// The warnings that were told: a partition may be settled more than once in a run.
    warnings: Mutex<HashSet<String>>,
    /// This run's random number, by which it knows its own records.
    run: u64,
    /// What names the file system holds.
    names: Names,
}

impl Shared {
    /// The path below a partition's folder for an object's key.
    fn path_of(&self, key: &str) -> Result<FilePath> {
        self.names.path_of(&self.staging, key)
    }

    /// The header of what is published. Of a damaged partition it is what the manifest says, whether
    /// its data are there or not, and nothing where the manifest itself is damaged.
    fn published_header(&self, partition: &Partition) -> Result<Option<Header>> {
        let is_damaged = self.settings.damage.is_in(partition);
        match read_published(&self.root, Some(&self.manifests), partition) {
            Err(error) if is_damaged && error.kind() == ErrorKind::ManifestDamaged => Ok(None),
            Ok(None) if is_damaged => read_header(&self.manifests, partition),
            header => header,
        }
    }

    /// Makes the destination the account's, or checks that it is. Nothing is published before.
    ///
    /// # Errors
    /// [`ErrorKind::DestinationForeign`] where another account's run was faster.
    fn bind_to_account(&self) -> Result<()> {
        claim_for_account(&self.side, &self.account_id)
    }

    /// Tells something that a person should know, once.
    fn warn(&self, message: String) {
        let mut warnings = self.warnings.lock().unwrap_or_else(PoisonError::into_inner);
        if !warnings.contains(&message) {
            self.observer.observe(&Event::Warning { message: &message });
            warnings.insert(message);
        }
    }
}

/// A failure within one partition's part of the destination, which keeps no other from being published
/// (design.md promise 11).
fn of_partition(error: Error) -> Error {
    match error.kind() {
        ErrorKind::DestinationUnusable => error.with_kind(ErrorKind::PartitionUnusable),
        _ => error,
    }
}

impl DirectoryDestination {
    /// Opens a directory for an account's mirror, made first where missing, and finishes or undoes
    /// what killed runs left. A partition with which that is not possible is a warning.
    ///
    /// # Errors
    /// [`ErrorKind::DestinationForeign`] for another account's mirror,
    /// [`ErrorKind::DestinationUnusable`] or [`ErrorKind::DestinationFull`] when it cannot be used.
    pub fn open(
        settings: DirectorySettings,
        account_id: &AccountId,
        observer: Arc<dyn Observer>,
        clock: Arc<Clock>,
    ) -> Result<Self> {
        std::fs::create_dir_all(&settings.path).map_err(|cause| failed("create", &settings.path, cause))?;
        let root = Folder::open_root(&settings.path)?;
        let side = root.create_child(layout::SIDE_FOLDER)?;
        if let Some(identity) = read_identity(&side)? {
            identity.check(account_id)?;
        }
        let staging = side.create_child(layout::STAGING)?;
        let run = rand::random();
        let names = Names::learn(&staging, run)?;
        let shared = Shared {
            manifests: side.create_child(layout::MANIFESTS)?,
            staging,
            locks: Locks::new(side.create_child(layout::LOCKS)?, names.segment_bytes_max(), settings.locks),
            names,
            root,
            side,
            account_id: account_id.clone(),
            settings,
            observer,
            clock,
            warnings: Mutex::default(),
            run,
        };
        let shared = Arc::new(shared);
        recover::recover(&shared);
        Ok(Self(shared))
    }

    /// Opens a directory only to read what is published; `None` where there is no mirror yet.
    ///
    /// # Errors
    /// As [`DirectoryDestination::open`]; nothing is written.
    pub fn read_only(path: &Path) -> Result<Option<ReadOnlyDirectory>> {
        if !path.exists() {
            return Ok(None);
        }
        let root = Folder::open_root(path)?;
        let Some(side) = root.child(layout::SIDE_FOLDER)? else { return Ok(None) };
        let account_id = read_identity(&side)?.map(|identity| identity.account_id);
        let manifests = side.child(layout::MANIFESTS)?;
        if manifests.is_none() && account_id.is_none() {
            return Ok(None);
        }
        let (runs, staging) = (side.child(layout::RUNS)?, side.child(layout::STAGING)?);
        Ok(Some(ReadOnlyDirectory { root, side, manifests, runs, staging, account_id, locks: true }))
    }
}

/// Makes the destination the account's, or checks that it is.
fn claim_for_account(side: &Folder, account_id: &AccountId) -> Result<()> {
    if let Some(identity) = read_identity(side)? {
        return identity.check(account_id);
    }
    let name = format!("{}.{}", layout::DESTINATION_FILE, rand::random::<u64>());
    durable::write_file(side, &name, |mut output| {
        serde_json::to_writer_pretty(&mut output, &Identity::of_account(account_id))?;
        Ok(output)
    })?;
    // Two first runs may come at once: only one of them names the account, both look at who it was.
    if !side.rename_if_free(&name, side, layout::DESTINATION_FILE)? {
        side.remove_file(&name)?;
    }
    side.sync()?;
    match read_identity(side)? {
        Some(identity) => identity.check(account_id),
        None => Ok(()),
    }
}

fn read_identity(side: &Folder) -> Result<Option<Identity>> {
    let Some(file) = side.file(layout::DESTINATION_FILE)? else { return Ok(None) };
    let path = side.path().join(layout::DESTINATION_FILE);
    serde_json::from_reader(BufReader::new(file)).map(Some).map_err(|cause| {
        Error::new(ErrorKind::DestinationForeign, format!("{} is not e3sync's", path.display()))
            .with_hint("choose another directory, or move the file away if it is damaged")
            .with_cause(cause)
    })
}

fn read_published(root: &Folder, manifests: Option<&Folder>, partition: &Partition) -> Result<Option<Header>> {
    let data = match root.child(&partition.type_name.folder())? {
        Some(folder) => folder.child(&partition.date_folder())?,
        None => None,
    };
    // A manifest without its folder describes nothing that is there.
    let Some(data) = data else { return Ok(None) };
    let Some(manifests) = manifests else { return check_unmanaged(&data).map(|()| None) };
    if let Some(header) = read_header(manifests, partition)? {
        return Ok(Some(header));
    }
    // A first publication that is between its two steps has its manifest under another name.
    let folder = manifests.child(&partition.type_name.folder())?;
    let is_begun = folder.as_ref().is_some_and(|folder| is_publication_begun(folder, partition));
    if is_begun { Ok(None) } else { check_unmanaged(&data).map(|()| None) }
}

fn read_header(manifests: &Folder, partition: &Partition) -> Result<Option<Header>> {
    let folder = manifests.child(&partition.type_name.folder())?;
    let file = folder.map_or(Ok(None), |folder| folder.file(&layout::manifest_name(partition)))?;
    let Some(file) = file else { return Ok(None) };
    let header = manifest::read_header(BufReader::new(file)).map_err(|error| error.within(partition))?;
    header.check_is_of(partition)?;
    Ok(Some(header))
}

/// A partition's whole manifest, checked against its last line.
fn read_manifest(manifests: &Folder, partition: &Partition) -> Result<Option<PublishedManifest>> {
    let folder = manifests.child(&partition.type_name.folder())?;
    let file = folder.map_or(Ok(None), |folder| folder.file(&layout::manifest_name(partition)))?;
    let Some(file) = file else { return Ok(None) };
    let header = manifest::verify(BufReader::new(&file)).map_err(|error| error.within(partition))?;
    header.check_is_of(partition)?;
    // The same open file, so that a publication in between does not give another one's lines.
    Ok(Some(PublishedManifest::new(header, file)))
}

fn read_verification(side: &Folder) -> Result<VerificationRecord> {
    VerificationRecord::parse(side.file_bytes(layout::VERIFICATION)?.as_deref())
}

fn is_publication_begun(manifests: &Folder, partition: &Partition) -> bool {
    let names = manifests.entries().unwrap_or_default();
    names.iter().any(|(name, _)| layout::day_of_next_manifest(name) == Some(partition.date))
}

/// Data without a manifest is somebody else's; publishing over it would delete it.
fn check_unmanaged(data: &Folder) -> Result<()> {
    if data.entries()?.is_empty() {
        return Ok(());
    }
    Err(Error::new(ErrorKind::DataForeign, format!("{} holds data that e3sync did not publish", data.path().display()))
        .with_hint("move it away, or choose another destination; nothing there was touched"))
}

fn read_published_days(manifests: &Folder) -> Result<PublishedDays> {
    let mut types = Vec::new();
    for (type_folder, _) in manifests.entries()? {
        let Some(type_name) = type_folder.strip_prefix("type=").and_then(|name| TypeName::parse(name).ok()) else {
            continue;
        };
        let Some(folder) = manifests.child(&type_folder)? else { continue };
        let mut days: Vec<Date> =
            folder.entries()?.iter().filter_map(|(name, _)| layout::day_of_manifest(name)).collect();
        days.sort();
        types.push((type_name, days));
    }
    types.sort();
    Ok(types)
}

/// Removes what is staged of a partition, unless another run is staging it.
fn discard_staged(shared: &Arc<Shared>, partition: &Partition) -> Result<()> {
    let Some(type_staging) = shared.staging.child(&partition.type_name.folder())? else { return Ok(()) };
    if type_staging.child(&partition.date_folder())?.is_none() {
        return Ok(());
    }
    match DirectoryClaim::take(shared, partition) {
        // Then it is not left over, but another run's work.
        Err(error) if error.kind() == ErrorKind::Held => Ok(()),
        Err(error) => Err(error),
        Ok(claim) => {
            if let Err(error) = claim.clear() {
                shared.warn(format!("what is staged of {partition} is not removed: {error}"));
            }
            Ok(())
        }
    }
}

#[async_trait]
impl Manifests for DirectoryDestination {
    async fn published(&self, partition: &Partition) -> Result<Published> {
        let header = self.0.published_header(partition).map_err(of_partition)?;
        let is_damaged = self.0.settings.damage.is_in(partition);
        Ok(Published { header, is_damaged, ..Published::default() })
    }

    async fn manifest(&self, partition: &Partition) -> Result<Option<PublishedManifest>> {
        read_manifest(&self.0.manifests, partition)
    }
}

#[async_trait]
impl Destination for DirectoryDestination {
    async fn published_days(&self) -> Result<PublishedDays> {
        read_published_days(&self.0.manifests)
    }

    async fn claim(&self, partition: &Partition) -> Result<Arc<dyn Claim>> {
        Ok(Arc::new(DirectoryClaim::take(&self.0, partition).map_err(of_partition)?))
    }

    async fn discard_staged(&self, partition: &Partition) -> Result<()> {
        discard_staged(&self.0, partition).map_err(of_partition)
    }

    async fn keep_report(&self, id: &str, report: &[u8]) -> Result<()> {
        let runs = self.0.side.create_child(layout::RUNS)?;
        durable::replace_file(&runs, &format!("{id}.json"), report)?;
        let names = runs.entries()?.into_iter().map(|(name, _)| name).collect();
        reports::superfluous(names).iter().try_for_each(|name| runs.remove_file(name))
    }

    fn buffers_objects(&self) -> bool {
        false
    }

    async fn close(&self) -> Vec<String> {
        Vec::new()
    }
}
