//! Ending a publication: its last steps, and what the next run does about one that was broken off.
//! Every step can be repeated, since a run can be killed here too.

use super::evidence::{Places, Stands, has_all_names, which_stands};
use super::folder::Folder;
use super::layout;
use super::publication_record::{PublicationRecord, digest_of, link_or_copy};
use super::replaced::{retry_staged, set_aside};
use super::replaced_name::{Fate, ReplacedName};
use super::set_files::published_size_bytes;
use super::set_manifest::{Opened, SetManifest};
use super::shared::Shared;
use super::walk::Walk;
use crate::error::{Error, ErrorKind, Result};
use crate::export::{Partition, SUCCESS_MARKER};

/// A partition whose publication is to be ended.
pub(super) struct Settlement<'a> {
    pub shared: &'a Shared,
    pub partition: &'a Partition,
    /// The partition's staging folder.
    pub staging: &'a Folder,
    /// The folder of its type's manifests.
    pub manifests: &'a Folder,
}

/// Finishes or undoes a publication that was broken off, and tries again to move what it replaced.
pub(super) fn settle(shared: &Shared, partition: &Partition, staging: &Folder) -> Result<()> {
    let record = PublicationRecord::read(staging)?;
    if let Some(manifests) = shared.manifests.child(&partition.type_name.folder())? {
        Settlement { shared, partition, staging, manifests: &manifests }.settle(record.as_ref())?;
    }
    // A record that was not written to its end, or whose publication has ended by now.
    remove_record(staging)?;
    // Version 0.1 left a replaced set that it could not delete, without its manifest.
    set_aside(shared, partition, staging, layout::REPLACED, ReplacedName::new(shared.clock.now(), Fate::KeepForeign))?;
    retry_staged(shared, partition, staging)
}

/// Removes the record, and the second name of the manifest that goes with it.
fn remove_record(staging: &Folder) -> Result<()> {
    staging.remove_file(layout::RECORD)?;
    staging.remove_file(layout::PRESENT)
}

impl Settlement<'_> {
    fn settle(&self, record: Option<&PublicationRecord>) -> Result<()> {
        let names = self.manifests.entries()?;
        let is_begun = |name: &str| layout::day_of_next_manifest(name) == Some(self.partition.date);
        let begun: Vec<&str> = names.iter().map(|(name, _)| name.as_str()).filter(|name| is_begun(name)).collect();
        for next_name in &begun {
            self.settle_next(next_name, record)?;
        }
        let Some(record) = record.filter(|_| begun.is_empty()) else { return Ok(()) };
        let name = layout::manifest_name(self.partition);
        if digest_of(self.manifests, &name)? == Some(record.next_manifest_sha256) {
            // Only the replaced set was still to be moved.
            return self.put_away(self.name_of(record));
        }
        self.restore_place(None)
    }

    /// Finishes or undoes the publication of one next manifest.
    fn settle_next(&self, next_name: &str, record: Option<&PublicationRecord>) -> Result<()> {
        let next = SetManifest::open(self.manifests, next_name, self.partition)?;
        let present = SetManifest::open(self.manifests, &layout::manifest_name(self.partition), self.partition)?;
        match self.which_stands(&next, &present, record)? {
            Stands::Next => {
                let name = match record {
                    Some(record) => self.name_of(record),
                    None => self.record_late(next_name, &present)?,
                };
                self.finish(next_name)?;
                self.put_away(name)
            }
            Stands::Present => {
                self.restore_place(next.whole())?;
                self.manifests.remove_file(next_name)?;
                self.manifests.sync()
            }
        }
    }

    fn which_stands(&self, next: &Opened, present: &Opened, record: Option<&PublicationRecord>) -> Result<Stands> {
        let Some(place) = self.place()? else { return Ok(Stands::Present) };
        let aside = self.aside()?;
        match next {
            Opened::Whole(next) => which_stands(&Places { place: &place, aside: aside.as_ref() }, next, present),
            // It was on the disk before the record was: without a record it was not written to its end.
            Opened::None | Opened::Damaged if record.is_none() => Ok(Stands::Present),
            Opened::None | Opened::Damaged => {
                let is_present = present.whole().map_or(Ok(false), |present| has_all_names(&place, present))?;
                Ok(if is_present { Stands::Present } else { Stands::Next })
            }
        }
    }

    /// After the swap: it reaches the disk, then the manifest takes its name.
    pub fn finish(&self, next_name: &str) -> Result<()> {
        let name = layout::manifest_name(self.partition);
        if let Some(type_folder) = self.shared.root.child(&self.partition.type_name.folder())? {
            type_folder.sync()?;
        }
        self.staging.sync()?;
        self.shared.root.sync()?;
        self.manifests.rename(next_name, self.manifests, &name)?;
        self.manifests.sync()
    }

    /// Moves the replaced set out of the way, and ends the publication by removing its record.
    pub fn put_away(&self, name: ReplacedName) -> Result<()> {
        let (shared, partition, staging) = (self.shared, self.partition, self.staging);
        let from = if staging.inode_of(layout::REPLACED).is_some() { layout::REPLACED } else { layout::SET };
        set_aside(shared, partition, staging, from, name)?;
        remove_record(staging)
    }

    /// Records what is about to be done, and keeps a second name of the present manifest, so that the
    /// old set can be told from files of others when the next manifest has taken its place.
    pub fn record(&self, next_name: &str, replaced: &ReplacedName) -> Result<()> {
        let name = layout::manifest_name(self.partition);
        self.staging.remove_file(layout::PRESENT)?;
        let present = digest_of(self.manifests, &name)?;
        if present.is_some() {
            link_or_copy(self.manifests, &name, self.staging, layout::PRESENT)?;
        }
        let next = digest_of(self.manifests, next_name)?.ok_or_else(|| lost_set(self.partition))?;
        PublicationRecord::new(next, present, replaced).write(self.staging)
    }

    /// Puts the old set back where a kill fell between two renames, or where somebody removed the day
    /// after the swap.
    fn restore_place(&self, next: Option<&SetManifest>) -> Result<()> {
        if self.place()?.is_some() {
            return Ok(());
        }
        let from = match self.staging.inode_of(layout::REPLACED) {
            Some(_) => layout::REPLACED,
            None if self.is_old_set_in_staging(next)? => layout::SET,
            None => return Ok(()),
        };
        let type_folder = self.shared.root.create_child(&self.partition.type_name.folder())?;
        self.staging.rename_if_free(from, &type_folder, &self.partition.date_folder())?;
        type_folder.sync()?;
        self.staging.sync()
    }

    /// Whether the set in staging is the one of the present manifest, and not of the next one.
    fn is_old_set_in_staging(&self, next: Option<&SetManifest>) -> Result<bool> {
        let (Some(next), Some(set)) = (next, self.staging.child(layout::SET)?) else { return Ok(false) };
        let present = SetManifest::open(self.manifests, &layout::manifest_name(self.partition), self.partition)?;
        let Some(whole) = present.whole() else { return Ok(false) };
        let places = Places { place: &set, aside: None };
        Ok(has_all_names(&set, whole)? && which_stands(&places, next, &present)? == Stands::Present)
    }

    /// The folder at the partition's place.
    pub fn place(&self) -> Result<Option<Folder>> {
        match self.shared.root.child(&self.partition.type_name.folder())? {
            Some(folder) => folder.child(&self.partition.date_folder()),
            None => Ok(None),
        }
    }

    fn aside(&self) -> Result<Option<Folder>> {
        match self.staging.child(layout::SET)? {
            Some(set) => Ok(Some(set)),
            None => self.staging.child(layout::REPLACED),
        }
    }

    fn name_of(&self, record: &PublicationRecord) -> ReplacedName {
        record.replaced_name().unwrap_or_else(|| ReplacedName::new(self.shared.clock.now(), record.fate()))
    }

    /// Makes up for the record that version 0.1 did not write, and gives the name for the old set.
    fn record_late(&self, next_name: &str, present: &Opened) -> Result<ReplacedName> {
        let aside = self.aside()?;
        let fate = aside.map_or(Ok(Fate::Delete), |set| fate_of(self.shared, set, present))?;
        let name = ReplacedName::new(self.shared.clock.now(), fate);
        self.record(next_name, &name)?;
        Ok(name)
    }
}

/// What shall become of a set when it is replaced: files of others in it are not to be deleted with it.
pub(super) fn fate_of(shared: &Shared, set: Folder, manifest: &Opened) -> Result<Fate> {
    if shared.settings.keep_superseded {
        return Ok(Fate::Keep);
    }
    Ok(if holds_others(set, manifest)? { Fate::KeepForeign } else { Fate::Delete })
}

/// Whether a set holds more files than those of its manifest that are there.
fn holds_others(set: Folder, manifest: &Opened) -> Result<bool> {
    let mut ours = 0_u64;
    if let Some(manifest) = manifest.whole() {
        for entry in manifest.entries()? {
            ours += u64::from(published_size_bytes(&set, entry?.file_path()).is_some());
        }
    }
    let mut files = 0_u64;
    for file in Walk::new(set)? {
        files += u64::from(file?.path != SUCCESS_MARKER);
    }
    Ok(files > ours)
}

/// The failure of a publication whose staged set or manifest vanished.
pub(super) fn lost_set(partition: &Partition) -> Error {
    Error::new(ErrorKind::PartitionUnusable, format!("the staged set of {partition} is gone"))
        .with_hint("something else works in the side folder _e3sync; leave it to e3sync")
}
