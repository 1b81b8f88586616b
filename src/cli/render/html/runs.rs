//! The page's table of runs.

use e3sync::status::{self, Run, RunGroup};

use super::overview::minute;
use super::writer::Html;
use super::{Column, class_of, column_heads, scroll_box};
use crate::cli::render::status::shared;
use crate::cli::render::text::{asked, harmless, partitions, result, took};
use crate::cli::units::{Bytes, Count, Counted};

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
    for group in status::grouped(runs) {
        let run = &group.total;
        html.open("tr", &[("class", class_of(run))]);
        html.element("th", &[("scope", "row")], minute(run.started_at));
        html.element("td", &[], asked(run));
        html.open("td", &[("class", "words result")]);
        html.element("b", &[], result(run));
        if let Some(error) = &run.stopped_by {
            html.text(format_args!(" {}", harmless(&error.message)));
        }
        html.close("td");
        html.open("td", &[("class", "words")]);
        html.text(partitions(run));
        if group.is_shared() {
            workers(html, &group);
        }
        html.close("td");
        html.element("td", &[("class", "number")], Bytes(run.bytes.transferred));
        html.element("td", &[("class", "number")], took(run));
        html.element("td", &[("class", "number")], Count(run.requests.retries));
        html.element("td", &[("class", "number")], Count(run.credentials_renewed));
        html.close_line("tr");
    }
    html.raw("</tbody></table>");
}

/// What each of several runs did that shared the days.
fn workers(html: &mut Html, group: &RunGroup) {
    html.raw("<details><summary>");
    html.text(format_args!("{} shared the days", Counted(group.workers.len() as u64, "run", "runs")));
    html.raw("</summary><ul>");
    for line in shared(group) {
        html.element("li", &[], line);
    }
    html.raw("</ul></details>");
}
