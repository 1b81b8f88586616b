//! Words in lines: what fits into how many columns, and what times and runs are called.

use std::time::Duration;

use e3sync::status::Run;
use jiff::Timestamp;
use serde_json::Value;

use crate::cli::units::{Count, Elapsed};

/// A foreign message is shown up to here, in characters.
const MESSAGE_CHARACTERS_MAX: usize = 300;

/// Parts joined by a separator, in as few lines of this width as they need. The first line
/// begins with `head`, the others with this number of spaces.
pub fn flow(head: &str, indent: usize, parts: &[String], separator: &str, columns: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = head.to_owned();
    let mut is_begun = false;
    for part in parts {
        let needed = columns_of(&line) + columns_of(separator) + columns_of(part);
        if is_begun && needed > columns {
            lines.push(std::mem::replace(&mut line, " ".repeat(indent)));
        } else if is_begun {
            line += separator;
        }
        line += part;
        is_begun = true;
    }
    lines.push(line);
    lines
}

/// A sentence in lines of this width, in columns; a word that is longer than a line is cut into pieces.
pub fn wrapped(head: &str, indent: usize, text: &str, columns: usize) -> Vec<String> {
    let room = columns.saturating_sub(indent.max(columns_of(head))).max(8);
    let mut words = Vec::new();
    for word in text.split(' ') {
        let characters: Vec<char> = word.chars().collect();
        words.extend(characters.chunks(room).map(|piece| piece.iter().collect::<String>()));
    }
    flow(head, indent, &words, " ", columns)
}

/// How many columns a line takes, without its colours.
pub fn columns_of(line: &str) -> usize {
    let mut columns = 0;
    let mut is_escape = false;
    for character in line.chars() {
        match character {
            '\u{1b}' => is_escape = true,
            'm' if is_escape => is_escape = false,
            _ if is_escape => {}
            _ => columns += 1,
        }
    }
    columns
}

/// A foreign text that can do nothing to a terminal, and is not endless.
pub fn harmless(text: &str) -> String {
    let mut shown: String = text.chars().take(MESSAGE_CHARACTERS_MAX).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown.replace(|character: char| character.is_control(), "\u{fffd}")
}

/// A value as one word of a shell, whatever is in it.
pub fn shell_quoted(value: &str) -> String {
    format!("'{}'", value.replace('\'', r"'\''"))
}

/// The same for a command that is to be read, where an ordinary word stands as it is.
pub fn shell_word(value: &str) -> String {
    let is_ordinary = |letter: char| letter.is_ascii_alphanumeric() || "._-/:=@+".contains(letter);
    if !value.is_empty() && value.chars().all(is_ordinary) { value.to_owned() } else { shell_quoted(value) }
}

/// How long ago that was: `2 h ago`.
pub fn ago(then: Timestamp, now: Timestamp) -> String {
    let minutes = now.duration_since(then).as_mins();
    match minutes {
        ..1 => "just now".to_owned(),
        1..120 => format!("{minutes} min ago"),
        120..2880 => format!("{} h ago", minutes / 60),
        _ => format!("{} days ago", minutes / 1440),
    }
}

/// What a run came to, in a word or a few.
pub fn result(run: &Run) -> String {
    match run.exit_code {
        0 => "ok".to_owned(),
        3 => "partly done (exit code 3)".to_owned(),
        6 => "waits for the source (exit code 6)".to_owned(),
        75 => "to be run again (exit code 75)".to_owned(),
        130 | 143 => format!("stopped (exit code {})", run.exit_code),
        code => format!("failed (exit code {code})"),
    }
}

/// What became of a run's partitions: `14 published, 1 waiting`.
pub fn partitions(run: &Run) -> String {
    let counts = &run.partitions;
    let named = [
        (counts.published, "published"),
        (counts.published_by_others, "published by others"),
        (counts.unchanged, "up to date"),
        (counts.waiting, "waiting"),
        (counts.held, "held back"),
        (counts.expired, "expired"),
        (counts.missing, "missing"),
        (counts.empty, "empty"),
        (counts.failed, "failed"),
    ];
    let some = named.iter().filter(|(count, _)| *count > 0);
    let words: Vec<String> = some.map(|(count, name)| format!("{} {name}", Count(*count))).collect();
    if words.is_empty() { "nothing looked at".to_owned() } else { words.join(", ") }
}

/// What a run was asked for: days, types, and whether only a part of them.
pub fn asked(run: &Run) -> String {
    let days = match &run.asked.days {
        Value::String(word) => word.clone(),
        Value::Array(dates) => match dates.as_slice() {
            [] => "no days".to_owned(),
            [only] => words_of(only),
            [first, .., last] => format!("{} days, {} to {}", dates.len(), words_of(first), words_of(last)),
        },
        Value::Object(range) => {
            let end = |name| range.get(name).map(words_of).unwrap_or_default();
            format!("{} to {}", end("from"), end("to"))
        }
        _ => "unknown".to_owned(),
    };
    let types = if run.asked.types.is_empty() { String::new() } else { format!(" · {}", run.asked.types.join(", ")) };
    let is_part = !matches!(&run.asked.selection, Value::Null) && run.asked.selection != "all";
    harmless(&format!("{days}{types}{}", if is_part { " · filtered" } else { "" }))
}

fn words_of(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// How long a run took. A report may say anything.
pub fn took(run: &Run) -> String {
    let seconds = if run.seconds.is_finite() { run.seconds.clamp(0.0, 1e9) } else { 0.0 };
    Elapsed(Duration::from_secs_f64(seconds)).to_string()
}

#[cfg(test)]
pub mod tests {
    use e3sync::status::{Day, DayState};
    use jiff::civil::Date;

    use super::*;

    /// Days in these states, from the first one on.
    pub fn days(first: &str, states: &[DayState]) -> Vec<Day> {
        let first: Date = first.parse().unwrap();
        let day = |(date, state): (Date, &DayState)| {
            let has_data = !matches!(state, DayState::Missing | DayState::Staged | DayState::Damaged);
            Day {
                date,
                state: *state,
                reason: None,
                is_complete: matches!(state, DayState::Published | DayState::Drifted | DayState::Expired),
                objects: if has_data { 2 } else { 0 },
                bytes: if has_data { 1500 } else { 0 },
                rows: has_data.then_some(10),
                objects_gone_at_source: 0,
                published_at: has_data.then_some(Timestamp::UNIX_EPOCH),
            }
        };
        first.series(jiff::Span::new().days(1)).zip(states).map(day).collect()
    }

    /// A run as its report has it.
    pub fn run(exit_code: u8, fields: &str) -> Run {
        let report = format!(
            r#"{{"run":"r","started_at":"2026-11-20T10:00:00Z","ended_at":"2026-11-20T10:01:00Z","exit_code":{exit_code}{fields}}}"#
        );
        serde_json::from_str(&report).unwrap()
    }

    #[test]
    fn a_value_stays_one_word_of_a_shell() {
        assert_eq!(shell_quoted("a b$(c)"), "'a b$(c)'");
        assert_eq!(shell_quoted("it's"), r"'it'\''s'");
        assert_eq!(shell_word("./events-2026/a"), "./events-2026/a");
        assert_eq!(shell_word("my events"), "'my events'");
    }

    #[test]
    fn long_words_are_cut_and_control_characters_do_nothing() {
        let lines = wrapped(" ", 2, &"x".repeat(95), 40);
        assert_eq!(lines.iter().map(|line| columns_of(line)).collect::<Vec<_>>(), [39, 40, 21]);
        assert_eq!(harmless("a\u{1b}[2Jb\nc"), "a\u{fffd}[2Jb\u{fffd}c");
        assert_eq!(harmless(&"ä".repeat(1000)).chars().count(), MESSAGE_CHARACTERS_MAX + 1);
    }

    #[test]
    fn times_are_told_as_people_do() {
        let then: Timestamp = "2026-11-20T10:00:00Z".parse().unwrap();
        let told = |text: &str| ago(then, text.parse().unwrap());
        assert_eq!(told("2026-11-20T10:00:40Z"), "just now");
        assert_eq!(told("2026-11-19T10:00:40Z"), "just now");
        assert_eq!(told("2026-11-20T11:59:59Z"), "119 min ago");
        assert_eq!(told("2026-11-20T12:00:00Z"), "2 h ago");
        assert_eq!(told("2026-11-23T10:00:00Z"), "3 days ago");
    }

    #[test]
    fn what_was_asked_is_told_whatever_the_report_says() {
        let told = |fields: &str| asked(&run(0, fields));
        assert_eq!(told(""), "unknown");
        assert_eq!(told(r#","asked":{"days":"incremental","types":["events"]}"#), "incremental · events");
        assert_eq!(
            told(r#","asked":{"days":{"from":"2026-01-01","to":3},"selection":[]}"#),
            "2026-01-01 to 3 · filtered"
        );
        assert_eq!(told(r#","asked":{"days":["2026-01-01",{}],"selection":"all"}"#), "2 days, 2026-01-01 to {}");
        assert_eq!(took(&run(0, r#","seconds":1e300"#)), "277777h46m");
    }
}
