//! What is published in a directory: manifests with the folders that they describe.

use std::io::BufReader;

use jiff::civil::Date;

use super::folder::Folder;
use super::layout;
use crate::destination::{PublishedDays, PublishedManifest, VerificationRecord};
use crate::error::{Error, ErrorKind, Result};
use crate::export::{Partition, TypeName};
use crate::manifest::{self, Header};

/// The header of what is published of a partition.
///
/// # Errors
/// [`ErrorKind::DataForeign`] where data stand there without a manifest.
pub(super) fn read_published(
    root: &Folder,
    manifests: Option<&Folder>,
    partition: &Partition,
) -> Result<Option<Header>> {
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

/// The header of a partition's manifest, whether its data are there or not.
pub(super) fn read_header(manifests: &Folder, partition: &Partition) -> Result<Option<Header>> {
    let folder = manifests.child(&partition.type_name.folder())?;
    let file = folder.map_or(Ok(None), |folder| folder.file(&layout::manifest_name(partition)))?;
    let Some(file) = file else { return Ok(None) };
    let header = manifest::read_header(BufReader::new(file)).map_err(|error| error.within(partition))?;
    header.check_is_of(partition)?;
    Ok(Some(header))
}

/// A partition's whole manifest, checked against its last line.
pub(super) fn read_manifest(manifests: &Folder, partition: &Partition) -> Result<Option<PublishedManifest>> {
    let folder = manifests.child(&partition.type_name.folder())?;
    let file = folder.map_or(Ok(None), |folder| folder.file(&layout::manifest_name(partition)))?;
    let Some(file) = file else { return Ok(None) };
    let header = manifest::verify(BufReader::new(&file)).map_err(|error| error.within(partition))?;
    header.check_is_of(partition)?;
    // The same open file, so that a publication in between does not give another one's lines.
    Ok(Some(PublishedManifest::new(header, file)))
}

/// What verifications have found.
pub(super) fn read_verification(side: &Folder) -> Result<VerificationRecord> {
    VerificationRecord::parse(side.file_bytes(layout::VERIFICATION)?.as_deref())
}

/// Whether a run has written the partition's next manifest, which has not taken its name yet.
pub(super) fn is_publication_begun(manifests: &Folder, partition: &Partition) -> bool {
    let names = manifests.entries().unwrap_or_default();
    names.iter().any(|(name, _)| layout::day_of_next_manifest(name) == Some(partition.date))
}

/// Data without a manifest is somebody else's; publishing over it would delete it.
pub(super) fn check_unmanaged(data: &Folder) -> Result<()> {
    if data.entries()?.is_empty() {
        return Ok(());
    }
    Err(Error::new(ErrorKind::DataForeign, format!("{} holds data that e3sync did not publish", data.path().display()))
        .with_hint("move it away, or choose another destination; nothing there was touched"))
}

/// The days that have a manifest.
pub(super) fn read_published_days(manifests: &Folder) -> Result<PublishedDays> {
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
