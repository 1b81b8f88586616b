//! File systems that lack what ext4 has: long names, locks, fsync of folders, new system calls. What a
//! call answers there is played by strace.

use std::path::Path;

use e3sync::simulator::Content;
use jiff::civil::Date;
use sha2::{Digest as _, Sha256};

use crate::harness::{E3sync, Export, assert_tree_is, has_strace, manifest_lines};

const DAY: &str = "type=events/date=2026-11-20";

fn day() -> Date {
    "2026-11-20".parse().unwrap()
}

fn export() -> Export {
    Export::with(|settings| {
        settings.days = 2;
        settings.types = vec!["events".into()];
        settings.objects_per_day = 2;
        settings.content = Content::Noise { size_bytes: 100..=200 };
        settings.odd_names = false;
    })
}

/// A call whose system calls are traced into `log`, and answered, as `options` say.
fn under(call: E3sync, log: &Path, options: &[&str]) -> E3sync {
    let mut words = vec!["strace", "-f", "-y", "-qq", "-o", log.to_str().unwrap()];
    words.extend(options);
    call.under(&words)
}

/// The answer of `fstatfs` of a file system whose names have at most `name_bytes_max` bytes, as the
/// option for strace that writes it where the call's result is.
fn statfs_answer(name_bytes_max: u64) -> String {
    const NFS_MAGIC: u64 = 0x6969;
    const BLOCKS: u64 = 1 << 30;
    let words = [NFS_MAGIC, 4096, BLOCKS, BLOCKS, BLOCKS, BLOCKS, BLOCKS, 1, name_bytes_max];
    let bytes: String = words.iter().flat_map(|word| word.to_le_bytes()).map(|byte| format!("{byte:02x}")).collect();
    format!("inject=fstatfs:poke_exit=@arg2={bytes}")
}

#[test]
#[cfg(all(target_endian = "little", target_pointer_width = "64", target_os = "linux"))]
fn a_name_longer_than_the_file_system_takes_is_stored_under_a_shorter_one() {
    if !has_strace() {
        return;
    }
    let export = export();
    let key = format!("event={}/part-0.parquet", "x".repeat(160));
    export.simulator().change().add_object("events", day(), &key, "long");
    let folder = tempfile::tempdir().unwrap();
    let destination = folder.path().join("mirror");
    let log = folder.path().join("log");
    let answer = statfs_answer(143);
    under(export.sync(&destination), &log, &["-e", "trace=fstatfs", "-e", &answer]).run().expect(0);
    let lines = manifest_lines(&destination, DAY);
    let entry = lines.iter().find(|line| line["key"] == key.as_str()).expect("the true key is in the manifest");
    let path = entry["path"].as_str().unwrap();
    assert!(path.starts_with("event=xxx") && path.ends_with("/part-0.parquet"), "{path}");
    assert!(path.split('/').all(|name| name.len() <= 143), "{path}");
    assert_eq!(std::fs::read_to_string(destination.join(DAY).join(path)).unwrap(), "long");
    E3sync::new("verify").arg(&destination).run().expect(0);
}

/// Gives a published file another path, as it has in a mirror that was copied from another file system.
fn move_published(destination: &Path, key: &str, path: &str) {
    let data = destination.join(DAY);
    std::fs::create_dir_all(data.join(path).parent().unwrap()).unwrap();
    std::fs::rename(data.join(key), data.join(path)).unwrap();
    let mut lines = manifest_lines(destination, DAY);
    lines.pop();
    for line in lines.iter_mut().filter(|line| line["key"] == key) {
        line["path"] = path.into();
    }
    let mut text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let digest: String = Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
    text.push_str(&format!("{{\"manifest_sha256\":\"{digest}\"}}\n"));
    std::fs::write(destination.join("_e3sync/manifests").join(format!("{DAY}.jsonl")), text).unwrap();
}

#[test]
fn a_published_file_keeps_the_path_under_which_it_stands() {
    let export = export();
    let (key, path) = ("event=a|b/part-0.parquet", "event=a%7Cb/part-0.parquet");
    export.simulator().change().add_object("events", day(), key, "kept");
    let destination = tempfile::tempdir().unwrap();
    export.sync(destination.path()).run().expect(0);
    move_published(destination.path(), key, path);
    E3sync::new("verify").arg(destination.path()).run().expect(0);
    for late in ["event=late/part-1.parquet", "event=late/part-2.parquet"] {
        export.simulator().change().add_object("events", day(), late, "late");
        let summary = export.sync(destination.path()).arg("--json").run().expect(0).summary();
        assert_eq!(summary["objects"]["transferred"], 1, "only the late object is fetched");
        assert_eq!(std::fs::read_to_string(destination.path().join(DAY).join(path)).unwrap(), "kept");
        let lines = manifest_lines(destination.path(), DAY);
        assert!(lines.iter().any(|line| line["key"] == key && line["path"] == path), "{lines:?}");
        E3sync::new("verify").arg(destination.path()).run().expect(0);
    }
}

#[test]
fn a_recorded_path_that_leads_elsewhere_is_not_followed() {
    let export = export();
    let key = "event=a/part-0.parquet";
    export.simulator().change().add_object("events", day(), key, "kept");
    let folder = tempfile::tempdir().unwrap();
    let destination = folder.path().join("mirror");
    export.sync(&destination).run().expect(0);
    move_published(&destination, key, "../../../outside");
    export.simulator().change().add_object("events", day(), "event=late/part-1.parquet", "late");
    let summary = export.sync(&destination).arg("--json").run().expect(0).summary();
    assert_eq!(summary["objects"]["transferred"], 2, "the object is fetched again");
    assert_tree_is(&export, &destination);
    assert_eq!(std::fs::read_to_string(folder.path().join("outside")).unwrap(), "kept");
}

#[test]
fn a_swap_that_the_file_system_refuses_is_told_as_the_place() {
    if !has_strace() {
        return;
    }
    let export = export();
    let folder = tempfile::tempdir().unwrap();
    for error in ["EXDEV", "EBUSY"] {
        let destination = folder.path().join(error);
        let injection = format!("inject=renameat2:error={error}");
        // Only the renaming of a set is met, by the name that it has in the staging folder.
        let options = ["-P", "set", "-e", &injection];
        let refused = under(export.sync(&destination), &folder.path().join("log"), &options).run().expect(1);
        refused.says("cannot be replaced: it cannot be renamed").says("put the whole destination on one volume");
        let summary = export.sync(&destination).arg("--json").run().expect(0).summary();
        assert_eq!(summary["objects"]["transferred"], 0, "what was fetched is kept");
        assert_tree_is(&export, &destination);
    }
}

#[test]
fn folders_that_cannot_be_synchronised_are_no_failure_and_files_are() {
    if !has_strace() {
        return;
    }
    let export = export();
    let folder = tempfile::tempdir().unwrap();
    for error in ["EINVAL", "EOPNOTSUPP", "ENOSYS", "EBADF"] {
        let destination = folder.path().join(error);
        let log = folder.path().join(format!("{error}.log"));
        let injection = format!("inject=fsync:error={error}");
        let mut options = vec!["-e", "trace=fsync", "-e", &injection];
        // The folders that every run synchronises, each by its own path.
        let below = ["", "/_e3sync", "/_e3sync/manifests", "/_e3sync/manifests/type=events", "/type=events"];
        let paths = below.map(|path| format!("{}{path}", destination.display()));
        for path in &paths {
            std::fs::create_dir_all(path).unwrap();
            options.extend(["-P", path]);
        }
        under(export.sync(&destination), &log, &options).run().expect(0);
        assert!(std::fs::read_to_string(&log).unwrap().contains("INJECTED"), "{error}: no folder was met");
        assert_tree_is(&export, &destination);
    }
    let strict = folder.path().join("strict");
    under(export.sync(&strict), &folder.path().join("log"), &["-e", "inject=fsync:error=EINVAL"])
        .run()
        .expect(1)
        .says("cannot make durable");
}

#[test]
fn without_syncfs_each_file_is_synchronised() {
    if !has_strace() {
        return;
    }
    let export = export();
    let folder = tempfile::tempdir().unwrap();
    for error in ["ENOSYS", "EPERM", "EINVAL"] {
        let destination = folder.path().join(error);
        let log = folder.path().join(format!("{error}.log"));
        let injection = format!("inject=syncfs:error={error}");
        let call = under(export.sync(&destination), &log, &["-e", "trace=fsync,syncfs", "-e", &injection]);
        call.run().expect(0);
        let log = std::fs::read_to_string(log).unwrap();
        let is_synced = |line: &str| line.contains("fsync(") && line.contains("/set/");
        assert!(log.lines().any(is_synced) || !log.contains("syncfs("), "{error}:\n{log}");
        assert_tree_is(&export, &destination);
    }
}

#[test]
fn a_mount_without_locks_is_told_and_done_without_only_when_wanted() {
    if !has_strace() {
        return;
    }
    let export = export();
    let folder = tempfile::tempdir().unwrap();
    for error in ["ENOSYS", "ENOLCK", "EOPNOTSUPP"] {
        let destination = folder.path().join(error);
        let log = folder.path().join("log");
        let injection = format!("inject=flock:error={error}");
        let options = ["-e", "trace=flock", "-e", &injection];
        let refused = under(export.sync(&destination), &log, &options).run().expect(1);
        refused.says("is on a mount without file locks").says("Lustre: -o flock").says("--no-lock");
        assert!(!destination.join(DAY).exists());
        let alone = under(export.sync(&destination).arg("--no-lock"), &log, &options).run().expect(0);
        alone.says("nothing keeps a second run on this directory apart from this one");

        let published = destination.join(DAY);
        std::fs::remove_dir_all(&published).unwrap();
        std::fs::create_dir(&published).unwrap();
        let verify = || E3sync::new("verify").arg(&destination);
        under(verify(), &log, &options).run().expect(5).says("could not be noted");
        let noted = under(verify().arg("--no-lock"), &log, &options).run().expect(5);
        assert!(!noted.stderr.contains("could not be noted"), "{}", noted.stderr);
        let repaired =
            under(export.command("verify").arg(&destination).args(["--repair", "--no-lock"]), &log, &options);
        repaired.run().expect(0).says("nothing keeps a second run");
    }
}

#[test]
fn a_bucket_is_never_used_without_its_locks() {
    let call = E3sync::new("sync").args(["s3://my-lake/mirror", "--last", "1d", "--no-lock"]);
    call.run().expect(2).says("--no-lock is for directories").says("leave --no-lock out");
    let call = E3sync::new("verify").arg("gs://my-lake").env("E3SYNC_NO_LOCK", "1");
    call.run().expect(2).says("--no-lock is for directories");
}
