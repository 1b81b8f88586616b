use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use jiff::civil::Date;
use tokio::sync::Mutex;

use super::listing::{has_success_marker, take_listing};
use crate::destination::Listing;
use crate::error::{Error, Result};
use crate::export::{Partition, Scope, TypeName};
use crate::manifest::{Completeness, Header};
use crate::plan::{self, Decision, PlanOptions};
use crate::source::Source;

/// So many of a type's newest days are asked whether they have `_SUCCESS`.
const MARKER_PROBES_MAX: usize = 3;

/// Finds out what is to be done with a partition: lists it where needed and decides.
pub struct Surveyor {
    source: Arc<dyn Source>,
    /// What of each partition is asked for.
    asked: Scope,
    options: PlanOptions,
    spill_folder: PathBuf,
    /// The days that each selected type has at the source, ascending.
    days: HashMap<TypeName, Vec<Date>>,
    /// Whether a type's days have `_SUCCESS` at all, once that was asked.
    markers: Mutex<HashMap<TypeName, bool>>,
}

/// What was found out about a partition.
pub struct Survey {
    /// What happens to it, and why.
    pub decision: Decision,
    /// What of it is taken.
    pub scope: Scope,
    /// Its listing, where one was taken.
    pub listing: Option<Listing>,
}

impl Surveyor {
    /// A surveyor of partitions of the types and days that the source has.
    pub fn new(
        source: Arc<dyn Source>,
        asked: Scope,
        options: PlanOptions,
        spill_folder: PathBuf,
        days: HashMap<TypeName, Vec<Date>>,
    ) -> Self {
        Self { source, asked, options, spill_folder, days, markers: Mutex::new(HashMap::new()) }
    }

    /// The choices that decisions depend on.
    pub fn options(&self) -> &PlanOptions {
        &self.options
    }

    /// Decides about a partition of which `published` is published.
    ///
    /// # Errors
    /// What the source answers; a key that cannot be stored ([`crate::error::ErrorKind::KeyRefused`]).
    pub async fn survey(&self, partition: &Partition, published: Option<&Header>) -> Result<Survey> {
        let scope = plan::target_scope(published, &self.asked);
        if let Some(decision) = plan::decide_unlisted(published, &self.asked, partition.date, &self.options) {
            return Ok(Survey { decision, scope, listing: None });
        }
        let listing = self.list(partition, &scope).await?;
        let decision = self.decide(partition, published, &listing, &scope).await?;
        Ok(Survey { decision, scope, listing: Some(listing) })
    }

    /// Decides again, by the same listing, about a partition that may have been published since.
    ///
    /// # Errors
    /// As [`Surveyor::survey`].
    pub async fn resurvey(&self, partition: &Partition, published: Option<&Header>, survey: Survey) -> Result<Survey> {
        let Some(listing) = survey.listing.filter(|_| plan::target_scope(published, &self.asked) == survey.scope)
        else {
            return self.survey(partition, published).await;
        };
        let decision = self.decide(partition, published, &listing, &survey.scope).await?;
        Ok(Survey { decision, scope: survey.scope, listing: Some(listing) })
    }

    /// Takes a partition's listing; one request less for a day that the source does not have.
    async fn list(&self, partition: &Partition, scope: &Scope) -> Result<Listing> {
        let is_there =
            self.days.get(&partition.type_name).is_some_and(|days| days.binary_search(&partition.date).is_ok());
        if !is_there {
            return Ok(crate::destination::ListingBuilder::new(&self.spill_folder).finish());
        }
        self.relist(partition, scope).await
    }

    /// Takes a partition's listing again.
    ///
    /// # Errors
    /// As [`Surveyor::survey`].
    pub async fn relist(&self, partition: &Partition, scope: &Scope) -> Result<Listing> {
        let listing = take_listing(self.source.as_ref(), partition, scope, &self.spill_folder).await?;
        match refusal(&listing, partition) {
            Some(error) => Err(error),
            None => Ok(listing),
        }
    }

    /// Decides about a listed partition.
    ///
    /// # Errors
    /// What the source answers about the type's `_SUCCESS` markers.
    pub async fn decide(
        &self,
        partition: &Partition,
        published: Option<&Header>,
        listing: &Listing,
        scope: &Scope,
    ) -> Result<Decision> {
        let completeness = self.completeness(partition, listing.summary.has_success_marker).await?;
        Ok(plan::decide(published, &listing.summary, scope, completeness, partition.date, &self.options))
    }

    async fn completeness(&self, partition: &Partition, has_marker: bool) -> Result<Completeness> {
        let needs_to_know = !has_marker && plan::is_grace_over(partition.date, &self.options);
        let type_has_markers = needs_to_know && self.type_has_markers(&partition.type_name).await?;
        Ok(plan::completeness(partition.date, has_marker, type_has_markers, &self.options))
    }

    /// Asks the type's newest days that are past the grace period; the answer is remembered.
    async fn type_has_markers(&self, type_name: &TypeName) -> Result<bool> {
        let mut markers = self.markers.lock().await;
        if let Some(known) = markers.get(type_name) {
            return Ok(*known);
        }
        let days = self.days.get(type_name).map(Vec::as_slice).unwrap_or_default();
        let settled = days.iter().rev().filter(|date| plan::is_grace_over(**date, &self.options));
        let mut found = false;
        for date in settled.take(MARKER_PROBES_MAX) {
            let partition = Partition { type_name: type_name.clone(), date: *date };
            if has_success_marker(self.source.as_ref(), &partition).await? {
                found = true;
                break;
            }
        }
        markers.insert(type_name.clone(), found);
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
