use std::collections::BTreeMap;

use e3sync::error::ExitCode;

use super::text::{all, project, read, sources};

/// All exit codes; a new one does not compile here until it is added.
fn exit_codes() -> BTreeMap<u8, String> {
    macro_rules! list {
        ($($name:ident),*) => {{
            let _ = |code: ExitCode| match code { $(ExitCode::$name => {})* };
            [$((ExitCode::$name as u8, stringify!($name).to_owned())),*]
        }};
    }
    let codes = list!(
        Success,
        Failure,
        Usage,
        Partial,
        Refused,
        Difference,
        NotReady,
        Held,
        Changes,
        Temporary,
        Interrupted,
        Terminated
    );
    codes.into()
}

#[test]
fn exit_codes_are_documented() {
    let table = read("docs/SCRIPTING.md").table("## Exit codes");
    let documented: BTreeMap<u8, String> =
        table.into_iter().map(|row| (row[0].parse().unwrap(), row[1].clone())).collect();
    assert_eq!(documented, exit_codes());
    let in_short = read("README.md").table("## Exit codes");
    let in_short: Vec<u8> = in_short.iter().map(|row| row[0].parse().unwrap()).collect();
    assert!(in_short.iter().eq(exit_codes().keys()), "{in_short:?}");
}

#[test]
fn every_promise_names_tests_that_exist() {
    let semantics = read("docs/SEMANTICS.md");
    let sources = sources("src") + &sources("tests");
    let is_test_name = |name: &str| {
        name.matches('_').count() >= 3 && name.chars().all(|letter| letter.is_ascii_lowercase() || letter == '_')
    };
    for name in semantics.code_spans().into_iter().filter(|name| is_test_name(name)) {
        assert!(sources.contains(&format!("fn {name}(")), "there is no test {name}");
    }
    let shown = semantics.table("## The tests that show it");
    for promise in 1..=10 {
        let heading = semantics.headings(&format!("## {promise}. "))[0];
        assert!(shown.iter().any(|row| row[0] == promise.to_string()), "no test shows `{heading}`");
    }
    let headings = semantics.headings("## ");
    let is_promise = |name: &str| name.parse::<u8>().is_ok() || headings.contains(&format!("## {name}").as_str());
    for row in &shown {
        assert!(is_promise(&row[0]) && sources.contains(&format!("fn {}(", row[1].trim_matches('`'))), "{row:?}");
    }
}

#[test]
fn paths_and_links_lead_somewhere() {
    for document in all() {
        for span in document.code_spans() {
            let is_path = ["src/", "tests/", "docs/", ".ci/"].iter().any(|folder| span.starts_with(folder));
            assert!(!is_path || project(span).exists(), "{}: there is no {span}", document.path);
        }
        let folder = project(&document.path);
        for link in document.text.split("](").skip(1).filter_map(|rest| rest.split_once(')')) {
            assert!(folder.with_file_name(link.0).exists(), "{}: there is no {}", document.path, link.0);
        }
    }
}

#[test]
fn explained_messages_are_messages() {
    let sources = sources("src");
    for heading in read("docs/TROUBLESHOOTING.md").headings("### ") {
        let message = heading.trim_start_matches("### ").trim_matches('`');
        assert!(sources.contains(message), "no source says `{message}`");
    }
}

#[test]
fn each_source_file_says_first_what_it_is_for() {
    let files = crate::harness::files_below(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src").as_path());
    let sources: Vec<_> = files.into_keys().filter(|path| path.ends_with(".rs")).collect();
    assert!(sources.len() > 200, "{}", sources.len());
    let begins = |path: &String| read(&format!("src/{path}")).text.starts_with("//! ");
    let silent: Vec<_> = sources.iter().filter(|path| !begins(path)).collect();
    assert!(silent.is_empty(), "{silent:?}");
}
