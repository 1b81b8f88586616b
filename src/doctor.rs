//! The verb `doctor`: tries everything that a run needs, one after the other, and says what to do
//! about whatever does not work. Nothing is left behind.

mod bundle;

use std::time::Duration;

use futures::TryStreamExt as _;
use jiff::civil::Date;

use crate::credentials::RenewalSettings;
use crate::destination::{DamagedDay, DestinationSettings};
use crate::error::{ErrorKind, Result};
use crate::export::{AccountId, Partition, TypeName};
use crate::finding::Finding;
use crate::plan::has_success_marker;
use crate::source::{Access, Cloud, CloudChoice, ReadRequest, SourceSettings, TypeDays, Watch};

pub use bundle::Bundle;

/// So many of a type's newest days are asked whether they are complete.
const DAYS_ASKED: usize = 5;

/// So many bytes of an object are read.
const BYTES_READ: u64 = 4;

/// Receives findings as they come.
pub type Tell<'a> = &'a mut (dyn FnMut(Finding) + Send);

/// A request that fails is repeated once, and the exchange asked again for so long: somebody waits
/// for the answer.
const REPEATS: u32 = 1;
const OUTAGE_MAX: Duration = Duration::from_secs(2);

/// Checks the way to the export: credentials, clock, listings, and reading. Returns the account that
/// the export is of, where somebody said so.
pub async fn examine_source(settings: &SourceSettings, watch: &Watch, tell: Tell<'_>) -> Option<AccountId> {
    let clouds = clouds_of(settings);
    let mut refused = Vec::new();
    let mut account_id = None;
    for choice in clouds {
        match hasty(settings, choice).connect(watch).await {
            Ok(connected) => {
                for cloud in connected {
                    examine_cloud(&cloud, tell).await;
                    account_id = Some(cloud.location.account_id.clone());
                }
            }
            Err(error) => refused.push((choice, error)),
        }
    }
    for (choice, error) in refused {
        if account_id.is_some() && error.kind() != ErrorKind::TokenRefused {
            let name = if choice == CloudChoice::S3 { "S3" } else { "Google Cloud Storage" };
            tell(Finding::notable(
                "exchange",
                format!("{name} takes no part: {error}"),
                "an account need not have both clouds",
            ));
        } else {
            tell(Finding::broken("exchange", &error));
        }
    }
    tell(clock_finding(watch));
    account_id
}

/// The clouds that the settings are about, each by its own name.
fn clouds_of(settings: &SourceSettings) -> Vec<CloudChoice> {
    match (settings.cloud, &settings.access) {
        (CloudChoice::Auto, Access::Exchange(_)) => vec![CloudChoice::Gcs, CloudChoice::S3],
        (CloudChoice::Auto, Access::Ambient { .. }) => vec![CloudChoice::S3],
        (cloud, _) => vec![cloud],
    }
}

/// The settings for one cloud, with little patience.
fn hasty(settings: &SourceSettings, cloud: CloudChoice) -> SourceSettings {
    let renewal = RenewalSettings {
        first_outage_max: settings.renewal.first_outage_max.min(OUTAGE_MAX),
        ..settings.renewal.clone()
    };
    SourceSettings { cloud, renewal, attempts_max: settings.attempts_max.min(REPEATS), ..settings.clone() }
}

/// The clock is compared with the one of whoever answered.
fn clock_finding(watch: &Watch) -> Finding {
    let Some(correction) = watch.clock.correction() else {
        let hint = "the Authentication API tells its time with the credentials";
        return Finding::notable("clock", "not compared: no server has told its time", hint);
    };
    if correction.is_zero() {
        return Finding::fine("clock", "agrees with the servers' to half a minute");
    }
    let (seconds, side) = (correction.as_secs().abs(), if correction.is_negative() { "ahead" } else { "behind" });
    Finding::notable(
        "clock",
        format!("this machine's clock is {seconds} s {side} of the servers'; runs reckon with theirs"),
        "let the machine take its time from the network (NTP): other tools are refused",
    )
}

async fn examine_cloud(cloud: &Cloud, tell: Tell<'_>) {
    let life = match cloud.source.credentials_remaining() {
        Some(left) => format!("credentials for {} live another {} min", cloud.location, left.as_secs().div_ceil(60)),
        None => format!("credentials for {} do not end", cloud.location),
    };
    tell(Finding::fine("exchange", life));
    let types = match cloud.source.list_types().await {
        Ok(types) if types.is_empty() => {
            let hint = "a new export fills after its first day; else ask the vendor's support";
            return tell(Finding::notable("listing", format!("{} is empty", cloud.location), hint));
        }
        Ok(types) => types,
        Err(error) => return tell(Finding::broken("listing", &error)),
    };
    for type_name in types {
        if let Err(error) = examine_type(cloud, &type_name, tell).await {
            tell(Finding::broken("listing", &error));
        }
    }
}

async fn examine_type(cloud: &Cloud, type_name: &TypeName, tell: Tell<'_>) -> Result<()> {
    let TypeDays { days, strays } = cloud.source.list_days(type_name).await?;
    if !strays.is_empty() {
        let what = format!("type={type_name} has {} that are no days: {}", strays.count, strays.named.join(", "));
        tell(Finding::notable("listing", what, "they are not mirrored; ask the vendor's support what they are"));
    }
    let mut newest_complete: Option<Date> = None;
    for date in days.iter().rev().take(DAYS_ASKED) {
        let partition = Partition { type_name: type_name.clone(), date: *date };
        if has_success_marker(cloud.source.as_ref(), &partition).await? {
            newest_complete = Some(*date);
            break;
        }
    }
    let Some(first) = days.first() else {
        tell(Finding::notable("listing", format!("type={type_name} has no day"), "wait for its first one"));
        return Ok(());
    };
    let from = match days.len() {
        1 => format!("type={type_name} has 1 day, {first}"),
        count => format!("type={type_name} has {count} days since {first}"),
    };
    let date = match newest_complete {
        Some(date) => {
            tell(Finding::fine("listing", format!("{from}; the newest complete one is {date}")));
            date
        }
        None => {
            let hint = "where a type never has _SUCCESS its days count as complete by time (--grace)";
            tell(Finding::notable("listing", format!("{from}; none of the newest has _SUCCESS"), hint));
            *days.last().unwrap_or(first)
        }
    };
    let partition = Partition { type_name: type_name.clone(), date };
    match read_some(cloud, &partition).await {
        Ok(true) => tell(Finding::fine("reading", format!("{partition}: the first bytes of an object came"))),
        Ok(false) => tell(Finding::fine("reading", format!("{partition} has no data"))),
        Err(error) => tell(Finding::broken("reading", &error)),
    }
    Ok(())
}

/// Reads the first bytes of a partition's first object with data; says whether there is one.
async fn read_some(cloud: &Cloud, partition: &Partition) -> Result<bool> {
    let page = cloud.source.list_page(partition, "", None).await?;
    let Some(object) = page.objects.into_iter().find(|object| object.size_bytes > 0) else { return Ok(false) };
    let range = Some(0..object.size_bytes.min(BYTES_READ));
    let request = ReadRequest { range, on_new_connection: false };
    let mut body = cloud.source.open(partition, &object, request).await?.body;
    while body.try_next().await?.is_some() {}
    Ok(true)
}

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
