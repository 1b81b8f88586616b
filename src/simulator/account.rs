//! The exported account: which objects there are in which cloud, and how they change.
//!
//! Pure: no protocol and no socket. A protocol front end reads [`Account::bucket`] and nothing else, so another
//! cloud is another front end over the same account.

use super::clock::Clock;
use super::names::{SUCCESS, partition_folder};
use super::object::{Material, Object};
use super::population::{WHOLE_PERCENT, parts};
use super::seed::derive_number;
use super::settings::Settings;
use bytes::Bytes;
use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Bound;
use std::str::FromStr;
use std::sync::Arc;

/// A cloud that the vendor delivers to (domain.md section 2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cloud {
    /// Amazon S3: one bucket for all accounts.
    S3,
    /// Google Cloud Storage: a bucket of its own for each account.
    Gcs,
}

impl Cloud {
    /// Both of them.
    pub const ALL: [Cloud; 2] = [Cloud::S3, Cloud::Gcs];

    /// The name that the command line and [`Fault`](super::Fault) take.
    pub fn name(self) -> &'static str {
        match self {
            Self::S3 => "s3",
            Self::Gcs => "gcs",
        }
    }

    /// The scheme of its URLs.
    pub fn scheme(self) -> &'static str {
        match self {
            Self::S3 => "s3",
            Self::Gcs => "gs",
        }
    }

    /// The bucket that holds the account's export.
    pub fn bucket_name(self, account_id: &str) -> String {
        match self {
            Self::S3 => "optimizely-events-data".to_owned(),
            Self::Gcs => format!("optimizely-e3-{account_id}"),
        }
    }
}

impl fmt::Display for Cloud {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// Parses a [`Cloud::name`]; the error says which there are.
impl FromStr for Cloud {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|cloud| cloud.name() == text);
        found.ok_or_else(|| format!("no cloud is called {text:?}; there are s3 and gcs"))
    }
}

/// The objects of one bucket by their full key, in the byte order in which listings give them.
pub type Bucket = BTreeMap<String, Arc<Object>>;

/// One account with all its exported objects. Changes act on every cloud of the settings.
#[derive(Debug)]
pub struct Account {
    pub(super) settings: Settings,
    pub(super) clock: Clock,
    pub(super) buckets: BTreeMap<Cloud, Bucket>,
    pub(super) revisions: BTreeMap<(Cloud, String, Date), u32>,
    serving: BTreeSet<Cloud>,
    generation: u64,
}

impl Account {
    /// The account that the settings describe; `clock` dates the later changes.
    pub(crate) fn new(settings: &Settings, clock: Clock) -> Self {
        let generation = 1_600_000_000_000_000 + derive_number(settings.seed, &["generation"]) % 100_000_000_000_000;
        let buckets = settings.clouds.iter().map(|&cloud| (cloud, Bucket::new())).collect();
        let serving = settings.clouds.iter().copied().collect();
        let settings = settings.clone();
        let mut account = Self { settings, clock, buckets, revisions: BTreeMap::new(), serving, generation };
        for type_name in account.settings.types.clone() {
            for date in account.settings.dates() {
                for cloud in account.settings.clouds.clone() {
                    account.fill_day(cloud, &type_name, date, WHOLE_PERCENT, exported_at(date));
                }
            }
        }
        account
    }

    /// The account id, digits only.
    pub fn id(&self) -> &str {
        &self.settings.account_id
    }

    /// The folder of the account in every bucket, with its trailing slash.
    pub fn prefix(&self) -> String {
        format!("v1/account_id={}/", self.id())
    }

    /// The objects of the cloud; none if the settings do not name it.
    pub fn bucket(&self, cloud: Cloud) -> Option<&Bucket> {
        self.buckets.get(&cloud)
    }

    /// True while the vendor delivers to the cloud: from the start for those of the settings.
    pub fn serves(&self, cloud: Cloud) -> bool {
        self.serving.contains(&cloud)
    }

    /// Ends or resumes the delivery through one cloud.
    ///
    /// Without it the exchange for the cloud answers [`Settings::unserved_status`], and credentials issued before open
    /// nothing: S3 denies access, Google calls the token invalid.
    pub fn set_serving(&mut self, cloud: Cloud, serving: bool) {
        if serving {
            self.serving.insert(cloud);
        } else {
            self.serving.remove(&cloud);
        }
    }

    /// The full key of something in a partition. `relative_key` is taken verbatim, however hostile.
    pub fn key(&self, type_name: &str, date: Date, relative_key: &str) -> String {
        format!("{}{}{relative_key}", self.prefix(), partition_folder(type_name, date))
    }

    /// The objects of one day with their full keys, `_SUCCESS` included.
    pub fn objects(&self, cloud: Cloud, type_name: &str, date: Date) -> Vec<(String, Arc<Object>)> {
        let folder = self.key(type_name, date, "");
        let bucket = self.buckets.get(&cloud).into_iter();
        bucket.flat_map(|bucket| below(bucket, &folder)).map(|(key, object)| (key.clone(), object.clone())).collect()
    }

    /// Adds the part files and the marker of one day to one cloud, `percent` of their usual size, if the cloud has
    /// the day at all.
    pub(super) fn fill_day(&mut self, cloud: Cloud, type_name: &str, date: Date, percent: u32, modified: Timestamp) {
        if !self.settings.has_day(cloud, date) {
            return;
        }
        let revision = *self.revisions.get(&(cloud, type_name.to_owned(), date)).unwrap_or(&0);
        let folder = self.key(type_name, date, "");
        for part in parts(&self.settings, cloud, type_name, date, revision) {
            let material = part.material(&self.settings, percent);
            self.put(cloud, format!("{folder}{}", part.name), material, modified);
        }
        if self.settings.success_on.contains(&cloud) && self.settings.finished(date) {
            self.put(cloud, format!("{folder}{SUCCESS}"), Material::Stored(Bytes::new()), modified);
        }
    }

    /// Puts a new version of an object into one bucket.
    pub(super) fn put(&mut self, cloud: Cloud, key: String, material: Material, modified: Timestamp) {
        self.generation += 1;
        let object = Arc::new(Object::new(material, self.generation, modified));
        self.buckets.entry(cloud).or_default().insert(key, object);
    }
}

/// When the export of a day was written: the next morning.
fn exported_at(date: Date) -> Timestamp {
    let midnight = date.to_zoned(TimeZone::UTC).map(|day| day.timestamp());
    midnight.map_or(Timestamp::UNIX_EPOCH, |day| super::clock::later(day, SignedDuration::from_hours(30)))
}

/// The objects of the folder.
pub(super) fn below<'a>(bucket: &'a Bucket, folder: &'a str) -> impl Iterator<Item = (&'a String, &'a Arc<Object>)> {
    let from = (Bound::Included(folder), Bound::Unbounded);
    bucket.range::<str, _>(from).take_while(move |(key, _)| key.starts_with(folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(settings: &Settings) -> Account {
        Account::new(settings, Clock::new(settings.start, settings.clock_skew))
    }

    fn settings() -> Settings {
        let start = "2026-11-21T13:00:00Z".parse().unwrap();
        Settings { days: 2, clouds: vec![Cloud::S3, Cloud::Gcs], ..Settings::new(start) }
    }

    fn digest(account: &Account, cloud: Cloud) -> Vec<(String, String, String)> {
        let bucket = account.bucket(cloud).unwrap().iter();
        bucket.map(|(key, object)| (key.clone(), object.etag(), object.sha256_hex())).collect()
    }

    #[test]
    fn the_seed_decides_every_byte() {
        let settings = settings();
        let other = Settings { seed: 2, ..settings.clone() };
        let first = digest(&account(&settings), Cloud::S3);
        assert_eq!(first, digest(&account(&settings), Cloud::S3));
        assert_ne!(first, digest(&account(&other), Cloud::S3));
        assert_eq!(first.len(), 2 * 2 * 13);
    }

    #[test]
    fn both_clouds_hold_the_same_rows_under_other_names() {
        let account = account(&settings());
        let (s3, gcs) = (digest(&account, Cloud::S3), digest(&account, Cloud::Gcs));
        let data = |files: &[(String, String, String)]| {
            let mut sums: Vec<_> = files.iter().map(|(_, _, sum)| sum.clone()).collect();
            sums.retain(|sum| !sum.starts_with("e3b0c442"));
            sums.sort();
            sums
        };
        assert_eq!(data(&s3), data(&gcs));
        assert!(!gcs.iter().any(|(key, _, _)| s3.iter().any(|(other, _, _)| key == other)));
    }
}
