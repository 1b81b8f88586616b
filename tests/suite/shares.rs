//! Which days a run that works together with others is about: `--shard`, `--units`, and what schedulers tell.

use std::collections::BTreeSet;

use e3sync::simulator::{Cloud, CustomerSettings, Operation, Quirk};
use jiff::civil::{Date, date};
use serde_json::Value;

use crate::harness::{CustomerLake, E3sync, Export, TODAY, assert_tree_is, files_below};

fn export_of(days: u32) -> Export {
    Export::of_noise_with(days, 1, |settings| settings.types = vec!["events".into()])
}

/// The days in the order in which a run looks at them.
fn order_of(call: E3sync) -> Vec<Date> {
    let documents = call.arg("--json").run().expect(0).json();
    let plans = documents.into_iter().filter(|document| document["event"] == "plan");
    plans.map(|plan| plan["date"].as_str().unwrap().parse().unwrap()).collect()
}

/// By what the days that a run begins with are congruent, modulo the number of shares.
fn remainder(call: E3sync, days: usize, count: i32) -> i32 {
    // Two are looked at at once, so that the last of a share and the first of the others may change places.
    let own = days / count as usize - 1;
    let numbers = order_of(call).into_iter().map(|day| (day - date(1970, 1, 1)).get_days());
    let numbers: Vec<i32> = numbers.take(own).collect();
    let remainders: BTreeSet<i32> = numbers.iter().map(|number| number % count).collect();
    assert_eq!(remainders.len(), 1, "the days of a share are equally far apart: {numbers:?}");
    *remainders.first().unwrap()
}

/// The variables that a scheduler sets for its task of this number.
type Told = dyn Fn(u32) -> Vec<(&'static str, String)>;

#[test]
fn each_scheduler_tells_its_tasks_different_shares() {
    let export = export_of(16);
    let numbered = |index: &'static str, count: &'static str| {
        move |number: u32| vec![(index, number.to_string()), (count, "4".to_owned())]
    };
    let slurm = |number: u32| {
        let of = |name, value: u32| (name, value.to_string());
        let [id, min] = [of("SLURM_ARRAY_TASK_ID", 10 + 5 * number), of("SLURM_ARRAY_TASK_MIN", 10)];
        vec![id, min, of("SLURM_ARRAY_TASK_STEP", 5), of("SLURM_ARRAY_TASK_COUNT", 4)]
    };
    let contracts: [(&str, Box<Told>); 6] = [
        ("any", Box::new(numbered("E3SYNC_SHARD_INDEX", "E3SYNC_SHARD_COUNT"))),
        ("Cloud Run", Box::new(numbered("CLOUD_RUN_TASK_INDEX", "CLOUD_RUN_TASK_COUNT"))),
        ("AWS Batch", Box::new(numbered("AWS_BATCH_JOB_ARRAY_INDEX", "AWS_BATCH_JOB_ARRAY_SIZE"))),
        ("Kubernetes", Box::new(numbered("JOB_COMPLETION_INDEX", "E3SYNC_SHARD_COUNT"))),
        ("Nomad", Box::new(numbered("NOMAD_ALLOC_INDEX", "E3SYNC_SHARD_COUNT"))),
        ("Slurm", Box::new(slurm)),
    ];
    let typed = |number: u32| {
        let folder = tempfile::tempdir().unwrap();
        remainder(export.sync(folder.path()).args(["--shard", &format!("{number}/4")]), 16, 4)
    };
    for (scheduler, told) in contracts {
        let mut found = Vec::new();
        for number in 0..4 {
            let folder = tempfile::tempdir().unwrap();
            let call = export.sync(folder.path()).args(["--shard", "auto"]);
            let call = told(number).iter().fold(call, |call, (name, value)| call.env(name, value));
            found.push(remainder(call, 16, 4));
            assert_tree_is(&export, folder.path());
        }
        assert_eq!(found, [0, 1, 2, 3].map(typed), "{scheduler} counts from 0");
        assert_eq!(found.iter().collect::<BTreeSet<_>>().len(), 4, "{scheduler}: {found:?}");
    }
    assert_eq!(typed(4), typed(0), "people count from 1");
}

#[test]
fn shares_that_are_none_are_refused_with_what_to_do() {
    let export = export_of(1);
    let folder = tempfile::tempdir().unwrap();
    let refused = |arguments: &[&str], variables: &[(&str, &str)], message: &str, hint: &str| {
        let call = export.sync(folder.path()).args(arguments);
        let ended = variables.iter().fold(call, |call, (name, value)| call.env(name, value)).run().expect(2);
        ended.says(message).says(hint);
    };
    refused(&["--shard", "5/4"], &[], "there is no share 5 of 4", "1 to N");
    refused(&["--shard", "0/0"], &[], "there is no share 0 of 0", "1 to N");
    for odd in ["", "4", "a/b", "1/-2", "1/2/3", "1/99999999999"] {
        refused(&["--shard", odd], &[], "--shard", "");
    }
    refused(&["--shard", "auto"], &[], "no variable says which task of how many this is", "E3SYNC_SHARD_INDEX");
    let one = ("JOB_COMPLETION_INDEX", "1");
    refused(&["--shard", "auto"], &[one], "E3SYNC_SHARD_COUNT does not say of how many", "set E3SYNC_SHARD_COUNT");
    let many = ("E3SYNC_SHARD_COUNT", "many");
    refused(&["--shard", "auto"], &[one, many], "E3SYNC_SHARD_COUNT is `many`, which is no number", "scheduler");
    let beyond = [("CLOUD_RUN_TASK_INDEX", "9"), ("CLOUD_RUN_TASK_COUNT", "4")];
    refused(&["--shard", "auto"], &beyond, "CLOUD_RUN_TASK_INDEX and CLOUD_RUN_TASK_COUNT: there is no share 9", "");
    refused(&["--join", "--no-lock"], &[], "--no-lock leaves runs that share the days", "has locks");
    assert!(files_below(folder.path()).is_empty(), "nothing is begun");
}

#[test]
fn counts_that_differ_between_runs_leave_no_day_out() {
    let export = export_of(12);
    let folder = tempfile::tempdir().unwrap();
    let running: Vec<_> = ["1/2", "1/2", "3/4", "7/7"]
        .map(|shard| export.sync(folder.path()).args(["--shard", shard]).start())
        .into_iter()
        .collect();
    running.into_iter().for_each(|run| drop(run.wait().expect(0)));
    assert_tree_is(&export, folder.path());
    assert_eq!(export.simulator().requests().of(Operation::Get), 12);
}

#[test]
fn two_selections_that_are_joined_each_end_when_theirs_is_done() {
    let export = export_of(8);
    let folder = tempfile::tempdir().unwrap();
    let call = |from: &str, to: &str| {
        let call = export.command("sync").arg(folder.path()).args(["--today", TODAY, "--join"]);
        call.args(["--from", from, "--to", to]).start()
    };
    let (one, other) = (call("2026-11-13", "2026-11-17"), call("2026-11-16", "2026-11-20"));
    [one, other].into_iter().for_each(|run| drop(run.wait().expect(0)));
    assert_tree_is(&export, folder.path());
    assert_eq!(export.simulator().requests().of(Operation::Get), 8);
}

#[test]
fn runs_that_see_different_destinations_say_so() {
    let export = export_of(8);
    let [one, other] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    for (folder, shard) in [(&one, "1/2"), (&other, "2/2")] {
        export.sync(folder.path()).args(["--shard", shard]).run().expect(0).says("nobody else has published anything");
    }
    let ended = export.sync(one.path()).args(["--shard", "2/2"]).run().expect(0);
    assert!(!ended.stderr.contains("nobody else"), "{}", ended.stderr);
}

#[test]
fn a_server_that_minds_no_conditions_is_not_shared() {
    let export = export_of(1);
    let refuses = |settings: &mut CustomerSettings| settings.quirks.push(Quirk::RefusesConditions);
    let lake = CustomerLake::with(Cloud::S3, "optimizely", refuses);
    let refused = lake.sync(&export).arg("--join").run().expect(2);
    refused.says("takes no notice of conditional writes").says("without --join and --shard");
    lake.sync(&export).run().expect(0);
}

/// `sync` of the days that standard input names.
fn of_units(export: &Export, folder: &std::path::Path, units: &str) -> E3sync {
    export.command("sync").arg(folder).args(["--units", "-", "--today", TODAY]).input(units)
}

#[test]
fn units_are_read_however_they_are_written() {
    let export = export_of(6);
    let folder = tempfile::tempdir().unwrap();
    let plan = export.command("plan").arg(folder.path()).args(["--from", "2026-11-15", "--to", "2026-11-16"]);
    let plan = plan.args(["--today", TODAY, "--json"]).run().expect(0).stdout;
    let units = format!(
        "\u{feff}# two of yesterday's\r\n{plan}\n  type=events/date=2026-11-17/  \n'type=events/date=2026-11-17'\n\n\
         s3://elsewhere/v1/account_id={}/type=events/date=2026-11-18\n",
        export.simulator().settings().account_id
    );
    let ended = of_units(&export, folder.path(), &units).arg("--json").run().expect(0);
    assert_eq!(ended.summary()["partitions"]["published"], 4);
    let days: BTreeSet<String> = files_below(folder.path()).into_keys().map(|path| path[12..27].to_owned()).collect();
    let expected = ["15", "16", "17", "18"].map(|day| format!("date=2026-11-{day}"));
    assert_eq!(days.into_iter().collect::<Vec<_>>(), expected);

    let file = folder.path().with_extension("units");
    std::fs::write(&file, "type=events/date=2026-11-20").unwrap();
    let call = export.command("sync").arg(folder.path()).args(["--today", TODAY, "--json", "--units"]).arg(&file);
    assert_eq!(call.run().expect(0).summary()["partitions"]["published"], 1);
    let call = export.command("sync").arg(folder.path()).args(["--today", TODAY, "--json", "--dry-run", "--units"]);
    let plans = call.arg(&file).run().expect(0).json();
    let plans: Vec<&Value> = plans.iter().filter(|document| document["event"] == "plan").collect();
    assert_eq!(plans.len(), 1);
    assert_eq!((&plans[0]["date"], &plans[0]["action"]), (&"2026-11-20".into(), &"keep".into()));
    std::fs::remove_file(file).unwrap();
}

#[test]
fn no_units_are_nothing_to_do_and_cost_no_request() {
    let export = export_of(1);
    let folder = tempfile::tempdir().unwrap();
    for nothing in ["", "\n\n# nothing\n", "{\"event\":\"start\"}\n"] {
        of_units(&export, folder.path(), nothing).arg("--join").run().expect(0).says("there is nothing to do");
    }
    assert_eq!(export.simulator().requests().of(Operation::Exchange), 0);
}

#[test]
fn units_that_are_none_are_refused_by_their_line() {
    let export = export_of(1);
    let folder = tempfile::tempdir().unwrap();
    let good = "type=events/date=2026-11-20\n";
    for (bad, message) in [
        ("events", "line 2: `events` names no day"),
        ("type=events/date=2026-02-30", "line 2: `2026-02-30` is no day"),
        ("type=events/date=2026-11-20/experiment=7", "line 2: `type=events/date=2026-11-20/experiment=7` names no day"),
        ("{\"event\":", "line 2: the line is no JSON"),
        ("type=events/date=2026-12-24", "type=events/date=2026-12-24 is in the future"),
        ("type=clicks/date=2026-11-20", "the export has no type `clicks`"),
    ] {
        of_units(&export, folder.path(), &format!("{good}{bad}\n")).run().expect(2).says(message);
    }
    let accounts = "account_id=1/type=events/date=2026-11-20\naccount_id=2/type=events/date=2026-11-19\n";
    of_units(&export, folder.path(), accounts)
        .run()
        .expect(2)
        .says("a day of account 2, and those before are of account 1");
    let other = "account_id=1/type=events/date=2026-11-20\n";
    let refused = of_units(&export, folder.path(), other).run();
    assert_ne!(refused.code, Some(0), "the days of another account are not taken: {}", refused.stderr);
    of_units(&export, folder.path(), good).args(["--token-file", "-"]).run().expect(2).says("both want standard input");
    of_units(&export, folder.path(), good).args(["--last", "3d"]).run().expect(2).says("cannot be used with");
    assert!(files_below(folder.path()).is_empty());
    of_units(&export, folder.path(), "type=events/date=2026-11-01\n").run().expect(3);
}
