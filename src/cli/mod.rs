//! The command line: arguments as typed become settings as decided; below this folder nobody reads
//! the terminal, the environment or the wall clock.

mod address;
mod args;
mod commands;
mod decide;
mod environment;
mod file;
mod network;
mod oauth;
mod output;
mod render;
mod run;
mod scheduler;
mod settings;
mod signals;
mod unit_lines;
mod units;

use std::process::ExitCode as ProcessExitCode;

use clap::FromArgMatches as _;
use e3sync::error::{Error, ErrorKind, ExitCode};

use self::args::{Arguments, Command};
use self::commands::Outcome;
use self::settings::Failure;

/// Parses, runs, and gives the exit code.
pub fn main() -> ProcessExitCode {
    raise_open_files_limit();
    let code = match parse() {
        Ok(arguments) => obey(arguments),
        Err(failure) => failure.report(),
    };
    let is_success = matches!(code, ExitCode::Success | ExitCode::Changes);
    let code = if output::finish() || !is_success { code } else { ExitCode::Failure };
    ProcessExitCode::from(code as u8)
}

fn obey(arguments: Arguments) -> ExitCode {
    let is_json = arguments.is_json();
    run(arguments).unwrap_or_else(|error| {
        output::error(&error);
        if is_json {
            output::json(&render::json::of_error(&error));
        }
        error.exit_code()
    })
}

/// The command line over the environment and the settings files.
fn parse() -> Result<Arguments, Failure> {
    let typed: Vec<_> = std::env::args_os().collect();
    let resolved = settings::resolve(&typed)?;
    let arguments = Arguments::from_arg_matches(&resolved.matches).map_err(Failure::CommandLine)?;
    output::set_log_format(arguments.log_format);
    network::set_options(arguments.network.clone());
    Ok(arguments)
}

fn run(arguments: Arguments) -> Outcome {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|cause| Error::new(ErrorKind::Internal, "cannot start").with_cause(cause))?;
    let outcome = runtime.block_on(execute(arguments));
    // A file operation that hangs must not keep the command from ending.
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    outcome
}

async fn execute(arguments: Arguments) -> Outcome {
    let profile = arguments.profile;
    match arguments.command {
        Command::Sync(arguments) => Box::pin(commands::sync::run(*arguments, profile)).await,
        Command::Plan(arguments) => Box::pin(commands::plan::run(*arguments, None)).await,
        Command::Ls(arguments) => Box::pin(commands::ls::run(*arguments)).await,
        Command::Auth(arguments) => commands::auth::run(*arguments).await,
        Command::Status(arguments) => commands::status::run(&arguments).await,
        Command::Doctor(arguments) => commands::doctor::run(*arguments).await,
        Command::Login(arguments) => commands::login::login(*arguments).await,
        Command::Logout(arguments) => commands::login::logout(&arguments),
        Command::Verify(arguments) => Box::pin(commands::verify::run(*arguments)).await,
        Command::ExportManifest(arguments) => commands::export_manifest::run(&arguments).await,
        Command::Config(arguments) => commands::config::run(&arguments, profile.as_deref()),
        Command::Completions(arguments) => commands::completions::run(&arguments),
        Command::Man(arguments) => commands::man::run(&arguments),
        Command::Sql(arguments) => commands::sql::run(*arguments).await,
        #[cfg(feature = "simulator")]
        Command::Simulate(arguments) => commands::simulate::run(*arguments).await,
        #[cfg(feature = "simulator")]
        Command::Demo(arguments) => Box::pin(commands::demo::run(*arguments)).await,
    }
}

/// Lets the process open as many files as the system allows it: each transfer has a file and a
/// connection open, and the usual soft limit of 1,024 is made for programs that use `select`.
fn raise_open_files_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    // Where it cannot be raised, the run says so only if it really meets it.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
}
