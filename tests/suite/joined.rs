//! Runs that share the days of an export (`sync --join`, `--shard`, `--units`; design.md section 7).

use std::collections::BTreeMap;
use std::time::Duration;

use e3sync::simulator::{BucketOperation, Cloud, Operation, When};
use jiff::civil::Date;

use crate::harness::{
    CustomerLake, E3sync, Export, Finished, Moto, PeerLake, Running, assert_tree_is, files_below, for_each_lake,
};

/// The time between a request and its answer, long enough that runs meet.
const LATENCY: Duration = Duration::from_millis(20);

fn export_of(days: u32, objects_per_day: u32) -> Export {
    Export::of_noise_with(days, objects_per_day, |settings| settings.latency = Some(LATENCY))
}

fn date(text: &str) -> Date {
    text.parse().unwrap()
}

/// Starts a call several times at once and waits for all.
fn at_once(count: u32, call: impl Fn(u32) -> E3sync) -> Vec<Finished> {
    let running: Vec<_> = (0..count).map(|number| call(number).start()).collect();
    running.into_iter().map(|run| run.wait()).collect()
}

/// What several runs say that they did with the partitions, added up.
fn partitions_in(runs: &[Finished], name: &str) -> u64 {
    runs.iter().map(|run| run.summary()["partitions"][name].as_u64().unwrap()).sum()
}

/// The objects without the markers of complete days.
fn data_of(objects: impl IntoIterator<Item = (String, String)>) -> BTreeMap<String, String> {
    objects.into_iter().filter(|(path, _)| !path.ends_with("/_SUCCESS")).collect()
}

/// No object was asked for more than once, and each at least once.
#[track_caller]
fn assert_fetched_once(export: &Export) {
    let objects = data_of(export.objects()).len() as u64;
    assert_eq!(export.simulator().requests().of(Operation::Get), objects, "each object is fetched once");
}

#[test]
fn runs_that_share_the_days_fetch_each_object_once() {
    let export = export_of(12, 4);
    let folder = tempfile::tempdir().unwrap();
    let ended = at_once(4, |_| export.sync(folder.path()).args(["--join", "--json"]));
    let ended: Vec<Finished> = ended.into_iter().map(|run| run.expect(0)).collect();
    assert_fetched_once(&export);
    assert_tree_is(&export, folder.path());
    assert_eq!(partitions_in(&ended, "published"), 24);
    for run in &ended {
        let partitions = &run.summary()["partitions"];
        let here = ["published", "published_by_others", "unchanged"].map(|name| partitions[name].as_u64().unwrap());
        assert_eq!(here.iter().sum::<u64>(), 24, "each run ends when all is there: {partitions}");
    }
    export.command("verify").arg(folder.path()).run().expect(0);
}

#[test]
fn sharing_costs_a_bucket_little() {
    let requests = |runs: u32| {
        let (export, lake) = (export_of(40, 20), CustomerLake::new(Cloud::S3));
        let flags: &[&str] = if runs == 1 { &[] } else { &["--join"] };
        for ended in at_once(runs, |_| lake.sync(&export).args(flags)) {
            ended.expect(0);
        }
        lake.assert_is(&export);
        assert_fetched_once(&export);
        let objects = data_of(export.objects()).len();
        assert_eq!(lake.data_requests(BucketOperation::Put), objects, "each object is stored once");
        (export.simulator().requests().of(Operation::List), lake.bucket().requests().log.len() as u64)
    };
    let (alone, together) = (requests(1), requests(4));
    let is_little = |alone: u64, together: u64| together * 10 <= alone * 12;
    assert!(is_little(alone.0, together.0), "listings: {} alone, {} together", alone.0, together.0);
    assert!(is_little(alone.1, together.1), "requests to the bucket: {} alone, {} together", alone.1, together.1);
}

/// Days that were rewritten, and one that cannot be read, among those that four runs share.
struct Troubled {
    export: Export,
    poisoned: String,
}

impl Troubled {
    /// An export that `mirror` has a former state of.
    fn new(mirror: impl Fn(&Export)) -> Self {
        let export = export_of(10, 4);
        mirror(&export);
        for day in ["2026-11-16", "2026-11-19"] {
            export.simulator().change().rewrite_day("events", date(day), 110);
        }
        let poisoned = "type=decisions/date=2026-11-18/".to_owned();
        export.inject(&format!("get:status=403 times=always key={poisoned}"));
        export.simulator().forget_requests();
        Self { export, poisoned }
    }

    /// The first three days, which were mirrored before the trouble began, are within the lookback.
    const FIRST: [&'static str; 6] = ["--from", "2026-11-15", "--to", "2026-11-17", "--today", "2026-11-21"];

    fn expected(&self) -> BTreeMap<String, String> {
        let mut objects = data_of(self.export.objects());
        objects.retain(|path, _| !path.starts_with(&self.poisoned));
        objects
    }

    /// How often objects were fetched beyond once, those of the poisoned day aside.
    fn surplus(&self, before: &BTreeMap<String, String>) -> u64 {
        let simulator = self.export.simulator();
        let wanted = self.expected().iter().filter(|(path, sha256)| before.get(*path) != Some(*sha256)).count() as u64;
        let log = simulator.log();
        let is_counted = |key: &str| !key.contains(&self.poisoned);
        let gets =
            log.iter().filter(|call| call.operation == Operation::Get && is_counted(&call.subject)).count() as u64;
        assert!(gets >= wanted, "{gets} of {wanted}");
        gets - wanted
    }
}

/// Four runs of which one is killed when it has fetched something; the others must end what it began.
#[track_caller]
fn survive_a_kill(export: &Export, call: impl Fn() -> E3sync) -> Vec<Finished> {
    let first = call().arg("--json").start();
    export.wait_until("the first has fetched", |simulator| simulator.requests().of(Operation::Get) >= 6);
    let others: Vec<_> = (0..3).map(|_| call().arg("--json").start()).collect();
    export.wait_until("all are at work", |simulator| simulator.requests().of(Operation::Get) >= 30);
    first.kill();
    others.into_iter().map(|run| run.wait().expect(3)).collect()
}

#[test]
fn a_killed_run_is_made_good_by_the_others_in_a_directory() {
    let folder = tempfile::tempdir().unwrap();
    let troubled =
        Troubled::new(|export| drop(export.command("sync").arg(folder.path()).args(Troubled::FIRST).run().expect(0)));
    let before = data_of(files_below(folder.path()));
    let survivors = survive_a_kill(&troubled.export, || troubled.export.sync(folder.path()).arg("--join"));
    assert!(partitions_in(&survivors, "failed") >= 1);
    assert_eq!(data_of(files_below(folder.path())), troubled.expected());
    // What the killed run had in flight was not hashed yet; what it had fetched is taken over.
    let surplus = troubled.surplus(&before);
    assert!(surplus <= 4 * 4, "{surplus} objects were fetched twice");
    troubled.export.simulator().clear_faults();
    troubled.export.sync(folder.path()).run().expect(0);
    assert_tree_is(&troubled.export, folder.path());
    troubled.export.command("verify").arg(folder.path()).run().expect(0);
}

fn a_killed_run_is_made_good_by_the_others(lake: &CustomerLake) {
    let first = |export: &Export| drop(lake.command(export, "sync").args(Troubled::FIRST).run().expect(0));
    let troubled = Troubled::new(first);
    let before = data_of(lake.data());
    let call = || lake.sync(&troubled.export).args(["--join", "--dest-lease", "3"]);
    survive_a_kill(&troubled.export, call);
    let mut stored = data_of(lake.data());
    stored.retain(|path, _| !path.starts_with(&troubled.poisoned));
    assert_eq!(stored, troubled.expected());
    // What a killed run stored in its last seconds is not written down anywhere.
    let surplus = troubled.surplus(&before);
    assert!(surplus <= 8 * 4, "{surplus} objects were fetched twice");
    troubled.export.simulator().clear_faults();
    lake.sync(&troubled.export).args(["--dest-lease", "3"]).run().expect(0);
    lake.assert_is(&troubled.export);
    lake.command(&troubled.export, "verify").run().expect(0);
}

for_each_lake! {
    a_killed_run_is_made_good_by_the_others
    many_runs_begin_at_once_in_an_empty_bucket
    a_dead_run_in_a_bucket_is_waited_for
}

#[test]
fn runs_share_the_days_in_a_bucket_of_another_maker_and_outlive_one() {
    let Some(moto) = Moto::start() else { return };
    let (export, lake) = (export_of(6, 4), PeerLake::on(&moto));
    let call = || lake.sync(&export).args(["--join", "--json", "--dest-lease", "3"]);
    let first = call().start();
    export.wait_until("the first has fetched", |simulator| simulator.requests().of(Operation::Get) >= 4);
    let others: Vec<_> = (0..3).map(|_| call().start()).collect();
    export.wait_until("all are at work", |simulator| simulator.requests().of(Operation::Get) >= 16);
    first.kill();
    let survivors: Vec<Finished> = others.into_iter().map(|run| run.wait().expect(0)).collect();
    assert!(partitions_in(&survivors, "published") >= 6, "the killed one had two days in hand at a time");
    assert_eq!(data_of(lake.data()), data_of(export.objects()));
    let objects = data_of(export.objects()).len() as u64;
    let surplus = export.simulator().requests().of(Operation::Get) - objects;
    assert!(surplus <= 8 * 4, "{surplus} objects were fetched twice");
    lake.command(&export, "verify").run().expect(0);
}

#[test]
fn many_runs_begin_at_once_in_an_empty_directory() {
    for count in [16, 64] {
        let export = export_of(if count == 64 { 2 } else { 8 }, 2);
        let folder = tempfile::tempdir().unwrap();
        let destination = folder.path().join("new/mirror");
        for ended in at_once(count, |_| export.sync(&destination).arg("--join")) {
            ended.expect(0);
        }
        assert_fetched_once(&export);
        assert_tree_is(&export, &destination);
    }
}

fn many_runs_begin_at_once_in_an_empty_bucket(lake: &CustomerLake) {
    let export = export_of(4, 2);
    let ended = at_once(16, |_| lake.sync(&export).args(["--join", "--json"]));
    let ended: Vec<Finished> = ended.into_iter().map(|run| run.expect(0)).collect();
    assert_eq!(partitions_in(&ended, "published"), 8);
    assert_fetched_once(&export);
    lake.assert_is(&export);
}

/// A run that hangs in the transfer of a day, and what calls it.
fn hanging(export: &Export, call: E3sync) -> Running {
    export.inject("get:stall@100 times=1");
    let holder = call.args(["--stall-timeout", "60s", "--concurrency", "1"]).start();
    export.wait_until("a transfer hangs", |simulator| simulator.requests().of(Operation::Get) >= 1);
    holder
}

#[test]
fn a_dead_run_in_a_directory_holds_nothing() {
    let export = export_of(4, 3);
    let folder = tempfile::tempdir().unwrap();
    let holder = hanging(&export, export.sync(folder.path()).arg("--join"));
    let second = export.sync(folder.path()).args(["--join", "--json"]).start();
    export.wait_until("the second has done the rest", |simulator| simulator.requests().of(Operation::Get) >= 19);
    holder.kill();
    second.wait().expect(0);
    assert_tree_is(&export, folder.path());
}

fn a_dead_run_in_a_bucket_is_waited_for(lake: &CustomerLake) {
    let export = export_of(3, 3);
    let holder = hanging(&export, lake.sync(&export).args(["--join", "--dest-lease", "3"]));
    holder.kill();
    let alone = lake.sync(&export).args(["--dest-lease", "3"]).run();
    assert_eq!(alone.code, Some(7), "without --join it is left to the next run: {}", alone.stderr);
    lake.sync(&export).args(["--join", "--dest-lease", "3"]).run().expect(0);
    lake.assert_is(&export);
}

#[test]
fn waiting_for_others_ends_after_join_wait() {
    let export = export_of(2, 2);
    let folder = tempfile::tempdir().unwrap();
    let holder = hanging(&export, export.sync(folder.path()));
    let waiting = export.sync(folder.path()).args(["--join", "--join-wait", "3s", "--json"]).run().expect(75);
    assert!(waiting.stderr.contains(&format!("process {}", holder.id())), "{}", waiting.stderr);
    assert!(waiting.stderr.contains("still held by other runs"), "{}", waiting.stderr);
    assert_eq!(waiting.summary()["stopped_by"]["kind"], "deadline_reached");
    holder.kill();
    export.sync(folder.path()).arg("--join").run().expect(0);
    assert_tree_is(&export, folder.path());
}

#[test]
fn a_day_that_failed_is_left_to_the_others_at_once() {
    let (export, lake) = (export_of(3, 2), CustomerLake::new(Cloud::S3));
    export.inject("get:status=403 times=always key=type=events/date=2026-11-19/");
    // The first stays at work on another day for as long as the test wants.
    let gate = lake.bucket().freeze(When::BeforeEffect, BucketOperation::Put, "type=decisions/date=2026-11-20/");
    let first = lake.sync(&export).args(["--join", "--json"]).start();
    lake.wait_at(&gate);
    let second = lake.command(&export, "sync").args(["--date", "2026-11-19", "--today", "2026-11-21"]);
    let second = second.args(["--join", "--join-wait", "30s"]).run();
    assert_eq!(second.code, Some(3), "it tries the day itself and does not wait for the first: {}", second.stderr);
    gate.open();
    first.wait().expect(3);
}

#[test]
fn eight_starts_outlast_an_exchange_that_wants_fewer() {
    let export = export_of(4, 2);
    export.inject("exchange:status=429 retry-after=1 times=10");
    let folder = tempfile::tempdir().unwrap();
    for ended in at_once(8, |number| export.sync(folder.path()).args(["--shard", &format!("{number}/8")])) {
        ended.expect(0);
    }
    assert_fetched_once(&export);
    assert_tree_is(&export, folder.path());
}

#[test]
fn status_shows_runs_that_shared_the_days_as_one() {
    let export = export_of(6, 2);
    let folder = tempfile::tempdir().unwrap();
    let call = || export.sync(folder.path()).args(["--group", "backfill of \u{fc}ber-all <7>"]);
    for ended in at_once(3, |_| call().arg("--join")) {
        ended.expect(0);
    }
    let metrics = folder.path().with_extension("prom");
    call().arg("--metrics-file").arg(&metrics).run().expect(0);
    let numbers = std::fs::read_to_string(&metrics).unwrap();
    std::fs::remove_file(&metrics).unwrap();
    for number in ["e3sync_group_runs 4", "e3sync_group_partitions_published 12", "e3sync_group_objects_transferred 24"]
    {
        assert!(numbers.contains(&format!("{number}\n")), "{number}: {numbers}");
    }
    let status = |arguments: &[&str]| E3sync::new("status").arg(folder.path()).args(arguments).run().expect(0).stdout;
    let text = status(&["--today", "2026-11-21"]).split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(text.contains("ok: 12 published; 4 runs shared the days, in "), "{text}");
    assert!(text.contains("0 days in ") && text.contains(" exchanges of credentials, 0 retries in all"), "{text}");
    let page = status(&["--today", "2026-11-21", "--html", "-"]);
    assert!(page.contains("<summary>4 runs shared the days</summary>"), "the page has the group");
    let documents: Vec<serde_json::Value> =
        status(&["--json"]).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |event: &str| documents.iter().filter(|document| document["event"] == event).count();
    assert_eq!((of("run"), of("group")), (4, 1));
    let group = documents.iter().find(|document| document["event"] == "group").unwrap();
    assert_eq!(group["group"], "backfill of \u{fc}ber-all <7>");
    assert_eq!((&group["exit_code"], &group["partitions"]["published"]), (&0.into(), &12.into()));
    let published: u64 =
        group["workers"].as_array().unwrap().iter().map(|run| run["published"].as_u64().unwrap()).sum();
    assert_eq!(published, 12);
}
