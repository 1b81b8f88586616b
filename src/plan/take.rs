//! Taking a partition's listing from the source.

use std::path::Path;

use super::{Listing, ListingBuilder};
use crate::error::{Error, ErrorKind, Result};
use crate::export::{Partition, SUCCESS_MARKER, Scope};
use crate::plan::listing_check::PAGES_MAX;
use crate::source::{PageToken, Source};

/// Takes a partition's listing, page after page, as far as the scope wants it.
///
/// # Errors
/// What the source answers; [`ErrorKind::ListingUntrusted`] for a listing without end.
pub async fn take_listing(
    source: &dyn Source,
    partition: &Partition,
    scope: &Scope,
    spill_folder: &Path,
) -> Result<Listing> {
    let mut builder = ListingBuilder::new(spill_folder);
    for prefix in scope.prefixes() {
        list_prefix(source, partition, &prefix, scope, &mut builder).await?;
    }
    // A listing that would have shown the marker has answered already.
    if !scope.matches(SUCCESS_MARKER) && has_success_marker(source, partition).await? {
        builder.note_success_marker();
    }
    Ok(builder.finish())
}

async fn list_prefix(
    source: &dyn Source,
    partition: &Partition,
    prefix: &str,
    scope: &Scope,
    builder: &mut ListingBuilder,
) -> Result<()> {
    let mut from: Option<PageToken> = None;
    for _ in 0..PAGES_MAX {
        let page = source.list_page(partition, prefix, from.as_ref()).await?;
        for object in page.objects.iter().filter(|object| scope.matches(&object.key)) {
            builder.add(object)?;
        }
        match page.next {
            Some(next) => from = Some(next),
            None => return Ok(()),
        }
    }
    Err(Error::new(ErrorKind::ListingUntrusted, format!("the listing of {partition} has no end")))
}

/// Whether the source declares the day complete (domain.md section 3).
///
/// # Errors
/// What the source answers.
pub async fn has_success_marker(source: &dyn Source, partition: &Partition) -> Result<bool> {
    let page = source.list_page(partition, SUCCESS_MARKER, None).await?;
    Ok(page.objects.iter().any(|object| object.key == SUCCESS_MARKER))
}
