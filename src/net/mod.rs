//! The HTTP client that everything here shares, which addresses it may use, how the
//! headers that both clouds and the Authentication API send are read.

mod body;
mod client;
mod connector;
mod http_error;
mod no_answer;
mod poster;
mod rate_watch;
mod raw_answer;
mod read_ahead;
mod refusal_body;
mod s3_config;
mod s3_refusal;
mod sdk_transport;
mod settings;
mod tls;
pub(crate) mod xml;

use std::fmt::Write as _;
use std::time::Duration;

use http::HeaderMap;
use jiff::Timestamp;
use url::Url;

use crate::error::{Error, ErrorKind, Result};
use crate::export::printable;

pub(crate) use body::{ReceivedBody, SentBody};
pub(crate) use client::{Answer, HttpClient, Timeouts, bearer, build_client, build_client_without_pool, request};
pub(crate) use http_error::HttpError;
pub(crate) use no_answer::{connection_error, no_answer};
pub use poster::JsonPoster;
pub(crate) use rate_watch::RateWatch;
pub(crate) use raw_answer::RawAnswer;
pub(crate) use refusal_body::{RefusalBody, said};
pub(crate) use s3_config::{SigningTime, with_own_transport};
pub(crate) use s3_refusal::{Refusal, SdkFailure, credentials_failure};
pub(crate) use sdk_transport::{AnswerCheck, SdkTransport};
pub use settings::NetSettings;

/// The longest page of a listing that is read into memory, in bytes: one of 1,000 keys of 1,024 bytes each, escaped
/// at its worst, fits.
pub(crate) const PAGE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// How long an answer may take once its request is sent, unless who asks knows better.
pub(crate) const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

/// Sees that connections can be made with these settings, without making any.
///
/// # Errors
/// [`ErrorKind::Usage`] for a proxy or a CA bundle that cannot be used.
pub fn check(settings: &NetSettings) -> Result<()> {
    build_client(settings).map(drop)
}

/// Reads the address of a service: HTTPS, or plain HTTP to this machine only.
///
/// # Errors
/// [`ErrorKind::Usage`] for anything else, or for an address with a user name, query or fragment.
pub fn parse_endpoint(option: &str, text: &str) -> Result<Url> {
    let refuse = |reason: &str| {
        Error::new(ErrorKind::Usage, format!("the address given to {option} {reason}"))
            .with_hint("use https://HOST, or http://127.0.0.1:PORT for a simulator on this machine")
    };
    let url = Url::parse(text).map_err(|_| refuse("is not a URL"))?;
    let is_plain = url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
    if !is_plain || url.password().is_some() {
        return Err(refuse("has more than a scheme, a host and a path"));
    }
    match url.scheme() {
        "https" if url.has_host() => Ok(url),
        "http" if is_loopback(&url) => Ok(url),
        _ => Err(refuse("is neither HTTPS nor plain HTTP on this machine")),
    }
}

/// Whether a URL's host is this machine.
pub fn is_loopback(url: &Url) -> bool {
    match url.host_str() {
        Some("localhost") => true,
        Some(host) => {
            host.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
        }
        None => false,
    }
}

/// Appends a text to an address with every byte escaped but unreserved ones and `keep`.
pub(crate) fn push_encoded(url: &mut String, text: &str, keep: u8) {
    url.reserve(text.len() + 32);
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') || byte == keep {
            url.push(char::from(byte));
        } else {
            let _ = write!(url, "%{byte:02X}");
        }
    }
}

/// The pause that a `Retry-After` header asks for, in either of its forms (RFC 9110 section 10.2.3).
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(http::header::RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let until = parse_http_date(text)?;
    Duration::try_from(until.duration_since(server_time(headers)?)).ok()
}

/// The server's clock by the answer's `Date` header.
pub(crate) fn server_time(headers: &HeaderMap) -> Option<Timestamp> {
    parse_http_date(headers.get(http::header::DATE)?.to_str().ok()?)
}

fn parse_http_date(text: &str) -> Option<Timestamp> {
    jiff::fmt::rfc2822::parse(text).ok().map(|zoned| zoned.timestamp())
}

/// The failure of a listing that cannot be believed.
pub(crate) fn untrusted_listing(prefix: &str, reason: &str) -> Error {
    Error::new(ErrorKind::ListingUntrusted, format!("the listing of {} is not believed: {reason}", printable(prefix)))
        .with_hint("nothing was changed. Something between this machine and the cloud may have answered instead of it: a proxy, a login page")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxys_password_is_not_printed() {
        let proxy = Some(("http://user:hunter2@proxy:3128".to_owned(), "localhost".to_owned()));
        let printed = format!("{:?}", NetSettings { proxy, ..NetSettings::default() });
        assert!(printed.contains("has_proxy: true") && !printed.contains("hunter2"), "{printed}");
    }

    #[test]
    fn plain_http_reaches_only_this_machine() {
        for good in ["https://api.optimizely.com", "http://127.0.0.1:8080", "http://[::1]:1/", "http://localhost:9"] {
            assert!(parse_endpoint("--api-url", good).is_ok(), "{good}");
        }
        for bad in [
            "http://example.com",
            "http://127.0.0.1.example.com",
            "https://user:pw@example.com",
            "https://example.com/?a=b",
            "ftp://127.0.0.1",
            "api.optimizely.com",
            "",
        ] {
            assert!(parse_endpoint("--api-url", bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_pause_is_read_in_seconds_and_as_a_date() {
        let mut headers = HeaderMap::new();
        headers.insert("retry-after", "120".parse().unwrap());
        assert_eq!(retry_after(&headers), Some(Duration::from_secs(120)));
        headers.insert("date", "Fri, 20 Nov 2026 10:00:00 GMT".parse().unwrap());
        headers.insert("retry-after", "Fri, 20 Nov 2026 10:00:30 GMT".parse().unwrap());
        assert_eq!(retry_after(&headers), Some(Duration::from_secs(30)));
        headers.insert("retry-after", "soon".parse().unwrap());
        assert_eq!(retry_after(&headers), None);
    }
}
