//! The NDJSON of `--json`: one document on each line, `schema` says the version, fields are only
//! ever added. docs/SCRIPTING.md describes them.

use e3sync::error::Error;
use e3sync::export::{Strays, TypeName};
use e3sync::plan::PartitionPlan;

use e3sync::progress::{Event, Observer};
use e3sync::status::{Asked, Day, Run, RunGroup, Status};
use serde_json::{Value, json};

use crate::cli::{network, output};

/// The version of the documents.
const SCHEMA: u32 = 1;

/// Prints each event as a document.
pub struct Json;

impl Observer for Json {
    fn observe(&self, event: &Event<'_>) {
        if let Some(value) = of_event(event) {
            output::json(&value);
        }
    }
}

fn of_event(event: &Event<'_>) -> Option<Value> {
    Some(match event {
        Event::RunStarted { account_id, sources, credentials_remaining } => json!({
            "schema": SCHEMA, "event": "start", "account_id": account_id, "sources": sources,
            "credentials_seconds": credentials_remaining.map(|left| left.as_secs()),
        }),
        Event::PartitionsSelected { partitions, days, strays, vanished_types } => json!({
            "schema": SCHEMA, "event": "selection", "partitions": partitions,
            "from": days.map(|days| days.from.to_string()), "to": days.map(|days| days.to.to_string()),
            "strays": strays_fields(strays), "vanished_types": names_of(vanished_types),
        }),
        Event::PartitionPlanned { partition, action, reason, objects, bytes, objects_here, bytes_here } => json!({
            "schema": SCHEMA, "event": "plan", "type": partition.type_name.as_str(), "date": partition.date.to_string(),
            "action": action.name(), "reason": reason, "objects": objects, "bytes": bytes,
            "objects_here": objects_here, "bytes_here": bytes_here,
        }),
        Event::ObjectTransferred { partition, key, size_bytes, sha256, verified_against } => json!({
            "schema": SCHEMA, "event": "object", "type": partition.type_name.as_str(), "date": partition.date.to_string(),
            "key": key, "size_bytes": size_bytes, "sha256": sha256, "verified_against": verified_against,
        }),
        Event::ObjectFailed { partition, key, error } => json!({
            "schema": SCHEMA, "event": "object_failed", "type": partition.type_name.as_str(),
            "date": partition.date.to_string(), "key": key, "error": error_fields(error),
        }),
        Event::PartitionPublished { partition, objects, bytes, rows, is_complete } => json!({
            "schema": SCHEMA, "event": "partition", "type": partition.type_name.as_str(), "date": partition.date.to_string(),
            "objects": objects, "bytes": bytes, "rows": rows, "complete": is_complete,
        }),
        Event::PartitionFailed { partition, error } => json!({
            "schema": SCHEMA, "event": "partition_failed", "type": partition.type_name.as_str(),
            "date": partition.date.to_string(), "error": error_fields(error),
        }),
        Event::CredentialsRenewed { remaining } => json!({
            "schema": SCHEMA, "event": "credentials", "seconds": remaining.map(|left| left.as_secs()),
        }),
        Event::CredentialsWaiting { error, pause } => json!({
            "schema": SCHEMA, "event": "credentials_waiting", "pause_seconds": pause.as_secs_f64(), "error": error_fields(error),
        }),
        Event::Difference { partition, kind, key, detail } => json!({
            "schema": SCHEMA, "event": "difference", "type": partition.type_name.as_str(), "date": partition.date.to_string(),
            "kind": kind.name(), "key": key, "detail": detail,
        }),
        Event::PartitionVerified { partition, state, objects, bytes, differences } => json!({
            "schema": SCHEMA, "event": "verified", "type": partition.type_name.as_str(), "date": partition.date.to_string(),
            "state": state.name(), "objects": objects, "bytes": bytes, "differences": differences,
        }),
        Event::PartitionRepaired { partition, is_repaired, reason } => json!({
            "schema": SCHEMA, "event": "repaired", "type": partition.type_name.as_str(), "date": partition.date.to_string(),
            "repaired": is_repaired, "reason": reason,
        }),
        Event::Warning { message } | Event::Notice { message } => {
            json!({ "schema": SCHEMA, "event": "warning", "message": message })
        }
        Event::Retrying { .. } => return None,
    })
}

/// A partition's plan.
pub fn of_plan(plan: &PartitionPlan) -> Value {
    json!({
        "schema": SCHEMA, "event": "plan", "type": plan.partition.type_name.as_str(), "date": plan.partition.date.to_string(),
        "action": plan.action.name(), "reason": plan.reason, "source": plan.source, "source_reason": plan.source_reason, "objects": plan.objects(), "bytes": plan.bytes(),
        "objects_here": plan.objects().saturating_sub(plan.changes.added.objects),
        "bytes_here": plan.bytes().saturating_sub(plan.changes.added.bytes),
        "objects_gone_at_source": plan.changes.kept.objects,
    })
}

/// A day of a calendar.
pub fn of_day(type_name: &TypeName, day: &Day) -> Value {
    json!({
        "schema": SCHEMA, "event": "day", "type": type_name.as_str(), "date": day.date.to_string(),
        "state": day.state.name(), "reason": day.reason, "complete": day.is_complete,
        "objects": day.objects, "bytes": day.bytes, "rows": day.rows,
        "objects_gone_at_source": day.objects_gone_at_source,
        "published_at": day.published_at.map(|time| time.to_string()),
    })
}

/// A former run.
pub fn of_run(run: &Run) -> Value {
    let mut fields = run_fields("run", run);
    fields["run"] = run.id.as_str().into();
    fields["worker"] = run.worker.as_deref().into();
    fields
}

/// Former runs that shared the days, as one.
pub fn of_group(group: &RunGroup) -> Value {
    let mut fields = run_fields("group", &group.total);
    fields["workers"] = group.workers.iter().map(worker_fields).collect();
    fields
}

/// What one of several runs did, the slowest first.
fn worker_fields(run: &Run) -> Value {
    json!({
        "run": run.id, "worker": run.worker, "seconds": run.seconds, "exit_code": run.exit_code,
        "published": run.partitions.published, "failed": run.partitions.failed,
        "exchange": run.requests.exchange, "retries": run.requests.retries,
    })
}

fn run_fields(event: &str, run: &Run) -> Value {
    let (partitions, objects) = (&run.partitions, &run.objects);
    json!({
        "schema": SCHEMA, "event": event, "group": run.group, "started_at": run.started_at.to_string(),
        "ended_at": run.ended_at.to_string(), "seconds": run.seconds, "exit_code": run.exit_code,
        "asked": of_asked(&run.asked),
        "partitions": {
            "published": partitions.published, "published_by_others": partitions.published_by_others,
            "unchanged": partitions.unchanged, "waiting": partitions.waiting,
            "held": partitions.held, "expired": partitions.expired, "missing": partitions.missing,
            "empty": partitions.empty,
            "failed": partitions.failed,
        },
        "objects": { "transferred": objects.transferred, "failed": objects.failed },
        "bytes": { "transferred": run.bytes.transferred },
        "requests": { "retries": run.requests.retries, "exchange": run.requests.exchange },
        "credentials_renewed": run.credentials_renewed,
        "stopped_by": run.stopped_by.as_ref().map(|error| json!({ "kind": error.kind, "message": error.message })),
    })
}

fn of_asked(asked: &Asked) -> Value {
    let mut fields = asked.others.clone();
    fields.insert("destination".into(), asked.destination.as_str().into());
    fields.insert("types".into(), asked.types.as_slice().into());
    fields.insert("days".into(), asked.days.clone());
    fields.insert("selection".into(), asked.selection.clone());
    fields.into()
}

/// The last verification; none where there was none.
pub fn of_verification(status: &Status) -> Option<Value> {
    status.last_verification.as_ref().map(|last| {
        json!({
            "schema": SCHEMA, "event": "last_verification", "verified_at": last.verified_at.to_string(),
            "mode": last.look.mode.name(), "selection": last.look.selection, "complete": last.complete, "days": last.days, "objects": last.objects,
            "bytes": last.bytes,
        })
    })
}

/// What stands among the days and is none.
pub fn strays_fields(strays: &Strays) -> Value {
    json!({ "count": strays.count, "named": strays.named })
}

/// The names of types.
pub fn names_of(types: &[TypeName]) -> Vec<&str> {
    types.iter().map(TypeName::as_str).collect()
}

/// The error that ended the command.
pub fn of_error(error: &Error) -> Value {
    json!({ "schema": SCHEMA, "event": "error", "error": error_fields(error) })
}

/// An error's fields.
pub fn error_fields(error: &Error) -> Value {
    json!({
        "kind": error.kind().name(), "message": error.to_string(), "hint": network::hint_of(error), "exit_code": error.exit_code() as u8,
    })
}
