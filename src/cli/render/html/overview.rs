//! The head of the page: what is there, what is missing, in sentences.

use e3sync::status::{self, DayState, RunGroup, Status, Totals};

use super::writer::Html;
use super::{Column, class_of, column_heads, scroll_box};
use crate::cli::render::calendar::words;
use crate::cli::render::status::{range, verified};
use crate::cli::render::text::{partitions, result};
use crate::cli::units::{Bytes, Count, Counted};

/// Maximum number of ranges of a type's days that are named.
const RANGES_MAX: usize = 30;

const COLUMNS: [Column; 7] = [
    ("type", false),
    ("newest complete day", false),
    ("published", true),
    ("other states", false),
    ("objects", true),
    ("bytes", true),
    ("rows", true),
];

/// The whole in a sentence, under the title.
pub fn sentence(html: &mut Html, status: &Status) {
    let totals = Totals::of(status.types.values().flatten());
    if status.types.is_empty() {
        html.element("p", &[], "Nothing is published here yet.");
        return;
    }
    let rows = totals.rows.map_or_else(String::new, |rows| format!(", {}", Counted(rows, "row", "rows")));
    let published = Counted(totals.count(DayState::Published), "day", "days");
    let objects = Counted(totals.objects, "object", "objects");
    let text = format!("{published} published: {objects}, {}{rows}.", Bytes(totals.bytes));
    html.element("p", &[("class", "sentence")], text);
}

/// The numbers, the last run and the gaps of all types.
pub fn section(html: &mut Html, status: &Status) {
    if status.types.is_empty() {
        return;
    }
    html.raw("<section>\n<h2>Overview</h2>\n");
    if let Some(RunGroup { total: run, .. }) = status::grouped(&status.runs).first() {
        let class = format!("run {}", class_of(run));
        let text = format!("Last run {}: {}, {}.", minute(run.started_at), result(run), partitions(run));
        html.element("p", &[("class", &class)], text);
    }
    if let Some(last) = &status.last_verification {
        let head = format!("Last verification {}", minute(last.verified_at));
        html.element("p", &[], format!("{}.", verified(&head, last)));
    }
    scroll_box(html, "scroll", "Numbers by type", |html| numbers(html, status));
    html.raw("<h3>Gaps</h3>\n");
    ranges(html, status, DayState::Missing);
    if status.types.values().flatten().any(|day| day.state == DayState::Damaged) {
        html.raw("<h3>Damaged days</h3>\n");
        ranges(html, status, DayState::Damaged);
    }
    html.close_line("section");
}

fn numbers(html: &mut Html, status: &Status) {
    html.raw("<table class=\"numbers\"><caption>Each type in numbers</caption>\n");
    column_heads(html, &COLUMNS);
    html.raw("<tbody>\n");
    for (name, days) in &status.types {
        let newest = status::newest_complete(days).map_or_else(|| "none".to_owned(), |date| date.to_string());
        row(html, name.as_str(), &newest, &Totals::of(days));
    }
    if status.types.len() > 1 {
        row(html, "in all", "", &Totals::of(status.types.values().flatten()));
    }
    html.raw("</tbody></table>");
}

fn row(html: &mut Html, name: &str, newest: &str, totals: &Totals) {
    let others = totals.days.iter().filter(|(state, _)| **state != DayState::Published);
    let others: Vec<String> = others.map(|(state, count)| format!("{} {}", Count(*count), words(*state))).collect();
    html.raw("<tr>");
    html.element("th", &[("scope", "row")], name);
    html.element("td", &[], newest);
    html.element("td", &[("class", "number")], Count(totals.count(DayState::Published)));
    html.element("td", &[], if others.is_empty() { "none".to_owned() } else { others.join(", ") });
    html.element("td", &[("class", "number")], Count(totals.objects));
    html.element("td", &[("class", "number")], Bytes(totals.bytes));
    let rows = totals.rows.map_or_else(|| "unknown".to_owned(), |rows| Count(rows).to_string());
    html.element("td", &[("class", "number")], rows);
    html.close_line("tr");
}

/// Each type's days in a state.
fn ranges(html: &mut Html, status: &Status, state: DayState) {
    html.raw("<ul class=\"gaps\">\n");
    for (name, days) in &status.types {
        let ranges = status::ranges_in(state, days);
        html.raw("<li>");
        html.element("b", &[], name);
        html.raw(if ranges.is_empty() { ": none" } else { ": " });
        for (index, days) in ranges.iter().take(RANGES_MAX).enumerate() {
            html.raw(if index == 0 { "" } else { ", " });
            html.element("span", &[("class", "nowrap")], range(*days));
        }
        if ranges.len() > RANGES_MAX {
            html.text(format_args!(", and {} more", ranges.len() - RANGES_MAX));
        }
        html.close_line("li");
    }
    html.raw("</ul>\n");
}

/// A time for people, to the minute.
pub fn minute(time: jiff::Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M UTC").to_string()
}
