//! What `status` tells people: the calendar, numbers, gaps, the last run.

use e3sync::destination::{LastVerification, Mode};
use e3sync::export::{Days, Scope};
use e3sync::status::{self, Day, DayState, Run, RunGroup, Status, Totals};
use jiff::Timestamp;

use super::calendar;
use super::text::{ago, flow, harmless, partitions, result, took, wrapped};
use crate::cli::output::Paint;
use crate::cli::units::{Bytes, Count, Counted};

/// Maximum number of ranges of a type's days that are shown; `--json` has every day.
const RANGES_MAX: usize = 8;

/// Maximum number of runs that shared the days and are shown one by one.
const WORKERS_MAX: usize = 8;

/// On a narrower terminal a type's details begin further to the left.
const DETAILS_INDENTED_FROM_COLUMNS: usize = 60;

/// The status in lines of at most this number of columns.
pub fn lines(status: &Status, columns: usize, paint: Paint, now: Timestamp) -> Vec<String> {
    let mut lines = calendar::weeks(&status.types, columns, paint);
    if lines.is_empty() {
        lines.push(" nothing is published here yet".to_owned());
    } else {
        lines.push(String::new());
        lines.extend(calendar::legend(columns, paint));
        lines.push(String::new());
        lines.extend(numbers(status, columns));
    }
    let groups = status::grouped(&status.runs);
    lines.extend(groups.first().into_iter().flat_map(|group| last_run(group, columns, paint, now)));
    if let Some(last) = &status.last_verification {
        lines.extend(wrapped(
            " ",
            1,
            &verified(&format!("last verification {}", ago(last.verified_at, now)), last),
            columns,
        ));
    }
    lines
}

fn numbers(status: &Status, columns: usize) -> Vec<String> {
    let longest = status.types.keys().map(|name| name.as_str().chars().count()).max().unwrap_or(0);
    let name_columns = longest.clamp("in all".len(), (columns / 3).max(8));
    // A range of days needs room more than it needs to stand under the numbers.
    let indent = if columns < DETAILS_INDENTED_FROM_COLUMNS { 3 } else { name_columns + 3 };
    let mut lines = Vec::new();
    for (name, days) in &status.types {
        let head = harmless(name.as_str());
        lines.extend(flow(&headed(&head, name_columns), indent, &parts(&Totals::of(days)), " · ", columns));
        lines.extend(details(days, indent, columns));
    }
    if status.types.len() > 1 {
        let totals = Totals::of(status.types.values().flatten());
        lines.extend(flow(&headed("in all", name_columns), indent, &parts(&totals), " · ", columns));
    }
    lines.extend(oldest_gap(status, columns));
    lines
}

/// A line's beginning. A name that is too long for it gets as far as it fits.
fn headed(name: &str, columns: usize) -> String {
    let name: String = name.chars().take(columns).collect();
    format!(" {name:<columns$}  ")
}

fn parts(totals: &Totals) -> Vec<String> {
    let published = Counted(totals.count(DayState::Published), "day", "days");
    let mut parts = vec![format!("{published} published")];
    for (state, count) in totals.days.iter().filter(|(state, _)| **state != DayState::Published) {
        parts.push(format!("{} {}", Count(*count), calendar::words(*state)));
    }
    parts.push(Counted(totals.objects, "object", "objects").to_string());
    if totals.objects_gone_at_source > 0 {
        parts.push(format!("{} of them gone at the source, kept here", Count(totals.objects_gone_at_source)));
    }
    parts.push(Bytes(totals.bytes).to_string());
    parts.extend(totals.rows.map(|rows| Counted(rows, "row", "rows").to_string()));
    parts
}

fn details(days: &[Day], indent: usize, columns: usize) -> Vec<String> {
    let blank = " ".repeat(indent);
    let newest = status::newest_complete(days);
    let newest = newest.map(|date| wrapped(&blank, indent, &format!("newest complete day {date}"), columns));
    let mut lines = newest.unwrap_or_default();
    for (head, state) in [("gaps", DayState::Missing), ("changed", DayState::Drifted), ("damaged", DayState::Damaged)] {
        let ranges = status::ranges_in(state, days);
        if !ranges.is_empty() {
            lines.extend(flow(&format!("{blank}{head}: "), indent + 2, &some_of(&ranges), ", ", columns));
        }
    }
    lines
}

fn some_of(ranges: &[Days]) -> Vec<String> {
    let mut words: Vec<String> = ranges.iter().take(RANGES_MAX).map(|days| range(*days)).collect();
    if ranges.len() > RANGES_MAX {
        words.push(format!("and {} more", ranges.len() - RANGES_MAX));
    }
    words
}

/// A range of days in words; a single day is itself.
pub fn range(days: Days) -> String {
    if days.from == days.to { days.from.to_string() } else { format!("{} .. {}", days.from, days.to) }
}

fn oldest_gap(status: &Status, columns: usize) -> Vec<String> {
    let firsts = status.types.iter().filter_map(|(name, days)| Some((status::gaps(days).first()?.from, name)));
    match firsts.min() {
        Some((date, name)) => wrapped(" ", 1, &format!("oldest gap: {} {date}", harmless(name.as_str())), columns),
        None => Vec::new(),
    }
}

fn last_run(group: &RunGroup, columns: usize, paint: Paint, now: Timestamp) -> Vec<String> {
    let RunGroup { total, workers } = group;
    let mut text = format!("last run {}, {}: {}", ago(total.started_at, now), result(total), partitions(total));
    if group.is_shared() {
        text += &format!("; {} shared the days, in {}", Counted(workers.len() as u64, "run", "runs"), took(total));
    }
    if let Some(error) = &total.stopped_by {
        text += &format!("; {}", harmless(&error.message));
    }
    let lines = wrapped(" ", 1, &text, columns);
    let mut lines = if total.exit_code == 0 { lines } else { lines.iter().map(|line| paint.yellow(line)).collect() };
    if group.is_shared() {
        lines.extend(shared(group).iter().flat_map(|line| wrapped("   ", 5, line, columns)));
    }
    lines
}

/// What each of several runs did, the slowest first, and what they asked for in all.
pub fn shared(group: &RunGroup) -> Vec<String> {
    let one = |run: &Run| {
        // When it began stands with the group.
        let worker = run.worker.as_deref().and_then(|worker| worker.split(" since ").next());
        let worker = worker.map_or_else(String::new, |worker| format!(" · {}", harmless(worker)));
        let days = Counted(run.partitions.published, "day", "days");
        format!("{days} in {}, {}{worker}", took(run), result(run))
    };
    let mut lines: Vec<String> = group.workers.iter().take(WORKERS_MAX).map(one).collect();
    if group.workers.len() > WORKERS_MAX {
        lines.push(format!("and {} more, each of them faster", group.workers.len() - WORKERS_MAX));
    }
    let requests = &group.total.requests;
    lines.push(format!(
        "{} of credentials, {} in all",
        Counted(requests.exchange, "exchange", "exchanges"),
        Counted(requests.retries, "retry", "retries")
    ));
    lines
}

/// How far the last verification went, behind words that say when it was.
pub fn verified(head: &str, last: &LastVerification) -> String {
    let what = match last.look.mode {
        Mode::Full => "SHA-256",
        Mode::Quick => "names and sizes",
    };
    let part = if last.look.selection == Scope::All { "" } else { "a part of " };
    let days = Counted(last.days, "day", "days");
    let end = if last.complete { "" } else { ", stopped before its end" };
    format!("{head}: {what} of {part}{days}{end}")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use e3sync::export::TypeName;

    use super::*;
    use crate::cli::render::text::columns_of;
    use crate::cli::render::text::tests::{days, run};

    fn status(exit_code: u8, fields: &str) -> Status {
        use DayState::{Missing, Pending, Published};
        let mut types = BTreeMap::new();
        let states = [Published, Missing, Missing, Published, Missing, Pending];
        types.insert(TypeName::parse("decisions").unwrap(), days("2026-02-28", &states));
        types.insert(TypeName::parse("events").unwrap(), days("2026-02-28", &states[..1]));
        Status { types, runs: vec![run(exit_code, fields)], ..Status::default() }
    }

    fn drawn(status: &Status, columns: usize) -> Vec<String> {
        let lines = lines(status, columns, Paint::plain(), "2026-11-20T12:30:00Z".parse().unwrap());
        assert!(lines.iter().all(|line| columns_of(line) <= columns), "{lines:#?}");
        lines
    }

    #[test]
    fn numbers_gaps_and_the_last_run_are_told() {
        let lines = drawn(&status(0, r#","partitions":{"published":14,"waiting":1}"#), 120);
        let expected = [
            " decisions  2 days published · 1 pending · 3 missing · 6 objects · 4.5 kB · 30 rows",
            "            newest complete day 2026-03-03",
            "            gaps: 2026-03-01 .. 2026-03-02, 2026-03-04",
            " events     1 day published · 2 objects · 1.5 kB · 10 rows",
            "            newest complete day 2026-02-28",
            " in all     3 days published · 1 pending · 3 missing · 8 objects · 6.0 kB · 40 rows",
            " oldest gap: decisions 2026-03-01",
            " last run 2 h ago, ok: 14 published, 1 waiting",
        ];
        assert_eq!(lines[lines.len() - expected.len()..], expected);
    }

    #[test]
    fn a_failed_run_says_why_on_any_width() {
        let fields = r#","stopped_by":{"kind":"token_refused","message":"the vendor refused the token\u001b[2J"}"#;
        for columns in [40, 80, 120] {
            let lines = drawn(&status(4, fields), columns);
            let text = lines.join(" ").split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(text.contains("failed (exit code 4): nothing looked at; the vendor refused the token\u{fffd}"));
        }
    }

    #[test]
    fn an_empty_destination_says_so() {
        assert_eq!(drawn(&Status::default(), 40), [" nothing is published here yet"]);
    }
}
