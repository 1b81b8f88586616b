//! The page of `status --html`: one file, no script, nothing loaded from anywhere. The same data
//! give the same bytes, so that a page that has not changed need not be published again.

mod calendar;
mod days;
mod overview;
mod plot;
mod runs;
mod writer;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use e3sync::status::{DayState, Run, Status};
use sha2::{Digest as _, Sha256};

use self::writer::{Attributes, Html};
use super::calendar::{mark, words};

/// The page's only style sheet.
const STYLE: &str = include_str!("style.css");

/// The page about a destination, whose address is `address`.
pub fn page(status: &Status, address: &str) -> String {
    let title = match &status.account_id {
        Some(account_id) => format!("Mirror of account {account_id}"),
        None => "No mirror yet".to_owned(),
    };
    let mut html = Html::default();
    head(&mut html, &title);
    html.raw("<body>\n<header>\n");
    html.element("h1", &[], &title);
    html.element("p", &[("class", "where")], address);
    overview::sentence(&mut html, status);
    html.raw("\n</header>\n<main>\n");
    overview::section(&mut html, status);
    for (name, days) in &status.types {
        html.raw("<section>\n");
        html.element("h2", &[], format!("Type {name}"));
        calendar::section(&mut html, name, days);
        plot::section(&mut html, name, days);
        days::section(&mut html, name, days);
        html.close_line("section");
    }
    runs::section(&mut html, &status.runs);
    states(&mut html);
    html.raw("</main>\n<footer><p>Days are UTC. Written by ");
    html.text(format_args!("e3sync {}", env!("CARGO_PKG_VERSION")));
    html.raw(" from the manifests beside the data and the reports of its runs and verifications.</p></footer>\n</body>\n</html>\n");
    html.finish()
}

/// The policy lets in this very style sheet, by its digest, and nothing else.
fn head(html: &mut Html, title: &str) {
    let digest = BASE64_STANDARD.encode(Sha256::digest(STYLE));
    let policy = format!("default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'");
    html.raw("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
    html.open("meta", &[("http-equiv", "Content-Security-Policy"), ("content", &policy)]);
    html.raw("\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n");
    html.raw("<meta name=\"color-scheme\" content=\"light dark\">\n<meta name=\"referrer\" content=\"no-referrer\">\n");
    html.element("title", &[], title);
    html.raw("\n<style>");
    html.raw(STYLE);
    html.raw("</style>\n</head>\n");
}

/// A box that scrolls by itself, by keyboard as well, so that the page never does sideways.
fn scroll_box(html: &mut Html, class: &str, label: &str, content: impl FnOnce(&mut Html)) {
    html.open("div", &[("class", class), ("role", "region"), ("tabindex", "0"), ("aria-label", label)]);
    content(html);
    html.close_line("div");
}

/// A column of a table: its head, and whether it has numbers, which stand at the right.
type Column = (&'static str, bool);

fn column_heads(html: &mut Html, columns: &[Column]) {
    html.raw("<thead><tr>");
    for (name, is_number) in columns {
        let class: Attributes<'_> =
            if *is_number { &[("scope", "col"), ("class", "number")] } else { &[("scope", "col")] };
        html.element("th", class, name);
    }
    html.raw("</tr></thead>\n");
}

/// The class of what is told about a run: whether it did all, is to be run again, or failed.
fn class_of(run: &Run) -> &'static str {
    match run.exit_code {
        0 => "fine",
        6 | 7 | 75 | 130 | 143 => "later",
        _ => "failed",
    }
}

fn states(html: &mut Html) {
    html.raw("<section>\n<h2>What the states mean</h2>\n<dl class=\"states\">\n");
    for state in DayState::ALL {
        html.raw("<div><dt>");
        html.element("span", &[("class", &format!("day {}", state.name())), ("aria-hidden", "true")], mark(state));
        html.text(format_args!(" {}", words(state)));
        html.raw("</dt>");
        html.element("dd", &[], meaning(state));
        html.close_line("div");
    }
    html.raw("</dl>\n</section>\n");
}

fn meaning(state: DayState) -> &'static str {
    match state {
        DayState::Published => "Whole, verified, and complete at the source. The fuller the colour, the more data.",
        DayState::Partial => "Published for a part of the day only, as a filtered run asked. It has no _SUCCESS.",
        DayState::Pending => "The source has not declared the day complete. The next run will look again.",
        DayState::Drifted => {
            "Published, and by the last run that looked no longer what the source has: it was rewritten and not taken yet, or is held back because it shrank (--accept-shrink)."
        }
        DayState::Expired => "The source has deleted it after its retention; the copy here stays.",
        DayState::Staged => "Begun and not ended. The next run goes on with it.",
        DayState::Missing => "Not here. A run over these days fetches it if the source has it.",
        DayState::Damaged => {
            "A verification found files that differ from the manifest, or the manifest cannot be read, or data lie there that e3sync did not publish. e3sync verify DEST --repair fetches what differs."
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use e3sync::export::TypeName;
    use e3sync::status::DayState::{Missing, Published};

    use super::*;
    use crate::cli::render::text::tests::{days, run};

    fn status() -> Status {
        let mut foreign = days("2026-02-28", &[Published, Missing, Published]);
        foreign[1].reason = Some("</td><script>1</script>".to_owned());
        foreign[2].bytes = u64::MAX;
        foreign[2].rows = Some(u64::MAX);
        let fields = r#","asked":{"days":"<em>"},"seconds":1e300,"stopped_by":{"message":"<img src=x onerror=1>"}"#;
        Status {
            account_id: Some("<i>1</i>".to_owned()),
            types: BTreeMap::from([(TypeName::parse("events").unwrap(), foreign)]),
            runs: vec![run(4, fields)],
            ..Status::default()
        }
    }

    #[test]
    fn foreign_bytes_stay_text_and_the_page_loads_nothing() {
        let page = page(&status(), "/data/<u>\"x\"</u>");
        for markup in
            ["<i>1", "<script", "<img", "<u>", "<em>", " onerror=\"", "javascript:", "url(", "@import", "href="]
        {
            assert!(!page.contains(markup), "{markup}");
        }
        assert!(page.contains("&lt;img src=x onerror=1&gt;"));
        assert!(!page.contains("NaN") && !page.contains("\"inf\""));
    }

    #[test]
    fn the_same_data_give_the_same_page() {
        assert_eq!(page(&status(), "/data"), page(&status(), "/data"));
    }

    #[test]
    fn every_element_is_closed_in_its_order() {
        let page = page(&status(), "/data");
        let mut open = Vec::new();
        for piece in page.split('<').skip(1).filter(|piece| !piece.starts_with("!DOCTYPE")) {
            let name: String =
                piece.chars().take_while(|letter| letter.is_ascii_alphanumeric() || *letter == '/').collect();
            match name.strip_prefix('/') {
                Some(closed) => assert_eq!(open.pop().as_deref(), Some(closed), "{piece}"),
                None if name == "meta" => {}
                None => open.push(name),
            }
        }
        assert!(open.is_empty(), "{open:?}");
    }

    #[test]
    fn an_empty_destination_has_a_page() {
        let page = page(&Status::default(), "/data");
        assert!(page.contains("No mirror yet") && page.contains("Nothing is published here yet."));
    }
}
