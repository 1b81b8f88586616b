use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use jiff::civil::Date;
use tokio::sync::Mutex;

use super::listing::{has_success_marker, take_listing};
use crate::destination::{Listing, ListingBuilder, Published};
use crate::error::{Error, Result};
use crate::export::{Partition, Scope, TypeName};
use crate::manifest::{Completeness, Header};
use crate::plan::{self, Candidate, Choice, Decision, PlanOptions};
use crate::source::{Cloud, CloudDays};

/// So many of a type's days are asked whether they have `_SUCCESS`: some of the newest, and as many
/// spread over all others, so that a few days without one do not make it look like the rule.
const MARKER_PROBES_EACH: usize = 3;

/// Finds out what is to be done with a partition: chooses the cloud, lists it where needed, decides.
pub struct Surveyor {
    /// What of each partition is asked for.
    asked: Scope,
    options: PlanOptions,
    spill_folder: PathBuf,
    /// The clouds that take part, the preferred one first; at least one.
    clouds: Vec<CloudDays>,
    /// Whether a type's days have `_SUCCESS` at all in a cloud, once that was asked.
    markers: Mutex<HashMap<(usize, TypeName), bool>>,
}

/// What was found out about a partition.
pub struct Survey {
    /// What happens to it, and why.
    pub decision: Decision,
    /// What of it is taken.
    pub scope: Scope,
    /// Its listing and the cloud that it is of, where one was taken.
    pub listed: Option<Listed>,
}

/// A partition's listing in one cloud.
pub struct Listed {
    /// The cloud.
    pub cloud: Arc<Cloud>,
    /// Why this cloud.
    pub why: &'static str,
    /// The listing.
    pub listing: Listing,
    /// The cloud's place among the clouds.
    index: usize,
}

impl Surveyor {
    /// A surveyor of partitions in the clouds, the preferred one first.
    pub fn new(clouds: Vec<CloudDays>, asked: Scope, options: PlanOptions, spill_folder: PathBuf) -> Self {
        Self { clouds, asked, options, spill_folder, markers: Mutex::new(HashMap::new()) }
    }

    /// The choices that decisions depend on.
    pub fn options(&self) -> &PlanOptions {
        &self.options
    }

    /// The clouds that take part.
    pub fn clouds(&self) -> impl Iterator<Item = &Arc<Cloud>> {
        self.clouds.iter().map(|cloud| &cloud.cloud)
    }

    /// Decides about a partition of which `published` is published.
    ///
    /// # Errors
    /// What the source answers; a key that cannot be stored ([`crate::error::ErrorKind::KeyRefused`]).
    pub async fn survey(&self, partition: &Partition, published: &Published) -> Result<Survey> {
        let header = published.header.as_ref();
        let scope = plan::target_scope(header, &self.asked);
        if !published.is_unsettled
            && !published.is_damaged
            && let Some(decision) = plan::decide_unlisted(header, &self.asked, partition.date, &self.options)
        {
            return Ok(Survey { decision, scope, listed: None });
        }
        let candidates = self.candidates(partition, header).await?;
        match plan::choose_cloud(header, &self.asked, &candidates) {
            Choice::Leave(decision) => Ok(Survey { decision, scope, listed: None }),
            Choice::Nowhere => {
                let nothing = ListingBuilder::new(&self.spill_folder).finish().summary;
                let completeness = plan::completeness(partition.date, false, true, &self.options);
                let decision = plan::decide(header, &nothing, &scope, completeness, partition.date, &self.options);
                Ok(Survey { decision, scope, listed: None })
            }
            Choice::Take(index, why) => {
                let listed = Listed { why, ..self.list(index, partition, &scope).await? };
                let decision = self.decide(partition, published, &listed, &scope).await?;
                Ok(Survey { decision, scope, listed: Some(listed) })
            }
        }
    }

    /// The clouds as the choice sees them. Only where two could be taken is it asked which one has
    /// the day complete.
    async fn candidates(&self, partition: &Partition, published: Option<&Header>) -> Result<Vec<Candidate>> {
        let mut candidates: Vec<Candidate> = self
            .clouds
            .iter()
            .map(|cloud| Candidate {
                source: cloud.cloud.location.to_string(),
                has_day: cloud.has(partition),
                is_complete: false,
            })
            .collect();
        let is_open = published.is_none() && candidates.iter().filter(|candidate| candidate.has_day).count() > 1;
        if is_open {
            for (index, candidate) in candidates.iter_mut().enumerate() {
                let has_marker = has_success_marker(self.clouds[index].cloud.source.as_ref(), partition).await?;
                candidate.is_complete = self.completeness(index, partition, has_marker).await?.is_complete();
            }
        }
        Ok(candidates)
    }

    /// Decides again, by the same listing, about a partition that may have been published since.
    ///
    /// # Errors
    /// As [`Surveyor::survey`].
    pub async fn resurvey(&self, partition: &Partition, published: &Published, survey: Survey) -> Result<Survey> {
        let header = published.header.as_ref();
        let is_same_scope = plan::target_scope(header, &self.asked) == survey.scope;
        let is_same_cloud =
            |listed: &Listed| header.is_none_or(|header| header.source == listed.cloud.location.to_string());
        let Some(listed) = survey.listed.filter(|listed| is_same_scope && is_same_cloud(listed)) else {
            return self.survey(partition, published).await;
        };
        let decision = self.decide(partition, published, &listed, &survey.scope).await?;
        Ok(Survey { decision, scope: survey.scope, listed: Some(listed) })
    }

    async fn list(&self, index: usize, partition: &Partition, scope: &Scope) -> Result<Listed> {
        let cloud = self.clouds[index].cloud.clone();
        let listing = take_listing(cloud.source.as_ref(), partition, scope, &self.spill_folder).await?;
        match refusal(&listing, partition) {
            Some(error) => Err(error),
            None => Ok(Listed { cloud, why: "the same cloud again", listing, index }),
        }
    }

    /// Takes a partition's listing again, in the same cloud.
    ///
    /// # Errors
    /// As [`Surveyor::survey`].
    pub async fn relist(&self, cloud: &Arc<Cloud>, partition: &Partition, scope: &Scope) -> Result<Listed> {
        let index = self.clouds.iter().position(|other| Arc::ptr_eq(&other.cloud, cloud)).unwrap_or(0);
        self.list(index, partition, scope).await
    }

    /// Decides about a listed partition.
    ///
    /// # Errors
    /// What the source answers about the type's `_SUCCESS` markers.
    pub async fn decide(
        &self,
        partition: &Partition,
        published: &Published,
        listed: &Listed,
        scope: &Scope,
    ) -> Result<Decision> {
        let summary = &listed.listing.summary;
        let completeness = self.completeness(listed.index, partition, summary.has_success_marker).await?;
        let header = published.header.as_ref();
        let decision = plan::decide(header, summary, scope, completeness, partition.date, &self.options);
        Ok(match (published.is_unsettled, published.is_damaged) {
            (_, true) => plan::renew(decision, "the published day differs from its manifest"),
            (true, false) => plan::renew(decision, "a former run did not end its publication"),
            (false, false) => decision,
        })
    }

    async fn completeness(&self, index: usize, partition: &Partition, has_marker: bool) -> Result<Completeness> {
        let needs_to_know = !has_marker && plan::is_grace_over(partition.date, &self.options);
        let type_has_markers = needs_to_know && self.type_has_markers(index, &partition.type_name).await?;
        Ok(plan::completeness(partition.date, has_marker, type_has_markers, &self.options))
    }

    /// Asks some of the type's days that are past the grace period; the answer is remembered.
    async fn type_has_markers(&self, index: usize, type_name: &TypeName) -> Result<bool> {
        let mut markers = self.markers.lock().await;
        let key = (index, type_name.clone());
        if let Some(known) = markers.get(&key) {
            return Ok(*known);
        }
        let cloud = &self.clouds[index];
        let days = cloud.days.get(type_name).map(Vec::as_slice).unwrap_or_default();
        let settled: Vec<Date> =
            days.iter().copied().filter(|date| plan::is_grace_over(*date, &self.options)).collect();
        let (others, newest) = settled.split_at(settled.len().saturating_sub(MARKER_PROBES_EACH));
        let spread = others.iter().step_by((others.len() / MARKER_PROBES_EACH).max(1)).take(MARKER_PROBES_EACH);
        let mut found = false;
        for date in newest.iter().rev().chain(spread) {
            let partition = Partition { type_name: type_name.clone(), date: *date };
            if has_success_marker(cloud.cloud.source.as_ref(), &partition).await? {
                found = true;
                break;
            }
        }
        markers.insert(key, found);
        Ok(found)
    }
}

/// The failure of a partition with keys that cannot be stored; all that are known are named.
fn refusal(listing: &Listing, partition: &Partition) -> Option<Error> {
    let (first, others) = listing.refused.split_first()?;
    let mut error = first.clone();
    for other in others {
        error = error.within(other);
    }
    Some(error.within(partition))
}
