//! What a run was asked for, as its report says it.

use e3sync::export::Scope;
use e3sync::plan::{DaysWanted, Selection};
use e3sync::plan::{PlanOptions, Ready};
use e3sync::source::CloudChoice;
use jiff::civil::Date;
use serde_json::{Value, json};

use super::settings::RunSettings;
use crate::cli::decide::plain_address;

/// What a run was asked for, and what its decisions rest on.
pub fn requested(settings: &RunSettings) -> Value {
    let Selection { types, days, scope } = &settings.request.selection;
    let types: Vec<&str> = types.iter().map(|name| name.as_str()).collect();
    let PlanOptions { ready, grace, lookback_from, accept_shrink, now: _ } = &settings.request.options;
    json!({
        "destination": plain_address(&settings.destination.address), "types": types, "days": days_of(days),
        "selection": scope_of(scope), "source": source_of(settings.source.cloud), "profile": settings.profile,
        "ready": ready_of(*ready), "grace_seconds": grace.as_secs(), "accept_shrink": accept_shrink,
        "lookback_from": Some(lookback_from).filter(|date| **date > Date::MIN).map(ToString::to_string),
    })
}

fn days_of(days: &DaysWanted) -> Value {
    match days {
        DaysWanted::Range(days) => json!({ "from": days.from.to_string(), "to": days.to.to_string() }),
        DaysWanted::Dates(dates) => dates.iter().map(ToString::to_string).collect(),
        DaysWanted::Incremental => "incremental".into(),
        DaysWanted::All => "all".into(),
        DaysWanted::Each(partitions) => partitions.iter().map(ToString::to_string).collect(),
    }
}

fn scope_of(scope: &Scope) -> Value {
    match scope {
        Scope::All => "all".into(),
        part => serde_json::to_value(part).unwrap_or_default(),
    }
}

fn source_of(cloud: CloudChoice) -> &'static str {
    match cloud {
        CloudChoice::S3 => "s3",
        CloudChoice::Gcs => "gcs",
        CloudChoice::Auto => "auto",
    }
}

fn ready_of(ready: Ready) -> &'static str {
    match ready {
        Ready::Success => "success",
        Ready::Grace => "grace",
        Ready::Any => "any",
    }
}
