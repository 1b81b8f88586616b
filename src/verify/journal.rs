//! What an interrupted verification had verified, so that the next one goes on behind it. The file is
//! not at the destination, which may be read-only.

use std::collections::HashMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::request::VerifyRequest;
use crate::error::{Error, ErrorKind, Result};
use crate::export::{Partition, Scope};
use crate::manifest::{Header, ListingDigest};

/// What was verified longer ago is verified again.
const AGE_MAX: SignedDuration = SignedDuration::from_hours(7 * 24);

/// A first line is not read further than this; a request takes a few hundred bytes.
const FIRST_LINE_BYTES_MAX: u64 = 1024 * 1024;

/// The version of [`Subject`].
const SUBJECT_VERSION: u32 = 2;

/// What the lines of a journal are about; another request's are of no use.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Subject {
    /// The version of this format.
    verification: u32,
    /// Where the mirror is.
    pub destination: String,
    /// Whether only names and sizes were compared.
    pub is_quick: bool,
    /// The types, in ascending order; empty for all.
    pub types: Vec<String>,
    /// The days as they were asked for.
    pub days: String,
    /// Of these, every how many-th day.
    pub one_of: Option<u32>,
    /// How much of each day was looked at.
    pub selection: Scope,
}

impl Subject {
    /// What `request` is about.
    pub fn of(request: &VerifyRequest) -> Self {
        let mut types: Vec<String> = request.selection.types.iter().map(|name| name.as_str().to_owned()).collect();
        types.sort();
        types.dedup();
        Self {
            verification: SUBJECT_VERSION,
            destination: request.destination.clone(),
            is_quick: request.is_quick,
            types,
            days: request.days_asked.clone(),
            one_of: request.sample.map(|sample| sample.one_of),
            selection: request.selection.scope.clone(),
        }
    }

    fn line(&self) -> io::Result<String> {
        Ok(serde_json::to_string(self)? + "\n")
    }

    /// The name of the file for requests of this kind.
    fn file_name(&self) -> io::Result<String> {
        let digest = Sha256::digest(self.line()?.as_bytes());
        let name: String = digest[..8].iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(format!("verify-{name}.jsonl"))
    }
}

#[derive(Serialize, Deserialize)]
struct JournalLine {
    #[serde(rename = "type")]
    type_name: String,
    date: jiff::civil::Date,
    listing_digest: ListingDigest,
    published_at: Timestamp,
    verified_at: Timestamp,
}

/// The partitions that are verified.
pub(super) struct VerificationJournal {
    path: PathBuf,
    /// Holds the lock for as long as it is open.
    file: File,
    /// Whether the file is a verification's, and not an empty one that was there before.
    is_own: bool,
    verified: HashMap<(String, jiff::civil::Date), JournalLine>,
}

impl VerificationJournal {
    /// Opens the journal for requests about `subject` in a folder, which is made if it is not there.
    ///
    /// # Errors
    /// As [`VerificationJournal::open`].
    pub fn open_in(folder: &Path, subject: &Subject, is_fresh: bool, now: Timestamp) -> Result<Self> {
        std::fs::create_dir_all(folder).map_err(|cause| unwritable(folder, cause))?;
        let name = subject.file_name().map_err(|cause| unwritable(folder, cause))?;
        Self::open(&folder.join(name), subject, is_fresh, now)
    }

    /// Opens a journal, and begins it anew if it is about another request or `is_fresh`.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] for a file that cannot be written, or that no verification has written: it
    /// is left as it is. [`ErrorKind::Held`] while another verification writes it.
    pub fn open(path: &Path, subject: &Subject, is_fresh: bool, now: Timestamp) -> Result<Self> {
        let told = |cause| unwritable(path, cause);
        // To open a device can have effects of its own.
        let before = path.metadata();
        if before.as_ref().is_ok_and(|metadata| !metadata.is_file()) {
            return Err(foreign(path));
        }
        // Lines that are appended whole are never torn by those of another process.
        let mut file = OpenOptions::new().read(true).append(true).create(true).open(path).map_err(told)?;
        // On a file system that knows no locks there is none.
        if matches!(file.try_lock(), Err(TryLockError::WouldBlock)) {
            return Err(held(path));
        }
        let (first, verified) = read(&file, now).map_err(told)?;
        if !first.is_empty() && !is_subject_of_any_request(&first) {
            return Err(foreign(path));
        }
        let is_own = !first.is_empty() || before.is_err();
        if !is_fresh && serde_json::from_slice::<Subject>(&first).is_ok_and(|noted| noted == *subject) {
            // A kill may have cut the last line; the next one must not become a part of it.
            file.write_all(b"\n").map_err(told)?;
            return Ok(Self { path: path.to_owned(), file, is_own, verified });
        }
        let line = subject.line().map_err(told)?;
        file.set_len(0).and_then(|()| file.write_all(line.as_bytes())).map_err(|cause| {
            // A torn first line would be nobody's.
            let _ = file.set_len(0);
            told(cause)
        })?;
        Ok(Self { path: path.to_owned(), file, is_own, verified: HashMap::new() })
    }

    /// Whether exactly this published set is verified.
    pub fn has(&self, partition: &Partition, header: &Header) -> bool {
        self.verified.get(&(partition.type_name.as_str().to_owned(), partition.date)).is_some_and(|line| {
            line.listing_digest == header.listing_digest && line.published_at == header.published_at
        })
    }

    /// Notes a partition in which nothing differs. What cannot be noted is verified again.
    pub fn note(&mut self, header: &Header, now: Timestamp) {
        let line = JournalLine {
            type_name: header.type_name.clone(),
            date: header.date,
            listing_digest: header.listing_digest,
            published_at: header.published_at,
            verified_at: now,
        };
        if let Ok(mut text) = serde_json::to_vec(&line) {
            text.push(b'\n');
            let _ = self.file.write_all(&text);
        }
    }

    /// The verification came to its end: the next one begins anew.
    pub fn end(self) {
        let _ = self.file.set_len(0);
        let inode = |metadata: std::fs::Metadata| (metadata.dev(), metadata.ino());
        let named = self.path.symlink_metadata().map(inode);
        // What has taken the name since is another's.
        if self.is_own && named.is_ok_and(|named| self.file.metadata().map(inode).is_ok_and(|own| own == named)) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn unwritable(path: &Path, cause: io::Error) -> Error {
    Error::new(ErrorKind::Usage, format!("cannot write the progress to {}", path.display()))
        .with_hint("name a file that can be written with --progress-file, or leave the option out")
        .with_cause(cause)
}

fn foreign(path: &Path) -> Error {
    Error::new(ErrorKind::Usage, format!("{} is no progress file of a verification", path.display()))
        .with_hint("it is left as it is; name another file with --progress-file, or leave the option out")
}

fn held(path: &Path) -> Error {
    Error::new(ErrorKind::Held, format!("another verification notes its progress in {}", path.display()))
        .with_hint("wait for it to end, or name another file with --progress-file")
}

/// Whether a file that begins with this line was written by a verification, of any version.
fn is_subject_of_any_request(first_line: &[u8]) -> bool {
    let Ok(subject) = serde_json::from_slice::<Value>(first_line) else { return false };
    subject["verification"].is_u64() && subject["destination"].is_string() && subject["is_quick"].is_boolean()
}

type Verified = HashMap<(String, jiff::civil::Date), JournalLine>;

/// The first line, and the partitions of the others.
fn read(file: &File, now: Timestamp) -> io::Result<(Vec<u8>, Verified)> {
    let mut reader = BufReader::new(file);
    let mut first = Vec::new();
    (&mut reader).take(FIRST_LINE_BYTES_MAX).read_until(b'\n', &mut first)?;
    let mut verified = HashMap::new();
    if !is_subject_of_any_request(&first) {
        return Ok((first, verified));
    }
    for line in reader.split(b'\n') {
        // A line that was cut by a kill is as if it were not there.
        let Ok(line) = serde_json::from_slice::<JournalLine>(&line?) else { continue };
        if now.duration_since(line.verified_at) <= AGE_MAX {
            verified.insert((line.type_name.clone(), line.date), line);
        }
    }
    Ok((first, verified))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subject(days: &str) -> Subject {
        Subject {
            verification: SUBJECT_VERSION,
            destination: "/data/events".to_owned(),
            is_quick: false,
            types: Vec::new(),
            days: days.to_owned(),
            one_of: None,
            selection: Scope::All,
        }
    }

    fn open(path: &Path) -> Result<VerificationJournal> {
        VerificationJournal::open(path, &subject("all"), false, Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn what_no_verification_wrote_is_left_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notes");
        for text in ["mine", "\n", "{}\n", "{\"format\":\"e3sync-manifest\"}\n", &"x".repeat(2_000_000)] {
            std::fs::write(&path, text).unwrap();
            for is_fresh in [false, true] {
                let error =
                    VerificationJournal::open(&path, &subject("all"), is_fresh, Timestamp::UNIX_EPOCH).err().unwrap();
                assert_eq!(error.kind(), ErrorKind::Usage);
                assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
            }
        }
        assert_eq!(open(folder.path()).err().unwrap().kind(), ErrorKind::Usage);
        assert_eq!(open(Path::new("/dev/null")).err().unwrap().kind(), ErrorKind::Usage);
    }

    #[test]
    fn an_empty_file_is_empty_again_at_the_end_and_a_new_one_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("progress");
        open(&path).unwrap().end();
        assert!(!path.exists());
        std::fs::write(&path, "").unwrap();
        open(&path).unwrap().end();
        assert_eq!(std::fs::read(&path).unwrap(), b"");
    }

    #[test]
    fn what_has_taken_the_name_since_is_not_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("progress");
        let journal = open(&path).unwrap();
        std::fs::rename(&path, folder.path().join("aside")).unwrap();
        std::fs::write(&path, "mine").unwrap();
        journal.end();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine");
    }

    #[test]
    fn two_verifications_do_not_write_one_journal() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("progress");
        let first = open(&path).unwrap();
        assert_eq!(open(&path).err().unwrap().kind(), ErrorKind::Held);
        drop(first);
        assert!(open(&path).is_ok());
    }

    #[test]
    fn each_kind_of_request_has_a_file_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("state");
        let open =
            |subject: &Subject| VerificationJournal::open_in(&state, subject, false, Timestamp::UNIX_EPOCH).unwrap();
        let others = [
            subject("last 7d"),
            Subject { is_quick: true, ..subject("all") },
            Subject { types: vec!["events".to_owned()], ..subject("all") },
            Subject { one_of: Some(30), ..subject("all") },
            Subject { selection: Scope::AnyOf(Vec::new()), ..subject("all") },
        ];
        let interrupted = open(&subject("all"));
        let paths: std::collections::BTreeSet<_> = others.iter().map(|other| open(other).path).collect();
        assert_eq!(paths.len(), others.len());
        others.iter().for_each(|other| open(other).end());
        assert!(interrupted.path.exists() && !paths.contains(&interrupted.path));
    }
}
