//! Which file is which object's: a manifest's lines and the files that stand there, both ascending.

use std::collections::BTreeMap;
use std::iter::Peekable;

use super::finding::Finding;
use crate::destination::{Entries, StandingFile};
use crate::error::Result;
use crate::export::{SUCCESS_MARKER, Scope};
use crate::finding::FindingKind;
use crate::manifest::Entry;

/// Goes along a manifest while the files of its partition come by.
///
/// In memory are only the objects that are stored under another name than their key, and the files
/// that no object so far has.
pub(super) struct Matching<'a> {
    entries: Peekable<Entries>,
    scope: &'a Scope,
    renamed: BTreeMap<String, Entry>,
    unmatched: Vec<StandingFile>,
    /// The marker of a complete day, where it is there.
    pub marker: Option<StandingFile>,
    pub findings: Vec<Finding>,
}

/// An object and the file that should be it.
pub(super) type Pair = (Entry, StandingFile);

impl<'a> Matching<'a> {
    pub fn new(entries: Entries, scope: &'a Scope) -> Self {
        Self {
            entries: entries.peekable(),
            scope,
            renamed: BTreeMap::new(),
            unmatched: Vec::new(),
            marker: None,
            findings: Vec::new(),
        }
    }

    /// Takes the next file, and gives the object with it where there is one.
    pub fn take(&mut self, file: StandingFile) -> Result<Option<Pair>> {
        loop {
            match self.entries.peek() {
                Some(Ok(entry)) if entry.path.is_none() && entry.key == file.path => {
                    let entry = self.entries.next().transpose()?;
                    return Ok(entry.filter(|entry| self.scope.matches(&entry.key)).map(|entry| (entry, file)));
                }
                Some(Ok(entry)) if entry.path.is_none() && entry.key > file.path => break,
                None => break,
                Some(_) => self.pass_over()?,
            }
        }
        if file.path == SUCCESS_MARKER {
            self.marker = Some(file);
        } else {
            self.unmatched.push(file);
        }
        Ok(None)
    }

    /// Leaves an object behind that has no file under its key.
    fn pass_over(&mut self) -> Result<()> {
        let Some(entry) = self.entries.next().transpose()? else { return Ok(()) };
        if !self.scope.matches(&entry.key) {
            return Ok(());
        }
        match entry.path.clone() {
            Some(path) => drop(self.renamed.insert(path, entry)),
            None => self.findings.push(missing(&entry)),
        }
        Ok(())
    }

    /// After the last file: gives the objects that are stored under other names.
    pub fn finish(&mut self) -> Result<Vec<Pair>> {
        while self.entries.peek().is_some() {
            self.pass_over()?;
        }
        let mut pairs = Vec::new();
        for file in std::mem::take(&mut self.unmatched) {
            match self.renamed.remove(&file.path) {
                Some(entry) => pairs.push((entry, file)),
                None if self.scope.matches(&file.path) => {
                    let detail = file.size_bytes.map_or("no file".to_owned(), |size| format!("{size} bytes"));
                    self.findings.push(Finding::new(FindingKind::Extra, &file.path, detail));
                }
                None => {}
            }
        }
        self.findings.extend(self.renamed.values().map(missing));
        Ok(pairs)
    }
}

fn missing(entry: &Entry) -> Finding {
    Finding::new(FindingKind::Missing, &entry.key, format!("{} bytes", entry.size_bytes))
}
