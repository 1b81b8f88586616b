//! In what way something differs from its manifest.

/// In what way something differs from its manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum FindingKind {
    /// The manifest has the object, the destination does not.
    Missing,
    /// The destination has what no manifest has, and readers take it for a part of the day.
    Extra,
    /// Another size, other bytes, or no file at all.
    Changed,
    /// The bytes could not be read.
    Unreadable,
    /// The manifest is torn, altered or another day's.
    ManifestDamaged,
    /// There are data and no manifest.
    ManifestMissing,
    /// The day is complete and its `_SUCCESS` is not there.
    MarkerMissing,
    /// `_SUCCESS` is there and the day is not complete.
    MarkerExtra,
}

impl FindingKind {
    /// The kind's name in output.
    pub fn name(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Extra => "extra",
            Self::Changed => "changed",
            Self::Unreadable => "unreadable",
            Self::ManifestDamaged => "manifest_damaged",
            Self::ManifestMissing => "manifest_missing",
            Self::MarkerMissing => "marker_missing",
            Self::MarkerExtra => "marker_extra",
        }
    }
}

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
