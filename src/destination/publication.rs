//! What publishing means the same everywhere.

use super::ledger::{Ledger, RandomAccess, SetTotals};
use super::record::Place;
use super::{PublishTerms, PublishedManifest};
use crate::error::{Error, ErrorKind, Result};
use crate::export::{AccountId, Object, Partition, printable};
use crate::manifest::{FORMAT_NAME, FORMAT_VERSION, Header, outer_join};
use crate::plan::MergeTally;
use crate::plan::merge::{Listed, Merge, MergeTerms};

/// Whether a staged set is to be held back, now that its rows are known: it is merged with the published
/// one once more, by the rule that the plan was made by.
///
/// # Errors
/// [`ErrorKind::Internal`] for a set that lacks published objects which the rule keeps: no defect above
/// this line may lose them.
pub(super) fn is_held_back<F: RandomAccess>(
    published: Option<&PublishedManifest>,
    ledger: &Ledger<F>,
    run: u64,
    objects_gone_at_source: u64,
    terms: &PublishTerms,
) -> Result<bool> {
    let Some(published) = published.filter(|_| !terms.accept_shrink) else { return Ok(false) };
    let merge_terms = MergeTerms {
        published_scope: &published.header.selection,
        is_same_source: published.header.source == terms.source,
        accepts_losses: false,
        now: terms.now,
    };
    let pairs = || {
        let listed = ledger.finished(run).filter_map(|finished| match finished {
            Ok((object, ..)) if object.gone_at_source.is_some() => None,
            Ok((object, _, content)) => Some(Ok(Listed { object, rows: content.rows })),
            Err(error) => Some(Err(error)),
        });
        Ok::<_, Error>(outer_join(published.entries()?, listed))
    };
    let merge = Merge::judge(pairs()?, &merge_terms)?;
    let mut tally = MergeTally::default();
    for member in merge.members(pairs()?, &merge_terms) {
        tally.add(&member?);
    }
    if tally.kept.objects != objects_gone_at_source {
        let lost = tally.kept.objects.abs_diff(objects_gone_at_source);
        let what = format!("a set was about to be published that lacks {lost} published objects");
        return Err(Error::new(ErrorKind::Internal, what).with_hint("nothing was changed; please report this"));
    }
    Ok(tally.is_shrunk())
}

/// Sees that nothing is missing of what the source no longer has.
///
/// # Errors
/// [`ErrorKind::Unrecoverable`] with the first such object.
pub(super) fn check_kept(object: &Object, place: Place, partition: &Partition) -> Result<()> {
    if object.gone_at_source.is_none() || place != Place::Missing {
        return Ok(());
    }
    let key = printable(&object.key);
    Err(Error::new(
        ErrorKind::Unrecoverable,
        format!("{partition}: object `{key}` is gone at the source and damaged or missing here"),
    )
    .with_hint(
        "nothing of the day was changed. Bring the file back from a copy that fits its manifest (`e3sync export-manifest` prints the SHA-256), or give up what the source no longer has with --accept-shrink",
    ))
}

/// The header of a published set's manifest when only its marks change: when the set was published, and
/// what verifications found of it since, stays true.
pub(super) fn marked_header(published: &Header, totals: &SetTotals, terms: &PublishTerms) -> Header {
    Header {
        version: FORMAT_VERSION.to_owned(),
        listing_digest: terms.listing_digest,
        objects_gone_at_source: totals.objects_gone_at_source,
        ..published.clone()
    }
}

/// The header of the manifest that a set is published with.
pub(super) fn header(
    account_id: &AccountId,
    partition: &Partition,
    totals: &SetTotals,
    terms: &PublishTerms,
) -> Header {
    Header {
        format: FORMAT_NAME.to_owned(),
        version: FORMAT_VERSION.to_owned(),
        account_id: account_id.as_str().to_owned(),
        source: terms.source.clone(),
        type_name: partition.type_name.as_str().to_owned(),
        date: partition.date,
        selection: terms.scope.clone(),
        listing_digest: terms.listing_digest,
        objects: totals.listing.objects,
        bytes: totals.listing.bytes,
        rows: totals.rows,
        objects_gone_at_source: totals.objects_gone_at_source,
        completeness: terms.completeness,
        tool_version: env!("CARGO_PKG_VERSION").to_owned(),
        published_at: terms.now,
        unknown_fields: serde_json::Map::new(),
    }
}
