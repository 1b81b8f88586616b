use std::sync::Arc;

use e3sync::doctor;
use e3sync::error::{ErrorKind, ExitCode};
use e3sync::finding::{Finding, State};
use e3sync::progress::{Counters, Silent};
use e3sync::source::Watch;
use serde_json::json;

use super::Outcome;
use crate::cli::args::DoctorArgs;
use crate::cli::decide::{self, Present};
use crate::cli::output::{self, Paint};
use crate::cli::render;

/// On a narrower terminal what was found stands below what was checked.
const COLUMNS_FOR_A_TABLE: usize = 60;

/// Runs `e3sync doctor`.
pub async fn run(arguments: DoctorArgs) -> Outcome {
    let present = Present::read(None)?;
    let watch =
        Watch { clock: present.clock.clone(), observer: Arc::new(Silent), counters: Arc::new(Counters::default()) };
    let mut code = ExitCode::Success;
    let mut tell = |finding: Finding| {
        if code == ExitCode::Success {
            code = finding.exit_code;
        }
        show(&finding, arguments.json);
    };
    let account_id = match decide::source(&arguments.source) {
        Ok(source) => {
            tell(Finding::fine("token", token_origin(&arguments)));
            doctor::examine_source(&source, &watch, &mut tell).await
        }
        Err(error) => {
            tell(Finding::broken("token", &error));
            None
        }
    };
    match decide::destination(&arguments.destination, &present, false, arguments.source.retries) {
        Ok(destination) => {
            doctor::examine_destination(&destination, account_id.as_ref(), &watch, &mut tell).await;
        }
        Err(error) if error.kind() == ErrorKind::Usage && !arguments.destination.is_given() => {
            tell(Finding::notable("destination", "none is given, none was checked", "e3sync doctor DEST"));
        }
        Err(error) => tell(Finding::broken("destination", &error)),
    }
    Ok(code)
}

/// Where the token comes from; never what it is.
fn token_origin(arguments: &DoctorArgs) -> String {
    let source = &arguments.source;
    if source.source_profile.is_some() || source.source_ambient {
        "AWS credentials are used instead of one".to_owned()
    } else if source.token_command.is_some() {
        "comes from a command".to_owned()
    } else if let Some(path) = &source.token_file {
        format!("comes from {}", path.display())
    } else {
        let is_first = decide::environment("OPTIMIZELY_API_TOKEN").is_some();
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
