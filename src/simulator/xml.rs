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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_and_control_characters_are_escaped() {
        assert_eq!(element("Key", "a<&>\"'\r\u{1}ß"), "<Key>a&lt;&amp;&gt;&quot;'&#xd;&#x1;ß</Key>");
    }
}
