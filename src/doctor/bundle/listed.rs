//! A page of a listing as the server sent it, with every field that its objects have.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::mask::etag_shape;
use crate::net::xml::Element;

/// What an answer lists.
#[derive(Debug, Default)]
pub(super) struct Listed {
    /// Keys in full with their sizes in bytes.
    pub objects: Vec<(String, u64)>,
    /// Folders in full.
    pub folders: Vec<String>,
    /// Whether there are more pages.
    pub is_truncated: bool,
    /// The names of the fields that objects have.
    pub fields: BTreeSet<String>,
    /// How many objects there are of each storage class.
    pub storage_classes: BTreeMap<String, u64>,
    /// Names of the checksums that the listing tells.
    pub checksums: BTreeSet<String>,
    /// The shapes of entity tags.
    pub etags: BTreeSet<String>,
}

impl Listed {
    /// Reads an answer of either cloud; `None` for what is no listing.
    pub fn read(body: &[u8]) -> Option<Self> {
        match serde_json::from_slice::<Value>(body) {
            Ok(page) => Self::of_json(&page),
            Err(_) => Self::of_xml(&Element::parse(body)?),
        }
    }

    fn of_json(page: &Value) -> Option<Self> {
        if page["kind"] != "storage#objects" {
            return None;
        }
        let mut listed = Self { is_truncated: page["nextPageToken"].is_string(), ..Self::default() };
        let folders = page["prefixes"].as_array().into_iter().flatten().filter_map(Value::as_str);
        listed.folders = folders.map(str::to_owned).collect();
        for item in page["items"].as_array().into_iter().flatten() {
            let text = |name: &str| item[name].as_str().unwrap_or_default().to_owned();
            listed.fields.extend(item.as_object().into_iter().flatten().map(|(name, _)| name.clone()));
            let checksums = ["crc32c", "md5Hash"].into_iter().filter(|name| item[name].is_string());
            listed.checksums.extend(checksums.map(str::to_owned));
            listed.add(text("name"), &text("size"), text("storageClass"), &text("etag"));
        }
        Some(listed)
    }

    fn of_xml(root: &Element) -> Option<Self> {
        if root.name() != "ListBucketResult" {
            return None;
        }
        let mut listed = Self { is_truncated: root.text_of("IsTruncated") == Some("true"), ..Self::default() };
        let folders = root.all("CommonPrefixes").filter_map(|folder| folder.text_of("Prefix"));
        listed.folders = folders.map(str::to_owned).collect();
        for entry in root.all("Contents") {
            let text = |name: &str| entry.text_of(name).unwrap_or_default().to_owned();
            listed.fields.extend(entry.children().iter().map(|field| field.name().to_owned()));
            let checksums = ["ChecksumAlgorithm", "ChecksumType"].into_iter().flat_map(|name| entry.all(name));
            listed.checksums.extend(checksums.map(|checksum| checksum.text().to_owned()));
            listed.add(text("Key"), &text("Size"), text("StorageClass"), &text("ETag"));
        }
        Some(listed)
    }

    fn add(&mut self, key: String, size: &str, storage_class: String, etag: &str) {
        self.objects.push((key, size.trim().parse().unwrap_or(0)));
        *self.storage_classes.entry(storage_class).or_default() += 1;
        self.etags.insert(etag_shape(etag));
    }
}
