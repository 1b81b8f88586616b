//! ListObjectsV2.

use super::super::account::Cloud;
use super::super::call::Call;
use super::super::checksum::{Checksum, algorithm, coverage};
use super::super::clock::iso_date;
use super::super::front::{self, Answer, Front};
use super::super::listing::{Listing, Marker, Query};
use super::super::reply::{Body, Reply};
use super::super::uri::encode;
use super::super::xml::{element, escape};
use super::S3Error;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::StatusCode;
use jiff::Timestamp;

const HEAD: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
    <ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">";
const TAIL: &str = "</ListBucketResult>";

/// A bomb is made of pieces of about this size.
const BOMB_PIECE_BYTES: usize = 64 * 1024;

/// How a listing is to be told, as far as the keys themselves do not say it.
#[derive(Debug, Clone)]
pub(crate) struct Form {
    delimiter: String,
    start_after: Option<String>,
    keys_max: usize,
    url_encoded: bool,
    checksum: Checksum,
}

/// An object as a listing shows it.
pub(crate) struct Entry<'a> {
    pub(crate) modified: Timestamp,
    /// With its quotes.
    pub(crate) etag: &'a str,
    /// Further elements, as XML.
    pub(crate) more: &'a str,
    pub(crate) size_bytes: u64,
    pub(crate) storage_class: &'a str,
}

/// What the bucket decides of a listing.
pub(crate) struct Limits {
    pub(crate) page_keys: usize,
    pub(crate) checksum: Checksum,
}

/// The page that the call asks for.
pub(crate) fn list(front: &Front<'_>, call: &Call) -> Result<Answer, S3Error> {
    let limits = Limits { page_keys: front.settings.page_keys, checksum: front.settings.checksum };
    let form = form(call, &limits)?;
    let query = Query {
        prefix: call.parameter("prefix").unwrap_or_default().to_owned(),
        marker: marker(call)?,
        ..form.query()
    };
    let page = front.page(Cloud::S3, &query);
    let listing = Listing {
        bucket: front.bucket_name(Cloud::S3),
        prefix: query.prefix,
        objects: page.objects,
        prefixes: page.prefixes,
        token: call.parameter("continuation-token").map(str::to_owned),
        next_token: page.next.as_ref().map(token),
    };
    Ok(Answer::Listing(listing, front::Form::S3(form)))
}

/// How the call wants its listing told.
pub(crate) fn form(call: &Call, limits: &Limits) -> Result<Form, S3Error> {
    let encoding = call.parameter("encoding-type");
    if encoding.is_some_and(|encoding| encoding != "url") {
        return Err(invalid("Invalid Encoding Method specified in Request"));
    }
    let keys_max = match call.parameter("max-keys") {
        Some(asked) => {
            asked.parse().map_err(|_| invalid("Provided max-keys not an integer or within integer range"))?
        }
        None => usize::MAX,
    };
    Ok(Form {
        delimiter: call.parameter("delimiter").unwrap_or_default().to_owned(),
        start_after: call.parameter("start-after").map(str::to_owned),
        keys_max: keys_max.min(limits.page_keys),
        url_encoded: encoding.is_some(),
        checksum: limits.checksum,
    })
}

fn invalid(message: &str) -> S3Error {
    S3Error::new(StatusCode::BAD_REQUEST, "InvalidArgument", message)
}

/// Where the call wants its page to begin.
pub(crate) fn marker(call: &Call) -> Result<Marker, S3Error> {
    match (call.parameter("continuation-token"), call.parameter("start-after")) {
        (Some(token), _) => marker_of(token).ok_or_else(|| invalid("The continuation token provided is incorrect")),
        (None, Some(key)) => Ok(Marker::AfterKey(key.to_owned())),
        (None, None) => Ok(Marker::Start),
    }
}

/// The opaque token of a marker.
pub(crate) fn token(marker: &Marker) -> String {
    URL_SAFE_NO_PAD.encode(marker.text())
}

fn marker_of(token: &str) -> Option<Marker> {
    Marker::parse(&String::from_utf8(URL_SAFE_NO_PAD.decode(token).ok()?).ok()?)
}

impl Form {
    /// The delimiter and the size of the page.
    pub(crate) fn query(&self) -> Query {
        Query { delimiter: self.delimiter.clone(), keys_max: self.keys_max, ..Query::default() }
    }

    /// The listing in XML.
    pub(crate) fn reply(&self, listing: &Listing) -> Reply {
        self.write(listing, |key, object| {
            let etag = format!("\"{}\"", object.etag());
            let (modified, size_bytes) = (object.modified(), object.size_bytes());
            let more = &self.checksums();
            self.contents(key, &Entry { modified, etag: &etag, more, size_bytes, storage_class: "STANDARD" })
        })
    }

    /// A listing of anything in XML; `contents` writes one object by way of [`Form::contents`].
    pub(crate) fn write<T>(&self, listing: &Listing<T>, contents: impl Fn(&str, &T) -> String) -> Reply {
        let objects: String = listing.objects.iter().map(|(key, object)| contents(key, object)).collect();
        let prefixes: String = listing.prefixes.iter().map(|prefix| self.common_prefix(prefix)).collect();
        let text = format!("{HEAD}{}{objects}{prefixes}{TAIL}", self.beginning(listing));
        Reply::text(StatusCode::OK, "application/xml", text)
    }

    /// A listing of the same beginning that repeats one key for about this number of bytes.
    pub(crate) fn bomb(&self, listing: &Listing, size_bytes: u64) -> Reply {
        let key = format!("{}part-00000.snappy.parquet", listing.prefix);
        let contents = format!("<Contents>{}<Size>1</Size></Contents>", element("Key", &self.encoded(&key)));
        let unit = Bytes::from(contents.repeat(BOMB_PIECE_BYTES / contents.len() + 1));
        let times = size_bytes / unit.len() as u64;
        let mut reply = self.reply(listing);
        let head = Bytes::from(format!("{HEAD}{}", self.beginning(listing)));
        reply.body = Body::Repeated { head, unit, times, tail: Bytes::from_static(TAIL.as_bytes()) };
        reply
    }

    fn beginning<T>(&self, listing: &Listing<T>) -> String {
        let count = listing.objects.len() + listing.prefixes.len();
        let mut text = element("Name", &listing.bucket) + &element("Prefix", &self.encoded(&listing.prefix));
        text += &element("KeyCount", &count.to_string());
        text += &element("MaxKeys", &self.keys_max.to_string());
        text += &element("IsTruncated", &listing.next_token.is_some().to_string());
        let delimiter = Some(&self.delimiter).filter(|delimiter| !delimiter.is_empty());
        let optional = [
            ("Delimiter", delimiter.map(|delimiter| self.encoded(delimiter))),
            ("EncodingType", self.url_encoded.then(|| "url".to_owned())),
            ("StartAfter", self.start_after.as_ref().map(|key| self.encoded(key))),
            ("ContinuationToken", listing.token.clone()),
            ("NextContinuationToken", listing.next_token.clone()),
        ];
        for (name, value) in optional {
            text += &value.map(|value| element(name, &value)).unwrap_or_default();
        }
        text
    }

    /// One object in XML.
    pub(crate) fn contents(&self, key: &str, entry: &Entry<'_>) -> String {
        format!(
            "<Contents><Key>{}</Key><LastModified>{}</LastModified><ETag>{}</ETag>{}\
             <Size>{}</Size><StorageClass>{}</StorageClass></Contents>",
            escape(&self.encoded(key)),
            iso_date(entry.modified),
            escape(entry.etag),
            entry.more,
            entry.size_bytes,
            entry.storage_class
        )
    }

    fn checksums(&self) -> String {
        match self.checksum {
            Checksum::None => String::new(),
            kind => element("ChecksumAlgorithm", algorithm(kind)) + &element("ChecksumType", coverage(kind)),
        }
    }

    fn common_prefix(&self, prefix: &str) -> String {
        format!("<CommonPrefixes>{}</CommonPrefixes>", element("Prefix", &self.encoded(prefix)))
    }

    /// S3 encodes like a form: a space becomes a plus sign.
    pub(crate) fn encoded(&self, key: &str) -> String {
        if self.url_encoded { encode(key, b"-._*/ ").replace(' ', "+") } else { key.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_opaque_and_lead_back() {
        for marker in [Marker::Start, Marker::AfterKey("a/ß".into()), Marker::AfterPrefix("a/".into())] {
            assert_eq!(marker_of(&token(&marker)), Some(marker));
        }
        for bad in ["", "%", "eA", "_w"] {
            assert_eq!(marker_of(bad), None, "{bad}");
        }
    }

    #[test]
    fn keys_are_encoded_only_when_asked() {
        let form = |url_encoded| Form {
            delimiter: String::new(),
            start_after: None,
            keys_max: 1,
            url_encoded,
            checksum: Checksum::None,
        };
        assert_eq!(form(true).encoded("a b+%3A\u{1}/ß"), "a+b%2B%253A%01/%C3%9F");
        assert_eq!(form(false).encoded("a b+"), "a b+");
    }
}
