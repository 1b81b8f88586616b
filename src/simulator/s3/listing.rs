//! ListObjectsV2.

use super::super::account::Cloud;
use super::super::call::Call;
use super::super::checksum::{Checksum, algorithm, coverage};
use super::super::clock::iso_date;
use super::super::front::{self, Answer, Front};
use super::super::listing::{Listing, Marker, Query};
use super::super::object::Object;
use super::super::reply::{Body, Reply};
use super::super::uri::encode;
use super::super::xml::{element, escape};
use super::S3Error;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::StatusCode;

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

/// The page that the call asks for.
pub(crate) fn list(front: &Front<'_>, call: &Call) -> Result<Answer, S3Error> {
    let form = form(front, call)?;
    let query = Query {
        prefix: call.parameter("prefix").unwrap_or_default().to_owned(),
        delimiter: form.delimiter.clone(),
        marker: marker(call)?,
        keys_max: form.keys_max,
        end: None,
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

fn form(front: &Front<'_>, call: &Call) -> Result<Form, S3Error> {
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
        keys_max: keys_max.min(front.settings.page_keys),
        url_encoded: encoding.is_some(),
        checksum: front.settings.checksum,
    })
}

fn invalid(message: &str) -> S3Error {
    S3Error::new(StatusCode::BAD_REQUEST, "InvalidArgument", message)
}

fn marker(call: &Call) -> Result<Marker, S3Error> {
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
    /// The listing in XML.
    pub(crate) fn reply(&self, listing: &Listing) -> Reply {
        let objects: String = listing.objects.iter().map(|(key, object)| self.contents(key, object)).collect();
        let prefixes: String = listing.prefixes.iter().map(|prefix| self.common_prefix(prefix)).collect();
        let text = format!("{HEAD}{}{objects}{prefixes}{TAIL}", self.beginning(listing));
        Reply::text(StatusCode::OK, "application/xml", text)
    }

    /// A listing of the same beginning that repeats one key for about so many bytes.
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

    fn beginning(&self, listing: &Listing) -> String {
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

    fn contents(&self, key: &str, object: &Object) -> String {
        format!(
            "<Contents><Key>{}</Key><LastModified>{}</LastModified><ETag>&quot;{}&quot;</ETag>{}\
             <Size>{}</Size><StorageClass>STANDARD</StorageClass></Contents>",
            escape(&self.encoded(key)),
            iso_date(object.modified()),
            object.etag(),
            self.checksums(),
            object.size_bytes()
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
    fn encoded(&self, key: &str) -> String {
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
