//! The records of staged objects in a directory: their files and how they are opened.

use std::fs::File;
use std::io::{BufWriter, Write as _};

use super::folder::Folder;
use crate::destination::Listing;
use crate::destination::failure::failed;
use crate::error::Result;

/// The ending of a stored listing's name; what stands before it is the listing's digest.
const LISTING_ENDING: &str = ".listing";
/// The ending of the name of a listing's records.
const RECORDS_ENDING: &str = ".records";

/// A ledger in files, so that a killed run's work is found again.
pub(super) type Ledger = crate::destination::ledger::Ledger<File>;

/// The ledger of a listing: the one that a former run began, or else a new one that takes over
/// what other ledgers know about the same objects. Ledgers that are not needed any more go.
pub(super) fn open(folder: &Folder, listing: &mut Listing) -> Result<Ledger> {
    let name = listing.summary.digest.to_string();
    let others: Vec<String> = stored_digests(folder)?.into_iter().filter(|other| *other != name).collect();
    let ledger = match open_stored(folder, &name)? {
        Some(ledger) => ledger,
        None => create(folder, &name, listing, &others)?,
    };
    for other in &others {
        remove(folder, other)?;
    }
    Ok(ledger)
}

/// Every stored ledger whose listing is whole.
pub(super) fn open_all(folder: &Folder) -> Result<Vec<Ledger>> {
    let digests = stored_digests(folder)?;
    digests.iter().filter_map(|name| open_stored(folder, name).transpose()).collect()
}

/// A torn listing is begun anew.
fn open_stored(folder: &Folder, name: &str) -> Result<Option<Ledger>> {
    let Some(listing) = folder.file(&format!("{name}{LISTING_ENDING}"))? else { return Ok(None) };
    let records = folder.open_or_create_file(&records_name(name))?;
    let ledger = Ledger::new(listing, records, folder.path().to_owned());
    Ok(ledger.has_digest(name).then_some(ledger))
}

fn create(folder: &Folder, name: &str, listing: &mut Listing, others: &[String]) -> Result<Ledger> {
    let told = |cause| failed("write", folder.path(), cause);
    let mut output = BufWriter::new(folder.create_file(&format!("{name}{LISTING_ENDING}"))?);
    listing.copy_to(&mut output).map_err(told)?;
    output.flush().map_err(told)?;
    let file = output.into_inner().map_err(|error| told(error.into_error()))?;
    file.sync_data().map_err(told)?;
    let ledger = Ledger::new(file, folder.create_file(&records_name(name))?, folder.path().to_owned());
    for other in others {
        if let Some(other) = open_stored(folder, other)? {
            ledger.take_over(&other)?;
        }
    }
    Ok(ledger)
}

/// Removes every ledger of the folder.
pub(super) fn remove_all(folder: &Folder) -> Result<()> {
    for (name, _) in folder.entries()? {
        if let Some((digest, LISTING_ENDING | RECORDS_ENDING)) = name.rfind('.').map(|dot| name.split_at(dot))
            && crate::manifest::from_hex(digest).is_some()
        {
            folder.remove_file(&name)?;
        }
    }
    Ok(())
}

fn records_name(digest: &str) -> String {
    format!("{digest}{RECORDS_ENDING}")
}

fn remove(folder: &Folder, digest: &str) -> Result<()> {
    folder.remove_file(&format!("{digest}{LISTING_ENDING}"))?;
    folder.remove_file(&records_name(digest))
}

fn stored_digests(folder: &Folder) -> Result<Vec<String>> {
    let entries = folder.entries()?.into_iter();
    Ok(entries.filter_map(|(name, _)| name.strip_suffix(LISTING_ENDING).map(str::to_owned)).collect())
}
