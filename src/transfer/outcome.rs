//! What became of a run and of each of its partitions.

use jiff::civil::Date;

use crate::error::Error;
use crate::export::{Partition, Scope, Strays, TypeName};
use crate::manifest::{Completeness, Header};
use crate::plan::{Action, MergeTally, PartitionPlan, Vanished};
use crate::source::AbsentCloud;

/// What became of one partition.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PartitionOutcome {
    /// The partition.
    pub partition: Partition,
    /// What was to be done.
    pub action: Action,
    /// Why.
    pub reason: &'static str,
    /// The objects of the listed set.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Objects of the set that are gone at the source and kept here.
    pub objects_gone: u64,
    /// The objects that came over the network.
    pub objects_transferred: u64,
    /// Their bytes.
    pub bytes_transferred: u64,
    /// The objects that failed.
    pub objects_failed: u64,
    /// Whether another run has published the partition since this one began.
    pub is_by_another: bool,
    /// The manifest's header, where the partition was published by this run.
    pub published: Option<Header>,
    /// Why it was not published though it should have been.
    pub error: Option<Error>,
}

impl PartitionOutcome {
    /// The outcome as long as only the plan is known.
    pub(super) fn of(plan: &PartitionPlan) -> Self {
        Self {
            partition: plan.partition.clone(),
            action: plan.action,
            reason: plan.reason,
            objects: plan.objects(),
            bytes: plan.bytes(),
            objects_gone: plan.changes.kept.objects,
            objects_transferred: 0,
            bytes_transferred: 0,
            objects_failed: 0,
            is_by_another: false,
            published: None,
            error: None,
        }
    }

    /// Takes another plan of the same partition over.
    pub(super) fn replan(&mut self, plan: &PartitionPlan) {
        let planned = Self::of(plan);
        (self.action, self.reason) = (planned.action, planned.reason);
        (self.objects, self.bytes, self.objects_gone) = (planned.objects, planned.bytes, planned.objects_gone);
    }

    pub(super) fn of_failure(partition: Partition, error: Error) -> Self {
        let plan = PartitionPlan {
            partition,
            action: Action::Wait,
            reason: "could not be decided",
            completeness: Completeness::Undeclared,
            scope: Scope::All,
            source: None,
            source_reason: None,
            listing: None,
            set: None,
            changes: MergeTally::default(),
        };
        Self { error: Some(error), ..Self::of(&plan) }
    }
}

/// What became of a run.
#[derive(Debug, Default)]
pub struct RunOutcome {
    /// Every partition that was looked at, oldest day first.
    pub partitions: Vec<PartitionOutcome>,
    /// What stopped the run before its end.
    pub stopped_by: Option<Error>,
    /// Days before this one that nobody has are reported and are no failure: nobody asked for them by
    /// name, and they were not there yesterday either.
    pub gaps_expected_before: Option<Date>,
    /// What stands among the days of the selected types at the source and is none.
    pub strays: Strays,
    /// What is published here and the source does not list.
    pub vanished: Vanished,
    /// The clouds that take no part, and why.
    pub absent: Vec<AbsentCloud>,
    /// What the destination's server does otherwise than its cloud ([`crate::destination::Destination::habits`]).
    pub destination_habits: Vec<&'static str>,
    /// The types whose days could not be listed: each selected day was looked for by itself.
    pub untold_types: Vec<TypeName>,
}
