//! Answers that lie, and bytes that arrive as others.

use e3sync::simulator::{BucketAction, BucketFault, BucketOperation, Cloud};

use super::lake::{DATA, DAY, Lake};
use crate::harness::Export;

#[test]
fn a_web_page_in_place_of_a_listing_is_asked_for_again() {
    for cloud in Cloud::ALL {
        for key_part in ["manifests/", DATA] {
            let lake = Lake::small(cloud);
            lake.publish_and_rewrite();
            let page = BucketFault::new(BucketOperation::List, BucketAction::HtmlPage).on(key_part);
            let fault = lake.inject(page.clone().times(2));
            lake.sync().run().expect(0);
            assert_eq!(fault.fired(), 2);
            lake.assert_mirrored(key_part);

            lake.rewrite();
            let before = lake.readable_day();
            lake.inject(page);
            let finished = lake.sync().run().expect(1);
            assert!(
                finished.stderr.contains("is not") || finished.stderr.contains("not believed"),
                "{}",
                finished.stderr
            );
            assert_eq!(lake.readable_day(), before, "nothing changed");
            lake.bucket().clear_faults();
            lake.sync().run().expect(0);
            lake.assert_mirrored(key_part);
        }
    }
}

/// Ceph began a page with the last key of the page before, in buckets with versions. Whoever takes that
/// key for one more object deletes what the new manifest names.
#[test]
fn a_listing_that_repeats_or_misorders_keys_across_pages_deletes_nothing() {
    const OTHER_DAY: &str = "2026-11-19";
    for cloud in Cloud::ALL {
        for action in [BucketAction::RepeatKey, BucketAction::StepBack] {
            let context = format!("{cloud:?} {action:?}");
            let export = Export::of_noise(2, 8);
            let lake = Lake::with(cloud, export, |settings| settings.page_keys_max = 3);
            lake.sync().run().expect(0);
            for day in [DAY, OTHER_DAY] {
                let mut change = lake.export.simulator().change();
                change.add_object("events", day.parse().unwrap(), "event=a/late.parquet", "late");
            }
            let before = lake.set_below(DATA);
            let fault = lake.inject(BucketFault::new(BucketOperation::List, action).on(DATA));
            let finished = lake.sync().run().expect(3).says("not believed").says("ascending order");
            assert!(finished.stderr.contains(DATA), "{context}: {}", finished.stderr);
            assert!(fault.fired() > 0, "{context}");
            assert_eq!(lake.set_below(DATA), before, "{context}");
            let other = lake.set_below(&DATA.replace(DAY, OTHER_DAY));
            assert!(other.keys().any(|key| key.ends_with("late.parquet")), "{context}: one day's trouble is one day's");
            lake.bucket().clear_faults();
            lake.run_after_leases(|| lake.sync()).expect(0);
            lake.assert_mirrored(&context);
        }
    }
}

#[test]
fn a_web_page_in_place_of_a_stored_object_is_no_success() {
    for cloud in Cloud::ALL {
        for key_part in ["probe-", "locks/", "claim.json", "event=", "manifests/type=events", "_SUCCESS"] {
            let context = format!("{cloud:?} {key_part}");
            let lake = Lake::small(cloud);
            let fault = lake.inject(BucketFault::new(BucketOperation::Put, BucketAction::HtmlPage).on(key_part));
            let finished = lake.sync().run();
            assert_eq!(finished.code, Some(1), "{context}: {}", finished.stderr);
            assert!(finished.stderr.contains("hint: "), "{context}: {}", finished.stderr);
            assert!(fault.fired() > 0, "{context}");
            assert!(lake.readable_day().is_none(), "{context}");
            lake.bucket().clear_faults();
            lake.run_after_leases(|| lake.sync()).expect(0);
            lake.assert_mirrored(&context);
        }
    }
}

#[test]
fn a_web_page_in_place_of_deletions_is_no_success() {
    let lake = Lake::small(Cloud::S3);
    lake.publish_and_rewrite();
    lake.inject(BucketFault::new(BucketOperation::DeleteMany, BucketAction::HtmlPage).after(1));
    lake.sync().run().expect(1);
    lake.bucket().clear_faults();
    lake.run_after_leases(|| lake.sync()).expect(0);
    lake.assert_mirrored("deletions");
}

#[test]
fn an_answer_with_another_checksum_is_not_taken_for_a_stored_object() {
    for cloud in Cloud::ALL {
        for (lake, operation) in [
            (Lake::small(cloud), BucketOperation::Put),
            (Lake::large(cloud), BucketOperation::UploadPart),
            (Lake::large(cloud), BucketOperation::CompleteUpload),
        ] {
            let context = format!("{cloud:?} {operation:?}");
            let wrong = BucketFault::new(operation, BucketAction::WrongChecksum).on(DATA);
            let once = lake.inject(wrong.clone().times(1));
            lake.sync().run().expect(0);
            assert_eq!(once.fired(), 1, "{context}");
            lake.assert_mirrored(&context);

            lake.rewrite();
            lake.inject(wrong);
            let finished = lake.sync().run();
            assert_eq!(finished.code, Some(5), "{context}: {}", finished.stderr);
            assert!(lake.readable_day().is_none(), "{context}");
            lake.bucket().clear_faults();
            lake.run_after_leases(|| lake.sync()).expect(0);
            lake.assert_mirrored(&context);
        }
    }
}

/// Bytes that are altered on their way are sent again, also those of e3sync's own objects, which no
/// source has.
#[test]
fn bytes_that_the_bucket_refuses_as_altered_are_sent_again() {
    for cloud in Cloud::ALL {
        for key_part in ["probe-", "locks/", "claim.json", "event=", "manifests/type=events", "_SUCCESS"] {
            let context = format!("{cloud:?} {key_part}");
            let lake = Lake::small(cloud);
            let action = BucketAction::status(400, "BadDigest");
            let fault = lake.inject(BucketFault::new(BucketOperation::Put, action).on(key_part).times(2));
            let finished = lake.sync().run();
            assert_eq!(finished.code, Some(0), "{context}: {}", finished.stderr);
            assert_eq!(fault.fired(), 2, "{context}");
            lake.assert_mirrored(&context);
        }
    }
}
