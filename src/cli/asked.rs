//! What a run was asked for, as its report says it.

use e3sync::export::Scope;
use e3sync::select::{DaysWanted, Selection};
use serde_json::{Value, json};

use super::commands::sync::Decided;
use super::decide::plain_address;

/// What a run was asked for.
pub fn asked(decided: &Decided) -> Value {
    let Selection { types, days, scope } = &decided.request.selection;
    let types: Vec<&str> = types.iter().map(|name| name.as_str()).collect();
    json!({
        "destination": plain_address(&decided.destination.address), "types": types, "days": days_of(days),
        "selection": scope_of(scope),
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
