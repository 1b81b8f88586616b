//! How the export changes while it is served: reruns, retention, late and hostile objects.

use super::account::{Account, Cloud, below};
use super::names::SUCCESS;
use super::object::Material;
use super::population::WHOLE_PERCENT;
use bytes::Bytes;
use jiff::civil::Date;

/// Each change acts on every cloud of the settings, or on one where the name ends in `_on`. Keys below the partition
/// are taken verbatim, however hostile: `..`, `//`, a leading `/`, control characters, segments of any length.
impl Account {
    /// Adds an object, or a new version of one that is there.
    pub fn add_object(&mut self, type_name: &str, date: Date, relative_key: &str, bytes: impl Into<Bytes>) {
        let key = self.key(type_name, date, relative_key);
        self.add_key(&key, bytes);
    }

    /// Like [`Account::add_object`] in one cloud.
    pub fn add_object_on(
        &mut self,
        cloud: Cloud,
        type_name: &str,
        date: Date,
        relative_key: &str,
        bytes: impl Into<Bytes>,
    ) {
        let key = self.key(type_name, date, relative_key);
        self.add_key_on(cloud, &key, bytes);
    }

    /// Like [`Account::add_object`] with the full key verbatim.
    pub fn add_key(&mut self, key: &str, bytes: impl Into<Bytes>) {
        let bytes = bytes.into();
        for cloud in self.settings.clouds.clone() {
            self.add_key_on(cloud, key, bytes.clone());
        }
    }

    /// Like [`Account::add_key`] in one cloud.
    pub fn add_key_on(&mut self, cloud: Cloud, key: &str, bytes: impl Into<Bytes>) {
        let now = self.clock.now();
        self.put(cloud, key.to_owned(), Material::Stored(bytes.into()), now);
    }

    /// Adds an object of pseudo-random bytes, which may be far larger than memory.
    pub fn add_noise(&mut self, type_name: &str, date: Date, relative_key: &str, size_bytes: u64) {
        let key = self.key(type_name, date, relative_key);
        let now = self.clock.now();
        for cloud in self.settings.clouds.clone() {
            let material = Material::noise(self.settings.seed, &key, size_bytes);
            self.put(cloud, key.clone(), material, now);
        }
    }

    /// Gives an object new bytes and a new version; false, and nothing happens, if there is none.
    pub fn replace_object(&mut self, type_name: &str, date: Date, relative_key: &str, bytes: impl Into<Bytes>) -> bool {
        let key = self.key(type_name, date, relative_key);
        let exists = self.buckets.values().any(|bucket| bucket.contains_key(&key));
        if exists {
            self.add_key(&key, bytes);
        }
        exists
    }

    /// Removes an object; false if there is none.
    pub fn remove_object(&mut self, type_name: &str, date: Date, relative_key: &str) -> bool {
        let removed = Cloud::ALL.map(|cloud| self.remove_object_on(cloud, type_name, date, relative_key));
        removed.contains(&true)
    }

    /// Like [`Account::remove_object`] in one cloud.
    pub fn remove_object_on(&mut self, cloud: Cloud, type_name: &str, date: Date, relative_key: &str) -> bool {
        let key = self.key(type_name, date, relative_key);
        self.buckets.get_mut(&cloud).and_then(|bucket| bucket.remove(&key)).is_some()
    }

    /// Exports a day again, as a rerun of the vendor does: another writer, other names and rows, new `_SUCCESS`.
    ///
    /// `percent` scales the rows (or bytes of noise) of every file: 100 keeps the size of the day.
    pub fn rewrite_day(&mut self, type_name: &str, date: Date, percent: u32) {
        for cloud in self.settings.clouds.clone() {
            self.rewrite_day_on(cloud, type_name, date, percent);
        }
    }

    /// Like [`Account::rewrite_day`] in one cloud. A cloud that has no such day by the settings gets none.
    pub fn rewrite_day_on(&mut self, cloud: Cloud, type_name: &str, date: Date, percent: u32) {
        self.remove_day_on(cloud, type_name, date);
        *self.revisions.entry((cloud, type_name.to_owned(), date)).or_default() += 1;
        let now = self.clock.now();
        self.fill_day(cloud, type_name, date, percent, now);
    }

    /// Rewrites a day to a third of its size: a broken rerun.
    pub fn shrink_day(&mut self, type_name: &str, date: Date) {
        self.rewrite_day(type_name, date, WHOLE_PERCENT / 3);
    }

    /// Removes all objects of a day, as the end of retention does, and says how many there were.
    pub fn remove_day(&mut self, type_name: &str, date: Date) -> usize {
        Cloud::ALL.into_iter().map(|cloud| self.remove_day_on(cloud, type_name, date)).sum()
    }

    /// Like [`Account::remove_day`] in one cloud.
    pub fn remove_day_on(&mut self, cloud: Cloud, type_name: &str, date: Date) -> usize {
        let folder = self.key(type_name, date, "");
        let Some(bucket) = self.buckets.get_mut(&cloud) else {
            return 0;
        };
        let keys: Vec<_> = below(bucket, &folder).map(|(key, _)| key.clone()).collect();
        keys.iter().filter_map(|key| bucket.remove(key)).count()
    }

    /// Sets or removes the marker of a complete day.
    pub fn set_success(&mut self, type_name: &str, date: Date, complete: bool) {
        for cloud in self.settings.clouds.clone() {
            self.set_success_on(cloud, type_name, date, complete);
        }
    }

    /// Like [`Account::set_success`] in one cloud.
    pub fn set_success_on(&mut self, cloud: Cloud, type_name: &str, date: Date, complete: bool) {
        if complete {
            self.add_object_on(cloud, type_name, date, SUCCESS, Bytes::new());
        } else {
            self.remove_object_on(cloud, type_name, date, SUCCESS);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::clock::Clock;
    use super::super::object::Object;
    use super::super::settings::Settings;
    use super::*;
    use std::sync::Arc;

    const DAY: Date = jiff::civil::date(2026, 11, 20);

    fn account() -> Account {
        let start = "2026-11-21T13:00:00Z".parse().unwrap();
        let settings = Settings { days: 2, clouds: vec![Cloud::S3, Cloud::Gcs], ..Settings::new(start) };
        Account::new(&settings, Clock::new(settings.start, settings.clock_skew))
    }

    #[test]
    fn a_rewritten_day_has_no_name_of_the_old_one_but_success() {
        let mut account = account();
        let names = |account: &Account| account.objects(Cloud::S3, "events", DAY);
        let before = names(&account);
        account.rewrite_day("events", DAY, 100);
        let after = names(&account);
        let kept = after.iter().filter(|(key, _)| before.iter().any(|(old, _)| old == key)).count();
        assert_eq!((after.len(), kept), (before.len(), 1));
        account.shrink_day("events", DAY);
        let bytes = |objects: &[(String, Arc<Object>)]| objects.iter().map(|(_, o)| o.size_bytes()).sum::<u64>();
        assert!(bytes(&names(&account)) < bytes(&after));
    }

    #[test]
    fn a_change_can_act_on_one_cloud_only() {
        let mut account = account();
        let number = |account: &Account, cloud| account.objects(cloud, "events", DAY).len();
        account.set_success_on(Cloud::Gcs, "events", DAY, true);
        assert_eq!((number(&account, Cloud::S3), number(&account, Cloud::Gcs)), (13, 13));
        account.set_success_on(Cloud::S3, "events", DAY, false);
        account.add_object_on(Cloud::Gcs, "events", DAY, "x", "y");
        assert_eq!((number(&account, Cloud::S3), number(&account, Cloud::Gcs)), (12, 14));
        let before = account.objects(Cloud::S3, "events", DAY)[0].0.clone();
        account.rewrite_day_on(Cloud::Gcs, "events", DAY, 100);
        assert_eq!(account.objects(Cloud::S3, "events", DAY)[0].0, before);
        assert_eq!(account.remove_day_on(Cloud::S3, "events", DAY), 12);
        assert_eq!((number(&account, Cloud::S3), number(&account, Cloud::Gcs)), (0, 12));
    }

    #[test]
    fn changes_act_on_one_day_only() {
        let mut account = account();
        let total = |account: &Account| account.bucket(Cloud::S3).unwrap().len();
        let before = total(&account);
        account.add_object("events", DAY, "../../escape", "x");
        account.set_success("events", DAY, false);
        assert_eq!(total(&account), before);
        let version = |account: &Account| account.objects(Cloud::S3, "events", DAY)[0].1.etag();
        let old = version(&account);
        assert!(account.replace_object("events", DAY, "../../escape", "y"));
        assert!(!account.replace_object("events", DAY, "absent", "y"));
        assert_ne!(version(&account), old);
        assert!(account.remove_object("events", DAY, "../../escape"));
        assert_eq!(account.remove_day("events", DAY), 12 + 12);
        assert_eq!(total(&account), before - 13);
    }
}
