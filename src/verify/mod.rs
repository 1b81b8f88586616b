//! The verb `verify`: compares every file of a destination with its manifest. It changes nothing of
//! them, and notes beside them which days differ.

mod content;
mod finding;
mod journal;
mod matching;
mod outcome;
mod partition;
mod record;
mod request;
mod sample;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::StreamExt as _;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

pub use finding::Finding;
pub use outcome::{Damaged, VerifyOutcome};
pub use request::{ProgressFile, VerifyRequest};
pub use sample::Sample;

use self::content::Hashing;
use self::journal::{Subject, VerificationJournal};
use self::partition::{Checks, Report};
use crate::destination::{DamagedDay, PublishedDays, PublishedFiles, VerificationRecord};
use crate::error::{Error, ErrorKind, Result};
use crate::export::{Partition, Scope};
pub use crate::finding::FindingKind;
use crate::finding::VerifiedState;
use crate::progress::Event;
use crate::sync::RunHandles;

/// Number of partitions verified concurrently, so that small ones keep all threads busy.
const PARTITIONS_AT_ONCE: usize = 8;

/// Compares a destination with its manifests. Differences go to the observer as they are found, and
/// the days that have any are noted at the destination, as far as it can be written.
///
/// # Errors
/// What keeps the verification from beginning. What happens later is in the outcome.
pub async fn verify(
    request: VerifyRequest,
    files: Arc<dyn PublishedFiles>,
    handles: RunHandles,
) -> Result<VerifyOutcome> {
    // What cannot be read is told when it is to be written.
    let known = files.verification().await.unwrap_or_default();
    let partitions = select(&request, files.as_ref(), &known).await?;
    let journal = open_journal(&request, &handles)?;
    announce(&partitions, files.as_ref(), &handles).await;
    let hashing = Hashing {
        files: files.clone(),
        permits: Arc::new(Semaphore::new(request.readers_max.max(1))),
        counters: handles.counters.clone(),
        is_stopped: Arc::new(AtomicBool::new(false)),
    };
    let scope = request.selection.scope.clone();
    let checks = Checks { hashing: Arc::new(hashing), scope, is_quick: request.is_quick };
    let (clock, observer) = (handles.clock.clone(), handles.observer.clone());
    let outcome = VerifyOutcome::default();
    let verification = Verification { checks: Arc::new(checks), known, handles, journal, outcome };
    let outcome = verification.run(partitions).await;
    check_scope(&request, &outcome)?;
    if let Err(error) = record::note(files.as_ref(), &request, &outcome, clock.now()).await {
        let hint = error.hint().map_or_else(String::new, |hint| format!("; {hint}"));
        let message = format!("what was found could not be noted for status: {error}{hint}");
        observer.observe(&Event::Warning { message: &message });
    }
    Ok(outcome)
}

/// A filter that no object matches has verified nothing.
fn check_scope(request: &VerifyRequest, outcome: &VerifyOutcome) -> Result<()> {
    let is_nothing = outcome.objects == 0 && outcome.days_resumed == 0 && outcome.differences.is_empty();
    let is_done = outcome.stopped_by.is_none() && outcome.being_replaced.is_empty() && !request.is_recheck;
    if request.selection.scope == Scope::All || !is_nothing || !is_done {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Usage, "no object of the selected days matches the experiments and events")
        .with_hint("`e3sync ls` shows what there is; names are compared with upper and lower case"))
}

/// A journal that nobody named is not worth refusing a verification for.
fn open_journal(request: &VerifyRequest, handles: &RunHandles) -> Result<Option<VerificationJournal>> {
    let (subject, is_fresh, now) = (Subject::of(request), request.is_fresh, handles.clock.now());
    let opened = match &request.progress {
        None => return Ok(None),
        Some(ProgressFile::Named(path)) => return VerificationJournal::open(path, &subject, is_fresh, now).map(Some),
        Some(ProgressFile::InFolder(folder)) => VerificationJournal::open_in(folder, &subject, is_fresh, now),
    };
    if let Err(error) = &opened {
        let message = format!("how far this gets is not noted, and an interruption loses it: {error}");
        handles.observer.observe(&Event::Warning { message: &message });
    }
    Ok(opened.ok())
}

/// The selected days of all that have a manifest or data, as far as their turn is today.
async fn select(
    request: &VerifyRequest,
    files: &dyn PublishedFiles,
    known: &VerificationRecord,
) -> Result<Vec<Partition>> {
    let mut days = merged(files.days().await?, files.days_with_data().await?);
    if days.iter().all(|(_, dates)| dates.is_empty()) {
        return Err(Error::new(ErrorKind::Usage, format!("{} is no mirror yet", request.destination))
            .with_hint("name a destination that `e3sync sync` has published to"));
    }
    // A day that was found to differ and has since been moved away has nothing left that could.
    let damaged = known.damaged().iter().filter_map(DamagedDay::partition);
    days = merged(days, damaged.map(|partition| (partition.type_name, vec![partition.date])).collect());
    let mut partitions = request.selection.of_published(&days)?;
    if let Some(sample) = request.sample {
        partitions.retain(|partition| sample.has(partition.date, request.today));
    }
    Ok(partitions)
}

fn merged(one: PublishedDays, other: PublishedDays) -> PublishedDays {
    let mut types = std::collections::BTreeMap::new();
    for (type_name, dates) in one.into_iter().chain(other) {
        types.entry(type_name).or_insert_with(std::collections::BTreeSet::new).extend(dates);
    }
    types.into_iter().map(|(type_name, dates)| (type_name, dates.into_iter().collect())).collect()
}

/// Tells how much there is to do, by the manifests' headers.
async fn announce(partitions: &[Partition], files: &dyn PublishedFiles, handles: &RunHandles) {
    for partition in partitions {
        if let Ok(Some(header)) = files.published(partition).await.map(|published| published.header) {
            handles.counters.objects_planned.add(header.objects);
            handles.counters.bytes_planned.add(header.bytes);
        }
    }
    handles.counters.partitions_planned.add(partitions.len() as u64);
}

struct Verification {
    checks: Arc<Checks>,
    /// What verifications before this one found.
    known: VerificationRecord,
    handles: RunHandles,
    journal: Option<VerificationJournal>,
    outcome: VerifyOutcome,
}

impl Verification {
    async fn run(mut self, partitions: Vec<Partition>) -> VerifyOutcome {
        let mut to_check = Vec::with_capacity(partitions.len());
        for partition in partitions {
            if !self.is_resumed(&partition).await {
                to_check.push(partition);
            }
        }
        let checks = self.checks.clone();
        let checked = to_check.into_iter().map(|partition| check_as_task(checks.clone(), Arc::new(partition)));
        let mut checked = futures::stream::iter(checked).buffered(PARTITIONS_AT_ONCE);
        let mut stop = self.handles.stop.clone();
        while self.outcome.stopped_by.is_none() {
            tokio::select! {
                error = stop_requested(&mut stop) => self.outcome.stopped_by = Some(error),
                next = checked.next() => match next {
                    Some((partition, report)) => self.settle(&partition, report),
                    None => break,
                },
            }
        }
        // What is being hashed looks at this after each block.
        self.checks.hashing.is_stopped.store(true, Ordering::Relaxed);
        if self.outcome.stopped_by.is_none()
            && let Some(journal) = self.journal.take()
        {
            journal.end();
        }
        self.outcome
    }

    /// Passes over a partition that a former run verified, if it is still as it was then.
    async fn is_resumed(&mut self, partition: &Partition) -> bool {
        let Some(journal) = &self.journal else { return false };
        let Ok(published) = self.checks.hashing.files.published(partition).await else { return false };
        let Some(header) = published.header.filter(|header| journal.has(partition, header)) else { return false };
        // It may have been harmed after it was noted as being in order.
        if self.known.damage_of(partition, Some(header.published_at)).is_some() {
            return false;
        }
        self.handles.counters.objects_done.add(header.objects);
        self.handles.counters.bytes_done.add(header.bytes);
        self.outcome.days_resumed += 1;
        self.tell(
            partition,
            VerifiedState::Resumed,
            &Report { objects: header.objects, bytes: header.bytes, ..Report::default() },
        );
        true
    }

    fn settle(&mut self, partition: &Partition, report: Result<Report>) {
        let report = match report {
            Ok(report) => report,
            Err(error) if content::ends_verification(error.kind()) => {
                self.outcome.stopped_by = Some(error);
                return;
            }
            Err(error) => Report {
                findings: vec![Finding { key: None, kind: FindingKind::Unreadable, detail: error.to_string() }],
                ..Report::default()
            },
        };
        if let Some(header) = &report.header {
            self.handles.counters.objects_planned.replace(header.objects, report.objects);
            self.handles.counters.bytes_planned.replace(header.bytes, report.bytes);
        }
        self.outcome.days += 1;
        if report.is_being_replaced {
            self.outcome.being_replaced.push(partition.clone());
            return self.tell(partition, VerifiedState::BeingReplaced, &report);
        }
        let published_at = report.header.as_ref().map(|header| header.published_at);
        self.outcome.objects += report.objects;
        self.outcome.bytes += report.bytes;
        for finding in &report.findings {
            self.outcome.note(partition, published_at, finding);
            self.handles.observer.observe(&Event::Difference {
                partition,
                kind: finding.kind,
                key: finding.key.as_deref(),
                detail: &finding.detail,
            });
        }
        let is_whole = report.findings.is_empty();
        if is_whole {
            self.outcome.sound.insert(partition.clone());
        }
        if let (Some(journal), Some(header), true) = (&mut self.journal, &report.header, is_whole) {
            journal.note(header, self.handles.clock.now());
        }
        self.tell(partition, if is_whole { VerifiedState::Verified } else { VerifiedState::Damaged }, &report);
    }

    fn tell(&self, partition: &Partition, state: VerifiedState, report: &Report) {
        self.handles.observer.observe(&Event::PartitionVerified {
            partition,
            state,
            objects: report.objects,
            bytes: report.bytes,
            differences: if report.is_being_replaced { 0 } else { report.findings.len() as u64 },
        });
    }
}

/// Checks a partition on another thread; the task ends with its caller.
async fn check_as_task(checks: Arc<Checks>, partition: Arc<Partition>) -> (Arc<Partition>, Result<Report>) {
    let mut task = JoinSet::new();
    let of_task = partition.clone();
    task.spawn(async move { checks.check(&of_task).await });
    let report = match task.join_next().await {
        Some(Ok(report)) => report,
        Some(Err(cause)) => Err(Error::new(ErrorKind::Internal, "a verification broke off").with_cause(cause)),
        None => Err(Error::new(ErrorKind::Internal, "a verification did not run")),
    };
    (partition, report)
}

async fn stop_requested(stop: &mut watch::Receiver<Option<ErrorKind>>) -> Error {
    match stop.wait_for(Option::is_some).await.map(|kind| *kind) {
        Ok(kind) => Error::new(kind.unwrap_or(ErrorKind::Interrupted), "stopped before everything was verified")
            .with_hint("the same command goes on where this one stopped"),
        Err(_) => std::future::pending().await,
    }
}

/// Whether a difference can be repaired by fetching from the source; else why not.
///
/// # Errors
/// [`ErrorKind::DataForeign`] with what is to be done by hand.
pub fn check_repairable(damaged: &Damaged, is_bucket: bool, scope: &Scope) -> Result<()> {
    let refusal = |what: &str| Err(Error::new(ErrorKind::DataForeign, what.to_owned()));
    if *scope != Scope::All && !is_bucket && damaged.has(FindingKind::ManifestDamaged) {
        return refusal("its manifest is damaged, and a part of the day was selected; repair the whole day");
    }
    if damaged.has(FindingKind::ManifestMissing) {
        refusal("its data were not published by e3sync; move them away, then sync that day")
    } else if is_bucket && damaged.has(FindingKind::Extra) {
        refusal("it has objects that e3sync did not store; move them away, then repair again")
    } else if is_bucket && damaged.has(FindingKind::ManifestDamaged) {
        refusal("its manifest in the bucket is damaged; move manifest and day away, then sync that day")
    } else {
        Ok(())
    }
}
