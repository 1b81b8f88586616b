//! How the network is reached: options and the environment, for every connection alike.

use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::OnceLock;

use e3sync::error::{Error, ErrorKind};
use e3sync::export::printable;
use e3sync::finding::Finding;
use e3sync::net::{self, NetSettings};

use super::args::NetworkArgs;
use super::environment;

/// The variables of other tools that name certificate authorities; those of all are trusted. `SSL_CERT_FILE`
/// and `SSL_CERT_DIR` say what the system's authorities are, which is the TLS library's business.
const CA_VARIABLES: [&str; 3] = ["AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"];

/// The variables that name a proxy for HTTPS, the first that is set. Nothing else leaves this machine.
const PROXY_VARIABLES: [&str; 4] = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];

static OPTIONS: OnceLock<NetworkArgs> = OnceLock::new();

/// Notes the options of the command line, once, before anything is connected.
pub fn set_options(options: NetworkArgs) {
    let _ = OPTIONS.set(options);
}

/// How connections are made.
pub fn settings() -> NetSettings {
    let options = OPTIONS.get();
    let default = NetSettings::default();
    NetSettings {
        stall_timeout: options.map_or(default.stall_timeout, |options| options.stall_timeout.0),
        min_bytes_per_second: options.map_or(default.min_bytes_per_second, |options| options.min_rate.0),
        proxy: proxy().map(|(_, address)| (address, exceptions())),
        ca_bundles: ca_bundles(options.and_then(|options| options.ca_bundle.clone())),
        ..default
    }
}

/// A site names the same file to several tools.
fn ca_bundles(named: Option<PathBuf>) -> Vec<PathBuf> {
    let others = CA_VARIABLES.into_iter().filter_map(environment::value).map(PathBuf::from);
    let mut bundles: Vec<_> = named.into_iter().chain(others).collect();
    bundles.sort();
    bundles.dedup();
    bundles
}

fn proxy() -> Option<(&'static str, String)> {
    PROXY_VARIABLES.into_iter().find_map(|name| Some((name, environment::variable(name)?)))
}

fn exceptions() -> String {
    environment::variable("NO_PROXY").or_else(|| environment::variable("no_proxy")).unwrap_or_default()
}

/// An error's hint; where no answer came, with the proxy that is used.
pub fn hint_of(error: &Error) -> Option<Cow<'_, str>> {
    let hint = error.hint()?;
    let is_of_network = matches!(
        error.kind(),
        ErrorKind::NetworkRefused
            | ErrorKind::ProxyUnavailable
            | ErrorKind::Unavailable
            | ErrorKind::ExchangeUnavailable
    );
    match proxy().filter(|_| is_of_network) {
        Some((variable, address)) => Some(format!("{hint}; {variable} names {}", without_login(&address)).into()),
        None => Some(hint.into()),
    }
}

/// How servers are reached, for `doctor`.
pub fn finding() -> Finding {
    let settings = settings();
    if let Err(error) = net::check(&settings) {
        return Finding::broken("network", &error);
    }
    let way = match (proxy(), exceptions()) {
        (None, _) => "HTTPS goes without a proxy".to_owned(),
        (Some((variable, address)), exceptions) => {
            let but =
                if exceptions.is_empty() { String::new() } else { format!(", but for {}", printable(&exceptions)) };
            format!("HTTPS goes through the proxy {} ({variable}){but}", without_login(&address))
        }
    };
    let bundles: String = settings.ca_bundles.iter().map(|bundle| format!(" and {}", bundle.display())).collect();
    Finding::fine("network", format!("{way}; trusted are the authorities of this system{bundles}"))
}

/// A proxy's address without user and password.
fn without_login(address: &str) -> String {
    let (scheme, rest) = address.split_once("://").map_or(("", address), |(scheme, rest)| (scheme, rest));
    let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
    let separator = if scheme.is_empty() { "" } else { "://" };
    format!("{scheme}{separator}{}", printable(host))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_named_without_its_login() {
        for (address, shown) in [
            ("http://user:p@ss%40word@proxy:3128", "http://proxy:3128"),
            ("user:word@proxy:3128/", "proxy:3128/"),
            ("proxy:3128", "proxy:3128"),
            ("socks5h://127.0.0.1:9", "socks5h://127.0.0.1:9"),
        ] {
            assert_eq!(without_login(address), shown);
        }
    }
}
