//! The page's calendar: one square for each day of each type.

use std::collections::BTreeMap;

use e3sync::export::TypeName;
use e3sync::status::{Day, DayState};
use jiff::civil::{Date, Weekday};

use super::writer::Html;
use crate::cli::render::calendar::{mark, words};
use crate::cli::render::text::harmless;
use crate::cli::units::{Bytes, Counted};

/// Shades of a day with data, from little to much.
const LEVELS: u64 = 4;

/// Number of months shown; earlier ones are folded up.
const MONTHS_OPEN: usize = 12;

const WEEKDAYS: [(&str, &str); 7] = [
    ("Mo", "Monday"),
    ("Tu", "Tuesday"),
    ("We", "Wednesday"),
    ("Th", "Thursday"),
    ("Fr", "Friday"),
    ("Sa", "Saturday"),
    ("Su", "Sunday"),
];

/// The calendar as a heat map: a small table for each month, which stand side by side as far as
/// there is room. Nothing is told by colour alone: each state has its mark, its border and its name.
pub fn section(html: &mut Html, name: &TypeName, days: &[Day]) {
    let scale = Scale::of(days);
    html.element("h3", &[], format!("Calendar of {name}"));
    html.raw("<p class=\"scale\" aria-hidden=\"true\">less ");
    for level in 1..=LEVELS {
        html.element("span", &[("class", &format!("day published l{level}"))], "");
    }
    html.text(format_args!(" more {}", scale.measure.name()));
    html.close_line("p");
    let mut months: BTreeMap<Date, Vec<&Day>> = BTreeMap::new();
    for day in days {
        months.entry(day.date.first_of_month()).or_default().push(day);
    }
    let months: Vec<Vec<&Day>> = months.into_values().collect();
    let (earlier, last) = months.split_at(months.len().saturating_sub(MONTHS_OPEN));
    if !earlier.is_empty() {
        html.raw("<details class=\"earlier\">");
        html.element("summary", &[], format!("{} earlier months", earlier.len()));
        grid(html, earlier, &scale);
        html.close_line("details");
    }
    grid(html, last, &scale);
}

fn grid(html: &mut Html, months: &[Vec<&Day>], scale: &Scale) {
    html.raw("<div class=\"months\">\n");
    months.iter().for_each(|days| month(html, days, scale));
    html.close_line("div");
}

/// What a plot or a shade tells of a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// The number of rows.
    Rows,
    /// The number of bytes.
    Bytes,
}

impl Measure {
    pub fn name(self) -> &'static str {
        match self {
            Self::Rows => "rows",
            Self::Bytes => "bytes",
        }
    }

    pub fn of(self, day: &Day) -> u64 {
        match self {
            Self::Rows => day.rows.unwrap_or(0),
            Self::Bytes => day.bytes,
        }
    }
}

/// What number has which shade.
struct Scale {
    measure: Measure,
    /// Few days have more; they share the fullest shade, so that one of them does not pale all others.
    much: u64,
}

impl Scale {
    fn of(days: &[Day]) -> Self {
        let has_rows = days.iter().all(|day| day.objects == 0 || day.rows.is_some());
        let measure = if has_rows { Measure::Rows } else { Measure::Bytes };
        let mut numbers: Vec<u64> = days.iter().map(|day| measure.of(day)).filter(|number| *number > 0).collect();
        numbers.sort_unstable();
        let much = numbers.get(numbers.len() * 19 / 20).or(numbers.last()).copied().unwrap_or(1);
        Self { measure, much }
    }

    fn level(&self, day: &Day) -> u64 {
        let share = u128::from(self.measure.of(day)) * u128::from(LEVELS);
        u64::try_from(share.div_ceil(u128::from(self.much))).map_or(LEVELS, |level| level.clamp(1, LEVELS))
    }
}

fn month(html: &mut Html, days: &[&Day], scale: &Scale) {
    let Some(first) = days.first().map(|day| day.date.first_of_month()) else { return };
    html.raw("<table class=\"month\">");
    html.element("caption", &[], first.strftime("%B %Y"));
    html.raw("<thead><tr>");
    for (short, long) in WEEKDAYS {
        html.element("th", &[("scope", "col"), ("abbr", long)], short);
    }
    html.raw("</tr></thead><tbody>\n<tr>");
    (0..first.weekday().to_monday_zero_offset()).for_each(|_| html.raw("<td></td>"));
    let known: BTreeMap<Date, &&Day> = days.iter().map(|day| (day.date, day)).collect();
    for date in first.series(jiff::Span::new().days(1)).take(usize::try_from(first.days_in_month()).unwrap_or(0)) {
        if date.weekday() == Weekday::Monday && date != first {
            html.raw("</tr>\n<tr>");
        }
        match known.get(&date) {
            Some(day) => cell(html, day, scale),
            None => html.element("td", &[("class", "none")], date.day()),
        }
    }
    html.raw("</tr></tbody></table>\n");
}

fn cell(html: &mut Html, day: &Day, scale: &Scale) {
    let shade = if day.objects > 0 { format!(" l{}", scale.level(day)) } else { String::new() };
    let marked = if day.state == DayState::Published { "" } else { " marked" };
    let class = format!("day {}{marked}{shade}", day.state.name());
    html.open("td", &[("class", &class), ("title", &sentence(day))]);
    html.text(day.date.day());
    if day.state != DayState::Published {
        html.element("i", &[("aria-hidden", "true")], mark(day.state));
    }
    html.element("span", &[("class", "unseen")], format_args!(" {}", words(day.state)));
    html.close("td");
}

/// A day in words.
pub fn sentence(day: &Day) -> String {
    let mut text = format!("{}: {}", day.date, words(day.state));
    if day.objects > 0 {
        text += &format!(" · {} · {}", Counted(day.objects, "object", "objects"), Bytes(day.bytes));
        text += &day.rows.map_or_else(String::new, |rows| format!(" · {}", Counted(rows, "row", "rows")));
    }
    if let Some(reason) = &day.reason {
        text += &format!(" · {}", harmless(reason));
    }
    text
}
