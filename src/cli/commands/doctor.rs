//! Runs `doctor`.

use std::path::Path;
use std::sync::Arc;

use e3sync::credentials::TokenSource;
use e3sync::credentials::oauth::Grant;
use e3sync::destination::DestinationSettings;
use e3sync::doctor::{self, Bundle};
use e3sync::error::{Error, ErrorKind, ExitCode, Result};
use e3sync::finding::{Finding, State};
use e3sync::progress::{Counters, Silent};
use e3sync::source::{Access, SourceSettings, Watch};
use serde_json::json;

use super::Outcome;
use crate::cli::args::DoctorArgs;
use crate::cli::decide::{self, Present};
use crate::cli::output::{self, Paint};
use crate::cli::{environment, file, network, render};

/// On a narrower terminal what was found stands below what was checked.
const COLUMNS_FOR_A_TABLE: usize = 60;

/// Runs `e3sync doctor`.
pub async fn run(arguments: DoctorArgs) -> Outcome {
    let present = Present::read(None)?;
    let watch =
        Watch { clock: present.clock.clone(), observer: Arc::new(Silent), counters: Arc::new(Counters::default()) };
    let source = decide::source(&arguments.source);
    let destination = decide::destination(&arguments.destination, &present, false, arguments.source.retries);
    if let Some(path) = &arguments.bundle {
        check_bundle_file(path, destination.as_ref().ok())?;
    }
    let mut findings = Vec::new();
    let mut tell = |finding: Finding| {
        show(&finding, arguments.json);
        findings.push(finding);
    };
    tell(network::finding());
    let account_id = match &source {
        Ok(source) => {
            tell(Finding::fine("token", token_origin(&arguments, source)));
            doctor::examine_source(source, &watch, &mut tell).await
        }
        Err(error) => {
            tell(Finding::broken("token", error));
            None
        }
    };
    // What a bundle tells is about the source: messages about the network and the destination name places of
    // the user's.
    let about_source = 1..findings.len();
    let mut tell = |finding: Finding| {
        show(&finding, arguments.json);
        findings.push(finding);
    };
    match destination {
        Ok(destination) => {
            doctor::examine_destination(&destination, account_id.as_ref(), &watch, &mut tell).await;
        }
        Err(error) if error.kind() == ErrorKind::Usage && !arguments.destination.is_given() => {
            tell(Finding::notable("destination", "none is given, none was checked", "e3sync doctor DEST"));
        }
        Err(error) => tell(Finding::broken("destination", &error)),
    }
    if let Some(path) = &arguments.bundle {
        let about_source = &findings[about_source];
        let bundle = match &source {
            Ok(source) => Bundle::gather(source, about_source, &watch.clock).await,
            Err(_) => Bundle::without_source(about_source, &watch.clock),
        };
        write_bundle(path, &bundle)?;
    }
    let codes = findings.iter().map(|finding| finding.exit_code);
    Ok(codes.into_iter().find(|code| *code != ExitCode::Success).unwrap_or(ExitCode::Success))
}

/// Sees before anything is asked that the file can be written and is none of the mirror's.
fn check_bundle_file(path: &Path, destination: Option<&DestinationSettings>) -> Result<()> {
    if path.as_os_str() == "-" {
        return Ok(());
    }
    if let Some(destination) = destination {
        file::keep_off_mirror("--bundle", path, &destination.address)?;
    }
    file::try_out(path).map_err(|cause| unwritable(path, cause))
}

fn unwritable(path: &Path, cause: std::io::Error) -> Error {
    Error::new(ErrorKind::Usage, format!("cannot write the file of --bundle, {}", path.display()))
        .with_hint("name a file in a folder that is there and can be written with --bundle, or - for standard output")
        .with_cause(cause)
}

fn write_bundle(path: &Path, bundle: &Bundle) -> Result<()> {
    let text = bundle.to_text()?;
    if path.as_os_str() == "-" {
        output::line(text.trim_end());
        return Ok(());
    }
    file::replace(path, text.as_bytes()).map_err(|cause| unwritable(path, cause))?;
    output::message(format_args!(
        "{} tells how the servers answered; secrets, the account and names of events are left out. \
         Read it before you pass it on.",
        path.display()
    ));
    Ok(())
}

/// Where the token comes from; never what it is.
fn token_origin(arguments: &DoctorArgs, settings: &SourceSettings) -> String {
    let source = &arguments.source;
    if let Access::Exchange(exchange) = &settings.access
        && let TokenSource::OAuth(tokens) = &exchange.token
    {
        let by = match tokens.grant() {
            Grant::Login(path) => format!("the login in {}", path.display()),
            Grant::RefreshToken { path, .. } => format!("the refresh token in {}", path.display()),
            Grant::ClientCredentials => "its own secret".to_owned(),
        };
        return format!("comes from the OAuth application {} by {by}", tokens.client_id());
    }
    if source.source_profile.is_some() || source.source_ambient {
        "AWS credentials are used instead of one".to_owned()
    } else if source.token_command.is_some() {
        "comes from a command".to_owned()
    } else if let Some(path) = &source.token_file {
        format!("comes from {}", path.display())
    } else {
        let is_first = environment::variable("OPTIMIZELY_API_TOKEN").is_some();
        format!("comes from {}", if is_first { "OPTIMIZELY_API_TOKEN" } else { "OPTIMIZELY_PAT" })
    }
}

fn show(finding: &Finding, is_json: bool) {
    if is_json {
        output::json(&json!({
            "schema": 1, "event": "check", "check": finding.check, "state": finding.state.name(),
            "message": finding.message, "hint": finding.hint,
        }));
        return;
    }
    let paint = Paint::for_stdout();
    let mark = match finding.state {
        State::Fine => paint.green("ok  "),
        State::Notable => paint.yellow("note"),
        State::Broken => paint.bold_red("FAIL"),
    };
    let is_narrow = output::terminal_columns().is_some_and(|columns| columns < COLUMNS_FOR_A_TABLE);
    let indent = if is_narrow { 6 } else { 25 };
    if is_narrow {
        output::line(format_args!("{mark}  {}", finding.check));
        render::print_sentence("      ", indent, &finding.message);
    } else {
        render::print_sentence(&format!("{mark}  {:<18} ", finding.check), indent, &finding.message);
    }
    if let Some(hint) = &finding.hint {
        render::print_sentence(&format!("{:indent$}-> ", ""), indent + 3, hint);
    }
}
