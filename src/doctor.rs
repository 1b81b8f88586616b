//! The verb `doctor`: tries everything that a run needs, one after the other, and says what to do
//! about whatever does not work. Nothing is left behind.

mod bundle;
mod source;

use std::time::Duration;

use crate::destination::{DamagedDay, DestinationSettings};
use crate::export::AccountId;
use crate::finding::Finding;
use crate::source::Watch;

pub use bundle::Bundle;
pub use source::examine_source;

/// Receives findings as they come.
pub type Tell<'a> = &'a mut (dyn FnMut(Finding) + Send);

/// Retry policy: a request that fails is repeated once, the exchange is asked again for this time. Somebody waits
/// for the answer.
const REPEATS: u32 = 1;
const OUTAGE_MAX: Duration = Duration::from_secs(2);

/// Checks the destination: whether it can be written, read and deleted from, whose mirror it is, and
/// what lies about. `account_id` is the export's, where it is known.
pub async fn examine_destination(
    settings: &DestinationSettings,
    account_id: Option<&AccountId>,
    watch: &Watch,
    tell: Tell<'_>,
) {
    let settings = DestinationSettings { attempts_max: settings.attempts_max.min(REPEATS), ..settings.clone() };
    match settings.examine(account_id, watch).await {
        Ok(findings) => findings.into_iter().for_each(&mut *tell),
        Err(error) => return tell(Finding::broken("destination", &error)),
    }
    verification(&settings, watch).await.into_iter().for_each(tell);
}

/// What is known of the mirror's days from the last verifications.
async fn verification(settings: &DestinationSettings, watch: &Watch) -> Option<Finding> {
    // What keeps the mirror from being looked at has been told by then.
    let published = settings.look(watch).await.ok()?;
    published.account_id()?;
    let record = match published.verification().await {
        Ok(record) => record,
        Err(error) => {
            let hint = error.hint().unwrap_or_default().to_owned();
            return Some(Finding::notable("verification", error.to_string(), hint));
        }
    };
    let mut damaged = Vec::new();
    for partition in record.damaged().iter().filter_map(DamagedDay::partition) {
        let is_damaged = match published.published(&partition).await {
            Ok(found) => record.damage_of(&partition, found.header.map(|header| header.published_at)).is_some(),
            // A day that cannot even be looked at now is no better than it was found.
            Err(_) => true,
        };
        damaged.extend(is_damaged.then_some(partition));
    }
    Some(match (damaged.first(), record.last) {
        (Some(first), _) => Finding::notable(
            "verification",
            format!("days that differ from their manifests: {}, the first of them {first}", damaged.len()),
            "e3sync verify DEST --repair fetches what differs",
        ),
        (None, Some(last)) => {
            let day = last.verified_at.strftime("%Y-%m-%d");
            let days = last.days;
            Finding::fine(
                "verification",
                format!("no day is known to differ; the last one, of {day}, looked at {days}"),
            )
        }
        (None, None) => Finding::fine("verification", "there was none yet: e3sync verify DEST"),
    })
}
