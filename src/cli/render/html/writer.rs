//! Writes HTML: every text is escaped in one place.

use std::fmt::{self, Display, Write as _};

/// Attributes of an element.
pub type Attributes<'a> = &'a [(&'static str, &'a str)];

/// HTML that is written in order. Whatever comes from outside goes through the same escaping, in
/// text and in attributes alike; there is no way around it but for [`Html::raw`].
#[derive(Default)]
pub struct Html {
    text: String,
}

impl Html {
    /// Begins an element.
    pub fn open(&mut self, tag: &'static str, attributes: Attributes<'_>) {
        let _ = write!(self.text, "<{tag}");
        for (name, value) in attributes {
            let _ = write!(self.text, " {name}=\"");
            self.text(value);
            self.text.push('"');
        }
        self.text.push('>');
    }

    /// Ends an element.
    pub fn close(&mut self, tag: &'static str) {
        let _ = write!(self.text, "</{tag}>");
    }

    /// Ends an element, and the line: for those who read the source.
    pub fn close_line(&mut self, tag: &'static str) {
        self.close(tag);
        self.text.push('\n');
    }

    /// Text, escaped.
    pub fn text(&mut self, text: impl Display) {
        let _ = write!(Escaping(&mut self.text), "{text}");
    }

    /// An element with nothing but text.
    pub fn element(&mut self, tag: &'static str, attributes: Attributes<'_>, text: impl Display) {
        self.open(tag, attributes);
        self.text(text);
        self.close(tag);
    }

    /// Text of our own that is HTML already.
    pub fn raw(&mut self, html: &'static str) {
        self.text.push_str(html);
    }

    /// What was written.
    pub fn finish(self) -> String {
        self.text
    }
}

/// Escapes what passes through.
struct Escaping<'a>(&'a mut String);

impl fmt::Write for Escaping<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            match character {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                '\n' | '\t' => self.0.push(character),
                // What turns the direction of text round makes a page say what it does not.
                '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => self.0.push('\u{fffd}'),
                _ if character.is_control() => self.0.push('\u{fffd}'),
                _ => self.0.push(character),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_foreign_is_markup() {
        let foreign = "</style><script>alert('x')</script>\" onload=\"y\u{0}\u{202e}&amp;";
        let mut html = Html::default();
        html.element("p", &[("title", foreign)], foreign);
        let escaped = "&lt;/style&gt;&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&quot; onload=&quot;y\u{fffd}\u{fffd}&amp;amp;";
        assert_eq!(html.finish(), format!("<p title=\"{escaped}\">{escaped}</p>"));
    }
}
