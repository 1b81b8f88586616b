//! One list of checks, written against the destination port, for every kind of destination: what the
//! engine relies on wherever a mirror is.

mod checks;
mod driver;
mod kinds;

use e3sync::simulator::Cloud;
use kinds::{Bucket, Directory};

macro_rules! conforming {
    ($($check:ident)*) => {
        mod directory {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $check() {
                super::checks::$check(&super::Directory::new()).await;
            })*
        }
        mod s3 {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $check() {
                super::checks::$check(&super::Bucket::start(super::Cloud::S3).await).await;
            })*
        }
        mod gcs {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $check() {
                super::checks::$check(&super::Bucket::start(super::Cloud::Gcs).await).await;
            })*
        }
    };
}

conforming! {
    a_published_set_is_read_back
    what_is_unchanged_is_not_work_again
    a_replaced_set_takes_the_old_one_away
    a_changed_listing_is_prepared_again_in_the_same_claim
    a_narrower_selection_is_not_marked_and_can_grow
    a_set_that_is_not_complete_is_not_marked_until_it_is
    a_shrunken_set_is_held_until_accepted
    a_claimed_partition_is_held_against_others_only
    staged_work_is_found_by_the_next_opening
    an_interrupted_object_goes_on
    staged_work_that_is_discarded_leaves_the_published_set
    forgotten_objects_are_work_again
    foreign_data_is_refused_and_stays
    another_account_is_refused
    a_set_is_published_twice
    an_empty_day_is_a_day
    what_another_source_had_is_not_taken_for_the_same
}

/// A bucket is bound to an account when it is opened: its first write is the proof that it can be written.
#[tokio::test(flavor = "multi_thread")]
async fn a_directory_belongs_to_the_account_that_publishes_first() {
    checks::whoever_publishes_first_binds_the_destination(&Directory::new()).await;
}
