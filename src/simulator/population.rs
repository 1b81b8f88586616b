//! Which part files a day has, decided by the settings and the seed.

use super::account::Cloud;
use super::data::Rows;
use super::names::{column, hive_escape, holds_decisions, part, subpartitions, writer};
use super::object::Material;
use super::seed::Dice;
use super::settings::{Content, Settings};
use jiff::civil::Date;

/// The scale of a day that keeps its size.
pub(crate) const WHOLE_PERCENT: u32 = 100;

/// One part file of a day.
pub(crate) struct Part {
    /// The key below the partition: sub-partition folder and file name.
    pub(crate) name: String,
    type_name: String,
    date: Date,
    revision: u32,
    subpartition: String,
    index: u32,
}

/// The part files of a day. Clouds differ in the names only.
pub(crate) fn parts(
    settings: &Settings,
    cloud: Cloud,
    type_name: &str,
    date: Date,
    revision: u32,
) -> impl Iterator<Item = Part> + use<> {
    let folders = subpartitions(settings.seed, type_name, settings.subpartitions, settings.odd_names);
    let writer = writer(settings.seed, cloud, type_name, date, revision);
    let type_name = type_name.to_owned();
    (0..settings.objects_per_day as usize).map(move |object| {
        let subpartition = folders[object % folders.len()].clone();
        let index = (object / folders.len()) as u32;
        let folder = format!("{}={}", column(&type_name), hive_escape(&subpartition));
        let name = format!("{folder}/{}", part(index, &writer));
        Part { name, type_name: type_name.clone(), date, revision, subpartition, index }
    })
}

impl Part {
    /// The bytes of the part, `percent` of their usual amount.
    pub(crate) fn material(&self, settings: &Settings, percent: u32) -> Material {
        match &settings.content {
            Content::Parquet { rows } => {
                let rows = self.amount(settings.seed, u64::from(*rows.start()), u64::from(*rows.end()));
                Material::parquet(self.rows(settings, scaled(rows, percent) as u32))
            }
            Content::Noise { size_bytes } => {
                let size_bytes = self.amount(settings.seed, *size_bytes.start(), *size_bytes.end());
                let identity = format!("{}/{}/{}", self.type_name, self.subpartition, self.place());
                Material::noise(settings.seed, &identity, scaled(size_bytes, percent))
            }
        }
    }

    /// What tells the parts of a sub-partition apart. The file name would differ between clouds.
    fn place(&self) -> String {
        format!("{}/{}/{}", self.date, self.index, self.revision)
    }

    fn amount(&self, seed: u64, first: u64, last: u64) -> u64 {
        Dice::new(seed, &["amount", &self.type_name, &self.subpartition, &self.place()]).between(first, last)
    }

    fn rows(&self, settings: &Settings, count: u32) -> Rows {
        Rows {
            seed: settings.seed,
            account_id: settings.account_id.clone(),
            decisions: holds_decisions(&self.type_name),
            date: self.date,
            subpartition: self.subpartition.clone(),
            part: self.index,
            revision: self.revision,
            count,
        }
    }
}

/// Rounded up, so that nothing shrinks to nothing.
fn scaled(amount: u64, percent: u32) -> u64 {
    (u128::from(amount) * u128::from(percent)).div_ceil(u128::from(WHOLE_PERCENT)) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_take_the_subpartitions_in_turn() {
        let start = "2026-11-21T13:00:00Z".parse().unwrap();
        let settings = Settings { objects_per_day: 5, subpartitions: 2, odd_names: false, ..Settings::new(start) };
        let date = jiff::civil::date(2026, 11, 20);
        let names: Vec<_> = parts(&settings, Cloud::S3, "events", date, 0).map(|part| part.name).collect();
        assert!(names[0].starts_with("event=add_to_cart/part-00000-"));
        assert!(names[4].starts_with("event=add_to_cart/part-00002-"));
    }

    #[test]
    fn a_share_of_something_is_something() {
        assert_eq!((scaled(10, 33), scaled(1, 1), scaled(0, 50)), (4, 1, 0));
    }
}
