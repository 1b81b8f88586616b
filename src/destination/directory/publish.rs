//! Making a staged set visible: the one place where verified objects become files under their own
//! names, in the order that survives a kill and a power loss (design.md promises 1 and 6).

use super::assemble::{Renamed, assemble};
use super::claimed::Claimed;
use super::folder::Folder;
use super::ledger::Ledger;
use super::published::{check_unmanaged, read_manifest};
use super::replaced_name::{Fate, ReplacedName};
use super::set_manifest::SetManifest;
use super::settle::{Settlement, fate_of};
use super::shared::Shared;
use super::{durable, layout};
use crate::destination::{Position, Publication, PublishTerms, PublishedManifest, publication};
use crate::error::Result;
use crate::export::Partition;
use crate::manifest::{Entry, Header, ManifestWriter, outer_join};

/// Publishes the claimed partition's staged set.
pub(super) fn publish(claim: &Claimed, terms: &PublishTerms) -> Result<Publication> {
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
        claim.clear()?;
        return Ok(Publication::Published(Box::new(header)));
    }
    let header = publication::header(&shared.account_id, partition, &totals, terms);
    if publication::is_held_back(replaced.as_ref(), &ledger, shared.run, totals.objects_gone_at_source, terms)? {
        return Ok(Publication::Held);
    }

    let renamed = assemble(claim, &ledger, terms)?;
    if let Err(error) = sync_staged(claim) {
        // What could not be written may still be read back from memory as if it were on the disk;
        // it is fetched anew instead of being trusted.
        let _ = claim.clear();
        return Err(error);
    }
    shared.bind_to_account()?;
    let next_name = layout::next_manifest_name(partition);

    write_manifest(&manifests, &next_name, &header, &ledger, shared.run, &renamed)?;
    shared.manifests.sync()?;

    let settlement = Settlement { shared, partition, staging: &claim.staging, manifests: &manifests };
    let replaced = ReplacedName::new(terms.now, fate_of_published(&settlement)?);
    settlement.record(&next_name, &replaced)?;
    swap_in(shared, partition, &claim.staging)?;
    settlement.finish(&next_name)?;
    // What is left behind the manifest's rename does not undo the publication; a later run tries again.
    if let Err(error) = settlement.put_away(replaced).and_then(|()| claim.clear()) {
        shared.warn(format!("{partition} is published, and its staging folder is not cleared: {error}"));
    }
    Ok(Publication::Published(Box::new(header)))
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

/// Brings the staged set to the disk, and the folders by which it is found.
fn sync_staged(claim: &Claimed) -> Result<()> {
    durable::sync_tree(&claim.staging)?;
    claim.type_staging.sync()?;
    claim.shared.staging.sync()
}

/// What shall become of the set that is published now, decided while it still is.
fn fate_of_published(settlement: &Settlement<'_>) -> Result<Fate> {
    let Some(place) = settlement.place()? else { return Ok(Fate::Delete) };
    let name = layout::manifest_name(settlement.partition);
    let manifest = SetManifest::open(settlement.manifests, &name, settlement.partition)?;
    fate_of(settlement.shared, place, &manifest)
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
