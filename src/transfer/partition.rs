use std::collections::VecDeque;
use std::sync::Arc;

use tokio::runtime::Handle;

use super::dispatch::PartitionOutcome;
use super::object::Common;
use super::survey::Surveyor;
use crate::clock::Clock;
use crate::destination::{Claim, Destination, Inventory, Position, PublishTerms, Published, Work};
use crate::error::{Error, ErrorKind, Result};
use crate::export::{Partition, Scope};
use crate::manifest::{Header, ListingSummary};
use crate::plan::{self, Action, Decision};
use crate::progress::Event;
use crate::source::Cloud;

/// A changing partition is brought up to date so often before it is left to the next run.
const ROUNDS_MAX: u32 = 3;

/// What the work on all partitions shares.
pub(super) struct Context {
    pub common: Arc<Common>,
    pub destination: Arc<dyn Destination>,
    pub surveyor: Surveyor,
    pub clock: Arc<Clock>,
}

/// What is to be done with a partition, once that is known.
pub(super) enum Prepared {
    /// Nothing.
    Settled(Box<PartitionOutcome>),
    /// Its set is being staged.
    Staged(Box<Active>),
}

/// A partition whose set is being staged.
pub(super) struct Active {
    pub partition: Arc<Partition>,
    /// The cloud that the set comes from, all of it.
    pub cloud: Arc<Cloud>,
    pub claim: Arc<dyn Claim>,
    pub outcome: PartitionOutcome,
    pub in_flight: usize,
    /// What failed for good; the partition is not published then.
    pub failure: Option<Error>,
    /// An object turned out to be another than listed.
    pub is_outdated: bool,
    scope: Scope,
    decision: Decision,
    summary: ListingSummary,
    published: Published,
    queue: VecDeque<Work>,
    position: Position,
    is_read: bool,
    rounds: u32,
    /// The run stopped before all objects were begun.
    pub is_cut_short: bool,
}

/// What the listing, taken again, says.
pub(super) enum Confirmation {
    /// The staged set is the source's set.
    Same,
    /// The source's set is another one by now.
    Changed(Decision, ListingSummary),
}

impl Context {
    /// Finds out what is to be done with a partition, and claims it if there is anything.
    pub async fn prepare(&self, partition: Partition) -> Result<Prepared> {
        let published = self.destination.published(&partition).await?;
        let survey = self.surveyor.survey(&partition, &published).await?;
        if !survey.decision.action.is_change() {
            let is_settled = match survey.decision.action {
                Action::Keep => survey.listed.is_some() || published.is_unsettled,
                action => matches!(action, Action::Hold | Action::Expired | Action::Missing),
            };
            if is_settled {
                self.destination.discard_staged(&partition).await?;
            }
            let summary = survey.listed.as_ref().map(|listed| listed.listing.summary);
            let inventory =
                summary.filter(|_| survey.decision.action == Action::Keep).map_or_else(Inventory::default, whole);
            self.announce(&partition, &survey.decision, summary.as_ref(), inventory);
            return Ok(Prepared::Settled(Box::new(PartitionOutcome::of(
                partition,
                &survey.decision,
                summary.as_ref(),
            ))));
        }
        let claim = self.destination.claim(&partition).await?;
        // Another run may have published it before this one could claim it.
        let published = self.destination.published(&partition).await?;
        let survey = self.surveyor.resurvey(&partition, &published, survey).await?;
        let Some(mut listed) = survey.listed.filter(|_| survey.decision.action.is_change()) else {
            drop(claim);
            self.destination.discard_staged(&partition).await?;
            return Ok(Prepared::Settled(Box::new(PartitionOutcome::of(partition, &survey.decision, None))));
        };
        let inventory = claim.prepare(&mut listed.listing, &listed.cloud.location.to_string()).await?;
        let summary = listed.listing.summary;
        let unchanged = inventory.objects_unchanged;
        let options = self.surveyor.options();
        let header = published.header.as_ref();
        let decision = plan::hold_decay(survey.decision, header, summary.objects, unchanged, options);
        if !decision.action.is_change() {
            drop(claim);
            self.destination.discard_staged(&partition).await?;
            self.announce(&partition, &decision, Some(&summary), Inventory::default());
            return Ok(Prepared::Settled(Box::new(PartitionOutcome::of(partition, &decision, Some(&summary)))));
        }
        self.announce(&partition, &decision, Some(&summary), inventory);
        Ok(Prepared::Staged(Box::new(Active {
            outcome: PartitionOutcome::of(partition.clone(), &decision, Some(&summary)),
            partition: Arc::new(partition),
            cloud: listed.cloud,
            claim,
            in_flight: 0,
            failure: None,
            is_outdated: false,
            scope: survey.scope,
            decision,
            summary,
            published,
            queue: VecDeque::new(),
            position: Position::default(),
            is_read: false,
            rounds: 0,
            is_cut_short: false,
        })))
    }

    fn announce(
        &self,
        partition: &Partition,
        decision: &Decision,
        summary: Option<&ListingSummary>,
        inventory: Inventory,
    ) {
        let (objects, bytes) = summary.map_or((0, 0), |summary| (summary.objects, summary.bytes));
        let counters = &self.common.counters;
        counters.partitions_planned.add(1);
        if decision.action.is_change() {
            counters.objects_planned.add(objects);
            counters.bytes_planned.add(bytes);
            counters.objects_done.add(inventory.objects_here);
            counters.bytes_done.add(inventory.bytes_here);
        }
        self.common.observer.observe(&Event::PartitionPlanned {
            partition,
            action: decision.action.name(),
            reason: decision.reason,
            objects,
            bytes,
            objects_here: inventory.objects_here + inventory.objects_staged,
            bytes_here: inventory.bytes_here + inventory.bytes_staged,
        });
    }

    /// Takes the listing again and compares it with the staged set (design.md promise 2).
    pub async fn confirm(&self, staged: &Staged) -> Result<Confirmation> {
        let mut listed = self.surveyor.relist(&staged.cloud, &staged.partition, &staged.scope).await?;
        if listed.listing.summary == staged.summary {
            return Ok(Confirmation::Same);
        }
        let decision = self.surveyor.decide(&staged.partition, &staged.published, &listed, &staged.scope).await?;
        if !decision.action.is_change() {
            return Err(Error::new(
                ErrorKind::SourceChanged,
                format!("{} changed at the source during the transfer: {}", staged.partition, decision.reason),
            )
            .with_hint("what was transferred is kept; run again when the source has settled"));
        }
        let source_url = staged.cloud.location.to_string();
        let inventory = staged.claim.prepare(&mut listed.listing, &source_url).await?;
        self.recount(&staged.summary, &listed.listing.summary, inventory);
        Ok(Confirmation::Changed(decision, listed.listing.summary))
    }

    /// Puts the numbers right for a set that has become another one.
    fn recount(&self, before: &ListingSummary, now: &ListingSummary, inventory: Inventory) {
        let counters = &self.common.counters;
        counters.objects_planned.replace(before.objects, now.objects);
        counters.bytes_planned.replace(before.bytes, now.bytes);
        counters.objects_done.replace(before.objects, inventory.objects_here);
        counters.bytes_done.replace(before.bytes, inventory.bytes_here);
    }

    /// Publishes a confirmed set.
    pub fn publish(&self, staged: &Staged, runtime: &Handle) -> Result<Header> {
        let terms = PublishTerms {
            source: staged.cloud.location.to_string(),
            scope: staged.scope.clone(),
            completeness: staged.decision.completeness,
            now: self.clock.now(),
            accept_shrink: self.surveyor.options().accept_shrink,
        };
        runtime.block_on(staged.claim.publish(terms))
    }
}

/// The inventory of a set that is here as it is.
fn whole(summary: ListingSummary) -> Inventory {
    Inventory { objects_here: summary.objects, bytes_here: summary.bytes, ..Inventory::default() }
}

/// The part of a partition's state that confirming and publishing need.
pub(super) struct Staged {
    partition: Arc<Partition>,
    cloud: Arc<Cloud>,
    claim: Arc<dyn Claim>,
    scope: Scope,
    decision: Decision,
    summary: ListingSummary,
    published: Published,
}

impl Active {
    /// The next object to transfer, read from the stored listing a few at a time.
    pub async fn next_work(&mut self) -> Result<Option<Work>> {
        const READ_AT_ONCE: usize = 128;
        if self.queue.is_empty() && !self.is_read {
            match self.claim.work(self.position, READ_AT_ONCE).await? {
                Some((work, position)) => {
                    self.queue = work.into();
                    self.position = position;
                }
                None => self.is_read = true,
            }
        }
        Ok(self.queue.pop_front())
    }

    /// Begins no further object of the set.
    pub fn abandon_queue(&mut self) {
        self.queue.clear();
        self.is_read = true;
    }

    /// Begins no further object, and publishes only if all were done.
    pub fn abandon_queue_for_good(&mut self) {
        if self.has_work() {
            self.abandon_queue();
            self.is_cut_short = true;
        }
    }

    /// Whether more objects are to be begun.
    pub fn has_work(&self) -> bool {
        !self.is_read || !self.queue.is_empty()
    }

    /// Whether nothing is begun and nothing in flight.
    pub fn is_drained(&self) -> bool {
        !self.has_work() && self.in_flight == 0
    }

    /// What confirming and publishing need.
    pub fn staged(&self) -> Staged {
        Staged {
            partition: self.partition.clone(),
            cloud: self.cloud.clone(),
            claim: self.claim.clone(),
            scope: self.scope.clone(),
            decision: self.decision.clone(),
            summary: self.summary,
            published: self.published.clone(),
        }
    }

    /// Goes on after the listing was taken again; says whether the set can be published.
    pub fn apply(&mut self, confirmation: Confirmation) -> Result<bool> {
        match confirmation {
            Confirmation::Same if !self.is_outdated => return Ok(true),
            Confirmation::Same => {}
            Confirmation::Changed(decision, summary) => {
                (self.decision, self.summary) = (decision, summary);
                (self.outcome.objects, self.outcome.bytes) = (summary.objects, summary.bytes);
            }
        }
        self.rounds += 1;
        if self.rounds > ROUNDS_MAX {
            return Err(Error::new(
                ErrorKind::SourceChanged,
                format!("{} keeps changing at the source", self.partition),
            )
            .with_hint("what was transferred is kept; run again when the source has settled"));
        }
        self.is_outdated = false;
        self.is_read = false;
        self.position = Position::default();
        Ok(false)
    }
}
