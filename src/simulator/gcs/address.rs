//! What a path means in the JSON interface (`/storage/v1/b/BUCKET/o/OBJECT`) and the XML one (`/BUCKET/OBJECT`).

use super::super::account::Cloud;
use super::super::observation::Operation;
use super::super::uri::decode;
use http::{HeaderMap, Method};

const JSON: &str = "/storage/v1/b/";
const DOWNLOAD: &str = "/download/storage/v1/b/";

/// The interface that a request speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    Json,
    Xml,
}

/// What stands in the path behind the bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// Nothing: the bucket itself.
    Bucket,
    /// `/o` of the JSON interface: the objects as a collection.
    Objects,
    /// An object by its full key.
    Object(String),
    /// Something that there is not, such as a key whose slashes are not escaped.
    Nowhere,
}

/// A taken-apart path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address {
    pub(crate) dialect: Dialect,
    pub(crate) bucket: String,
    pub(crate) place: Place,
}

/// True if the request is meant for Google and not for S3, whose buckets stand in the path likewise: the JSON
/// interface has paths of its own; elsewhere the form of the authorization decides, and without one the bucket.
pub(crate) fn is_addressed(path: &str, headers: &HeaderMap) -> bool {
    let json = ["/storage/v1/", "/download/storage/v1/"].iter().any(|root| path.starts_with(root));
    let authorization = headers.get("authorization").map(|value| value.as_bytes());
    json || match authorization {
        Some(value) => value.starts_with(b"Bearer "),
        None => path.get(1..).is_some_and(|rest| rest.starts_with(&Cloud::Gcs.bucket_name(""))),
    }
}

impl Address {
    /// Takes a path apart; none if it cannot be decoded.
    pub(crate) fn parse(path: &str) -> Option<Self> {
        let rest = path.strip_prefix(JSON).or_else(|| path.strip_prefix(DOWNLOAD));
        let (dialect, (bucket, place)) = match rest {
            Some(rest) => (Dialect::Json, json_place(rest)?),
            None if path.starts_with("/storage/v1/") || path.starts_with("/download/storage/v1/") => {
                (Dialect::Json, ("", Place::Nowhere))
            }
            None => (Dialect::Xml, xml_place(path)?),
        };
        Some(Self { dialect, bucket: decode(bucket, false)?, place })
    }

    /// What a request of the address is for. Metadata alone counts as a head, whatever the method.
    pub(crate) fn operation(&self, method: &Method, query: &[(String, String)]) -> Operation {
        match (&self.place, method) {
            (Place::Objects, &Method::GET) => Operation::List,
            (Place::Object(_), &Method::GET) if self.wants_media(query) => Operation::Get,
            (Place::Object(_), &Method::GET | &Method::HEAD) => Operation::Head,
            _ => Operation::Other,
        }
    }

    /// True if the bytes of the object are asked for and not its metadata.
    pub(crate) fn wants_media(&self, query: &[(String, String)]) -> bool {
        self.dialect == Dialect::Xml || query.iter().any(|(name, value)| name == "alt" && value == "media")
    }
}

/// A key is one segment here: its slashes are escaped.
fn json_place(rest: &str) -> Option<(&str, Place)> {
    let segments: Vec<_> = rest.splitn(4, '/').collect();
    Some(match segments[..] {
        [bucket] | [bucket, ""] => (bucket, Place::Bucket),
        [bucket, "o"] | [bucket, "o", ""] => (bucket, Place::Objects),
        [bucket, "o", key] => (bucket, Place::Object(decode(key, false)?)),
        [bucket, ..] => (bucket, Place::Nowhere),
        [] => ("", Place::Nowhere),
    })
}

fn xml_place(path: &str) -> Option<(&str, Place)> {
    let trimmed = path.strip_prefix('/').unwrap_or(path);
    Some(match trimmed.split_once('/') {
        Some((bucket, "")) => (bucket, Place::Bucket),
        Some((bucket, key)) => (bucket, Place::Object(decode(key, false)?)),
        None => (trimmed, Place::Bucket),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_both_interfaces_are_read() {
        let object = |key: &str| Place::Object(key.to_owned());
        let cases = [
            ("/storage/v1/b/x/o", Dialect::Json, "x", Place::Objects),
            ("/storage/v1/b/x", Dialect::Json, "x", Place::Bucket),
            ("/storage/v1/b/x/o/a%2Fb%253A%2F%2Fc", Dialect::Json, "x", object("a/b%3A//c")),
            ("/download/storage/v1/b/x/o/a%2F..%2Fb+c", Dialect::Json, "x", object("a/../b+c")),
            ("/storage/v1/b/x/o/a/b", Dialect::Json, "x", Place::Nowhere),
            ("/storage/v1/b/x/acl", Dialect::Json, "x", Place::Nowhere),
            ("/storage/v1/projects/p", Dialect::Json, "", Place::Nowhere),
            ("/x/a//b%253A", Dialect::Xml, "x", object("a//b%3A")),
            ("/x", Dialect::Xml, "x", Place::Bucket),
            ("/x/", Dialect::Xml, "x", Place::Bucket),
        ];
        for (path, dialect, bucket, place) in cases {
            assert_eq!(Address::parse(path), Some(Address { dialect, bucket: bucket.to_owned(), place }), "{path}");
        }
        assert_eq!(Address::parse("/storage/v1/b/x/o/%ff"), None);
    }

    #[test]
    fn the_two_clouds_share_a_port() {
        let addressed = |path: &str, authorization: Option<&str>| {
            let mut headers = HeaderMap::new();
            headers.extend(authorization.map(|value| (http::header::AUTHORIZATION, value.parse().unwrap())));
            is_addressed(path, &headers)
        };
        assert!(addressed("/storage/v1/b/x", None));
        assert!(addressed("/optimizely-e3-1/k", None));
        assert!(addressed("/optimizely-events-data/k", Some("Bearer ya29.x")));
        assert!(!addressed("/optimizely-events-data/k", None));
        assert!(!addressed("/optimizely-e3-1/k", Some("AWS4-HMAC-SHA256 Credential=x")));
    }
}
