//! Runs `status`: shows the calendar of a destination as text, JSON or a page.

use std::path::Path;
use std::sync::Arc;

use e3sync::destination::Address;
use e3sync::error::{Error, ErrorKind, Result};
use e3sync::export::{DaySpec, Days};
use e3sync::progress::{Counters, Silent};
use e3sync::retry::ATTEMPTS_MAX_DEFAULT;
use e3sync::source::Watch;
use e3sync::status::{self, Status};

use super::{Outcome, success};
use crate::cli::args::StatusArgs;
use crate::cli::decide::{self, Present};
use crate::cli::file;
use crate::cli::output::{self, Paint};
use crate::cli::render::{self, json};

/// Runs `e3sync status`.
pub async fn run(arguments: &StatusArgs) -> Outcome {
    let present = Present::read(arguments.today)?;
    let destination = decide::destination(&arguments.destination, &present, false, ATTEMPTS_MAX_DEFAULT)?;
    if let Some(path) = &arguments.html {
        file::keep_off_mirror("--html", path, &destination.address)?;
    }
    let yesterday = DaySpec::DaysAgo(1).resolve(present.today)?;
    let days = match arguments.last {
        Some(days) => Some(Days::new(DaySpec::DaysAgo(days).resolve(present.today)?, yesterday)?),
        None => None,
    };
    let watch =
        Watch { clock: present.clock.clone(), observer: Arc::new(Silent), counters: Arc::new(Counters::default()) };
    let published = destination.look(&watch).await?;
    let status = status::look(published.as_ref(), days, yesterday).await?;
    match status.unreadable_reports {
        0 => {}
        1 => output::message("the report of one run cannot be read and is left out"),
        count => output::message(format_args!("the reports of {count} runs cannot be read and are left out")),
    }
    match status.far_ahead.as_slice() {
        [] => {}
        [day] => output::message(format_args!("{day} is more than a year ahead and left out")),
        [first, ..] => output::message(format_args!(
            "{} days are more than a year ahead and left out, the first of them {first}",
            status.far_ahead.len()
        )),
    }
    if let Some(error) = &status.unreadable_verification {
        output::message(format_args!("{error}; {}", error.hint().unwrap_or_default()));
    }
    match &arguments.html {
        Some(path) => write_page(&render::html::page(&status, &destination.address.to_string()), path)?,
        None if arguments.json => print_json(&status),
        None => print(&status, &destination.address, &present),
    }
    success()
}

fn print(status: &Status, address: &Address, present: &Present) {
    if status.types.is_empty() && status.account_id.is_none() {
        output::message(format_args!("{address} is no mirror yet"));
    }
    for line in render::status::lines(status, output::stdout_columns(), Paint::for_stdout(), present.now) {
        output::line(line);
    }
}

fn print_json(status: &Status) {
    let days = status.types.iter().flat_map(|(name, days)| days.iter().map(|day| json::of_day(name, day)));
    let groups = status::grouped(&status.runs);
    let groups = groups.iter().filter(|group| group.is_shared()).map(json::of_group);
    let runs = status.runs.iter().map(json::of_run).chain(groups);
    let mut documents = days.chain(runs).chain(json::of_verification(status));
    // A reader that has seen enough goes away; nothing more is to be written then.
    let _ = documents.all(|document| output::json(&document));
}

fn write_page(page: &str, path: &Path) -> Result<()> {
    if path.as_os_str() == "-" {
        output::text(page);
        return Ok(());
    }
    file::replace(path, page.as_bytes()).map_err(|cause| {
        Error::new(ErrorKind::Usage, format!("cannot write the page to {}", path.display()))
            .with_hint("name a file in a folder that can be written with --html, or - for standard output")
            .with_cause(cause)
    })
}
