//! What `verify` notes of damaged days, as `status` shows it.

use std::path::{Path, PathBuf};

use e3sync::simulator::{BucketAction, BucketFault, BucketOperation};
use serde_json::Value;

use crate::harness::{CustomerLake, E3sync, Export, Finished, TODAY, for_each_lake, manifest_lines};

const DAYS: [&str; 3] = ["2026-11-18", "2026-11-19", "2026-11-20"];

/// A mirror in a directory, whose days can be harmed one by one.
struct Mirror {
    export: Export,
    folder: tempfile::TempDir,
}

impl Mirror {
    fn new() -> Self {
        let mirror = Self { export: Export::of_noise(3, 2), folder: tempfile::tempdir().unwrap() };
        mirror.export.sync(mirror.path()).run().expect(0);
        mirror
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn note(&self) -> PathBuf {
        self.path().join("_e3sync/verification.json")
    }

    fn verify(&self) -> E3sync {
        E3sync::new("verify").arg(self.path()).args(["--today", TODAY])
    }

    fn status(&self) -> Finished {
        E3sync::new("status").arg(self.path()).args(["--today", TODAY, "--json"]).run().expect(0)
    }

    /// Changes a byte of a file of the day, or changes it back.
    fn flip(&self, day: &str) {
        let partition = format!("type=events/date={day}");
        let object = &manifest_lines(self.path(), &partition)[1];
        let path = object.get("path").unwrap_or(&object["key"]).as_str().unwrap();
        let file = self.path().join(&partition).join(path);
        let mut bytes = std::fs::read(&file).unwrap();
        bytes[9] ^= 1;
        std::fs::write(&file, bytes).unwrap();
    }

    /// The days of type `events` that are shown as damaged.
    fn damaged(&self) -> Vec<String> {
        damaged(&self.status())
    }
}

fn damaged(status: &Finished) -> Vec<String> {
    let days = status.json().into_iter().filter(|day| day["event"] == "day" && day["state"] == "damaged");
    days.map(|day| day["date"].as_str().unwrap().to_owned()).collect()
}

fn last_verification(status: &Finished) -> Option<Value> {
    status.json().into_iter().find(|document| document["event"] == "last_verification")
}

#[test]
fn a_day_that_was_found_damaged_is_shown_as_such_until_it_is_in_order() {
    let mirror = Mirror::new();
    assert_eq!(last_verification(&mirror.status()), None);
    mirror.flip(DAYS[1]);
    assert_eq!(mirror.damaged(), Vec::<String>::new(), "nobody has looked yet");
    mirror.verify().run().expect(5);
    let status = mirror.status();
    assert_eq!(damaged(&status), [DAYS[1]]);
    let last = last_verification(&status).unwrap();
    assert_eq!((&last["mode"], &last["complete"], &last["days"]), (&"full".into(), &true.into(), &6.into()));
    let day = status.json().into_iter().find(|day| day["state"] == "damaged").unwrap();
    assert!(day["reason"].as_str().unwrap().ends_with(": 1 changed"), "{day}");
    assert_eq!((&day["complete"], &day["objects"]), (&false.into(), &2.into()));
    let shown = E3sync::new("status").arg(mirror.path()).args(["--today", TODAY]).run().expect(0).stdout;
    assert!(shown.contains("damaged: 2026-11-19\n"), "{shown}");
    assert!(shown.contains("last verification just now: SHA-256 of 6 days\n"), "{shown}");
    let page = E3sync::new("status").arg(mirror.path()).args(["--today", TODAY, "--html", "-"]).run().expect(0);
    assert!(page.stdout.contains("<h3>Damaged days</h3>"));

    mirror.verify().args(["--date", DAYS[0]]).run().expect(0);
    assert_eq!(mirror.damaged(), [DAYS[1]], "another day's verification says nothing about it");
    mirror.flip(DAYS[1]);
    mirror.verify().args(["--date", DAYS[1]]).run().expect(0);
    assert_eq!(mirror.damaged(), Vec::<String>::new());
}

#[test]
fn a_repaired_day_is_no_longer_damaged_and_the_verification_before_is_still_the_last() {
    let mirror = Mirror::new();
    mirror.flip(DAYS[2]);
    mirror.verify().run().expect(5);
    let verify = mirror.export.command("verify").arg(mirror.path()).args(["--today", TODAY, "--repair"]);
    verify.run().expect(0);
    let status = mirror.status();
    assert_eq!(damaged(&status), Vec::<String>::new());
    assert_eq!(last_verification(&status).unwrap()["days"], 6);
}

#[test]
fn a_closer_look_is_not_taken_back_by_a_quick_one() {
    let mirror = Mirror::new();
    mirror.flip(DAYS[0]);
    mirror.verify().run().expect(5);
    mirror.verify().arg("--quick").run().expect(0);
    let status = mirror.status();
    assert_eq!(damaged(&status), [DAYS[0]]);
    assert_eq!(last_verification(&status).unwrap()["mode"], "quick");
}

#[test]
fn what_is_published_anew_is_no_longer_damaged() {
    let mirror = Mirror::new();
    mirror.flip(DAYS[2]);
    mirror.verify().run().expect(5);
    mirror.export.simulator().change().shrink_day("events", DAYS[2].parse().unwrap());
    mirror.export.sync(mirror.path()).arg("--accept-shrink").run().expect(0);
    assert_eq!(mirror.damaged(), Vec::<String>::new());
}

#[test]
fn a_run_takes_over_no_file_of_a_damaged_day_unread() {
    let export = Export::of_parquet(1);
    let folder = tempfile::tempdir().unwrap();
    let mirror = Mirror { export, folder };
    let day = ["--type", "events", "--last", "1d", "--today", TODAY];
    let sync = || mirror.export.command("sync").arg(mirror.path()).args(day);
    sync().args(["--event", "*a*"]).run().expect(0);
    mirror.flip(DAYS[2]);
    mirror.verify().run().expect(5);
    sync().run().expect(0);
    assert_eq!(mirror.damaged(), Vec::<String>::new());
    mirror.verify().run().expect(0);
}

#[test]
fn a_repair_of_a_part_leaves_no_damage_in_the_rest_of_the_day() {
    let mirror = Mirror::new();
    mirror.flip(DAYS[2]);
    let partition = format!("type=events/date={}", DAYS[2]);
    let other = manifest_lines(mirror.path(), &partition)[2]["key"].as_str().unwrap().to_owned();
    std::fs::remove_file(mirror.path().join(&partition).join(&other)).unwrap();
    mirror.verify().run().expect(5);
    let name = other.split(['=', '/']).nth(1).unwrap();
    let part = ["--date", DAYS[2], "--event", name, "--repair", "--today", TODAY];
    mirror.export.command("verify").arg(mirror.path()).args(part).run().expect(0);
    mirror.verify().run().expect(0);
}

#[test]
fn a_day_that_is_moved_away_is_no_longer_damaged() {
    let mirror = Mirror::new();
    let foreign = mirror.path().join("type=events/date=2026-10-01");
    std::fs::create_dir(&foreign).unwrap();
    std::fs::write(foreign.join("mine.parquet"), "mine").unwrap();
    mirror.verify().run().expect(5);
    assert_eq!(mirror.damaged(), ["2026-10-01"], "days outside the published ones are shown too");
    std::fs::remove_dir_all(&foreign).unwrap();
    mirror.verify().args(["--date", "2026-10-01"]).run().expect(0);
    assert_eq!(mirror.damaged(), Vec::<String>::new());
}

#[test]
fn a_manifest_that_is_damaged_below_its_header_is_noted() {
    let mirror = Mirror::new();
    let manifest = mirror.path().join(format!("_e3sync/manifests/type=events/date={}.jsonl", DAYS[1]));
    let text = std::fs::read_to_string(&manifest).unwrap();
    let (header, entries) = text.split_once('\n').unwrap();
    std::fs::write(&manifest, format!("{header}\n{}", entries.replacen("\"size_bytes\":", "\"size_bytes\":1", 1)))
        .unwrap();
    assert_eq!(mirror.damaged(), Vec::<String>::new(), "status reads headers only");
    mirror.verify().run().expect(5);
    assert_eq!(mirror.damaged(), [DAYS[1]]);
}

#[test]
fn verifications_that_end_together_each_keep_their_findings() {
    let mirror = Mirror::new();
    DAYS.iter().for_each(|day| mirror.flip(day));
    let all: Vec<_> = DAYS.iter().map(|day| mirror.verify().args(["--date", *day]).start()).collect();
    all.into_iter().for_each(|running| drop(running.wait().expect(5)));
    assert_eq!(mirror.damaged(), DAYS);
}

#[test]
fn what_cannot_be_noted_is_said_where_it_matters() {
    let mirror = Mirror::new();
    // A folder in the file's place cannot be written, even by those who may write everything.
    std::fs::create_dir_all(mirror.note().with_extension("json.unfinished").join("x")).unwrap();
    let silent = mirror.verify().run().expect(0);
    assert_eq!(silent.stderr, "", "nothing is lost");
    mirror.flip(DAYS[0]);
    mirror.verify().run().expect(5).says("what was found could not be noted for status");
    assert_eq!(mirror.damaged(), Vec::<String>::new());
}

#[test]
fn a_note_that_cannot_be_read_is_told_and_not_overwritten() {
    let mirror = Mirror::new();
    mirror.flip(DAYS[0]);
    mirror.verify().run().expect(5);
    let text = std::fs::read_to_string(mirror.note()).unwrap();
    for other in ["cut", &text.replace("\"1.0\"", "\"7.0\"")] {
        std::fs::write(mirror.note(), other).unwrap();
        let status = mirror.status().says("_e3sync/verification.json");
        assert_eq!(damaged(&status), Vec::<String>::new());
        mirror.verify().run().expect(5).says("what was found could not be noted for status");
        assert_eq!(std::fs::read_to_string(mirror.note()).unwrap(), other);
    }
}

#[test]
fn a_note_that_cannot_be_opened_keeps_no_day_from_being_published() {
    let mirror = Mirror::new();
    std::fs::create_dir(mirror.note()).unwrap();
    mirror.flip(DAYS[2]);
    let day = DAYS[2].parse().unwrap();
    mirror.export.simulator().change().add_object("events", day, "event=late/part.parquet", "late");
    mirror.export.sync(mirror.path()).run().expect(0);
    mirror.verify().run().expect(0).says("what was found could not be noted for status");
}

for_each_lake! { a_bucket_keeps_what_was_found_as_a_directory_does }

fn a_bucket_keeps_what_was_found_as_a_directory_does(lake: &CustomerLake) {
    let export = Export::of_noise(3, 2);
    lake.sync(&export).run().expect(0);
    let harm = |day: &str| {
        let prefix = format!("optimizely/type=events/date={day}/");
        let mut keys = lake.bucket().objects().into_keys();
        let key = keys.find(|key| key.starts_with(&prefix) && !key.ends_with("_SUCCESS")).unwrap();
        lake.bucket().put_object(&key, "other bytes");
    };
    DAYS.iter().for_each(|day| harm(day));
    let status = || lake.point(E3sync::new("status")).args(["--today", TODAY, "--json"]).run().expect(0);
    let verify = |day: &str| lake.point(E3sync::new("verify")).args(["--today", TODAY, "--date", day]);
    assert_eq!(damaged(&status()), Vec::<String>::new());
    let all: Vec<_> = DAYS.iter().map(|day| verify(day).start()).collect();
    all.into_iter().for_each(|running| drop(running.wait().expect(5)));
    assert_eq!(damaged(&status()), DAYS, "of verifications that end together each is noted");
    let repair = lake.command(&export, "verify").args(["--today", TODAY, "--repair", "--date", DAYS[1]]);
    repair.run().expect(0);
    assert_eq!(damaged(&status()), [DAYS[0], DAYS[2]]);

    let refusal = BucketFault::new(BucketOperation::Put, BucketAction::status(403, "AccessDenied")).on("verification");
    lake.bucket().inject(refusal);
    assert_eq!(verify(DAYS[1]).run().expect(0).stderr, "", "nothing is lost");
    harm(DAYS[1]);
    let found = verify(DAYS[1]).run().expect(5);
    found.says("what was found could not be noted for status").says("verification.json");
}
