//! Several runs on one destination at the same time (design.md promise 9).

use e3sync::simulator::{Cloud, Operation};

use crate::harness::{CustomerLake, Export, Finished, assert_tree_is};

fn export(days: u32) -> Export {
    Export::of_noise_with(days, 3, |settings| settings.types = vec!["events".into()])
}

/// Every run ended well, or found a day held to its end; and at least one saw everything published.
#[track_caller]
fn assert_ended_well(runs: &[Finished]) {
    let codes: Vec<Option<i32>> = runs.iter().map(|run| run.code).collect();
    let messages = || runs.iter().map(|run| run.stderr.as_str()).collect::<String>();
    assert!(codes.contains(&Some(0)), "{codes:?}: {}", messages());
    assert!(codes.iter().all(|code| matches!(code, Some(0 | 7))), "{codes:?}: {}", messages());
}

#[test]
fn runs_that_start_in_the_same_instant_publish_every_day() {
    for count in [2, 3, 16] {
        let export = export(8);
        let folder = tempfile::tempdir().unwrap();
        let running: Vec<_> = (0..count).map(|_| export.sync(folder.path()).start()).collect();
        let ended: Vec<Finished> = running.into_iter().map(|run| run.wait()).collect();
        assert_ended_well(&ended);
        assert_tree_is(&export, folder.path());
        export.command("verify").arg(folder.path()).run().expect(0);
        export.simulator().forget_requests();
        export.sync(folder.path()).run().expect(0);
        assert_eq!(export.simulator().requests().of(Operation::Get), 0, "nothing is left to do");
    }
}

#[test]
fn runs_that_start_in_the_same_instant_publish_every_day_of_a_bucket() {
    for cloud in Cloud::ALL {
        let (export, lake) = (export(8), CustomerLake::new(cloud));
        let running: Vec<_> = (0..3).map(|_| lake.sync(&export).start()).collect();
        let ended: Vec<Finished> = running.into_iter().map(|run| run.wait()).collect();
        assert_ended_well(&ended);
        lake.assert_is(&export);
    }
}

#[test]
fn a_day_that_is_held_to_the_end_keeps_no_other_day_from_being_published() {
    // A run claims up to eight days ahead.
    let export = export(12);
    // The first object that anybody asks for hangs, and with it its day.
    export.inject("get:stall@100 times=1");
    let folder = tempfile::tempdir().unwrap();
    let holder = export.sync(folder.path()).args(["--stall-timeout", "60s", "--concurrency", "1"]).start();
    export.wait_until("a transfer hangs", |simulator| simulator.requests().of(Operation::Get) >= 1);
    let second = export.sync(folder.path()).arg("--json").run().expect(7);
    assert!(second.stderr.contains(&format!("process {}", holder.id())), "{}", second.stderr);
    let published = std::fs::read_dir(folder.path().join("type=events")).unwrap().count();
    assert_eq!(published, 4, "days that nobody holds are published: {}", second.stdout);
    holder.kill();
    export.sync(folder.path()).run().expect(0);
    assert_tree_is(&export, folder.path());
}
