use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};

use super::tools::{Python, output_of};
use super::{E3sync, files_below};

/// The account whose sample day the vendor published; all servers take it for their own.
pub const ACCOUNT_ID: &str = "596780373";

/// Statuses of the answers to GETs of objects, oldest first.
pub type Answers = Arc<Mutex<Vec<u16>>>;

/// A server that we did not write, with an empty export in it.
pub trait Server {
    /// A call that is pointed at the server and may read the export.
    fn command(&self, verb: &str) -> E3sync;

    /// The answer to a GET that is pinned to a version which is no more, where listings tell an
    /// object's version and GETs can be pinned to it.
    fn refusal_of_old_versions(&self) -> Option<u16>;

    /// The checksum that the server knows of an object which a client put there.
    fn checksum(&self) -> &'static str;

    /// How the tests themselves write to the bucket.
    fn writer(&self) -> &Writer;

    /// The answers to GETs of objects so far.
    fn answers(&self) -> Vec<u16>;
}

/// Access to a bucket for a script that has the cloud's own client.
pub struct Writer {
    pub python: &'static Python,
    pub script: &'static str,
    /// What addresses in the bucket begin with.
    pub scheme: &'static str,
    pub endpoint: String,
    pub bucket: String,
    /// Variables that let the client in.
    pub environment: Vec<(&'static str, String)>,
}

impl Writer {
    /// Puts every file below a folder into the export, under its path.
    #[track_caller]
    pub fn put(&self, folder: &Path) {
        output_of(self.command("put").arg(prefix()).arg(folder));
    }

    /// Removes objects from the export.
    #[track_caller]
    pub fn remove(&self, paths: &[&str]) {
        output_of(self.command("remove").args(paths.iter().map(|path| prefix() + path)));
    }

    /// A call of the script for this bucket.
    pub fn command(&self, verb: &str) -> Command {
        let mut command = self.python.script(self.script);
        command.args([verb, &self.endpoint, &self.bucket]).envs(self.environment.iter().cloned());
        command
    }
}

/// The variables that let boto3 in with long-lived keys.
pub fn aws_environment(access_key_id: &str, secret_access_key: &str) -> Vec<(&'static str, String)> {
    vec![("AWS_ACCESS_KEY_ID", access_key_id.to_owned()), ("AWS_SECRET_ACCESS_KEY", secret_access_key.to_owned())]
}

/// Where the export begins in the bucket.
pub fn prefix() -> String {
    format!("v1/account_id={ACCOUNT_ID}/")
}

/// Fails the test unless the destination has exactly the files of a folder, byte for byte.
#[track_caller]
pub fn assert_same_files(source: &Path, destination: &Path) {
    let (expected, found) = (files_below(source), files_below(destination));
    assert!(!expected.is_empty(), "there is nothing to compare with");
    assert_eq!(expected.keys().collect::<Vec<_>>(), found.keys().collect::<Vec<_>>());
    assert_eq!(expected, found, "the contents differ");
}
