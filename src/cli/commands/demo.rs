//! Runs `demo`: simulates an export, mirrors it and shows its calendar, in a temporary directory.

use e3sync::credentials::{ExchangeSettings, SecretSource};
use e3sync::destination::Address;
use e3sync::destination::directory::DirectoryDestination;
use e3sync::error::{Error, ErrorKind, Result};
use e3sync::export::Days;
use e3sync::net;
use e3sync::plan::{PlanOptions, Selection};
use e3sync::simulator::Simulator;
use e3sync::source::{Access, SourceSettings};
use e3sync::status;
use e3sync::sync::SyncRequest;
use e3sync::transfer::TransferSettings;
use jiff::ToSpan as _;
use secrecy::SecretString;

use super::{Outcome, simulate};
use crate::cli::args::DemoArgs;
use crate::cli::decide::{self, Present};
use crate::cli::output::{self, Paint};
use crate::cli::render;
use crate::cli::run::{self, RecordSettings, RunSettings};

/// Runs `e3sync demo`: an export on loopback, mirrored, and its calendar shown.
pub async fn run(arguments: DemoArgs) -> Outcome {
    let simulator = simulate::start(&arguments.simulator).await?;
    output::message(format_args!("a simulated export is served at {}", simulator.url()));
    let folder = tempfile::tempdir().map_err(|cause| {
        Error::new(ErrorKind::DestinationUnusable, "cannot make a temporary directory").with_cause(cause)
    })?;
    let destination = arguments.keep.clone().unwrap_or_else(|| folder.path().join("events"));
    let present = Present::read(None)?;
    let first = present.today.saturating_sub(i64::from(arguments.simulator.days).days());
    let days = Days::new(first, present.today.yesterday().unwrap_or(first))?;
    let code = Box::pin(run::execute(settings(&arguments, &simulator, present.clone(), days, &destination)?)).await?;
    if !arguments.output.json && !arguments.output.quiet {
        show_calendar(&destination, &present).await?;
    }
    if !arguments.output.quiet {
        output::message(match &arguments.keep {
            None => "the mirror was in a temporary directory; keep one with: e3sync demo --keep ./demo".to_owned(),
            Some(kept) => {
                let kept = render::text::shell_word(&kept.display().to_string());
                format!("the mirror stays; look after it with: e3sync verify {kept}")
            }
        });
    }
    simulator.stop().await;
    Ok(code)
}

async fn show_calendar(destination: &std::path::Path, present: &Present) -> Result<()> {
    let Some(directory) = DirectoryDestination::read_only(destination)? else { return Ok(()) };
    let yesterday = present.today.yesterday().unwrap_or(present.today);
    output::line("");
    let status = status::look(&directory, None, yesterday).await?;
    for line in render::status::lines(&status, output::stdout_columns(), Paint::for_stdout(), present.now) {
        output::line(line);
    }
    Ok(())
}

fn settings(
    arguments: &DemoArgs,
    simulator: &Simulator,
    present: Present,
    days: Days,
    destination: &std::path::Path,
) -> Result<RunSettings> {
    let url = net::parse_endpoint("the simulator", &simulator.url())?;
    let destination = decide::used_by(&present, Address::Directory(destination.to_owned()));
    let token = SecretSource::Value(SecretString::from(simulator.token()));
    Ok(RunSettings {
        source: SourceSettings::new(Access::Exchange(ExchangeSettings::new(token)?)).at_server(&url),
        request: SyncRequest {
            selection: Selection::of(days),
            options: PlanOptions { lookback_from: days.from, ..PlanOptions::at(present.now) },
            transfer: TransferSettings::default(),
            today: present.today,
            spill_folder: destination.spill_folder(),
            join: None,
        },
        destination,
        present,
        output: arguments.output.clone(),
        record: RecordSettings::default(),
        max_duration: None,
        profile: None,
        group: None,
    })
}
