//! A request, taken apart once: whose protocol it speaks, what it wants, and of what.

use super::account::Cloud;
use super::gcs::{self, Address, Place};
use super::observation::Operation;
use super::uri::{decode, parse_query};
use http::request::Parts;
use http::{HeaderMap, Method};

/// Which front end answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    /// The Authentication API, everything below `/v2/`.
    Exchange,
    /// The OAuth server, everything below `/oauth2/`.
    OAuth,
    /// The S3 protocol in path style; the key is empty for requests to the bucket itself.
    S3 { bucket: String, key: String },
    /// The JSON or XML protocol of Google Cloud Storage.
    Gcs(Address),
    /// A path or query that cannot be decoded.
    Broken,
}

/// One request without its body.
#[derive(Debug)]
pub(crate) struct Call {
    /// From 1 on, in the order of arrival.
    pub(crate) number: u64,
    pub(crate) method: Method,
    /// As sent, still escaped.
    pub(crate) path: String,
    /// The parameters in the order sent.
    pub(crate) query: Vec<(String, String)>,
    pub(crate) headers: HeaderMap,
    pub(crate) target: Target,
    /// The cloud whose side of the account is asked.
    pub(crate) cloud: Cloud,
    pub(crate) operation: Operation,
    /// The number of requests that were being answered when it arrived, itself among them.
    pub(crate) at_once: u64,
}

impl Call {
    pub(crate) fn new(number: u64, request: Parts) -> Self {
        let path = request.uri.path().to_owned();
        let parsed = parse_query(request.uri.query().unwrap_or_default());
        let target = if parsed.is_some() { target(&path, &request.headers) } else { Target::Broken };
        let query = parsed.unwrap_or_default();
        let operation = operation(&request.method, &target, &query);
        let cloud = cloud(&target, &path);
        let (method, headers) = (request.method, request.headers);
        Self { number, method, path, query, headers, target, cloud, operation, at_once: 1 }
    }

    /// The same call among so many that are being answered.
    pub(crate) fn among(mut self, at_once: u64) -> Self {
        self.at_once = at_once;
        self
    }

    /// Takes the fields of a form for parameters.
    pub(crate) fn with_form(mut self, form: &[u8]) -> Self {
        let form = std::str::from_utf8(form).unwrap_or_default();
        // Unlike a query, a form has its blanks as `+`.
        let url = url::Url::parse(&format!("http://form/?{form}"));
        self.query.extend(url.iter().flat_map(|url| url.query_pairs().into_owned()));
        self
    }

    /// The value of a query parameter.
    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The value of a header, if it is text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// Whether the header names the entity tag; none without the header.
    pub(crate) fn names_tag(&self, header: &str, etag: &str) -> Option<bool> {
        let mut tags = self.header(header)?.split(',').map(str::trim);
        Some(tags.any(|tag| tag == "*" || tag.trim_matches('"') == etag.trim_matches('"')))
    }

    /// The project that is to be billed, in either of Google's forms.
    pub(crate) fn user_project(&self) -> Option<&str> {
        self.header("x-goog-user-project").or_else(|| self.parameter("userProject"))
    }

    /// What the request is about: the key, the prefix, or else the path.
    pub(crate) fn subject(&self) -> &str {
        match (&self.target, self.operation) {
            (_, Operation::List) => self.parameter("prefix").unwrap_or_default(),
            (Target::S3 { key, .. }, Operation::Get | Operation::Head) => key,
            (Target::Gcs(Address { place: Place::Object(key), .. }), Operation::Get | Operation::Head) => key,
            _ => &self.path,
        }
    }
}

fn target(path: &str, headers: &HeaderMap) -> Target {
    if path.starts_with("/v2/") {
        return Target::Exchange;
    }
    if path.starts_with("/oauth2/") {
        return Target::OAuth;
    }
    if gcs::is_addressed(path, headers) {
        return Address::parse(path).map_or(Target::Broken, Target::Gcs);
    }
    let trimmed = path.strip_prefix('/').unwrap_or(path);
    let (bucket, key) = trimmed.split_once('/').unwrap_or((trimmed, ""));
    match (decode(bucket, false), decode(key, false)) {
        (Some(bucket), Some(key)) => Target::S3 { bucket, key },
        _ => Target::Broken,
    }
}

fn cloud(target: &Target, path: &str) -> Cloud {
    match target {
        Target::Gcs(_) => Cloud::Gcs,
        Target::Exchange if path.ends_with("/gcp") => Cloud::Gcs,
        _ => Cloud::S3,
    }
}

fn operation(method: &Method, target: &Target, query: &[(String, String)]) -> Operation {
    let listing = query.iter().any(|(name, value)| name == "list-type" && value == "2");
    match target {
        Target::Exchange => Operation::Exchange,
        Target::OAuth => Operation::OAuth,
        Target::Gcs(address) => address.operation(method, query),
        Target::S3 { key, .. } if key.is_empty() && listing && method == Method::GET => Operation::List,
        Target::S3 { key, .. } if !key.is_empty() && method == Method::GET => Operation::Get,
        Target::S3 { key, .. } if !key.is_empty() && method == Method::HEAD => Operation::Head,
        _ => Operation::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(method: &str, uri: &str) -> Call {
        let (parts, ()) = http::Request::builder().method(method).uri(uri).body(()).unwrap().into_parts();
        Call::new(1, parts)
    }

    #[test]
    fn requests_are_told_apart() {
        let cases = [
            ("GET", "/v2/export/credentials?duration=15m", Operation::Exchange, "/v2/export/credentials"),
            ("GET", "/b/?list-type=2&prefix=v1%2F", Operation::List, "v1/"),
            ("GET", "/b?list-type=2", Operation::List, ""),
            ("GET", "/b/v1//a/../x%253A", Operation::Get, "v1//a/../x%3A"),
            ("HEAD", "/b/k", Operation::Head, "k"),
            ("HEAD", "/b", Operation::Other, "/b"),
            ("PUT", "/b/k", Operation::Other, "/b/k"),
            ("GET", "/b/%ff", Operation::Other, "/b/%ff"),
        ];
        for (method, uri, operation, subject) in cases {
            let call = call(method, uri);
            assert_eq!((call.operation, call.subject()), (operation, subject), "{method} {uri}");
        }
    }
}
