//! File systems that lack what ext4 has: long names, locks, fsync of folders, new system calls. What a
//! call answers there is played by strace.

use std::path::Path;

use e3sync::simulator::Content;

use crate::crash::has_strace;
use crate::harness::{E3sync, Export, assert_tree_is};

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
