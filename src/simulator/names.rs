//! Names as the export spells them (domain.md section 3): sub-partitions, part files, partition folders.

use super::account::Cloud;
use super::seed::{Dice, derive_uuid};
use jiff::civil::Date;

/// The marker of a complete day.
pub(crate) const SUCCESS: &str = "_SUCCESS";

/// What Spark puts for a missing value of a partition column.
pub(crate) const HIVE_DEFAULT: &str = "__HIVE_DEFAULT_PARTITION__";

const EVENTS: [&str; 8] = [
    "add_to_cart",
    "purchase",
    "homepage_view",
    "detail_page_view",
    "search",
    "checkout_started",
    "newsletter_signup",
    "video_played",
];

const ODD_EVENTS: [&str; 6] =
    ["Main_Nav_javascript:void(0);", "NULL", HIVE_DEFAULT, "Größe wählen & weiter 日本", "Signup", "signup"];

/// The folder of one partition below the account, with its trailing slash.
pub(crate) fn partition_folder(type_name: &str, date: Date) -> String {
    format!("type={type_name}/date={date}/")
}

/// True for types whose rows are decisions; every other type holds conversions.
pub(crate) fn holds_decisions(type_name: &str) -> bool {
    type_name.starts_with("decisions")
}

/// The sub-partition column of a type: `experiment` for decisions, `event` for all else.
pub(crate) fn column(type_name: &str) -> &'static str {
    if holds_decisions(type_name) { "experiment" } else { "event" }
}

/// The sub-partition values of a type, not yet escaped: the odd ones if wanted, then `ordinary` plain ones.
pub(crate) fn subpartitions(seed: u64, type_name: &str, ordinary: u32, odd: bool) -> Vec<String> {
    let mut names = match (odd, holds_decisions(type_name)) {
        (false, _) => Vec::new(),
        (true, true) => vec!["12".to_owned(), "123".to_owned()],
        (true, false) => odd_events(),
    };
    if holds_decisions(type_name) {
        let mut dice = Dice::new(seed, &["experiments"]);
        names.extend((0..ordinary).map(|_| dice.between(18_000_000_000, 29_999_999_999).to_string()));
    } else {
        names.extend((0..ordinary as usize).map(ordinary_event));
    }
    names
}

fn ordinary_event(index: usize) -> String {
    EVENTS.get(index).map_or_else(|| format!("custom_event_{index:05}"), |&name| name.to_owned())
}

/// The odd names, the last of which is longer than the 255 bytes that a file name may have.
fn odd_events() -> Vec<String> {
    let long = "Checkout: step \"payment\" / ".repeat(10);
    ODD_EVENTS.iter().map(|&name| name.to_owned()).chain([long]).collect()
}

/// Escapes a partition value as Spark and Hive do: listed characters as `%XX`, all others raw.
pub(crate) fn hive_escape(value: &str) -> String {
    let mut escaped = String::with_capacity(value.len());
    for character in value.chars() {
        if character.is_ascii_control() || "\"#%'*/:=?\\{[]^".contains(character) {
            escaped.push_str(&format!("%{:02X}", u32::from(character)));
        } else {
            escaped.push(character);
        }
    }
    escaped
}

/// The file name of one part. All parts of a writer job share its UUID.
pub(crate) fn part(index: u32, writer: &str) -> String {
    format!("part-{index:05}-{writer}.c000.snappy.parquet")
}

/// The UUID of the writer job of one partition: another one after every rewrite, and on another cloud.
pub(crate) fn writer(seed: u64, cloud: Cloud, type_name: &str, date: Date, revision: u32) -> String {
    derive_uuid(seed, &["writer", cloud.scheme(), type_name, &date.to_string(), &revision.to_string()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_escaped_like_the_ones_seen() {
        assert_eq!(hive_escape("Main_Nav_javascript:void(0);"), "Main_Nav_javascript%3Avoid(0);");
        assert_eq!(hive_escape("100% \u{1} größer"), "100%25 %01 größer");
    }

    #[test]
    fn the_odd_names_hold_what_the_export_was_seen_or_expected_to_hold() {
        let events = subpartitions(1, "events", 2, true);
        assert!(events.iter().any(|name| hive_escape(name).len() > 255));
        assert!(events.contains(&"Signup".to_owned()) && events.contains(&"signup".to_owned()));
        assert_eq!(&subpartitions(1, "decisions-rerun", 1, true)[..2], ["12", "123"]);
        assert_eq!(subpartitions(1, "events", 10, false).len(), 10);
    }

    #[test]
    fn another_revision_or_cloud_has_another_writer() {
        let date = jiff::civil::date(2026, 11, 20);
        let first = writer(1, Cloud::S3, "events", date, 0);
        assert_eq!(first, writer(1, Cloud::S3, "events", date, 0));
        assert_ne!(first, writer(1, Cloud::S3, "events", date, 1));
        assert_ne!(first, writer(1, Cloud::Gcs, "events", date, 0));
    }
}
