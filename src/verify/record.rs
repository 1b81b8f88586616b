//! Noting at a destination which days a verification found to differ. By it `status` knows them, and a
//! later run does not take their files over unseen.

use super::{VerifyOutcome, VerifyRequest};
use crate::destination::{DamagedDay, LastVerification, Look, Mode, PublishedFiles, VerificationRecord};
use crate::error::Result;
use crate::export::Partition;

/// A verification that is to be noted.
struct Noted<'a> {
    outcome: &'a VerifyOutcome,
    look: Look,
    found: Vec<DamagedDay>,
    last: Option<LastVerification>,
}

impl<'a> Noted<'a> {
    fn new(request: &VerifyRequest, outcome: &'a VerifyOutcome, now: jiff::Timestamp) -> Self {
        let look = Look { mode: Mode::new(request.is_quick), selection: request.selection.scope.clone() };
        let days = outcome.days + outcome.days_resumed;
        let last = LastVerification {
            verified_at: now,
            look: look.clone(),
            complete: outcome.stopped_by.is_none(),
            days,
            objects: outcome.objects,
            bytes: outcome.bytes,
        };
        let found = outcome.damaged.iter().map(|(partition, damaged)| {
            let differences = damaged.differences.iter().map(|(kind, count)| (kind.name().to_owned(), *count));
            DamagedDay::new(partition, damaged.published_at, now, look.clone(), differences.collect())
        });
        // One that was stopped before its first day, or merely looks at what was just repaired, says
        // less than the one before it.
        let is_last = days > 0 && !request.is_recheck;
        Self { outcome, found: found.collect(), look, last: is_last.then_some(last) }
    }

    fn add_to(&self, record: &mut VerificationRecord) {
        let is_looked_at = |partition: &Partition| {
            self.outcome.sound.contains(partition) || self.outcome.damaged.contains_key(partition)
        };
        record.take(&self.look, is_looked_at, self.found.clone());
        if let Some(last) = &self.last {
            record.last = Some(last.clone());
        }
    }
}

/// Notes at the destination what a verification found.
///
/// # Errors
/// What kept it from being noted, if what is noted there now misleads: a destination that cannot be
/// written and has nothing wrong is as good as one that says so.
pub(super) async fn note(
    files: &dyn PublishedFiles,
    request: &VerifyRequest,
    outcome: &VerifyOutcome,
    now: jiff::Timestamp,
) -> Result<()> {
    let noted = Noted::new(request, outcome, now);
    let Err(error) = files.change_verification(&|record| noted.add_to(record)).await else { return Ok(()) };
    let before = files.verification().await?;
    let mut after = before.clone();
    noted.add_to(&mut after);
    if after.damaged() == before.damaged() { Ok(()) } else { Err(error) }
}
