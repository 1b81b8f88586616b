//! The page's table of runs.

use e3sync::status::Run;

use super::overview::minute;
use super::writer::Html;
use super::{Column, class_of, column_heads, scroll_box};
use crate::cli::render::text::{asked, harmless, partitions, result, took};
use crate::cli::units::{Bytes, Count};

const COLUMNS: [Column; 8] = [
    ("when", false),
    ("asked for", false),
    ("result", false),
    ("days", false),
    ("bytes", true),
    ("time", true),
    ("retries", true),
    ("renewals", true),
];

/// The last runs as a table.
pub fn section(html: &mut Html, runs: &[Run]) {
    html.raw("<section>\n<h2>Last runs</h2>\n");
    if runs.is_empty() {
        html.element("p", &[], "No run has left a report here.");
    } else {
        scroll_box(html, "scroll", "Last runs", |html| table(html, runs));
    }
    html.close_line("section");
}

fn table(html: &mut Html, runs: &[Run]) {
    html.raw("<table class=\"runs\"><caption>The last runs, the newest first</caption>\n");
    column_heads(html, &COLUMNS);
    html.raw("<tbody>\n");
    for run in runs {
        html.open("tr", &[("class", class_of(run))]);
        html.element("th", &[("scope", "row")], minute(run.started_at));
        html.element("td", &[], asked(run));
        html.open("td", &[("class", "words result")]);
        html.element("b", &[], result(run));
        if let Some(error) = &run.stopped_by {
            html.text(format_args!(" {}", harmless(&error.message)));
        }
        html.close("td");
        html.element("td", &[("class", "words")], partitions(run));
        html.element("td", &[("class", "number")], Bytes(run.bytes.transferred));
        html.element("td", &[("class", "number")], took(run));
        html.element("td", &[("class", "number")], Count(run.requests.retries));
        html.element("td", &[("class", "number")], Count(run.credentials_renewed));
        html.close_line("tr");
    }
    html.raw("</tbody></table>");
}
