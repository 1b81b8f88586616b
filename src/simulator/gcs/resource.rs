//! An object as the JSON interface describes it.

use super::super::clock::iso_date;
use super::super::object::Object;
use super::super::seed::base64;
use super::super::uri::encode;
use serde_json::{Value, json};

/// What a key keeps unescaped as one segment of a path.
const UNRESERVED: &[u8] = b"-._~";

/// The members that a description can have, as far as clients may ask for them one by one.
pub(crate) const MEMBERS: [&str; 23] = [
    "acl",
    "bucket",
    "cacheControl",
    "componentCount",
    "contentEncoding",
    "contentType",
    "crc32c",
    "etag",
    "generation",
    "id",
    "kind",
    "md5Hash",
    "mediaLink",
    "metadata",
    "metageneration",
    "name",
    "owner",
    "selfLink",
    "size",
    "storageClass",
    "timeCreated",
    "timeStorageClassUpdated",
    "updated",
];

/// Where the links of a description lead, and what it says of integrity.
#[derive(Debug, Clone)]
pub(crate) struct Origin {
    /// `http://HOST` as the client spelt it.
    pub(crate) base: String,
    pub(crate) bucket: String,
    /// Composed of several uploads, so that Google knows no MD5.
    pub(crate) composite: bool,
}

impl Origin {
    /// The description.
    pub(crate) fn describe(&self, key: &str, object: &Object) -> Value {
        let (base, bucket, generation) = (&self.base, &self.bucket, object.generation());
        let path = format!("storage/v1/b/{bucket}/o/{}", encode(key, UNRESERVED));
        let time = iso_date(object.modified());
        let mut value = json!({
            "kind": "storage#object",
            "id": format!("{bucket}/{key}/{generation}"),
            "selfLink": format!("{base}/{path}"),
            "mediaLink": format!("{base}/download/{path}?generation={generation}&alt=media"),
            "name": key,
            "bucket": bucket,
            "generation": generation.to_string(),
            "metageneration": "1",
            "contentType": "application/octet-stream",
            "storageClass": "STANDARD",
            "size": object.size_bytes().to_string(),
            "crc32c": object.crc32c(),
            "etag": etag(object),
            "timeCreated": time,
            "updated": time,
            "timeStorageClassUpdated": time,
        });
        if self.composite {
            value["componentCount"] = json!(2);
        } else {
            value["md5Hash"] = json!(base64(object.md5()));
        }
        value
    }
}

/// The tag of a version without quotation marks: both its numbers as Google packs them.
pub(crate) fn etag(object: &Object) -> String {
    let mut packed = vec![0x08];
    let mut rest = object.generation();
    while rest >= 0x80 {
        packed.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    packed.extend([rest as u8, 0x10, 0x01]);
    base64(&packed)
}

#[cfg(test)]
mod tests {
    use super::super::super::object::Material;
    use super::*;
    use bytes::Bytes;
    use jiff::Timestamp;

    #[test]
    fn a_description_has_what_google_documents() {
        let material = Material::Stored(Bytes::from_static(b"123456789"));
        let object = Object::new(material, 1_418_688_703_353_000, Timestamp::UNIX_EPOCH);
        let origin = |composite| Origin { base: "http://h".to_owned(), bucket: "b".to_owned(), composite };
        let value = origin(false).describe("a/ß%3A", &object);
        assert_eq!(value["crc32c"], "4waSgw==");
        assert_eq!(value["md5Hash"], "JfnnlDI7RTiF9RgfG2JNCw==");
        assert_eq!(value["size"], "9");
        assert_eq!(value["etag"], "CKih16GjycICEAE=");
        let link = "http://h/download/storage/v1/b/b/o/a%2F%C3%9F%253A?generation=1418688703353000&alt=media";
        assert_eq!(value["mediaLink"], link);
        let composite = origin(true).describe("a", &object);
        assert_eq!((composite.get("md5Hash"), &composite["componentCount"]), (None, &json!(2)));
    }
}
