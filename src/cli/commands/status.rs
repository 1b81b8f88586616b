use std::sync::Arc;

use e3sync::destination::Address;
use e3sync::export::{DaySpec, Days};
use e3sync::progress::{Counters, Silent};
use e3sync::source::Watch;
use e3sync::status::{self, Calendar};
use serde_json::json;

use super::{BUCKET_RETRIES, Outcome};
use crate::cli::args::StatusArgs;
use crate::cli::decide::{self, Present};
use crate::cli::output::{self, Paint};
use crate::cli::render;
use crate::cli::success;

/// Runs `e3sync status`.
pub async fn run(arguments: &StatusArgs) -> Outcome {
    let present = Present::read(None)?;
    let destination = decide::destination(&arguments.destination, &present, false, BUCKET_RETRIES)?;
    let yesterday = DaySpec::DaysAgo(1).resolve(present.today)?;
    let days = match arguments.last {
        Some(days) => Some(Days::new(DaySpec::DaysAgo(days).resolve(present.today)?, yesterday)?),
        None => None,
    };
    let watch =
        Watch { clock: present.clock.clone(), observer: Arc::new(Silent), counters: Arc::new(Counters::default()) };
    let published = destination.look(&watch).await?;
    let calendar = status::calendar(published.as_ref(), days, yesterday).await?;
    show(&calendar, &destination.address, arguments.json);
    success()
}

fn show(calendar: &Calendar, address: &Address, is_json: bool) {
    if !is_json {
        if calendar.types.is_empty() {
            output::message(format_args!("{address} is no mirror yet"));
        }
        for line in render::calendar(calendar, Paint::for_stdout()) {
            output::line(line);
        }
        return;
    }
    for (type_name, days) in &calendar.types {
        for day in days {
            output::json(&json!({
                "schema": 1, "event": "day", "type": type_name.as_str(), "date": day.date.to_string(),
                "state": day.state.name(), "objects": day.objects, "bytes": day.bytes, "rows": day.rows,
            }));
        }
    }
}
