//! Promise 7: credentials are renewed in the middle of anything, by one request for all.

use std::time::Duration;

use e3sync::simulator::Operation;

use crate::harness::{E3sync, Export, assert_tree_is};

#[test]
fn short_lived_credentials_are_renewed_in_the_middle_of_a_run_without_a_retry() {
    let export = Export::with(|settings| {
        settings.days = 3;
        settings.latency = Some(Duration::from_millis(100));
        settings.credential_lifetime = Some(Duration::from_secs(2));
    });
    let folder = tempfile::tempdir().unwrap();
    let summary = export.sync(folder.path()).args(["--json", "--concurrency", "2"]).run().expect(0).summary();
    assert_tree_is(&export, folder.path());
    let renewals = summary["credentials_renewed"].as_u64().unwrap();
    assert!(renewals >= 2, "{summary}");
    assert_eq!(export.simulator().requests().of(Operation::Exchange), renewals + 1, "one exchange each");
    assert_eq!(summary["requests"]["retries"], 0, "renewal costs no retry");
}

#[test]
fn credentials_that_end_at_any_request_are_replaced_once_for_all() {
    for moment in ["list:expire-all", "list:expire-all after=3", "get:expire-all after=5", "get:expired after=7"] {
        let export = Export::of_noise(2, 40);
        export.inject(moment);
        let folder = tempfile::tempdir().unwrap();
        let summary = export.sync(folder.path()).args(["--json", "--concurrency", "16"]).run().expect(0).summary();
        assert_tree_is(&export, folder.path());
        assert_eq!(export.simulator().requests().of(Operation::Exchange), 2, "{moment}");
        assert_eq!(summary["credentials_renewed"], 1, "{moment}");
        assert_eq!(summary["requests"]["retries"], 0, "{moment}");
    }
}

#[test]
fn credentials_that_end_within_a_ranged_object_are_replaced_at_the_range() {
    let export = Export::with(|settings| {
        settings.days = 1;
        settings.objects_per_day = 2;
        settings.types = vec!["events".into()];
        settings.content = e3sync::simulator::Content::Noise { size_bytes: 3_000_000..=3_000_000 };
        settings.odd_names = false;
    });
    export.inject("get:expire-all after=6");
    let folder = tempfile::tempdir().unwrap();
    export.sync(folder.path()).args(["--part-size", "256KiB"]).run().expect(0);
    assert_tree_is(&export, folder.path());
    assert_eq!(export.simulator().requests().of(Operation::Exchange), 2);
}

#[test]
fn an_outage_of_the_exchange_is_waited_out() {
    let export = Export::of_noise(1, 20);
    export.inject("get:expire-all after=10");
    let outage = export.inject("exchange:status=500 after=1 times=2");
    let folder = tempfile::tempdir().unwrap();
    export.sync(folder.path()).run().expect(0).says("cannot get credentials");
    assert_tree_is(&export, folder.path());
    assert_eq!(outage.fired(), 2);
}

#[test]
fn an_outage_beyond_the_budget_ends_the_run_as_temporary_and_keeps_what_is_done() {
    let export = Export::of_noise(1, 20);
    export.inject("get:expire-all after=10");
    export.inject("exchange:status=500 after=1 times=always");
    let folder = tempfile::tempdir().unwrap();
    export.sync(folder.path()).args(["--outage", "1s", "--concurrency", "2"]).run().expect(75).says("hint:");
    let gets = export.simulator().requests().of(Operation::Get);
    export.simulator().clear_faults();
    export.sync(folder.path()).run().expect(0);
    assert_tree_is(&export, folder.path());
    let gets_after = export.simulator().requests().of(Operation::Get) - gets;
    assert!(gets_after < 40, "finished objects are not fetched again: {gets_after}");
}

#[test]
fn an_exchange_that_answers_nonsense_is_asked_again() {
    for nonsense in ["html", "garbage", "empty", "status=502", "status=429 retry-after=0"] {
        let export = Export::of_noise(1, 2);
        export.inject(&format!("exchange:{nonsense}"));
        let folder = tempfile::tempdir().unwrap();
        let summary = export.sync(folder.path()).arg("--json").run().expect(0).summary();
        assert_eq!(summary["requests"]["retries"], 1, "{nonsense}");
        assert_tree_is(&export, folder.path());
        assert_eq!(export.simulator().requests().of(Operation::Exchange), 2, "{nonsense}");
    }
}

#[test]
fn a_token_that_is_refused_at_the_start_is_final() {
    let export = Export::of_noise(1, 2);
    let folder = tempfile::tempdir().unwrap();
    let wrong = "2:wrong-token-that-nobody-issued";
    let refused = export.sync(folder.path()).secret_env("OPTIMIZELY_API_TOKEN", wrong).run().expect(4);
    refused
        .says("the vendor refused the token (401 from /v2/export/credentials")
        .says("reference ")
        .says("hint: a revoked token");
    assert_eq!(export.simulator().requests().of(Operation::Exchange), 1);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing was made");
}

#[test]
fn a_token_that_is_revoked_in_the_middle_costs_a_few_calls_and_keeps_everything() {
    let export = Export::of_noise(2, 30);
    export.inject("get:revoke after=20");
    export.inject("get:expire-all after=21");
    let folder = tempfile::tempdir().unwrap();
    let token = export.simulator().token();
    export.sync(folder.path()).args(["--concurrency", "4"]).run().expect(4).says("refused the token");
    assert!(export.simulator().requests().of(Operation::Exchange) <= 4);
    export.simulator().set_token(&token);
    export.simulator().clear_faults();
    let second = export.sync(folder.path()).arg("--json").run().expect(0).summary();
    assert!(second["objects"]["transferred"].as_u64().unwrap() < 120);
    assert_tree_is(&export, folder.path());
}

#[test]
fn a_clock_that_is_hours_wrong_does_not_matter() {
    for hours in [-3, 5] {
        let export = Export::with(|settings| {
            settings.days = 1;
            settings.clock_skew = jiff::SignedDuration::from_hours(hours);
        });
        let folder = tempfile::tempdir().unwrap();
        export.sync(folder.path()).run().expect(0);
        assert_tree_is(&export, folder.path());
        assert_eq!(export.simulator().requests().of(Operation::Exchange), 1, "{hours} hours");
    }
}

#[test]
fn another_account_than_the_named_one_is_refused() {
    let export = Export::of_noise(1, 2);
    let folder = tempfile::tempdir().unwrap();
    export
        .sync(folder.path())
        .args(["--account-id", "2146857073"])
        .run()
        .expect(2)
        .says("belongs to account 21468570738");
    export.sync(folder.path()).args(["--account-id", "21468570738"]).run().expect(0);
}

#[test]
fn the_token_comes_from_a_file_standard_input_or_a_command() {
    let export = Export::of_noise(1, 2);
    let token = export.simulator().token();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, format!("{token}\n")).unwrap();
    let command = format!("cat '{}'", file.display());
    let bare = || export.command("ls").env_remove("OPTIMIZELY_API_TOKEN");
    bare().args(["--token-file", file.to_str().unwrap()]).run().expect(0);
    bare().args(["--token-file", "-"]).input(&token).run().expect(0);
    bare().args(["--token-command", &command]).run().expect(0);
    bare().secret_env("OPTIMIZELY_PAT", &token).run().expect(0);
    bare().run().expect(2).says("OPTIMIZELY_API_TOKEN");
    bare().args(["--token-command", "echo 'no token here'; exit 7"]).run().expect(2).says("exit status: 7");
}

#[test]
fn no_argument_takes_a_token() {
    let finished = E3sync::new("sync").args(["/tmp/x", "--token", "2:abc"]).run().expect(2);
    assert!(finished.stderr.contains("unexpected argument '--token'"), "{}", finished.stderr);
}

#[test]
fn a_token_command_is_asked_again_at_every_exchange() {
    let export = Export::of_noise(1, 20);
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("calls");
    let command = format!("echo call >> '{}'; printf %s '{}'", log.display(), export.simulator().token());
    export.inject("get:expire-all after=5");
    export
        .sync(&folder.path().join("d"))
        .env_remove("OPTIMIZELY_API_TOKEN")
        .args(["--token-command", &command])
        .run()
        .expect(0);
    assert_eq!(std::fs::read_to_string(log).unwrap().lines().count(), 2);
}
