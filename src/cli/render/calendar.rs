//! The calendar in a terminal: a line for each week, a column for each type as far as they fit.

use std::collections::BTreeMap;

use e3sync::export::{Days, TypeName};
use e3sync::status::{Day, DayState};
use jiff::civil::Date;

use super::text::{flow, harmless};
use crate::cli::output::Paint;

/// What stands before the weeks: ` 2026-W09    `.
const LABEL_COLUMNS: usize = 13;

/// A week's cell for one type: seven marks with a space between.
const WEEK_COLUMNS: usize = 13;

/// What stands between two types.
const GAP_COLUMNS: usize = 5;

/// The weeks of all types, Monday first, in lines of at most this number of columns.
///
/// Types stand side by side where they fit, else in groups below each other.
pub fn weeks(types: &BTreeMap<TypeName, Vec<Day>>, columns: usize, paint: Paint) -> Vec<String> {
    let room = columns.saturating_sub(LABEL_COLUMNS) + GAP_COLUMNS;
    let side_by_side = (room / (WEEK_COLUMNS + GAP_COLUMNS)).max(1);
    let types: Vec<(&TypeName, &Vec<Day>)> = types.iter().filter(|(_, days)| !days.is_empty()).collect();
    let mut lines = Vec::new();
    for group in types.chunks(side_by_side) {
        if !lines.is_empty() {
            lines.push(String::new());
        }
        lines.extend(group_of_types(group, paint));
    }
    lines
}

fn group_of_types(types: &[(&TypeName, &Vec<Day>)], paint: Paint) -> Vec<String> {
    let dates = || types.iter().flat_map(|(_, days)| days.iter()).map(|day| day.date);
    let Some((from, to)) = dates().min().zip(dates().max()) else { return Vec::new() };
    let mut lines = vec![heading(types)];
    let marks: Vec<BTreeMap<Date, DayState>> =
        types.iter().map(|(_, days)| days.iter().map(|day| (day.date, day.state)).collect()).collect();
    for monday in mondays(Days { from, to }) {
        let week = monday.iso_week_date();
        let cells: Vec<String> = marks.iter().map(|marks| cell(marks, monday, paint)).collect();
        let label = format!(" {}-W{:02}", week.year(), week.week());
        let line = format!("{label:<LABEL_COLUMNS$}{}", cells.join(&" ".repeat(GAP_COLUMNS)));
        lines.push(line.trim_end().to_owned());
    }
    lines
}

fn heading(types: &[(&TypeName, &Vec<Day>)]) -> String {
    let names: Vec<String> = types.iter().map(|(name, _)| format!("{:<WEEK_COLUMNS$}", shortened(name))).collect();
    format!("{:LABEL_COLUMNS$}{}", "", names.join(&" ".repeat(GAP_COLUMNS))).trim_end().to_owned()
}

fn shortened(name: &TypeName) -> String {
    // A folder's name may have anything in it.
    let name = harmless(name.as_str());
    if name.chars().count() <= WEEK_COLUMNS {
        return name;
    }
    name.chars().take(WEEK_COLUMNS - 1).chain(['…']).collect()
}

/// The Mondays of the weeks that have these days.
fn mondays(days: Days) -> impl Iterator<Item = Date> {
    let from_monday = i64::from(days.from.weekday().to_monday_zero_offset());
    let first = days.from.saturating_sub(jiff::Span::new().days(from_monday));
    first.series(jiff::Span::new().weeks(1)).take_while(move |monday| *monday <= days.to)
}

fn cell(marks: &BTreeMap<Date, DayState>, monday: Date, paint: Paint) -> String {
    let week = monday.series(jiff::Span::new().days(1)).take(7);
    let marks: Vec<String> =
        week.map(|date| marks.get(&date).map_or_else(|| " ".to_owned(), |state| painted(*state, paint))).collect();
    marks.join(" ")
}

/// What the marks mean.
pub fn legend(columns: usize, paint: Paint) -> Vec<String> {
    let parts = DayState::ALL.map(|state| format!("{} {}", painted(state, paint), words(state)));
    flow(" ", 1, &parts, "  ", columns)
}

/// A state's mark, the same in the terminal and on the page.
pub fn mark(state: DayState) -> &'static str {
    match state {
        DayState::Published => "■",
        DayState::Partial => "▤",
        DayState::Pending => "?",
        DayState::Drifted => "!",
        DayState::Expired => "○",
        DayState::Staged => "~",
        DayState::Missing => "·",
        DayState::Damaged => "x",
    }
}

fn painted(state: DayState, paint: Paint) -> String {
    let mark = mark(state);
    match state {
        DayState::Published => paint.green(mark),
        DayState::Partial | DayState::Pending | DayState::Staged | DayState::Drifted => paint.yellow(mark),
        DayState::Expired => paint.cyan(mark),
        DayState::Missing => mark.to_owned(),
        DayState::Damaged => paint.red(mark),
    }
}

/// A state in the words of the legend.
pub fn words(state: DayState) -> &'static str {
    match state {
        DayState::Drifted => "changed at the source",
        DayState::Expired => "expired there, kept here",
        other => other.name(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::render::text::columns_of;
    use crate::cli::render::text::tests::days;

    fn three_types() -> BTreeMap<TypeName, Vec<Day>> {
        use DayState::{Damaged, Drifted, Expired, Missing, Partial, Pending, Published, Staged};
        let states = [Expired, Published, Missing, Pending, Drifted, Partial, Damaged, Staged];
        ["decisions", "decisions-of-a-rerun", "events"]
            .map(|name| (TypeName::parse(name).unwrap(), days("2026-02-27", &states)))
            .into()
    }

    fn drawn(columns: usize) -> Vec<String> {
        let lines = weeks(&three_types(), columns, Paint::plain());
        assert!(lines.iter().all(|line| columns_of(line) <= columns), "{lines:#?}");
        lines
    }

    #[test]
    fn forty_columns_have_one_type_beside_the_other_below() {
        let lines = drawn(40);
        assert_eq!(lines[0], "             decisions");
        assert_eq!(lines[1], " 2026-W09            ○ ■ ·");
        assert_eq!(lines[2], " 2026-W10    ? ! ▤ x ~");
        assert_eq!(lines[3], "");
        assert_eq!(lines[4], "             decisions-of…");
        assert_eq!(lines.len(), 11);
    }

    #[test]
    fn eighty_columns_have_three_types_side_by_side() {
        let lines = drawn(80);
        assert_eq!(lines[0], "             decisions         decisions-of…     events");
        assert_eq!(lines[1], " 2026-W09            ○ ■ ·             ○ ■ ·             ○ ■ ·");
        assert_eq!(lines[2], " 2026-W10    ? ! ▤ x ~         ? ! ▤ x ~         ? ! ▤ x ~");
        assert_eq!(drawn(120), lines);
    }

    #[test]
    fn a_terminal_of_no_width_is_no_reason_to_panic() {
        assert_eq!(weeks(&three_types(), 0, Paint::plain()).len(), 11);
        assert_eq!(legend(0, Paint::plain()).len(), 8);
    }

    #[test]
    fn the_legend_flows() {
        for columns in [40, 80, 120] {
            let lines = legend(columns, Paint::plain());
            assert!(lines.iter().all(|line| columns_of(line) <= columns), "{lines:#?}");
            let coloured = legend(columns, Paint::coloured());
            assert_eq!(coloured.len(), lines.len(), "colours take no room");
        }
        assert_eq!(
            legend(80, Paint::plain()),
            [
                " ■ published  ▤ partial  ? pending  ! changed at the source",
                " ○ expired there, kept here  ~ staged  · missing  x damaged"
            ]
        );
    }
}
