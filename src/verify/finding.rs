//! Something that differs from its manifest.

use crate::finding::FindingKind;

/// Something that differs from a manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The object's key, or the path of what is no object's; `None` where it is the whole day.
    pub key: Option<String>,
    /// In what way.
    pub kind: FindingKind,
    /// In words.
    pub detail: String,
}

impl Finding {
    pub(super) fn new(kind: FindingKind, key: &str, detail: impl Into<String>) -> Self {
        Self { key: Some(key.to_owned()), kind, detail: detail.into() }
    }

    pub(super) fn of_day(kind: FindingKind, detail: impl Into<String>) -> Self {
        Self { key: None, kind, detail: detail.into() }
    }
}
