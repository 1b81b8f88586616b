//! Into a bucket: what a run has stored before it ended early is not fetched again.

use e3sync::simulator::{BucketOperation, Operation};

use crate::harness::{CLOUD, CustomerLake, Export, for_each_lake};

for_each_lake! {
    objects_beside_a_failed_one_are_not_fetched_again
    a_run_that_is_interrupted_is_gone_on_with
}

fn objects_beside_a_failed_one_are_not_fetched_again(lake: &CustomerLake) {
    let export = Export::of_noise(1, 12);
    let keys = export.simulator().account().objects(CLOUD, "events", export.dates()[0]);
    let failing = keys.iter().map(|(key, _)| key).find(|key| key.ends_with(".parquet")).unwrap();
    export.inject(&format!("get:status=403 times=always key={failing}"));
    lake.sync(&export).run().expect(3);
    assert!(!lake.has_success_marker("type=events/date=2026-11-20"));

    export.simulator().clear_faults();
    export.simulator().forget_requests();
    lake.bucket().forget_requests();
    lake.sync(&export).run().expect(0);
    lake.assert_is(&export);
    assert_eq!(export.simulator().requests().of(Operation::Get), 1, "finished objects were fetched again");
    assert_eq!(lake.data_requests(BucketOperation::Put), 1);
}

fn a_run_that_is_interrupted_is_gone_on_with(lake: &CustomerLake) {
    let export = Export::of_noise(1, 20);
    // One object at a time; the twentieth answer does not come before the interruption.
    export.inject("get:delay=60s after=20 times=always");
    let mut running = lake.sync(&export).args(["--concurrency", "1"]).start();
    export.wait_until("the twenty-first object is asked for", |simulator| {
        let requests = simulator.requests();
        requests.answered(Operation::Get, 200) + requests.answered(Operation::Get, 206) >= 20
    });
    assert!(running.is_running());
    running.signal(rustix::process::Signal::INT);
    running.wait().expect(130);
    let stored = lake.data().len();
    assert!(stored >= 18, "only {stored} objects were stored");

    export.simulator().clear_faults();
    export.simulator().forget_requests();
    lake.sync(&export).run().expect(0);
    lake.assert_is(&export);
    let fetched = export.simulator().requests().of(Operation::Get);
    assert!(fetched <= 22, "finished objects were fetched again: {fetched} of 40 requests");
}
