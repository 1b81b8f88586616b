//! What a secret, or a name that stands beside one in a signed request, must look like: the one rule
//! for whatever arrives, asked before anything is sent. A value is never in a message.

use std::fmt;

use secrecy::ExposeSecret as _;

use super::AwsCredentials;
use crate::error::{Error, ErrorKind, Result};

/// The longest name of a variable or setting in front of a value.
const NAME_BYTES_MAX: usize = 64;

/// What marks the beginning of a text that an editor or a shell of Windows wrote.
const BYTE_ORDER_MARK: char = '\u{feff}';

/// What a value is used for, which decides how it may look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Syntax {
    /// It stands in a header as it is: a token, the id of an access key, a project.
    Header,
    /// It only signs. Servers other than AWS let users choose it, so blanks and quotes may stand inside.
    SigningKey,
    /// It becomes a part of a server's name and of a signature's scope: a region, a bucket.
    HostPart,
}

/// What is wrong with a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// There is nothing.
    Empty,
    /// It begins with a byte order mark, or has one inside.
    ByteOrderMark,
    /// It is UTF-16 and not UTF-8.
    Utf16,
    /// It is no text at all.
    NotText,
    /// It is `NAME=value` or `export NAME=value`.
    Assignment,
    /// It begins with `Bearer` or `Authorization:`.
    Scheme,
    /// It stands in quotes.
    Quotes,
    /// A line ends in it or behind it.
    LineEnd,
    /// It has another control character.
    Control,
    /// It has blanks where none can be.
    Blank,
    /// It has a character that cannot stand in a header.
    NotAscii,
    /// It has a character that cannot stand in a server's name.
    NotHostPart,
}

impl fmt::Display for Flaw {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Empty => "is empty",
            Self::ByteOrderMark => "has a byte order mark",
            Self::Utf16 => "is UTF-16 text",
            Self::NotText => "is not text",
            Self::Assignment => "has the form NAME=value",
            Self::Scheme => "has the word `Bearer` or the name of a header in front of it",
            Self::Quotes => "is in quotes",
            Self::LineEnd => "has a line end in it",
            Self::Control => "has a control character in it",
            Self::Blank => "has a blank in it or around it",
            Self::NotAscii => "has a character outside of ASCII",
            Self::NotHostPart => "has characters other than letters, digits, - . and _",
        })
    }
}

impl Flaw {
    /// What to do about it.
    pub fn hint(self) -> &'static str {
        match self {
            Self::Empty => "set it, or name another source of it",
            Self::ByteOrderMark | Self::Utf16 => {
                "save it as UTF-8 without a byte order mark; in PowerShell: Set-Content -Encoding ascii"
            }
            Self::NotText => "check that it is the value itself, as UTF-8 text",
            Self::Assignment => "keep only what stands behind the `=`; a .env file is to be loaded, not named",
            Self::Scheme => "keep only what stands behind it",
            Self::Quotes => "take the quotes off; `docker run --env-file` and compose keep them",
            Self::LineEnd => "keep one line and take its end off; copying out of a terminal may break a long one",
            Self::Control | Self::Blank | Self::NotAscii => "copy it again, and check that nothing else stands with it",
            Self::NotHostPart => "write it as the cloud does, as in us-east-1",
        }
    }
}

/// What is wrong with a value, if anything. Nothing is taken off: callers trim where that is meant.
pub fn flaw(value: &str, form: Syntax) -> Option<Flaw> {
    let has_quotes = match form {
        Syntax::SigningKey => value.starts_with(is_quote) || value.ends_with(is_quote),
        Syntax::Header | Syntax::HostPart => value.contains(is_quote),
    };
    if value.trim().is_empty() {
        Some(Flaw::Empty)
    } else if value.contains(BYTE_ORDER_MARK) {
        Some(Flaw::ByteOrderMark)
    } else if looks_like_utf16(value.as_bytes()) {
        Some(Flaw::Utf16)
    } else if is_assignment(value, form) {
        Some(Flaw::Assignment)
    } else if has_scheme(value) {
        Some(Flaw::Scheme)
    } else if has_quotes {
        Some(Flaw::Quotes)
    } else if value.contains(['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}']) {
        Some(Flaw::LineEnd)
    } else if value.contains(char::is_control) {
        Some(Flaw::Control)
    } else if value.trim() != value || (form != Syntax::SigningKey && value.contains(' ')) {
        Some(Flaw::Blank)
    } else if form != Syntax::SigningKey && !value.is_ascii() {
        Some(Flaw::NotAscii)
    } else if form == Syntax::HostPart && !value.bytes().all(is_of_host) {
        Some(Flaw::NotHostPart)
    } else {
        None
    }
}

/// Refuses a value that cannot be what it is said to be. `what` names it (`the token`), `origin` the
/// variable, file or profile that it came from.
///
/// # Errors
/// [`ErrorKind::Usage`], with what is wrong and what to do; the value itself is not in it.
pub fn check(what: &str, origin: &str, value: &str, form: Syntax) -> Result<()> {
    flaw(value, form).map_or(Ok(()), |flaw| Err(refusal(what, origin, flaw)))
}

/// The error about a flaw.
pub fn refusal(what: &str, origin: &str, flaw: Flaw) -> Error {
    Error::new(ErrorKind::Usage, format!("{what} from {origin} {flaw}")).with_hint(flaw.hint())
}

/// The same refusal where a server's answer is at fault, which no repetition mends.
pub(crate) fn of_server(error: Error) -> Error {
    error.with_kind(ErrorKind::Protocol).with_hint(
        "nothing was sent with it. Check --api-url, and whether a proxy changes answers; else ask the vendor's support",
    )
}

/// Refuses AWS keys of which a part cannot be one.
///
/// # Errors
/// As [`check`].
pub fn check_aws(credentials: &AwsCredentials, origin: &str) -> Result<()> {
    check_aws_of(credentials, [origin; 3])
}

/// The same for parts that each have an origin of their own: id, secret key, session token.
pub(crate) fn check_aws_of(credentials: &AwsCredentials, [id, key, session]: [&str; 3]) -> Result<()> {
    check("the access key id", id, &credentials.access_key_id, Syntax::Header)?;
    check("the secret access key", key, credentials.secret_access_key.expose_secret(), Syntax::SigningKey)?;
    match &credentials.session_token {
        Some(token) => check("the session token", session, token.expose_secret(), Syntax::Header),
        None => Ok(()),
    }
}

/// The text in a file's or a command's bytes.
///
/// # Errors
/// [`Flaw::Utf16`], or [`Flaw::NotText`] for what is not UTF-8 either.
pub fn text_of(bytes: Vec<u8>) -> std::result::Result<String, Flaw> {
    if looks_like_utf16(&bytes) {
        return Err(Flaw::Utf16);
    }
    String::from_utf8(bytes).map_err(|_| Flaw::NotText)
}

/// A mark of UTF-16, or ASCII of which every second byte is none.
fn looks_like_utf16(bytes: &[u8]) -> bool {
    let half = |first: usize| bytes.len() > 1 && bytes.iter().skip(first).step_by(2).all(|byte| *byte == 0);
    bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) || half(0) || half(1)
}

fn is_quote(character: char) -> bool {
    matches!(character, '"' | '\'' | '`' | '\u{2018}'..='\u{201f}' | '\u{ab}' | '\u{bb}')
}

fn is_of_host(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_')
}

/// Whether a name and `=` stand in front of the value. What ends with `=` is base64.
fn is_assignment(value: &str, form: Syntax) -> bool {
    let line = value.trim_start();
    let Some((name, rest)) = line.split_once('=') else { return false };
    let (name, is_exported) = match name.strip_prefix("export ") {
        Some(name) => (name.trim(), true),
        None => (name.trim(), false),
    };
    let is_name = (1..=NAME_BYTES_MAX).contains(&name.len())
        && !name.starts_with(|first: char| first.is_ascii_digit())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
    // A key that a user chose may look like one; a variable's or a profile's name has several words.
    let is_believed = is_exported || form != Syntax::SigningKey || name.contains('_');
    is_name && is_believed && !rest.trim_start_matches('=').trim().is_empty()
}

fn has_scheme(value: &str) -> bool {
    let begins = |word: &str| value.get(..word.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(word));
    begins("bearer ") || begins("authorization:")
}

#[cfg(test)]
mod tests {
    use secrecy::SecretString;

    use super::*;

    #[test]
    fn what_clouds_and_vendors_issue_is_well_formed() {
        for (value, form) in [
            ("2:7FbU0T9y_4k-AAbbCCddEEffGGhhIIjjKKllMMnnOOppQQrrSSttUUvv", Syntax::Header),
            ("ya29.c.b0Aaekm1K_x-y...", Syntax::Header),
            ("eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln", Syntax::Header),
            ("AKIAIOSFODNN7EXAMPLE", Syntax::Header),
            ("FwoGZXIvYXdzEBYaDJq+/Kf0==", Syntax::Header),
            ("IQoJb3JpZ2luX2VjEA=", Syntax::Header),
            ("arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab", Syntax::Header),
            ("example.com:my-project", Syntax::Header),
            ("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", Syntax::SigningKey),
            ("a user's own pass=word, größer", Syntax::SigningKey),
            ("us-gov-west-1", Syntax::HostPart),
            ("my_bucket.of-mine", Syntax::HostPart),
        ] {
            assert_eq!(flaw(value, form), None, "{value}");
        }
    }

    #[test]
    fn what_went_wrong_on_the_way_is_told_apart() {
        for (value, form, expected) in [
            ("", Syntax::Header, Flaw::Empty),
            (" \n", Syntax::SigningKey, Flaw::Empty),
            ("\u{feff}2:abc", Syntax::Header, Flaw::ByteOrderMark),
            ("2\0:\0a\0", Syntax::Header, Flaw::Utf16),
            ("OPTIMIZELY_API_TOKEN=2:abc", Syntax::Header, Flaw::Assignment),
            ("export TOKEN='2:abc'", Syntax::Header, Flaw::Assignment),
            ("token = 2:abc", Syntax::Header, Flaw::Assignment),
            ("A=1\nB=2", Syntax::Header, Flaw::Assignment),
            ("aws_secret_access_key = abc", Syntax::SigningKey, Flaw::Assignment),
            ("export KEY=abc", Syntax::SigningKey, Flaw::Assignment),
            ("AWS_REGION=us-east-1", Syntax::HostPart, Flaw::Assignment),
            ("Bearer 2:abc", Syntax::Header, Flaw::Scheme),
            ("authorization: bearer 2:abc", Syntax::Header, Flaw::Scheme),
            ("\"2:abc\"", Syntax::Header, Flaw::Quotes),
            ("'2:abc'", Syntax::Header, Flaw::Quotes),
            ("\u{201c}2:abc\u{201d}", Syntax::Header, Flaw::Quotes),
            ("abc'", Syntax::SigningKey, Flaw::Quotes),
            ("AKIA\n", Syntax::Header, Flaw::LineEnd),
            ("AKIA\r", Syntax::Header, Flaw::LineEnd),
            ("ab\ncd", Syntax::SigningKey, Flaw::LineEnd),
            ("ab\u{1b}[0mcd", Syntax::Header, Flaw::Control),
            ("ab\tcd", Syntax::SigningKey, Flaw::Control),
            ("ab\0cd", Syntax::Header, Flaw::Control),
            (" AKIA", Syntax::Header, Flaw::Blank),
            ("AK IA", Syntax::Header, Flaw::Blank),
            ("abc ", Syntax::SigningKey, Flaw::Blank),
            ("2:ab\u{a0}c", Syntax::Header, Flaw::NotAscii),
            ("eu-west-1/../x", Syntax::HostPart, Flaw::NotHostPart),
            ("us-east-1,x", Syntax::HostPart, Flaw::NotHostPart),
        ] {
            assert_eq!(flaw(value, form), Some(expected), "{value:?}");
        }
    }

    #[test]
    fn a_refusal_names_the_part_and_its_origin_and_hides_the_value() {
        let keys = AwsCredentials {
            access_key_id: "AKIAEXAMPLE".into(),
            secret_access_key: SecretString::from("hidden\nkey"),
            session_token: None,
        };
        let error = check_aws(&keys, "the profile `lake`").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Usage);
        assert_eq!(error.to_string(), "the secret access key from the profile `lake` has a line end in it");
        assert!(!format!("{error:?} {:?}", error.hint()).contains("hidden"));
    }

    #[test]
    fn bytes_of_another_encoding_are_no_text() {
        assert_eq!(text_of(b"\xff\xfe2\0:\0".to_vec()), Err(Flaw::Utf16));
        assert_eq!(text_of(b"\x002\0:".to_vec()), Err(Flaw::Utf16));
        assert_eq!(text_of(b"gr\xf6\xdfe".to_vec()), Err(Flaw::NotText));
        assert_eq!(text_of(b"2:abc\n".to_vec()).unwrap(), "2:abc\n");
    }
}
