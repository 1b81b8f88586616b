//! The way to the export: credentials, clock, listings, and reading, cloud by cloud.

use futures::TryStreamExt as _;
use jiff::civil::Date;

use super::{OUTAGE_MAX, REPEATS, Tell};
use crate::credentials::RenewalSettings;
use crate::error::{Error, ErrorKind, Result};
use crate::export::{AccountId, Partition, TypeName, utc_day};
use crate::finding::{Finding, State};
use crate::plan::has_success_marker;
use crate::source::{AbsentCloud, Access, Cloud, CloudChoice, ReadRequest, SourceSettings, TypeDays, Watch};

/// Number of a type's newest days that are checked for completeness.
const DAYS_ASKED: usize = 5;

/// Number of bytes read of an object.
const BYTES_READ: u64 = 4;

/// What one cloud came to.
struct Examined {
    findings: Vec<Finding>,
    /// The account that its export is of, where there are credentials.
    account_id: Option<AccountId>,
    /// Whether a run can use the cloud.
    is_useful: bool,
}

/// Checks the way to the export. Returns the account that it is of, where that is told.
pub async fn examine_source(settings: &SourceSettings, watch: &Watch, tell: Tell<'_>) -> Option<AccountId> {
    let (mut account_id, mut useless, mut is_any_useful) = (None, Vec::new(), false);
    for choice in clouds_of(settings) {
        let examined = examine_choice(settings, choice, watch).await;
        account_id = account_id.or(examined.account_id);
        is_any_useful |= examined.is_useful;
        if examined.is_useful {
            examined.findings.into_iter().for_each(&mut *tell);
        } else {
            useless.extend(examined.findings);
        }
    }
    for finding in useless {
        // A run does without a cloud as long as another one works.
        let is_spared = is_any_useful && finding.state == State::Broken;
        tell(if is_spared { Finding::notable(finding.check, finding.message, hint_of(finding.hint)) } else { finding });
    }
    tell(clock_finding(watch));
    account_id
}

fn hint_of(hint: Option<String>) -> String {
    let spared = "runs do without this cloud, and do not see the days that only it has";
    hint.map_or_else(|| spared.to_owned(), |hint| format!("{spared}; {hint}"))
}

async fn examine_choice(settings: &SourceSettings, choice: CloudChoice, watch: &Watch) -> Examined {
    let has_others = clouds_of(settings).len() > 1;
    match hasty(settings, choice).connect(watch).await {
        Ok(connected) => match connected.present.first() {
            Some(cloud) => examine_cloud(cloud, has_others, watch).await,
            None => Examined { findings: Vec::new(), account_id: None, is_useful: false },
        },
        Err(error) => {
            let scheme = if choice == CloudChoice::S3 { "s3" } else { "gs" };
            let mut finding = Finding::broken("exchange", &error);
            let absent = AbsentCloud::by_exchange(scheme, error);
            if has_others {
                finding.message = format!("{} takes no part: {}", absent.name(), absent.error);
            }
            if absent.is_without_export && has_others {
                finding.hint = Some("an account need not have both clouds".to_owned());
            }
            Examined { findings: vec![finding], account_id: None, is_useful: false }
        }
    }
}

/// The clouds that the settings are about, each by its own name.
pub(super) fn clouds_of(settings: &SourceSettings) -> Vec<CloudChoice> {
    match (settings.cloud, &settings.access) {
        (CloudChoice::Auto, Access::Exchange(_)) => vec![CloudChoice::Gcs, CloudChoice::S3],
        (CloudChoice::Auto, Access::Ambient { .. }) => vec![CloudChoice::S3],
        (cloud, _) => vec![cloud],
    }
}

/// The settings for one cloud, with few retries.
fn hasty(settings: &SourceSettings, cloud: CloudChoice) -> SourceSettings {
    let renewal = RenewalSettings {
        first_outage_max: settings.renewal.first_outage_max.min(OUTAGE_MAX),
        first_throttling_max: settings.renewal.first_throttling_max.min(OUTAGE_MAX),
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

async fn examine_cloud(cloud: &Cloud, has_others: bool, watch: &Watch) -> Examined {
    let account_id = Some(cloud.location.account_id.clone());
    let life = match cloud.source.credentials_remaining() {
        Some(left) => format!("credentials for {} live another {} min", cloud.location, left.as_secs().div_ceil(60)),
        None => format!("credentials for {} do not end", cloud.location),
    };
    let mut findings = vec![Finding::fine("exchange", life)];
    let (types, refusal) = match cloud.source.list_types().await {
        Ok(types) => (types, None),
        Err(error) if error.kind() == ErrorKind::AccessDenied => (documented_types(), Some(error)),
        Err(error) => {
            findings.push(useless_cloud(cloud, &error, has_others));
            return Examined { findings, account_id, is_useful: false };
        }
    };
    if types.is_empty() {
        let hint = "a new export fills after its first day; else ask the vendor's support";
        findings.push(Finding::notable("listing", format!("{} is empty", cloud.location), hint));
    }
    let (mut is_useful, mut about_types) = (refusal.is_none(), Vec::new());
    for type_name in types {
        match examine_type(cloud, &type_name, watch, &mut about_types).await {
            Ok(()) => is_useful = true,
            Err(error) => about_types.push(Finding::broken("listing", &error)),
        }
    }
    match refusal {
        Some(error) if is_useful => {
            let hint = "runs look for the documented types, or for those that --type names";
            findings.push(Finding::notable("listing", format!("types may not be listed: {error}"), hint));
        }
        Some(error) => {
            about_types.clear();
            findings.push(useless_cloud(cloud, &error, has_others));
        }
        None => {}
    }
    findings.extend(about_types);
    Examined { findings, account_id, is_useful }
}

fn documented_types() -> Vec<TypeName> {
    TypeName::DOCUMENTED.into_iter().filter_map(|name| TypeName::parse(name).ok()).collect()
}

/// A cloud that gives credentials and no listing.
fn useless_cloud(cloud: &Cloud, error: &Error, has_others: bool) -> Finding {
    let mut finding = Finding::broken("listing", error);
    if has_others {
        let absent = AbsentCloud::by_listing(cloud, error.clone());
        finding.message = format!("{} takes no part: {error}", absent.name());
    }
    finding
}

async fn examine_type(cloud: &Cloud, type_name: &TypeName, watch: &Watch, findings: &mut Vec<Finding>) -> Result<()> {
    let TypeDays { days, strays } = match cloud.source.list_days(type_name).await {
        Err(error) if error.kind() == ErrorKind::AccessDenied => {
            return examine_unlisted_days(cloud, type_name, &error, watch, findings).await;
        }
        found => found?,
    };
    if !strays.is_empty() {
        let what = format!("type={type_name} has {} that are no days: {}", strays.count, strays.named.join(", "));
        findings.push(Finding::notable(
            "listing",
            what,
            "they are not mirrored; ask the vendor's support what they are",
        ));
    }
    let Some(first) = days.first() else {
        findings.push(Finding::notable("listing", format!("type={type_name} has no day"), "wait for its first one"));
        return Ok(());
    };
    let from = match days.len() {
        1 => format!("type={type_name} has 1 day, {first}"),
        count => format!("type={type_name} has {count} days since {first}"),
    };
    let newest = match newest_complete(cloud, type_name, &days).await? {
        Some(date) => {
            findings.push(Finding::fine("listing", format!("{from}; the newest complete one is {date}")));
            date
        }
        None => {
            let hint = "where a type never has _SUCCESS its days count as complete by time (--grace)";
            findings.push(Finding::notable("listing", format!("{from}; none of the newest has _SUCCESS"), hint));
            *days.last().unwrap_or(first)
        }
    };
    // Old objects may have been archived, or their key taken away.
    for date in [Some(newest), Some(*first).filter(|first| *first != newest)].into_iter().flatten() {
        findings.push(examine_reading(cloud, &Partition { type_name: type_name.clone(), date }).await);
    }
    Ok(())
}

async fn newest_complete(cloud: &Cloud, type_name: &TypeName, days: &[Date]) -> Result<Option<Date>> {
    for date in days.iter().rev().take(DAYS_ASKED) {
        let partition = Partition { type_name: type_name.clone(), date: *date };
        if has_success_marker(cloud.source.as_ref(), &partition).await? {
            return Ok(Some(*date));
        }
    }
    Ok(None)
}

/// Looks for the newest days by themselves, where a type's days may not be listed.
async fn examine_unlisted_days(
    cloud: &Cloud,
    type_name: &TypeName,
    refusal: &Error,
    watch: &Watch,
    findings: &mut Vec<Finding>,
) -> Result<()> {
    let mut found = None;
    let mut date = utc_day(watch.clock.now());
    for _ in 0..DAYS_ASKED {
        let Ok(before) = date.yesterday() else { break };
        date = before;
        let partition = Partition { type_name: type_name.clone(), date };
        if !cloud.source.list_page(&partition, "", None).await?.objects.is_empty() {
            found = Some(partition);
            break;
        }
    }
    let hint = "runs look for each selected day by itself; say which with --from, --date or --last";
    findings.push(Finding::notable(
        "listing",
        format!("the days of type={type_name} may not be listed: {refusal}"),
        hint,
    ));
    match found {
        Some(partition) => findings.push(examine_reading(cloud, &partition).await),
        None => findings.push(Finding::notable(
            "listing",
            format!("type={type_name} has none of the last {DAYS_ASKED} days"),
            "wait for its first one",
        )),
    }
    Ok(())
}

async fn examine_reading(cloud: &Cloud, partition: &Partition) -> Finding {
    match read_some(cloud, partition).await {
        Ok(true) => Finding::fine("reading", format!("{partition}: the first bytes of an object came")),
        Ok(false) => Finding::fine("reading", format!("{partition} has no data")),
        Err(error) => Finding::broken("reading", &error),
    }
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
