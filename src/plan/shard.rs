//! Which days a run that works together with others begins with (design.md section 7).

use jiff::civil::date;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;

use crate::error::{Error, ErrorKind, Result};
use crate::export::Partition;
use crate::hash::crc32;

/// A run's share of the selected days: those that it begins with. It goes on with any other day that nobody
/// has taken, so a number that several runs have, or a count that is wrong, costs balance and no day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    index: u32,
    count: u32,
}

impl Shard {
    /// Share number `number` of `count`. Numbers may begin at 0 or at 1: the last one and 0 are the same.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] for no shares at all, or a number beyond them.
    pub fn new(number: u32, count: u32) -> Result<Self> {
        if count == 0 || number > count {
            let what = format!("there is no share {number} of {count}");
            return Err(Error::new(ErrorKind::Usage, what).with_hint("of N shares the numbers are 1 to N, or 0 to N-1"));
        }
        Ok(Self { index: number % count, count })
    }

    /// Number of shares.
    pub fn count(self) -> u32 {
        self.count
    }

    /// Whether a partition is in this share: by its day and type alone, never by a listing, so that runs that
    /// see the source at different times agree.
    pub fn has(self, partition: &Partition) -> bool {
        let day_number = (partition.date - date(1970, 1, 1)).get_days();
        let of_type = i64::from(crc32(partition.type_name.as_str().as_bytes()));
        (i64::from(day_number) + of_type).rem_euclid(i64::from(self.count)) == i64::from(self.index)
    }
}

/// The partitions in the order in which a run tries them: those of its share by their days, then all others in
/// an order of its own by `seed`, so that runs without work rarely try for the same day.
pub fn in_joined_order(partitions: Vec<Partition>, shard: Option<Shard>, seed: u64) -> Vec<Partition> {
    let is_own = |partition: &Partition| shard.is_some_and(|shard| shard.has(partition));
    let (mut own, mut others): (Vec<_>, Vec<_>) = partitions.into_iter().partition(is_own);
    others.shuffle(&mut StdRng::seed_from_u64(seed));
    own.append(&mut others);
    own
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::TypeName;

    fn year() -> Vec<Partition> {
        let days = date(2025, 12, 1).series(jiff::Span::new().days(1)).take(365);
        let types = ["decisions", "events"].map(|name| TypeName::parse(name).unwrap());
        days.flat_map(|date| types.clone().map(|type_name| Partition { type_name, date })).collect()
    }

    #[test]
    fn each_day_is_in_one_share_and_shares_are_even() {
        for count in [1, 2, 4, 7, 64] {
            let shards: Vec<Shard> = (1..=count).map(|number| Shard::new(number, count).unwrap()).collect();
            for partition in year() {
                assert_eq!(shards.iter().filter(|shard| shard.has(&partition)).count(), 1, "{partition}");
            }
            for shard in shards {
                let size = year().iter().filter(|partition| shard.has(partition)).count();
                assert!(size.abs_diff(730 / count as usize) <= 2, "{size} of {count}");
            }
        }
    }

    #[test]
    fn shares_are_counted_from_zero_or_from_one() {
        assert_eq!(Shard::new(0, 4).unwrap(), Shard::new(4, 4).unwrap());
        for (number, count) in [(5, 4), (0, 0), (1, 0)] {
            assert_eq!(Shard::new(number, count).unwrap_err().kind(), ErrorKind::Usage, "{number}/{count}");
        }
    }

    #[test]
    fn a_run_begins_with_its_share_and_leaves_no_day_out() {
        let shard = Shard::new(2, 4).unwrap();
        let ordered = in_joined_order(year(), Some(shard), 7);
        let own = ordered.iter().take_while(|partition| shard.has(partition)).count();
        assert_eq!(own, year().iter().filter(|partition| shard.has(partition)).count());
        assert!(ordered[..own].is_sorted_by_key(|partition| partition.date));
        let mut all = ordered;
        all.sort();
        let mut expected = year();
        expected.sort();
        assert_eq!(all, expected);
    }
}
