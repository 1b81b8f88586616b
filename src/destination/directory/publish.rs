//! Making a staged set visible: the one place where verified objects become files under their own
//! names, in the order that survives a kill and a power loss (design.md promises 1 and 6).

use super::assemble::{Renamed, assemble};
use super::claim::DirectoryClaim;
use super::folder::Folder;
use super::layout;
use super::ledger::Ledger;
use super::replaced_name::{Fate, ReplacedName};
use super::set_manifest::SetManifest;
use super::settle::{Publication, fate_of};
use super::{Shared, check_unmanaged, durable};
use crate::destination::{PublishTerms, publication};
use crate::error::Result;
use crate::export::Partition;
use crate::manifest::{Entry, Header, ManifestWriter};

/// Publishes the claimed partition's staged set.
pub(super) fn publish(claim: &DirectoryClaim, terms: &PublishTerms) -> Result<Header> {
    let shared = &claim.shared;
    let partition = &claim.partition;
    let ledger = claim.ledger()?;
    let totals = ledger.totals(shared.run)?;
    let manifests = shared.manifests.create_child(&partition.type_name.folder())?;
    let replaced = shared.published_header(partition)?;
    publication::check_shrink(replaced.as_ref(), &totals, terms, partition)?;

    let renamed = assemble(claim, &ledger, terms)?;
    if let Err(error) = sync_staged(claim) {
        // What could not be written may still be read back from memory as if it were on the disk;
        // it is fetched anew instead of being trusted.
        let _ = claim.clear();
        return Err(error);
    }
    shared.bind_to_account()?;
    let header = publication::header(&shared.account_id, partition, &totals, terms);
    let next_name = layout::next_manifest_name(partition);
    write_manifest(&manifests, &next_name, &header, &ledger, shared.run, &renamed)?;
    shared.manifests.sync()?;

    let publication = Publication { shared, partition, staging: &claim.staging, manifests: &manifests };
    let replaced = ReplacedName::new(terms.now, fate_of_published(&publication)?);
    publication.record(&next_name, &replaced)?;
    swap_in(shared, partition, &claim.staging)?;
    publication.finish(&next_name)?;
    // What is left behind the manifest's rename does not undo the publication; a later run tries again.
    if let Err(error) = publication.put_away(replaced).and_then(|()| claim.clear()) {
        shared.warn(format!("{partition} is published, and its staging folder is not cleared: {error}"));
    }
    Ok(header)
}

/// Brings the staged set to the disk, and the folders by which it is found.
fn sync_staged(claim: &DirectoryClaim) -> Result<()> {
    durable::sync_tree(&claim.staging)?;
    claim.type_staging.sync()?;
    claim.shared.staging.sync()
}

/// What shall become of the set that is published now, decided while it still is.
fn fate_of_published(publication: &Publication<'_>) -> Result<Fate> {
    let Some(place) = publication.place()? else { return Ok(Fate::Delete) };
    let name = layout::manifest_name(publication.partition);
    let manifest = SetManifest::open(publication.manifests, &name, publication.partition)?;
    fate_of(publication.shared, place, &manifest)
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
