//! XML text, escaped as both clouds escape it.

/// `<name>text</name>` with the text escaped.
pub(crate) fn element(name: &str, text: &str) -> String {
    format!("<{name}>{}</{name}>", escape(text))
}

/// Escapes markup, and control characters as numeric references.
///
/// XML 1.0 knows no reference to most control characters; S3 sends them nevertheless, which is why clients ask for
/// `encoding-type=url`.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            control if control.is_ascii_control() => {
                escaped.push_str(&format!("&#x{:x};", u32::from(control)));
            }
            other => escaped.push(other),
        }
    }
    escaped
}

/// The insides of all elements of the name, one behind the other. Enough for the small bodies that clients send, in
/// which no element holds another of its own name.
pub(crate) fn elements<'a>(text: &'a str, name: &str) -> impl Iterator<Item = &'a str> + use<'a> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    let mut rest = text;
    std::iter::from_fn(move || {
        let (_, behind) = rest.split_once(&open)?;
        let (inside, next) = behind.split_once(&close)?;
        rest = next;
        Some(inside)
    })
}

/// Undoes the escapes of XML text; those that it does not know stay.
pub(crate) fn unescape(text: &str) -> String {
    let mut pieces = text.split('&');
    let mut plain = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        match piece.split_once(';').and_then(|(name, rest)| Some((character(name)?, rest))) {
            Some((character, rest)) => {
                plain.push(character);
                plain.push_str(rest);
            }
            None => {
                plain.push('&');
                plain.push_str(piece);
            }
        }
    }
    plain
}

fn character(name: &str) -> Option<char> {
    let code = match name {
        "amp" => return Some('&'),
        "lt" => return Some('<'),
        "gt" => return Some('>'),
        "quot" => return Some('"'),
        "apos" => return Some('\''),
        _ => name.strip_prefix('#')?,
    };
    let number = match code.strip_prefix('x') {
        Some(digits) => u32::from_str_radix(digits, 16).ok()?,
        None => code.parse().ok()?,
    };
    char::from_u32(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_and_control_characters_are_escaped() {
        assert_eq!(element("Key", "a<&>\"'\r\u{1}ß"), "<Key>a&lt;&amp;&gt;&quot;'&#xd;&#x1;ß</Key>");
    }

    #[test]
    fn elements_are_found_and_escapes_undone() {
        let key = "a<&>\"'\r\u{1}ß &; &x";
        let text = format!("<List xmlns=\"x\"><Part>1</Part>{}<Part>2</Part></List>", element("Key", key));
        assert_eq!(elements(&text, "Part").collect::<Vec<_>>(), ["1", "2"]);
        assert_eq!(elements(&text, "Key").map(unescape).collect::<Vec<_>>(), [key]);
        assert_eq!(unescape("&#13;&#x41;&apos;&nosuch;&"), "\rA'&nosuch;&");
    }
}
