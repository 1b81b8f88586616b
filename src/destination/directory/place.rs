//! Whether a day's place can be replaced by a rename, found out before any of the day's bytes are fetched.

use rustix::io::Errno;

use super::folder::Folder;
use super::layout;
use super::shared::Shared;
use crate::destination::failure::not_replaceable;
use crate::error::Result;
use crate::export::Partition;

/// In a partition's staging folder: stands for a set that is in the way of a rename.
const OBSTACLE: &str = "obstacle";

/// Sees that a set can be renamed from `staging` into the partition's place and that what stands there
/// can be renamed away.
///
/// # Errors
/// [`crate::error::ErrorKind::PlaceTaken`] for a place on another mount and for a folder of an overlay's
/// lower layer.
pub(super) fn check_replaceable(shared: &Shared, partition: &Partition, staging: &Folder) -> Result<()> {
    let root = &shared.root;
    let type_folder = root.child(&partition.type_name.folder())?;
    let (holder, path) = match &type_folder {
        Some(folder) => (folder, Some(partition.type_name.folder())),
        None => (root, None),
    };
    let side_path = format!("{}/{}", layout::SIDE_FOLDER, layout::STAGING);
    let is_across = path.is_some_and(|path| root.crosses_mount(&path) != root.crosses_mount(&side_path));
    if is_across || holder.device()? != staging.device()? {
        return Err(not_replaceable(holder.path(), "it is on another mount than the side folder _e3sync"));
    }
    let name = partition.date_folder();
    let Some(day) = holder.child(&name)?.filter(|_| type_folder.is_some()) else { return Ok(()) };
    let is_mount = match holder.crosses_mount(&name) {
        Some(is_mount) => is_mount,
        None => day.device()? != holder.device()?,
    };
    if is_mount {
        return Err(not_replaceable(day.path(), "it is a mount of its own"));
    }
    if is_overlay(&day)? && !can_move(holder, &name, staging)? {
        return Err(not_replaceable(day.path(), "the lower layer of an overlay file system holds it"));
    }
    Ok(())
}

/// Whether a folder is on an overlay file system: those cannot rename folders of their lower layers,
/// unless they are mounted with `redirect_dir=on`.
#[cfg(target_os = "linux")]
fn is_overlay(folder: &Folder) -> Result<bool> {
    const OVERLAYFS_MAGIC: u64 = 0x794C_7630;
    Ok(folder.file_system_kind()? == OVERLAYFS_MAGIC)
}

#[cfg(not(target_os = "linux"))]
fn is_overlay(_: &Folder) -> Result<bool> {
    Ok(false)
}

/// Whether an overlay can rename a folder, which is tried in a way that must fail: onto a folder that
/// is not empty. The overlay refuses what it cannot move before it looks at the target.
fn can_move(from: &Folder, name: &str, staging: &Folder) -> Result<bool> {
    let obstacle = staging.create_child(OBSTACLE)?;
    obstacle.create_child(OBSTACLE)?;
    let tried = from.try_rename(name, staging, OBSTACLE);
    if tried.is_ok() {
        // No file system may do that; then the day goes back to its place at once.
        staging.rename(OBSTACLE, from, name)?;
    }
    obstacle.remove_if_empty(OBSTACLE);
    staging.remove_if_empty(OBSTACLE);
    Ok(!matches!(tried, Err(Errno::XDEV | Errno::BUSY)))
}
