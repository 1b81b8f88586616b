//! Making a staged set the published one (design.md promise 1): a bucket cannot swap, so the marker
//! of a complete day goes first and comes last, and between the two readers that wait for it see
//! nothing.

use std::io::Write as _;

use super::claimed::Claimed;
use super::spool::{ObjectList, Spool};
use super::store::{Condition, DELETES_MAX, Put, Version};
use crate::destination::ledger::SetTotals;
use crate::destination::{Publication, PublishTerms, failure, publication};
use crate::error::{Error, ErrorKind, Result};
use crate::export::Object;
use crate::manifest::{Entry, Header, ManifestWriter};
use crate::plan::ListingBuilder;

/// Publishes the claimed partition's staged set.
pub(super) async fn publish(claimed: &Claimed, terms: &PublishTerms) -> Result<Publication> {
    let shared = &claimed.shared;
    let staged = claimed.staged()?;
    let totals = staged.ledger.totals(shared.run)?;
    let published = claimed.manifest.as_ref().map(|manifest| &manifest.published.header);
    if let Some(published) = published.filter(|_| terms.only_marks) {
        let header = publication::marked_header(published, &totals, terms);
        let version = write_manifest(claimed, &header).await?;
        shared.catalog.note_published(&claimed.partition, Some((&header, &version)));
        claimed.end().await?;
        return Ok(Publication::Published(Box::new(header)));
    }
    let manifest = claimed.manifest.as_ref().map(|manifest| &manifest.published);
    if publication::is_held_back(manifest, &staged.ledger, shared.run, totals.objects_gone_at_source, terms)? {
        return hold_back(claimed).await;
    }
    let header = match published.filter(|header| is_as_published(claimed, header, &totals, terms)) {
        Some(header) => header.clone(),
        None => replace(claimed, &totals, terms).await?,
    };
    mark_complete(claimed, &header).await?;
    claimed.end().await?;
    Ok(Publication::Published(Box::new(header)))
}

/// Takes a set back that turned out to have less than half of the rows. Rows are known when all objects
/// have come; by then these stand in the day, unmarked.
async fn hold_back(claimed: &Claimed) -> Result<Publication> {
    match undo(claimed).await {
        Ok(()) => Ok(Publication::Held),
        Err(error) if error.kind() == ErrorKind::ManifestDamaged => Err(Error::new(
            ErrorKind::Shrunk,
            format!("{} was rewritten at the source with less than half of its data", claimed.partition),
        )
        .with_hint(
            "objects of the published day are overwritten already, since the new ones have their names, so the day stays unmarked; accept the new one with --accept-shrink, or bring the old ones back from the bucket's versions",
        )),
        Err(error) => Err(error),
    }
}

/// Whether a former run ended before it could tell that it was done: nothing but that is to do.
fn is_as_published(claimed: &Claimed, header: &Header, totals: &SetTotals, terms: &PublishTerms) -> bool {
    let is_as_it_stands = claimed.staged().is_ok_and(|staged| {
        let has_surplus = !staged.found.replaced.is_empty() || !staged.found.leftover.is_empty();
        staged.objects_unchanged == totals.listing.objects && !has_surplus
    });
    !claimed.has_begun()
        && is_as_it_stands
        && !claimed.shared.settings.damage.is_in(&claimed.partition)
        && header.listing_digest == terms.listing_digest
        && header.objects == totals.listing.objects
        && header.objects_gone_at_source == totals.objects_gone_at_source
        && header.source == terms.source
        && header.selection == terms.scope
        && header.completeness == terms.completeness
}

/// The new manifest, then the old set's objects go.
async fn replace(claimed: &Claimed, totals: &SetTotals, terms: &PublishTerms) -> Result<Header> {
    let shared = &claimed.shared;
    let staged = claimed.staged()?;
    shared.bind_to_account().await?;
    claimed.begin(&staged).await?;
    let header = publication::header(&shared.account_id, &claimed.partition, totals, terms);
    if shared.settings.keep_superseded {
        // The present manifest still tells them; after a kill behind it nothing would.
        claimed.keep_aside(&staged.found.replaced).await?;
    }
    let version = write_manifest(claimed, &header).await?;
    shared.catalog.note_published(&claimed.partition, Some((&header, &version)));
    delete(claimed, &staged.found.replaced).await?;
    delete(claimed, &staged.found.leftover).await?;
    Ok(header)
}

/// Takes back what was begun: what no manifest names is removed, and the marker of the published set
/// returns.
///
/// # Errors
/// [`ErrorKind::ManifestDamaged`] where objects of the published set are not as it has them any more. The
/// day stays unmarked then if it was this tool that overwrote them.
pub(super) async fn undo(claimed: &Claimed) -> Result<()> {
    let is_as_it_was = claimed.is_as_it_was();
    let mut listing = ListingBuilder::new(&claimed.shared.settings.spill_folder);
    let mut source = String::new();
    if let Some(manifest) = &claimed.manifest {
        source.clone_from(&manifest.published.header.source);
        for entry in manifest.published.entries()? {
            let entry = entry?;
            listing.add(&Object {
                key: entry.key,
                size_bytes: entry.size_bytes,
                etag: entry.etag,
                generation: entry.generation,
                ..Object::default()
            })?;
        }
    }
    let mut listing = listing.finish();
    let inventory = claimed.stage(&mut listing, &source).await?;
    let is_whole = inventory.objects_here == listing.summary.objects;
    restore(claimed, is_whole || is_as_it_was).await?;
    if !is_whole {
        return Err(Error::new(
            ErrorKind::ManifestDamaged,
            format!(
                "{}: {} published objects were replaced or deleted in the bucket",
                claimed.partition,
                listing.summary.objects - inventory.objects_here
            ),
        )
        .with_hint("the source does not have this version of the day any more; its manifest says what it was"));
    }
    Ok(())
}

/// Takes back what was begun: its objects go, and the marker of the published set returns if it is whole.
async fn restore(claimed: &Claimed, is_whole: bool) -> Result<()> {
    let staged = claimed.staged()?;
    delete(claimed, &staged.found.replaced).await?;
    delete(claimed, &staged.found.leftover).await?;
    if let Some(manifest) = claimed.manifest.as_ref().filter(|_| is_whole)
        && !staged.found.has_success_marker
    {
        mark_complete(claimed, &manifest.published.header).await?;
    }
    claimed.end().await
}

/// Writes the manifest in place of the one that was there when the partition was claimed.
async fn write_manifest(claimed: &Claimed, header: &Header) -> Result<Version> {
    let shared = &claimed.shared;
    let spool = Spool::new(&shared.settings.spill_folder);
    let written = spool.with(|file| write_lines(claimed, header, file))?;
    written.map_err(|cause| failure::failed("write below", &shared.settings.spill_folder, cause))?;
    let key = shared.layout.manifest(&claimed.partition);
    let condition =
        claimed.manifest.as_ref().map_or(Condition::IfAbsent, |manifest| Condition::IfMatch(&manifest.version));
    match shared.requests.put_spooled(&key, &spool, condition).await? {
        Put::Stored(version) => Ok(version),
        Put::Refused => Err(Error::new(
            ErrorKind::Held,
            format!("{} was published by another run in the meantime", claimed.partition),
        )
        .with_hint("run again; it begins from what the other run has published")),
    }
}

fn write_lines(
    claimed: &Claimed,
    header: &Header,
    output: &mut tempfile::SpooledTempFile,
) -> Result<std::io::Result<()>> {
    let staged = claimed.staged()?;
    let mut writer = match ManifestWriter::new(std::io::BufWriter::new(output), header) {
        Ok(writer) => writer,
        Err(cause) => return Ok(Err(cause)),
    };
    for finished in staged.ledger.finished(claimed.shared.run) {
        let (object, record, content) = finished?;
        let mut entry = Entry::new(&object, &object.key, &content);
        entry.stored_etag = record.stored_etag.map(|etag| etag.as_str().to_owned());
        if let Err(cause) = writer.write(&entry) {
            return Ok(Err(cause));
        }
    }
    Ok(writer.finish().and_then(|mut output| output.flush()))
}

/// Writes the marker of a complete day, where the set is one.
async fn mark_complete(claimed: &Claimed, header: &Header) -> Result<()> {
    if !header.is_complete_day() {
        return Ok(());
    }
    let key = claimed.shared.layout.success_marker(&claimed.partition);
    // The one write that makes readers believe; it rests on a lease that was just looked at.
    claimed.shared.lease.assure_fresh().await?;
    claimed.shared.requests.put_small(&key, Vec::new(), Condition::None).await.map(drop)
}

async fn delete(claimed: &Claimed, objects: &ObjectList) -> Result<()> {
    let mut keys = Vec::with_capacity(DELETES_MAX);
    for object in objects.iter() {
        keys.push(claimed.shared.key_of(&claimed.partition, &object?.key));
        if keys.len() == DELETES_MAX {
            claimed.shared.requests.delete(&keys).await?;
            keys.clear();
        }
    }
    if keys.is_empty() { Ok(()) } else { claimed.shared.requests.delete(&keys).await }
}
