//! An OAuth application as typed becomes one as decided, and the places of its logins.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use e3sync::credentials::oauth::{Application, ClientAuthentication, Grant, Login, OAuthTokens};
use e3sync::credentials::well_formed::{self, Syntax};
use e3sync::credentials::{SecretSource, TokenSource};
use e3sync::error::{Error, ErrorKind, Result};
use e3sync::net;
use sha2::{Digest as _, Sha256};

use super::args::{ApplicationArgs, ClientAuthArg, GrantArg, OAuthArgs};
use super::environment::state_folder;
use super::network;

/// The folder of the logins below the user's state folder.
const FOLDER: &str = "oauth";

/// What the file of a login is called before the application's own part.
const LOGIN: &str = "login-";

fn usage(what: impl Into<String>, hint: &'static str) -> Error {
    Error::new(ErrorKind::Usage, what).with_hint(hint)
}

/// The application with this id, which is asked at this token endpoint.
fn application_of(arguments: &ApplicationArgs, client_id: &str, token_url: &str) -> Result<Application> {
    well_formed::check("the application's id", "--oauth-client-id", client_id, Syntax::Header)?;
    let secret = match (&arguments.oauth_client_secret_file, &arguments.oauth_client_secret_command) {
        (Some(path), _) => Some(SecretSource::File(path.clone())),
        (None, Some(command)) => Some(SecretSource::Command(command.clone())),
        (None, None) => None,
    };
    Ok(Application {
        client_id: client_id.to_owned(),
        client_secret: secret,
        authentication: match arguments.oauth_client_auth {
            ClientAuthArg::Body => ClientAuthentication::Body,
            ClientAuthArg::Basic => ClientAuthentication::Basic,
        },
        token_url: net::parse_endpoint("--oauth-token-url", token_url)?,
        scope: Some(arguments.oauth_scope.clone()).filter(|scope| !scope.is_empty()),
        net: network::settings(),
    })
}

/// The application that is named; `None` where none is.
///
/// # Errors
/// [`ErrorKind::Usage`] for an id or an address that cannot be used.
pub fn application(arguments: &ApplicationArgs) -> Result<Option<Application>> {
    let client_id = arguments.oauth_client_id.as_deref();
    client_id.map(|client_id| application_of(arguments, client_id, &arguments.oauth_token_url)).transpose()
}

/// The access tokens that a run uses; `None` where neither an application is named nor one is logged in.
///
/// # Errors
/// [`ErrorKind::Usage`] for settings that cannot be used, and for several logins of which none is named.
pub fn tokens(arguments: &OAuthArgs) -> Result<Option<TokenSource>> {
    let named = &arguments.application;
    let (client_id, token_url) = match &named.oauth_client_id {
        Some(client_id) => (client_id.clone(), named.oauth_token_url.clone()),
        None => match only_login()? {
            Some(login) => (login.client_id, login.token_url),
            None => return Ok(None),
        },
    };
    let application = application_of(named, &client_id, &token_url)?;
    let grant = match (arguments.oauth_grant, &arguments.oauth_refresh_token_file) {
        (GrantArg::ClientCredentials, Some(_)) => {
            return Err(usage("client credentials need no refresh token", "leave --oauth-refresh-token-file out"));
        }
        (GrantArg::ClientCredentials, None) if application.client_secret.is_none() => {
            return Err(usage(
                "client credentials need the application's secret",
                "name it with --oauth-client-secret-file",
            ));
        }
        (GrantArg::ClientCredentials, None) => Grant::ClientCredentials,
        (GrantArg::RefreshToken, Some(path)) => {
            let parts = [&*client_id, application.token_url.as_str(), &path.to_string_lossy()];
            Grant::RefreshToken { path: path.clone(), kept_in: folder()?.join(file_name("kept-", &parts)) }
        }
        (GrantArg::RefreshToken, None) => Grant::Login(login_path(&application)?),
    };
    Ok(Some(TokenSource::OAuth(Arc::new(OAuthTokens::new(application, grant)))))
}

/// Where the login of an application is kept.
pub fn login_path(application: &Application) -> Result<PathBuf> {
    Ok(folder()?.join(file_name(LOGIN, &[&application.client_id, application.token_url.as_str()])))
}

fn folder() -> Result<PathBuf> {
    let state = state_folder().ok_or_else(|| {
        usage("there is no folder to keep a login in", "set HOME or XDG_STATE_HOME to a folder of yours")
    })?;
    Ok(state.join(FOLDER))
}

fn file_name(kind: &str, parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    let digits: String = hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    format!("{kind}{digits}.json")
}

/// The files of all logins.
pub fn logins() -> Result<Vec<PathBuf>> {
    let Some(folder) = state_folder().map(|state| state.join(FOLDER)) else { return Ok(Vec::new()) };
    let is_login = |path: &Path| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name.starts_with(LOGIN) && name.ends_with(".json")
    };
    let entries = match std::fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(cause) => {
            let what = format!("cannot look for logins in {}", folder.display());
            return Err(usage(what, "give the folder back to this user").with_cause(cause));
        }
    };
    let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).filter(|path| is_login(path)).collect();
    paths.sort();
    Ok(paths)
}

/// The one login that there is.
fn only_login() -> Result<Option<Login>> {
    match logins()?.as_slice() {
        [] => Ok(None),
        [path] => Login::read(path),
        _ => Err(usage("there are logins of several applications", "name one with --oauth-client-id")),
    }
}
