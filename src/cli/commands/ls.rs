use std::sync::Arc;

use e3sync::destination::Listing;
use e3sync::error::Result;
use e3sync::export::{ExportLocation, Partition, printable};
use e3sync::progress::Counters;
use e3sync::select::DaysWanted;
use e3sync::source::Source;
use e3sync::transfer::take_listing;
use futures::StreamExt as _;
use serde_json::json;

use super::Outcome;
use crate::cli::args::LsArgs;
use crate::cli::decide::{self, Present};
use crate::cli::output;
use crate::cli::render::lines::Lines;
use crate::cli::success;
use crate::cli::units::{Bytes, Count};

/// So many partitions are listed at once.
const LISTED_AT_ONCE: usize = 8;

/// Runs `e3sync ls`.
pub async fn run(arguments: LsArgs) -> Outcome {
    let present = Present::read(arguments.selection.today.as_deref())?;
    let selection = decide::selection(&arguments.selection, &present, DaysWanted::All)?;
    let settings = decide::source(&arguments.source)?;
    let source = settings
        .connect(present.clock.clone(), Arc::new(Lines::new(false, false)), Arc::new(Counters::default()))
        .await?;
    let location = source.location().await?;
    let selected = selection.select(source.as_ref(), &Vec::new(), present.today).await?;
    let there = selected.partitions.into_iter().filter(|partition| {
        selected.source_days.get(&partition.type_name).is_some_and(|days| days.binary_search(&partition.date).is_ok())
    });
    let listings = there.map(|partition| list(source.clone(), partition, &selection.scope));
    let mut listings = futures::stream::iter(listings).buffered(LISTED_AT_ONCE);
    let mut partitions: u64 = 0;
    while let Some(listing) = listings.next().await {
        let (partition, mut listing) = listing?;
        partitions += 1;
        if !show(&partition, &mut listing, &location, &arguments)? {
            return success();
        }
    }
    if partitions == 0 {
        output::message("the export has nothing of what is selected");
    }
    if !selected.other_types.is_empty() {
        let names: Vec<String> = selected.other_types.iter().map(ToString::to_string).collect();
        output::message(format_args!("the export also has type {}; name it with --type", names.join(", ")));
    }
    success()
}

async fn list(
    source: Arc<dyn Source>,
    partition: Partition,
    scope: &e3sync::export::Scope,
) -> Result<(Partition, Listing)> {
    let listing = take_listing(source.as_ref(), &partition, scope, &std::env::temp_dir()).await?;
    Ok((partition, listing))
}

/// Prints a partition; `false` once nobody reads any more.
fn show(partition: &Partition, listing: &mut Listing, location: &ExportLocation, arguments: &LsArgs) -> Result<bool> {
    for error in &listing.refused {
        output::error(error);
    }
    if arguments.paths {
        return show_paths(partition, listing, location);
    }
    let summary = listing.summary;
    if arguments.json {
        return Ok(output::json(&json!({
            "schema": 1, "event": "listing", "type": partition.type_name.as_str(), "date": partition.date.to_string(),
            "objects": summary.objects, "bytes": summary.bytes, "success_marker": summary.has_success_marker,
        })));
    }
    let marker = if summary.has_success_marker { "_SUCCESS" } else { "no _SUCCESS" };
    let (objects, bytes) = (Count(summary.objects).to_string(), Bytes(summary.bytes).to_string());
    Ok(output::line(format_args!("{partition}  {objects:>9} objects  {bytes:>9}  {marker}")))
}

fn show_paths(partition: &Partition, listing: &mut Listing, location: &ExportLocation) -> Result<bool> {
    for object in listing.objects()? {
        let object = object?;
        let prefix = location.partition_prefix(partition);
        let path = format!("{}://{}/{prefix}{}", location.scheme, location.bucket, object.key);
        // What would not print is shown, so that one line stays one object.
        if !output::line(printable(&path)) {
            return Ok(false);
        }
    }
    Ok(true)
}
