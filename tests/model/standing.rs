//! What stands at the destination of one day, read past the library: manifest, data, marker.

use std::collections::BTreeSet;

use bytes::Bytes;
use e3sync::export::{Object as Listed, SUCCESS_MARKER};
use e3sync::manifest::{Entry, Header};
use jiff::Timestamp;

use crate::failure::{Failure, ensure, fail};
use crate::place::Files;
use crate::reference::{Object, Objects, Set, Wanted};
use crate::run::scope;
use crate::source::{TYPE, location, partition};

/// A line of a manifest.
pub struct Line {
    pub entry: Entry,
    pub gone_at_source: Option<Timestamp>,
}

/// A published manifest.
pub struct Manifest {
    pub header: Header,
    pub lines: Vec<Line>,
}

/// Where a day's manifest is.
pub fn manifest_path(day: usize) -> String {
    format!("_e3sync/manifests/type={TYPE}/{}.jsonl", partition(day).date_folder())
}

/// A day as it stands.
pub struct Standing {
    pub manifest: Option<Manifest>,
    /// The files below the day's folder but `_SUCCESS`, by their paths there.
    pub data: std::collections::BTreeMap<String, Vec<u8>>,
    pub has_marker: bool,
}

impl Standing {
    /// Reads a day out of all files.
    ///
    /// # Errors
    /// A manifest that is none.
    pub fn of_day(files: &Files, day: usize) -> Result<Self, Failure> {
        let folder = partition(day).prefix();
        let below = files.range(folder.clone()..).take_while(|(path, _)| path.starts_with(&folder));
        let mut data: std::collections::BTreeMap<String, Vec<u8>> =
            below.map(|(path, bytes)| (path[folder.len()..].to_owned(), bytes.clone())).collect();
        let has_marker = data.remove(SUCCESS_MARKER).is_some();
        let manifest = files.get(&manifest_path(day)).map(|bytes| Manifest::read(bytes)).transpose()?;
        Ok(Self { manifest, data, has_marker })
    }
}

impl Manifest {
    fn read(bytes: &[u8]) -> Result<Self, Failure> {
        let torn = |what: String| Failure::new("manifest", what);
        e3sync::manifest::verify(bytes).map_err(|error| torn(error.to_string()))?;
        let mut lines = std::str::from_utf8(bytes).map_err(|error| torn(error.to_string()))?.lines();
        let header = serde_json::from_str(lines.next().unwrap_or_default()).map_err(|error| torn(error.to_string()))?;
        let mut entries = Vec::new();
        for line in lines.filter(|line| !line.contains("manifest_sha256")) {
            let entry = serde_json::from_str(line).map_err(|error| torn(error.to_string()))?;
            entries.push(Line { entry, gone_at_source: gone_at_source(line)? });
        }
        Ok(Self { header, lines: entries })
    }

    /// Whether it is the manifest of this set: the same cloud, scope and completeness, and the same
    /// objects by key, size and version.
    pub fn is_of(&self, set: &Set) -> bool {
        self.header.source == location(set.cloud).to_string()
            && self.header.selection == scope(&set.scope)
            && self.header.completeness.is_complete() == set.is_complete
            && self.lines.len() == set.objects.len()
            && self.lines.iter().zip(&set.objects).all(|(line, (key, object))| is_line_of(line, key, object, set.cloud))
    }

    /// Sees that header and lines agree.
    ///
    /// # Errors
    /// Numbers that are not those of the lines.
    pub fn check_totals(&self) -> Result<(), Failure> {
        let bytes: u64 = self.lines.iter().map(|line| line.entry.size_bytes).sum();
        let rows: Option<u64> = self.lines.iter().map(|line| line.entry.rows).sum();
        let said = (self.header.objects, self.header.bytes);
        ensure(said == (self.lines.len() as u64, bytes), "manifest", || {
            format!("the header says {said:?} of {} objects with {bytes} bytes", self.lines.len())
        })?;
        let is_known = self.lines.is_empty() || self.header.rows == rows;
        ensure(is_known, "manifest", || format!("the header says {:?} rows of {rows:?}", self.header.rows))
    }
}

/// The line's mark that the source has the object no more.
fn gone_at_source(line: &str) -> Result<Option<Timestamp>, Failure> {
    let value: serde_json::Value =
        serde_json::from_str(line).map_err(|error| Failure::new("manifest", error.to_string()))?;
    match value.get("gone_at_source") {
        None | Some(serde_json::Value::Null) => Ok(None),
        Some(time) => match time.as_str().and_then(|text| text.parse().ok()) {
            Some(time) => Ok(Some(time)),
            None => fail("gone_at_source", || format!("{time} is no time")),
        },
    }
}

fn is_line_of(line: &Line, key: &str, object: &Object, cloud: usize) -> bool {
    let listed = Listed {
        key: key.to_owned(),
        size_bytes: object.bytes.len() as u64,
        generation: (cloud == 0).then_some(object.version),
        etag: (cloud == 1).then(|| format!("\"{}\"", object.version)),
        ..Listed::default()
    };
    line.entry.is_of(&listed) && line.entry.rows == object.rows && line.entry.sha256.0 == object.sha256
}

/// The names of a set in a line, for messages.
pub fn told(set: Option<&Set>) -> String {
    let Some(set) = set else { return "nothing".to_owned() };
    let scope = match &set.scope {
        Wanted::All => "all".to_owned(),
        Wanted::AnyOf(filters) => format!("{filters:?}"),
    };
    let completeness = if set.is_complete { "complete" } else { "incomplete" };
    format!("cloud {}, {scope}, {completeness}: {}", set.cloud, told_objects(&set.objects))
}

fn told_objects(objects: &Objects) -> String {
    let names = objects.iter().map(|(key, object)| format!("{key}@{}", object.version));
    names.collect::<Vec<_>>().join(" ")
}

/// What a manifest says, for messages.
pub fn told_manifest(manifest: Option<&Manifest>) -> String {
    let Some(Manifest { header, lines }) = manifest else { return "nothing".to_owned() };
    let names = lines.iter().map(|line| {
        let version = line.entry.generation.map_or_else(
            || line.entry.etag.clone().unwrap_or_default().trim_matches('"').to_owned(),
            |generation| generation.to_string(),
        );
        let gone = if line.gone_at_source.is_some() { "(gone)" } else { "" };
        format!("{}@{version}{gone}", line.entry.key)
    });
    let selection = serde_json::to_string(&header.selection).unwrap_or_default();
    let names = names.collect::<Vec<_>>().join(" ");
    format!("{}, {selection}, {:?}: {names}", header.source, header.completeness)
}

/// The keys of objects whose bytes are not as they should be.
pub fn wrong_keys(objects: &Objects, data: &std::collections::BTreeMap<String, Vec<u8>>) -> BTreeSet<String> {
    let is_wrong = |(key, object): &(&String, &Object)| data.get(*key).map(Vec::as_slice) != Some(&object.bytes[..]);
    objects.iter().filter(is_wrong).map(|(key, _)| key.clone()).collect()
}

/// Whether these are an object's bytes.
pub fn is_bytes(bytes: &[u8], object: &Bytes) -> bool {
    bytes == &object[..]
}
