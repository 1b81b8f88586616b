//! Documents of XML, for the answers that no SDK reads: on one walk over them, or as a tree.

use quick_xml::Reader;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesRef, Event};

/// The XML API's documents have four levels at most.
const DEPTH_MAX: usize = 16;

/// An element of a document. Texts are kept to the blank: keys may begin and end with one.
#[derive(Debug, Default)]
pub(crate) struct Element {
    name: String,
    text: String,
    children: Vec<Self>,
}

/// What is told of a document on one walk over it; an error ends the walk.
pub(crate) trait Visitor {
    /// Why a document is refused.
    type Error;

    /// A document that is not one whole document of XML.
    const NOT_XML: Self::Error;

    /// An element begins, `name` without a namespace's prefix.
    fn open(&mut self, name: &[u8]) -> Result<(), Self::Error>;

    /// A text, or a part of one, of the element that is open.
    fn text(&mut self, text: &str);

    /// The element that was opened last ends.
    fn close(&mut self) -> Result<(), Self::Error>;
}

/// Walks over a document, which must be one whole document of XML.
///
/// # Errors
/// [`Visitor::NOT_XML`], and what the visitor minds.
pub(crate) fn walk<V: Visitor>(document: &[u8], visitor: &mut V) -> Result<(), V::Error> {
    let mut reader = Reader::from_reader(document);
    let (mut depth, mut has_root) = (0, false);
    let not_xml = |_| V::NOT_XML;
    loop {
        match reader.read_event().map_err(|_| V::NOT_XML)? {
            Event::Start(_) | Event::Empty(_) if depth == 0 && has_root || depth >= DEPTH_MAX => {
                return Err(V::NOT_XML);
            }
            Event::Start(tag) => {
                (depth, has_root) = (depth + 1, true);
                visitor.open(tag.local_name().as_ref())?;
            }
            Event::Empty(tag) => {
                has_root = true;
                visitor.open(tag.local_name().as_ref())?;
                visitor.close()?;
            }
            Event::End(_) => {
                depth = usize::checked_sub(depth, 1).ok_or(V::NOT_XML)?;
                visitor.close()?;
            }
            Event::Text(text) => add_text(visitor, depth, &text.xml10_content().map_err(not_xml)?)?,
            Event::CData(text) => add_text(visitor, depth, &text.xml10_content().map_err(not_xml)?)?,
            Event::GeneralRef(reference) => add_text(visitor, depth, &resolve(&reference).ok_or(V::NOT_XML)?)?,
            // Documents of the XML API declare no types; pages of HTML do.
            Event::DocType(_) => return Err(V::NOT_XML),
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
            Event::Eof if depth == 0 && has_root => return Ok(()),
            Event::Eof => return Err(V::NOT_XML),
        }
    }
}

fn add_text<V: Visitor>(visitor: &mut V, depth: usize, text: &str) -> Result<(), V::Error> {
    if depth > 0 {
        visitor.text(text);
    } else if !text.trim_matches(['\u{feff}', ' ', '\t', '\r', '\n']).is_empty() {
        return Err(V::NOT_XML);
    }
    Ok(())
}

/// What a reference to an entity stands for; `None` for one that XML does not predefine.
fn resolve(reference: &BytesRef<'_>) -> Option<String> {
    match reference.resolve_char_ref().ok()? {
        Some(character) => Some(character.to_string()),
        None => resolve_predefined_entity(&reference.decode().ok()?).map(str::to_owned),
    }
}

/// Puts the tree together.
#[derive(Default)]
struct TreeBuilder {
    open: Vec<Element>,
    root: Option<Element>,
}

impl Visitor for TreeBuilder {
    type Error = ();
    const NOT_XML: () = ();

    fn open(&mut self, name: &[u8]) -> Result<(), ()> {
        let name = std::str::from_utf8(name).map_err(drop)?.to_owned();
        self.open.push(Element { name, ..Element::default() });
        Ok(())
    }

    fn text(&mut self, text: &str) {
        if let Some(element) = self.open.last_mut() {
            element.text.push_str(text);
        }
    }

    fn close(&mut self) -> Result<(), ()> {
        let closed = self.open.pop();
        match self.open.last_mut() {
            Some(parent) => parent.children.extend(closed),
            None => self.root = closed,
        }
        Ok(())
    }
}

impl Element {
    /// The outermost element of a document; `None` for what is not one whole document of XML.
    pub fn parse(document: &[u8]) -> Option<Self> {
        let mut tree = TreeBuilder::default();
        walk(document, &mut tree).ok()?;
        tree.root
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
