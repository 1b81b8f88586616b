//! What a fake export is made of and how its server behaves.

use super::account::Cloud;
use super::checksum::Checksum;
use super::expiration::ExpirationForm;
use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::Duration;

/// The most keys that one page of a listing has, as at S3.
pub const PAGE_KEYS_MAX: usize = 1000;

/// The bytes of the data objects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// Real Snappy Parquet with the export's schemas (domain.md section 3), with this number of rows per file.
    Parquet {
        /// Rows of one file.
        rows: RangeInclusive<u32>,
    },
    /// Pseudo-random bytes made while they are sent, for benchmarks: an object costs only its key.
    Noise {
        /// Bytes of one object.
        size_bytes: RangeInclusive<u64>,
    },
}

/// How the exchange spells `s3Path` (domain.md section 1: documents and answers differ in the slash).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum S3Path {
    /// Without a trailing slash, as documented.
    #[default]
    Plain,
    /// With a trailing slash, as answered.
    TrailingSlash,
    /// Exactly this text, for paths that point elsewhere.
    Verbatim(String),
}

/// A long-lived access key, as support issues to some customers: it comes without a session token.
#[derive(Clone, PartialEq, Eq)]
pub struct AccessKey {
    /// The public half.
    pub access_key_id: String,
    /// The secret half.
    pub secret_access_key: String,
}

impl std::fmt::Debug for AccessKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "AccessKey({}, secret withheld)", self.access_key_id)
    }
}

/// Everything that decides the fake export. The same settings give the same bytes.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Decides every name, byte and secret.
    pub seed: u64,
    /// The account, digits only.
    pub account_id: String,
    /// The day after the last exported one.
    pub today: Date,
    /// The number of exported days; the last one is the day before `today`.
    pub days: u32,
    /// Number of newest days that have no `_SUCCESS` yet.
    pub unfinished_days: u32,
    /// The `type=` folders. Types that begin with `decisions` hold decisions, all others conversions.
    pub types: Vec<String>,
    /// Data objects of one type and day, spread over the sub-partitions in turn.
    pub objects_per_day: u32,
    /// Ordinary sub-partitions of a type.
    pub subpartitions: u32,
    /// Adds the odd sub-partition names of domain.md section 3, before the ordinary ones.
    pub odd_names: bool,
    /// The bytes of the data objects.
    pub content: Content,
    /// The clouds that hold the export.
    pub clouds: Vec<Cloud>,
    /// The days that a cloud has, where it does not have all of them; `Date::MIN` and `Date::MAX` for an open end.
    pub days_on: BTreeMap<Cloud, RangeInclusive<Date>>,
    /// What the exchange answers for a cloud that the account is not served on: 403, 404 or another error status.
    pub unserved_status: u16,
    /// The clouds that mark complete days with `_SUCCESS`.
    pub success_on: Vec<Cloud>,
    /// Where to listen; only a loopback address is accepted, port 0 takes any free one.
    pub listen: SocketAddr,
    /// The wall time at the start of the server.
    pub start: Timestamp,
    /// How far the server's clock is ahead of `start`; negative when behind.
    pub clock_skew: SignedDuration,
    /// The life of issued credentials; none takes the duration that the client asked for.
    pub credential_lifetime: Option<Duration>,
    /// How old Google tokens are when they are handed out: so much of their life is over.
    pub gcp_token_age: Duration,
    /// The exchange hands out the same Google token again while it lives, as one behind a cache does.
    pub gcp_token_cached: bool,
    /// Other names of buckets than the documented ones.
    pub bucket_names: BTreeMap<Cloud, String>,
    /// How the end of AWS credentials is spelled.
    pub expiration_form: ExpirationForm,
    /// In place of `gs://BUCKET` in the Google answer of the exchange, for addresses that point elsewhere.
    pub gcp_uri: Option<String>,
    /// Google's objects are composite: no MD5 is known of them.
    pub gcs_composite: bool,
    /// The life of access tokens of the OAuth server.
    pub oauth_lifetime: Duration,
    /// A refresh token serves once, and the answer has the next one.
    pub oauth_rotates: bool,
    /// The authorization page refuses.
    pub oauth_denies: bool,
    /// A key that needs no exchange.
    pub access_key: Option<AccessKey>,
    /// The form of `s3Path`.
    pub s3_path: S3Path,
    /// The most keys in one page of a listing, 1 to [`PAGE_KEYS_MAX`].
    pub page_keys: usize,
    /// The checksum kept beside each object.
    pub checksum: Checksum,
    /// Time to wait before each answer.
    pub latency: Option<Duration>,
    /// The most body bytes a second, all connections together; at least 1.
    pub bandwidth_bytes_per_second: Option<u64>,
}

impl Settings {
    /// The export that demonstrations use: two weeks up to yesterday, some 360 small Parquet files.
    ///
    /// `start` is the present; its day in UTC is `today`.
    pub fn new(start: Timestamp) -> Self {
        Self {
            seed: 1,
            account_id: "21468570738".to_owned(),
            today: start.to_zoned(TimeZone::UTC).date(),
            days: 14,
            unfinished_days: 0,
            types: vec!["decisions".to_owned(), "events".to_owned()],
            objects_per_day: 12,
            subpartitions: 5,
            odd_names: true,
            content: Content::Parquet { rows: 20..=400 },
            clouds: vec![Cloud::S3],
            days_on: BTreeMap::new(),
            unserved_status: 404,
            success_on: vec![Cloud::S3],
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            start,
            clock_skew: SignedDuration::ZERO,
            credential_lifetime: None,
            gcp_token_age: Duration::ZERO,
            gcp_token_cached: false,
            bucket_names: BTreeMap::new(),
            expiration_form: ExpirationForm::default(),
            gcp_uri: None,
            gcs_composite: false,
            oauth_lifetime: Duration::from_secs(7200),
            oauth_rotates: false,
            oauth_denies: false,
            access_key: None,
            s3_path: S3Path::Plain,
            page_keys: PAGE_KEYS_MAX,
            checksum: Checksum::default(),
            latency: None,
            bandwidth_bytes_per_second: None,
        }
    }

    /// Says what is wrong with the settings, if anything.
    ///
    /// # Errors
    ///
    /// A sentence for the user: a number out of its range, or an address that is not loopback.
    pub fn check(&self) -> Result<(), String> {
        let digits = !self.account_id.is_empty() && self.account_id.bytes().all(|byte| byte.is_ascii_digit());
        let subpartitions = self.subpartitions > 0 || self.odd_names;
        let rules = [
            (digits, "the account id must be digits"),
            (subpartitions, "there must be a sub-partition"),
            ((1..=PAGE_KEYS_MAX).contains(&self.page_keys), "a page holds 1 to 1000 keys"),
            (self.bandwidth_bytes_per_second != Some(0), "the bandwidth must not be zero"),
            ((400..=599).contains(&self.unserved_status), "the status of an unserved cloud is an error, 400 to 599"),
            (self.listen.ip().is_loopback(), "the fake export listens on loopback only"),
        ];
        match rules.into_iter().find(|(kept, _)| !kept) {
            Some((_, broken)) => Err(broken.to_owned()),
            None => Ok(()),
        }
    }

    /// The bucket that holds the export in the cloud.
    pub(crate) fn bucket_name(&self, cloud: Cloud) -> String {
        self.bucket_names.get(&cloud).cloned().unwrap_or_else(|| cloud.bucket_name(&self.account_id))
    }

    /// The exported days, oldest first.
    pub fn dates(&self) -> impl Iterator<Item = Date> + use<> {
        let today = self.today;
        (1..=i64::from(self.days))
            .rev()
            .filter_map(move |back| today.checked_sub(SignedDuration::from_hours(24 * back)).ok())
    }

    /// True if the cloud has the day at all.
    pub(crate) fn has_day(&self, cloud: Cloud, date: Date) -> bool {
        self.days_on.get(&cloud).is_none_or(|days| days.contains(&date))
    }

    /// True if the day is old enough to be marked as complete.
    pub(crate) fn finished(&self, date: Date) -> bool {
        let age = SignedDuration::from_hours(24 * i64::from(self.unfinished_days));
        self.today.checked_sub(age).is_ok_and(|end| date < end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Settings {
        Settings::new("2026-11-21T13:00:00Z".parse().unwrap())
    }

    #[test]
    fn days_end_with_yesterday() {
        let dates: Vec<_> = Settings { days: 3, ..settings() }.dates().map(|date| date.to_string()).collect();
        assert_eq!(dates, ["2026-11-18", "2026-11-19", "2026-11-20"]);
        let settings = Settings { unfinished_days: 1, ..settings() };
        let finished: Vec<_> = settings.dates().map(|date| settings.finished(date)).collect();
        assert_eq!((finished[12], finished[13]), (true, false));
    }

    #[test]
    fn only_loopback_is_listened_on() {
        let open = Settings { listen: "0.0.0.0:0".parse().unwrap(), ..settings() };
        assert!(open.check().unwrap_err().contains("loopback"));
        assert_eq!(settings().check(), Ok(()));
    }
}
