//! A document of XML as a tree, for the answers that no SDK reads.

use quick_xml::Reader;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesRef, BytesStart, Event};

/// The XML API's documents have four levels at most.
const DEPTH_MAX: usize = 16;

/// An element of a document. Texts are kept to the blank: keys may begin and end with one.
#[derive(Debug, Default)]
pub(crate) struct Element {
    name: String,
    text: String,
    children: Vec<Self>,
}

impl Element {
    /// The outermost element of a document; `None` for what is not one whole document of XML.
    pub fn parse(document: &[u8]) -> Option<Self> {
        let mut reader = Reader::from_reader(document);
        let (mut open, mut root) = (Vec::<Self>::new(), None);
        loop {
            let closed = match reader.read_event().ok()? {
                Event::Start(tag) if open.len() < DEPTH_MAX => {
                    open.push(Self::named(&tag)?);
                    continue;
                }
                Event::Empty(tag) => Self::named(&tag)?,
                Event::End(_) => open.pop()?,
                Event::Eof if open.is_empty() => return root,
                // Documents of the XML API declare no types; pages of HTML do.
                Event::Start(_) | Event::Eof | Event::DocType(_) => return None,
                Event::Text(text) => {
                    add_text(&mut open, &text.xml10_content().ok()?)?;
                    continue;
                }
                Event::CData(text) => {
                    add_text(&mut open, &text.xml10_content().ok()?)?;
                    continue;
                }
                Event::GeneralRef(reference) => {
                    add_text(&mut open, &resolve(&reference)?)?;
                    continue;
                }
                Event::Comment(_) | Event::Decl(_) | Event::PI(_) => continue,
            };
            match open.last_mut() {
                Some(parent) => parent.children.push(closed),
                None if root.is_none() => root = Some(closed),
                None => return None,
            }
        }
    }

    fn named(tag: &BytesStart<'_>) -> Option<Self> {
        let name = std::str::from_utf8(tag.local_name().into_inner()).ok()?.to_owned();
        Some(Self { name, ..Self::default() })
    }

    /// The name without a namespace's prefix.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// All children in their order.
    pub fn children(&self) -> &[Self] {
        &self.children
    }

    /// The children of this name in their order.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Self> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// The first child of this name.
    pub fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.name == name)
    }

    /// The text of the first child of this name.
    pub fn text_of(&self, name: &str) -> Option<&str> {
        self.child(name).map(|child| child.text.as_str())
    }

    /// The element's own text.
    pub fn text(&self) -> &str {
        &self.text
    }
}

fn add_text(open: &mut [Element], text: &str) -> Option<()> {
    match open.last_mut() {
        Some(element) => element.text.push_str(text),
        None if text.trim_matches(['\u{feff}', ' ', '\t', '\r', '\n']).is_empty() => {}
        None => return None,
    }
    Some(())
}

/// What a reference to an entity stands for; `None` for one that XML does not predefine.
pub(crate) fn resolve(reference: &BytesRef<'_>) -> Option<String> {
    match reference.resolve_char_ref().ok()? {
        Some(character) => Some(character.to_string()),
        None => resolve_predefined_entity(&reference.decode().ok()?).map(str::to_owned),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_kept_to_the_blank() {
        let document = "<?xml version='1.0'?><L xmlns='a'><Key> a &amp;&#x20;<![CDATA[<b>]]> </Key><Key/></L>\n";
        let root = Element::parse(document.as_bytes()).unwrap();
        assert_eq!(root.name(), "L");
        assert_eq!(root.all("Key").map(|key| key.text.as_str()).collect::<Vec<_>>(), [" a & <b> ", ""]);
    }

    #[test]
    fn a_document_that_breaks_off_is_none() {
        let whole = b"<List><Name>b</Name></List>";
        assert!(Element::parse(whole).is_some());
        for length in 0..whole.len() {
            assert!(Element::parse(&whole[..length]).is_none(), "{length}");
        }
        for other in ["<a></b>", "<a/><b/>", "text", "<!DOCTYPE html><html></html>", "<a>&unknown;</a>", "<a/>text", ""]
        {
            assert!(Element::parse(other.as_bytes()).is_none(), "{other}");
        }
        assert!(Element::parse("<a>".repeat(1000).as_bytes()).is_none());
    }
}
