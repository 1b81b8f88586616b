//! What a staged set has already and what is still to come, by its ledger: the same for a directory and a
//! bucket.

use super::ledger::{Ledger, RandomAccess};
use super::record::Place;
use super::{Inventory, Position, Work, publication};
use crate::error::Result;
use crate::export::Partition;

/// What becomes of an object that a former run staged and that nothing has confirmed since.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Recheck {
    /// It is hashed again, and counts as staged where it is whole.
    ByHash,
    /// It is transferred again.
    None,
}

/// What a record says of an object in the present run.
enum Standing {
    Here,
    Staged,
    Missing,
}

impl Recheck {
    fn standing(self, place: Place, run: u64) -> Standing {
        match place {
            Place::Published => Standing::Here,
            Place::Staged { run: by } if by == run => Standing::Here,
            Place::Staged { .. } if self == Self::ByHash => Standing::Staged,
            Place::Staged { .. } | Place::Missing => Standing::Missing,
        }
    }
}

/// Counts what is here of a set.
///
/// # Errors
/// As [`publication::check_kept`]; what keeps the ledger from being read.
pub(super) fn inventory<F: RandomAccess>(
    ledger: &Ledger<F>,
    run: u64,
    partition: &Partition,
    recheck: Recheck,
) -> Result<Inventory> {
    let mut inventory = Inventory::default();
    for (object, record) in ledger.objects(Position::default()).zip(ledger.records(0)) {
        let (object, place) = (object?, record?.place);
        publication::check_kept(&object, place, partition)?;
        match recheck.standing(place, run) {
            Standing::Missing => {}
            Standing::Staged => {
                inventory.objects_staged += 1;
                inventory.bytes_staged += object.size_bytes;
            }
            Standing::Here => {
                inventory.objects_here += 1;
                inventory.objects_unchanged += u64::from(place == Place::Published);
                inventory.bytes_here += object.size_bytes;
            }
        }
    }
    Ok(inventory)
}

/// The next objects that are pending, `count_max` of them at most, from a position on, with the position
/// behind them; `None` where all are here.
///
/// # Errors
/// What keeps the ledger from being read.
pub(super) fn pending<F: RandomAccess>(
    ledger: &Ledger<F>,
    run: u64,
    from: Position,
    count_max: usize,
    recheck: Recheck,
) -> Result<Option<(Vec<Work>, Position)>> {
    let mut lines = ledger.objects(from);
    let mut pairs = lines.by_ref().zip(ledger.records(from.index));
    let mut index = from.index;
    let mut work = Vec::with_capacity(count_max);
    while work.len() < count_max {
        let Some((object, record)) = pairs.next() else { break };
        let object = object?;
        match recheck.standing(record?.place, run) {
            Standing::Here => {}
            Standing::Staged => work.push(Work { index, object, is_staged: true }),
            Standing::Missing => work.push(Work { index, object, is_staged: false }),
        }
        index += 1;
    }
    let position = Position { index, offset: from.offset + lines.offset };
    Ok((!work.is_empty()).then_some((work, position)))
}
