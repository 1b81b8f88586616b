//! Why a request brought no answer: an outage, which may pass, or a network that refuses for good.

use std::error::Error as StdError;
use std::io;

use rustls::CertificateError;

use super::http_error::{FailedLater, HttpError, NoAuthorities};
use crate::error::{Error, ErrorKind};

const CERTIFICATE_HINT: &str = "the server's certificate is of an authority that this machine does not trust, as behind a proxy that inspects TLS: name the authority's file with --ca-bundle, AWS_CA_BUNDLE or SSL_CERT_FILE; an image without CA certificates needs the package ca-certificates";
const NAME_HINT: &str =
    "the server that answers is not the one that was asked: check the address, the DNS and the proxy (HTTPS_PROXY)";
const VALIDITY_HINT: &str = "check this machine's clock; else the server's certificate must be renewed";
const LOGIN_HINT: &str = "the proxy wants a login, or another one: check the user and the password in HTTPS_PROXY (http://user:password@host:port)";
const PROXY_HINT: &str = "the proxy does not let this host through, or cannot reach it: ask who runs the proxy, or name the host in NO_PROXY where it is reached without";
const NO_PROXY_HINT: &str = "the proxy does not answer, or not as one: check its address in HTTPS_PROXY, and its log";
const DNS_HINT: &str =
    "the host's name is not known here: check the DNS, or name the proxy in HTTPS_PROXY where it is the only way out";

/// What hyper-util says of a proxy's answer to `CONNECT`; it exports no type for it.
const TUNNEL_LOGIN: &str = "tunnel error: proxy authorization required";
const TUNNEL_REFUSED: &str = "tunnel error: unsuccessful";
/// How hyper-util begins what it says of a proxy.
const OF_PROXY: [&str; 2] = ["tunnel error: ", "SOCKS error: "];
/// How it ends that where the proxy itself takes no connection.
const UNCONNECTED: &str = "failed to create underlying connection";
/// What hyper-util says of a SOCKS proxy that refuses the login.
const SOCKS_LOGIN: [&str; 2] = ["credentials not accepted", "does not support user/pass authentication"];
/// What hyper-util says of a name that is not resolved.
const DNS: &str = "dns error";

/// The failure of a request that brought no answer.
pub(crate) fn connection_error(what: impl Into<String>, cause: HttpError) -> Error {
    no_answer(what.into(), cause)
}

/// As [`connection_error`], for the error of a library that is built on the same client.
pub(crate) fn no_answer(what: String, cause: impl StdError + Send + Sync + 'static) -> Error {
    let error = of_cause(what, &cause);
    error.with_cause(cause)
}

/// [`ErrorKind::NetworkRefused`] where the cause is one that no retry heals, [`ErrorKind::ProxyUnavailable`]
/// where the proxy takes no connection, else [`ErrorKind::Unavailable`].
pub(crate) fn of_cause(what: String, cause: &(dyn StdError + 'static)) -> Error {
    let (kind, hint) = judge(cause);
    let error = Error::new(kind, what);
    match hint {
        Some(hint) => error.with_hint(hint),
        None => error,
    }
}

/// The kind of failure behind a cause, and what to do about it where that can be told.
fn judge(cause: &(dyn StdError + 'static)) -> (ErrorKind, Option<&'static str>) {
    let refused = |hint| (ErrorKind::NetworkRefused, Some(hint));
    let is_of_proxy = |text: &str| OF_PROXY.iter().any(|beginning| text.starts_with(beginning));
    if let Some(flaw) = certificate_error(cause) {
        refused(hint_about(flaw))
    } else if cause_of::<NoAuthorities>(cause).is_some() {
        refused(CERTIFICATE_HINT)
    } else if says(cause, &|text| text == TUNNEL_LOGIN || SOCKS_LOGIN.iter().any(|words| text.contains(words))) {
        refused(LOGIN_HINT)
    } else if says(cause, &|text| text == TUNNEL_REFUSED) {
        // One that let connections through before fails for a while, or cannot reach the server just now.
        if cause_of::<FailedLater>(cause).is_some() {
            (ErrorKind::Unavailable, Some(PROXY_HINT))
        } else {
            refused(PROXY_HINT)
        }
    } else if says(cause, &|text| is_of_proxy(text) && text.ends_with(UNCONNECTED)) {
        (ErrorKind::ProxyUnavailable, Some(NO_PROXY_HINT))
    } else if says(cause, &is_of_proxy) {
        (ErrorKind::Unavailable, Some(NO_PROXY_HINT))
    } else if says(cause, &|text| text.starts_with(DNS)) {
        (ErrorKind::Unavailable, Some(DNS_HINT))
    } else {
        (ErrorKind::Unavailable, None)
    }
}

fn hint_about(flaw: &CertificateError) -> &'static str {
    match flaw {
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => NAME_HINT,
        CertificateError::Expired
        | CertificateError::ExpiredContext { .. }
        | CertificateError::NotValidYet
        | CertificateError::NotValidYetContext { .. } => VALIDITY_HINT,
        _ => CERTIFICATE_HINT,
    }
}

fn certificate_error<'a>(cause: &'a (dyn StdError + 'static)) -> Option<&'a CertificateError> {
    find(cause, &|error| match error.downcast_ref::<rustls::Error>() {
        Some(rustls::Error::InvalidCertificate(flaw)) => Some(flaw),
        _ => None,
    })
}

fn says(cause: &(dyn StdError + 'static), is_meant: &dyn Fn(&str) -> bool) -> bool {
    find(cause, &|error| is_meant(&error.to_string()).then_some(&())).is_some()
}

/// The first error of a type among an error and its causes.
pub(super) fn cause_of<'a, T: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a T> {
    find(error, &|error| error.downcast_ref())
}

/// The first thing that is found in an error and what caused it. An [`io::Error`] gives the error that it
/// is made of not as its source, but skips it.
fn find<'a, T>(
    error: &'a (dyn StdError + 'static),
    look: &dyn Fn(&'a (dyn StdError + 'static)) -> Option<&'a T>,
) -> Option<&'a T> {
    let inner = || error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    look(error)
        .or_else(|| inner().and_then(|inner| find(inner, look)))
        .or_else(|| error.source().and_then(|source| find(source, look)))
}
