//! A run that ends anywhere is continued by the next one (design.md promise 5).

use std::time::Duration;

use e3sync::simulator::{Checksum, Content, Operation, Settings};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use rustix::process::Signal;

use crate::harness::{Export, assert_tree_is, files_below};

fn large(size_bytes: u64) -> Export {
    Export::with(|settings| one_object(settings, size_bytes))
}

/// One day with one object of this size.
fn one_object(settings: &mut Settings, size_bytes: u64) {
    settings.days = 1;
    settings.types = vec!["events".into()];
    settings.objects_per_day = 1;
    settings.content = Content::Noise { size_bytes: size_bytes..=size_bytes };
    settings.odd_names = false;
}

/// Begins to mirror the one large object and kills the run when about half of it is noted as done.
fn kill_halfway(export: &Export, destination: &std::path::Path) {
    let running = sync_in_parts(export, destination).args(["--bwlimit", "30MB/s"]).start();
    let notes = destination.join("_e3sync/staging/type=events/date=2026-11-20/checkpoints");
    export.wait_until("half of it is noted", |_| {
        let Ok(mut entries) = std::fs::read_dir(&notes) else { return false };
        let note = entries.next().and_then(Result::ok).and_then(|entry| std::fs::read_to_string(entry.path()).ok());
        note.is_some_and(|note| note.lines().count() >= 15)
    });
    running.kill();
}

fn sync_in_parts(export: &Export, destination: &std::path::Path) -> crate::harness::E3sync {
    export.sync(destination).args(["--part-size", "1MiB", "--json"])
}

#[test]
fn a_large_object_continues_inside_after_a_kill() {
    let export = large(30_000_000);
    let folder = tempfile::tempdir().unwrap();
    kill_halfway(&export, folder.path());
    let summary = sync_in_parts(&export, folder.path()).run().expect(0).summary();
    assert_tree_is(&export, folder.path());
    let received = summary["bytes"]["received"].as_u64().unwrap();
    assert!(received <= 30_000_000 - 15 * 1024 * 1024, "{received} bytes came again");
}

#[test]
fn staged_bytes_that_changed_are_not_trusted() {
    let export = large(30_000_000);
    let folder = tempfile::tempdir().unwrap();
    kill_halfway(&export, folder.path());
    overwrite_pool(folder.path());
    sync_in_parts(&export, folder.path()).run().expect(0);
    assert_tree_is(&export, folder.path());
}

#[test]
fn staged_bytes_that_changed_are_not_trusted_where_no_checksum_would_tell() {
    let export = Export::with(|settings| {
        one_object(settings, 1_000);
        settings.checksum = Checksum::None;
    });
    // Not Parquet either: its footer would tell.
    export.simulator().change().add_object("events", "2026-11-20".parse().unwrap(), "large.bin", vec![7; 30_000_000]);
    let folder = tempfile::tempdir().unwrap();
    kill_halfway(&export, folder.path());
    overwrite_pool(folder.path());
    sync_in_parts(&export, folder.path()).run().expect(0);
    assert_tree_is(&export, folder.path());
}

/// Puts zeros into every staged file, as a power loss can.
fn overwrite_pool(destination: &std::path::Path) {
    let pool = destination.join("_e3sync/staging/type=events/date=2026-11-20/pool");
    let mut files = 0;
    for entry in std::fs::read_dir(pool).unwrap() {
        let path = entry.unwrap().path();
        let mut bytes = std::fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[..middle].fill(0);
        std::fs::write(&path, bytes).unwrap();
        files += 1;
    }
    assert!(files > 0, "nothing was staged");
}

#[test]
fn finished_objects_are_not_fetched_again_unless_their_bytes_changed() {
    let export = Export::with(|settings| {
        settings.days = 1;
        settings.types = vec!["events".into()];
        settings.objects_per_day = 100;
        settings.content = Content::Noise { size_bytes: 1000..=2000 };
        settings.odd_names = false;
    });
    export.inject("get:status=403 times=always after=60");
    let folder = tempfile::tempdir().unwrap();
    let stopped = export.sync(folder.path()).args(["--concurrency", "4"]).run();
    assert!(matches!(stopped.code, Some(3 | 4)), "{stopped:?}");
    export.simulator().clear_faults();
    export.simulator().forget_requests();

    let pool = folder.path().join("_e3sync/staging/type=events/date=2026-11-20/pool");
    let staged: Vec<_> = std::fs::read_dir(pool).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(staged.len() >= 60);
    let changed = std::fs::metadata(&staged[0]).unwrap().len();
    std::fs::write(&staged[0], vec![0; usize::try_from(changed).unwrap()]).unwrap();

    export.sync(folder.path()).run().expect(0);
    assert_tree_is(&export, folder.path());
    assert_eq!(export.simulator().requests().of(Operation::Get), 100 - 60 + 1);
}

#[test]
fn a_hundred_kills_at_random_moments_lose_nothing() {
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let export = Export::with(|settings| {
        settings.days = 4;
        settings.objects_per_day = 40;
        settings.content = Content::Noise { size_bytes: 1_000..=60_000 };
        settings.odd_names = false;
    });
    let folder = tempfile::tempdir().unwrap();
    let mut published = std::collections::BTreeSet::new();
    for kill in 0..100 {
        if kill % 10 == 9 {
            let type_name = if random.random_bool(0.5) { "events" } else { "decisions" };
            let dates = export.dates();
            let date = dates[random.random_range(0..dates.len())];
            export.simulator().change().rewrite_day(type_name, date, 100);
        }
        let running = export.sync(folder.path()).start();
        std::thread::sleep(Duration::from_micros(random.random_range(0..150_000)));
        running.kill();
        published = check_published_days(&export, folder.path(), &published, seed, kill);
    }
    export.sync(folder.path()).run().expect(0);
    assert_tree_is(&export, folder.path());
}

/// Whatever is visible is a whole day, and no day that was visible has gone.
fn check_published_days(
    export: &Export,
    destination: &std::path::Path,
    before: &std::collections::BTreeSet<String>,
    seed: u64,
    kill: u32,
) -> std::collections::BTreeSet<String> {
    let mut visible = std::collections::BTreeSet::new();
    for (path, _) in files_below(destination) {
        let day = path.splitn(3, '/').take(2).collect::<Vec<_>>().join("/");
        visible.insert(day);
    }
    for day in before {
        assert!(visible.contains(day), "{day} vanished (seed {seed}, kill {kill})");
    }
    let objects_per_day = export.simulator().settings().objects_per_day as usize;
    for day in &visible {
        let files = files_below(&destination.join(day));
        assert_eq!(files.len(), objects_per_day + 1, "{day} is not whole (seed {seed}, kill {kill})");
        assert!(files.contains_key("_SUCCESS"));
        let writers: std::collections::BTreeSet<_> =
            files.keys().filter_map(|path| path.rsplit('/').next()?.strip_prefix("part-")?.get(6..42)).collect();
        assert_eq!(writers.len(), 1, "{day} is a mixture (seed {seed}, kill {kill})");
    }
    visible
}

#[test]
fn a_first_signal_stops_cleanly_and_a_second_at_once() {
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143), (Signal::HUP, 143)] {
        let export = Export::with(|settings| {
            settings.days = 2;
            settings.objects_per_day = 200;
            settings.latency = Some(Duration::from_millis(30));
            settings.content = Content::Noise { size_bytes: 1_000..=2_000 };
            settings.odd_names = false;
        });
        let folder = tempfile::tempdir().unwrap();
        let running = export.sync(folder.path()).args(["--concurrency", "4"]).start();
        export.wait_until("transfers began", |simulator| simulator.requests().of(Operation::Get) > 10);
        running.signal(signal);
        running.wait().expect(code).says("nothing is lost");
        let gets = export.simulator().requests().of(Operation::Get);
        assert!(gets < 400, "it stopped in the middle: {gets}");
        export.sync(folder.path()).run().expect(0);
        assert_tree_is(&export, folder.path());
        assert!(export.simulator().requests().of(Operation::Get) <= 800 + 4, "finished objects were kept");
    }
}

#[test]
fn a_second_signal_leaves_at_once() {
    let export = Export::of_noise(1, 10);
    export.inject("get:stall@100 times=always");
    let folder = tempfile::tempdir().unwrap();
    let running = export.sync(folder.path()).start();
    export.wait_until("transfers began", |simulator| simulator.requests().of(Operation::Get) >= 10);
    running.signal(Signal::INT);
    std::thread::sleep(Duration::from_millis(200));
    running.signal(Signal::INT);
    let began = std::time::Instant::now();
    running.wait().expect(130);
    assert!(began.elapsed() < Duration::from_secs(5), "the grace was not waited out");
}

#[test]
fn a_time_limit_stops_the_run_as_temporary() {
    let export = Export::with(|settings| {
        settings.days = 2;
        settings.objects_per_day = 200;
        settings.latency = Some(Duration::from_millis(50));
        settings.content = Content::Noise { size_bytes: 1_000..=2_000 };
        settings.odd_names = false;
    });
    let folder = tempfile::tempdir().unwrap();
    export
        .sync(folder.path())
        .args(["--concurrency", "4", "--max-duration", "1s"])
        .run()
        .expect(75)
        .says("--max-duration");
    export.sync(folder.path()).run().expect(0);
    assert_tree_is(&export, folder.path());
}

#[test]
fn a_second_run_stops_at_once_with_the_holders_name() {
    let export = Export::of_noise(1, 10);
    export.inject("get:stall@100 times=1");
    let folder = tempfile::tempdir().unwrap();
    let running = export.sync(folder.path()).start();
    export.wait_until("a transfer hangs", |simulator| simulator.requests().of(Operation::Get) >= 1);
    let second = export.sync(folder.path()).run().expect(7);
    assert!(second.stderr.contains(&format!("process {}", running.id())), "{}", second.stderr);
    running.kill();
    export.sync(folder.path()).run().expect(0);
    assert_tree_is(&export, folder.path());
}

/// A published day of which one object changed at the source, and a run that was killed after it
/// had marked the others as unchanged.
fn killed_while_replacing() -> (Export, tempfile::TempDir, Vec<std::path::PathBuf>) {
    let export = Export::with(|settings| {
        settings.days = 1;
        settings.types = vec!["events".into()];
        settings.objects_per_day = 5;
        settings.content = Content::Noise { size_bytes: 10_000..=20_000 };
        settings.odd_names = false;
    });
    let folder = tempfile::tempdir().unwrap();
    export.sync(folder.path()).run().expect(0);
    let date = "2026-11-20".parse().unwrap();
    export.simulator().change().add_object("events", date, "event=new/part.parquet", vec![3; 9_000]);
    export.inject("get:stall@10");
    let running = export.sync(folder.path()).start();
    export.wait_until("the new object is asked for", |simulator| simulator.requests().of(Operation::Get) == 6);
    running.kill();
    let day = folder.path().join("type=events/date=2026-11-20");
    let files = files_below(&day).into_keys().filter(|path| path.ends_with(".parquet")).map(|path| day.join(path));
    let files = files.collect();
    (export, folder, files)
}

#[test]
fn a_published_file_that_was_deleted_or_cut_meanwhile_is_fetched_again() {
    let (export, folder, files) = killed_while_replacing();
    std::fs::remove_file(&files[0]).unwrap();
    std::fs::write(&files[1], "cut").unwrap();
    export.sync(folder.path()).run().expect(0);
    assert_tree_is(&export, folder.path());
}

#[test]
fn a_published_day_that_was_moved_away_meanwhile_is_fetched_again() {
    let (export, folder, _) = killed_while_replacing();
    std::fs::rename(folder.path().join("type=events/date=2026-11-20"), folder.path().join("moved")).unwrap();
    export.sync(folder.path()).run().expect(0);
    std::fs::remove_dir_all(folder.path().join("moved")).unwrap();
    assert_tree_is(&export, folder.path());
}
