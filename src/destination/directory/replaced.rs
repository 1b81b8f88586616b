//! Replaced sets: moved aside under a unique name, so that readers can end, and deleted or handed on
//! to `superseded/` by a later run. A failure is a warning, and nothing else is deleted instead.

use jiff::SignedDuration;
use rustix::fs::FileType;

use super::folder::Folder;
use super::layout;
use super::publication_record::link_or_copy;
use super::removal::{Remover, Rest, remove_emptied};
use super::replaced_name::{Fate, ReplacedName, folder_beside, manifest_beside};
use super::set_manifest::SetManifest;
use super::shared::Shared;
use crate::error::{Error, ErrorKind, Result};
use crate::export::{Partition, SEGMENT_BYTES_MAX, TypeName};

/// A manifest whose set is not beside it is left for this long.
const ORPHAN_AGE_MIN: SignedDuration = SignedDuration::from_hours(1);

/// A replaced set at the place where it is kept for a while.
struct Kept<'a> {
    partition: &'a Partition,
    /// The folder that holds the set's folder, and its manifest beside it.
    holder: &'a Folder,
    /// The name of the set's folder.
    folder: String,
    name: ReplacedName,
}

/// Moves the set that is called `from` in the staging folder to `_e3sync/replaced`, with its manifest.
/// Where that fails it stays in the staging folder, under its unique name.
///
/// # Errors
/// What keeps the name `from` from becoming free.
pub(super) fn set_aside(
    shared: &Shared,
    partition: &Partition,
    staging: &Folder,
    from: &str,
    name: ReplacedName,
) -> Result<()> {
    if staging.inode_of(from).is_some() {
        // A folder without anything in it is no set.
        staging.remove_if_empty(from);
    }
    if staging.inode_of(from).is_none() {
        return Ok(());
    }
    match move_to_replaced(shared, partition, staging, from, layout::PRESENT, name) {
        Ok(holder) => {
            let kept = Kept { partition, holder: &holder, folder: name.folder_of(partition), name };
            dispose_if_due(shared, &kept);
        }
        Err(error) => {
            keep_in_staging(staging, from, name)?;
            warn_that_it_stays(shared, partition, staging, &name.folder_in_staging(), &error);
            let kept = Kept { partition, holder: staging, folder: name.folder_in_staging(), name };
            dispose_if_due(shared, &kept);
        }
    }
    staging.sync()
}

/// Tries again to move or to delete the sets that had to stay in a partition's staging folder.
pub(super) fn retry_staged(shared: &Shared, partition: &Partition, staging: &Folder) -> Result<()> {
    for (folder, kind) in staging.entries()? {
        let Some(name) = ReplacedName::parse_folder_in_staging(&folder) else { continue };
        if kind != FileType::Directory {
            continue;
        }
        let manifest = manifest_beside(&folder);
        match move_to_replaced(shared, partition, staging, &folder, &manifest, name) {
            // One that stays is removed with the other leftovers of the staging folder.
            Ok(_) => drop(staging.remove_file(&manifest)),
            Err(error) => {
                warn_that_it_stays(shared, partition, staging, &folder, &error);
                dispose_if_due(shared, &Kept { partition, holder: staging, folder, name });
            }
        }
    }
    Ok(())
}

/// Deletes or hands on every set below `_e3sync/replaced` that was kept for long enough.
pub(super) fn dispose_of_all(shared: &Shared) {
    if let Err(error) = for_each_type(shared, |folder, type_name| dispose_of_type(shared, folder, type_name)) {
        shared.warn(format!("replaced sets are not deleted: {error}"));
    }
}

fn for_each_type(shared: &Shared, take: impl Fn(&Folder, &TypeName) -> Result<()>) -> Result<()> {
    let Some(replaced) = shared.side.child(layout::REPLACED)? else { return Ok(()) };
    for (type_folder, kind) in replaced.entries()? {
        let type_name = type_folder.strip_prefix("type=").and_then(|name| TypeName::parse(name).ok());
        let Some(type_name) = type_name.filter(|_| kind == FileType::Directory) else { continue };
        if let Some(folder) = replaced.child(&type_folder)? {
            take(&folder, &type_name)?;
        }
    }
    Ok(())
}

fn dispose_of_type(shared: &Shared, holder: &Folder, type_name: &TypeName) -> Result<()> {
    for (entry, _) in holder.entries()? {
        if let Some(folder) = folder_beside(&entry) {
            remove_if_orphan(shared, holder, folder);
        } else if let Some((date, name)) = ReplacedName::parse_folder(&entry) {
            let partition = Partition { type_name: type_name.clone(), date };
            dispose_if_due(shared, &Kept { partition: &partition, holder, folder: entry, name });
        }
    }
    Ok(())
}

/// Removes a manifest whose set is not there. A young one may belong to a set that is moved right now.
fn remove_if_orphan(shared: &Shared, holder: &Folder, folder: &str) {
    let Some((_, name)) = ReplacedName::parse_folder(folder) else { return };
    if name.age(shared.clock.now()) >= ORPHAN_AGE_MIN && holder.inode_of(folder).is_none() {
        // One that stays does no harm, and the next run tries again.
        let _ = holder.remove_file(&manifest_beside(folder));
    }
}

fn is_due(shared: &Shared, name: &ReplacedName) -> bool {
    let keep_for = shared.settings.keep_replaced;
    let keep_for = SignedDuration::try_from(keep_for).unwrap_or(SignedDuration::MAX);
    keep_for.is_zero() || name.age(shared.clock.now()) >= keep_for
}

fn dispose_if_due(shared: &Shared, kept: &Kept<'_>) {
    if !is_due(shared, &kept.name) {
        return;
    }
    if let Err(error) = kept.dispose_alone(shared) {
        let (partition, path) = (kept.partition, kept.holder.path().join(&kept.folder));
        shared.warn(format!(
            "the replaced set of {partition} stays at {}: {error}; later runs try again",
            path.display()
        ));
    }
}

impl Kept<'_> {
    /// Disposes of the set unless another run is doing that. The lock is not the partition's: nobody
    /// who wants to publish the partition has to wait.
    fn dispose_alone(&self, shared: &Shared) -> Result<()> {
        let partition = self.partition;
        let name = format!("{}.{}.{}", layout::REPLACED, partition.type_name.folder(), partition.date_folder());
        let what = format!("the replaced sets of {partition}");
        let _lock = match shared.locks.take_named(&name, &what, &shared.settings.holder) {
            Err(error) if error.kind() == ErrorKind::Held => return Ok(()),
            taken => taken?,
        };
        // Another run may have been faster.
        if self.holder.inode_of(&self.folder).is_none() { Ok(()) } else { self.dispose(shared) }
    }

    fn dispose(&self, shared: &Shared) -> Result<()> {
        if self.name.fate == Fate::Delete {
            match self.delete()? {
                Rest::Nothing => {
                    self.remove_manifest();
                    return Ok(());
                }
                Rest::Undeletable => return Err(self.undeletable()),
                Rest::Foreign => {}
            }
        }
        let kept_at = self.hand_on(shared)?;
        if self.name.fate != Fate::Keep {
            let partition = self.partition;
            shared.warn(format!(
                "the replaced set of {partition} held files that e3sync did not publish, or that were changed since; \
                 they are kept in {kept_at}"
            ));
        }
        Ok(())
    }

    /// Deletes the files that the set's own manifest names, by name and size, and the marker.
    fn delete(&self) -> Result<Rest> {
        let Some(set) = self.holder.child(&self.folder)? else { return Ok(Rest::Nothing) };
        let opened = SetManifest::open(self.holder, &manifest_beside(&self.folder), self.partition)?;
        if let Some(manifest) = opened.whole() {
            let mut remover = Remover::new(&set);
            for entry in manifest.entries()? {
                let entry = entry?;
                remover.remove(entry.file_path(), entry.size_bytes);
            }
            remover.finish()?;
        }
        remove_emptied(self.holder, &self.folder)
    }

    /// Moves the set to `_e3sync/superseded`, its files with an ending that no reader takes for data.
    fn hand_on(&self, shared: &Shared) -> Result<String> {
        let folder = shared.side.create_child(layout::SUPERSEDED)?.create_child(&self.partition.type_name.folder())?;
        if let Some(set) = self.holder.child(&self.folder)? {
            add_ending(&set)?;
        }
        for number in 1_u64.. {
            let name = format!("{}.{number}", self.partition.date_folder());
            if self.holder.rename_if_free(&self.folder, &folder, &name)? {
                folder.sync()?;
                let manifest = manifest_beside(&self.folder);
                if self.holder.inode_of(&manifest).is_some() {
                    self.holder.rename_if_free(&manifest, &folder, &manifest_beside(&name))?;
                }
                return Ok(folder.path().join(name).display().to_string());
            }
        }
        Ok(folder.path().display().to_string())
    }

    fn remove_manifest(&self) {
        // One that stays is removed by a later run, like that of a killed one.
        let _ = self.holder.remove_file(&manifest_beside(&self.folder));
    }

    fn undeletable(&self) -> Error {
        let path = self.holder.path().join(&self.folder);
        Error::new(ErrorKind::PartitionUnusable, format!("{} still has files or folders in use", path.display()))
    }
}

/// Moves a set and its manifest to `_e3sync/replaced/type=T`, and gives that folder.
fn move_to_replaced(
    shared: &Shared,
    partition: &Partition,
    staging: &Folder,
    from: &str,
    manifest: &str,
    name: ReplacedName,
) -> Result<Folder> {
    let replaced = create_durably(&shared.side, layout::REPLACED)?;
    let folder = create_durably(&replaced, &partition.type_name.folder())?;
    let target = name.folder_of(partition);
    // The manifest is there first: a set without one could not be told from files of others.
    if staging.inode_of(manifest).is_some() {
        link_or_copy(staging, manifest, &folder, &manifest_beside(&target))?;
    }
    let moved =
        staging.rename_if_free(from, &folder, &target).and_then(|is_moved| taken_unless(is_moved, &folder, &target));
    if let Err(error) = moved {
        let _ = folder.remove_file(&manifest_beside(&target));
        return Err(error);
    }
    if let Err(error) = folder.sync() {
        shared.warn(format!("the replaced set of {partition} is moved, and that may not last: {error}"));
    }
    Ok(folder)
}

fn create_durably(parent: &Folder, name: &str) -> Result<Folder> {
    if let Some(folder) = parent.child(name)? {
        return Ok(folder);
    }
    let folder = parent.create_child(name)?;
    parent.sync()?;
    Ok(folder)
}

fn keep_in_staging(staging: &Folder, from: &str, name: ReplacedName) -> Result<()> {
    let folder = name.folder_in_staging();
    if staging.inode_of(layout::PRESENT).is_some() {
        // Without its manifest the set is kept for good instead of being deleted.
        let _ = link_or_copy(staging, layout::PRESENT, staging, &manifest_beside(&folder));
    }
    let is_moved = staging.rename_if_free(from, staging, &folder)?;
    taken_unless(is_moved, staging, &folder)
}

fn taken_unless(is_free: bool, folder: &Folder, name: &str) -> Result<()> {
    if is_free {
        return Ok(());
    }
    let path = folder.path().join(name);
    Err(Error::new(ErrorKind::PlaceTaken, format!("{} is there already", path.display())))
}

fn warn_that_it_stays(shared: &Shared, partition: &Partition, staging: &Folder, folder: &str, error: &Error) {
    let path = staging.path().join(folder);
    let path = path.display();
    shared.warn(format!("the replaced set of {partition} stays at {path}: {error}; later runs try to move it"));
}

fn add_ending(folder: &Folder) -> Result<()> {
    const ENDING: &str = ".superseded";
    for (name, kind) in folder.entries()? {
        if kind == FileType::Directory {
            if let Some(child) = folder.child(&name)? {
                add_ending(&child)?;
            }
        } else if !name.ends_with(ENDING) {
            let kept = &name[..name.floor_char_boundary(SEGMENT_BYTES_MAX - ENDING.len())];
            folder.rename_if_free(&name, folder, &format!("{kept}{ENDING}"))?;
        }
    }
    Ok(())
}
