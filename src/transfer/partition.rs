//! One partition's way through a run: prepared, transferred, confirmed, published.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use tokio::runtime::Handle;

use super::held::Join;
use super::object::Common;
use super::outcome::PartitionOutcome;
use crate::clock::Clock;
use crate::destination::{Claim, Destination, Inventory, Position, Publication, PublishTerms, Published, Work};
use crate::error::{Concern, Error, ErrorKind, Result};
use crate::export::Partition;
use crate::manifest::ListingSummary;
use crate::plan::{Action, PartitionPlan, Survey, Surveyed, Surveyor};
use crate::progress::Event;
use crate::source::Cloud;

/// How often a partition that changes at the source is brought up to date before it is left to the next
/// run.
const ROUNDS_MAX: u32 = 3;

/// How many objects in a row may fail before the rest of their partition is left to the next run.
const OBJECT_FAILURES_IN_A_ROW_MAX: u32 = 20;

/// Maximum number of refused objects that are kept until the listing is taken again.
const REFUSALS_MAX: usize = 1_000;

/// What the work on all partitions shares.
pub(super) struct Context {
    pub common: Arc<Common>,
    pub destination: Arc<dyn Destination>,
    pub surveyor: Surveyor,
    pub clock: Arc<Clock>,
    /// Present where the run works together with others.
    pub together: Option<Together>,
}

/// What a run that works together with others knows of their work.
pub(crate) struct Together {
    pub join: Join,
    /// What was published before the run began. Whatever else is published now, another run has listed and
    /// published since.
    pub published_before: HashSet<Partition>,
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
    /// The last failure of an object that turned out to be another than listed.
    pub outdated_by: Option<Error>,
    /// Objects that were refused although they were listed, until the listing was taken again: a server that
    /// does not let its keys be listed answers so for one that is gone.
    refused: Vec<(Work, Error)>,
    /// Why the rest of the queue was given up after them.
    given_up_by: Option<Error>,
    failures_in_a_row: u32,
    plan: PartitionPlan,
    published: Published,
    queue: VecDeque<Work>,
    position: Position,
    is_read: bool,
    rounds: u32,
    /// Whether an object differed from a listing that the source then gave again.
    has_contradicted_itself: bool,
    /// The run stopped before all objects were begun.
    pub is_cut_short: bool,
}

/// What the listing, taken again, says.
pub(super) enum Confirmation {
    /// The staged set is what the source's set makes it.
    Same,
    /// The set is another one by now.
    Changed(Box<PartitionPlan>),
    /// Nothing is to be published any more.
    Settled(Box<PartitionPlan>),
}

impl Context {
    /// Finds out what is to be done with a partition, and claims it if there is anything.
    pub async fn prepare(&self, partition: Partition) -> Result<Prepared> {
        let manifests = self.destination.as_ref();
        let published = manifests.published(&partition).await?;
        if let Some(settled) = self.done_by_another(&partition, &published) {
            return Ok(settled);
        }
        if self.claims_first(&partition, &published) {
            let claim = self.destination.claim(&partition).await?;
            return self.release_if_failed(&claim, self.prepare_claimed(partition, claim.clone())).await;
        }
        let survey = self.surveyor.survey(&partition, &published, manifests).await?;
        if !survey.plan.action.is_change() {
            return self.settle(survey.plan, survey.surveyed, &published).await;
        }
        let claim = self.destination.claim(&partition).await?;
        self.release_if_failed(&claim, self.stage(partition, claim.clone(), survey, published)).await
    }

    /// The same of a partition that is claimed already.
    async fn prepare_claimed(&self, partition: Partition, claim: Arc<dyn Claim>) -> Result<Prepared> {
        let manifests = self.destination.as_ref();
        let published = manifests.published(&partition).await?;
        if let Some(settled) = self.done_by_another(&partition, &published) {
            claim.discard().await?;
            return Ok(settled);
        }
        let survey = self.surveyor.survey(&partition, &published, manifests).await?;
        self.stage(partition, claim, survey, published).await
    }

    /// Stages the set of a claimed partition, of which `published` was published when it was surveyed.
    async fn stage(
        &self,
        partition: Partition,
        claim: Arc<dyn Claim>,
        mut survey: Survey,
        published: Published,
    ) -> Result<Prepared> {
        let manifests = self.destination.as_ref();
        // Another run may have published it before this one could claim it.
        let claimed = Published { is_unsettled: published.is_unsettled, ..manifests.published(&partition).await? };
        if claimed != published {
            survey = self.surveyor.survey(&partition, &claimed, manifests).await?;
        }
        let plan = survey.plan;
        let Some(mut surveyed) = survey.surveyed.filter(|_| plan.action.is_change()) else {
            claim.discard().await?;
            return Ok(self.settled(&plan));
        };
        let inventory = claim.prepare(&mut surveyed.set, &surveyed.cloud.location.to_string()).await?;
        self.announce(&plan, inventory);
        Ok(Prepared::Staged(Box::new(Active {
            outcome: PartitionOutcome::of(&plan),
            partition: Arc::new(partition),
            cloud: surveyed.cloud,
            claim,
            in_flight: 0,
            failure: None,
            outdated_by: None,
            refused: Vec::new(),
            given_up_by: None,
            failures_in_a_row: 0,
            plan,
            published: claimed,
            queue: VecDeque::new(),
            position: Position::default(),
            is_read: false,
            rounds: 0,
            has_contradicted_itself: false,
            is_cut_short: false,
        })))
    }

    /// Leaves a claimed partition to other runs where it could not be prepared.
    async fn release_if_failed(
        &self,
        claim: &Arc<dyn Claim>,
        prepared: impl Future<Output = Result<Prepared>>,
    ) -> Result<Prepared> {
        let prepared = prepared.await;
        if prepared.as_ref().is_err_and(|error| !error.kind().stops_the_run()) {
            // Should that fail, it is free when this run ends.
            let _ = claim.release().await;
        }
        prepared
    }

    /// Whether a partition is claimed before it is listed: where runs work together, one listing is enough for
    /// a day that most likely is to be published.
    fn claims_first(&self, partition: &Partition, published: &Published) -> bool {
        let is_to_do = published.is_unsettled || (published.header.is_none() && self.surveyor.may_find(partition));
        self.together.is_some() && is_to_do
    }

    /// What becomes of a partition that another run has published since this one began: nothing, where that
    /// is all that was wanted.
    fn done_by_another(&self, partition: &Partition, published: &Published) -> Option<Prepared> {
        let together = self.together.as_ref()?;
        if together.published_before.contains(partition) || published.is_damaged || published.is_unsettled {
            return None;
        }
        let plan = self.surveyor.as_published(partition, published.header.as_ref()?)?;
        self.announce(&plan, Inventory::default());
        let outcome = PartitionOutcome { is_by_another: true, ..PartitionOutcome::of(&plan) };
        Some(Prepared::Settled(Box::new(outcome)))
    }

    /// Ends the work on a partition that nothing is to be published of.
    async fn settle(&self, plan: PartitionPlan, surveyed: Option<Surveyed>, published: &Published) -> Result<Prepared> {
        let is_looked_at = plan.action != Action::Keep || surveyed.is_some() || published.is_unsettled;
        if plan.action.settles() && is_looked_at {
            self.destination.discard_staged(&plan.partition).await?;
        }
        if let Some(surveyed) = surveyed.filter(|_| plan.only_marks())
            && let Err(error) = self.mark(&plan, surveyed).await
            && error.kind() != ErrorKind::Held
        {
            let message =
                format!("{}: what is gone at the source could not be noted in its manifest: {error}", plan.partition);
            self.common.observer.observe(&Event::Warning { message: &message });
        }
        Ok(self.settled(&plan))
    }

    fn settled(&self, plan: &PartitionPlan) -> Prepared {
        let is_here = plan.action == Action::Keep;
        self.announce(plan, plan.set.filter(|_| is_here).map_or_else(Inventory::default, whole));
        Prepared::Settled(Box::new(PartitionOutcome::of(plan)))
    }

    /// Notes in the manifest of a set that stays as it is which of its objects the source no longer has.
    async fn mark(&self, plan: &PartitionPlan, mut surveyed: Surveyed) -> Result<()> {
        let source = surveyed.cloud.location.to_string();
        let claim = self.destination.claim(&plan.partition).await?;
        claim.prepare(&mut surveyed.set, &source).await?;
        let is_whole = claim.work(Position::default(), 1).await?.is_none();
        if !is_whole {
            // Files of it are missing here; a verification finds that, and a repair notes the rest.
            return claim.discard().await;
        }
        claim.publish(self.terms(plan, source)).await.map(drop)
    }

    fn announce(&self, plan: &PartitionPlan, inventory: Inventory) {
        let counters = &self.common.counters;
        counters.partitions_planned.add(1);
        if plan.action.is_change() {
            counters.objects_planned.add(plan.objects());
            counters.bytes_planned.add(plan.bytes());
            counters.objects_done.add(inventory.objects_here);
            counters.bytes_done.add(inventory.bytes_here);
        }
        self.common.observer.observe(&Event::PartitionPlanned {
            partition: &plan.partition,
            action: plan.action,
            reason: plan.reason,
            objects: plan.objects(),
            bytes: plan.bytes(),
            objects_here: inventory.objects_here + inventory.objects_staged,
            bytes_here: inventory.bytes_here.saturating_add(inventory.bytes_staged),
        });
    }

    /// Takes the listing again and decides once more, by the same rule (design.md promises 2 and 3).
    pub async fn confirm(&self, staged: &Staged) -> Result<Confirmation> {
        let manifests = self.destination.as_ref();
        let survey = self.surveyor.resurvey(&staged.cloud, &staged.partition, &staged.published, manifests).await?;
        if survey.plan.listing == staged.plan.listing {
            return Ok(Confirmation::Same);
        }
        let plan = Box::new(survey.plan);
        let Some(mut surveyed) = survey.surveyed.filter(|_| plan.action.is_change()) else {
            let waits_for_the_rest = plan.action == Action::Wait && staged.published.header.is_none();
            if !waits_for_the_rest {
                staged.claim.discard().await?;
            }
            return Ok(Confirmation::Settled(plan));
        };
        let inventory = staged.claim.prepare(&mut surveyed.set, &staged.cloud.location.to_string()).await?;
        self.recount(&staged.plan, &plan, inventory);
        Ok(Confirmation::Changed(plan))
    }

    /// Puts the numbers right for a set that has become another one.
    fn recount(&self, before: &PartitionPlan, now: &PartitionPlan, inventory: Inventory) {
        let counters = &self.common.counters;
        counters.objects_planned.replace(before.objects(), now.objects());
        counters.bytes_planned.replace(before.bytes(), now.bytes());
        counters.objects_done.replace(before.objects(), inventory.objects_here);
        counters.bytes_done.replace(before.bytes(), inventory.bytes_here);
    }

    /// Publishes a confirmed set.
    pub fn publish(&self, staged: &Staged, runtime: &Handle) -> Result<Publication> {
        runtime.block_on(staged.claim.publish(self.terms(&staged.plan, staged.cloud.location.to_string())))
    }

    fn terms(&self, plan: &PartitionPlan, source: String) -> PublishTerms {
        let nothing = || crate::manifest::ListingTally::default().finish();
        PublishTerms {
            source,
            scope: plan.scope.clone(),
            listing_digest: plan.listing.unwrap_or_else(nothing).digest,
            completeness: plan.completeness,
            now: self.clock.now(),
            accept_shrink: self.surveyor.options().accept_shrink,
            only_marks: plan.only_marks(),
        }
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
    plan: PartitionPlan,
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

    /// Notes that an object has arrived.
    pub fn note_success(&mut self) {
        self.failures_in_a_row = 0;
    }

    /// Notes that an object has failed for good. The others go on, unless the failure concerns them as
    /// well, or enough have failed in a row that it seems to.
    pub fn note_failure(&mut self, error: &Error) {
        self.outcome.objects_failed += 1;
        self.failure.get_or_insert(error.clone());
        if let Some(error) = self.gives_up_after(error) {
            self.failure = Some(error);
        } else if error.kind().concern() >= Concern::Partition {
            self.abandon_queue();
        }
    }

    /// Notes that an object was refused, which counts once the listing says again that it is there.
    pub fn note_refusal(&mut self, work: Work, error: Error) {
        self.given_up_by = self.gives_up_after(&error).or(self.given_up_by.take());
        if self.refused.len() + 1 >= REFUSALS_MAX && self.has_work() {
            self.abandon_queue();
            let context = format_args!("{REFUSALS_MAX} objects were refused, the last one");
            self.given_up_by = Some(error.clone().within(context));
        }
        self.refused.push((work, error));
    }

    /// The objects that were refused, and why the others were given up after them.
    pub fn take_refused(&mut self) -> (Vec<(Work, Error)>, Option<Error>) {
        self.failures_in_a_row = 0;
        (std::mem::take(&mut self.refused), self.given_up_by.take())
    }

    /// Begins no further object once too many have failed in a row; gives the error that says so.
    fn gives_up_after(&mut self, error: &Error) -> Option<Error> {
        self.failures_in_a_row += 1;
        if self.failures_in_a_row < OBJECT_FAILURES_IN_A_ROW_MAX || !self.has_work() {
            return None;
        }
        self.abandon_queue();
        let context = format_args!("{OBJECT_FAILURES_IN_A_ROW_MAX} objects failed in a row, the last one");
        Some(error.clone().within(context))
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
            plan: self.plan.clone(),
            published: self.published.clone(),
        }
    }

    /// Goes on after the listing was taken again; says whether the set can be published.
    pub fn apply(&mut self, plan: Option<PartitionPlan>) -> Result<bool> {
        match (plan, self.outdated_by.take()) {
            (None, None) => return Ok(true),
            // The listing says the same again, so it is not the listing that has changed.
            (None, Some(error)) if self.has_contradicted_itself => return Err(error),
            (None, Some(_)) => self.has_contradicted_itself = true,
            (Some(plan), _) => {
                self.has_contradicted_itself = false;
                self.outcome.replan(&plan);
                self.plan = plan;
                self.rounds += 1;
            }
        }
        if self.rounds > ROUNDS_MAX {
            return Err(Error::new(
                ErrorKind::SourceChanged,
                format!("{} keeps changing at the source", self.partition),
            )
            .with_hint("what was transferred is kept; run again when the source has settled"));
        }
        self.is_read = false;
        self.position = Position::default();
        Ok(false)
    }
}
