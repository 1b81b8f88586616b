//! A page of ListObjectsV2, read from its XML in one pass.

use crate::export::Object;
use crate::net::xml::{self, Visitor};

/// What a page says of itself and of its objects. What S3 adds besides is passed over.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct ListedPage {
    pub bucket: Option<String>,
    pub prefix: Option<String>,
    pub key_count: Option<usize>,
    pub is_truncated: bool,
    pub next_token: Option<String>,
    pub objects: Vec<Object>,
    pub folders: Vec<String>,
}

/// An element that is open, as far as it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// The document itself.
    Page,
    /// An object.
    Contents,
    /// A folder.
    CommonPrefixes,
    /// A text of the element around it.
    Field(Field),
    /// Something that is not used, with whatever is in it.
    Other,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Name,
    Prefix,
    KeyCount,
    IsTruncated,
    NextContinuationToken,
    Key,
    Size,
    ETag,
    FolderPrefix,
}

/// Why a page cannot be believed.
pub(super) type Reason = &'static str;

const NO_LISTING: Reason = "it is not a listing";

impl ListedPage {
    /// Reads the page.
    ///
    /// # Errors
    /// What is wrong with it: another document, one that breaks off, an object without key or size.
    pub fn read(document: &[u8]) -> Result<Self, Reason> {
        let mut reader = PageReader::default();
        xml::walk(document, &mut reader)?;
        Ok(reader.page)
    }
}

/// The page so far.
#[derive(Default)]
struct PageReader {
    page: ListedPage,
    open: Vec<Place>,
    /// The text of the field that is open.
    text: String,
    object: ListedObject,
}

#[derive(Default)]
struct ListedObject {
    key: Option<String>,
    size_bytes: Option<u64>,
    etag: Option<String>,
}

impl Visitor for PageReader {
    type Error = Reason;
    const NOT_XML: Reason = NO_LISTING;

    fn open(&mut self, name: &[u8]) -> Result<(), Reason> {
        let place = match self.open.last() {
            None if name != b"ListBucketResult" => return Err(NO_LISTING),
            None => Place::Page,
            Some(Place::Page) => match name {
                b"Contents" => {
                    self.object = ListedObject::default();
                    Place::Contents
                }
                b"CommonPrefixes" => Place::CommonPrefixes,
                b"Name" => Place::Field(Field::Name),
                b"Prefix" => Place::Field(Field::Prefix),
                b"KeyCount" => Place::Field(Field::KeyCount),
                b"IsTruncated" => Place::Field(Field::IsTruncated),
                b"NextContinuationToken" => Place::Field(Field::NextContinuationToken),
                _ => Place::Other,
            },
            Some(Place::Contents) => match name {
                b"Key" => Place::Field(Field::Key),
                b"Size" => Place::Field(Field::Size),
                b"ETag" => Place::Field(Field::ETag),
                _ => Place::Other,
            },
            Some(Place::CommonPrefixes) if name == b"Prefix" => Place::Field(Field::FolderPrefix),
            Some(_) => Place::Other,
        };
        self.text.clear();
        self.open.push(place);
        Ok(())
    }

    fn text(&mut self, text: &str) {
        if let Some(Place::Field(_)) = self.open.last() {
            self.text.push_str(text);
        }
    }

    fn close(&mut self) -> Result<(), Reason> {
        match self.open.pop().ok_or(NO_LISTING)? {
            Place::Contents => {
                let object = std::mem::take(&mut self.object);
                self.page.objects.push(Object {
                    key: object.key.ok_or("an object has no key")?,
                    size_bytes: object.size_bytes.ok_or("an object has no size")?,
                    etag: object.etag,
                    ..Object::default()
                });
            }
            Place::Field(field) => self.set(field)?,
            Place::Page | Place::CommonPrefixes | Place::Other => {}
        }
        Ok(())
    }
}

impl PageReader {
    fn set(&mut self, field: Field) -> Result<(), Reason> {
        let text = std::mem::take(&mut self.text);
        let page = &mut self.page;
        match field {
            Field::Name => page.bucket = Some(text),
            Field::Prefix => page.prefix = Some(text),
            Field::KeyCount => page.key_count = Some(text.trim().parse().map_err(|_| NO_LISTING)?),
            Field::IsTruncated => page.is_truncated = text.trim().parse().map_err(|_| NO_LISTING)?,
            Field::NextContinuationToken => page.next_token = Some(text),
            Field::Key => self.object.key = Some(text),
            Field::Size => self.object.size_bytes = text.trim().parse().ok(),
            Field::ETag => self.object.etag = Some(text),
            Field::FolderPrefix => page.folders.push(text),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = concat!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">",
        "<Name>b</Name><Prefix>p/</Prefix><KeyCount>2</KeyCount><MaxKeys>1000</MaxKeys><IsTruncated>true</IsTruncated>",
        "<Contents><Key>p/ a&amp;&#x62;<![CDATA[<c>]]> </Key><LastModified>2026-01-11T06:00:00.000Z</LastModified>",
        "<ETag>&quot;e1&quot;</ETag><Size>7</Size><Owner><ID>x</ID><Key>no key</Key></Owner></Contents>",
        "<CommonPrefixes><Prefix>p/f/</Prefix></CommonPrefixes><NextContinuationToken>t&lt;1</NextContinuationToken>",
        "</ListBucketResult>\n"
    );

    #[test]
    fn a_page_is_read_to_the_blank() {
        let page = ListedPage::read(PAGE.as_bytes()).unwrap();
        let object =
            Object { key: "p/ a&b<c> ".into(), size_bytes: 7, etag: Some("\"e1\"".into()), ..Object::default() };
        let expected = ListedPage {
            bucket: Some("b".into()),
            prefix: Some("p/".into()),
            key_count: Some(2),
            is_truncated: true,
            next_token: Some("t<1".into()),
            objects: vec![object],
            folders: vec!["p/f/".into()],
        };
        assert_eq!(page, expected);
    }

    #[test]
    fn a_page_that_breaks_off_is_none() {
        for length in 0..PAGE.trim_end().len() {
            assert!(ListedPage::read(&PAGE.as_bytes()[..length]).is_err(), "{length}");
        }
    }

    #[test]
    fn what_is_no_listing_is_refused() {
        for other in [
            "",
            "text",
            "{}",
            "<!DOCTYPE html><html><body>login</body></html>",
            "<Error><Code>SlowDown</Code></Error>",
            "<ListBucketResult/><ListBucketResult/>",
            "<ListBucketResult></ListBucketResult>text",
            "<ListBucketResult><IsTruncated>maybe</IsTruncated></ListBucketResult>",
            "<ListBucketResult><KeyCount>-1</KeyCount></ListBucketResult>",
            "<ListBucketResult><Contents><Key>a</Key></Contents></ListBucketResult>",
            "<ListBucketResult><Contents><Key>a</Key><Size>-1</Size></Contents></ListBucketResult>",
            "<ListBucketResult><Contents><Size>1</Size></Contents></ListBucketResult>",
            "<ListBucketResult><Prefix>&unknown;</Prefix></ListBucketResult>",
        ] {
            assert!(ListedPage::read(other.as_bytes()).is_err(), "{other}");
        }
        let deep = format!("<ListBucketResult>{}", "<a>".repeat(1000));
        assert!(ListedPage::read(deep.as_bytes()).is_err());
    }
}
