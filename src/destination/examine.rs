//! What `doctor` finds out about a destination.

use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;

use jiff::{SignedDuration, Timestamp};

use super::PublishedSets;
use super::bucket::{BucketDestination, Encryption, Examined, Policies, in_words};
use super::connect::{Address, Backend, DestinationSettings};
use super::directory::{DirectoryDestination, ReplacedSets, SIDE_FOLDER};
use super::failure::failed;
use super::identity::check_account;
use crate::error::{Error, ErrorKind, Result};
use crate::export::{AccountId, Partition};
use crate::finding::Finding;
use crate::source::Watch;

/// With less room than this a day may not fit.
const FREE_BYTES_WANTED: u64 = 1024 * 1024 * 1024;

/// After this time a replaced set is worth a word: most runs delete it after an hour.
const REPLACED_AGE_NOTABLE: SignedDuration = SignedDuration::from_hours(24);

const REPLACED_SETS: &str = "replaced sets";

impl DestinationSettings {
    /// Tries what a run does to the destination, and looks for what earlier runs left. Nothing stays.
    /// Where the export's account is known, the mirror must be its.
    ///
    /// # Errors
    /// What keeps runs from using a bucket; of a directory that is a finding among the others.
    pub async fn examine(&self, account_id: Option<&AccountId>, watch: &Watch) -> Result<Vec<Finding>> {
        let mut findings = match self.backend(watch).await? {
            Backend::Directory(path) => examine_directory(path, account_id, watch.clock.now()).await,
            Backend::Bucket(store, prefix) => {
                let settings = self.bucket_settings(prefix);
                let (observer, counters) = (watch.observer.clone(), watch.counters.clone());
                // Why there is no answer, the other requests tell.
                let policies = store.policies().await.unwrap_or(Policies::Unasked);
                if let Some(error) = policies.keeps_runs_out(&self.address.to_string()) {
                    // What would be written to try the bucket out could not be deleted again.
                    return Ok(vec![Finding::broken("retention", &error)]);
                }
                let examined = BucketDestination::examine(store, &settings, observer, counters).await?;
                let mut findings = bucket_findings(&self.address, &examined, account_id);
                findings.extend(policy_findings(&policies));
                findings.extend(encryption_finding(&policies));
                findings
            }
        };
        if matches!(self.address, Address::Directory(_)) {
            return Ok(findings);
        }
        if let Err(error) = tempfile::tempfile_in(&self.temporary_folder)
            .map_err(|cause| failed("write below", &self.temporary_folder, cause))
        {
            findings.push(Finding::notable(
                "temporary folder",
                error.to_string(),
                "listings of very large days go there; name another folder with TMPDIR",
            ));
        }
        Ok(findings)
    }
}

/// A check that fails does not keep the others from being made: a full disk is understood by them.
async fn examine_directory(path: &Path, account_id: Option<&AccountId>, now: Timestamp) -> Vec<Finding> {
    // The empty path is above the first name of a relative one.
    let existing = path.ancestors().find(|above| above.symlink_metadata().is_ok()).unwrap_or(Path::new("."));
    let mut findings = vec![match try_out_directory(path, existing) {
        Ok(message) => Finding::fine("destination", message),
        Err(error) => Finding::broken("destination", &error),
    }];
    findings.extend(free_space(existing));
    match DirectoryDestination::read_only(path) {
        Ok(Some(directory)) => {
            let days = directory.days().await.map(|days| mirror(directory.account_id(), account_id, days));
            findings.push(days.unwrap_or_else(|error| Finding::broken("mirror", &error)));
            let staged = directory.staged().await.map(|staged| leftovers(&staged));
            findings.push(staged.unwrap_or_else(|error| Finding::broken("leftovers", &error)));
            let replaced = directory.replaced_sets().map(|sets| replaced_sets(&sets, now));
            findings.extend(replaced.unwrap_or_else(|error| vec![Finding::broken(REPLACED_SETS, &error)]));
        }
        Ok(None) => {}
        // That the path itself is no folder has been told.
        Err(_) if !path.is_dir() => {}
        Err(error) => findings.push(Finding::broken("mirror", &error)),
    }
    findings
}

/// Tries what a run does in the directory, or above it where it is not there yet.
fn try_out_directory(path: &Path, existing: &Path) -> Result<String> {
    if !existing.is_dir() {
        let what = format!("{} is a link or a file, not a folder", existing.display());
        return Err(
            Error::new(ErrorKind::DestinationUnusable, what).with_hint("move it away, or choose another destination")
        );
    }
    try_out(existing)?;
    if existing != path {
        return Ok(format!("{} is not there yet and can be made", path.display()));
    }
    let side = path.join(SIDE_FOLDER);
    if side.is_dir() {
        try_out(&side)?;
    }
    Ok(format!("{} can be written, read and deleted from", path.display()))
}

fn leftovers(staged: &[Partition]) -> Finding {
    match staged.first() {
        None => Finding::fine("leftovers", "nothing is staged"),
        Some(first) => Finding::notable(
            "leftovers",
            format!("days staged and not published: {}, the first of them {first}", staged.len()),
            "the next run that selects them goes on with them",
        ),
    }
}

/// What is wrong with the place for replaced sets: runs go on without it.
fn place_for_replaced(error: &Error) -> Finding {
    Finding::notable(
        REPLACED_SETS,
        error.to_string(),
        "replaced sets stay in _e3sync/staging until _e3sync/replaced is a folder of the same file system",
    )
}

fn replaced_sets(sets: &ReplacedSets, now: Timestamp) -> Vec<Finding> {
    let mut findings: Vec<Finding> = sets.failure.iter().map(place_for_replaced).collect();
    if let Some(oldest) = sets.waiting.first() {
        let message = format!(
            "replaced sets that readers may have open: {}, the oldest {} of {}, {}",
            sets.waiting.len(),
            oldest.path.display(),
            oldest.replaced_at,
            oldest.reason()
        );
        findings.push(if now.duration_since(oldest.replaced_at) < REPLACED_AGE_NOTABLE {
            Finding::fine(REPLACED_SETS, message)
        } else {
            Finding::notable(
                REPLACED_SETS,
                message,
                "a run deletes it when --keep-replaced has passed, or says why not",
            )
        });
    }
    if let Some(first) = sets.in_staging.first() {
        let message = format!(
            "replaced sets that could not be moved to _e3sync/replaced: {}, the oldest {}, {}",
            sets.in_staging.len(),
            first.path.display(),
            first.reason()
        );
        let hint = "see that _e3sync/replaced is a folder of the same file system with room; the next run tries again";
        findings.push(Finding::notable(REPLACED_SETS, message, hint));
    }
    if let Some(first) = sets.others.first() {
        let message = format!(
            "files that e3sync did not put into _e3sync/replaced: {}, one is {}",
            sets.others.len(),
            first.display()
        );
        findings.push(Finding::notable(REPLACED_SETS, message, "they stay; move them where they belong"));
    }
    if findings.is_empty() {
        findings.push(Finding::fine(REPLACED_SETS, "none is left"));
    }
    findings
}

/// Writes, reads and deletes a file.
fn try_out(folder: &Path) -> Result<()> {
    let told = |cause| failed("write, read and delete a file in", folder, cause);
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(told)?;
    file.write_all(b"e3sync").and_then(|()| file.as_file().sync_all()).map_err(told)?;
    let mut text = String::new();
    file.seek(SeekFrom::Start(0)).and_then(|_| file.read_to_string(&mut text)).map_err(told)?;
    if text != "e3sync" {
        return Err(told(std::io::Error::other("it does not read back as it was written")));
    }
    file.close().map_err(told)
}

fn free_space(folder: &Path) -> Option<Finding> {
    let status = rustix::fs::statvfs(folder).ok()?;
    let free_bytes = status.f_bavail.saturating_mul(status.f_frsize);
    let mebibytes = free_bytes / 1024 / 1024;
    Some(if free_bytes >= FREE_BYTES_WANTED {
        Finding::fine("free space", format!("{mebibytes} MiB"))
    } else {
        Finding::notable(
            "free space",
            format!("only {mebibytes} MiB are free"),
            "a day that is replaced needs room for both sets; make some",
        )
    })
}

fn mirror(held: Option<&str>, account_id: Option<&AccountId>, days: super::PublishedDays) -> Finding {
    if let (Some(held), Some(account_id)) = (held, account_id)
        && let Err(error) = check_account(held, account_id)
    {
        return Finding::broken("mirror", &error);
    }
    let count: usize = days.iter().map(|(_, days)| days.len()).sum();
    let newest = days.iter().filter_map(|(_, days)| days.last()).max();
    let newest = newest.map_or_else(String::new, |date| format!(", the newest of {date}"));
    let account = held.map_or_else(|| "no account".to_owned(), |account| format!("account {account}"));
    Finding::fine("mirror", format!("{account}, published days: {count}{newest}"))
}

fn bucket_findings(address: &Address, examined: &Examined, account_id: Option<&AccountId>) -> Vec<Finding> {
    let mut findings =
        vec![Finding::fine("destination", format!("{address} can be listed, written, read and deleted from"))];
    if !examined.minds_conditions {
        findings.push(Finding::notable(
            "conditional writes",
            "the server takes no notice of them: two runs at once would not be kept apart",
            "run one at a time",
        ));
    }
    findings.extend(examined.habits.iter().map(|habit| Finding::fine("server", *habit)));
    findings.push(mirror(examined.account_id.as_deref(), account_id, examined.days.clone()));
    findings.push(match examined.claimed.first() {
        None => Finding::fine("leftovers", "no day is begun"),
        Some(first) => Finding::notable(
            "leftovers",
            format!("days begun and not ended: {}, the first of them {first}", examined.claimed.len()),
            "a run may be at work; else the next one ends them, or takes back what was begun",
        ),
    });
    let rule = match examined.removes_unfinished_uploads {
        Some(true) => "a lifecycle rule removes them in time",
        Some(false) => "no lifecycle rule removes them: add one (AbortIncompleteMultipartUpload)",
        None => "whether a lifecycle rule removes them cannot be seen",
    };
    findings.push(match &examined.uploads {
        None => Finding::notable(
            "uploads",
            "unfinished multipart uploads cannot be listed",
            "allow s3:ListBucketMultipartUploads to see them",
        ),
        Some(uploads) if uploads.is_empty() && examined.removes_unfinished_uploads != Some(false) => {
            Finding::fine("uploads", "no multipart upload is unfinished")
        }
        Some(uploads) if uploads.is_empty() => {
            Finding::notable("uploads", "no multipart upload is unfinished now", rule)
        }
        Some(uploads) => Finding::notable(
            "uploads",
            format!(
                "unfinished multipart uploads: {}, the first of them {}",
                uploads.len(),
                crate::export::printable(&uploads[0].key)
            ),
            format!("the next run goes on with what is this tool's; {rule}"),
        ),
    });
    findings
}

/// How the bucket encrypts what is stored without a word about that.
fn encryption_finding(policies: &Policies) -> Option<Finding> {
    let Policies::Told(keeping) = policies else { return None };
    let message = match &keeping.encryption {
        Encryption::Unasked => return None,
        Encryption::Hidden(right) => {
            let message = "how the bucket encrypts new objects cannot be seen";
            return Some(Finding::notable("encryption", message, format!("allow {right} to see it")));
        }
        Encryption::None => "the bucket names no encryption of its own for new objects".to_owned(),
        Encryption::By(name) => format!("new objects are encrypted by {name}, unless a run asks for another way"),
    };
    Some(Finding::fine("encryption", message))
}

/// What the bucket keeps of what runs replace and delete, which is paid for.
fn policy_findings(policies: &Policies) -> Vec<Finding> {
    const CHECK: &str = "retention";
    let keeping = match policies {
        Policies::Unasked => return Vec::new(),
        Policies::Hidden(right) => {
            let message = "whether the bucket has a retention policy, soft delete or versions cannot be seen";
            return vec![Finding::notable(CHECK, message, format!("allow {right} to see them"))];
        }
        Policies::Told(keeping) => keeping,
    };
    let mut findings = Vec::new();
    if let Some(time) = keeping.retention {
        let locked = if keeping.is_retention_locked { ", which is locked" } else { "" };
        findings.push(Finding::notable(
            CHECK,
            format!("each version of an object is kept for {} by a retention policy{locked}", in_words(time)),
            "what runs replace and delete, their heartbeats too, stays and is paid for until then",
        ));
    }
    if keeping.holds_new_objects {
        let message = "each new object is held: its versions stay until somebody ends that";
        findings.push(Finding::notable(CHECK, message, "switch the default event-based hold off"));
    }
    if keeping.keeps_versions {
        let message = "what runs replace and delete stays as old versions";
        findings.push(Finding::notable(CHECK, message, "let a lifecycle rule delete old versions in time"));
    }
    if let Some(time) = keeping.soft_delete {
        let message = format!(
            "what runs replace and delete can be restored, and is paid for, for {} (soft delete)",
            in_words(time)
        );
        findings.push(Finding::fine(CHECK, message));
    }
    if findings.is_empty() {
        findings.push(Finding::fine(CHECK, "no policy keeps what runs replace and delete"));
    }
    findings
}
