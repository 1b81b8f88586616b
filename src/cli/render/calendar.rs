use std::collections::BTreeMap;

use e3sync::export::{Days, TypeName};
use e3sync::status::{Calendar, Day, DayState};
use jiff::civil::Date;

use crate::cli::output::Paint;
use crate::cli::units::{Bytes, Count};

/// A week's cell for one type: seven marks with a space between.
const WEEK_WIDTH: usize = 13;

/// The calendar for people: a line for each week, a column for each type, Monday first.
pub fn calendar(calendar: &Calendar, paint: Paint) -> Vec<String> {
    let Some(days) = range(calendar) else {
        return vec!["nothing is published here yet".to_owned()];
    };
    let mut lines = vec![heading(calendar)];
    let columns: Vec<BTreeMap<Date, &Day>> =
        calendar.types.values().map(|days| days.iter().map(|day| (day.date, day)).collect()).collect();
    for monday in mondays(days) {
        let week = monday.iso_week_date();
        let cells: Vec<String> = columns.iter().map(|days| cell(days, monday, paint)).collect();
        lines.push(format!(" {}-W{:02}    {}", week.year(), week.week(), cells.join("     ").trim_end()));
    }
    lines.push(String::new());
    lines.push(format!(
        " {} published  {} partial  {} missing  {} pending  {} staged  {} damaged",
        mark(DayState::Published, paint),
        mark(DayState::Partial, paint),
        mark(DayState::Missing, paint),
        mark(DayState::Pending, paint),
        mark(DayState::Staged, paint),
        mark(DayState::Damaged, paint)
    ));
    lines.push(totals(calendar));
    lines
}

fn range(calendar: &Calendar) -> Option<Days> {
    let dates = || calendar.types.values().flatten().map(|day| day.date);
    Some(Days { from: dates().min()?, to: dates().max()? })
}

fn heading(calendar: &Calendar) -> String {
    let names = calendar.types.keys().map(|name: &TypeName| {
        let name: String = name.to_string().chars().take(WEEK_WIDTH).collect();
        format!("{name:<WEEK_WIDTH$}")
    });
    let names: Vec<String> = names.collect();
    format!("             {}", names.join("     ").trim_end())
}

fn mondays(days: Days) -> impl Iterator<Item = Date> {
    let from_monday = i64::from(days.from.weekday().to_monday_zero_offset());
    let first = days.from.saturating_sub(jiff::Span::new().days(from_monday));
    first.series(jiff::Span::new().weeks(1)).take_while(move |monday| *monday <= days.to)
}

fn cell(days: &BTreeMap<Date, &Day>, monday: Date, paint: Paint) -> String {
    let week = monday.series(jiff::Span::new().days(1)).take(7);
    let marks: Vec<String> =
        week.map(|date| days.get(&date).map_or_else(|| " ".to_owned(), |day| mark(day.state, paint))).collect();
    marks.join(" ")
}

fn mark(state: DayState, paint: Paint) -> String {
    match state {
        DayState::Published => paint.green("■"),
        DayState::Partial => paint.yellow("▤"),
        DayState::Staged => paint.yellow("~"),
        DayState::Missing => "·".to_owned(),
        DayState::Pending => paint.yellow("?"),
        DayState::Damaged => paint.red("x"),
    }
}

fn totals(calendar: &Calendar) -> String {
    let days = || calendar.types.values().flatten();
    let published = days().filter(|day| day.state == DayState::Published).count() as u64;
    let rows: Option<u64> = days().filter(|day| day.objects > 0).map(|day| day.rows).sum();
    let rows = rows.map_or_else(String::new, |rows| format!(" · {} rows", Count(rows)));
    let gap = calendar.types.iter().find_map(|(name, days)| {
        days.iter().find(|day| day.state == DayState::Missing).map(|day| format!(" · oldest gap: {name} {}", day.date))
    });
    format!(
        " {} days published · {} objects · {}{rows}{}",
        Count(published),
        Count(days().map(|day| day.objects).sum()),
        Bytes(days().map(|day| day.bytes).sum()),
        gap.unwrap_or_default()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weeks_are_lines_and_gaps_show() {
        let day =
            |date: &str, state| Day { date: date.parse().unwrap(), state, objects: 2, bytes: 1500, rows: Some(10) };
        let mut types = BTreeMap::new();
        types.insert(
            TypeName::parse("decisions").unwrap(),
            vec![
                day("2026-02-28", DayState::Published),
                day("2026-03-01", DayState::Missing),
                day("2026-03-02", DayState::Pending),
            ],
        );
        let lines = calendar(&Calendar { types }, Paint::plain());
        assert_eq!(lines[0], "             decisions");
        assert_eq!(lines[1], " 2026-W09              ■ ·");
        assert_eq!(lines[2], " 2026-W10    ?");
        assert!(lines.last().unwrap().contains("oldest gap: decisions 2026-03-01"));
    }
}
