use std::path::Path;
use std::sync::{Arc, Mutex};

use super::tools::{Python, output_of};
use super::{E3sync, files_below};

/// The account whose sample day the vendor published; both servers take it for their own.
pub const ACCOUNT_ID: &str = "596780373";

/// Statuses of the answers to GETs of objects, oldest first.
pub type Answers = Arc<Mutex<Vec<u16>>>;

/// An S3 server that we did not write, with an empty export in it.
pub trait Server {
    /// A call that is pointed at the server and may read the export.
    fn command(&self, verb: &str) -> E3sync;

    /// The same with a secret key that is not the access key's.
    fn command_with_wrong_secret(&self, verb: &str) -> E3sync;

    /// Whether listings tell an object's version and GETs can be pinned to it.
    fn has_versions(&self) -> bool;

    /// How the tests themselves write to the bucket.
    fn writer(&self) -> &Writer;

    /// The answers to GETs of objects so far.
    fn answers(&self) -> Vec<u16>;
}

/// Access to a bucket for boto3.
pub struct Writer {
    pub python: &'static Python,
    pub endpoint: String,
    pub bucket: String,
    pub access_key_id: String,
    pub secret_access_key: String,
}

impl Writer {
    /// Puts every file below a folder into the export, under its path.
    #[track_caller]
    pub fn put(&self, folder: &Path) {
        self.run("put", &[&prefix(), folder.to_str().unwrap()]);
    }

    /// Removes objects from the export.
    #[track_caller]
    pub fn remove(&self, paths: &[&str]) {
        let keys: Vec<_> = paths.iter().map(|path| prefix() + path).collect();
        self.run("remove", &keys.iter().map(String::as_str).collect::<Vec<_>>());
    }

    #[track_caller]
    fn run(&self, verb: &str, arguments: &[&str]) {
        let mut command = self.python.script("bucket.py");
        command.args([verb, &self.endpoint, &self.bucket]).args(arguments);
        command.env("AWS_ACCESS_KEY_ID", &self.access_key_id).env("AWS_SECRET_ACCESS_KEY", &self.secret_access_key);
        output_of(&mut command);
    }
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
