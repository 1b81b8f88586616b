//! What happens to each partition, as a value.
//!
//! [`decide`] and `merge` are pure: published manifest, listing and options in, a plan out. The same
//! functions answer `plan`, a run's preparation, its confirmation and its publication. [`Surveyor`] and
//! [`Selection`] ask the source and the destination for what the decisions need.

mod action;
mod cloud;
mod completeness;
mod decide;
mod listing;
pub(crate) mod listing_check;
pub(crate) mod merge;
mod offer;
mod options;
mod selection;
mod shard;
mod survey;
mod take;

pub use action::Action;
pub use cloud::{Candidate, Choice, choose_cloud};
pub use decide::{Decision, Facts, decide, decide_unlisted, target_scope};
pub use listing::{Listing, ListingBuilder, ObjectLines};
pub use merge::{Amount, MergeTally};
pub use options::{GRACE_DEFAULT, LOOKBACK_DAYS_DEFAULT, PlanOptions, Ready};
pub use selection::{DaysWanted, Selected, Selection, Vanished, not_come_yet};
pub use shard::{Shard, in_joined_order};
pub use survey::{PartitionPlan, Survey, Surveyed, Surveyor};
pub use take::{has_success_marker, take_listing};
