//! The page's table of days.

use e3sync::export::TypeName;
use e3sync::status::Day;

use super::overview::minute;
use super::writer::Html;
use super::{Column, column_heads, scroll_box};
use crate::cli::render::calendar::words;
use crate::cli::render::text::harmless;
use crate::cli::units::{Bytes, Count, Counted};

const COLUMNS: [Column; 7] = [
    ("day", false),
    ("state", false),
    ("objects", true),
    ("bytes", true),
    ("rows", true),
    ("published", false),
    ("why", false),
];

/// Every day as a row, for those who do not see the plots or want the numbers.
pub fn section(html: &mut Html, name: &TypeName, days: &[Day]) {
    html.raw("<details>");
    let count = Counted(days.len() as u64, "day", "days");
    html.element("summary", &[], format!("All {count} of {name} as a table"));
    scroll_box(html, "scroll", &format!("Days of {name}"), |html| table(html, name, days));
    html.close_line("details");
}

fn table(html: &mut Html, name: &TypeName, days: &[Day]) {
    html.raw("<table class=\"days\">");
    html.element("caption", &[], format!("Days of {name}, the newest first"));
    column_heads(html, &COLUMNS);
    html.raw("<tbody>\n");
    for day in days.iter().rev() {
        let has_data = day.objects > 0;
        let number = |text: String| if has_data { text } else { String::new() };
        html.raw("<tr>");
        html.element("th", &[("scope", "row")], day.date);
        html.element("td", &[], words(day.state));
        html.element("td", &[("class", "number")], number(Count(day.objects).to_string()));
        html.element("td", &[("class", "number")], number(Bytes(day.bytes).to_string()));
        let rows = day.rows.map_or_else(|| "unknown".to_owned(), |rows| Count(rows).to_string());
        html.element("td", &[("class", "number")], number(rows));
        html.element("td", &[], day.published_at.map(minute).unwrap_or_default());
        html.element("td", &[("class", "words")], day.reason.as_deref().map(harmless).unwrap_or_default());
        html.close_line("tr");
    }
    html.raw("</tbody></table>");
}
