//! Compares one partition with its manifest.

use std::sync::Arc;

use futures::StreamExt as _;

use super::content::{Batches, Hashing};
use super::finding::Finding;
use super::matching::{Matching, Pair};
use crate::destination::{PublishedManifest, StandingFile};
use crate::error::{ErrorKind, Result};
use crate::export::{Partition, Scope};
use crate::finding::FindingKind;
use crate::manifest::Header;

/// Maximum number of times that a partition is examined which a run publishes again meanwhile.
const ROUNDS_MAX: u32 = 3;

/// What checking partitions shares.
pub(super) struct Checks {
    pub hashing: Arc<Hashing>,
    pub scope: Scope,
    /// Whether the bytes are left alone.
    pub is_quick: bool,
}

/// What was found about a partition.
#[derive(Debug, Default)]
pub(super) struct Report {
    /// The manifest's header; `None` where it cannot be read.
    pub header: Option<Header>,
    pub objects: u64,
    pub bytes: u64,
    pub findings: Vec<Finding>,
    /// A run is at the partition, so that nothing can be said about it.
    pub is_being_replaced: bool,
}

impl Checks {
    /// Compares a partition with its manifest.
    ///
    /// # Errors
    /// What keeps the destination from being read.
    pub async fn check(&self, partition: &Arc<Partition>) -> Result<Report> {
        let files = &self.hashing.files;
        let mut report = Report::default();
        for _ in 0..ROUNDS_MAX {
            report = self.check_once(partition).await?;
            if report.findings.is_empty() {
                return Ok(report);
            }
            // What looks wrong may only be in the middle of being replaced.
            report.is_being_replaced = files.is_being_replaced(partition).await?;
            if report.is_being_replaced || self.is_still(partition, report.header.as_ref()).await {
                return Ok(report);
            }
        }
        report.is_being_replaced = true;
        Ok(report)
    }

    async fn is_still(&self, partition: &Partition, header: Option<&Header>) -> bool {
        match self.hashing.files.manifest(partition).await {
            Ok(manifest) => manifest.map(|manifest| manifest.header).as_ref() == header,
            Err(_) => header.is_none(),
        }
    }

    async fn check_once(&self, partition: &Arc<Partition>) -> Result<Report> {
        let finding = |kind, detail| Report { findings: vec![Finding::of_day(kind, detail)], ..Report::default() };
        match self.hashing.files.manifest(partition).await {
            Ok(Some(manifest)) => self.compare(partition, manifest).await,
            Ok(None) => {
                let detail = "data without a manifest, not published by e3sync";
                let has_data = self.hashing.files.standing(partition).next().await.is_some();
                Ok(if has_data { finding(FindingKind::ManifestMissing, detail.to_owned()) } else { Report::default() })
            }
            Err(error) if error.kind() == ErrorKind::ManifestDamaged => {
                let message = error.to_string();
                let detail = message.strip_prefix(&format!("{partition}: ")).unwrap_or(&message).to_owned();
                Ok(finding(FindingKind::ManifestDamaged, detail))
            }
            Err(error) => Err(error),
        }
    }

    async fn compare(&self, partition: &Arc<Partition>, manifest: PublishedManifest) -> Result<Report> {
        let mut report = Report::default();
        let mut matching = Matching::new(manifest.entries()?, &self.scope);
        let header = manifest.header;
        let mut batches = Batches::new(self.hashing.clone(), partition.clone());
        let mut standing = self.hashing.files.standing(partition);
        while let Some(file) = standing.next().await {
            match file {
                Ok(file) => {
                    if let Some(pair) = matching.take(file)? {
                        self.look_at(pair, &mut report, &mut batches).await?;
                    }
                }
                Err(error) if error.kind() == ErrorKind::PlaceTaken => {
                    report.findings.push(Finding::of_day(FindingKind::Changed, error.to_string()));
                }
                Err(error) if error.kind() == ErrorKind::DestinationUnusable => {
                    report.findings.push(Finding::of_day(FindingKind::Unreadable, error.to_string()));
                }
                Err(error) => return Err(error),
            }
        }
        for pair in matching.finish()? {
            self.look_at(pair, &mut report, &mut batches).await?;
        }
        report.findings.extend(check_marker(&header, matching.marker.as_ref()));
        report.findings.append(&mut matching.findings);
        if report.findings.iter().any(|finding| finding.key.is_none()) {
            // What could not be listed is not known to be missing.
            let is_absence = |kind| matches!(kind, FindingKind::Missing | FindingKind::MarkerMissing);
            report.findings.retain(|finding| !is_absence(finding.kind));
        }
        report.findings.extend(batches.finish().await?);
        report.findings.sort_by(|one, other| (&one.key, one.kind).cmp(&(&other.key, other.kind)));
        report.header = Some(header);
        Ok(report)
    }

    /// Compares size and version, and has the bytes hashed where these are right.
    async fn look_at(&self, (entry, file): Pair, report: &mut Report, batches: &mut Batches) -> Result<()> {
        report.objects += 1;
        report.bytes += entry.size_bytes;
        let changed = |detail: String| Finding::new(FindingKind::Changed, &entry.key, detail);
        let Some(size_bytes) = file.size_bytes else {
            report.findings.push(changed("a link or something else that is no file".to_owned()));
            return Ok(());
        };
        if size_bytes != entry.size_bytes {
            report.findings.push(changed(format!("{size_bytes} bytes instead of {}", entry.size_bytes)));
            return Ok(());
        }
        if !self.is_quick {
            return batches.add(entry).await;
        }
        if let Some((known, found)) = entry.stored_etag.as_ref().zip(file.etag.as_ref()).filter(|(one, two)| one != two)
        {
            report.findings.push(changed(format!("ETag {found} instead of {known}")));
        }
        let counters = &self.hashing.counters;
        counters.objects_done.add(1);
        counters.bytes_done.add(size_bytes);
        Ok(())
    }
}

fn check_marker(header: &Header, marker: Option<&StandingFile>) -> Option<Finding> {
    let is_wanted = header.is_complete_day();
    let finding = |kind, detail: &str| Some(Finding::new(kind, crate::export::SUCCESS_MARKER, detail));
    match marker {
        None if is_wanted => finding(FindingKind::MarkerMissing, "the day is complete"),
        Some(_) if !is_wanted => finding(FindingKind::MarkerExtra, "the day is not complete, or not whole"),
        Some(marker) if marker.size_bytes != Some(0) => finding(FindingKind::Changed, "it is not an empty file"),
        _ => None,
    }
}
