//! Putting a set together: every verified object under its own name, in a folder that no reader sees;
//! and taking it apart again where a run was killed before it was published.

use std::collections::HashMap;

use super::claimed::Claimed;
use super::folder::{Folder, Linked};
use super::layout;
use super::ledger::Ledger;
use super::settle::lost_set;
use crate::destination::PublishTerms;
use crate::destination::failure::failed;
use crate::destination::record::Place;
use crate::error::{Error, ErrorKind, Result};
use crate::export::{FilePath, Object, SUCCESS_MARKER, Scope, printable};
use crate::manifest::{Entry, VerifiedContent, join};

/// The paths of the objects that could not have their ordinary one, by their number.
pub(super) type Renamed = HashMap<u64, String>;

/// Builds the set: every finished object under its own name, and the marker of a complete day.
pub(super) fn assemble(claim: &Claimed, ledger: &Ledger, terms: &PublishTerms) -> Result<Renamed> {
    let set = claim.staging.create_child(layout::SET)?;
    let mut assembly = Assembly { claim, set: &set, last_folder: None, renamed: Renamed::new() };
    for pair in join(ledger.finished(claim.shared.run), claim.published_entries()?) {
        let pair = pair?;
        let (object, record, content) = pair.left;
        let entry = pair.right.map(|(_, entry)| entry);
        assembly.add(pair.left_index, &object, record.place, &content, entry.as_ref())?;
    }
    let renamed = assembly.renamed;
    if terms.completeness.is_complete() && terms.scope == Scope::All {
        drop(set.create_file(SUCCESS_MARKER)?);
    }
    Ok(renamed)
}

struct Assembly<'a> {
    claim: &'a Claimed,
    set: &'a Folder,
    /// Objects come in the order of their keys, so most lie in the same folder as the one before.
    last_folder: Option<(String, Folder)>,
    renamed: Renamed,
}

impl Assembly<'_> {
    /// Adds an object. `entry` is the line of its key in the present manifest, where it has one.
    fn add(
        &mut self,
        index: u64,
        object: &Object,
        place: Place,
        content: &VerifiedContent,
        entry: Option<&Entry>,
    ) -> Result<()> {
        let path = match place {
            Place::Published => self.standing_path(object, entry)?,
            Place::Staged { .. } | Place::Missing => self.claim.shared.path_of(&object.key)?,
        };
        if !self.place_at(&path, object, place, content)? {
            return Err(Error::new(
                ErrorKind::KeyRefused,
                format!("key `{}` has the same name as another", printable(&object.key)),
            )
            .with_hint("use a destination whose file system tells all names apart"));
        }
        if path.as_str() != object.key {
            self.renamed.insert(index, path.as_str().to_owned());
        }
        Ok(())
    }

    /// The path under which a published object stands: the one in the manifest, whatever its name would
    /// be today.
    fn standing_path(&self, object: &Object, entry: Option<&Entry>) -> Result<FilePath> {
        match entry.filter(|entry| entry.is_of(object)) {
            Some(entry) => FilePath::as_recorded(entry.file_path()),
            None => Err(changed_manifest(self.claim, object)),
        }
    }

    /// Puts the object's bytes at `path` of the set; `false` if the name is taken.
    fn place_at(&mut self, path: &FilePath, object: &Object, place: Place, content: &VerifiedContent) -> Result<bool> {
        let (folder, name) = path.split();
        if self.last_folder.as_ref().is_none_or(|(last, _)| last != folder) {
            self.last_folder = None;
            if !folder.is_empty() {
                let opened =
                    self.set.create_descendant(folder).map_err(|error| conflicting(error, self.set, folder, object))?;
                self.last_folder = Some((folder.to_owned(), opened));
            }
        }
        let folder = self.last_folder.as_ref().map_or(self.set, |(_, folder)| folder);
        match place {
            Place::Published => self.link_published(path, object, content, folder, name),
            Place::Staged { .. } | Place::Missing => {
                self.claim.pool.rename_if_free(&layout::pool_name(object), folder, name)
            }
        }
    }

    fn link_published(
        &self,
        path: &FilePath,
        object: &Object,
        content: &VerifiedContent,
        folder: &Folder,
        name: &str,
    ) -> Result<bool> {
        let partition = &self.claim.partition;
        let data = self.claim.shared.root.descendant(partition.prefix().trim_end_matches('/'))?;
        let data = data.ok_or_else(|| lost_set(partition))?;
        let (published_folder, published_name) = path.split();
        let holder = if published_folder.is_empty() { None } else { data.descendant(published_folder)? };
        let from = holder.as_ref().unwrap_or(&data);
        match from.link(published_name, folder, name)? {
            Linked::Done => Ok(true),
            Linked::NameTaken => Ok(false),
            Linked::Unsupported => copy_verified(from, published_name, folder, name, object, content).map(|()| true),
        }
    }
}

fn changed_manifest(claim: &Claimed, object: &Object) -> Error {
    let what = format!("the manifest of {} no longer has key `{}`", claim.partition, printable(&object.key));
    Error::new(ErrorKind::PartitionUnusable, what)
        .with_hint("another run or program changed the day during this run; run again when it has ended")
}

/// The failure to make an object's folder: most likely a file stands where the key needs it.
fn conflicting(error: Error, set: &Folder, folder: &str, object: &Object) -> Error {
    let mut above = String::new();
    let is_blocked = folder.split('/').any(|name| {
        let holder = if above.is_empty() { None } else { set.descendant(&above).ok().flatten() };
        let is_file = holder.as_ref().unwrap_or(set).file_size_bytes(name).is_some();
        above = if above.is_empty() { name.to_owned() } else { format!("{above}/{name}") };
        is_file
    });
    if is_blocked {
        return Error::new(
            ErrorKind::KeyRefused,
            format!("key `{}` needs a folder where another key is a file", printable(&object.key)),
        )
        .with_hint("no directory can hold both; a bucket can");
    }
    error
}

/// Copies an unchanged file where the file system has no hard links, and checks the copied bytes.
fn copy_verified(
    from: &Folder,
    from_name: &str,
    to: &Folder,
    to_name: &str,
    object: &Object,
    content: &VerifiedContent,
) -> Result<()> {
    use std::io::{Read as _, Write as _};
    let told = |cause| failed("copy", &to.path().join(to_name), cause);
    let mut input = from.file(from_name)?.ok_or_else(|| told(std::io::ErrorKind::NotFound.into()))?;
    let mut output = to.create_file(to_name)?;
    let mut hasher = crate::hash::ObjectHasher::for_checksums(&crate::export::Checksums::default());
    let mut buffer = vec![0; 128 * 1024];
    loop {
        let count = input.read(&mut buffer).map_err(told)?;
        if count == 0 {
            break;
        }
        hasher.update(&buffer[..count]);
        output.write_all(&buffer[..count]).map_err(told)?;
    }
    if hasher.length_bytes() == object.size_bytes && hasher.sha256_so_far() == content.sha256 {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::ChecksumMismatch,
        format!("the published file of key `{}` was altered", printable(&object.key)),
    )
    .with_hint("delete the altered file and run again; it is then fetched anew"))
}
