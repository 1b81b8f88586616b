//! What an interrupted verification had verified, so that the next one goes on behind it. The file is
//! not at the destination, which a verification only reads.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};
use crate::export::{Partition, Scope};
use crate::manifest::{Header, ListingDigest};

/// What was verified longer ago is verified again.
const AGE_MAX: SignedDuration = SignedDuration::from_hours(7 * 24);

/// What the lines of a journal are about; another request's are of no use.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Subject {
    /// Always 1.
    pub verification: u32,
    /// Where the mirror is.
    pub destination: String,
    /// Whether only names and sizes were compared.
    pub is_quick: bool,
    /// How much of each day was looked at.
    pub selection: Scope,
}

#[derive(Serialize, Deserialize)]
struct Line {
    #[serde(rename = "type")]
    type_name: String,
    date: jiff::civil::Date,
    listing_digest: ListingDigest,
    published_at: Timestamp,
    verified_at: Timestamp,
}

/// The partitions that are verified.
pub(super) struct Journal {
    path: PathBuf,
    output: File,
    verified: HashMap<(String, jiff::civil::Date), Line>,
}

impl Journal {
    /// Opens a journal, and begins it anew unless it is about `subject`.
    pub fn open(path: &Path, subject: &Subject, now: Timestamp) -> Result<Self> {
        let told = |cause| {
            Error::new(ErrorKind::Usage, format!("cannot write the progress to {}", path.display()))
                .with_hint("name a file that can be written with --progress-file, or leave the option out")
                .with_cause(cause)
        };
        let verified = read(path, subject, now).unwrap_or_default();
        let mut options = OpenOptions::new();
        let is_continued = !verified.is_empty();
        let mut output = options.create(true).write(true).truncate(!is_continued).open(path).map_err(told)?;
        if is_continued {
            output = OpenOptions::new().append(true).open(path).map_err(told)?;
        } else {
            let line = serde_json::to_string(subject).map_err(|cause| told(cause.into()))?;
            writeln!(output, "{line}").map_err(told)?;
        }
        Ok(Self { path: path.to_owned(), output, verified })
    }

    /// Whether exactly this published set is verified.
    pub fn has(&self, partition: &Partition, header: &Header) -> bool {
        self.verified.get(&(partition.type_name.as_str().to_owned(), partition.date)).is_some_and(|line| {
            line.listing_digest == header.listing_digest && line.published_at == header.published_at
        })
    }

    /// Notes a partition in which nothing differs. What cannot be noted is verified again.
    pub fn note(&mut self, header: &Header, now: Timestamp) {
        let line = Line {
            type_name: header.type_name.clone(),
            date: header.date,
            listing_digest: header.listing_digest,
            published_at: header.published_at,
            verified_at: now,
        };
        if let Ok(mut text) = serde_json::to_vec(&line) {
            text.push(b'\n');
            let _ = self.output.write_all(&text);
        }
    }

    /// The verification came to its end: the next one begins anew.
    pub fn end(self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

fn read(path: &Path, subject: &Subject, now: Timestamp) -> io::Result<HashMap<(String, jiff::civil::Date), Line>> {
    let mut verified = HashMap::new();
    let mut lines = BufReader::new(File::open(path)?).lines();
    let first = lines.next().transpose()?.unwrap_or_default();
    if serde_json::from_str::<Subject>(&first).ok().as_ref() != Some(subject) {
        return Ok(verified);
    }
    for line in lines {
        // A line that was cut by a kill is as if it were not there.
        let Ok(line) = serde_json::from_str::<Line>(&line?) else { continue };
        if now.duration_since(line.verified_at) <= AGE_MAX {
            verified.insert((line.type_name.clone(), line.date), line);
        }
    }
    Ok(verified)
}
