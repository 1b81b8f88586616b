//! The page of `status --html` in a real browser: complete, narrow enough for a phone, legible in
//! light and dark, silent, and alone.

use std::path::Path;

use serde_json::Value;

use crate::harness::{Browser, Export, TODAY};
use crate::status::every_state;

/// What is looked at in the page. A text's contrast is that of WCAG 2, against the nearest
/// background that is a plain colour.
const MEASURE: &str = r#"
    const all = (selector) => [...document.querySelectorAll(selector)];
    const rgb = (text) => (text.match(/[\d.]+/g) || []).map(Number);
    const luminance = (colour) => {
        const [r, g, b] = colour.map((c) => c / 255).map((c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const background = (element) => {
        for (let at = element; at; at = at.parentElement) {
            const colour = rgb(window.getComputedStyle(at).backgroundColor);
            if (colour.length === 3 || colour[3] > 0) return colour.slice(0, 3);
        }
        return [255, 255, 255];
    };
    const contrast = (element) => {
        const style = window.getComputedStyle(element);
        const ink = rgb(element instanceof window.SVGElement ? style.fill : style.color).slice(0, 3);
        const [one, other] = [luminance(ink), luminance(background(element))];
        return (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
    };
    const texts = all('body *').filter((element) => element.tagName !== 'title'
        && [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim()));
    const worst = texts.map((element) => [contrast(element), element.className + ' ' + element.textContent])
        .sort((one, other) => one[0] - other[0])[0];
    return {
        dark: window.matchMedia('(prefers-color-scheme: dark)').matches,
        width: window.innerWidth,
        page_width: document.documentElement.scrollWidth,
        background: window.getComputedStyle(document.body).backgroundColor,
        styled: window.getComputedStyle(document.querySelector('.months')).display,
        loaded: window.performance.getEntriesByType('resource').map((entry) => entry.name),
        language: document.documentElement.lang,
        cells: all('.month td.day').length,
        states: all('.month td.day').map((cell) => cell.querySelector('.unseen').textContent.trim()),
        cells_without_words: all('.month td.day').filter((cell) => !cell.title || !cell.querySelector('.unseen')).length,
        bars: all('svg rect').length,
        bars_without_title: all('svg rect').filter((bar) => !bar.querySelector('title')).length,
        day_rows: all('.days tbody tr').length,
        run_rows: all('.runs tbody tr').length,
        tables_without_caption: all('table').filter((table) => !table.caption).length,
        heads_without_scope: all('th').filter((head) => !head.scope).length,
        unnamed: all('svg, [role=region]').filter((element) => !element.getAttribute('aria-label')).length,
        regions_out_of_reach: all('.scroll').filter((box) => box.tabIndex !== 0).length,
        headings: all('h1, h2, h3').map((heading) => Number(heading.tagName[1])),
        scripts: all('script, link, img, iframe, object, embed').length,
        worst_contrast: worst[0],
        worst_text: worst[1],
        cell_width: document.querySelector('.month td.day').getBoundingClientRect().width,
    };
"#;

fn page_of(destination: &Path) -> String {
    let status = crate::harness::E3sync::new("status").arg(destination).args(["--today", TODAY, "--html", "-"]);
    status.run().expect(0).stdout
}

fn number(measured: &Value, name: &str) -> u64 {
    measured[name].as_u64().unwrap_or_else(|| panic!("{name} is no number: {measured}"))
}

fn assert_is_accessible(measured: &Value) {
    let faults = [
        "cells_without_words",
        "bars_without_title",
        "tables_without_caption",
        "heads_without_scope",
        "unnamed",
        "regions_out_of_reach",
        "scripts",
    ];
    for fault in faults {
        assert_eq!(number(measured, fault), 0, "{fault}: {measured}");
    }
    assert_eq!(measured["language"], "en");
    let contrast = measured["worst_contrast"].as_f64().unwrap();
    assert!(contrast >= 4.5, "a contrast of {contrast:.2} in `{}`", measured["worst_text"]);
    let headings: Vec<u64> = measured["headings"].as_array().unwrap().iter().map(|h| h.as_u64().unwrap()).collect();
    assert_eq!(headings.iter().filter(|level| **level == 1).count(), 1);
    assert!(headings.windows(2).all(|pair| pair[1] <= pair[0] + 1), "no level is left out: {headings:?}");
}

#[test]
fn the_page_is_whole_on_a_phone_and_a_desk_in_light_and_dark() {
    let Some(browser) = Browser::find() else { return };
    let folder = tempfile::tempdir().unwrap();
    every_state(folder.path());
    let page = page_of(folder.path());
    let pictures = Path::new(env!("CARGO_TARGET_TMPDIR"));
    for (width, is_dark) in [(320, false), (320, true), (1200, false), (1200, true)] {
        let picture = pictures.join(format!("status-{width}-{}.png", if is_dark { "dark" } else { "light" }));
        let shown = browser.measure(&page, MEASURE, width, is_dark, &picture);
        let measured = shown.measured;
        assert_eq!(shown.console, [""; 0], "the browser has nothing to say");
        assert_eq!(measured["loaded"].as_array().unwrap().len(), 0, "nothing is loaded: {measured}");
        assert_eq!((&measured["dark"], number(&measured, "width")), (&is_dark.into(), width.into()));
        assert!(number(&measured, "page_width") <= width.into(), "no sideways scrolling: {measured}");
        assert_eq!(measured["styled"], "flex", "the policy lets the style sheet in");
        let is_dark_drawn = measured["background"].as_str().unwrap().starts_with("rgb(17");
        assert_eq!(is_dark_drawn, is_dark, "{measured}");
        let days = 2 * 8;
        assert_eq!(number(&measured, "cells"), days);
        assert_eq!(number(&measured, "bars"), 2 * days, "bytes and rows of every day");
        assert_eq!(number(&measured, "day_rows"), days);
        assert!(number(&measured, "run_rows") >= 3);
        let states = measured["states"].to_string();
        for state in
            ["published", "partial", "pending", "changed at the source", "expired", "staged", "missing", "damaged"]
        {
            assert!(states.contains(state), "{state}: {states}");
        }
        assert_is_accessible(&measured);
        assert!(std::fs::metadata(&picture).unwrap().len() > 20_000, "a picture of something");
    }
}

#[test]
fn three_years_of_days_fit_a_phone() {
    let Some(browser) = Browser::find() else { return };
    let export = Export::of_noise(1, 1);
    let folder = tempfile::tempdir().unwrap();
    export.sync(folder.path()).run().expect(0);
    let long = folder.path().join("_e3sync/manifests/type=events");
    std::fs::copy(long.join("date=2026-11-20.jsonl"), long.join("date=2023-11-21.jsonl")).unwrap();
    let picture = folder.path().join("long.png");
    let measured = browser.measure(&page_of(folder.path()), MEASURE, 320, false, &picture).measured;
    assert_eq!(number(&measured, "cells"), 1 + 1096);
    assert_is_accessible(&measured);
    assert!(number(&measured, "page_width") <= 320, "{measured}");
}

#[test]
fn what_the_policy_forbids_would_be_noticed() {
    let Some(browser) = Browser::find() else { return };
    let folder = tempfile::tempdir().unwrap();
    let page = page_of(folder.path());
    let broken = page.replace("</body>", "<script>1</script><img src=\"http://127.0.0.1:9/x.png\"></body>");
    let shown = browser.measure(&broken, "return {};", 320, false, &folder.path().join("broken.png"));
    assert!(shown.console.len() >= 2, "{:?}", shown.console);
    assert!(shown.console.iter().all(|line| line.contains("Content Security Policy")), "{:?}", shown.console);
}
