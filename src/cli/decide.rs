//! Arguments as typed, and the environment, become settings as decided.

use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use e3sync::clock::Clock;
use e3sync::credentials::{ExchangeSettings, RenewalSettings, SecretSource, TokenSource, well_formed};
use e3sync::destination::bucket::LeaseSettings;
use e3sync::destination::{Address, DestinationSettings};
use e3sync::error::{Error, ErrorKind, Result};
use e3sync::export::{DaySpec, Days, Filter, Scope, utc_day};
use e3sync::net;
use e3sync::plan::{self, DaysWanted, PlanOptions, Ready, Selection};
use e3sync::source::gcs::GcsSettings;
use e3sync::source::s3::S3Settings;
use e3sync::source::{Access, CloudChoice, SourceSettings};
use e3sync::transfer::{Join, TransferSettings};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan as _};

use super::args::{
    DestinationArgs, PlanningArgs, ReadyArg, SelectionArgs, ShardArg, SourceArg, SourceArgs, TogetherArgs, TransferArgs,
};
use super::unit_lines::Units;
use super::{address, environment, file, network, oauth, scheduler};

/// The variables that may hold the token, the first that is set.
pub const TOKEN_VARIABLES: [&str; 2] = ["OPTIMIZELY_API_TOKEN", "OPTIMIZELY_PAT"];

/// What both clouds ask of every part of a multipart upload but the last.
const BUCKET_PART_BYTES_MIN: u64 = 5 * 1024 * 1024;

fn usage(what: impl Into<String>, hint: &'static str) -> Error {
    Error::new(ErrorKind::Usage, what).with_hint(hint)
}

/// The present, read once.
#[derive(Clone)]
pub struct Present {
    pub clock: Arc<Clock>,
    /// The day that counts as today.
    pub today: Date,
    /// The time that day completeness is judged by.
    pub now: Timestamp,
}

impl Present {
    /// Reads the wall clock, unless `--today` says otherwise.
    pub fn read(today: Option<DaySpec>) -> Result<Self> {
        let real_now = Timestamp::now();
        let clock = Arc::new(Clock::starting_at(real_now));
        let Some(day) = today else {
            return Ok(Self { clock, today: utc_day(real_now), now: real_now });
        };
        let today = day.resolve(utc_day(real_now))?;
        // Another day than today is looked at as a whole: from its last moment.
        let now = if today == utc_day(real_now) { real_now } else { end_of(today).unwrap_or(real_now) };
        Ok(Self { clock, today, now })
    }
}

fn end_of(day: Date) -> Option<Timestamp> {
    Some(day.at(23, 59, 59, 0).to_zoned(TimeZone::UTC).ok()?.timestamp())
}

/// How the destination is used.
pub fn destination(
    arguments: &DestinationArgs,
    present: &Present,
    keep_superseded: bool,
    retries: u32,
) -> Result<DestinationSettings> {
    Ok(DestinationSettings {
        keep_superseded,
        attempts_max: retries,
        lease: lease(arguments),
        ..used_by(present, address::destination(arguments)?)
    })
}

/// A destination as this run uses it where no option says otherwise.
pub fn used_by(present: &Present, address: Address) -> DestinationSettings {
    DestinationSettings {
        holder: holder(present),
        temporary_folder: std::env::temp_dir(),
        ..DestinationSettings::new(address)
    }
}

/// The same without locks, where that is wanted.
pub fn without_locks(mut destination: DestinationSettings, no_lock: bool) -> Result<DestinationSettings> {
    if no_lock && !matches!(destination.address, Address::Directory(_)) {
        let what = format!("--no-lock is for directories, and {} is a bucket", destination.address);
        return Err(usage(what, "leave --no-lock out; a bucket needs no file locks"));
    }
    destination.locks = !no_lock;
    Ok(destination)
}

/// When another run on a bucket counts as dead. Two seconds are the least: a bucket tells the time
/// of a write in whole ones, so that a heartbeat may look older than it is by almost one.
fn lease(arguments: &DestinationArgs) -> LeaseSettings {
    let seconds = arguments.bucket.dest_lease.map(|seconds| Duration::from_secs(seconds.into()));
    seconds.map_or_else(LeaseSettings::default, LeaseSettings::of_duration)
}

/// Where a mirror is, the same however it was typed.
pub fn plain_address(address: &Address) -> String {
    match address {
        Address::Directory(path) => file::resolved(path).display().to_string(),
        bucket => bucket.to_string(),
    }
}

/// The days in the words in which they were asked for.
pub fn days_asked(arguments: &SelectionArgs) -> String {
    if !arguments.date.is_empty() {
        let mut dates: Vec<String> = arguments.date.iter().map(ToString::to_string).collect();
        dates.sort();
        dates.dedup();
        return dates.join(",");
    }
    match (arguments.last, arguments.from, arguments.to) {
        (Some(days), ..) => format!("last {days}d"),
        (None, Some(from), Some(to)) => format!("from {from} to {to}"),
        (None, Some(from), None) => format!("from {from}"),
        (None, None, _) => "all".to_owned(),
    }
}

/// What the command is about. `default_days` is what no choice of days means.
pub fn selection(arguments: &SelectionArgs, present: &Present, default_days: DaysWanted) -> Result<Selection> {
    let filter = Filter {
        experiments: arguments.experiment.clone(),
        events: arguments.event.clone(),
        exclude_events: arguments.exclude_event.clone(),
    };
    let days = days(arguments, present.today, default_days)?;
    let selection = Selection { types: arguments.types.clone(), days, scope: Scope::of_filter(filter) };
    selection.check_days(present.today)?;
    Ok(selection)
}

/// What a run is about: the days that are named one by one, or those that the options choose, else what is
/// new.
pub fn selection_of(arguments: &SelectionArgs, units: Option<Units>, present: &Present) -> Result<Selection> {
    let chosen = selection(arguments, present, DaysWanted::Incremental)?;
    Ok(match units {
        Some(units) => Selection { types: units.types(), days: DaysWanted::Each(units.partitions), ..chosen },
        None => chosen,
    })
}

fn days(arguments: &SelectionArgs, today: Date, default_days: DaysWanted) -> Result<DaysWanted> {
    let yesterday = DaySpec::DaysAgo(1).resolve(today)?;
    if !arguments.date.is_empty() {
        let dates = arguments.date.iter().map(|day| day.resolve(today)).collect::<Result<_>>()?;
        return Ok(DaysWanted::Dates(dates));
    }
    if let Some(days) = arguments.last {
        return Ok(DaysWanted::Range(Days::new(DaySpec::DaysAgo(days).resolve(today)?, yesterday)?));
    }
    match (arguments.from, arguments.to) {
        (None, None) => Ok(default_days),
        (None, Some(_)) => Err(usage("--to is given without --from", "give the first day with --from as well")),
        (Some(from), to) => {
            let from = from.resolve(today)?;
            let to = to.map_or(Ok(yesterday.max(from)), |to| to.resolve(today))?;
            Ok(DaysWanted::Range(Days::new(from, to)?))
        }
    }
}

/// How to decide about partitions.
pub fn planning(arguments: &PlanningArgs, present: &Present) -> Result<PlanOptions> {
    let grace =
        SignedDuration::try_from(arguments.grace.0).map_err(|_| usage("--grace is too long", "48h is the default"))?;
    Ok(PlanOptions {
        ready: match arguments.ready {
            ReadyArg::Success => Ready::Success,
            ReadyArg::Grace => Ready::Grace,
            ReadyArg::Any => Ready::Any,
        },
        grace,
        lookback_from: present.today.checked_sub(i64::from(arguments.lookback).days()).unwrap_or(Date::MIN),
        accept_shrink: arguments.accept_shrink,
        now: present.now,
    })
}

/// How the run works together with others; `None` where it does not.
///
/// # Errors
/// [`ErrorKind::Usage`] where nothing keeps runs apart, or where no scheduler tells the share.
pub fn join(arguments: &TogetherArgs, no_lock: bool) -> Result<Option<Join>> {
    if !arguments.join && arguments.shard.is_none() {
        return Ok(None);
    }
    if no_lock {
        let hint = "share the days on a mount that has locks, or in a bucket; or leave --join and --shard out";
        return Err(usage("--no-lock leaves runs that share the days without a means to share them", hint));
    }
    let shard = match arguments.shard {
        None => None,
        Some(ShardArg::Share(shard)) => Some(shard),
        Some(ShardArg::Auto) => Some(scheduler::shard()?),
    };
    Ok(Some(Join { wait_max: arguments.join_wait.0, shard, seed: rand::random() }))
}

/// The days that are named one by one.
///
/// # Errors
/// [`ErrorKind::Usage`] for lines that name no day, or one that has not come yet, and where the token wants
/// standard input too.
pub fn units(path: &Path, source: &SourceArgs, present: &Present) -> Result<Units> {
    let is_stdin = |path: &Path| path.as_os_str() == "-";
    if is_stdin(path) && source.token_file.as_deref().is_some_and(is_stdin) {
        return Err(usage(
            "--units - and --token-file - both want standard input",
            "give the token in OPTIMIZELY_API_TOKEN or in a file",
        ));
    }
    let units = Units::read(path)?;
    match units.partitions.iter().find(|partition| partition.date > present.today) {
        Some(ahead) => Err(plan::not_come_yet(ahead, present.today)),
        None => Ok(units),
    }
}

/// How to transfer to this address.
pub fn transfer(arguments: &TransferArgs, retries: u32, address: &Address) -> Result<TransferSettings> {
    let part_size_bytes = arguments.part_size.0;
    if !matches!(address, Address::Directory(_)) && part_size_bytes < BUCKET_PART_BYTES_MIN {
        return Err(usage(
            "--part-size is too small for a bucket",
            "multipart uploads have parts of at least 5MiB; 8MiB is the default",
        ));
    }
    if arguments.memory.0 < part_size_bytes {
        return Err(usage(
            "--memory is smaller than --part-size",
            "give at least one part's size; 256MiB is the default",
        ));
    }
    Ok(TransferSettings {
        concurrency: arguments.concurrency,
        part_size_bytes,
        ranged_from_bytes: part_size_bytes.saturating_mul(4),
        memory_bytes_max: arguments.memory.0,
        attempts_max: retries,
        bandwidth_bytes_per_second: arguments.bwlimit.map(|rate| rate.0),
        ..TransferSettings::default()
    })
}

/// How to reach the export.
pub fn source(arguments: &SourceArgs) -> Result<SourceSettings> {
    let endpoint_url = arguments.source_endpoint_url.as_deref();
    let endpoint_url = endpoint_url.map(|url| net::parse_endpoint("--source-endpoint-url", url)).transpose()?;
    // One address serves one cloud, and else Google's token would go to S3's server. Only a simulator serves both:
    // on this machine, or at the server that issued the token and so knows it.
    let api_url = net::parse_endpoint("--api-url", &arguments.api_url)?;
    let serves_both = |url: &url::Url| net::is_loopback(url) || url.origin() == api_url.origin();
    let is_ambiguous = endpoint_url.as_ref().is_some_and(|url| !serves_both(url));
    let uses_keys = arguments.source_profile.is_some() || arguments.source_ambient;
    if is_ambiguous && arguments.source == SourceArg::Auto && !uses_keys {
        return Err(usage("--source-endpoint-url does not say of which cloud", "add --source s3 or --source gcs"));
    }
    let net = network::settings();
    let cloud = match arguments.source {
        SourceArg::S3 => CloudChoice::S3,
        SourceArg::Gcs => CloudChoice::Gcs,
        SourceArg::Auto if arguments.source_bucket.is_none() => CloudChoice::Auto,
        SourceArg::Auto => {
            return Err(usage("--source-bucket does not say in which cloud", "add --source s3 or --source gcs"));
        }
    };
    Ok(SourceSettings {
        cloud,
        access: access(arguments)?,
        gcs: GcsSettings {
            endpoint_url: endpoint_url.clone(),
            user_project: arguments.user_project.clone(),
            net: net.clone(),
        },
        s3: S3Settings { region: arguments.source_region.clone(), endpoint_url, net },
        renewal: renewal(arguments.outage.0),
        attempts_max: arguments.retries,
    })
}

fn renewal(outage_max: std::time::Duration) -> RenewalSettings {
    let default = RenewalSettings::default();
    RenewalSettings {
        outage_max,
        first_outage_max: default.first_outage_max.min(outage_max),
        first_throttling_max: default.first_throttling_max.min(outage_max),
        ..default
    }
}

fn access(arguments: &SourceArgs) -> Result<Access> {
    let account_id = arguments.account_id.clone();
    let bucket = arguments.source_bucket.clone();
    if arguments.source_profile.is_some() || arguments.source_ambient {
        let account_id = account_id.ok_or_else(|| {
            usage("AWS credentials do not tell the account", "give the account's number with --account-id")
        })?;
        return Ok(Access::Ambient { profile: arguments.source_profile.clone(), account_id, bucket });
    }
    Ok(Access::Exchange(ExchangeSettings {
        api_url: net::parse_endpoint("--api-url", &arguments.api_url)?,
        token: token(arguments)?,
        duration_minutes: arguments.credential_minutes,
        account_id,
        bucket,
    }))
}

/// Where the token comes from: what is named, else the environment.
fn token(arguments: &SourceArgs) -> Result<TokenSource> {
    if let Some(command) = &arguments.token_command {
        return Ok(SecretSource::Command(command.clone()).into());
    }
    if let Some(path) = &arguments.token_file {
        return if path.as_os_str() == "-" { token_from_stdin() } else { Ok(SecretSource::File(path.clone()).into()) };
    }
    // An application that is named wins over the variables, as every option does.
    if arguments.oauth.application.oauth_client_id.is_none()
        && let Some(token) = token_from_environment()?
    {
        return Ok(token);
    }
    oauth::tokens(&arguments.oauth)?.ok_or_else(|| {
        usage(
            "no token is given",
            "put a Personal Access Token (Profile > API Access) into OPTIMIZELY_API_TOKEN, use --token-file or --token-command, or `e3sync login` with an OAuth application",
        )
    })
}

/// The token in the first of its variables that says something.
fn token_from_environment() -> Result<Option<TokenSource>> {
    let set = |name: &'static str| Some((name, environment::value(name)?));
    let Some((name, value)) = TOKEN_VARIABLES.into_iter().find_map(set) else {
        return Ok(None);
    };
    token_value(value.into_encoded_bytes(), name).map(Some)
}

fn token_from_stdin() -> Result<TokenSource> {
    let mut bytes = Vec::new();
    std::io::stdin().lock().take(16 * 1024).read_to_end(&mut bytes).map_err(|cause| {
        usage("cannot read the token from standard input", "pipe a text into the command").with_cause(cause)
    })?;
    token_value(bytes, "standard input")
}

fn token_value(bytes: Vec<u8>, origin: &str) -> Result<TokenSource> {
    let text = well_formed::text_of(bytes).map_err(|flaw| well_formed::refusal("the token", origin, flaw))?;
    SecretSource::check(&text, origin).map(|token| SecretSource::Value(token).into())
}

/// Who this run is, for another run that finds a partition locked.
fn holder(present: &Present) -> String {
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    format!("process {} on {host} since {:.0}", std::process::id(), present.clock.now())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_holder_of_a_lock_tells_the_real_time_whatever_day_counts_as_today() {
        let present = Present::read(Some("2020-02-02".parse().unwrap())).unwrap();
        assert_eq!(present.today.to_string(), "2020-02-02");
        assert!(!holder(&present).contains("2020-02-02"), "{}", holder(&present));
    }
}
