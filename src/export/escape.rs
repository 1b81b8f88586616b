//! Escaping: Hive's in keys, and what keeps texts of others printable.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Whether Hive's path escaping rewrites this character (domain.md section 3).
fn is_hive_escaped(character: char) -> bool {
    matches!(
        character,
        '\u{0}'
            ..='\u{1f}'
                | '\u{7f}'
                | '"'
                | '#'
                | '%'
                | '\''
                | '*'
                | '/'
                | ':'
                | '='
                | '?'
                | '\\'
                | '{'
                | '['
                | ']'
                | '^'
    )
}

/// The form that a sub-partition value has inside a key: Hive's escaping, `%XX` in upper case.
///
/// Only for building filters from what a user typed. Keys from a listing are opaque and are never
/// passed through here (domain.md section 3).
pub fn hive_escape(value: &str) -> Cow<'_, str> {
    if !value.contains(is_hive_escaped) {
        return Cow::Borrowed(value);
    }
    let mut escaped = String::with_capacity(value.len() + 8);
    for character in value.chars() {
        if is_hive_escaped(character) {
            let _ = write!(escaped, "%{:02X}", u32::from(character));
        } else {
            escaped.push(character);
        }
    }
    Cow::Owned(escaped)
}

/// The value behind a Hive-escaped text, for comparing with what a user typed.
///
/// A `%` that does not begin a valid escape stands for itself.
pub fn hive_unescape(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return Cow::Borrowed(text);
    }
    let bytes = text.as_bytes();
    let mut plain = Vec::with_capacity(bytes.len());
    let mut index = 0;
    while index < bytes.len() {
        match escaped_byte(&bytes[index..]) {
            Some(byte) => {
                plain.push(byte);
                index += 3;
            }
            None => {
                plain.push(bytes[index]);
                index += 1;
            }
        }
    }
    String::from_utf8(plain).map_or(Cow::Borrowed(text), Cow::Owned)
}

fn escaped_byte(bytes: &[u8]) -> Option<u8> {
    let [b'%', high, low, ..] = bytes else { return None };
    let digit = |byte: &u8| char::from(*byte).to_digit(16);
    u8::try_from(digit(high)? * 16 + digit(low)?).ok()
}

/// A foreign text made safe to print: control characters and terminal escapes become `\u{..}`.
///
/// Directional overrides are made visible too, since they can disguise a name.
pub fn printable(text: &str) -> Cow<'_, str> {
    let is_unsafe = |character: char| {
        character.is_control()
            || matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
    };
    if !text.contains(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 8);
    for character in text.chars() {
        if is_unsafe(character) {
            safe.extend(character.escape_unicode());
        } else {
            safe.push(character);
        }
    }
    Cow::Owned(safe)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_vendors_own_example_is_reproduced() {
        let value = "Main_Nav_javascript:void(0);";
        assert_eq!(hive_escape(value), "Main_Nav_javascript%3Avoid(0);");
        assert_eq!(hive_unescape("Main_Nav_javascript%3Avoid(0);"), value);
    }

    #[test]
    fn what_hive_leaves_raw_stays_raw() {
        for raw in ["a b", "();<>|&+~", "größe", "NULL", "__HIVE_DEFAULT_PARTITION__"] {
            assert_eq!(hive_escape(raw), raw);
        }
    }

    #[test]
    fn a_lone_percent_sign_stands_for_itself() {
        assert_eq!(hive_unescape("100%"), "100%");
        assert_eq!(hive_unescape("%zz%41"), "%zzA");
    }

    #[test]
    fn terminal_escapes_are_made_visible() {
        assert_eq!(printable("a\u{1b}[31mb"), "a\\u{1b}[31mb");
        assert_eq!(printable("a\u{202e}b"), "a\\u{202e}b");
        assert_eq!(printable("plain"), "plain");
    }

    proptest::proptest! {
        #[test]
        fn what_is_escaped_is_the_same_again_when_unescaped(value in "\\PC{0,60}|[\\x00-\\x7f]{0,60}") {
            let escaped = hive_escape(&value);
            proptest::prop_assert_eq!(hive_unescape(&escaped), value.as_str());
            proptest::prop_assert!(!printable(&value).contains(char::is_control));
        }
    }
}
