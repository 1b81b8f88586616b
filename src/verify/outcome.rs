//! What a verification came to.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::finding::Finding;
use crate::destination::Damage;
use crate::error::{Error, ExitCode};
use crate::export::Partition;
use crate::finding::FindingKind;

/// What a verification found.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct VerifyOutcome {
    /// The days that were looked at.
    pub days: u64,
    /// The days that a former, interrupted verification had verified.
    pub days_resumed: u64,
    /// The objects that were compared.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// How many differences there are of each kind.
    pub differences: BTreeMap<FindingKind, u64>,
    /// The days that differ.
    pub damaged: BTreeMap<Partition, Damaged>,
    /// The days that this verification looked at and in which nothing differs.
    pub sound: BTreeSet<Partition>,
    /// The same for the run that is to repair them.
    pub damage: Damage,
    /// The days that a run is replacing, so that they were not verified.
    pub being_replaced: Vec<Partition>,
    /// What stopped the verification before its end.
    pub stopped_by: Option<Error>,
}

/// What is wrong with a day.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Damaged {
    /// When the set was published that differs; `None` where its manifest cannot be read or there is
    /// none.
    pub published_at: Option<Timestamp>,
    /// How many differences there are of each kind.
    pub differences: BTreeMap<FindingKind, u64>,
}

impl Damaged {
    /// Whether there are differences of this kind.
    pub fn has(&self, kind: FindingKind) -> bool {
        self.differences.contains_key(&kind)
    }
}

impl VerifyOutcome {
    pub(super) fn note(&mut self, partition: &Partition, published_at: Option<Timestamp>, finding: &Finding) {
        *self.differences.entry(finding.kind).or_default() += 1;
        let damaged = self.damaged.entry(partition.clone()).or_default();
        damaged.published_at = published_at;
        *damaged.differences.entry(finding.kind).or_default() += 1;
        // Only what has the right name and size could be taken for the object.
        match (&finding.key, finding.kind) {
            (Some(key), FindingKind::Changed | FindingKind::Unreadable) => self.damage.note_object(partition, key),
            _ => self.damage.note(partition),
        }
    }

    /// What the command ends with.
    pub fn exit_code(&self) -> ExitCode {
        let is_difference = |kind: &FindingKind| *kind != FindingKind::Unreadable;
        if let Some(error) = &self.stopped_by {
            error.exit_code()
        } else if self.differences.keys().any(is_difference) {
            ExitCode::Difference
        } else if !self.differences.is_empty() {
            ExitCode::Failure
        } else if !self.being_replaced.is_empty() {
            ExitCode::Partial
        } else {
            ExitCode::Success
        }
    }
}
