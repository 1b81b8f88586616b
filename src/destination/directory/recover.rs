//! What a run does when it opens a destination: it ends what killed runs began, and deletes replaced
//! sets that are old enough. No partition keeps the destination from being opened.

use std::collections::HashSet;
use std::sync::Arc;

use jiff::civil::Date;
use rustix::fs::FileType;

use super::claimed::Claimed;
use super::folder::Folder;
use super::replaced_name::ReplacedName;
use super::shared::Shared;
use super::{layout, replaced};
use crate::error::{ErrorKind, Result};
use crate::export::{Partition, TypeName, day_of_folder};

/// Settles each partition whose publication was begun and not ended, and each with a replaced set that
/// could not be moved. What fails is told; it fails again, with its own error, when a run claims it.
pub(super) fn recover(shared: &Arc<Shared>) {
    if let Err(error) = shared.locks.sweep() {
        shared.warn(format!("locks of killed runs are not removed: {error}"));
    }
    let mut begun = HashSet::new();
    collect(shared, &shared.manifests, days_of_next_manifests, &mut begun);
    collect(shared, &shared.staging, days_to_settle, &mut begun);
    let mut begun: Vec<Partition> = begun.into_iter().collect();
    begun.sort_by(|one, other| (&one.type_name, one.date).cmp(&(&other.type_name, other.date)));
    for partition in begun {
        match Claimed::take(shared, &partition) {
            Ok(claim) => drop(claim),
            // Another run is at it this very moment.
            Err(error) if error.kind() == ErrorKind::Held => {}
            Err(error) => shared.warn(format!("what a former run left of {partition} is not settled: {error}")),
        }
    }
    replaced::dispose_of_all(shared);
}

fn collect(
    shared: &Shared,
    parent: &Folder,
    days_of: impl Fn(&Folder) -> Result<Vec<Date>>,
    begun: &mut HashSet<Partition>,
) {
    let entries = parent.entries().unwrap_or_else(|error| {
        shared.warn(format!("what former runs left is not settled: {error}"));
        Vec::new()
    });
    for (type_folder, kind) in entries {
        let type_name = type_folder.strip_prefix("type=").and_then(|name| TypeName::parse(name).ok());
        let Some(type_name) = type_name.filter(|_| kind == FileType::Directory) else { continue };
        match parent.child(&type_folder).and_then(|folder| folder.map_or(Ok(Vec::new()), |folder| days_of(&folder))) {
            Ok(days) => begun.extend(days.into_iter().map(|date| Partition { type_name: type_name.clone(), date })),
            Err(error) => shared.warn(format!("what former runs left of {type_folder} is not settled: {error}")),
        }
    }
}

fn days_of_next_manifests(folder: &Folder) -> Result<Vec<Date>> {
    Ok(folder.entries()?.iter().filter_map(|(name, _)| layout::day_of_next_manifest(name)).collect())
}

fn days_to_settle(folder: &Folder) -> Result<Vec<Date>> {
    let mut days = Vec::new();
    for (name, kind) in folder.entries()? {
        let Some(date) = day_of_folder(&name).filter(|_| kind == FileType::Directory) else { continue };
        // A folder that cannot be read is for its own day's claim to tell.
        let staging = folder.child(&name).ok().flatten();
        let entries = staging.and_then(|staging| staging.entries().ok()).unwrap_or_default();
        if entries.iter().any(|(name, _)| is_left_by_publication(name)) {
            days.push(date);
        }
    }
    Ok(days)
}

fn is_left_by_publication(name: &str) -> bool {
    name == layout::RECORD || name == layout::REPLACED || ReplacedName::parse_folder_in_staging(name).is_some()
}
