//! The vendor's credentials never reach the customer's bucket, and the customer's never the vendor.

use std::collections::BTreeSet;

use e3sync::simulator::Cloud;

use super::lake::Lake;

#[test]
fn each_side_sees_its_own_credentials_only() {
    for cloud in Cloud::ALL {
        let lake = Lake::small(cloud);
        lake.publish_and_rewrite();
        lake.sync().args(["--verbose", "--keep-superseded"]).run().expect(0);
        let settings = lake.bucket().settings();
        let own = match cloud {
            Cloud::S3 => settings.access_key.access_key_id.clone(),
            Cloud::Gcs => settings.bearer.clone(),
        };
        let requests = lake.bucket().requests();
        let used: BTreeSet<_> = requests.log.iter().map(|request| request.credential.clone()).collect();
        assert_eq!(used, BTreeSet::from([Some(own)]), "{cloud:?}: who asked the customer's bucket");
        assert!(requests.log.iter().all(|request| request.session_token.is_none()), "{cloud:?}: a session came along");
        let asked = lake.export.simulator().log();
        let vendors: BTreeSet<_> = asked.iter().filter_map(|request| request.access_key_id.as_deref()).collect();
        assert!(vendors.iter().all(|id| id.starts_with("ASIA")), "who asked the vendor: {vendors:?}");
        assert!(!vendors.is_empty());
    }
}

/// With the customer's session token in the environment, the vendor's side still sees its own.
#[test]
fn a_session_of_the_customers_stays_on_the_customers_side() {
    let session = "the0session0token0of0the0customer";
    let lake = Lake::with(Cloud::S3, super::lake::export_of(4, 1_000..=4_000), |settings| {
        settings.session_token = Some(session.to_owned());
    });
    lake.sync().secret_env("AWS_SESSION_TOKEN", session).run().expect(0);
    lake.assert_mirrored("a session");
    let requests = lake.bucket().requests();
    assert!(requests.log.iter().all(|request| request.session_token.as_deref() == Some(session)));
    let own = &lake.bucket().settings().access_key.access_key_id;
    let asked = lake.export.simulator().log();
    assert!(asked.iter().all(|request| request.access_key_id.as_ref() != Some(own)));
}

#[test]
fn failures_print_no_secret_of_either_side() {
    use e3sync::simulator::{BucketAction, BucketFault};
    for cloud in Cloud::ALL {
        for action in [
            BucketAction::status(403, "AccessDenied"),
            BucketAction::status(400, "ExpiredToken"),
            BucketAction::status(500, "InternalError"),
            BucketAction::HtmlPage,
        ] {
            let lake = Lake::small(cloud);
            lake.inject(BucketFault::of_all(action));
            // Whether a secret was printed is looked at by the command itself.
            let finished = lake.sync().args(["--retries", "1", "--verbose"]).run();
            assert_ne!(finished.code, Some(0));
            let report = tempfile::tempdir().unwrap();
            let path = report.path().join("report.json");
            lake.sync().args(["--retries", "1", "--json", "--report", path.to_str().unwrap()]).run();
            let written = std::fs::read_to_string(path).unwrap_or_default();
            for secret in [&lake.bucket().settings().access_key.secret_access_key, &lake.bucket().settings().bearer] {
                assert!(!written.contains(secret));
            }
        }
    }
}
