use std::path::Path;

use e3sync::destination::directory::DirectoryDestination;
use e3sync::export::{DaySpec, Days};
use e3sync::status::{self, Calendar};
use serde_json::json;

use super::Outcome;
use crate::cli::args::StatusArgs;
use crate::cli::decide::{self, Present};
use crate::cli::output::{self, Paint};
use crate::cli::render;
use crate::cli::success;

/// Runs `e3sync status`.
pub fn run(arguments: &StatusArgs) -> Outcome {
    let path = decide::destination(&arguments.destination)?;
    let present = Present::read(None)?;
    let yesterday = DaySpec::DaysAgo(1).resolve(present.today)?;
    let days = match arguments.last {
        Some(days) => Some(Days::new(DaySpec::DaysAgo(days).resolve(present.today)?, yesterday)?),
        None => None,
    };
    let calendar = match DirectoryDestination::read_only(&path)? {
        Some(directory) => status::calendar(&directory, days, yesterday)?,
        None => Calendar::default(),
    };
    show(&calendar, &path, arguments.json);
    success()
}

fn show(calendar: &Calendar, path: &Path, is_json: bool) {
    if !is_json {
        if calendar.types.is_empty() {
            output::message(format_args!("{} is no mirror yet", path.display()));
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
