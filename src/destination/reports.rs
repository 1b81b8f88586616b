//! The reports of runs in a destination: which are the newest, and which are kept.

use std::collections::HashSet;

/// How many of the newest reports are kept, however many there are of a day.
const NEWEST_KEPT: usize = 100;

/// How many reports are kept in all; of those that are not among the newest, the last of each day.
const KEPT_MAX: usize = 500;

/// The length of the day in a report's name, `20261120T101500.000Z-1a2b3c4d.json`.
const DAY_CHARACTERS: usize = 8;

/// The newest reports' names: they begin with the time.
pub(super) fn newest_first(mut names: Vec<String>, count_max: usize) -> Vec<String> {
    names.sort();
    names.into_iter().rev().take(count_max).collect()
}

/// The names of the reports that are removed after a run. What is no report's name is left alone.
pub(super) fn superfluous(names: Vec<String>) -> Vec<String> {
    let reports: Vec<String> = names.into_iter().filter(|name| day_of(name).is_some()).collect();
    let mut kept = 0;
    let mut days = HashSet::new();
    let is_superfluous = |(index, name): (usize, String)| {
        let is_last_of_its_day = day_of(&name).is_some_and(|day| days.insert(day.to_owned()));
        let is_kept = kept < KEPT_MAX && (index < NEWEST_KEPT || is_last_of_its_day);
        kept += usize::from(is_kept);
        (!is_kept).then_some(name)
    };
    newest_first(reports, usize::MAX).into_iter().enumerate().filter_map(is_superfluous).collect()
}

fn day_of(name: &str) -> Option<&str> {
    let day = name.get(..DAY_CHARACTERS)?;
    let is_report = name.ends_with(".json") && name.as_bytes().get(DAY_CHARACTERS) == Some(&b'T');
    (is_report && day.bytes().all(|byte| byte.is_ascii_digit())).then_some(day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(day: u32, hour: u32) -> String {
        format!("{:08}T{hour:02}0000.000Z-00000000.json", 20_000_000 + day)
    }

    #[test]
    fn the_newest_reports_and_the_last_of_each_older_day_are_kept() {
        let mut names: Vec<String> = (0..60).flat_map(|day| (0..4).map(move |hour| name(day, hour))).collect();
        names.push("notes.json".into());
        let removed: HashSet<String> = superfluous(names.clone()).into_iter().collect();
        let kept: Vec<&String> = names.iter().filter(|name| !removed.contains(*name)).collect();
        assert_eq!(kept.len(), 1 + 100 + 35, "25 days whole, and one report of each of 35 days");
        assert!(
            kept.contains(&&"notes.json".to_owned()) && kept.contains(&&name(0, 3)) && !kept.contains(&&name(0, 2))
        );
        assert!(superfluous(names[..100].to_vec()).is_empty());
    }

    #[test]
    fn reports_never_grow_without_end() {
        let names: Vec<String> = (0..3000).map(|day| name(day, 1)).collect();
        assert_eq!(superfluous(names).len(), 3000 - KEPT_MAX);
    }
}
