//! Making a staged set visible: the one place where verified objects become files under their own
//! names, in the order that survives a kill and a power loss (design.md promises 1 and 6).

use std::io::{BufReader, Seek as _};

use super::assemble::{Renamed, assemble, published_size_bytes};
use super::claim::DirectoryClaim;
use super::folder::Folder;
use super::layout;
use super::ledger::Ledger;
use super::walk::Walk;
use super::{Shared, check_unmanaged, durable, read_manifest};
use crate::destination::{Position, Publication, PublishTerms, PublishedManifest, publication};
use crate::error::{Error, ErrorKind, Result};
use crate::export::{Partition, SEGMENT_BYTES_MAX, SUCCESS_MARKER};
use crate::manifest::{Entry, EntryReader, Header, ManifestWriter, outer_join};

/// Publishes the claimed partition's staged set.
pub(super) fn publish(claim: &DirectoryClaim, terms: &PublishTerms) -> Result<Publication> {
    let shared = &claim.shared;
    let partition = &claim.partition;
    let ledger = claim.ledger()?;
    let totals = ledger.totals(shared.run)?;
    let manifests = shared.manifests.create_child(&partition.type_name.folder())?;
    let replaced = match shared.published_header(partition)? {
        Some(_) => read_manifest(&shared.manifests, partition)?,
        None => None,
    };
    if let Some(published) = replaced.as_ref().filter(|_| terms.only_marks) {
        let header = publication::marked_header(&published.header, &totals, terms);
        mark(&manifests, &layout::manifest_name(partition), &header, published, &ledger)?;
        claim.discard_staged()?;
        return Ok(Publication::Published(header));
    }
    let header = publication::header(&shared.account_id, partition, &totals, terms);
    if publication::is_held_back(replaced.as_ref(), &ledger, shared.run, totals.objects_gone_at_source, terms)? {
        return Ok(Publication::Held);
    }

    let renamed = assemble(claim, &ledger, terms)?;
    if let Err(error) = durable::sync_tree(&claim.staging) {
        // What could not be written may still be read back from memory as if it were on the disk;
        // it is fetched anew instead of being trusted.
        claim.type_staging.remove_tree(&partition.date_folder())?;
        return Err(error);
    }
    let set_inode = claim.staging.inode_of(layout::SET).ok_or_else(|| lost_set(partition))?;
    let next_name = layout::next_manifest_name(partition, set_inode);
    write_manifest(&manifests, &next_name, &header, &ledger, shared.run, &renamed)?;
    shared.manifests.sync()?;

    swap_in(shared, partition, &claim.staging)?;
    finish(shared, partition, &claim.staging, &manifests, &next_name)?;
    // What cannot be removed does not undo the publication; a later run tries again.
    let _ = claim.type_staging.remove_tree(&partition.date_folder());
    Ok(Publication::Published(header))
}

/// Writes the manifest of the published set anew, with other marks of what is gone at the source. The set
/// itself is not touched, so a kill leaves one manifest of it or the other.
fn mark(manifests: &Folder, name: &str, header: &Header, published: &PublishedManifest, ledger: &Ledger) -> Result<()> {
    let next_name = format!("{name}.marks");
    let mut pairs = outer_join(published.entries()?, ledger.objects(Position::default()));
    let mut failure = None;
    durable::write_file(manifests, &next_name, |output| {
        let mut writer = ManifestWriter::new(output, header)?;
        for pair in &mut pairs {
            match pair {
                Ok((Some(entry), object)) => {
                    let gone_at_source = object.and_then(|object| object.gone_at_source);
                    writer.write(&Entry { gone_at_source, ..entry })?;
                }
                Ok((None, _)) => {}
                Err(error) => {
                    failure = Some(error);
                    break;
                }
            }
        }
        writer.finish()
    })?;
    failure.map_or(Ok(()), Err)?;
    manifests.rename(&next_name, manifests, name)?;
    manifests.sync()
}

/// Finishes or undoes a publication that a killed run began, so that data and manifest fit again.
///
/// The inode in the next manifest's name says whether the swap had happened.
pub(super) fn settle(shared: &Shared, partition: &Partition, staging: &Folder) -> Result<()> {
    let Some(manifests) = shared.manifests.child(&partition.type_name.folder())? else { return Ok(()) };
    for (name, _) in manifests.entries()? {
        let Some((date, set_inode)) = layout::parse_next_manifest(&name) else { continue };
        if date != partition.date {
            continue;
        }
        let published = shared.root.child(&partition.type_name.folder())?;
        let published_inode = published.as_ref().and_then(|folder| folder.inode_of(&partition.date_folder()));
        if published_inode == Some(set_inode) {
            finish(shared, partition, staging, &manifests, &name)?;
        } else {
            undo(partition, staging, published.as_ref(), published_inode)?;
            manifests.remove_file(&name)?;
        }
    }
    Ok(())
}

/// Where the file system cannot swap, a kill can fall between the two renames.
fn undo(
    partition: &Partition,
    staging: &Folder,
    published: Option<&Folder>,
    published_inode: Option<u64>,
) -> Result<()> {
    if let (Some(published), None) = (published, published_inode)
        && staging.inode_of(layout::REPLACED).is_some()
    {
        staging.rename(layout::REPLACED, published, &partition.date_folder())?;
        published.sync()?;
    }
    Ok(())
}

pub(super) fn lost_set(partition: &Partition) -> Error {
    Error::new(ErrorKind::DestinationUnusable, format!("the staged set of {partition} is gone"))
        .with_hint("something else works in the side folder _e3sync; leave it to e3sync")
}

fn write_manifest(
    manifests: &Folder,
    name: &str,
    header: &Header,
    ledger: &Ledger,
    run: u64,
    renamed: &Renamed,
) -> Result<()> {
    let mut failure = None;
    durable::write_file(manifests, name, |output| {
        let mut writer = ManifestWriter::new(output, header)?;
        for (index, finished) in ledger.finished(run).enumerate() {
            match finished {
                Ok((object, _, content)) => {
                    let path = renamed.get(&(index as u64)).unwrap_or(&object.key);
                    writer.write(&Entry::new(&object, path, &content))?;
                }
                Err(error) => {
                    failure = Some(error);
                    break;
                }
            }
        }
        writer.finish()
    })?;
    match failure {
        Some(error) => Err(error),
        None => Ok(()),
    }
}

/// Makes the set the published partition: one atomic step for readers.
fn swap_in(shared: &Shared, partition: &Partition, staging: &Folder) -> Result<()> {
    let type_folder = shared.root.create_child(&partition.type_name.folder())?;
    let name = partition.date_folder();
    if staging.rename_if_free(layout::SET, &type_folder, &name)? {
        return Ok(());
    }
    if let (Some(data), false) = (type_folder.child(&name)?, has_manifest(shared, partition)?) {
        check_unmanaged(&data)?;
    }
    if staging.exchange(layout::SET, &type_folder, &name)? {
        return Ok(());
    }
    // Without a swap a reader can find the day missing for an instant; docs/SEMANTICS.md says so.
    type_folder.rename(&name, staging, layout::REPLACED)?;
    staging.rename(layout::SET, &type_folder, &name)
}

fn has_manifest(shared: &Shared, partition: &Partition) -> Result<bool> {
    let folder = shared.manifests.child(&partition.type_name.folder())?;
    Ok(folder.is_some_and(|folder| folder.inode_of(&layout::manifest_name(partition)).is_some()))
}

/// After the swap: it reaches the disk, the manifest takes its name, then the replaced set goes.
///
/// A later run that finds the step unfinished comes here too, so nothing is taken as done before.
fn finish(shared: &Shared, partition: &Partition, staging: &Folder, manifests: &Folder, next_name: &str) -> Result<()> {
    if staging.inode_of(layout::SET).is_some() {
        staging.rename(layout::SET, staging, layout::REPLACED)?;
    }
    if let Some(type_folder) = shared.root.child(&partition.type_name.folder())? {
        type_folder.sync()?;
    }
    staging.sync()?;
    shared.root.sync()?;
    let name = layout::manifest_name(partition);
    // What cannot be told apart is kept.
    let has_others = holds_others(staging, manifests, &name).unwrap_or(true);
    manifests.rename(next_name, manifests, &name)?;
    manifests.sync()?;
    dispose_of_replaced(shared, partition, staging, has_others);
    Ok(())
}

/// Deletes a replaced set, or moves it aside: where the user wants that, and where it holds files of
/// others.
///
/// A failure changes nothing about what is published; the next run that claims the day tries again.
pub(super) fn dispose_of_replaced(shared: &Shared, partition: &Partition, staging: &Folder, has_others: bool) {
    let Ok(Some(set)) = staging.child(layout::REPLACED) else { return };
    let _ = if shared.settings.keep_superseded || has_others {
        keep_superseded(shared, partition, staging, &set)
    } else {
        staging.remove_tree(layout::REPLACED)
    };
}

/// Whether a replaced set holds more files than those of its manifest that are there.
fn holds_others(staging: &Folder, manifests: &Folder, manifest_name: &str) -> Result<bool> {
    let Some(set) = staging.child(layout::REPLACED)? else { return Ok(false) };
    let mut ours = 0;
    if let Some(mut file) = manifests.file(manifest_name)?
        && crate::manifest::verify(BufReader::new(&file)).is_ok()
        && file.rewind().is_ok()
    {
        for entry in EntryReader::new(BufReader::new(file))? {
            ours += u64::from(published_size_bytes(&set, entry?.file_path()).is_some());
        }
    }
    let mut files = 0;
    for file in Walk::new(set)? {
        files += u64::from(file?.path != SUCCESS_MARKER);
    }
    Ok(files > ours)
}

/// Moves a replaced set aside, its files with an ending that no reader takes for data.
fn keep_superseded(shared: &Shared, partition: &Partition, staging: &Folder, set: &Folder) -> Result<()> {
    let folder = shared.side.create_child(layout::SUPERSEDED)?.create_child(&partition.type_name.folder())?;
    add_ending(set)?;
    for number in 1.. {
        let name = format!("{}.{number}", partition.date_folder());
        if staging.rename_if_free(layout::REPLACED, &folder, &name)? {
            break;
        }
    }
    folder.sync()
}

fn add_ending(folder: &Folder) -> Result<()> {
    const ENDING: &str = ".superseded";
    for (name, kind) in folder.entries()? {
        if kind == rustix::fs::FileType::Directory {
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
