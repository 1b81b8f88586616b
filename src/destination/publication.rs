//! What publishing means the same everywhere.

use super::PublishTerms;
use super::ledger::Totals;
use crate::error::{Error, ErrorKind, Result};
use crate::export::{AccountId, Partition};
use crate::manifest::{FORMAT_NAME, FORMAT_VERSION, Header};

/// Holds a broken rerun back: under half the rows or bytes of what it would replace.
///
/// # Errors
/// [`ErrorKind::Shrunk`] unless the user accepts it.
pub(super) fn check_shrink(
    replaced: Option<&Header>,
    totals: &Totals,
    terms: &PublishTerms,
    partition: &Partition,
) -> Result<()> {
    let Some(replaced) = replaced.filter(|_| !terms.accept_shrink) else { return Ok(()) };
    let rows_shrank = replaced.rows.zip(totals.rows).is_some_and(|(before, now)| now < before.div_ceil(2));
    if rows_shrank || totals.listing.bytes < replaced.bytes.div_ceil(2) {
        return Err(Error::new(
            ErrorKind::Shrunk,
            format!("{partition} was rewritten at the source with less than half of its data"),
        )
        .with_hint("the published day is kept. If the new one is right, run again with --accept-shrink"));
    }
    Ok(())
}

/// The header of the manifest that a set is published with.
pub(super) fn header(account_id: &AccountId, partition: &Partition, totals: &Totals, terms: &PublishTerms) -> Header {
    Header {
        format: FORMAT_NAME.to_owned(),
        version: FORMAT_VERSION.to_owned(),
        account_id: account_id.as_str().to_owned(),
        source: terms.source.clone(),
        type_name: partition.type_name.as_str().to_owned(),
        date: partition.date,
        selection: terms.scope.clone(),
        listing_digest: totals.listing.digest,
        objects: totals.listing.objects,
        bytes: totals.listing.bytes,
        rows: totals.rows,
        completeness: terms.completeness,
        tool_version: env!("CARGO_PKG_VERSION").to_owned(),
        published_at: terms.now,
        unknown_fields: serde_json::Map::new(),
    }
}
