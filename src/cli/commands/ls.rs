//! Runs `ls`: lists the days of the source with their objects and sizes.

use std::sync::Arc;

use e3sync::error::Result;
use e3sync::export::{ExportLocation, Partition, printable};
use e3sync::plan::DaysWanted;
use e3sync::plan::Listing;
use e3sync::plan::take_listing;
use e3sync::progress::Counters;
use e3sync::source::{Cloud, Watch};
use futures::StreamExt as _;
use serde_json::json;

use super::{Outcome, success};
use crate::cli::args::LsArgs;
use crate::cli::decide::{self, Present};
use crate::cli::output;
use crate::cli::render::lines::Lines;
use crate::cli::render::unmirrored;
use crate::cli::units::{Bytes, Count};

/// Maximum number of partitions listed concurrently.
const LISTED_AT_ONCE: usize = 8;

/// Runs `e3sync ls`.
pub async fn run(arguments: LsArgs) -> Outcome {
    let present = Present::read(arguments.selection.today)?;
    let selection = decide::selection(&arguments.selection, &present, DaysWanted::All)?;
    let settings = decide::source(&arguments.source)?;
    let watch = Watch {
        clock: present.clock.clone(),
        observer: Arc::new(Lines::new(false, false)),
        counters: Arc::new(Counters::default()),
    };
    let clouds = settings.connect(&watch).await?;
    let selected = selection.select(&clouds, &Vec::new(), present.today).await?;
    for absent in selected.absent.iter().skip(clouds.absent.len()) {
        output::message(format_args!("warning: {absent}"));
    }
    let there = selected.partitions.iter().flat_map(|partition| {
        // Where a cloud does not tell, its listing of the day does.
        let having = selected.cloud_days.iter().filter(|days| days.has(partition) != Some(false));
        having.map(|days| (days.cloud.clone(), partition.clone()))
    });
    let listings = there.map(|(cloud, partition)| list(cloud, partition, &selection.scope));
    let mut listings = futures::stream::iter(listings).buffered(LISTED_AT_ONCE);
    let names_cloud = clouds.present.len() > 1;
    let untold_types = selected.untold_types();
    let columns = selected.partitions.iter().map(|partition| partition.to_string().chars().count()).max().unwrap_or(0);
    let mut partitions: u64 = 0;
    while let Some(listing) = listings.next().await {
        let (cloud, partition, mut listing) = listing?;
        let is_nothing = listing.summary.objects == 0 && !listing.summary.has_success_marker;
        if is_nothing && untold_types.contains(&partition.type_name) {
            continue;
        }
        partitions += 1;
        let location = names_cloud.then_some(&cloud.location);
        let is_read = if arguments.paths {
            show_paths(&partition, &mut listing, &cloud.location)?
        } else {
            show(&partition, &listing, location, columns, arguments.json)
        };
        if !is_read {
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
    for line in unmirrored::lines(&selected.strays, &selected.vanished) {
        output::message(line);
    }
    success()
}

async fn list(
    cloud: Arc<Cloud>,
    partition: Partition,
    scope: &e3sync::export::Scope,
) -> Result<(Arc<Cloud>, Partition, Listing)> {
    let listing = take_listing(cloud.source.as_ref(), &partition, scope, &std::env::temp_dir()).await?;
    for error in &listing.refused {
        output::error(error);
    }
    Ok((cloud, partition, listing))
}

/// Prints a partition, with its cloud where there are several; `false` once nobody reads any more.
fn show(
    partition: &Partition,
    listing: &Listing,
    location: Option<&ExportLocation>,
    columns: usize,
    is_json: bool,
) -> bool {
    let summary = listing.summary;
    if is_json {
        return output::json(&json!({
            "schema": 1, "event": "listing", "type": partition.type_name.as_str(), "date": partition.date.to_string(),
            "objects": summary.objects, "bytes": summary.bytes, "success_marker": summary.has_success_marker,
            "source": location.map(ToString::to_string),
        }));
    }
    let marker = if summary.has_success_marker { "_SUCCESS" } else { "no _SUCCESS" };
    let cloud = location.map_or("", |location| if location.scheme == "gs" { "  gcs" } else { "  s3" });
    let (objects, bytes) = (Count(summary.objects).to_string(), Bytes(summary.bytes).to_string());
    let partition = partition.to_string();
    output::line(format_args!("{partition:<columns$}  {objects:>9} objects  {bytes:>9}  {marker}{cloud}"))
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
