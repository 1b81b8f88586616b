//! What a diagnosis may show: no secret, no account, no name that the user gave an event.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::export::{SUCCESS_MARKER, printable};

/// The bytes of `01234567-89ab-cdef-0123-456789abcdef`.
const UUID_BYTES: usize = 36;

/// The bytes of `%3A`.
const ESCAPE_BYTES: usize = 3;

/// Digits in a row that may be somebody's number: dates and sizes have fewer.
const DIGITS_MIN: usize = 8;

/// Replaces what must not be shown.
pub(super) struct Mask(BTreeMap<String, &'static str>);

impl Mask {
    /// Replaces nothing yet.
    pub fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// Replaces this text from now on. An empty one stands in everything and is left alone.
    pub fn hide(&mut self, text: &str, by: &'static str) {
        if !text.is_empty() {
            self.0.insert(text.to_owned(), by);
        }
    }

    /// A text with everything hidden that has to be: what was named, accounts, names in keys, long numbers.
    pub fn text(&self, text: &str) -> String {
        let mut shown = text.to_owned();
        for (hidden, by) in &self.0 {
            shown = shown.replace(hidden, by);
        }
        printable(&without_long_numbers(&without_names(&shown))).into_owned()
    }

    /// Whether a text still has what must not be shown.
    pub fn is_leaked_by(&self, text: &str) -> bool {
        self.0.keys().any(|hidden| text.contains(hidden.as_str()))
    }
}

/// The shape of a key below its day: letters as `x`, digits as `9`, all else as it is.
pub(super) fn key_shape(key: &str) -> String {
    let segments = key.split('/').map(|segment| match segment.split_once('=') {
        _ if segment == SUCCESS_MARKER => segment.to_owned(),
        Some((name, value)) => format!("{name}={}", name_shape(value)),
        None => name_shape(segment),
    });
    segments.collect::<Vec<_>>().join("/")
}

/// Escapes such as `%3A` are part of the shape, and so are the endings of files.
fn name_shape(name: &str) -> String {
    let (stem, ending) = match name.find(".c000.").or_else(|| name.rfind(".parquet")) {
        Some(at) => name.split_at(at),
        None => (name, ""),
    };
    let (mut shape, mut rest) = (String::new(), stem);
    while let Some(character) = rest.chars().next() {
        let (shown, length) = match rest.get(..UUID_BYTES).filter(|text| is_uuid(text)) {
            Some(_) => ("UUID".to_owned(), UUID_BYTES),
            None if character == '%' && is_escape(rest) => (rest[..ESCAPE_BYTES].to_owned(), ESCAPE_BYTES),
            None if character.is_numeric() => ("9".to_owned(), character.len_utf8()),
            None if character.is_alphabetic() => ("x".to_owned(), character.len_utf8()),
            None => (character.to_string(), character.len_utf8()),
        };
        shape.push_str(&shown);
        rest = &rest[length..];
    }
    printable(&shape).into_owned() + ending
}

fn is_escape(text: &str) -> bool {
    text.get(1..ESCAPE_BYTES).is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

fn is_uuid(text: &str) -> bool {
    let is_dash = |at: usize| matches!(at, 8 | 13 | 18 | 23);
    text.bytes().enumerate().all(|(at, byte)| if is_dash(at) { byte == b'-' } else { byte.is_ascii_hexdigit() })
}

/// Hides the account and the sub-partitions of every key in a text.
fn without_names(text: &str) -> String {
    let mut shown = String::new();
    let segments = text.split('/').map(|segment| match segment.rsplit_once('=') {
        Some((before, value)) if before.ends_with("account_id") => {
            format!("{before}=ACCOUNT{}", value.trim_start_matches(|character: char| character.is_ascii_digit()))
        }
        // `LIST type=` is how a message begins that has a key.
        Some((before, _)) if before.ends_with("type") || before.ends_with("date") => segment.to_owned(),
        Some(_) => key_shape(segment),
        None => segment.to_owned(),
    });
    for segment in segments {
        if !shown.is_empty() {
            shown.push('/');
        }
        shown.push_str(&segment);
    }
    shown
}

/// The shape of an entity tag: `32 hexadecimal`, with `-7` where it was made of seven parts.
pub(super) fn etag_shape(etag: &str) -> String {
    let (digest, parts) = etag.trim_matches('"').split_once('-').unwrap_or((etag.trim_matches('"'), ""));
    let alphabet = if digest.bytes().all(|byte| byte.is_ascii_hexdigit()) { "hexadecimal" } else { "other" };
    let parts = if parts.is_empty() { "" } else { ", of parts" };
    format!("{} {alphabet}{parts}", digest.len())
}

/// The form of a JSON document: names with the kind and length of their values.
pub(super) fn json_shape(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let fields = fields.iter().map(|(name, value)| (name.clone(), json_shape(value)));
            Value::Object(fields.collect::<Map<_, _>>())
        }
        Value::Array(items) => Value::Array(items.first().map(json_shape).into_iter().collect()),
        Value::String(text) => format!("text of {} characters", text.chars().count()).into(),
        Value::Number(number) if number.is_f64() => "number with a fraction".into(),
        Value::Number(number) => format!("whole number of {} digits", number.to_string().len()).into(),
        Value::Bool(_) => "true or false".into(),
        Value::Null => Value::Null,
    }
}

fn without_long_numbers(text: &str) -> String {
    let (mut shown, mut digits) = (String::new(), String::new());
    for character in text.chars().map(Some).chain([None]) {
        if let Some(digit) = character.filter(char::is_ascii_digit) {
            digits.push(digit);
            continue;
        }
        let is_long = digits.len() >= DIGITS_MIN;
        shown.push_str(&if is_long { "0".repeat(digits.len()) } else { std::mem::take(&mut digits) });
        digits.clear();
        shown.extend(character);
    }
    shown
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_keys_shape_has_no_name_of_the_users() {
        for (key, shape) in [
            ("_SUCCESS", "_SUCCESS"),
            (
                "event=Main_Nav_javascript%3Avoid(0);/part-00000-accac923-16d5-4105-b8e8-c0f702201dd1.c000.snappy.parquet",
                "event=xxxx_xxx_xxxxxxxxxx%3Axxxx(9);/xxxx-99999-UUID.c000.snappy.parquet",
            ),
            ("event=100%/%zz", "event=999%/%xx"),
            ("experiment=18786493712/a.parquet", "experiment=99999999999/x.parquet"),
            ("event=größe \u{1b}", "event=xxxxx \\u{1b}"),
        ] {
            assert_eq!(key_shape(key), shape);
        }
    }

    #[test]
    fn what_is_hidden_is_replaced_and_so_are_numbers_of_somebodys() {
        let mut mask = Mask::new();
        mask.hide("secret", "***");
        mask.hide("21468570738", "ACCOUNT");
        mask.hide("", "nothing");
        assert!(mask.is_leaked_by("a secret"));
        let shown = mask.text("a secret of 21468570738 and 123456789012 on 2026-11-20");
        assert_eq!(shown, "a *** of ACCOUNT and 000000000000 on 2026-11-20");
        assert!(!mask.is_leaked_by(&shown));
    }

    #[test]
    fn a_text_with_a_key_shows_neither_account_nor_names() {
        let mask = Mask::new();
        for (text, shown) in [
            (
                "GET v1/account_id=123/type=events/date=2026-11-20/event=add to cart/a.parquet failed (403)",
                "GET v1/account_id=ACCOUNT/type=events/date=2026-11-20/event=xxx xx xxxx/a.parquet failed (403)",
            ),
            ("the answer is for experiment=77", "the answer is for experiment=99"),
            ("plain words; a = b", "plain words; a = x"),
            ("", ""),
        ] {
            assert_eq!(mask.text(text), shown);
        }
    }

    #[test]
    fn a_documents_shape_has_names_and_no_values() {
        let shape =
            json_shape(&json!({"credentials": {"expiration": 1_591_026_407_394_i64, "key": "abc"}, "x": [1.5, 2]}));
        let expected = json!({
            "credentials": {"expiration": "whole number of 13 digits", "key": "text of 3 characters"},
            "x": ["number with a fraction"],
        });
        assert_eq!(shape, expected);
        assert_eq!(etag_shape("\"0123456789abcdef0123456789abcdef-7\""), "32 hexadecimal, of parts");
        assert_eq!(etag_shape("CJ3/x"), "5 other");
    }
}
