use std::collections::BTreeSet;

use super::text::{all, project};
use crate::harness::E3sync;

/// The verbs that have a help text of their own.
const VERBS: [&str; 16] = [
    "sync",
    "plan",
    "ls",
    "auth",
    "status",
    "sql",
    "doctor",
    "login",
    "logout",
    "verify",
    "export-manifest",
    "config",
    "completions",
    "man",
    "simulate",
    "demo",
];

/// Options that the documents mention and no help shows: those of cargo, the word of the vendor's
/// tool that is accepted in silence, and those of the tools that people come from.
const OPTIONS_ELSEWHERE: [&str; 12] = [
    "--test",
    "--bench",
    "--features",
    "--all-features",
    "--locked",
    "--path",
    "--output",
    "--delete",
    "--include",
    "--exclude",
    "--dryrun",
    "--transfers",
];

fn help_of(verb: Option<&str>) -> String {
    let call = match verb {
        Some(verb) => E3sync::new(verb).arg("--help"),
        None => E3sync::new("--help"),
    };
    call.env("COLUMNS", "100").run().expect(0).stdout
}

fn all_help() -> String {
    VERBS.map(|verb| help_of(Some(verb))).join("\n")
}

#[test]
fn help_texts_are_as_reviewed() {
    for verb in VERBS.map(Some).into_iter().chain([None]) {
        let path = project("tests/suite/snapshots").join(format!("help-{}.txt", verb.unwrap_or("e3sync")));
        let help = help_of(verb);
        if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
            std::fs::write(&path, &help).unwrap();
        }
        let reviewed = std::fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(help, reviewed, "look at it, then run again with UPDATE_SNAPSHOTS=1: {}", path.display());
    }
}

#[test]
fn every_verb_is_listed_here_and_teaches_by_example() {
    let commands = help_of(None);
    let commands = commands.split("Commands:\n").nth(1).unwrap().split("\n\n").next().unwrap();
    let names = commands.lines().filter_map(|line| line.strip_prefix("  ")?.split(' ').next());
    let listed: BTreeSet<&str> = names.filter(|name| !["", "help"].contains(name)).collect();
    assert_eq!(listed, BTreeSet::from(VERBS));
    for verb in VERBS {
        for help in [help_of(Some(verb)), E3sync::new(verb).arg("-h").run().expect(0).stdout] {
            let examples = help.split("\nExamples:\n").nth(1).unwrap_or_else(|| panic!("{verb} has no examples"));
            assert!(examples.contains(&format!("e3sync {verb}")), "{examples}");
        }
    }
}

/// The words that begin with `beginning` and go on with what `belongs`.
fn words<'a>(text: &'a str, beginning: &str, belongs: impl Fn(char) -> bool) -> BTreeSet<&'a str> {
    let mut words = BTreeSet::new();
    for (index, _) in text.match_indices(beginning) {
        let before = text[..index].chars().next_back();
        let rest = &text[index + beginning.len()..];
        let word_end = rest.find(|character| !belongs(character)).unwrap_or(rest.len());
        let is_beginning = !before.is_some_and(|character| character.is_alphanumeric() || character == '-');
        // The rules of tables begin with two dashes as well.
        if is_beginning && rest.starts_with(char::is_alphabetic) {
            words.insert(&text[index..index + beginning.len() + word_end]);
        }
    }
    words
}

#[test]
fn variables_are_documented_and_documented_variables_exist() {
    let belongs = |character: char| character.is_ascii_uppercase() || character == '_';
    let documents: String = all().into_iter().map(|document| document.text).collect();
    let help = all_help();
    assert_eq!(words(&documents, "E3SYNC_", belongs), words(&help, "E3SYNC_", belongs));
}

/// The options of a help text that cannot be given by a variable.
fn options_without_variable(help: &str) -> BTreeSet<String> {
    let is_option = |line: &str| line.starts_with("--") || line.starts_with('-') && line.contains(", --");
    let mut options = BTreeSet::new();
    let mut open = None;
    for line in help.split("\nExamples:\n").next().unwrap().lines().map(str::trim) {
        if is_option(line) {
            options.extend(open.take());
            let name = line.split([' ', ',']).find(|word| word.starts_with("--"));
            open = name.map(str::to_owned);
        }
        if line.contains("[env: E3SYNC_") {
            open = None;
        }
    }
    options.extend(open);
    options
}

#[test]
fn options_without_a_variable_are_named() {
    let belongs = |character: char| character.is_ascii_lowercase() || character == '-';
    let document = all().into_iter().find(|document| document.path == "docs/SCRIPTING.md").unwrap();
    let section = document.text.split("## Environment variables\n").nth(1).unwrap();
    let named: BTreeSet<String> =
        words(section.split("\n|").next().unwrap(), "--", belongs).into_iter().map(str::to_owned).collect();
    let is_simulator = |verb: &&str| ["simulate", "demo"].contains(verb);
    let found: BTreeSet<String> = VERBS
        .iter()
        .filter(|verb| !is_simulator(verb))
        .flat_map(|verb| options_without_variable(&help_of(Some(verb))))
        .collect();
    assert_eq!(found, named);
}

#[test]
fn documented_options_exist() {
    let belongs = |character: char| character.is_ascii_lowercase() || character == '-';
    let help = all_help();
    let options = words(&help, "--", belongs);
    for document in all() {
        for option in words(&document.text, "--", belongs) {
            let is_known = options.contains(option) || OPTIONS_ELSEWHERE.contains(&option);
            assert!(is_known, "{}: there is no {option}", document.path);
        }
    }
}
