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
    read_published_unless(root, manifests, partition, is_publication_begun)
}

/// The same, where `is_begun` tells whether a publication is between its two steps.
fn read_published_unless(
    root: &Folder,
    manifests: Option<&Folder>,
    partition: &Partition,
    is_begun: impl Fn(&Folder, &Partition) -> bool,
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
    if folder.as_ref().is_some_and(|folder| is_begun(folder, partition)) {
        return Ok(None);
    }
    // Between the two looks it may have taken its own.
    match read_header(manifests, partition)? {
        Some(header) => Ok(Some(header)),
        None => check_unmanaged(&data).map(|()| None),
    }
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_day_that_is_just_published_is_not_taken_for_foreign_data() {
        let partition =
            Partition { type_name: TypeName::parse("events").unwrap(), date: "2026-11-20".parse().unwrap() };
        let header: Header = serde_json::from_value(json!({
            "format": manifest::FORMAT_NAME, "version": manifest::FORMAT_VERSION, "account_id": "1", "source": "",
            "type": "events", "date": "2026-11-20", "selection": "all", "listing_digest": "0".repeat(64),
            "objects": 1, "bytes": 1, "completeness": "declared", "tool_version": "",
            "published_at": "2026-11-21T12:00:00Z",
        }))
        .unwrap();
        let manifest = manifest::ManifestWriter::new(Vec::new(), &header).unwrap().finish().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let root = Folder::open_root(folder.path()).unwrap();
        let manifests = root.create_child("manifests").unwrap();
        let of_type = manifests.create_child(&partition.type_name.folder()).unwrap();
        let day = root.create_child(&partition.type_name.folder()).unwrap();
        let day = day.create_child(&partition.date_folder()).unwrap();
        std::fs::write(day.path().join("part-0.parquet"), "x").unwrap();
        let next = layout::next_manifest_name(&partition);
        std::fs::write(of_type.path().join(&next), &manifest).unwrap();
        assert_eq!(read_published(&root, Some(&manifests), &partition).unwrap(), None, "between its two steps");
        // Another run takes the last step after this one has looked for the manifest.
        let found = read_published_unless(&root, Some(&manifests), &partition, |folder, partition| {
            of_type.rename(&next, &of_type, &layout::manifest_name(partition)).unwrap();
            is_publication_begun(folder, partition)
        });
        assert_eq!(found.unwrap(), Some(header));
        of_type.remove_file(&layout::manifest_name(&partition)).unwrap();
        let error = read_published(&root, Some(&manifests), &partition).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::DataForeign);
    }
}
