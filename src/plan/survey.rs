//! Finding out what is to be done with a partition: chooses the cloud, takes the listing where one is
//! needed, merges it with what is published, decides.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use jiff::ToSpan as _;
use jiff::civil::Date;
use tokio::sync::Mutex;

use super::completeness::{completeness, is_grace_over};
use super::decide::{Decision, Facts, decide, decide_unlisted, is_as_published, target_scope};
use super::merge::{Listed, Merge, MergeTally, MergeTerms, Pair};
use super::take::{has_success_marker, take_listing};
use super::{Action, Amount, Candidate, Choice, Listing, ListingBuilder, PlanOptions, choose_cloud};
use crate::destination::{Manifests, Published, PublishedManifest};
use crate::error::{Error, ErrorKind, Result};
use crate::export::{Partition, Scope, TypeName, utc_day};
use crate::manifest::{Completeness, Header, ListingSummary, outer_join};
use crate::source::{Cloud, CloudDays};

/// How many of a type's days are asked whether they have `_SUCCESS`: some of the newest, and as many
/// spread over all others, so that a few days without one do not make it look like the rule.
const MARKER_PROBES_EACH: usize = 3;

/// Finds out what is to be done with partitions.
pub struct Surveyor {
    /// What of each partition is asked for.
    asked: Scope,
    options: PlanOptions,
    spill_folder: PathBuf,
    /// The clouds that take part, the preferred one first; at least one.
    clouds: Vec<CloudDays>,
    /// Whether days may be in a cloud that takes no part, where nobody sees them now.
    is_partial_view: bool,
    /// Whether a type's days have `_SUCCESS` at all in a cloud, once that was asked.
    markers: Mutex<HashMap<(usize, TypeName), bool>>,
}

/// What a run does with one partition, and why.
#[derive(Clone, Debug, PartialEq)]
pub struct PartitionPlan {
    /// The partition.
    pub partition: Partition,
    /// The action.
    pub action: Action,
    /// Why, as a lower-case fragment.
    pub reason: &'static str,
    /// Whether the day counts as complete, for the manifest.
    pub completeness: Completeness,
    /// How much of the partition is taken.
    pub scope: Scope,
    /// Where it is taken from, as manifests name it; `None` where it was not listed.
    pub source: Option<String>,
    /// Why from that cloud.
    pub source_reason: Option<&'static str>,
    /// What the source lists; `None` where it was not listed.
    pub listing: Option<ListingSummary>,
    /// The set that is to be published; `None` where it was not listed.
    pub set: Option<ListingSummary>,
    /// How the set differs from the published one.
    pub changes: MergeTally,
}

impl PartitionPlan {
    fn unlisted(partition: &Partition, decision: Decision, scope: Scope) -> Self {
        Self {
            partition: partition.clone(),
            action: decision.action,
            reason: decision.reason,
            completeness: decision.completeness,
            scope,
            source: None,
            source_reason: None,
            listing: None,
            set: None,
            changes: MergeTally::default(),
        }
    }

    /// The objects of the set.
    pub fn objects(&self) -> u64 {
        self.set.map_or(0, |set| set.objects)
    }

    /// Their bytes.
    pub fn bytes(&self) -> u64 {
        self.set.map_or(0, |set| set.bytes)
    }

    /// Whether nothing changes but what the manifest says about objects that are gone at the source.
    pub fn only_marks(&self) -> bool {
        self.action == Action::Keep && self.changes.marks > 0 && !self.changes.changes_the_set()
    }
}

/// A plan, with what is needed to carry it out.
pub struct Survey {
    /// The plan.
    pub plan: PartitionPlan,
    /// The cloud and the set, where the partition was listed.
    pub surveyed: Option<Surveyed>,
}

/// A partition's set and the cloud that it is taken from.
pub struct Surveyed {
    /// The cloud.
    pub cloud: Arc<Cloud>,
    /// The objects of the set: what the source lists, and what is kept though it no longer does.
    pub set: Listing,
}

impl Surveyor {
    /// A surveyor of partitions in the clouds, the preferred one first. `is_partial_view` says whether days
    /// may be in a cloud that takes no part.
    pub fn new(
        clouds: Vec<CloudDays>,
        is_partial_view: bool,
        asked: Scope,
        options: PlanOptions,
        spill_folder: PathBuf,
    ) -> Self {
        Self { clouds, is_partial_view, asked, options, spill_folder, markers: Mutex::new(HashMap::new()) }
    }

    /// The choices that decisions depend on.
    pub fn options(&self) -> &PlanOptions {
        &self.options
    }

    /// The clouds that take part.
    pub fn clouds(&self) -> impl Iterator<Item = &Arc<Cloud>> {
        self.clouds.iter().map(|cloud| &cloud.cloud)
    }

    /// Whether a cloud that takes part has the partition's folder, or does not tell.
    pub fn may_find(&self, partition: &Partition) -> bool {
        self.clouds.iter().any(|cloud| cloud.has(partition) != Some(false))
    }

    /// The plan of a partition that another run has published just now, with this header, from its own listing;
    /// `None` where something else is wanted of it.
    pub fn as_published(&self, partition: &Partition, header: &Header) -> Option<PartitionPlan> {
        // As if its listing were no more to be taken again.
        let options = PlanOptions { lookback_from: Date::MAX, ..self.options.clone() };
        let decision = decide_unlisted(Some(header), &self.asked, partition.date, &options)?;
        let decision = Decision { reason: "published by another run meanwhile", ..decision };
        Some(PartitionPlan::unlisted(partition, decision, header.selection.clone()))
    }

    /// Plans a partition of which `published` is published, by `manifests`.
    ///
    /// # Errors
    /// What the source answers; a manifest that cannot be read; a key that cannot be stored
    /// ([`ErrorKind::KeyRefused`]).
    pub async fn survey(
        &self,
        partition: &Partition,
        published: &Published,
        manifests: &dyn Manifests,
    ) -> Result<Survey> {
        let header = published.header.as_ref();
        let scope = target_scope(header, &self.asked);
        if repair_reason(published).is_none()
            && let Some(decision) = decide_unlisted(header, &self.asked, partition.date, &self.options)
        {
            return Ok(unlisted(partition, decision, scope));
        }
        let (candidates, refusal) = self.candidates(partition, published).await?;
        match choose_cloud(header, published.is_damaged, &self.asked, &candidates) {
            Choice::Leave(decision) => Ok(unlisted(partition, decision, scope)),
            Choice::Nowhere => {
                if let Some(refusal) = refusal {
                    return Err(refusal);
                }
                let listing = ListingBuilder::new(&self.spill_folder).finish().summary;
                let completeness = completeness(partition.date, false, true, &self.options);
                let facts = Facts {
                    date: partition.date,
                    published: header,
                    repair: repair_reason(published),
                    listing: &listing,
                    is_named: false,
                    scope: &scope,
                    completeness,
                    merge: MergeTally::default(),
                    is_other_cloud: false,
                    is_partial_view: self.is_partial_view,
                };
                let decision = decide(&facts, &self.options);
                Ok(unlisted(partition, decision, scope))
            }
            Choice::Take(index, why) => self.survey_in(index, why, partition, published, manifests).await,
        }
    }

    /// Plans a partition again by a new listing, in the same cloud.
    ///
    /// # Errors
    /// As [`Surveyor::survey`].
    pub async fn resurvey(
        &self,
        cloud: &Arc<Cloud>,
        partition: &Partition,
        published: &Published,
        manifests: &dyn Manifests,
    ) -> Result<Survey> {
        let index = self.clouds.iter().position(|other| Arc::ptr_eq(&other.cloud, cloud)).unwrap_or(0);
        self.survey_in(index, "the same cloud again", partition, published, manifests).await
    }

    async fn survey_in(
        &self,
        index: usize,
        why: &'static str,
        partition: &Partition,
        published: &Published,
        manifests: &dyn Manifests,
    ) -> Result<Survey> {
        let cloud = self.clouds[index].cloud.clone();
        let header = published.header.as_ref();
        let scope = target_scope(header, &self.asked);
        let listing = take_listing(cloud.source.as_ref(), partition, &scope, &self.spill_folder).await?;
        refuse_unstorable(&listing, partition)?;
        let listed = listing.summary;
        let completeness = self.completeness(index, partition, listed.has_success_marker).await?;
        let repair = repair_reason(published);
        let accepts_losses = |header: &Header| self.options.accept_shrink && header.objects_gone_at_source > 0;
        let needs_merge = header.filter(|header| {
            listed.objects > 0
                && !(is_as_published(header, &listed, &scope)
                    && repair.is_none()
                    && completeness.is_complete() <= header.completeness.is_complete()
                    && !accepts_losses(header))
        });
        let location = cloud.location.to_string();
        let is_other_cloud = header.is_some_and(|header| header.source != location);
        let (set, merge) = match needs_merge {
            Some(header) => {
                let manifest = manifests.manifest(partition).await?;
                let manifest = manifest.filter(|manifest| manifest.header == *header);
                let manifest = manifest.ok_or_else(|| changed_meanwhile(partition))?;
                let terms = self.merge_terms(header, !is_other_cloud);
                merge_sets(&manifest, listing, &terms, &self.spill_folder)?
            }
            None => (listing, unmerged(header, &listed)),
        };
        let facts = Facts {
            date: partition.date,
            published: header,
            repair,
            listing: &listed,
            is_named: true,
            scope: &scope,
            completeness,
            merge,
            is_other_cloud,
            is_partial_view: self.is_partial_view,
        };
        let decision = decide(&facts, &self.options);
        let plan = PartitionPlan {
            source: Some(location),
            source_reason: Some(why),
            listing: Some(listed),
            set: Some(set.summary),
            changes: merge,
            ..PartitionPlan::unlisted(partition, decision, scope)
        };
        Ok(Survey { plan, surveyed: Some(Surveyed { cloud, set }) })
    }

    fn merge_terms<'a>(&self, header: &'a Header, is_same_source: bool) -> MergeTerms<'a> {
        MergeTerms {
            published_scope: &header.selection,
            is_same_source,
            // What another cloud does not have is no loss: it has the day under other names.
            accepts_losses: self.options.accept_shrink && is_same_source,
            now: self.options.now,
        }
    }

    /// The clouds as the choice sees them, and a refusal to say whether one has the day. Only where several
    /// could be taken is it asked which one has the day complete.
    async fn candidates(
        &self,
        partition: &Partition,
        published: &Published,
    ) -> Result<(Vec<Candidate>, Option<Error>)> {
        let (mut candidates, mut refusal) = (Vec::with_capacity(self.clouds.len()), None);
        for cloud in &self.clouds {
            let has_day = match has_day(cloud, partition).await {
                Ok(has_day) => Some(has_day),
                Err(error) if error.kind() == ErrorKind::AccessDenied => {
                    refusal.get_or_insert(error);
                    None
                }
                Err(error) => return Err(error),
            };
            candidates.push(Candidate { source: cloud.cloud.location.to_string(), has_day, is_complete: false });
        }
        let has_day = |candidate: &Candidate| candidate.has_day == Some(true);
        let is_own =
            |candidate: &Candidate| published.header.as_ref().is_some_and(|header| header.source == candidate.source);
        let is_open = match &published.header {
            None => candidates.iter().filter(|candidate| has_day(candidate)).count() > 1,
            Some(_) => {
                published.is_damaged && !candidates.iter().any(|candidate| has_day(candidate) && is_own(candidate))
            }
        };
        if is_open {
            for (index, candidate) in candidates.iter_mut().enumerate().filter(|(_, candidate)| has_day(candidate)) {
                let has_marker = has_success_marker(self.clouds[index].cloud.source.as_ref(), partition).await?;
                candidate.is_complete = self.completeness(index, partition, has_marker).await?.is_complete();
            }
        }
        Ok((candidates, refusal))
    }

    async fn completeness(&self, index: usize, partition: &Partition, has_marker: bool) -> Result<Completeness> {
        let needs_to_know = !has_marker && is_grace_over(partition.date, &self.options);
        let type_has_markers = needs_to_know && self.type_has_markers(index, &partition.type_name).await?;
        Ok(completeness(partition.date, has_marker, type_has_markers, &self.options))
    }

    /// Asks some of the type's days that are past the grace period; the answer is remembered. Where a day
    /// that would tell cannot be listed, the type counts as one with markers: its days wait then.
    async fn type_has_markers(&self, index: usize, type_name: &TypeName) -> Result<bool> {
        let mut markers = self.markers.lock().await;
        let key = (index, type_name.clone());
        if let Some(known) = markers.get(&key) {
            return Ok(*known);
        }
        let cloud = &self.clouds[index];
        let is_untold = cloud.untold.contains(type_name);
        let days = if is_untold { self.last_days() } else { cloud.days.get(type_name).cloned().unwrap_or_default() };
        let settled: Vec<Date> = days.iter().copied().filter(|date| is_grace_over(*date, &self.options)).collect();
        let (others, newest) = settled.split_at(settled.len().saturating_sub(MARKER_PROBES_EACH));
        let spread = others.iter().step_by((others.len() / MARKER_PROBES_EACH).max(1)).take(MARKER_PROBES_EACH);
        // Days of which nobody knows whether they are there prove nothing as long as none of them is.
        let (mut found, mut is_certain, mut is_any_there) = (false, true, !is_untold);
        for date in newest.iter().rev().chain(spread) {
            let partition = Partition { type_name: type_name.clone(), date: *date };
            match has_success_marker(cloud.cloud.source.as_ref(), &partition).await {
                Ok(false) => is_any_there = is_any_there || has_day(cloud, &partition).await.unwrap_or(false),
                Ok(true) => {
                    found = true;
                    break;
                }
                // That day's trouble is not the trouble of the day that is asked about.
                Err(error) if !error.kind().stops_the_run() => is_certain = false,
                Err(error) => return Err(error),
            }
        }
        let is_certain = is_certain && is_any_there;
        if found || is_certain {
            markers.insert(key, found);
        }
        Ok(found || !is_certain)
    }

    /// The days of the last weeks, for a type whose days may not be listed.
    fn last_days(&self) -> Vec<Date> {
        const DAYS: i32 = 30;
        let today = utc_day(self.options.now);
        (1..=DAYS).rev().filter_map(|back| today.checked_sub(back.days()).ok()).collect()
    }
}

/// Whether a cloud has anything of the partition: by its listing of days, or else by the day's own.
async fn has_day(cloud: &CloudDays, partition: &Partition) -> Result<bool> {
    match cloud.has(partition) {
        Some(has_day) => Ok(has_day),
        None => {
            let page = cloud.cloud.source.list_page(partition, "", None).await?;
            Ok(!page.objects.is_empty() || page.next.is_some())
        }
    }
}

fn unlisted(partition: &Partition, decision: Decision, scope: Scope) -> Survey {
    Survey { plan: PartitionPlan::unlisted(partition, decision, scope), surveyed: None }
}

/// Why a published set is to be made whole at the destination although the source has nothing new.
fn repair_reason(published: &Published) -> Option<&'static str> {
    match (published.is_damaged, published.is_unsettled) {
        (true, _) => Some("the published day differs from its manifest"),
        (false, true) => Some("a former run did not end its publication"),
        (false, false) => None,
    }
}

/// What is known of the changes where nothing was merged: all is new, or all is as the manifest has it.
fn unmerged(header: Option<&Header>, listed: &ListingSummary) -> MergeTally {
    match header {
        Some(header) => {
            let kept = Amount { objects: header.objects_gone_at_source, ..Amount::default() };
            MergeTally { kept, ..MergeTally::default() }
        }
        None => {
            let added = Amount { objects: listed.objects, bytes: listed.bytes, rows: None };
            MergeTally { added, ..MergeTally::default() }
        }
    }
}

/// The set that a published one and a listing make, and how it differs from the published one.
fn merge_sets(
    manifest: &PublishedManifest,
    mut listing: Listing,
    terms: &MergeTerms<'_>,
    spill_folder: &std::path::Path,
) -> Result<(Listing, MergeTally)> {
    let merge = Merge::judge(pairs(manifest, &mut listing)?, terms)?;
    let mut set = ListingBuilder::new(spill_folder);
    let mut tally = MergeTally::default();
    for member in merge.members(pairs(manifest, &mut listing)?, terms) {
        let member = member?;
        tally.add(&member);
        if let Some(object) = member.into_object() {
            set.add(&object)?;
        }
    }
    if listing.summary.has_success_marker {
        set.note_success_marker();
    }
    Ok((set.finish(), tally))
}

fn pairs<'a>(
    manifest: &'a PublishedManifest,
    listing: &'a mut Listing,
) -> Result<impl Iterator<Item = Result<Pair>> + 'a> {
    let listed = listing.objects()?.map(|object| object.map(|object| Listed { object, rows: None }));
    Ok(outer_join(manifest.entries()?, listed))
}

fn changed_meanwhile(partition: &Partition) -> Error {
    Error::new(ErrorKind::Held, format!("{partition} was replaced by another run at this moment"))
        .with_hint("run again; it begins from what the other run has published")
}

/// Fails for a partition with keys that cannot be stored; all that are known are named.
fn refuse_unstorable(listing: &Listing, partition: &Partition) -> Result<()> {
    let Some((first, others)) = listing.refused.split_first() else { return Ok(()) };
    let error = others.iter().fold(first.clone(), |error, other| error.within(other));
    Err(error.within(partition))
}
