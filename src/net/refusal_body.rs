//! What the body of a refused request says, and how a server's own words stand in a message
//! (design.md section 10).

use serde_json::Value;

use super::xml::Element;
use crate::export::printable;

/// The most characters of a server's words that stand in a message.
const WORDS_CHARACTERS_MAX: usize = 300;

/// The most characters of a code or of a reference; real ones are names and numbers.
const CODE_CHARACTERS_MAX: usize = 100;

/// What stands in place of a secret that a server repeats.
const MASK: &str = "***";

/// Minimum number of characters of a token behind its prefix.
const TOKEN_CHARACTERS_MIN: usize = 20;

/// A Personal Access Token has about 52 behind its mark, which is short enough to occur elsewhere.
const PAT_CHARACTERS_MIN: usize = 40;

/// What a server says about a request that it refused, in whichever form it says it: the XML of S3
/// and Google, the JSON of Google, OAuth (RFC 6749 section 5.2) and the Authentication API
/// (domain.md section 1), a page or a plain text of something in between.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RefusalBody {
    /// The error's name or reason for programs; empty where there is none.
    pub code: String,
    /// The sentence for people as the server wrote it; empty where there is none.
    pub message: String,
    /// The server's name for this very answer, as support asks for it; empty where there is none.
    pub reference: String,
    /// Whether the body has the form of an API's error, and is not a page or a text of something in between.
    pub is_structured: bool,
}

impl RefusalBody {
    /// Reads a body; what is of no known form is taken for a plain text.
    pub fn read(body: &[u8]) -> Self {
        let text = String::from_utf8_lossy(body);
        let text = text.trim_start_matches('\u{feff}').trim();
        let structured = match text.as_bytes().first() {
            // Of a document of another form nothing is shown: it may hold what was not to be told.
            Some(b'{') => serde_json::from_str(text).ok().map(|json| Self::of_json(&json).unwrap_or_default()),
            Some(b'<') => Element::parse(text.as_bytes()).and_then(|root| Self::of_xml(&root)),
            _ => None,
        };
        structured.unwrap_or_else(|| Self { message: plain_text(text), ..Self::default() })
    }

    fn of_json(json: &Value) -> Option<Self> {
        let error = &json["error"];
        // Google nests the error in an object; OAuth names it in a text.
        let (code, message) = if error.is_object() {
            let reason = text_of(&error["errors"][0]["reason"]).or_else(|| text_of(&error["status"]));
            (reason, text_of(&error["message"]))
        } else {
            (text_of(error).or_else(|| text_of(&json["code"])), text_of(&json["error_description"]))
        };
        let message = message.or_else(|| text_of(&json["message"]));
        let body = Self {
            code: shortened(code.unwrap_or_default()),
            message: message.unwrap_or_default().to_owned(),
            reference: shortened(text_of(&json["uuid"]).unwrap_or_default()),
            is_structured: true,
        };
        (!body.code.is_empty() || !body.message.is_empty()).then_some(body)
    }

    /// S3 says it all in `Message`; Google's XML interface names the permission in `Details`. The
    /// security token service of AWS puts its error into an envelope.
    fn of_xml(root: &Element) -> Option<Self> {
        let error = root.child("Error").unwrap_or(root);
        let code = error.text_of("Code")?;
        let texts = ["Message", "Details"].into_iter().filter_map(|name| error.text_of(name));
        let reference = error.text_of("RequestId").or_else(|| root.text_of("RequestId"));
        Some(Self {
            code: shortened(code),
            message: texts.collect::<Vec<_>>().join(" "),
            reference: shortened(reference.unwrap_or_default()),
            is_structured: true,
        })
    }

    /// The server's words behind a colon, to be put at the end of a message; nothing where they
    /// only repeat the code.
    pub fn said(&self) -> String {
        said(&self.code, &self.message)
    }
}

/// A server's own words behind a colon; nothing where there are none, or where they only repeat
/// `code`, which the message has already.
pub(crate) fn said(code: &str, message: &str) -> String {
    let words = words(message);
    if words.is_empty() || letters(&words) == letters(code) { String::new() } else { format!(": {words}") }
}

/// A server's own words on one line: printable, of bounded length, without the secrets that some
/// servers repeat.
fn words(text: &str) -> String {
    let (mut line, mut is_after_bearer) = (String::new(), false);
    for word in text.split_whitespace() {
        let masked = if is_after_bearer { MASK.to_owned() } else { without_token(word) };
        is_after_bearer = word.trim_matches(['"', '\'', ':', '`']).eq_ignore_ascii_case("bearer");
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(&printable(&masked));
        if let Some((end, _)) = line.char_indices().nth(WORDS_CHARACTERS_MAX) {
            line.truncate(end);
            line.push('…');
            break;
        }
    }
    line
}

/// A word with everything masked from where a token seems to begin.
fn without_token(word: &str) -> String {
    let begins = word.char_indices().filter(|(at, _)| !word[..*at].ends_with(|before: char| before.is_alphanumeric()));
    match begins.map(|(at, _)| at).find(|at| begins_with_token(&word[*at..])) {
        Some(at) => format!("{}{MASK}", &word[..at]),
        None => word.to_owned(),
    }
}

/// Whether a text begins like a Personal Access Token (domain.md section 1), or like an access token of
/// Google's, a signed token (RFC 7519) or a session token of AWS.
fn begins_with_token(text: &str) -> bool {
    let is_token = |mark: &str, others: &str, characters_min: usize| {
        let is_of_token = |character: &char| character.is_ascii_alphanumeric() || others.contains(*character);
        let behind = text.strip_prefix(mark);
        behind.is_some_and(|behind| behind.chars().take_while(is_of_token).count() >= characters_min)
    };
    let marks = ["ya29.", "eyJ", "IQoJ", "FwoG"];
    is_token("2:", "-_", PAT_CHARACTERS_MIN) || marks.iter().any(|mark| is_token(mark, "-_.+/=", TOKEN_CHARACTERS_MIN))
}

fn letters(text: &str) -> String {
    text.chars().filter(|letter| letter.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

fn text_of(value: &Value) -> Option<&str> {
    value.as_str().filter(|text| !text.is_empty())
}

fn shortened(text: &str) -> String {
    text.chars().take(CODE_CHARACTERS_MAX).collect()
}

/// The title of a page, or a text as it is.
fn plain_text(text: &str) -> String {
    if !text.starts_with('<') {
        return text.to_owned();
    }
    let title = element(text, "title").or_else(|| element(text, "TITLE"));
    title.unwrap_or_default().to_owned()
}

/// What stands in an element of a page, which need not be well-formed.
fn element<'a>(page: &'a str, name: &str) -> Option<&'a str> {
    let (_, behind) = page.split_once(&format!("<{name}>"))?;
    Some(behind.split_once(&format!("</{name}>"))?.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> (String, String, String) {
        let body = RefusalBody::read(body.as_bytes());
        (body.code.clone(), body.said(), body.reference)
    }

    #[test]
    fn each_servers_own_form_is_read() {
        for (body, code, said, reference) in [
            (
                "<?xml version='1.0'?><Error><Code>AccessDenied</Code><Message>no &quot;s3:PutObject&quot;</Message><RequestId>R1</RequestId></Error>",
                "AccessDenied",
                ": no \"s3:PutObject\"",
                "R1",
            ),
            (
                "<Error><Code>AccessDenied</Code><Message>Access denied.</Message><Details>a@b lacks storage.objects.create</Details></Error>",
                "AccessDenied",
                ": Access denied. a@b lacks storage.objects.create",
                "",
            ),
            (
                "<ErrorResponse><Error><Code>AccessDenied</Code><Message>not sts:AssumeRole</Message></Error><RequestId>R2</RequestId></ErrorResponse>",
                "AccessDenied",
                ": not sts:AssumeRole",
                "R2",
            ),
            (
                r#"{"error":{"code":403,"message":"no permission","errors":[{"reason":"forbidden"}]}}"#,
                "forbidden",
                ": no permission",
                "",
            ),
            (
                r#"{"error":{"code":403,"message":"no permission","status":"PERMISSION_DENIED"}}"#,
                "PERMISSION_DENIED",
                ": no permission",
                "",
            ),
            (
                r#"{"error":"invalid_grant","error_description":"Token has been revoked."}"#,
                "invalid_grant",
                ": Token has been revoked.",
                "",
            ),
            (
                r#"{"code":"unauthorized","message":"Token revoked","messages":{},"uuid":"3f6c"}"#,
                "unauthorized",
                ": Token revoked",
                "3f6c",
            ),
        ] {
            let read = read(body);
            assert_eq!((read.0.as_str(), read.1.as_str(), read.2.as_str()), (code, said, reference), "{body}");
            assert!(RefusalBody::read(body.as_bytes()).is_structured, "{body}");
        }
    }

    #[test]
    fn what_is_of_no_known_form_is_a_text_or_a_pages_title() {
        for (body, said) in [
            ("", ""),
            ("  rate limit\nexceeded ", ": rate limit exceeded"),
            ("<!DOCTYPE html><html><head><title>403 by\n proxy</title>", ": 403 by proxy"),
            ("<html>no title", ""),
            (r#"{"message":7}"#, ""),
            (r#"{"access_token":"secret"}"#, ""),
            ("\u{feff}{\"message\":\"x\"}", ": x"),
        ] {
            assert_eq!(read(body).1, said, "{body}");
        }
        assert!(!RefusalBody::read(b"<html>").is_structured);
    }

    #[test]
    fn words_are_one_printable_line_of_bounded_length_and_say_more_than_the_code() {
        assert_eq!(said("AccessDenied", "Access Denied."), "");
        assert_eq!(said("", "a\u{1b}[31m\n\tb"), ": a\\u{1b}[31m b");
        assert_eq!(said("", &"é".repeat(1000)).chars().count(), WORDS_CHARACTERS_MAX + 3);
    }

    #[test]
    fn a_secret_that_a_server_repeats_is_masked() {
        let token = "x".repeat(52);
        for (text, shown) in [
            (format!("token 2:{token} is bad"), "token *** is bad"),
            (format!("`ya29.{token}'"), "`***"),
            ("Authorization: Bearer opaque, sent".to_owned(), "Authorization: Bearer *** sent"),
            (format!("jwt=eyJ{token}"), "jwt=***"),
            ("at 12:30 of 2:1".to_owned(), "at 12:30 of 2:1"),
            (
                "arn:aws:sts::123456789012:assumed-role/a-long-name-of-a-role".to_owned(),
                "arn:aws:sts::123456789012:assumed-role/a-long-name-of-a-role",
            ),
        ] {
            assert_eq!(words(&text), shown);
        }
    }
}
