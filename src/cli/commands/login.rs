//! Runs `login` and `logout`.

use std::io::BufRead as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use e3sync::credentials::oauth::{Authorization, RedirectListener};
use e3sync::error::{Error, ErrorKind, Result};
use e3sync::net;
use e3sync::progress::Silent;

use super::{Outcome, success};
use crate::cli::args::{LoginArgs, LogoutArgs};
use crate::cli::decide::Present;
use crate::cli::environment;
use crate::cli::oauth;
use crate::cli::{output, signals};

/// How long a person may take to allow the application.
const LOGIN_TIMEOUT: Duration = Duration::from_secs(10 * 60);

/// Runs `e3sync login`.
pub async fn login(arguments: LoginArgs) -> Outcome {
    let present = Present::read(None)?;
    let application = oauth::application(&arguments.application)?.ok_or_else(|| {
        Error::new(ErrorKind::Usage, "no OAuth application is named")
            .with_hint("give the id of your application with --oauth-client-id")
    })?;
    let path = oauth::login_path(&application)?;
    let authorize_url = net::parse_endpoint("--oauth-authorize-url", &arguments.oauth_authorize_url)?;
    // A port that is taken is told before anybody logs in.
    let listener = match arguments.no_browser {
        true => None,
        false => Some(RedirectListener::bind(arguments.redirect_port).await?),
    };
    let redirect_url = RedirectListener::url_of(arguments.redirect_port)?;
    let authorization = Authorization::begin(application, authorize_url, redirect_url);
    output::message(format_args!("open this address and allow the application:\n{}", authorization.url()));
    let mut stop = signals::listen(None, Arc::new(Silent));
    let waiting = async {
        match &listener {
            Some(listener) => {
                open_browser(authorization.url().as_str());
                listener.wait(&authorization).await
            }
            None => pasted(&authorization).await,
        }
    };
    let code = tokio::select! {
        code = tokio::time::timeout(LOGIN_TIMEOUT, waiting) => code.map_err(|_| {
            Error::new(ErrorKind::DeadlineReached, "nobody logged in within ten minutes")
                .with_hint("begin anew with `e3sync login`")
        })??,
        stopped = stop.wait_for(Option::is_some) => {
            let kind = stopped.ok().and_then(|kind| *kind).unwrap_or(ErrorKind::Interrupted);
            return Err(Error::new(kind, "the login was given up"));
        }
    };
    authorization.finish(&code, path.clone(), &present.clock).await?;
    output::message(format_args!(
        "logged in; the refresh token is in {}. Runs without a token use it; `e3sync logout` forgets it",
        path.display()
    ));
    success()
}

/// The code in the address, or by itself, that a person copies out of the browser.
async fn pasted(authorization: &Authorization) -> Result<String> {
    output::message("then paste the address that the browser ends at, even if it shows an error:");
    let reading = tokio::task::spawn_blocking(|| {
        let mut line = String::new();
        std::io::stdin().lock().read_line(&mut line).map(|_| line)
    });
    let line = reading.await.ok().and_then(std::result::Result::ok).unwrap_or_default();
    let text = line.trim();
    let nothing = || {
        Error::new(ErrorKind::Usage, "no address was pasted")
            .with_hint("paste the whole address that begins with http://127.0.0.1, with its code")
    };
    match url::Url::parse(text) {
        Ok(url) => authorization.code_in(&url)?.ok_or_else(nothing),
        // Without its address nobody can tell whose code it is, but whoever pastes it has just got it.
        Err(_) if !text.is_empty() && !text.contains(char::is_whitespace) => Ok(text.to_owned()),
        Err(_) => Err(nothing()),
    }
}

/// Opens a browser where there is one. The address was printed; whether it opens matters to nobody else.
fn open_browser(url: &str) {
    let named = environment::variable("BROWSER");
    let has_screen = environment::variable("DISPLAY").is_some() || environment::variable("WAYLAND_DISPLAY").is_some();
    let program = match &named {
        Some(program) => program.as_str(),
        None if cfg!(target_os = "macos") => "open",
        None if has_screen => "xdg-open",
        None => return,
    };
    let _ = Command::new(program).arg(url).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
}

/// Runs `e3sync logout`.
pub fn logout(arguments: &LogoutArgs) -> Outcome {
    let paths = match oauth::application(&arguments.application)? {
        Some(application) => vec![oauth::login_path(&application)?],
        None => oauth::logins()?,
    };
    if paths.len() > 1 {
        return Err(Error::new(ErrorKind::Usage, "there are logins of several applications")
            .with_hint("name one with --oauth-client-id"));
    }
    let is_gone = paths.iter().map(|path| remove(path)).collect::<Result<Vec<_>>>()?;
    output::message(if is_gone.contains(&true) {
        "logged out: the refresh token is deleted here. To end it at Optimizely, take the application's permission back there"
    } else {
        "nobody is logged in"
    });
    success()
}

fn remove(path: &Path) -> Result<bool> {
    match std::fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(cause) => Err(Error::new(ErrorKind::Usage, format!("cannot delete the login {}", path.display()))
            .with_hint("delete the file by hand")
            .with_cause(cause)),
    }
}
