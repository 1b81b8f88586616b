//! Single requests that fail, before or after they have done what they were for: the run goes on, and
//! ends as if nothing had happened.

use std::time::Duration;

use e3sync::simulator::{BucketAction, BucketFault, BucketOperation, Cloud, When};

use super::lake::{DATA, Lake};

/// A request of each kind that a run with small objects makes, and where.
const REQUESTS: [(BucketOperation, &str); 9] = [
    (BucketOperation::Get, "destination.json"),
    (BucketOperation::Put, "probe-"),
    (BucketOperation::List, "manifests/"),
    (BucketOperation::Put, "locks/"),
    (BucketOperation::Put, "claim.json"),
    (BucketOperation::List, DATA),
    (BucketOperation::Put, "event="),
    (BucketOperation::Put, ".jsonl"),
    (BucketOperation::Put, "_SUCCESS"),
];

/// Lets a fault meet each kind of request once or a few times while a day is replaced.
fn each_request_survives(cloud: Cloud, name: &str, action: &BucketAction, times: u64) {
    let deletes = match cloud {
        Cloud::S3 => BucketOperation::DeleteMany,
        Cloud::Gcs => BucketOperation::Delete,
    };
    for (operation, key_part) in REQUESTS.into_iter().chain([(deletes, "")]) {
        let context = format!("{cloud:?}: {name} at {operation:?} {key_part}");
        let lake = Lake::small(cloud);
        lake.publish_and_rewrite();
        let fault = lake.inject(BucketFault::new(operation, action.clone()).on(key_part).times(times));
        let finished = lake.sync().run();
        assert_eq!(finished.code, Some(0), "{context}: {}", finished.stderr);
        assert_eq!(fault.fired(), times, "{context}");
        lake.assert_mirrored(&context);
        lake.bucket().forget_requests();
        lake.sync().run().expect(0);
        assert_eq!(lake.asked(BucketOperation::Put, DATA), 0, "{context}: nothing is done twice");
    }
}

#[test]
fn throttling_of_any_request_is_sat_out() {
    for cloud in Cloud::ALL {
        each_request_survives(cloud, "503", &BucketAction::status(503, "SlowDown"), 3);
    }
}

#[test]
fn throttling_that_says_how_long_is_obeyed() {
    let action = BucketAction::Status { status: 503, code: "SlowDown".to_owned(), retry_after_seconds: Some(1) };
    for cloud in Cloud::ALL {
        let lake = Lake::small(cloud);
        let fault = lake.inject(BucketFault::new(BucketOperation::Put, action.clone()).on(DATA).times(4));
        let summary = lake.sync().arg("--json").run().expect(0).summary();
        assert_eq!(fault.fired(), 4);
        assert!(summary["seconds"].as_f64().unwrap() >= 1.0, "the server asked for a second: {summary}");
        lake.assert_mirrored("Retry-After");
    }
}

#[test]
fn errors_of_the_server_at_any_request_are_repeated() {
    for cloud in Cloud::ALL {
        each_request_survives(cloud, "500", &BucketAction::status(500, "InternalError"), 2);
    }
}

#[test]
fn a_connection_that_ends_before_the_effect_of_any_request_does_no_harm() {
    for cloud in Cloud::ALL {
        each_request_survives(cloud, "cut before", &BucketAction::Cut(When::BeforeEffect), 1);
    }
}

/// An answer that got lost is no refusal: whoever finds its own claim, manifest or heartbeat
/// there has written it.
#[test]
fn an_answer_that_gets_lost_after_the_effect_of_any_request_does_no_harm() {
    for cloud in Cloud::ALL {
        each_request_survives(cloud, "cut after", &BucketAction::Cut(When::AfterEffect), 1);
    }
}

#[test]
fn two_writers_at_once_by_the_servers_word_is_tried_again() {
    for cloud in Cloud::ALL {
        for key_part in ["locks/", "claim.json", "manifests/type=events"] {
            let lake = Lake::small(cloud);
            lake.publish_and_rewrite();
            let conflict = BucketAction::status(409, "ConditionalRequestConflict");
            let fault = lake.inject(BucketFault::new(BucketOperation::Put, conflict).on(key_part).times(2));
            lake.sync().run().expect(0);
            assert_eq!(fault.fired(), 2, "{key_part}");
            lake.assert_mirrored(key_part);
        }
    }
}

/// A heartbeat whose answer is lost must not look to its own run as if another had ended it.
#[test]
fn later_signs_of_life_may_get_lost_too() {
    for cloud in Cloud::ALL {
        for when in [When::BeforeEffect, When::AfterEffect] {
            let lake = Lake::small(cloud);
            let gate = lake.bucket().freeze(When::BeforeEffect, BucketOperation::Put, DATA);
            let running = lake.sync().start();
            lake.wait_at(&gate);
            let fault =
                lake.inject(BucketFault::new(BucketOperation::Put, BucketAction::Cut(when)).on("locks/").times(2));
            lake.wait_until("two heartbeats were lost", |_| fault.fired() == 2);
            let before = lake.asked(BucketOperation::Put, "locks/");
            lake.wait_until("more of them followed", |_| lake.asked(BucketOperation::Put, "locks/") > before + 1);
            gate.open();
            running.wait().expect(0);
            lake.assert_mirrored("heartbeats");
        }
    }
}

#[test]
fn an_outage_longer_than_the_patience_ends_the_run_as_temporary() {
    for cloud in Cloud::ALL {
        for action in [BucketAction::status(500, "InternalError"), BucketAction::Cut(When::BeforeEffect)] {
            let lake = Lake::small(cloud);
            lake.publish_and_rewrite();
            lake.inject(BucketFault::of_all(action.clone()));
            lake.sync().args(["--retries", "1"]).run().expect(75);
            lake.bucket().clear_faults();
            lake.run_after_leases(|| lake.sync()).expect(0);
            lake.assert_mirrored(&format!("{action:?}"));
        }
    }
}

#[test]
fn an_outage_that_begins_in_the_middle_keeps_what_is_done() {
    for cloud in Cloud::ALL {
        let lake = Lake::small(cloud);
        lake.inject(
            BucketFault::new(BucketOperation::Put, BucketAction::status(500, "InternalError")).on(DATA).after(2),
        );
        let finished = lake.sync().args(["--retries", "0", "--concurrency", "1"]).run();
        assert!(matches!(finished.code, Some(3 | 75)), "{finished:?}");
        assert!(lake.readable_day().is_none());
        lake.bucket().clear_faults();
        let second = lake.run_after_leases(|| lake.sync().arg("--json")).expect(0).summary();
        lake.assert_mirrored("an outage in the middle");
        assert_eq!(second["objects"]["transferred"], 2, "{second}");
    }
}

/// Buckets may take a minute for an answer; then they are asked again.
#[test]
fn a_bucket_that_stands_still_is_asked_again() {
    let silence = BucketAction::Silence(When::BeforeEffect, Duration::from_secs(3600));
    let lakes = Cloud::ALL.map(Lake::small);
    let faults = lakes
        .each_ref()
        .map(|lake| lake.inject(BucketFault::new(BucketOperation::List, silence.clone()).on("manifests/").times(1)));
    let runs = lakes.each_ref().map(|lake| lake.sync().start());
    for running in runs {
        running.wait().expect(0);
    }
    for (lake, fault) in lakes.iter().zip(&faults) {
        assert_eq!(fault.fired(), 1);
        lake.assert_mirrored("silence");
    }
}
